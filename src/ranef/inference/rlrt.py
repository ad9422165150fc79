"""The exact finite-sample test of one variance component.

For y = X beta + Z b + e, b ~ N(0, lambda sigma^2 I), the (restricted) likelihood ratio of lambda = 0 has the distribution of

    RLRT = sup over lambda >= 0 of  (n - p) log(1 + N / D) - sum_s log(1 + lambda mu_s)
    LRT  = sup over lambda >= 0 of   n      log(1 + N / D) - sum_s log(1 + lambda xi_s)

    N = sum_s lambda mu_s / (1 + lambda mu_s) w_s^2        D = sum_s w_s^2 / (1 + lambda mu_s) + chi-square(n - p - K)

with w_s standard normal, mu the K eigenvalues of Z'(I - X (X'X)^-1 X')Z, xi those of Z'Z: Crainiceanu and Ruppert (2004), JRSS B
66, 165-185, eq. 6-9. Its quantiles are found by simulation; nothing is asymptotic. The usual
mixture of chi-squares is beside it: with few groups it is too conservative, mostly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from ranef.arguments import check_count, checked
from ranef.core.gram import Gram
from ranef.covariance.base import Array
from ranef.errors import ModelError
from ranef.fit.checks import needs_estimated_sigma
from ranef.fit.residual_side import refuse_structured
from ranef.inference.bootstrap.run import entropy_of
from ranef.optim import minimise
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

LARGEST = 4000  # random effects whose eigenvalues are computed
CHUNK = 2000  # draws at a time
GRID = 120  # values of log lambda
REFINEMENTS = 4
ROUNDING = 1e-8  # a likelihood ratio below this is zero
NULL = 1e-10
SAME = 1e-9  # relative difference of eigenvalues that are equal

Spectrum = tuple[Array, Array]  # distinct eigenvalues and their multiplicities


@dataclass(frozen=True, eq=False)
class ExactTest:
    """`statistic` is the observed (restricted) likelihood ratio, `draws` its exact distribution under a variance of zero."""

    statistic: float
    draws: Array
    reml: bool
    term: str
    seed: int
    frame_kind: str

    @property
    def p_value(self) -> float:
        if self.statistic <= ROUNDING:
            return 1.0
        return (1.0 + float(np.sum(self.draws >= self.statistic))) / (1.0 + len(self.draws))

    @property
    def std_error(self) -> float:
        """Monte Carlo standard error of the p value."""
        p = self.p_value if self.statistic > ROUNDING else 0.5
        return float(np.sqrt(p * (1.0 - p) / (1.0 + len(self.draws))))

    @property
    def table(self) -> Table:
        naive = float(chdtrc(1.0, self.statistic)) if self.statistic > ROUNDING else 1.0
        mixture = 0.5 * naive if self.statistic > ROUNDING else 1.0
        columns = {
            "term": [self.term], "statistic": [self.statistic], "p_value": [self.p_value], "std_error": [self.std_error],
            "p_mixture": [mixture], "p_naive": [naive],
        }  # fmt: skip
        kind = "Restricted likelihood ratio" if self.reml else "Likelihood ratio"
        note = f"{kind} of a variance of zero; p from {len(self.draws)} draws of its exact distribution. Seed {self.seed}."
        headings = {"p_value": "p (exact)", "std_error": "MC error", "p_mixture": "p (mixture)", "p_naive": "p (chi-square)"}
        return Table(columns, title="Exact likelihood-ratio test", notes=(note,), frame_kind=self.frame_kind, headings=headings)

    def __repr__(self) -> str:
        return repr(self.table)

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


@checked
def rlrt(fit: Fit, n: int = 100_000, seed: int | None = 1) -> ExactTest:
    """Test the one variance component of a model by the exact distribution of its (restricted) likelihood ratio.

    The model has one random term with one variance, such as `(1 | group)`; a fit by REML gives the restricted test. `n` draws, the
    same for the same seed. Raises ModelError for a model with more variance parameters (see `compare`, `ranova` and
    `bootstrap(m0, m1)`), and where there are more than LARGEST random effects.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
    >>> ranef.rlrt(m, n=10_000)
    Exact likelihood-ratio test
    Term         Statistic  p (exact)   MC error  p (mixture)  p (chi-square)
    -------------------------------------------------------------------------
    (1 | Batch)       6.37      0.004  0.0006543        0.006           0.012
    Restricted likelihood ratio of a variance of zero; p from 10000 draws of its
    exact distribution. Seed 1.
    """
    check_count("n", n, 100, "draws")
    refuse_structured(fit, "rlrt()", "Use compare().")
    needs_estimated_sigma(
        fit.model.design.sigma, "The exact test", "Use compare(m0, m1) or ranef.heterogeneity(m), which has the Q test."
    )
    blocks = fit.criterion.layout.blocks
    if len(blocks) != 1 or fit.criterion.size != 1:
        found = fit.criterion.size
        raise ModelError(
            f"The exact test is for one variance component; this model has {found} variance and covariance parameters.",
            hint="Use compare(m0, m1), ranova(m), or bootstrap(m0, m1) for a test by simulation.",
        )
    if blocks[0].size > LARGEST:
        raise ModelError(
            f"The model has {blocks[0].size} random effects; the eigenvalues of at most {LARGEST} are computed.",
            hint="With so many levels the mixture of chi-squares that ranova() uses is accurate.",
        )
    statistic = fit.criterion.evaluate(np.zeros(1), 0).value - fit.criterion.evaluate(_best(fit), 0).value
    entropy = entropy_of(seed)
    reml = fit.criterion.reml
    mu, xi = eigenvalues(fit.criterion.gram)
    dof = fit.nobs - fit.criterion.gram.rank
    draws = null_draws(mu, mu if reml else xi, dof, dof if reml else fit.nobs, n, np.random.default_rng(entropy))
    term = fit.model.design.terms[0].label
    return ExactTest(max(statistic, 0.0), draws, reml, term, entropy, fit.model.rows.frame)


def _best(fit: Fit) -> Array:
    """theta at the optimum; with one parameter both local optima are cheap to compare."""
    other = minimise(fit.criterion, start=np.array([0.1])).theta
    return min((fit.optimum.theta, other), key=lambda theta: fit.criterion.evaluate(theta, 0).value)


def eigenvalues(gram: Gram) -> tuple[Array, Array]:
    """mu and xi, in the units of the standardised columns (any unit of Z gives the same test)."""
    covariance, r = gram.layout.blocks[0].parts[0].covariance, gram.rank
    root = covariance.jacobian(covariance.start())[0]  # of what the variance multiplies: A, where that is known
    zz = root.T @ gram.zz[0] @ root
    m, k, _ = zz.shape
    xi = np.linalg.eigvalsh(zz).ravel()
    tiles = np.zeros((m, k, m, k))
    tiles[np.arange(m), :, np.arange(m), :] = zz
    full = tiles.reshape(m * k, m * k)
    if r:
        zx = (root.T @ gram.zw[0][:, :, :r]).reshape(m * k, r)
        full = full - zx @ np.linalg.solve(gram.ww[:r, :r], zx.T)
    mu = np.clip(np.linalg.eigvalsh((full + full.T) / 2.0), 0.0, None)
    return np.where(mu > NULL * mu.max(initial=0.0), mu, 0.0), np.sort(np.clip(xi, 0.0, None))


def null_draws(mu: Array, xi: Array, dof: int, factor: int, n: int, rng: np.random.Generator) -> Array:
    """(n,) draws of sup over lambda of factor log(1 + N / D) - sum log(1 + lambda xi)."""
    live, count = _distinct(mu[mu > 0])
    top, rank = float(live.max(initial=1.0)), int(count.sum())
    log_lambda = np.linspace(np.log(1e-4 / top), np.log(1e5 / max(float(live.min(initial=top)), 1e-6 * top)), GRID)
    out = np.empty(n)
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        squares = rng.chisquare(count, (size, len(live)))
        rest = rng.chisquare(dof - rank, size) if dof > rank else np.zeros(size)
        out[start : start + size] = _supremum(squares, rest, live, _distinct(xi), factor, log_lambda)
    return out


def _distinct(values: Array) -> tuple[Array, Array]:
    """Eigenvalues, and how many there are of each: balanced designs have one or two."""
    ordered = np.sort(values)
    new = np.append(True, np.diff(ordered) > SAME * ordered[1:]) if len(ordered) else np.zeros(0, dtype=bool)
    return ordered[new], np.diff(np.append(np.flatnonzero(new), len(ordered))).astype(float)


def _supremum(squares: Array, rest: Array, mu: Array, xi: Spectrum, factor: int, log_lambda: Array) -> Array:
    """The best value of a grid, refined by parabolas in log lambda; zero is the value at lambda = 0."""
    values = _ratio(squares, rest, mu, xi, factor, np.exp(log_lambda))
    at = np.clip(np.argmax(values, axis=1), 1, len(log_lambda) - 2)
    best, center = values.max(axis=1), log_lambda[at]
    step = float(log_lambda[1] - log_lambda[0])
    unsettled = np.flatnonzero(best > 0.0)
    for _ in range(REFINEMENTS):
        c = center[unsettled]
        three = np.stack([_each(squares[unsettled], rest[unsettled], mu, xi, factor, np.exp(c + h)) for h in (-step, 0.0, step)])
        bend = three[0] - 2.0 * three[1] + three[2]
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = np.where(bend < 0, 0.5 * step * (three[0] - three[2]) / bend, 0.0)
        center[unsettled] = c + np.clip(shift, -step, step)
        best[unsettled] = np.maximum(best[unsettled], three.max(axis=0))
        step /= 4.0
    return np.maximum(best, 0.0)


def _ratio(squares: Array, rest: Array, mu: Array, xi: Spectrum, factor: int, lambdas: Array) -> Array:
    """(size, grid) the likelihood ratio at each lambda of the grid."""
    shrunk = 1.0 / (1.0 + np.outer(mu, lambdas))
    D = squares @ shrunk + rest[:, None]
    total = squares.sum(axis=1) + rest
    return factor * np.log(total[:, None] / D) - xi[1] @ np.log1p(np.outer(xi[0], lambdas))


def _each(squares: Array, rest: Array, mu: Array, xi: Spectrum, factor: int, lambdas: Array) -> Array:
    """(size,) the likelihood ratio at a lambda of its own for each draw."""
    D = np.einsum("ns,ns->n", squares, 1.0 / (1.0 + lambdas[:, None] * mu)) + rest
    total = squares.sum(axis=1) + rest
    return factor * np.log(total / D) - np.log1p(lambdas[:, None] * xi[0]) @ xi[1]
