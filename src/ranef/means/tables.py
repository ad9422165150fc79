"""Columns of estimates, intervals and tests, and the notes that say how they were made."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ranef.arguments import check_level
from ranef.design import Array
from ranef.errors import ModelError
from ranef.means.adjust import Comparisons, Side, applicable, check_adjust, critical_values, p_values, words
from ranef.means.functions import Functions
from ranef.table import Table

RESERVED = frozenset(("estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high", "letters"))
SIDES: dict[str, Side] = {
    "two-sided": "two-sided", "greater": "greater", ">": "greater", "less": "less", "<": "less", "noninferiority": "greater",
    "nonsuperiority": "less", "equivalence": "less",
}  # fmt: skip
WITH_MARGIN = ("equivalence", "noninferiority", "nonsuperiority")


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns of one table; `side` and `statistic` say what is tested."""

    functions: Functions
    level: float = 0.95
    adjust: str | None = None
    side: Side = "two-sided"
    statistic: Array | None = None  # (m,) estimate over standard error unless given
    used: list[str] = field(default_factory=list)  # what the headers say of adjustments

    @property
    def _asked(self) -> str:
        return self.functions.adjust if self.adjust is None else check_adjust(self.adjust)

    @cached_property
    def _families(self) -> list[tuple[Any, Comparisons]]:
        f, statistic = self.functions, self._statistic
        return [(rows, f.tests(place, statistic, self.side)) for place, rows in enumerate(f.families)]

    @property
    def _statistic(self) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.functions.eta / self.functions.se if self.statistic is None else self.statistic

    def estimates(self) -> dict[str, Array]:
        f = self.functions
        return {"estimate": f.shown, "std_error": f.shown_se, "df": f.df}

    def tests(self) -> dict[str, Array]:
        """Statistics, on the scale of the model, and p-values adjusted in each family."""
        p = np.full(len(self.functions), np.nan)
        for rows, family in self._families:
            method = applicable(self._asked, family)
            p[rows] = p_values(method, family)
            self._note(method, family)
        return {"statistic": self._statistic, "p_value": p}

    def limits(self, adjust: str | None = None) -> dict[str, Array]:
        f, asked = self.functions, self._asked if adjust is None else adjust
        half = np.full(len(f), np.nan)
        for rows, family in self._families:
            method = applicable(asked, family)
            half[rows] = critical_values(method, family, self.level) * f.se[rows]
            self._note(method, family, asked)
        low = f.eta - (half if self.side != "less" else np.where(np.isnan(half), np.nan, np.inf))
        high = f.eta + (half if self.side != "greater" else np.where(np.isnan(half), np.nan, np.inf))
        ends = np.sort(np.array([f.scale.shown(low), f.scale.shown(high)]), axis=0)
        return {"conf_low": ends[0], "conf_high": ends[1]}

    def _note(self, method: str, family: Comparisons, asked: str | None = None) -> None:
        if method != "none":
            text = words(method, self._asked if asked is None else asked, family, len(self.functions.families))
            if text not in self.used:
                self.used.append(text)

    @property
    def adjustment(self) -> str | None:
        return "; ".join(self.used) if self.used else None

    @property
    def headings(self) -> dict[str, str]:
        f = self.functions
        estimate = {"mean": "Mean", "slope": "Slope", "contrast": "Estimate"}[f.kind]
        if f.scale.link is not None:
            estimate = f.scale.link.word.replace("_", " ").capitalize() if f.scale.ratio else "Response"
        z = bool(np.all(np.isinf(f.df[~np.isnan(f.df)]))) and f.estimable.any()
        own = {_column(name): name for name in f.labels if name != "contrast"}
        return {**own, "estimate": estimate, "std_error": "SE", "statistic": "z" if z else "t"}


def _column(name: str) -> str:
    return f"{name}_" if name in RESERVED else name


def labels(functions: Functions) -> dict[str, list[Any]]:
    """The columns that name the rows, families first."""
    order = [*functions.by, *functions.factors]
    return {_column(name): _whole(functions.labels[name]) for name in order}


def _whole(values: list[Any]) -> list[Any]:
    """Whole floats as integers, where all are."""
    return [int(value) for value in values] if values and all(isinstance(v, float) and v.is_integer() for v in values) else values


