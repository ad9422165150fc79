"""Linear functions of the coefficients, with names: means, slopes, contrasts; what they are estimated to be, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranef.design import Array
from ranef.means.adjust import Comparisons, Side
from ranef.means.estimates import Estimates
from ranef.means.links import Link
from ranef.schema.values import level_text

NOTHING = 1e-10


@dataclass(frozen=True)
class Scale:
    """On which scale estimates are shown: that of the model (no link), or back-transformed; `sd` asks for the bias adjustment."""

    link: Link | None = None
    ratio: bool = False  # of contrasts: b^difference instead of the inverse
    sd: float = 0.0

    def shown(self, eta: Array) -> Array:
        if self.link is None:
            return eta
        if self.ratio:
            assert self.link.base is not None
            return np.exp(np.log(self.link.base) * eta)
        return self.link.mean(eta, self.sd) if self.sd else self.link.inverse(eta)

    def slope(self, eta: Array) -> Array:
        if self.link is None:
            return np.ones_like(eta)
        if self.ratio:
            assert self.link.base is not None
            return np.log(self.link.base) * self.shown(eta)
        return self.link.mean_slope(eta, self.sd) if self.sd else self.link.slope(eta)


@dataclass(frozen=True, eq=False)
class Functions:
    """m functions L beta + offset. `labels` name them by column; those of `by` divide them into families.

    `kind` is "mean", "slope" or "contrast"; `means` is for pairwise differences how many means each family compares. `link` is
    that of the response, as long as the functions can be back-transformed.
    """

    estimates: Estimates
    L: Array
    offset: Array
    labels: dict[str, list[Any]]
    by: tuple[str, ...] = ()
    kind: str = "mean"
    what: str = ""  # for titles: "recipe", "slopes of age", "pairwise contrasts of recipe"
    about: tuple[str, ...] = ()  # what holds for all: averaged over, covariates at
    warnings: tuple[str, ...] = ()
    link: Link | None = None
    scale: Scale = field(default_factory=Scale)
    adjust: str = "none"
    means: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.L)

    @property
    def factors(self) -> tuple[str, ...]:
        return tuple(name for name in self.labels if name not in self.by)

    @cached_property
    def estimable(self) -> NDArray[np.bool_]:
        return np.logical_and(np.isfinite(self.L).all(axis=1), self.estimates.estimable(np.nan_to_num(self.L)))

    @cached_property
    def eta(self) -> Array:
        """(m,) on the scale of the model; NaN where the data do not tell."""
        return np.where(self.estimable, np.nan_to_num(self.L) @ self.estimates.coef + self.offset, np.nan)

    @cached_property
    def se(self) -> Array:
        """(m,) standard errors on the scale of the model."""
        L = np.nan_to_num(self.L)
        variance = np.einsum("mi,ij,mj->m", L, self.estimates.vcov, L, optimize=True)
        return np.where(self.estimable, np.sqrt(np.maximum(variance, 0.0)), np.nan)

    @cached_property
    def df(self) -> Array:
        out = np.full(len(self), np.nan)
        live = self.estimable & (np.abs(np.nan_to_num(self.L)).max(axis=1, initial=0.0) > 0)
        if live.any():
            out[live] = self.estimates.df(self.L[live])
        return out

    @property
    def shown(self) -> Array:
        return self.scale.shown(self.eta)

    @property
    def shown_se(self) -> Array:
        """(m,) standard errors on the scale that is shown, by the delta method."""
        return np.abs(self.scale.slope(self.eta)) * self.se

    @cached_property
    def families(self) -> tuple[NDArray[np.intp], ...]:
        """Places of the functions of each family, in order of appearance."""
        keys = list(zip(*(self.labels[name] for name in self.by), strict=True)) if self.by else [()] * len(self)
        groups: dict[tuple[Any, ...], list[int]] = {}
        for place, key in enumerate(keys):
            groups.setdefault(key, []).append(place)
        return tuple(np.array(places, dtype=np.intp) for places in groups.values())

    def take(self, rows: NDArray[np.intp]) -> Functions:
        """Some of the functions."""
        labels = {name: [values[i] for i in rows] for name, values in self.labels.items()}
        return replace(self, means=None, L=self.L[rows], offset=self.offset[rows], labels=labels)

    def tests(self, family: int, statistic: Array, side: Side) -> Comparisons:
        """The t tests of one family; `statistic` holds those of all functions."""
        rows = self.families[family]

        def correlation() -> Array:
            L = np.nan_to_num(self.L[rows])
            spread = L @ self.estimates.vcov @ L.T
            sd = np.sqrt(np.maximum(np.diag(spread), 1e-300))
            out = spread / np.outer(sd, sd)
            np.fill_diagonal(out, 1.0)
            return out

        means = None if self.means is None else self.means[family]
        return Comparisons(statistic[rows], self.df[rows], correlation, self._rank(rows), means, side)

    def _rank(self, rows: NDArray[np.intp]) -> int:
        L = np.nan_to_num(self.L[rows])
        return max(int(np.linalg.matrix_rank(L, tol=NOTHING * max(np.abs(L).max(initial=0.0), 1e-300) * max(L.shape))), 1)

    def names(self, rows: Sequence[int] | NDArray[np.intp]) -> list[str]:
        """What the functions are called within their family; a number is told from others by the name of its factor."""
        texts = [[_text(name, self.labels[name][i]) for name in self.factors] for i in rows]
        joined = [" ".join(parts) for parts in texts]
        return [f"({text})" if any(mark in text for mark in ("-", "+", "/", "*")) else text for text in joined]


def _text(name: str, level: Any) -> str:
    if isinstance(level, bool):
        return f"{name} {level}"
    if isinstance(level, int | float):
        return f"{name}{level:.6g}"
    text = level_text(level)
    return f"{name}{text}" if _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
