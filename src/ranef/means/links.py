"""From the scale on which a model is linear to that of its response: links, and transformed responses read off the formula.

A `Link` gives mu = inverse(eta) and its derivative. Logarithms turn differences into ratios, the logit into odds ratios; on other
scales a difference of transformed means has no simple meaning, and contrasts stay where the model is linear.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranef.design import Array
from ranef.errors import ModelError
from ranef.formula import expression_text
from ranef.formula.expression import Call, Expression, Literal, Name, Operation

NODES = 40  # of the Gauss-Hermite rule for the mean of a back-transformed normal variable
Curve = Callable[[Array], Array]


@dataclass(frozen=True)
class Link:
    """How eta becomes mu. `base` is b where mu = b^eta makes ratios of differences; `word` says what these ratios are."""

    name: str
    inverse: Curve
    slope: Curve
    base: float | None = None
    word: str = "ratio"
    whole_line: bool = True  # whether the inverse is defined for every eta

    @property
    def ratios(self) -> bool:
        return self.base is not None

    def mean(self, eta: Array, sd: float) -> Array:
        """E inverse(eta + sd Z) for standard normal Z: the mean of the response, not the median that inverse(eta) is.

        Raises ModelError where that mean does not exist.
        """
        if not self.whole_line:
            raise ModelError(
                f"With normal errors of {self.name} the response has no mean: the inverse is not defined everywhere.",
                hint="Leave bias_adjust out: the back-transformed mean is then the median of the response.",
            )
        z, w = np.polynomial.hermite_e.hermegauss(NODES)
        return self.inverse(np.asarray(eta)[..., None] + sd * z) @ (w / w.sum())

    def mean_slope(self, eta: Array, sd: float) -> Array:
        """The derivative of `mean` in eta."""
        z, w = np.polynomial.hermite_e.hermegauss(NODES)
        return self.slope(np.asarray(eta)[..., None] + sd * z) @ (w / w.sum())


def _exponential(name: str, base: float) -> Link:
    rate = float(np.log(base))
    return Link(name, lambda eta: np.exp(rate * eta), lambda eta: rate * np.exp(rate * eta), base)


def _power(name: str, power: float) -> Link:
    """The inverse of y^power."""
    root = 1.0 / power
    return Link(name, lambda eta: eta**root, lambda eta: root * eta ** (root - 1.0), whole_line=root > 0 and root.is_integer())


def _expit(eta: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-eta))


LINKS: dict[str, Link] = {
    "log": _exponential("log", np.e),
    "log2": _exponential("log2", 2.0),
    "log10": _exponential("log10", 10.0),
    "log1p": Link("log1p", np.expm1, np.exp),
    "exp": Link("exp", np.log, lambda eta: 1.0 / eta, whole_line=False),
    "expm1": Link("expm1", np.log1p, lambda eta: 1.0 / (1.0 + eta), whole_line=False),
    "sqrt": _power("sqrt", 0.5),
    "inverse": _power("inverse", -1.0),
    "logit": Link("logit", _expit, lambda eta: _expit(eta) * (1.0 - _expit(eta)), np.e, "odds_ratio"),
}


def response_link(node: Expression | None, states: Mapping[str, Any]) -> Link | None:
    """The link of a transformed response: `log(y)`, `sqrt(y + 1)`, `y^0.5`, `1/y`, `scale(y)`; None for a plain column.

    A response whose inverse is not known has no link, so its means stay on the scale of the model.
    """
    if node is None or isinstance(node, Name):
        return None
    if isinstance(node, Call) and node.function == "I" and len(node.arguments) == 1:
        return response_link(node.arguments[0], states)
    if isinstance(node, Call):
        return _of_call(node, states)
    if isinstance(node, Operation):
        return _of_operation(node)
    return None


def _of_call(node: Call, states: Mapping[str, Any]) -> Link | None:
    state = states.get(expression_text(node))
    if isinstance(state, Mapping) and {"center", "scale"} <= set(state):
        return _linear(node.function, float(state["center"]), float(state["scale"]))
    link = _logarithm(node) if node.function == "log" else LINKS.get(node.function)
    inner = _shifted(node.arguments[0]) if node.arguments else None
    if link is None or inner is None:
        return None
    return link if inner == (0.0, 1.0) else _after(link, expression_text(node), *inner)


def _logarithm(node: Call) -> Link | None:
    """`log(y)` or `log(y, base)`."""
    extra = [*node.arguments[1:], *(value for key, value in node.keywords if key == "base")]
    if not extra:
        return LINKS["log"]
    base = extra[0].value if isinstance(extra[0], Literal) else None
    return _exponential(f"log{base:g}", float(base)) if isinstance(base, int | float) and base > 0 and base != 1 else None


def _of_operation(node: Operation) -> Link | None:
    """Powers and reciprocals of a column."""
    if len(node.operands) != 2:
        return None
    left, right = node.operands
    if (
        node.operator in ("**", "^")
        and isinstance(left, Name)
        and isinstance(right, Literal)
        and isinstance(right.value, int | float)
    ):
        return _power(expression_text(node), float(right.value)) if right.value != 0 else None
    if node.operator == "/" and isinstance(right, Name) and isinstance(left, Literal) and left.value == 1:
        return LINKS["inverse"]
    return None


def _shifted(node: Expression) -> tuple[float, float] | None:
    """(a, b) of an argument a + b y; None for anything else."""
    if isinstance(node, Name):
        return 0.0, 1.0
    if not isinstance(node, Operation) or len(node.operands) != 2:
        return None
    left, right = node.operands
    if node.operator in ("+", "*") and isinstance(left, Literal):
        left, right = right, left
    if not isinstance(left, Name) or not isinstance(right, Literal) or not isinstance(right.value, int | float):
        return None
    value = float(right.value)
    rules = {"+": (value, 1.0), "-": (-value, 1.0), "*": (0.0, value), "/": (0.0, 1.0 / value if value else 0.0)}
    found = rules.get(node.operator)
    return found if found is not None and found[1] != 0 else None


def _after(link: Link, name: str, shift: float, scale: float) -> Link:
    """The inverse of link(shift + scale y); ratios survive a scale and not a shift."""
    base = link.base if shift == 0 else None
    return Link(
        name, lambda eta: (link.inverse(eta) - shift) / scale, lambda eta: link.slope(eta) / scale, base, link.word, link.whole_line
    )  # fmt: skip


def _linear(name: str, center: float, scale: float) -> Link:
    return Link(name, lambda eta: center + scale * eta, lambda eta: np.full_like(np.asarray(eta, dtype=float), scale))
