"""The text of `residual=`: what it is read as, and where errors point."""

import pytest

from ranef.api import vocabulary
from ranef.errors import FormulaError
from ranef.formula.residual import parse_residual
from ranef.schema.evaluate import text_of

READ = [  # text, word and positions and options of each structure, subject, by, scalings, nugget
    ("ar1h(visit | id)", [("ar1h", ["visit"], {})], ["id"], None, [], False),
    ("AR1( visit|id )", [("ar1", ["visit"], {})], ["id"], None, [], False),
    ("us(visit | id)", [("un", ["visit"], {})], ["id"], None, [], False),
    ("AR(1)(visit | id)", [("ar1", ["visit"], {})], ["id"], None, [], False),
    ("ARH(1)(visit | id)", [("ar1h", ["visit"], {})], ["id"], None, [], False),
    ("ANTE(1)(visit | id)", [("adh", ["visit"], {})], ["id"], None, [], False),
    ("ARMA(1,1)(visit | id)", [("arma11", ["visit"], {})], ["id"], None, [], False),
    ("SP(EXP)(x + y | site) + nugget", [("sp_exp", ["x", "y"], {})], ["site"], None, [], True),
    ("UN(1)(visit | id)", [("diag", ["visit"], {})], ["id"], None, [], False),
    ("TOEP(3)(visit | id)", [("toep", ["visit"], {"bands": 3})], ["id"], None, [], False),
    ("toep(visit | id, bands=3)", [("toep", ["visit"], {"bands": 3})], ["id"], None, [], False),
    ("mat(day | id, smoothness=1.5)", [("mat", ["day"], {"smoothness": 1.5})], ["id"], None, [], False),
    ("ar1(1 | id)", [("ar1", [], {})], ["id"], None, [], False),
    ("ar1(visit | id / sub)", [("ar1", ["visit"], {})], ["id", "sub"], None, [], False),
    ("ar1(visit | id:sub)", [("ar1", ["visit"], {})], ["id", "sub"], None, [], False),
    ("ar1(`the visit` | `a | b`)", [("ar1", ["`the visit`"], {})], ["`a | b`"], None, [], False),
    ("un(visit | id, by=arm)", [("un", ["visit"], {})], ["id"], "arm", [], False),
    ("car1(log(day + 1) | id)", [("car1", ["log(day + 1)"], {})], ["id"], None, [], False),
    ("un(what) @ ar1(time | id)", [("un", ["what"], {}), ("ar1", ["time"], {})], ["id"], None, [], False),
    ("power(age)", [], [], None, [("power", "age")], False),
    ("ident(sex) * varPower(fitted)", [], [], None, [("ident", "sex"), ("varpower", None)], False),
    ("exponential(x ** 2) * cs(v | id)", [("cs", ["v"], {})], ["id"], None, [("exponential", "x^2")], False),
    ("car1(day | id) * power(day) + nugget", [("car1", ["day"], {})], ["id"], None, [("power", "day")], True),
]


@pytest.mark.parametrize(("text", "structures", "subject", "by", "scalings", "nugget"), READ)
def test_read_as(text, structures, subject, by, scalings, nugget):
    found = parse_residual(text, vocabulary())
    own = [(one.word, list(map(text_of, one.positions)), dict(one.options)) for one in found.orderings]
    assert own == structures
    assert list(map(text_of, found.subject)) == subject
    assert (None if found.by is None else text_of(found.by)) == by
    assert [(one.word, None if one.covariate is None else text_of(one.covariate)) for one in found.scalings] == scalings
    assert found.nugget == nugget


REFUSED = [  # text, the token that the error points at, what it says
    ("ar1", "ar1", "no structure"),
    ("(1 | id)", "(1 | id)", "no structure"),
    ("visit | id", "visit | id", "no structure"),
    ("ar1(visit | id) ** 2", "ar1(visit | id) ** 2", "no structure"),
    ("power(x) * ", " ", "no structure"),
    ("arl(visit | id)", "arl", "'arl' is not known"),
    ("power(x) * arl(v | id)", "arl", "'arl' is not known"),
    ("ar1(visit)", "ar1(visit)", "names no subject"),
    ("un(a) @ ar1(visit)", "un(a) @ ar1(visit)", "names no subject"),
    ("ar1(visit | )", ")", "missing here"),
    ("ar1( | id)", "|", "missing here"),
    ("un(visit | 1)", "1", "A subject is a column"),
    ("ar1(visit | id | site)", "site", "named once"),
    ("un(a | id) @ ar1(visit | id)", "id", "named once"),
    ("ar1(visit | id) * cs(age | id)", "cs(age | id)", "second structure"),
    ("un(a) @ cs(b) @ ar1(v | id)", "ar1(v | id)", "two structures"),
    ("power(x) + nugget", "nugget", "added to a correlated structure"),
    ("un(visit | id) + nugget", "nugget", "cannot be told from"),
    ("cs(visit | id) * ident(arm) + nugget", "nugget", "cannot be told from"),
    ("ar1(visit | id) + noise", "noise", "Only `nugget`"),
    ("car1(visit | id) + nugget + nugget", "nugget", "Only `nugget`"),
    ("ar1(visit | id", "(", "never closed"),
    ("ar1(visit | id))", ")", "closes nothing"),
    ("ar1[visit | id)", ")", "closes nothing"),
    ("ar1(visit | `id)", "`", "back-quote is never closed"),
    ("un(visit | id, by=)", ")", "missing here"),
    ("toep(visit | id, bands)", "bands", "name=value"),
    ("toep(visit | id, bands=two)", "bands=two", "is a number"),
    ("toep(visit | id, bands=0)", "bands=0", "whole number"),
    ("toep(visit | id, bands=1.5)", "bands=1.5", "whole number"),
    ("ar1(visit | id, bands=2)", "bands=2", "ar1 has no option 'bands'"),
    ("ar1(a b | id)", "b", "operator is missing"),
    ("power(x | id)", "x | id", "covariate only"),
    ("power()", ")", "missing here"),
]


@pytest.mark.parametrize(("text", "token", "message"), REFUSED)
def test_errors_point_at_the_token(text, token, message):
    with pytest.raises(FormulaError, match=message) as caught:
        parse_residual(text, vocabulary())
    error = caught.value
    assert error.text == text
    pointed = text[error.start : error.stop]
    assert pointed.strip() == token.strip()


@pytest.mark.parametrize("value", ["", "  ", 3, None, ["ar1(visit | id)"]])
def test_only_a_text_is_read(value):
    with pytest.raises(FormulaError, match="residual= is a text"):
        parse_residual(value, vocabulary())


def test_a_near_miss_is_suggested():
    with pytest.raises(FormulaError, match=r"Did you mean toeph\?"):
        parse_residual("toephh(visit | id)", vocabulary())
