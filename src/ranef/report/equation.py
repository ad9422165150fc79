"""The model as an equation, in MathML, which browsers draw without help."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ranef.report.facts import blocks

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST_TERMS = 6  # coefficients that are written out; more become x'beta


def equation(fit: Fit) -> str:
    """Mean, random effects and errors, one line each."""
    terms = [block for block in blocks(fit.varcorr) if block[0]["term1"] is not None]
    lines = [_mean(fit, terms)]
    lines += [_distribution(block, place, len(terms)) for place, block in enumerate(terms)]
    lines.append(f"{_sub(_i('ε'), _i('i'))}{_o('~')}{_normal('<mn>0</mn>', _square('σ'))}")
    return "".join(f'<math display="block">{_row(line)}</math>' for line in lines)


def _mean(fit: Fit, terms: list[list[dict[str, object]]]) -> str:
    names = list(fit.params.index)
    parts = [_product(_sub(_i("β"), f"<mn>{j}</mn>"), name) for j, name in enumerate(names)]
    if len(names) > MOST_TERMS:
        parts = [f"<msubsup>{_i('x')}{_i('i')}{_o('′')}</msubsup>{_i('β')}"]
    for place, block in enumerate(terms):
        letter = _letter(place, len(terms))
        for j, row in enumerate(block):
            index = f"<mn>{j}</mn>{_o(',')}" if len(block) > 1 else ""
            parts.append(_product(_sub(letter, _row(f"{index}<mtext>{escape(str(row['group']))}</mtext>{_o('[')}{_i('i')}{_o(']')}")), str(row["term1"])))
    parts.append(_sub(_i("ε"), _i("i")))
    response = fit.model.design.response
    return f"{_sub(_text(response), _i('i'))}{_o('=')}{_o('+').join(parts)}"


def _distribution(block: list[dict[str, object]], place: int, count: int) -> str:
    group = f"<mtext>{escape(str(block[0]['group']))}</mtext>"
    effect = _sub(_letter(place, count), _i("j"))
    spread = _square("τ", group) if len(block) == 1 else f"<msub>{_i('Σ')}{group}</msub>"
    return f"{effect}{_o('~')}{_normal('<mn>0</mn>', spread)}<mspace width='1em'/><mtext>for each {escape(str(block[0]['group']))} j</mtext>"


def _product(coefficient: str, name: str) -> str:
    return coefficient if name == "(Intercept)" else f"{coefficient}<mspace width='.17em'/>{_sub(_text(name), _i('i'))}"


def _letter(place: int, count: int) -> str:
    return _i("b") if count == 1 else f"<msup>{_i('b')}<mrow>{_o('(')}<mn>{place + 1}</mn>{_o(')')}</mrow></msup>"


def _normal(mean: str, variance: str) -> str:
    return f"{_i('N')}{_o('(')}{mean}{_o(',')}{variance}{_o(')')}"


def _square(letter: str, index: str = "") -> str:
    return f"<msubsup>{_i(letter)}{index}<mn>2</mn></msubsup>" if index else f"<msup>{_i(letter)}<mn>2</mn></msup>"


def _sub(base: str, index: str) -> str:
    return f"<msub>{_row(base)}{index}</msub>"


def _row(inner: str) -> str:
    return f"<mrow>{inner}</mrow>"


def _i(letter: str) -> str:
    return f"<mi>{letter}</mi>"


def _o(sign: str) -> str:
    return f"<mo>{sign}</mo>"


def _text(name: str) -> str:
    return f"<mtext>{escape(name)}</mtext>"
