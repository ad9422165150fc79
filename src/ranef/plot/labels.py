"""Words for axes: the names of the user's columns with their units, where the data tell them.

Units are read from `frame.attrs["units"]`, a dict from column to unit, which the embedded data sets have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


def units(fit: Fit) -> dict[str, str]:
    return _units((fit.model.recipe or {}).get("data"))


def with_unit(fit: Fit, name: str) -> str:
    """`Reaction (ms)`, or the name alone."""
    return _labelled(name, units(fit))


def of_column(data: Any, name: str) -> str:
    """The same for a column of a data frame."""
    return _labelled(name, _units(data))


def _units(data: Any) -> dict[str, str]:
    attrs = getattr(data, "attrs", None)
    found = attrs.get("units") if isinstance(attrs, dict) else None
    return {str(name): str(unit) for name, unit in found.items() if unit} if isinstance(found, dict) else {}


def _labelled(name: str, known: dict[str, str]) -> str:
    unit = known.get(name)
    return f"{name} ({unit})" if unit and unit.casefold() != name.casefold() else name


def response(fit: Fit) -> str:
    return with_unit(fit, fit.model.design.response)


def level(fraction: float) -> str:
    """`95 %`, which no line is broken in."""
    return f"{100.0 * fraction:.4g}\N{NO-BREAK SPACE}%"


def number(value: float) -> str:
    """Up to three significant digits, with a true minus."""
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def many(count: int, noun: str) -> str:
    return f"{count:,} {noun}"


def text(value: Any) -> str:
    """A level or a value as words."""
    return f"{value:g}" if isinstance(value, float) else str(value)
