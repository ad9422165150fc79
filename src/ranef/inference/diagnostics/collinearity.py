"""Collinearity: can the effects of the predictors be told apart?

    GVIF = det R_11 det R_22 / det R               R: correlations of the estimated coefficients, without the intercept
    inflation = GVIF^(1 / (2 df))                  of the standard error, for one coefficient of the term

Fox and Monette (1992), J. Am. Stat. Assoc. 87, 178-183; with one column GVIF is the variance inflation factor. For mixed models R
is that of the generalised least squares estimate, as in `vif` of car.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Array
from ranef.fit.fit import Fit
from ranef.inference.diagnostics.answer import Assessment, judge, untested
from ranef.inference.diagnostics.evidence import Evidence
from ranef.inference.terms import terms_of
from ranef.table import Table

ASSUMPTION, PANEL = "Collinearity", "collinearity"
SMALL, LARGE = 5.0, 10.0  # variance inflation
NARROW, WIDE = 30.0, 100.0  # condition number, Belsley, Kuh and Welsch (1980), Regression Diagnostics, section 3.2
REMEDY = (
    "Standard errors are wide because predictors overlap, not because the model is wrong: centre them, use poly() for powers, "
    "join or drop predictors that measure the same."
)


@dataclass(frozen=True, eq=False)
class Inflation:
    terms: tuple[str, ...]
    gvif: Array
    df: Array
    in_interaction: NDArray[np.bool_]  # the term is an interaction, or part of one

    @property
    def factor(self) -> Array:
        """GVIF^(1/df): comparable with a variance inflation factor."""
        return self.gvif ** (1.0 / self.df)


def inflation(fit: Fit) -> Inflation | None:
    """Of the terms of the fixed effects; None where there are less than two."""
    kept, design = list(fit.criterion.gram.standard.kept), fit.model.design
    _, terms = terms_of(fit.model.schema, kept)
    columns = {}
    for term in terms.tested:
        own = [kept.index(j) for j in terms.at[term.columns] if j in kept]
        if own:
            columns[term.label] = own
    if len(columns) < 2:
        return None
    R = _correlation(fit, [kept.index(j) for j in kept if j != design.intercept])
    places = {j: i for i, j in enumerate(i for i, j in enumerate(kept) if j != design.intercept)}
    whole = np.linalg.slogdet(R)[1]
    logs = []
    for own in columns.values():
        mine = [places[j] for j in own]
        others = [i for i in range(len(R)) if i not in mine]
        logs.append(sum(np.linalg.slogdet(R[np.ix_(part, part)])[1] for part in (mine, others)) - whole)
    variables = [term.factors | term.numerics for term in terms.tested if term.label in columns]
    part = np.array([len(own) > 1 or any(own < other for other in variables) for own in variables])
    return Inflation(tuple(columns), np.exp(np.array(logs)), np.array([len(own) for own in columns.values()]), part)


def _correlation(fit: Fit, places: list[int]) -> Array:
    kept = list(fit.criterion.gram.standard.kept)
    white = fit.solution.white[kept][places]
    unit = white / np.sqrt(np.einsum("ij,ij->i", white, white))[:, None]
    return unit @ unit.T


def condition_number(fit: Fit) -> float | None:
    """Largest over smallest singular value of the columns of X, centred where there is an intercept and of unit length.

    None where there are less than two columns.
    """
    design = fit.model.design
    columns = [j for j in fit.criterion.gram.standard.kept if j != design.intercept]
    if len(columns) < 2:
        return None
    X = design.X[:, columns]
    weights = np.ones(len(X)) if design.weights is None else design.weights
    if design.intercept is not None:
        X = X - np.average(X, axis=0, weights=weights)
    X = X * np.sqrt(weights)[:, None]
    values = np.linalg.svd(X / np.sqrt(np.einsum("ij,ij->j", X, X)), compute_uv=False)
    return float(values[0] / max(values[-1], 1e-300))


def collinearity(evidence: Evidence) -> Iterator[Assessment]:
    found, kappa = inflation(evidence.fit), condition_number(evidence.fit)
    check = "Variance inflation"
    if found is None:
        yield untested("collinearity", ASSUMPTION, check, "There are no two predictors that could overlap.")
    else:
        yield _worst(found, check)
    if kappa is not None:
        words = f"the condition number of the standardised predictors is {kappa:.3g}."
        verdict = judge(None, kappa, small=NARROW, large=WIDE)
        yield Assessment("condition", ASSUMPTION, "Condition number", kappa, None, verdict, words, REMEDY, PANEL)


def _worst(found: Inflation, check: str) -> Assessment:
    """An interaction overlaps with its parts by its nature: only the other terms are judged."""
    judged = np.flatnonzero(~found.in_interaction)
    if not len(judged):
        worst = int(np.argmax(found.factor))
        words = f"all terms are part of an interaction, which inflates by its nature; the largest is {found.factor[worst]:.3g}."
        return Assessment("collinearity", ASSUMPTION, check, float(found.factor[worst]), None, "fine", words, panel=PANEL)
    worst = int(judged[np.argmax(found.factor[judged])])
    value = float(found.factor[worst])
    words = f"the standard error of {found.terms[worst]} is {np.sqrt(value):.2f} times what it would be alone."
    verdict = judge(None, value, small=SMALL, large=LARGE)
    return Assessment("collinearity", ASSUMPTION, check, value, None, verdict, words, REMEDY, PANEL)


def collinearity_panels(evidence: Evidence) -> Iterator[tuple[str, Table]]:
    found = inflation(evidence.fit)
    if found is not None:
        columns = {"term": list(found.terms), "gvif": found.gvif, "df": found.df, "inflation": np.sqrt(found.factor)}
        yield "collinearity", evidence.table(columns, "Variance inflation")
