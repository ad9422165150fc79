"""Cluster-robust covariances of the coefficients, and tests with small-sample degrees of freedom.

With e = y - X beta, V the fitted covariance (relative to sigma^2) and M = (X'V^-1X)^-1,

    Var(beta) = M [ sum over clusters of X_c'V_c^-1 A_c e_c e_c'A_c V_c^-1 X_c ] M            R_c = V_c - X_c M X_c'

    CR0   A = I                                             Liang and Zeger (1986), Biometrika 73, 13-22
    CR1   A = sqrt(J / (J - 1)) I, J clusters
    CR2   A V-symmetric with A R A' = V: unbiased if V is right     Bell and McCaffrey (2002); Pustejovsky and Tipton (2018), eq. 9
    CR3   A = V R^-1, close to the jackknife

Degrees of freedom are Satterthwaite's under the working V: with T_c = A_c'V_c^-1 X_c M l, the estimator is a quadratic form with
P_cd = T_c'R_cd T_d and df = (tr P)^2 / tr P^2. A joint test of q contrasts is Hotelling's with eta degrees of freedom:
Pustejovsky and Tipton (2018), J. Bus. Econ. Stat. 36, 672-683, section 3.2 ("HTZ").

Work is done cluster by cluster. A cluster of many equally weighted rows is first rotated into the span of its [X Z], outside of
which V, R and A are multiples of the identity.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.arguments import checked
from ranef.covariance.base import Array
from ranef.design import Codes
from ranef.errors import ModelError
from ranef.fit.points import Points, design_points
from ranef.fit.residual_side import refuse_structured, rho_of
from ranef.fit.rows import needs_rows
from ranef.inference.clusters import STACK, clusters_of, dependent, is_nested, stacks
from ranef.inference.ddf.base import Denominator, FTest
from ranef.inference.ddf.spanned import partly
from ranef.inference.rows import whitened_rows

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

KINDS = ("CR0", "CR1", "CR2", "CR3")
LARGE = 64  # rows of a cluster from which the rotation pays
NOTHING = 1e-8  # of the variance that the model says: what rounding leaves of none
NULL = 1e-10  # an eigenvalue below this share of those of a cluster that nothing was fitted to is zero


@dataclass(frozen=True, eq=False)
class Robust(Denominator):
    """The sandwich of one kind and its parts, in the basis in which M = I."""

    kind: str
    cluster: str
    scores: Array  # (J, r) X_c'V_c^-1 A_c e_c
    own: Array  # (J, r, r) T_c'V_c T_c
    shared: Array  # (J, r, r) T_c'X_c

    @classmethod
    def of(cls, fit: Fit, kind: str, cluster: Any = None) -> Robust:
        """Raises ModelError for an unknown kind, for clusters that share random effects, and for fewer than two clusters."""
        needs_rows(fit, "A robust covariance")
        if fit.model.design.known_variances:
            refuse_structured(fit, "A robust covariance")
        if kind not in KINDS:
            raise ModelError(f"kind={kind!r} is not known.", hint=f"Use one of: {', '.join(KINDS)}.")
        name, _, codes = clusters_of(fit, cluster)
        for group in dependent(fit).values():
            if not is_nested(group.codes, codes):
                raise ModelError(
                    f"Levels of {group.name} occur in several clusters of {name}: the clusters are not independent.",
                    hint="Use clusters that contain all grouping factors of the model.",
                )
        J = int(codes.max()) + 1
        if J < 2:
            raise ModelError(f"{name} has one cluster only; a robust covariance needs several.")
        r = fit.criterion.gram.rank
        scores, own, shared = np.empty((J, r)), np.empty((J, r, r)), np.empty((J, r, r))
        for which, X, e, V in _Rows.of(fit).stacks(codes):
            A = _adjustment(kind, X, V)
            T = np.swapaxes(A, 1, 2) @ np.linalg.solve(V, X)
            scores[which] = np.einsum("cnr,cn->cr", T, e)
            own[which], shared[which] = np.swapaxes(T, 1, 2) @ V @ T, np.swapaxes(T, 1, 2) @ X
        factor = np.sqrt(J / (J - 1)) if kind == "CR1" else 1.0
        return cls(fit, kind, name, factor * scores, factor**2 * own, factor * shared)

    @property
    def vcov(self) -> Array:
        """(p, p)"""
        half = self.scores @ self.fit.solution.white.T
        return half.T @ half

    def df(self, L: Array) -> Array:
        """(c,) Satterthwaite's, of each row; NaN where the data do not tell a robust variance."""
        out = []
        for row in L @ self.fit.solution.white:
            a = np.einsum("i,cij,j->c", row, self.own, row)
            B = np.einsum("i,cij->cj", row, self.shared)
            trace = float(np.sum(a) - np.sum(B**2))
            told = trace > NOTHING * float(row @ row)  # not where the clusters' residuals are zero whatever the response
            out.append(trace**2 / _second_trace(a[:, None, None], B[:, None, :]) if told else np.nan)
        return np.array(out)

    def test(self, L: Array, value: Array) -> FTest:
        """Hotelling's T^2 with eta from the variances of the covariance estimate."""
        independent, difference = self.independent(L, value)
        q, rows = len(independent), independent @ self.fit.solution.white
        if not q:
            return FTest(float("nan"), 0, float("nan"))
        vectors, values, _ = np.linalg.svd(rows @ self.scores.T, full_matrices=False)
        if len(values) < q or values[-1] <= NOTHING * max(values[0], 1.0):  # the model's variances are one
            return FTest(float("nan"), q, float("nan"))
        wald = float(np.mean((vectors.T @ difference / values) ** 2))
        if q == 1:
            return FTest(wald, 1, float(self.df(independent)[0]))
        eta = self._eta(rows)
        den = eta - q + 1.0
        return FTest(wald, q, den, den / eta) if den > 0 else FTest(float("nan"), q, float("nan"))

    def _eta(self, rows: Array) -> float:
        """q (q + 1) over the summed variances of the elements of the estimate, standardised by its expectation; zero where the
        clusters are too few to tell."""
        a = rows @ self.own @ rows.T
        B = rows @ self.shared
        expected = a.sum(axis=0) - np.einsum("cqr,csr->qs", B, B)
        q = len(rows)
        if np.linalg.eigvalsh(expected)[0] <= NOTHING * float(np.mean(rows**2) * rows.shape[1]):
            return 0.0
        root = np.linalg.inv(np.linalg.cholesky(expected))
        return q * (q + 1) / _variances(root @ a @ root.T, root @ B)


