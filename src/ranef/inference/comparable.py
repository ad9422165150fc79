"""May these models be compared, and by which likelihood? What has to be refitted is refitted here, and said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ranef.covariance.base import Array
from ranef.errors import ModelError
from ranef.fit.rows import needs_rows
from ranef.fit.run import answer

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


def refuse_different_data(fits: Sequence[Fit], names: Sequence[str]) -> None:
    """Raises ModelError for models of other rows, responses, weights or offsets than the first, or without their rows."""
    first = fits[0]
    needs_rows(first, "compare()")
    for fit, name in zip(fits[1:], names[1:], strict=True):
        needs_rows(fit, "compare()")
        here, there = first.model.design, fit.model.design
        between = f"{names[0]!r} and {name!r}"
        if here.response != there.response:
            raise ModelError(f"{between} have different responses: {here.response} and {there.response}.")
        if here.nobs != there.nobs:
            raise ModelError(
                f"{between} use different rows: {here.nobs:,} and {there.nobs:,}.",
                hint="A variable with missing values drops rows; fit all models to the rows that are complete in all variables.",
            )
        if not np.array_equal(here.y, there.y):
            raise ModelError(f"{between} use different rows or values of {here.response}.", hint="Fit all models to the same data.")
        for what, left, right in (("weights", here.weights, there.weights), ("offset", here.offset, there.offset)):
            if not _same(left, right):
                raise ModelError(f"{between} have different {what}.")


def told(fits: Sequence[Fit]) -> tuple[str, ...]:
    """The formula of each model, with its residual structure where any of them has one."""
    labels = [_structure_of(fit) for fit in fits]
    if not any(labels):
        return tuple(fit.formula for fit in fits)
    return tuple(f"{fit.formula}; residuals {label or 'independent'}" for fit, label in zip(fits, labels, strict=True))


def _structure_of(fit: Fit) -> str | None:
    design = fit.model.design
    return None if design.residual is None or design.known_variances else design.residual.label


def _same(left: Array | None, right: Array | None) -> bool:
    if left is None or right is None:
        return left is right
    return bool(np.array_equal(left, right))


def on_one_likelihood(fits: Sequence[Fit], names: Sequence[str]) -> tuple[list[Fit], str]:
    """The fits by one likelihood, and a sentence that says which: REML where all were fitted so and have the same fixed part."""
    mixed = [fit for fit in fits if fit.model.design.mixed]
    if mixed and all(fit.reml for fit in mixed) and all(_same_mean(fits[0], fit) for fit in fits[1:]):
        return list(fits), "Restricted likelihoods (REML): the models have the same fixed part."
    again = [name for fit, name in zip(fits, names, strict=True) if fit.reml and fit.model.design.mixed]
    out = [by_ml(fit) for fit in fits]
    if not again:
        return out, "Full likelihoods (ML)."
    why = "their fixed parts differ" if all(fit.reml for fit in mixed) else "others were fitted by ML"
    return out, f"Full likelihoods (ML): refitted by ML, because {why}: {', '.join(again)}."


def by_ml(fit: Fit) -> Fit:
    """The same model fitted by full maximum likelihood."""
    if not fit.reml or not fit.model.design.mixed:
        return fit
    return answer(replace(fit.model, reml=False), fit.criterion.gram, None)


def deviance_of(fit: Fit, reml: bool) -> float:
    """-2 log likelihood; of a regression without random effects that by which it is compared."""
    return fit.optimum.value if reml else fit.deviance


def _same_mean(left: Fit, right: Fit) -> bool:
    """Restricted likelihoods depend on the coding of X, so that its columns must be the same and not only what they span."""
    here, there = left.model.design, right.model.design
    return here.names == there.names and np.array_equal(here.X, there.X)
