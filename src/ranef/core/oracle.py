"""The slow, obvious twin of the criterion: dense n x n algebra, one formula a line. Tests compare everything else with it.

    V(theta) = W^-1 + sum over terms of S o (z L L' z'),   S_ij = 1 where rows i and j have the same level, o elementwise
    -2 log L = log|V| [+ log|X'V^-1 X|] + nu (1 + log(2 pi s / nu)),   s = y'Py,   nu = n [- p]          [with REML]

Bates, Maechler, Bolker, Walker (2015), J. Stat. Softw. 67(1), eq. 34 and 41; the derivatives are those of DESIGN.md, section 5.
Columns are taken as they come: standardising them is the business of `ranef.core.criterion`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ranef.covariance.base import Array, Covariance
from ranef.design import Codes, Design
from ranef.optim.problem import Evaluation


@dataclass(frozen=True, eq=False)
class DenseTerm:
    """One random term: `same` (n, n) says which rows share a level, `z` (n, k) are the columns; `where` is its part of theta."""

    label: str
    names: tuple[str, ...]
    same: Array
    z: Array
    levels: int
    codes: Codes
    covariance: Covariance
    where: slice

    def spread(self, omega: Array) -> Array:
        """(n, n) covariance of the rows when the effects of a level have covariance `omega` (k, k)."""
        return self.same * (self.z @ omega @ self.z.T)


@dataclass(frozen=True, eq=False)
class Projection:
    """V^-1 and P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1, with what the criterion needs of them."""

    inverse: Array  # (n, n) V^-1
    P: Array  # (n, n)
    residual: Array  # (n,) P y
    s: float  # y'Py
    logdet: float  # log|V| [+ log|X'V^-1 X|]


@dataclass(frozen=True, eq=False)
class OracleProblem:
    """The profiled criterion of a design as an optimizer sees it (the protocol `ranef.optim.problem.Problem`)."""

    y: Array
    X: Array
    noise: Array  # (n,) 1 / weights
    terms: tuple[DenseTerm, ...]
    reml: bool

    @property
    def size(self) -> int:
        return sum(term.covariance.size for term in self.terms)

    @property
    def blocks(self) -> tuple[tuple[slice, Covariance], ...]:
        return tuple((term.where, term.covariance) for term in self.terms)

    @property
    def effort(self) -> float:
        return float(len(self.y)) ** 3 * self.size

    @property
    def unimodal(self) -> bool:
        return False

    def settled(self, at: Evaluation, others: Sequence[Evaluation]) -> bool:
        return False

    def profile(self, at: Evaluation) -> None:
        return None

    def closed_form(self) -> None:
        return None

    @property
    def nu(self) -> int:
        return len(self.y) - (self.X.shape[1] if self.reml else 0)

    def start(self) -> Array:
        return np.concatenate([term.covariance.start() for term in self.terms])

    def rivals(self) -> Iterator[Array]:
        return iter(())

    def starts(self) -> Iterator[Array]:
        for scale in (0.1, 10.0):
            yield scale * self.start()

    def completed(self, theta: Array) -> Array:
        return theta

    @property
    def rugged(self) -> bool:
        return False

    @property
    def most(self) -> int:
        return 3000

    def covariance(self, theta: Array) -> Array:
        """(n, n) V(theta), relative to sigma^2."""
        V = np.diag(self.noise)
        for term in self.terms:
            L = term.covariance.factor(theta[term.where])
            V = V + term.spread(L @ L.T)
        return V

    def project(self, theta: Array) -> Projection:
        V = self.covariance(theta)
        inverse = np.asarray(np.linalg.inv(V), dtype=np.float64)
        VX = inverse @ self.X
        information = self.X.T @ VX
        P = inverse - VX @ np.linalg.solve(information, VX.T) if self.X.shape[1] else inverse
        residual = P @ self.y
        logdet = np.linalg.slogdet(V)[1] + (np.linalg.slogdet(information)[1] if self.reml else 0.0)
        return Projection(inverse, P, residual, float(self.y @ residual), float(logdet))

    def slopes(self, theta: Array) -> list[Array]:
        """V_k = dV / dtheta_k for each parameter."""
        out = []
        for term in self.terms:
            part = theta[term.where]
            out += [term.spread(D) for D in term.covariance.gradient(part)]
        return out

    def second_slopes(self, theta: Array) -> dict[tuple[int, int], Array]:
        """V_kl for each pair of parameters of the same term; zero for the others."""
        out = {}
        for term in self.terms:
            part, first = theta[term.where], term.where.start
            bend = term.covariance.second(part)
            for k, j in np.ndindex(bend.shape[:2]):
                out[first + k, first + j] = term.spread(bend[k, j])
        return out

    def evaluate(self, theta: Array, order: int) -> Evaluation:
        at = self.project(theta)
        value = float(at.logdet + self.nu * (1.0 + np.log(2.0 * np.pi * at.s / self.nu)))
        if order == 0:
            return Evaluation(theta, value)
        W, slopes = (at.P if self.reml else at.inverse), self.slopes(theta)
        quad = np.array([at.residual @ V @ at.residual for V in slopes])
        gradient = np.array([np.sum(W * V) for V in slopes]) - self.nu * quad / at.s
        return Evaluation(theta, value, gradient, self._hessian(theta, at, slopes, quad) if order >= 2 else None)

    def _hessian(self, theta: Array, at: Projection, slopes: list[Array], quad: Array) -> Array:
        W = at.P if self.reml else at.inverse
        WV = [W @ V for V in slopes]
        Vr = [V @ at.residual for V in slopes]
        second = self.second_slopes(theta)
        out = np.empty((self.size, self.size))
        for k in range(self.size):
            for j in range(self.size):
                bend = second.get((k, j))
                trace = -np.sum(WV[k] * WV[j].T) + (0.0 if bend is None else np.sum(W * bend))
                curve = (0.0 if bend is None else at.residual @ bend @ at.residual) - 2.0 * Vr[k] @ at.P @ Vr[j]
                out[k, j] = trace - self.nu * (curve / at.s + quad[k] * quad[j] / at.s**2)
        return out

    def em_step(self, theta: Array) -> Array:
        """One EM step (Laird and Ware 1982, Biometrics 38, section 3; REML: beta is integrated out), from the profiled sigma^2.

        Psi is the mean over levels of E(b_j b_j' | y), sigma^2 the mean over rows of E(e_i^2 w_i | y); Omega = Psi / sigma^2.
        """
        at, out = self.project(theta), np.empty(self.size)
        W, sigma2 = (at.P if self.reml else at.inverse), at.s / self.nu
        noise = self.noise * at.residual**2 + sigma2 * (1.0 - self.noise * np.diag(W))
        for term in self.terms:
            L = term.covariance.factor(theta[term.where])
            omega = L @ L.T
            score = np.zeros_like(omega)
            for level in range(term.levels):
                rows = term.codes == level
                z, r = term.z[rows], at.residual[rows]
                score += np.outer(z.T @ r, z.T @ r) / sigma2 - z.T @ W[np.ix_(rows, rows)] @ z
            psi = sigma2 * (omega + omega @ score @ omega / term.levels)
            values, vectors = np.linalg.eigh(psi / noise.mean())
            out[term.where] = term.covariance.of_factor(vectors * np.sqrt(np.maximum(values, 0.0)))
        return out

    def canonical(self, theta: Array) -> Array:
        return np.concatenate([term.covariance.canonical(theta[term.where]) for term in self.terms])

    def boundary(self, theta: Array) -> tuple[str, ...]:
        """Terms whose factor has lost rank at theta: columns with no variance, or a combination of columns with none."""
        found = []
        for term in self.terms:
            L = term.covariance.factor(theta[term.where])
            sd = np.linalg.norm(L, axis=1) * np.sqrt(np.mean(term.z**2, axis=0))
            empty = sd < 1e-4
            named = zip(term.names, empty, strict=True)
            found += [f"the variance of {name} in {term.label} is zero" for name, zero in named if zero]
            rest = L[~empty] / np.linalg.norm(L[~empty], axis=1, keepdims=True)
            if len(rest) > 1 and np.linalg.svd(rest, compute_uv=False)[-1] < 1e-4:
                found.append(f"a combination of the effects in {term.label} has no variance")
        return tuple(found)


def oracle_problem(design: Design, reml: bool = True) -> OracleProblem:
    """The criterion of a design, from its definition. Memory and time grow as n^2 and n^3: for tests."""
    terms, first = [], 0
    for term in design.terms:
        codes, k = term.group.codes, term.covariance.k
        z = np.ones((design.nobs, 1)) if term.z is None else np.asarray(term.z)
        where = slice(first, first + term.covariance.size)
        same = (codes[:, None] == codes[None, :]).astype(float)
        terms.append(DenseTerm(term.group.name, term.names, same, z[:, :k], term.group.size, codes, term.covariance, where))
        first = where.stop
    y = design.y if design.offset is None else design.y - design.offset
    noise = np.ones(design.nobs) if design.weights is None else 1.0 / design.weights
    return OracleProblem(y, design.X, noise, tuple(terms), reml)
