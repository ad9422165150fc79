"""Clusters of rows: which rows belong together, and which factors lie within which."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ranef.design import Codes, Grouping
from ranef.errors import DataError, ModelError

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

STACK = 1_000_000  # numbers held at a time


def is_nested(inner: Codes, outer: Codes) -> bool:
    """Does each level of `inner` occur in one level of `outer` only?"""
    first = np.full(int(inner.max(initial=-1)) + 1, -1, dtype=np.intp)
    first[inner] = outer
    return bool(np.all(first[inner] == outer))


def members(codes: Codes, m: int) -> list[Codes]:
    """The rows of each of m clusters."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes, minlength=m))[:-1])


def stacks(codes: Codes, entries: Callable[[int], int], most: int = STACK) -> Iterator[tuple[Codes, Codes]]:
    """Clusters of the same number of rows together: which they are (c,), and their rows (c, n).

    `entries` says how many numbers a cluster of n rows takes, of which at most `most` (and one cluster) come at a time.
    """
    sizes, order = np.bincount(codes), np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    for n in np.unique(sizes[sizes > 0]).tolist():
        same = np.flatnonzero(sizes == n)
        step = max(1, most // max(entries(n), 1))
        for at in range(0, len(same), step):
            which = same[at : at + step]
            yield which, order[starts[which][:, None] + np.arange(n)]


def groupings(fit: Fit) -> dict[str, Grouping]:
    return {term.group.name: term.group for term in fit.model.design.terms}


def dependent(fit: Fit) -> dict[str, Grouping]:
    """The factors whose levels have rows that depend on each other: grouping factors, and the subjects of a residual structure."""
    term, groups = fit.model.design.residual, groupings(fit)
    if term is None or term.subject.size == fit.nobs:
        return groups
    return {term.subject.name: term.subject} | groups


def top_grouping(fit: Fit, name: str | None = None) -> Grouping:
    """The grouping factor (or the subjects of a residual structure) called `name`, or the one that all others are nested in.

    Raises ModelError where there is none.
    """
    groups = dependent(fit)
    if name is not None:
        if not isinstance(name, str) or name not in groups:
            raise ModelError(
                f"The model has no grouping factor {name!r}.", hint=f"Its grouping factors: {', '.join(groups) or 'none'}."
            )
        return groups[name]
    for candidate in sorted(groups.values(), key=lambda group: group.size):
        if all(is_nested(group.codes, candidate.codes) for group in groups.values()):
            return candidate
    raise ModelError(
        "No grouping factor of the model contains all others, so the clusters are not clear.",
        hint=f"Name one with cluster=: {', '.join(groups)}." if groups else "A model without random terms has no clusters.",
    )


def clusters_of(fit: Fit, cluster: Any) -> tuple[str, NDArray[Any], Codes]:
    """(name, levels, codes of the rows used) of a grouping factor, a column of the data, or an array with a value for each row.

    None stands for the grouping factor that contains all others (the subjects of a residual structure are one), and where no rows
    depend on each other for each row by itself.
    Raises DataError for an array of another length or with missing values, ModelError where the clusters are not clear.
    """
    groups, n = dependent(fit), fit.nobs
    if cluster is None and not groups:
        return "row", np.arange(n), np.arange(n)
    if cluster is None or (isinstance(cluster, str) and cluster in groups):
        group = top_grouping(fit, cluster)
        return group.name, group.levels, group.codes
    name = cluster if isinstance(cluster, str) else "cluster"
    values = _column(fit, cluster) if isinstance(cluster, str) else np.asarray(cluster)
    kept = fit.model.rows.kept
    if values.shape == (fit.model.rows.n_total,) and kept is not None:
        values = values[kept]
    if values.shape != (n,):
        raise DataError(f"The clusters have shape {values.shape}; {n} values are needed, one for each row used.")
    missing = np.array([value is None or value != value for value in values.tolist()])
    if missing.any():
        raise DataError(f"The cluster of row {int(np.argmax(missing))} is missing.")
    levels, codes = np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)
    return name, levels, codes.astype(np.intp)


def _column(fit: Fit, name: str) -> NDArray[Any]:
    """A column of the data that the model was fitted to, in all rows."""
    from ranef.schema.frames import open_frame

    frame = open_frame(fit.model.recipe["data"])
    if name not in frame.names:
        raise DataError(
            f"The data have no column {name!r} to take clusters from.", hint=f"Columns: {', '.join(map(str, frame.names))}."
        )
    column = frame.select([name]).column(name)
    factor = column.factor
    return np.asarray(column.values) if factor is None else np.append(factor.levels, [None])[factor.codes]
