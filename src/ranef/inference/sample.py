"""Bootstrap refits as what the parts of the variance are made of: beta, covariances of random effects, sigma^2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ranef.design import Array
from ranef.errors import ModelError
from ranef.inference.parameters import related

if TYPE_CHECKING:
    from ranef.fit.fit import Fit
    from ranef.inference.bootstrap import Bootstrap


@dataclass(frozen=True, eq=False)
class Sample:
    """b refits."""

    beta: Array  # (b, p) with zeros for dropped columns
    omegas: tuple[Array, ...]  # by grouping factor, (b, k, k)
    sigma2: Array  # (b,)
    note: str

    @classmethod
    def of(cls, bootstrap: Bootstrap, fit: Fit) -> Sample:
        """Raises ModelError for the bootstrap of another fit."""
        if bootstrap.fit is not fit and bootstrap.fit.solution is not fit.solution:
            raise ModelError("The bootstrap is that of another fit.", hint="Use ranef.bootstrap(m) with the same m.")
        draws, kept = bootstrap.draws, list(fit.criterion.gram.standard.kept)
        beta = np.zeros((len(draws), len(fit.model.design.names)))
        beta[:, kept] = draws[:, : len(kept)]
        omegas = [np.zeros((len(draws), block.width, block.width)) for block in fit.criterion.layout.blocks]
        at = len(kept)
        for f, part in fit.criterion.layout.parts:
            k, pairs = part.covariance.k, related(part.covariance.support())
            sd, correlation = draws[:, at : at + k], np.nan_to_num(draws[:, at + k : at + k + len(pairs)])
            omega = np.zeros((len(draws), k, k))
            omega[:, range(k), range(k)] = 1.0
            for place, (i, j) in enumerate(pairs):
                omega[:, i, j] = omega[:, j, i] = correlation[:, place]
            omegas[f][:, part.columns, part.columns] = omega * sd[:, :, None] * sd[:, None, :]
            at += k + len(pairs)
        note = f"Intervals are percentiles of {len(draws)} refits ({bootstrap.kind} bootstrap, seed {bootstrap.seed})."
        sigma2 = draws[:, at] ** 2 if fit.criterion.scale is None else np.full(len(draws), fit.sigma**2)
        return cls(beta, tuple(omegas), sigma2, note)
