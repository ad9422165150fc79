"""RESET: an F test of powers of a variable that are added to the fixed effects, of many variables in one pass over the rows.

Ramsey (1969), JRSS B 31, 350-371. The larger model is fitted again by REML and tested with Satterthwaite's degrees of freedom;
where these fits are dear together, the variances are held at their estimates and the degrees of freedom are n - p:

    F = (s - s_1) / q / (s_1 / (nu - q)),      s_1 = s - b'M^-1 b,     M = Q'PQ,   b = Q'Py

docs/explanation/diagnostics.md, eq. 9-11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.linalg import blas

from ranef.core.gram import Gram
from ranef.core.layout import Layout
from ranef.core.solution import Solution
from ranef.core.standard import standardise
from ranef.core.widened import Widened
from ranef.covariance.base import Array
from ranef.design import Design
from ranef.errors import RanefError
from ranef.fit.answer import Searched
from ranef.fit.fit import Fit
from ranef.fit.model import Model
from ranef.fit.run import answer, criterion_of
from ranef.inference.ddf.base import FTest
from ranef.inference.rows import standard_rows

POWERS = (2, 3)
NAMES = tuple(f"power {power}" for power in POWERS)
NUMBERS = 8_000_000  # that are added to the rows and the sums by level at a time
DEAR, DEAR_TOGETHER = 3e8, 1e10  # floating-point operations of an evaluation, of all, beyond which the variances are held
CONSTANT = 1e-10  # share of the size of a variable below which its spread is rounding
NOTHING = FTest(float("nan"), 0, float("nan"))


@dataclass(frozen=True)
class Reset:
    """The test of one variable, or why there is none; `held` says that the variances were held."""

    test: FTest
    held: bool = False
    problem: RanefError | None = None

    @classmethod
    def tried(cls, larger: Callable[[], Fit]) -> Reset:
        try:
            return cls(_of_powers(larger()))
        except RanefError as problem:
            return cls(NOTHING, problem=problem)


def reset(fit: Fit, x: Array) -> FTest:
    """F test of powers of x (n,) added to the fixed effects, with Satterthwaite's degrees of freedom.

    No degrees of freedom in the numerator where the powers are aliased with the columns of the model. Raises RanefError where
    the larger model cannot be fitted.
    """
    (found,) = resets(fit, [x])
    if found.problem is not None:
        raise found.problem
    return found.test


def resets(fit: Fit, variables: Sequence[Array]) -> Iterator[Reset]:
    """The same for each of some variables (n,), with one pass over the rows for many of them."""
    if fit.criterion.residual is not None:
        yield from (Reset.tried(partial(_from_rows, fit, x)) for x in variables)
        return
    effort = fit.criterion.effort
    held = effort > DEAR or effort * len(variables) > DEAR_TOGETHER
    w, sums = standard_rows(fit), sum(block.size for block in fit.criterion.layout.blocks)
    step = max(1, NUMBERS // (len(POWERS) * (fit.nobs + sums)))
    for start in range(0, len(variables), step):
        powers = np.column_stack([_powers(x) for x in variables[start : start + step]])
        wider = Widened.of(fit.criterion.gram, w, powers, len(POWERS))
        if held:
            yield from (Reset(test, held=True) for test in held_tests(fit, wider))
        else:
            yield from (Reset.tried(partial(_from_sums, fit, gram)) for gram in wider.grams(NAMES))


def held_tests(fit: Fit, wider: Widened) -> Iterator[FTest]:
    """With theta at its estimate, by V^-1 Z = Z (I - Omega Z'V^-1 Z)."""
    solution, old = fit.solution, wider.gram
    omegas = [lam @ lam.T for lam in solution.factors]
    moved = fit.criterion.engine.apply(solution.factors, [omega @ zq for omega, zq in zip(omegas, wider.zq, strict=True)])
    left = [omega @ (zq - other) for omega, zq, other in zip(omegas, wider.zq, moved, strict=True)]  # Omega Z'V^-1 Q
    with_old = np.zeros((old.rank + 1, wider.Q.shape[1]))
    with_old[-1] = wider.qy
    for zw, part in zip(old.zw, left, strict=True):
        with_old -= np.einsum("mkr,mkc->rc", zw, part, optimize=True)
    gls, places = solution.gls, np.arange(with_old.shape[1]).reshape(-1, len(POWERS))
    white = blas.dtrsm(1.0, gls.lower, with_old[:-1], lower=1) if len(gls.lower) else with_old[:-1]
    b = with_old[-1] - gls.gamma @ with_old[:-1]
    for at, R in zip(places, wider.R, strict=True):
        own = at[R.diagonal() > 0.0]
        M = np.eye(len(own)) - white[:, own].T @ white[:, own]
        for zq, part in zip(wider.zq, left, strict=True):
            M -= np.einsum("mka,mkb->ab", zq[:, :, own], part[:, :, own], optimize=True)
        yield _held_test(fit, M, b[own])


def _held_test(fit: Fit, M: Array, b: Array) -> FTest:
    solution, q, n = fit.solution, len(b), fit.nobs
    if not q:
        return NOTHING
    explained, r = float(b @ np.linalg.solve((M + M.T) / 2, b)), fit.criterion.gram.rank
    scale = fit.criterion.scale
    variance = (solution.gls.pwrss - explained) / (n - r - q) if scale is None else scale**2
    return FTest(explained / q / variance, q, float(n - r - q))


def _powers(x: Array) -> Array:
    """(n, 2) of x in its own units; zeros where it does not vary."""
    spread = float(np.std(x))
    if spread <= CONSTANT * max(float(np.abs(x).max(initial=0.0)), 1e-300):
        return np.zeros((len(x), len(POWERS)))
    z = (x - x.mean()) / spread
    return np.column_stack([z**power for power in POWERS])


def _of_powers(larger: Fit) -> FTest:
    names = larger.model.design.names
    old = len(names) - len(POWERS)
    L = np.eye(len(names))[[j for j in larger.criterion.gram.standard.kept if j >= old]]
    return larger.denominator("satterthwaite").test(L, np.zeros(len(L))) if len(L) else NOTHING


def _from_sums(fit: Fit, gram: Gram) -> Fit:
    """The model with another design that has the same random terms; by REML."""
    model = _model(fit, gram.standard.design)
    return answer(model, gram, None, warm=fit.optimum.theta if fit.criterion.size else None)


def _from_rows(fit: Fit, x: Array) -> Fit:
    """The same where residuals have a structure, which sums do not know. The variances are held where a fit is dear."""
    design = fit.model.design
    model = _model(fit, replace(design, X=np.asfortranarray(np.hstack([design.X, _powers(x)])), names=design.names + NAMES))
    gram = Gram.of(standardise(model.design, Layout.of(design.terms)))
    if not design.terms or fit.criterion.effort <= DEAR:
        return answer(model, gram, None, warm=fit.optimum.theta if design.terms else None)
    criterion = criterion_of(model, gram)
    return Fit(model, Searched(criterion, fit.optimum, Solution(criterion, fit.optimum.theta)), ())


def _model(fit: Fit, design: Design) -> Model:
    return replace(fit.model, intake=replace(fit.model.intake, design=design), reml=True)
