"""The same model without some rows: Gram blocks add up over rows, so those of a few rows are subtracted.

fixed      theta held: beta and sigma without the rows
one-step   one Newton step of the criterion without the rows, from the estimate; then beta and sigma
exact      the criterion without the rows minimised
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ranef.core.criterion import Criterion
from ranef.core.gram import Gram, Pair, block_codes, block_columns
from ranef.core.pieces import LinAlgError
from ranef.core.solution import Solution
from ranef.covariance.base import Array
from ranef.design import Codes
from ranef.fit.residual_side import refuse_structured
from ranef.inference.clusters import members, top_grouping
from ranef.inference.parameters import Names, of_solution
from ranef.inference.rows import standard_rows
from ranef.inference.starts import lifted
from ranef.optim import minimise
from ranef.optim.newton import units
from ranef.optim.problem import Evaluation

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

Method = Literal["fixed", "one-step", "exact"]
FLAT = 1e-9  # a scaled eigenvalue below this is no curvature
HALVINGS = 12


@dataclass(frozen=True, eq=False)
class Deletion:
    """A fit and its rows in the columns of the Gram blocks."""

    criterion: Criterion
    theta: Array
    w: Array  # (n, r+1)
    z: tuple[Array, ...]  # per block (n, k)
    codes: tuple[Codes, ...]
    counts: tuple[Codes, ...]  # per block (m,) rows of each level
    log_weights: Array | None  # (n,)

    @classmethod
    def of(cls, fit: Fit) -> Deletion:
        gram, design = fit.criterion.gram, fit.model.design
        standard, everything = gram.standard, slice(None)
        root = None if design.weights is None else np.sqrt(design.weights)
        w = standard_rows(fit)
        if root is not None:
            w *= root[:, None]
        z, codes = [], []
        for block, z_root in zip(gram.layout.blocks, gram.z_root, strict=True):
            columns = block_columns(standard, block, everything, root)
            z.append((np.ones((len(w), 1)) if columns is None else columns) @ np.linalg.inv(z_root))
            codes.append(block_codes(design, block))
        counts = tuple(np.bincount(own, minlength=block.levels) for own, block in zip(codes, gram.layout.blocks, strict=True))
        return cls(
            fit.criterion, fit.optimum.theta, w, tuple(z), tuple(codes), counts, None if root is None else 2.0 * np.log(root)
        )

    def gram(self, rows: Codes) -> Gram:
        """The Gram blocks without the rows."""
        old, w = self.criterion.gram, self.w[rows]
        zz, zw, pairs = [], [], {}
        for f, (z_all, codes_all) in enumerate(zip(self.z, self.codes, strict=True)):
            z, codes = z_all[rows], codes_all[rows]
            zz_new, zw_new = old.zz[f].copy(), old.zw[f].copy()
            np.subtract.at(zz_new, codes, z[:, :, None] * z[:, None, :])
            np.subtract.at(zw_new, codes, z[:, :, None] * w[:, None, :])
            gone = np.bincount(codes, minlength=len(zz_new)) == self.counts[f]
            zz_new[gone], zw_new[gone] = 0.0, 0.0
            zz.append(zz_new)
            zw.append(zw_new)
        for (f, g), pair in old.pairs.items():
            levels = old.layout.blocks[g].levels
            place = np.searchsorted(pair.rows * levels + pair.columns, self.codes[f][rows] * levels + self.codes[g][rows])
            values = pair.values.copy()
            np.subtract.at(values, place, self.z[f][rows][:, :, None] * self.z[g][rows][:, None, :])
            pairs[f, g] = Pair(pair.rows, pair.columns, values)
        log_weights = 0.0 if self.log_weights is None else float(self.log_weights[rows].sum())
        return replace(
            old, nobs=old.nobs - len(rows), log_weights=old.log_weights - log_weights, ww=old.ww - w.T @ w,
            zz=tuple(zz), zw=tuple(zw), pairs=pairs,
        )  # fmt: skip

    def without(self, rows: Codes, method: Method) -> Solution | None:
        """The fit without the rows; None where the rest does not determine the model."""
        gram = self.gram(rows)
        if gram.nobs - gram.rank < 2:
            return None
        try:
            criterion = Criterion.of_gram(gram, self.criterion.reml)
            solution = Solution(criterion, self._theta(criterion, method))
            lower = solution.gls.lower
        except (LinAlgError, np.linalg.LinAlgError):
            return None
        share = np.square(lower.diagonal()) / np.maximum(gram.ww.diagonal()[:-1], 1e-300)
        return None if np.any(share < 1e-12) or np.any(gram.ww.diagonal()[:-1] < 1e-12) else solution

    def _theta(self, criterion: Criterion, method: Method) -> Array:
        if method == "fixed" or not len(self.theta):
            return self.theta
        if method == "one-step":
            return one_step(criterion, self.theta)
        return minimise(criterion, start=lifted(criterion, self.theta)).theta


def one_step(criterion: Criterion, theta: Array) -> Array:
    """theta after a Newton step, halved while it does not lead down; directions that do not curve upwards are left alone."""
    at = criterion.evaluate(theta, 2)
    if at.gradient is None or at.hessian is None:
        raise LinAlgError("the criterion is not finite")
    step = _upward_step(at)
    for _ in range(HALVINGS):
        if criterion.evaluate(theta + step, 0).value <= at.value:
            return theta + step
        step = step / 2.0
    return theta


def _upward_step(at: Evaluation) -> Array:
    unit = units(at)
    assert at.gradient is not None and at.hessian is not None
    values, vectors = np.linalg.eigh(at.hessian * unit * unit[:, None])
    good = values > FLAT
    along = vectors[:, good].T @ (at.gradient * unit)
    return -unit * (vectors[:, good] @ (along / values[good]))


def estimates_without(fit: Fit, cluster: str | None) -> Array:
    """(m, P) all parameters without each cluster, by one step; rows are the clusters of a model without random terms."""
    refuse_structured(fit, "The acceleration of BCa intervals", 'Use method="percentile" or "studentised".')
    deletion = Deletion.of(fit)
    codes = np.arange(fit.nobs) if not fit.model.design.terms else _codes(fit, cluster)
    nothing = np.full((1, len(Names.of(fit).term)), np.nan)
    found = [deletion.without(rows, "one-step") for rows in members(codes, int(codes.max()) + 1)]
    return np.concatenate([nothing if solution is None else of_solution(solution).estimates for solution in found])


def _codes(fit: Fit, cluster: str | None) -> Codes:
    if cluster is None and len(fit.ngroups) > 1:
        return min((term.group for term in fit.model.design.terms), key=lambda group: group.size).codes
    return top_grouping(fit, cluster).codes
