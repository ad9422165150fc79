"""The closed table of functions that take numbers row by row and keep nothing for later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Elementwise = Callable[..., Any]


def _log(x: Any, base: Any = None) -> Any:
    return np.log(x) if base is None else np.log(x) / np.log(base)


def _least(first: Any, *others: Any) -> Any:
    for other in others:
        first = np.minimum(first, other)
    return first


def _greatest(first: Any, *others: Any) -> Any:
    for other in others:
        first = np.maximum(first, other)
    return first


def _rounded(x: Any, digits: Any = 0) -> Any:
    return np.round(x, int(digits))


# name: (function, least and greatest number of arguments)
ELEMENTWISE: dict[str, tuple[Elementwise, int, int]] = {
    "log": (_log, 1, 2), "log1p": (np.log1p, 1, 1), "log2": (np.log2, 1, 1), "log10": (np.log10, 1, 1),
    "exp": (np.exp, 1, 1), "expm1": (np.expm1, 1, 1), "sqrt": (np.sqrt, 1, 1), "abs": (np.abs, 1, 1), "sign": (np.sign, 1, 1),
    "sin": (np.sin, 1, 1), "cos": (np.cos, 1, 1), "tan": (np.tan, 1, 1),
    "floor": (np.floor, 1, 1), "ceil": (np.ceil, 1, 1), "ceiling": (np.ceil, 1, 1), "round": (_rounded, 1, 2),
    "pmin": (_least, 1, 50), "pmax": (_greatest, 1, 50),
}  # fmt: skip

ARITHMETIC: dict[str, Elementwise] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.power, "^": np.power,
    "%": np.mod, "%%": np.mod, "//": np.floor_divide, "%/%": np.floor_divide,
}  # fmt: skip

COMPARISONS: dict[str, Elementwise] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip

LOGIC: dict[str, Elementwise] = {"&": np.logical_and, "|": np.logical_or}
