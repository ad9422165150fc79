"""The model as an equation, in MathML, which browsers draw without help."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from ranef.report.sections import blocks

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST_TERMS = 6  # coefficients that are written out; more become x'beta


def equation(fit: Fit) -> str:
    """Mean, random effects and errors, one line each."""
    terms = [block for block in blocks(fit.varcorr) if block[0]["term1"] is not None]
    lines = [_mean(fit, terms)]
    lines += [_distribution(block, place, len(terms)) for place, block in enumerate(terms)]
    error = f"<msup>{_i('σ')}{_n(2)}</msup>"
    lines.append(f"{_sub(_i('ε'), _i('i'))}{_o('~')}{_normal(error)}")
    return "".join(f'<math display="block">{_row(line)}</math>' for line in lines)


def _mean(fit: Fit, terms: list[list[dict[str, Any]]]) -> str:
    names = list(fit.params.index)
    parts = [_product(_sub(_i("β"), _n(j)), name) for j, name in enumerate(names)]
    if len(names) > MOST_TERMS:
        parts = [f"<msubsup>{_i('x')}{_i('i')}{_o('′')}</msubsup>{_i('β')}"]
    for place, block in enumerate(terms):
        level = f"{_text(block[0]['group'])}{_o('[')}{_i('i')}{_o(']')}"
        for j, row in enumerate(block):
            index = f"{_n(j)}{_o(',')}{level}" if len(block) > 1 else level
            parts.append(_product(_effect(_row(index), place, len(terms)), row["term1"]))
    parts.append(_sub(_i("ε"), _i("i")))
    return f"{_sub(_text(fit.model.design.response), _i('i'))}{_o('=')}{_o('+').join(parts)}"


def _distribution(block: list[dict[str, Any]], place: int, count: int) -> str:
    group = _text(block[0]["group"])
    spread = f"<msubsup>{_i('τ')}{group}{_n(2)}</msubsup>" if len(block) == 1 else _sub(_i("Σ"), group)
    each = f"<mspace width='1em'/><mtext>for each&#160;</mtext>{group}<mspace width='.3em'/>{_i('j')}"
    return f"{_effect(_i('j'), place, count)}{_o('~')}{_normal(spread)}{each}"


def _product(coefficient: str, name: str) -> str:
    return coefficient if name == "(Intercept)" else f"{coefficient}<mspace width='.17em'/>{_sub(_text(name), _i('i'))}"


def _effect(index: str, place: int, count: int) -> str:
    """b with its index; with the number of its term where there are several."""
    if count == 1:
        return _sub(_i("b"), index)
    return f"<msubsup>{_i('b')}{index}{_row(_o('(') + _n(place + 1) + _o(')'))}</msubsup>"


def _normal(variance: str) -> str:
    return f"{_i('N')}{_o('(')}{_n(0)}{_o(',')}{variance}{_o(')')}"


def _sub(base: str, index: str) -> str:
    return f"<msub>{_row(base)}{index}</msub>"


def _row(inner: str) -> str:
    return f"<mrow>{inner}</mrow>"


def _i(letter: str) -> str:
    return f"<mi>{letter}</mi>"


def _n(number: int) -> str:
    return f"<mn>{number}</mn>"


def _o(sign: str) -> str:
    return f"<mo>{sign}</mo>"


def _text(name: str) -> str:
    return f"<mtext>{escape(name)}</mtext>"
