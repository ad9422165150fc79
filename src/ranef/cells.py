"""From numbers to what a reader sees: as many digits as mean something, and decimal points that line up.

Works on the columns of a table; the rule of each column is in the glossary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranef.glossary import Rule, entry

Values = Sequence[Any] | NDArray[Any]  # one column

ERRORS = ("std_error", "conf_low", "conf_high")
DIGITS = 4  # significant digits of a standard error, and of a quantity that has none
WIDEST = 7  # digits before and after the point, beyond which a number is written with a power of ten
NAN = "NaN"


def rule_of(name: str, values: Values, rules: Mapping[str, Rule] = MappingProxyType({})) -> Rule:
    """The rule of the table or of the glossary; for unknown columns: text, count or as given, by the values.

    Text stays text under any rule.
    """
    kinds = {_kind(value) for value in values} - {"none"}
    if "text" in kinds:
        return "text"
    if name in rules:
        return rules[name]
    known = entry(name)
    if known is not None:
        return known.rule
    return "count" if kinds == {"int"} else "given" if kinds else "text"


def shown(columns: Mapping[str, Values], rules: Mapping[str, Rule] = MappingProxyType({})) -> dict[str, list[str]]:
    """Every cell as text, without padding; the columns on the scale of the response share their decimals.

    `rules` are those of the table, before those of the glossary.
    """
    found = {name: rule_of(name, values, rules) for name, values in columns.items()}
    errors = _errors(columns) if all(found.get(name, "estimate") in ("estimate", "row", "even") for name in ERRORS) else None
    return {name: _column(found[name], values, errors) for name, values in columns.items()}


def _errors(columns: Mapping[str, Values]) -> list[float] | None:
    """The standard error of each row, or about that from its interval; None where the table has neither."""
    if "std_error" in columns:
        return _numbers(columns["std_error"])
    if "conf_low" in columns and "conf_high" in columns:
        limits = zip(_numbers(columns["conf_low"]), _numbers(columns["conf_high"]), strict=True)
        return [(high - low) / 4.0 for low, high in limits]
    return None


def heading(name: str, headings: Mapping[str, str]) -> str:
    known = entry(name)
    return headings.get(name, name if known is None else known.heading)


def number(value: float, rule: Rule = "size") -> str:
    """One number on its own, by a rule of the glossary."""
    return _column(rule, [value], None)[0]


def scaled(values: Sequence[float], error: float) -> list[str]:
    """Numbers with the decimals that their common standard error supports."""
    return _scaled(values, [error] * len(values))


def p_value(p: float) -> str:
    """Three decimals, never zero and never one."""
    if math.isnan(p):
        return NAN
    return "<0.001" if p < 0.001 else ">0.999" if 0.9995 <= p < 1 else f"{p:.3f}"


def jsonable(value: Any) -> Any:
    """A plain Python value; what is not finite, or not a number, becomes None."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or isinstance(plain, (bool, int, str)):
        return plain
    if isinstance(plain, float):
        return plain if math.isfinite(plain) else None
    return str(plain)


def aligned(texts: Sequence[str], head: str, numeric: bool) -> tuple[str, list[str]]:
    """The heading and the cells padded to one width: text to the left, numbers on their decimal point."""
    padded = list(texts)
    if numeric:
        tails = [len(t) - _point(t) for t in texts if _point(t) >= 0]
        tail = max(tails, default=0)
        padded = [t + " " * (tail - (len(t) - _point(t))) if _point(t) >= 0 else t for t in texts]
    width = max([len(head), *(len(t) for t in padded)])
    pad = str.rjust if numeric else str.ljust
    return pad(head, width), [pad(t, width) for t in padded]


def _point(text: str) -> int:
    """Where the decimals begin (the end of a whole number); -1 for what is no number."""
    if not text or text[-1] not in "0123456789":
        return -1
    place = text.find(".")
    return place if place >= 0 else len(text)


