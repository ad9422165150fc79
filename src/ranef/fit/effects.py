"""The random effects of a fit: their conditional means and covariances, the coefficients of each level, and the variances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ranef.core.layout import Part
from ranef.covariance.held import Spanned
from ranef.design import Array
from ranef.errors import ModelError
from ranef.fit.residual_side import natural_parameters
from ranef.fit.structures import rows_of, structure_parameters
from ranef.table import Table

KNOWN = "The sampling variances are known; there is no residual variance."

if TYPE_CHECKING:
    import pandas as pd

    from ranef.fit.fit import Fit


@dataclass(frozen=True)
class Factor:
    """A grouping factor with the columns of all its terms, as block `block` of the layout holds them."""

    block: int
    name: str
    levels: NDArray[np.object_]  # (m,)
    names: tuple[str, ...]  # (k,)
    columns: int | None = None  # where the columns are levels, how many levels


def factors(fit: Fit) -> tuple[Factor, ...]:
    """The grouping factors, in the order in which the formula names them."""
    terms, out = fit.model.design.terms, []
    for f, block in enumerate(fit.criterion.layout.blocks):
        group = terms[block.parts[0].term].group
        names = tuple(name for part in block.parts for name in terms[part.term].names)
        out.append(Factor(f, group.name, group.levels, names, terms[block.parts[0].term].levels))
    return tuple(out)


def factor_named(fit: Fit, group: str) -> Factor:
    """Raises ModelError for a group that the model does not have."""
    found = {factor.name: factor for factor in factors(fit)}
    if not isinstance(group, str) or group not in found:
        known = ", ".join(found) or "none; the model has no random effects"
        raise ModelError(f"The model has no grouping factor {group!r}.", hint=f"Its grouping factors: {known}.")
    return found[group]


def conditional_covariance(fit: Fit, group: str) -> Array:
    """(m, k, k) Var(b_j | y) at the estimated beta and theta, for each level of a grouping factor.

    The matrices are joint over all terms of the factor, whose columns stand in the order of the formula:
    sigma^2 Lambda (Lambda'Z'Z Lambda + I)^-1 Lambda' (Bates et al. 2015). Raises ModelError for an unknown group.
    """
    return _tiles(fit, factor_named(fit, group))


def ranef_table(fit: Fit, cond_var: bool = True) -> Table:
    """Conditional means of all random effects with their conditional standard deviations: group level term estimate std_error.

    `std_error` is that of `conditional_covariance`: the fixed effects count as known.
    """
    columns: dict[str, list[NDArray]] = {name: [] for name in ("group", "level", "term", "estimate", "std_error")}
    for factor in factors(fit):
        m, k = len(factor.levels), len(factor.names)
        if factor.columns is not None:
            _add_columns(fit, factor, columns, cond_var)
            continue
        columns["group"].append(np.full(m * k, factor.name, dtype=object))
        columns["level"].append(np.tile(factor.levels, k))
        columns["term"].append(np.repeat(np.array(factor.names, dtype=object), m))
        columns["estimate"].append(fit.solution.effects[factor.block].T.ravel())
        if cond_var:
            variances = np.einsum("mkk->mk", _tiles(fit, factor))
            columns["std_error"].append(np.sqrt(np.maximum(variances, 0.0)).T.ravel())
    if not cond_var:
        del columns["std_error"]
    joined = {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in columns.items()}
    notes = ("Conditional standard deviations, given beta and theta.",) if cond_var else ()
    return Table(joined, title="Random effects", notes=notes, frame_kind=fit.model.rows.frame)


def _add_columns(fit: Fit, factor: Factor, columns: dict[str, list[NDArray]], cond_var: bool) -> None:
    """Of levels that are columns: `x:a` is the effect x of level a, `a` the intercept of it."""
    pairs = [name.rpartition(":") if len(factor.names) != factor.columns else ("(Intercept)", "", name) for name in factor.names]
    columns["group"].append(np.full(len(pairs), factor.name, dtype=object))
    columns["level"].append(np.array([level for _, _, level in pairs], dtype=object))
    columns["term"].append(np.array([term for term, _, _ in pairs], dtype=object))
    columns["estimate"].append(fit.solution.effects[factor.block][0])
    if cond_var:
        columns["std_error"].append(np.sqrt(np.maximum(_tiles(fit, factor)[0].diagonal(), 0.0)))


def coef(fit: Fit) -> dict[str, pd.DataFrame]:
    """Fixed plus random effect of each level: a frame for each grouping factor, its levels the index, coefficients the columns.

    A column with a random effect but no fixed one holds the random effect alone; several random effects of a name are added.
    """
    import pandas as pd

    out = {}
    for factor in factors(fit):
        names = list(dict.fromkeys([*fit.params.index, *factor.names]))
        values = np.zeros((len(factor.levels), len(names)))
        values[:, : len(fit.params)] = fit.params.to_numpy()
        for column, name in enumerate(factor.names):
            values[:, names.index(name)] += fit.solution.effects[factor.block][:, column]
        out[factor.name] = pd.DataFrame(values, index=pd.Index(factor.levels, name=factor.name), columns=names)
    return out


Entry = tuple[str, str | None, str | None, float | None, float]


def varcorr(fit: Fit) -> Table:
    """Variances and covariances of the random effects, and the residual variance: group term1 term2 vcov sdcor.

    Term by term, variances first; a row with `term2` holds a covariance (`vcov`) and a correlation (`sdcor`; none beside a zero
    variance), the others a variance and a standard deviation. A term with a structure such as `ar1` has its parameters instead: one
    or several standard deviations, then rows without variance whose `sdcor` is a correlation or a range. The row of the residual
    has no terms and comes last; there is none where the sampling variances are known.
    """
    structured = {id(own.term): own for own in structure_parameters(fit)}
    rows: list[Entry] = []
    for f, part in fit.criterion.layout.parts:
        own = structured.get(id(fit.model.design.terms[part.term]))
        rows += entries_of(fit, f, part) if own is None else rows_of(own)
    if not fit.model.design.known_variances:
        rows += _residual_rows(fit)
    names = ("group", "term1", "term2", "vcov", "sdcor")
    columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    notes = (KNOWN,) if fit.model.design.known_variances else ()
    return Table(columns, title="Variance components", notes=notes, frame_kind=fit.model.rows.frame)


def entries_of(fit: Fit, f: int, part: Part) -> list[Entry]:
    """Every variance and covariance of a term, as rows of `varcorr`."""
    solution, term = fit.solution, fit.model.design.terms[part.term]
    root = solution.sigma * solution.root(f)[part.columns]
    omega, sd = root @ root.T, np.sqrt(np.einsum("ij,ij->i", root, root))
    if isinstance(part.covariance, Spanned):  # not estimated
        columns = list(part.covariance.unknown)
        omega[columns], omega[:, columns], sd[columns] = np.nan, np.nan, np.nan
    rows: list[Entry] = [(term.group.name, name, None, omega[i, i], sd[i]) for i, name in enumerate(term.names)]
    related = np.tril(part.covariance.support(), -1)
    for i, j in zip(*np.nonzero(related.T), strict=True):
        correlation = omega[i, j] / (sd[i] * sd[j]) if sd[i] * sd[j] > 0 else float("nan")
        rows.append((term.group.name, term.names[i], term.names[j], omega[i, j], correlation))
    return rows


def _residual_rows(fit: Fit) -> list[Entry]:
    """The residual variance; of a structure its standard deviations, and its other parameters, which have no variance."""
    if fit.criterion.residual is None:
        return [("Residual", None, None, fit.solution.sigma**2, fit.solution.sigma)]
    parameters, values, _ = natural_parameters(fit)
    return [
        ("Residual", parameter.of or None, None, value**2, value)
        if parameter.kind == "sd"
        else ("Residual", parameter.name, None, None, value)
        for parameter, value in zip(parameters, values, strict=True)
    ]


def _tiles(fit: Fit, factor: Factor) -> Array:
    every = np.arange(len(factor.levels))
    return fit.solution.sigma**2 * fit.solution.conditional(factor.block, factor.block, every, every)
