"""The parts of the variance of a response, and how each moves with the parameters.

    fixed      beta'S beta,         S the covariance of the columns of X over the rows       Nakagawa and Schielzeth (2013)
    random     sigma^2 tr(Omega M), M the mean of zz' over the rows, by grouping factor      Johnson (2014)
    residual   sigma^2              of an observation of weight one; with a residual structure the average over the rows

Every part is the squared length of a vector, its *root*: R beta with R'R = S, sigma R Lambda with R'R = M, and sigma. Roots are
smooth in (beta, theta, log sigma^2) where the parts themselves are flat, at variances of zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import block_diag

from ranef.arguments import check_mapping
from ranef.design import Array
from ranef.errors import DataError, ModelError
from ranef.fit.effects import Factor, factors
from ranef.fit.points import design_points
from ranef.fit.residual_side import average_variance, refuse_structured
from ranef.fit.rows import data_used, needs_rows
from ranef.fit.spanned import refuse_spanned
from ranef.inference.boundary import farthest
from ranef.inference.sample import Sample

if TYPE_CHECKING:
    from ranef.fit.fit import Fit
    from ranef.inference.bootstrap import Bootstrap

DELTA = "Intervals by the delta method, on the logarithm of the ratio to what remains."


def _nowhere(drop: float) -> float:
    return 0.0


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the variance: |root|^2, with the derivatives of the root in (beta, theta, log sigma^2).

    `noise` is what |root|^2 would be on average, were it taken from estimated effects that are zero. `reach` says how long a
    root of zero can become before the criterion rises by a number. `draws` are the values of the part in bootstrap refits.
    """

    root: Array  # (r,)
    jacobian: Array  # (r, p + q + 1)
    noise: float = 0.0
    reach: Callable[[float], float] = _nowhere
    draws: Array | None = None  # (b,)

    @cached_property
    def variance(self) -> float:
        return float(self.root @ self.root)

    def times(self, factor: float) -> Part:
        """This part `factor` times."""
        root = float(np.sqrt(factor))
        draws = None if self.draws is None else factor * self.draws
        return Part(root * self.root, root * self.jacobian, factor * self.noise, lambda drop: root * self.reach(drop), draws)

    @classmethod
    def stack(cls, parts: list[Part]) -> Part:
        """The sum of parts."""
        root, jacobian = (np.concatenate([getattr(part, name) for part in parts]) for name in ("root", "jacobian"))
        draws = [part.draws for part in parts if part.draws is not None]
        total = np.sum(draws, axis=0) if draws else None
        return cls(root, jacobian, sum(part.noise for part in parts), lambda drop: max(part.reach(drop) for part in parts), total)