def notes(functions: Functions) -> tuple[str, ...]:
    """What was averaged over, the degrees of freedom, the scale, and what to beware of."""
    method = functions.estimates.ddf
    missing = ("Rows that the data do not determine are NaN.",) if not functions.estimable.all() else ()
    return (*functions.about, f"{method[0].upper()}{method[1:]}.", *_scale_note(functions), *missing, *functions.warnings)


def _scale_note(functions: Functions) -> tuple[str, ...]:
    scale = functions.scale
    if scale.link is None:
        if functions.link is None:
            return ()
        return (f"On the {functions.link.name} scale of the model; response() transforms back.",)
    if scale.ratio:
        return (f"Ratios of back-transformed means; tests and intervals are made on the {scale.link.name} scale.",)
    if scale.sd:
        return (f"Back-transformed from the {scale.link.name} scale, bias-adjusted for a standard deviation of {scale.sd:.4g}.",)
    return (f"Back-transformed from the {scale.link.name} scale, intervals too.",)


def intervals(functions: Functions, *, level: float, adjust: str | None, side: str) -> Table:
    """See `Marginal.confint`."""
    check_level(level)
    if side not in SIDES or side in WITH_MARGIN:
        raise ModelError(f"side={side!r} is not known.", hint='Use "two-sided", "greater" or "less".')
    columns = Columns(functions, level, adjust, SIDES[side])
    made = {**labels(functions), **columns.estimates(), **columns.limits()}
    return _table(functions, columns, made, notes(functions), level)


def tests(functions: Functions, *, null: float, margin: float | None, side: str | None, adjust: str | None) -> Table:
    """See `Marginal.test`."""
    side = side or ("two-sided" if margin is None else "equivalence")
    if side not in SIDES:
        raise ModelError(f"side={side!r} is not known.", hint=f"Use one of: {', '.join(SIDES)}.")
    if (side in WITH_MARGIN) != (margin is not None):
        needs = "needs a margin" if margin is None else "takes no margin"
        raise ModelError(f"side={side!r} {needs}.", hint='For example test(margin=0.5, side="noninferiority").')
    if margin is not None and not margin > 0:
        raise ModelError(f"margin={margin} must be positive.")
    columns = Columns(functions, adjust=adjust, side=SIDES[side], statistic=_turned(functions, null, margin or 0.0, side))
    made = {**labels(functions), **columns.estimates(), **columns.tests()}
    return _table(functions, columns, made, (*notes(functions), *_hypothesis(functions, side, null, margin)), None)


def _turned(functions: Functions, null: float, margin: float, side: str) -> Array:
    """(m,) t statistics; those of equivalence are negative where the estimate is within the margin (Schuirmann 1987)."""
    difference = functions.eta - null
    shifted = {
        "noninferiority": difference + margin, "nonsuperiority": difference - margin, "equivalence": np.abs(difference) - margin,
    }.get(side, difference)  # fmt: skip
    with np.errstate(invalid="ignore", divide="ignore"):
        return shifted / functions.se


def _hypothesis(functions: Functions, side: str, null: float, margin: float | None) -> tuple[str, ...]:
    if side == "two-sided" and null == 0:
        return ()
    scale = functions.scale.link
    where = "" if scale is None else f" on the {scale.name} scale"
    said = {
        "equivalence": f"Equivalence test: p is small where the value lies within {margin or 0:.6g} of {null:.6g}",
        "noninferiority": f"Non-inferiority test: p is small where the value is above {null - (margin or 0):.6g}",
        "nonsuperiority": f"Non-superiority test: p is small where the value is below {null + (margin or 0):.6g}",
        "two-sided": f"Tested: different from {null:.6g}",
        "greater": f"Tested: greater than {null:.6g}",
        "less": f"Tested: less than {null:.6g}",
    }[side if side in WITH_MARGIN else SIDES[side]]  # fmt: skip
    return (f"{said}{where}.",)


def _table(functions: Functions, columns: Columns, made: dict[str, Any], said: tuple[str, ...], level: float | None) -> Table:
    return Table(
        made, title=functions.what, notes=said, frame_kind=functions.estimates.frame_kind, level=level,
        adjustment=columns.adjustment, headings=columns.headings,
    )  # fmt: skip