def _second_trace(a: Array, B: Array) -> float:
    """tr P^2 over pairs of clusters of P_cd = [c = d] a_c - B_c B_d' for one contrast."""
    return _variances(a, B) / 2.0


def _variances(a: Array, B: Array) -> float:
    """Sum over pairs of clusters of (tr P_cd)^2 + tr P_cd P_cd, P_cd = [c = d] a_c - B_c B_d', a (J, q, q), B (J, q, r)."""
    traces, lengths = np.trace(a, axis1=1, axis2=2), np.einsum("cqr,cqr->c", B, B)
    flat = B.reshape(len(B), -1)
    S = (flat.T @ flat).reshape(*B.shape[1:], *B.shape[1:])
    first = np.sum(traces**2) - 2.0 * traces @ lengths + np.sum(S**2)
    own = np.einsum("cqs,csq->", a, a) - 2.0 * np.einsum("cqs,csr,cqr->", a, B, B)
    return float(first + own + np.einsum("sitj,tisj->", S, S))


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a fit: whitened X (n, r), residuals e (n,), and what their covariance V within a cluster is made of."""

    fit: Fit
    X: Array
    e: Array
    points: Points
    roots: list[Array]  # of the covariance of each block

    @classmethod
    def of(cls, fit: Fit) -> _Rows:
        points = design_points(fit.model.design, fit.criterion.layout)
        return cls(fit, *whitened_rows(fit), points, [fit.solution.root(f) for f in range(len(points.z))])

    def stacks(self, codes: Codes) -> Iterator[tuple[Codes, Array, Array, Array]]:
        """Clusters of the same size together: which (c,), X (c, n, r), e (c, n) and V (c, n, n)."""
        independent = self.fit.criterion.residual is None
        for which, rows in stacks(codes, lambda n: STACK if independent and n > LARGE else n * n):
            if independent and rows.shape[1] > LARGE:
                yield which, *self._rotated(rows[0])
            else:
                yield which, self.X[rows], self.e[rows], self._errors(rows) + self._random(rows)

    def _errors(self, rows: Codes) -> Array:
        """(c, n, n)"""
        noise = self.points.noise[rows]
        if self._structure is None:
            return noise[:, :, None] * np.eye(rows.shape[1])
        term, root = self.fit.model.design.residual, np.sqrt(noise)
        assert term is not None
        V = self._structure.matrix(rows) * _sharing(term.subject.codes[rows]) * (root[:, :, None] * root[:, None, :])
        return np.asarray(V / (self.fit.criterion.scale or 1.0) ** 2)

    @cached_property
    def _structure(self) -> Any:
        """The residual structure at its estimate, None where errors are independent."""
        covariance = self.fit.criterion.residual
        return None if covariance is None else covariance.at(rho_of(self.fit))

    def _random(self, rows: Codes) -> Array:
        """(c, n, n) Z Omega Z'."""
        out = np.zeros((*rows.shape, rows.shape[1]))
        for codes, z, root in zip(self.points.codes, self.points.z, self.roots, strict=True):
            scores = z[rows] @ root
            out += (scores @ np.swapaxes(scores, 1, 2)) * _sharing(codes[rows])
        return out

    def _rotated(self, rows: Codes) -> tuple[Array, Array, Array]:
        """A cluster of many rows, in the span of its [X Z] if its rows have the same weight."""
        X, e, Z, noise = self.X[rows], self.e[rows], self._columns(rows), self.points.noise[rows]
        if len(rows) > X.shape[1] + Z.shape[1] and np.ptp(noise) == 0.0:
            Q = np.linalg.qr(np.hstack([X, Z]))[0]
            X, e, Z, noise = Q.T @ X, Q.T @ e, Q.T @ Z, noise[: Q.shape[1]]
        return X[None], e[None], (np.diag(noise) + Z @ Z.T)[None]

    def _columns(self, rows: Codes) -> Array:
        """(n, levels k) of a cluster, such that V - diag(noise) = Z Z'."""
        out = [np.zeros((len(rows), 0))]
        for codes, z, root in zip(self.points.codes, self.points.z, self.roots, strict=True):
            levels, place = np.unique(codes[rows], return_inverse=True)
            dense = np.zeros((len(rows), len(levels), root.shape[1]))
            dense[np.arange(len(rows)), place] = z[rows] @ root
            out.append(dense.reshape(len(rows), -1))
        return np.hstack(out)


