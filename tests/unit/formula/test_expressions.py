"""What stands inside of calls: trees, and the text that R prints for them."""

from __future__ import annotations

import pytest

from ranef.formula import Call, Literal, Name, Operation, Sequence, expression_text, parse, variables

# as written -> as R (4.2.2) deparses it
AS_R = {
    "I(1e4)": "I(10000)",
    "I(1e5)": "I(1e+05)",
    "I(100000)": "I(1e+05)",
    "I(123456)": "I(123456)",
    "I(0.0001)": "I(1e-04)",
    "I(.001*x)": "I(0.001 * x)",
    "I(1e22*x)": "I(1e+22 * x)",
    "I(1200000)": "I(1200000)",
    "I(3.14159265358979)": "I(3.14159265358979)",
    "I(x*1.50)": "I(x * 1.5)",
    "I(Days^2)": "I(Days^2)",
    "I(Days**2)": "I(Days^2)",
    "I(hp / 100)": "I(hp/100)",
    "I((age-11)/2)": "I((age - 11)/2)",
    "I(a-b-c)": "I(a - b - c)",
    "I(a-(b-c))": "I(a - (b - c))",
    "I(a+(b+c))": "I(a + (b + c))",
    "I(a/(b*c))": "I(a/(b * c))",
    "I(a/b*c)": "I(a/b * c)",
    "I(-a^2)": "I(-a^2)",
    "I((-a)^2)": "I((-a)^2)",
    "I(a^b^c)": "I(a^b^c)",
    "I((a^b)^c)": "I((a^b)^c)",
    "I(-a*b)": "I(-a * b)",
    "I(-(a*b))": "I(-(a * b))",
    "I(a*-b)": "I(a * -b)",
    "I(- -a)": "I(--a)",
    "I(a%%2)": "I(a%%2)",
    "I(a % 2)": "I(a%%2)",
    "I((a+b)%%2)": "I((a + b)%%2)",
    "I(!a&b|c)": "I(!a & b | c)",
    "I(!(a&b))": "I(!(a & b))",
    "I((a>b)*c)": "I((a > b) * c)",
    "I(a>=b & c!=d)": "I(a >= b & c != d)",
    "I(a==b)": "I(a == b)",
    "bs(age,df=5)": "bs(age, df = 5)",
    "splines::bs(age, 5)": "bs(age, 5)",
    "poly(hp,3,raw=TRUE)": "poly(hp, 3, raw = TRUE)",
    "poly(hp, 3, raw=True)": "poly(hp, 3, raw = TRUE)",
    "bs(x,knots=c(-1,2.5),Boundary.knots=c(-3,3))": "bs(x, knots = c(-1, 2.5), Boundary.knots = c(-3, 3))",
    "bs(x, knots=[1, 2])": "bs(x, knots = c(1, 2))",
    "f(x, None, NULL, FALSE, Inf, -Inf)": "f(x, NULL, NULL, FALSE, Inf, -Inf)",
    "f(x, 'a\"b')": 'f(x, "a\\"b")',
    'f(x, "a\\nb")': 'f(x, "a\\nb")',
    "I(`a b`*2)": "I(`a b` * 2)",
    "exp(age / 10)": "exp(age/10)",
    "pmax(0, Days - 2)": "pmax(0, Days - 2)",
    "f()": "f()",
}  # fmt: skip


def only_factor(text: str):
    return parse(f"y ~ {text}").fixed[1].factors[0]


@pytest.mark.parametrize("text", AS_R)
def test_text_is_that_of_r(text):
    factor = only_factor(text)
    assert expression_text(factor) == AS_R[text]
    assert only_factor(AS_R[text]) == factor


def test_trees():
    x = Name("x")
    assert only_factor("bs(x, 3, knots = c(-1, 2L), f = 'a')") == Call(
        "bs", (x, Literal(3)), (("knots", Sequence((Literal(-1), Literal(2)))), ("f", Literal("a")))
    )
    assert only_factor("I(x %% 2 == 1)") == Call("I", (Operation("==", (Operation("%", (x, Literal(2))), Literal(1))),))
    assert only_factor("I(-x ^ 2)") == Call("I", (Operation("-", (Operation("**", (x, Literal(2))),)),))
    assert only_factor("(x > 2)") == Operation(">", (x, Literal(2)))
    assert only_factor("I(a | b)") == Call("I", (Operation("|", (Name("a"), Name("b"))),))


@pytest.mark.parametrize(
    ("text", "kind"), [("4", int), ("4L", int), ("4.0", float), ("1e3", float), ("12345678901234567890", float)]
)
def test_whole_numbers_stay_whole(text, kind):
    assert type(only_factor(f"f(x, {text})").arguments[1].value) is kind


def test_nodes_know_their_place():
    text = "log(y) ~ x + I(z - 2):w"
    formula = parse(text)
    places = [formula.response, *(factor for term in formula.fixed for factor in term.factors)]
    assert [text[node.start : node.stop] for node in places] == ["log(y)", "x", "I(z - 2)", "w"]
    assert Name("x", start=3, stop=4) == Name("x")


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("log(y) ~ x", "log(y)"),
        ("I(y / 1000) ~ x", "I(y/1000)"),
        ("y/1000 ~ x", "y/1000"),
        ("(y - z)^2 ~ x", "(y - z)^2"),
        ("cbind(k, n - k) ~ x", "cbind(k, n - k)"),
        ('y == "yes" ~ x', 'y == "yes"'),
        ("`my y` ~ x", "`my y`"),
    ],
)
def test_responses(text, response):
    assert expression_text(parse(text).response) == response


def test_the_response_may_be_absent():
    assert parse("~ x").response is None
    assert parse("~ x + (1 | g)") == parse("~x+(1|g)")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("y ~ x", "y x"),
        ("log(y) ~ I(x^2):z + (w | g/h) + offset(log(o))", "y x z w g h o"),
        ("y ~ x + (x | g) + (1 | x:h)", "y x g h"),
        ("y ~ . + (1 | g)", "y g"),
        ("y ~ C(f, contr.sum) + bs(x, knots = c(1, 2), df = k)", "y f x k"),
        ("~ 1", ""),
    ],
)
def test_variables(text, names):
    assert variables(parse(text)) == tuple(names.split())


def test_variables_of_parts():
    formula = parse("y ~ log(x):z + (w | g:h)")
    assert variables(formula.fixed[1]) == ("x", "z")
    assert variables(formula.fixed[1].factors[0]) == ("x",)
    assert variables(formula.bars[0]) == ("w", "g", "h")
