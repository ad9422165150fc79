"""One optimum is claimed only where it is proved, and the claim holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.core.designs import random_design
from tests.unit.optim.toys import conflict, criterion, growth

from ranef.core.landscape import effort
from ranef.covariance import Diagonal
from ranef.optim import minimise


def test_balanced_growth_has_one_optimum() -> None:
    assert criterion(growth()).unimodal
    assert criterion(growth(), reml=False).unimodal


def test_no_claim_without_balance() -> None:
    design = growth()
    fewer = np.arange(design.nobs) != 3
    group = replace(design.terms[0].group, codes=design.terms[0].group.codes[fewer])
    term = replace(design.terms[0], group=group, z=np.asfortranarray(design.X[fewer]))
    assert not criterion(replace(design, y=design.y[fewer], X=np.asfortranarray(design.X[fewer]), terms=(term,))).unimodal


def test_no_claim_where_beta_depends_on_theta() -> None:
    assert not criterion(conflict(1)).unimodal


def test_no_claim_for_several_terms_or_constrained_structures() -> None:
    assert not criterion(random_design(1, "crossed", (1, 1))).unimodal
    design = growth()
    assert not criterion(replace(design, terms=(replace(design.terms[0], covariance=Diagonal(2)),))).unimodal


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sd", [(1.0, 0.3), (0.0, 0.0), (5.0, 0.0), (0.1, 20.0)])
def test_every_start_leads_to_the_optimum_that_is_claimed_to_be_the_only_one(seed: int, sd: tuple[float, float]) -> None:
    problem = criterion(growth(seed, groups=6, per=4, sd=sd))
    values = [minimise(problem, start=size * problem.layout.start()).value for size in (0.01, 0.1, 1.0, 10.0, 100.0)]
    assert np.ptp(values) < 1e-7


def test_effort_counts_what_is_left_after_the_largest_factor() -> None:
    single, crossed = criterion(growth()).gram, criterion(random_design(1, "crossed", (1, 1))).gram
    assert 0 < effort(single) < 1e4
    assert effort(crossed) > 4 * 7**3