def _sharing(codes: Codes) -> Array:
    """(c, n, n) ones where two rows of a cluster have the same code."""
    return (codes[:, :, None] == codes[:, None, :]).astype(float)


def _adjustment(kind: str, X: Array, V: Array) -> Array:
    """(c, n, n) A."""
    n = V.shape[1]
    if kind in ("CR0", "CR1"):
        return np.broadcast_to(np.eye(n), V.shape)
    R = V - X @ np.swapaxes(X, 1, 2)
    if kind == "CR3":
        return V @ _power(R, V, -1.0)
    D = np.swapaxes(np.linalg.cholesky(V), 1, 2)
    back = np.swapaxes(D, 1, 2)
    return back @ _power(D @ R @ back, D @ V @ back, -0.5) @ D


def _power(B: Array, whole: Array, exponent: float) -> Array:
    """(c, n, n) powers of symmetric matrices, where they are not zero beside `whole`, of which they are what the fit leaves."""
    values, vectors = np.linalg.eigh(B)
    live = values > NULL * np.trace(whole, axis1=1, axis2=2)[:, None]
    power = np.where(live, np.where(live, values, 1.0) ** exponent, 0.0)
    return (vectors * power[:, None, :]) @ np.swapaxes(vectors, 1, 2)


@checked
def robust(fit: Fit, kind: str = "CR2", cluster: Any = None) -> Fit:
    """The same fit, reported and tested with a cluster-robust covariance: summary, test, anova, intervals and marginal means.

    cluster
        A grouping factor, another column of the data, or an array with a value for each row; by default the grouping factor that
        contains all others (the subjects of a residual structure count as one), and each row by itself where no rows depend on
        each other (HC0, HC3).

    The coefficients do not change. `test(..., ddf="CR2")` does the same for one question with the default clusters.
    Raises ModelError where levels of a random factor occur in several clusters.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ranef.robust(m).conf_int()
    Confidence intervals
    Term         Estimate    Lower    Upper
    ---------------------------------------
    (Intercept)   251.405  237.007  265.804
    Days           10.467    7.206   13.729
    95% Wald intervals, cluster-robust standard errors (CR2) and Satterthwaite's
    degrees of freedom
    """
    found = Robust.of(fit, kind, cluster)
    out = replace(fit, model=replace(fit.model, options=replace(fit.model.options, ddf=kind)))
    out._denominators[kind] = partly(fit, found)
    return out
