"""What is kept of each refit: the parameters on the user's scale, with the names and order of the profile's table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ranef.core.criterion import Criterion
from ranef.core.solution import Solution
from ranef.covariance.base import Array
from ranef.covariance.held import Spanned
from ranef.fit.residual_side import natural_of, natural_parameters

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@dataclass(frozen=True)
class Names:
    """The rows of every table: fixed effects, standard deviations and correlations term by term, the residual deviation if it is
    estimated, or the parameters of the residual structure.
    """

    effect: tuple[str, ...]
    group: tuple[str | None, ...]
    term: tuple[str, ...]

    @classmethod
    def of(cls, fit: Fit) -> Names:
        rows: list[tuple[str, str | None, str]] = [
            ("fixed", None, fit.model.design.names[j]) for j in fit.criterion.gram.standard.kept
        ]
        for _, part in fit.criterion.layout.parts:
            term = fit.model.design.terms[part.term]
            rows += [("ran_pars", term.group.name, f"sd__{name}") for name in term.names]
            rows += [
                ("ran_pars", term.group.name, f"cor__{term.names[i]}.{term.names[j]}")
                for i, j in related(part.covariance.support())
            ]
        if fit.criterion.scale is None:
            rows.append(("ran_pars", "Residual", "sd__Observation"))
        elif fit.criterion.residual is not None and not fit.model.design.known_variances:
            rows += [("ran_pars", "Residual", parameter.name) for parameter in natural_parameters(fit)[0]]
        effect, group, term_names = zip(*rows, strict=True)
        return cls(effect, group, term_names)

    @property
    def fixed(self) -> int:
        """How many are fixed effects."""
        return self.effect.count("fixed")


def related(support: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The pairs (i, j), i < j, of effects that may be correlated."""
    columns, rows = np.nonzero(np.tril(support, -1).T)
    return list(zip(columns.tolist(), rows.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class Refits:
    """b refits on the standardised scale of one criterion."""

    theta: Array  # (b, q)
    gamma: Array  # (b, r)
    factor: Array  # (b, r, r) L, L L' = X'V^-1X
    pwrss: Array  # (b,)
    value: Array  # (b,) -2 log likelihood
    done: NDArray[np.bool_]  # (b,)


@dataclass(frozen=True, eq=False)
class Batch:
    """b refits on the user's scale; rows that are not `done` are NaN."""

    estimates: Array  # (b, P)
    std_errors: Array  # (b, p) of the fixed effects
    value: Array  # (b,)
    done: NDArray[np.bool_]  # (b,)

    @classmethod
    def joined(cls, parts: list[Batch]) -> Batch:
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("estimates", "std_errors", "value", "done"))
        )


def on_user_scale(criterion: Criterion, refits: Refits, dof: int) -> Batch:
    """The parameters of all refits at once."""
    standard = criterion.gram.standard
    kept = list(standard.kept)
    T = standard.to_user[kept]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.sqrt(refits.pwrss / dof) if criterion.scale is None else np.full(len(refits.pwrss), criterion.scale)
        sigma = standard.unit * found
        columns = [standard.unit * refits.gamma @ T.T + standard.shift[kept]]
        for f, part in criterion.layout.parts:
            factors = np.stack([part.covariance.factor(theta) for theta in refits.theta[:, part.theta]])
            root = np.linalg.inv(criterion.gram.z_map(f)[part.columns, part.columns]) @ factors
            sd = np.sqrt(np.einsum("nij,nij->ni", root, root))
            if isinstance(part.covariance, Spanned):  # not estimated
                sd[:, list(part.covariance.unknown)] = np.nan
            columns.append(sigma[:, None] * sd)
            pairs = related(part.covariance.support())
            columns += [(np.einsum("na,na->n", root[:, i], root[:, j]) / (sd[:, i] * sd[:, j]))[:, None] for i, j in pairs]
        if criterion.scale is None:
            columns.append(sigma[:, None])
        elif criterion.residual is not None and not standard.design.known_variances:
            rho = refits.theta[:, criterion.layout.size :]
            columns.append(np.stack([natural_of(criterion.residual, own, standard.unit)[1] for own in rho]))
        white = np.linalg.solve(refits.factor, np.broadcast_to(T.T, (len(refits.done), *T.T.shape)))
        std_errors = sigma[:, None] * np.sqrt(np.einsum("nrp,nrp->np", white, white))
    estimates = np.hstack(columns)
    estimates[~refits.done] = np.nan
    return Batch(estimates, std_errors, refits.value, refits.done)


def of_solution(solution: Solution) -> Batch:
    """The batch of one fit."""
    gls, criterion = solution.pieces.gls, solution.criterion
    refits = Refits(
        solution.theta[None], gls.gamma[None], gls.lower[None], np.array([max(gls.pwrss, 0.0)]),
        np.array([criterion.value(solution.pieces)]), np.ones(1, dtype=bool),
    )  # fmt: skip
    return on_user_scale(criterion, refits, solution.dof)


def nothing(names: Names) -> Batch:
    """The batch of a refit that failed."""
    return Batch(
        np.full((1, len(names.term)), np.nan), np.full((1, names.fixed), np.nan), np.full(1, np.nan), np.zeros(1, dtype=bool)
    )