@dataclass(frozen=True, eq=False)
class Parts:
    """All parts of the variance of a fit, averaged over its rows or over its rows at stated covariate values."""

    fit: Fit
    X: Array  # (n, p)
    z: tuple[Array, ...]  # (n, k) by grouping factor
    sample: Sample | None = None

    @classmethod
    def of(cls, fit: Fit, at: Mapping[str, Any] | None = None, bootstrap: Bootstrap | None = None) -> Parts:
        """`at` sets columns of the data to one value in every row; with a bootstrap all parts have draws.

        Raises ModelError for a saved model, which has no rows, and for the bootstrap of another fit; DataError for a column that
        the model does not read.
        """
        needs_rows(fit, "An effect size")
        refuse_spanned(fit, "An effect size")
        _check_structure(fit, at, bootstrap)
        sample = None if bootstrap is None else Sample.of(bootstrap, fit)
        if at is not None:
            check_mapping("at", at, '{"x": 0}')
        if at is None:
            points = design_points(fit.model.design, fit.criterion.layout)
            return cls(fit, points.X, points.z, sample)
        return cls(fit, *_rows_at(fit, at), sample)

    def of_refit(self, fit: Fit) -> Parts:
        """The parts of the same model fitted to another response: what the rows say is not computed again."""
        out = Parts(fit, self.X, self.z)
        shared = {"_fixed_root": self._fixed_root, "_random_roots": self._random_roots, "_z_root": self._z_root}
        out.__dict__.update(shared)
        return out

    @property
    def note(self) -> str:
        """Where the intervals come from."""
        return DELTA if self.sample is None else self.sample.note

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        return factors(self.fit)

    @cached_property
    def covariance(self) -> Array:
        """(p + q + 1, p + q + 1) of the estimates (beta, theta, log sigma^2); the two kinds are asymptotically independent.

        A known sigma has no variance; it is that of a typical row.
        """
        fit, known = self.fit, self.fit.model.design.known_variances
        if not fit.model.design.mixed:
            return block_diag(fit.solution.vcov, np.full((1, 1), 0.0 if known else 2.0 / fit.solution.dof))
        fixed = known or fit.criterion.residual is not None
        return block_diag(fit.solution.vcov, fit.variance_parameters.covariance, *([np.zeros((1, 1))] if fixed else []))

    @cached_property
    def spread(self) -> Array:
        """A root of `covariance`, also where some directions have no information."""
        scale = np.sqrt(np.diag(self.covariance))
        divisor = np.where(scale > 0.0, scale, 1.0)
        values, vectors = np.linalg.eigh(self.covariance / np.outer(divisor, divisor))
        return scale[:, None] * vectors * np.sqrt(np.maximum(values, 0.0))

    @cached_property
    def fixed(self) -> Part:
        """The variance of X beta over the rows, with the divisor n - 1."""
        return self.fixed_part(self._fixed_root)

    @cached_property
    def _fixed_root(self) -> Array:
        return root_of_covariance(self.X)

    def fixed_part(self, R: Array) -> Part:
        """|R beta|^2, for R (r, p)."""
        solution = self.fit.solution
        jacobian = np.zeros((len(R), self._size))
        jacobian[:, : R.shape[1]] = R
        draws = None if self.sample is None else np.sum((self.sample.beta @ R.T) ** 2, axis=1)
        return Part(R @ solution.beta, jacobian, float(np.sum((solution.sigma * R @ solution.white) ** 2)), draws=draws)

    @cached_property
    def random(self) -> tuple[Part, ...]:
        """By grouping factor, the mean variance of z'b over the rows."""
        return tuple(self.random_part(f, R) for f, R in enumerate(self._random_roots))

    @cached_property
    def _random_roots(self) -> list[Array]:
        """By grouping factor R with R'R the mean of zz' over the rows."""
        return [np.asarray(np.linalg.qr(z, mode="r")) / np.sqrt(len(z)) for z in self.z]

    def column_part(self, f: int, column: int) -> Part:
        """The variance of one random effect of the grouping factor f, on the scale of its coefficient."""
        return self.random_part(f, np.eye(self.z[f].shape[1])[[column]])

    def random_part(self, f: int, R: Array) -> Part:
        """sigma^2 |R Lambda|^2 (Frobenius), for R (r, k) and Lambda the relative covariance factor of the grouping factor f."""
        solution, layout = self.fit.solution, self.fit.criterion.layout
        left = solution.sigma * np.linalg.solve(solution.criterion.gram.z_map(f).T, R.T).T
        root = (left @ solution.factors[f]).ravel()
        jacobian = np.zeros((len(root), self._size))
        p = self.X.shape[1]
        for part in layout.blocks[f].parts:
            slopes = part.covariance.jacobian(solution.theta[part.theta])
            places = np.zeros((len(slopes), len(left), layout.blocks[f].width))
            places[:, :, part.columns] = left[:, part.columns] @ slopes
            jacobian[:, p + part.theta.start : p + part.theta.stop] = places.reshape(len(slopes), len(root)).T
        jacobian[:, -1] = root / 2.0
        noise = layout.blocks[f].levels * float(np.sum((R @ np.linalg.pinv(self._z_root[f])) ** 2)) * solution.sigma**2
        draws = None if self.sample is None else np.einsum("ri,bij,rj->b", R, self.sample.omegas[f], R)
        return Part(root, jacobian, noise, partial(farthest, solution, jacobian[:, p:-1]), draws)

    @cached_property
    def _z_root(self) -> list[Array]:
        """By grouping factor R with R'R = Z'Z, of the rows used."""
        points = design_points(self.fit.model.design, self.fit.criterion.layout)
        return [np.asarray(np.linalg.qr(z, mode="r")) for z in points.z]

    @cached_property
    def residual(self) -> Part:
        """sigma^2; of residuals with a structure the average of their variances, as if all weights were one."""
        sigma = self.fit.solution.sigma
        jacobian = np.zeros((1, self._size))
        if self.fit.criterion.residual is not None:
            mean, slopes = average_variance(self.fit)
            root = np.sqrt(mean)
            jacobian[0, self._size - 1 - len(slopes) : -1] = slopes / (2.0 * root)
            return Part(np.array([root]), jacobian)
        jacobian[0, -1] = sigma / 2.0
        return Part(np.array([sigma]), jacobian, draws=None if self.sample is None else self.sample.sigma2)

    @property
    def all_random(self) -> Part:
        return Part.stack([self.nothing, *self.random])

    @property
    def nothing(self) -> Part:
        return Part(np.zeros(0), np.zeros((0, self._size)))

    @property
    def _size(self) -> int:
        return self.X.shape[1] + len(self.fit.solution.theta) + 1


def _check_structure(fit: Fit, at: Mapping[str, Any] | None, bootstrap: Bootstrap | None) -> None:
    """Raises ModelError for what is not defined where residuals have a structure."""
    if fit.criterion.residual is None:
        return
    if fit.model.design.known_variances:
        refuse_structured(fit, "An effect size")
    if bootstrap is not None:
        refuse_structured(fit, "An effect size by bootstrap", "Leave bootstrap= out: intervals are by the delta method.")
    if at is not None and fit.criterion.residual.functions:
        raise ModelError("at= has no meaning where the residual variance depends on covariates.", hint="Leave at= out.")


def root_of_covariance(X: Array) -> Array:
    """(p, p) or smaller R with R'R the covariance of the columns of X over the rows, with the divisor n - 1."""
    return np.linalg.qr(X - X.mean(axis=0), mode="r") / np.sqrt(max(1, len(X) - 1))


def _rows_at(fit: Fit, at: Mapping[str, Any]) -> tuple[Array, tuple[Array, ...]]:
    """X and z of the rows used, had they these values."""
    data = data_used(fit)
    unknown = [name for name in at if name not in data]
    if unknown:
        raise DataError(f"at names {unknown[0]!r}, which the model does not read.", hint=f"Its columns: {', '.join(data)}.")
    n = fit.nobs
    new = fit.model.schema.apply({**data, **{name: np.full(n, value) for name, value in at.items()}}, missing="raise")
    z = []
    for block in fit.criterion.layout.blocks:
        columns = np.ones((n, block.width))
        for part in block.parts:
            if new.terms[part.term].z is not None:
                columns[:, part.columns] = new.terms[part.term].z
        z.append(columns)
    return new.X, tuple(z)