def _column(rule: Rule, values: Values, errors: list[float] | None) -> list[str]:
    if rule == "text":
        return ["" if value is None else str(value) for value in values]
    numbers = _numbers(values)
    if rule == "estimate":
        texts = _scaled(numbers, errors or numbers)
    elif rule == "row":
        texts = [_scaled([x], [error])[0] for x, error in zip(numbers, errors or numbers, strict=True)]
    elif rule == "even":
        texts = _evenly(numbers, errors or numbers)
    elif rule == "own":
        texts = [_one(x, _places([x])) if _places([x]) <= DIGITS else _scaled([x], [x])[0] for x in numbers]
    elif rule == "size" or (rule == "given" and _places(numbers) > DIGITS):
        texts = _scaled(numbers, numbers)
    elif rule == "given":
        texts = [_one(x, _places(numbers)) for x in numbers]
    else:
        texts = [_fixed(rule, value) for value in numbers]
    return ["" if value is None else text for value, text in zip(values, texts, strict=True)]


def _places(numbers: Sequence[float]) -> int:
    """Decimals that the numbers have, up to six significant digits."""
    written = [f"{x:.6g}" for x in numbers if math.isfinite(x)]
    return max((99 if "e" in text else len(text.partition(".")[2]) for text in written), default=0)


def _fixed(rule: Rule, value: float) -> str:
    """One number by a rule whose decimals do not depend on the others."""
    if not math.isfinite(value):
        return NAN if math.isnan(value) else "inf" if value > 0 else "-inf"
    if rule == "p":
        return p_value(value)
    if rule == "count":
        return f"{value:.0f}" if value == round(value) else f"{value:.1f}"
    if rule == "df":
        return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 9999.95 else f"{value:.0f}"
    decimals = {"statistic": 2, "fraction": 3, "criterion": 2}.get(rule, 2)
    text = f"{value:.{decimals}f}" if abs(value) < 1e9 else f"{value:.{DIGITS}e}"
    return _unsigned(text)


def _scaled(numbers: Sequence[float], scales: Sequence[float]) -> list[str]:
    """Numbers with the decimals that give the smallest scale four digits; row by row where that would be too long."""
    sizes = [abs(s) for s in scales if math.isfinite(s) and s != 0]
    biggest = max((abs(x) for x in numbers if math.isfinite(x)), default=0.0)
    decimals = _decimals(min(sizes)) if sizes else 1
    common = biggest < 10 ** (WIDEST - 1) and decimals <= WIDEST and len(f"{biggest:.0f}") + decimals <= WIDEST + 2
    return [_one(x, decimals if common else _own(x, scale)) for x, scale in zip(numbers, scales, strict=True)]


def _evenly(numbers: Sequence[float], scales: Sequence[float]) -> list[str]:
    """Numbers with the decimals of their rows; rows that differ by one decimal only have those of the shortest."""
    rows = [_own(x, scale) for x, scale in zip(numbers, scales, strict=True)]
    known = {decimals for decimals, x in zip(rows, numbers, strict=True) if decimals is not None and math.isfinite(x)}
    alike = None not in rows and len(known) == 2 and max(known) - min(known) == 1
    return [_one(x, min(known) if alike else decimals) for x, decimals in zip(numbers, rows, strict=True)]


def _own(value: float, scale: float) -> int | None:
    """Decimals of a number beside others of another magnitude; None: a power of ten."""
    size = next((abs(s) for s in (scale, value) if math.isfinite(s) and s != 0), 100.0)
    decimals = _decimals(size)
    return decimals if abs(value) < 10 ** (WIDEST - 1) and decimals <= WIDEST else None


def _decimals(size: float) -> int:
    """Decimals that show `size` to four significant digits."""
    return max(0, DIGITS - 1 - math.floor(math.log10(size)))


def _one(value: float, decimals: int | None) -> str:
    if math.isnan(value):
        return NAN
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    text = f"{value:.{DIGITS - 1}e}" if decimals is None else f"{value:.{decimals}f}"
    return _unsigned(text)


def _unsigned(text: str) -> str:
    """`text` without the sign of a zero."""
    return text[1:] if text.startswith("-") and float(text) == 0 else text


def _numbers(values: Values) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]


def _kind(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, (bool, np.bool_, str)):
        return "text"
    if isinstance(value, (int, np.integer)):
        return "int"
    return "float" if isinstance(value, (float, np.floating)) else "text"
