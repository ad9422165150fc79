"""Analysis of variance: what its hypotheses mean, and what they must not depend on."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import null_space, orth
from tests.unit.inference.examples import crossed

import ranef
from ranef.inference.estimable import Hypotheses
from ranef.inference.terms import terms_of

CODINGS = ("treatment", "sum", "helmert", "sas", "poly")


def cells(seed: int = 2, n: int = 150, drop: bool = False) -> pd.DataFrame:
    """An unbalanced two-way layout with a covariate; with `drop`, one empty cell."""
    rng = np.random.default_rng(seed)
    a, b = rng.choice(list("pqr"), n, p=[0.5, 0.3, 0.2]), rng.choice(list("uvwz"), n, p=[0.4, 0.3, 0.2, 0.1])
    x, g = rng.normal(size=n), rng.integers(0, 12, n)
    y = (a == "q") * 1.0 + (b == "v") * (a == "r") * 2 + x + rng.normal(size=12)[g] + rng.normal(size=n)
    data = pd.DataFrame({"y": y, "a": a, "b": b, "x": x, "g": g.astype(str)})
    return data[(data["a"] != "r") | (data["b"] != "z")] if drop else data


def rss(formula: str, data: pd.DataFrame) -> float:
    return float(np.sum(np.asarray(ranef.lm(formula, data).resid) ** 2))


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("method", ["satterthwaite", "kenward-roger", "containment"])
@pytest.mark.parametrize("formula", ["y ~ a * b + x + (1 | g)", "y ~ a * x + b + (x | g)", "y ~ a:b + x + (1 | g)"])
def test_coding_does_not_matter(kind: int, method: str, formula: str) -> None:
    data, tables = cells(), []
    for coding in CODINGS:
        m = ranef.lmm(formula, data, contrasts={"a": coding, "b": coding})
        tables.append(m.anova(kind, ddf=method))
    for table, name in itertools.product(tables[1:], ("num_df", "den_df", "statistic", "p_value", "sum_sq")):
        np.testing.assert_allclose(table[name], tables[0][name], rtol=1e-5, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_neither_do_reference_levels_nor_units(kind: int) -> None:
    data = cells()
    one = ranef.lmm("y ~ a * x + b + (x | g)", data).anova(kind)
    turned = data.assign(a=pd.Categorical(data["a"], categories=["r", "q", "p"]), y=data["y"] * 1e3, x=data["x"] * 1e-4)
    two = ranef.lmm("y ~ a * x + b + (x | g)", turned).anova(kind)
    np.testing.assert_allclose(two["statistic"], one["statistic"], rtol=1e-6)


def test_sequential_sums_of_squares_are_differences_of_nested_regressions() -> None:
    data = cells()
    table = ranef.lm("y ~ x + a + b + a:b", data).anova(1)
    chain = [rss(f"y ~ {right}", data) for right in ("1", "x", "x + a", "x + a + b", "x + a * b")]
    np.testing.assert_allclose(table["sum_sq"][:-1], -np.diff(chain), rtol=1e-8)
    np.testing.assert_allclose(table["sum_sq"][-1], chain[-1], rtol=1e-8)


def test_type_two_is_given_all_that_do_not_contain_the_term() -> None:
    data = cells()
    table = ranef.lm("y ~ x + a * b", data).anova(2)
    full = rss("y ~ x + a + b", data)
    wanted = [
        rss("y ~ a * b", data) - rss("y ~ x + a * b", data),
        rss("y ~ x + b", data) - full,
        rss("y ~ x + a", data) - full,
        full - rss("y ~ x + a * b", data),
    ]
    np.testing.assert_allclose(table["sum_sq"][:-1], wanted, rtol=1e-8)


def test_type_three_weighs_all_cells_equally() -> None:
    """In a full layout its hypotheses say that the unweighted means over the cells are equal."""
    data = cells()
    m = ranef.lm("y ~ a * b", data)
    grid = pd.DataFrame(list(itertools.product("pqr", "uvwz")), columns=["a", "b"])
    X = m.model.schema.apply(grid).X
    means = {
        name: np.array([X[(grid[name] == level).to_numpy()].mean(axis=0) for level in sorted(set(grid[name]))]) for name in "ab"
    }
    table = m.anova(3)
    for i, name in enumerate("ab"):
        joint = m.test(means[name][1:] - means[name][0], joint=True)
        np.testing.assert_allclose(joint["statistic"], [table["statistic"][i]], rtol=1e-8)
        assert joint["num_df"] == [table["num_df"][i]]


def test_types_agree_on_the_last_term_and_on_balanced_data() -> None:
    data = cells()
    last = [ranef.lmm("y ~ x + a * b + (1 | g)", data).anova(kind)["statistic"][-1] for kind in (1, 2, 3)]
    np.testing.assert_allclose(last, last[0], rtol=1e-8)
    oats = ranef.datasets.load("Oats").assign(dose=lambda d: d["nitro"].astype(str))
    m = ranef.lmm("yield ~ dose * Variety + (1 | Block/Variety)", oats)
    tables = [m.anova(kind, style=style)["statistic"] for kind, style in ((1, "sas"), (2, "sas"), (3, "sas"), (2, "car"))]
    for statistic in tables[1:]:
        np.testing.assert_allclose(statistic, tables[0], rtol=1e-8)


def test_roman_numbers_and_words_of_the_header() -> None:
    m = ranef.lmm("y ~ a * b + (1 | g)", cells())
    assert m.anova("III", ddf="kenward-roger").title.startswith("Type III")
    np.testing.assert_array_equal(m.anova("II")["statistic"], m.anova(2)["statistic"])
    with pytest.raises(ranef.ModelError, match="sequential"):
        m.anova(4)
    with pytest.raises(ranef.ModelError, match="car"):
        m.anova(style="spss")


def test_an_empty_cell_takes_a_degree_of_freedom_from_the_interaction() -> None:
    """Type III: what remains of a main effect is estimable, orthogonal to the interaction, and the same for every coding."""
    data = cells(drop=True)
    tables = [ranef.lmm("y ~ a * b + (1 | g)", data, contrasts={"a": c, "b": c}).anova(3) for c in ("treatment", "sum", "helmert")]
    assert list(tables[0]["num_df"]) == [2, 3, 5]
    for table in tables[1:]:
        np.testing.assert_allclose(table["statistic"], tables[0]["statistic"], rtol=1e-6)
        np.testing.assert_allclose(table["den_df"], tables[0]["den_df"], rtol=1e-4)


def third(data: pd.DataFrame, terms: list[str], term: str) -> tuple[int, float]:
    """Numerator df and F of type III of a regression of y, by SAS's parameters written out: a column for each cell of each term.

    Estimable functions are the rows of these columns. Those that involve the term and the terms that contain it only, and are
    orthogonal to those that involve the latter only, are tested.
    """

    def columns(text: str) -> np.ndarray:
        names = text.split(":")
        cells = data[[n for n in names if n != "x"]].agg("".join, axis=1) if names != ["x"] else pd.Series("", data.index)
        made = pd.get_dummies(cells).to_numpy(float)
        return made * data[["x"]].to_numpy() if "x" in names else made

    def contains(outer: str, inner: str) -> bool:
        a, b = set(outer.split(":")), set(inner.split(":"))
        return a > b and ("x" in a) == ("x" in b)

    blocks = {text: columns(text) for text in terms}
    D = np.hstack([np.ones((len(data), 1)), *blocks.values()])
    owner = np.concatenate([[""], *([text] * block.shape[1] for text, block in blocks.items())])

    def functions(inside: list[str]) -> np.ndarray:
        found = D.T @ null_space(D[:, ~np.isin(owner, inside)].T, rcond=1e-9)
        some = found.size > 0 and np.abs(found).max() > 1e-7
        return orth(found, rcond=1e-9) if some else np.zeros((D.shape[1], 0))

    above = [text for text in terms if contains(text, term)]
    own, upper = functions([term, *above]), functions(above)
    left, sizes, _ = np.linalg.svd(own - upper @ (upper.T @ own), full_matrices=False)
    L = left[:, sizes > 1e-7].T
    inverse = np.linalg.pinv(D.T @ D, rcond=1e-11)
    beta = inverse @ D.T @ data["y"].to_numpy()
    df = len(data) - np.linalg.matrix_rank(D)
    noise = np.sum((data["y"].to_numpy() - D @ beta) ** 2) / df
    return len(L), (L @ beta) @ np.linalg.solve(L @ inverse @ L.T, L @ beta) / len(L) / noise


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("formula", ["a*b*x", "a*b*c", "a*b + a*c + x"])
def test_type_three_with_empty_cells_is_that_of_the_cells_written_out(formula: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 44
    data = pd.DataFrame({name: rng.choice(list(levels), n) for name, levels in {"a": "pqr", "b": "uvwz", "c": "klm"}.items()})
    data = data[(data["a"] != "r") | (data["b"] != "u")].assign(
        x=lambda d: rng.normal(3, 2, len(d)), y=lambda d: rng.normal(size=len(d))
    )
    table = ranef.lm(f"y ~ {formula}", data.assign(x=1e5 * data["x"])).anova(3)
    terms = [text for text in table["term"] if text != "Residuals"]
    for text, num_df, statistic in zip(terms, table["num_df"], table["statistic"], strict=False):
        expected = third(data, terms, text)
        assert num_df == expected[0], text
        np.testing.assert_allclose(statistic, expected[1], rtol=1e-6, err_msg=text)


def test_units_far_from_one_add_no_degrees_of_freedom() -> None:
    """A factor of two levels has one degree of freedom, with an empty cell and a covariate 30 standard deviations from zero, too."""
    rng = np.random.default_rng(1)
    a, b = np.repeat(["p", "p", "q", "q", "q"], 8), np.repeat(["u", "w", "u", "v", "w"], 8)
    for factor in (1.0, 1e5, 1e-5):
        data = pd.DataFrame({"a": a, "b": b, "x": factor * rng.normal(60, 2, 40), "y": rng.normal(size=40)})
        assert list(ranef.lm("y ~ a * b * x", data).anova(3)["num_df"])[:7] == [1, 2, 1, 1, 1, 2, 1]


def test_rows_are_estimable() -> None:
    m = ranef.lmm("y ~ a * b + (1 | g)", cells(drop=True))
    standard = m.criterion.gram.standard
    for kind in (1, 2, 3):
        for label, L in Hypotheses.of(m).rows(kind):
            assert np.all(standard.estimable(L)), (kind, label)


def test_an_aliased_term_has_no_test() -> None:
    data = cells().assign(z=lambda d: 2 * d["x"] + 1)
    m = ranef.lmm("y ~ x + z + a + (1 | g)", data)
    table = m.anova()
    assert list(table["num_df"]) == [1, 0, 2]
    assert np.isnan(table["statistic"][1]) and np.isnan(table["p_value"][1])
    np.testing.assert_allclose(table["statistic"][0], ranef.lmm("y ~ x + a + (1 | g)", data).anova()["statistic"][0], rtol=1e-6)


def test_without_an_intercept_the_first_factor_is_tested_against_zero() -> None:
    data = cells()
    m = ranef.lmm("y ~ 0 + a + x + (1 | g)", data)
    table = m.anova(3)
    joint = m.test("a[p], a[q], a[r]", joint=True)
    np.testing.assert_allclose(table["statistic"][0], joint["statistic"][0], rtol=1e-8)
    assert list(table["num_df"]) == [3, 1]


def test_numeric_columns_of_one_term_are_tested_together() -> None:
    m = ranef.lmm("Reaction ~ poly(Days, 3) + (1 | Subject)", ranef.datasets.load("sleepstudy"))
    assert list(m.anova()["num_df"]) == [3]


def test_contrasts_that_do_not_span_the_levels_are_columns_like_any() -> None:
    data = cells()
    few = pd.DataFrame({"lin": [-1.0, 0.0, 1.0]}, index=list("pqr"))
    m = ranef.lmm("y ~ a + b + (1 | g)", data, contrasts={"a": few})
    assert list(m.anova()["num_df"]) == [1, 3]
    np.testing.assert_allclose(m.anova()["statistic"][0], m.tvalues.iloc[1] ** 2, rtol=1e-8)


def test_saved_models_answer_too(tmp_path) -> None:
    m = ranef.lmm("y ~ a * b + x + (x | g)", crossed())
    m.save(tmp_path / "model")
    loaded = ranef.load(tmp_path / "model")
    for kind, ddf in itertools.product((1, 2, 3), ("satterthwaite", "kenward-roger", "containment")):
        np.testing.assert_allclose(loaded.anova(kind, ddf)["p_value"], m.anova(kind, ddf)["p_value"], rtol=1e-6)


def test_a_model_without_terms_is_told_so() -> None:
    with pytest.raises(ranef.ModelError, match="no terms"):
        ranef.lmm("y ~ 1 + (1 | g)", crossed()).anova()


def test_bases_of_terms_are_consistent() -> None:
    """X = plain C = full B and full = plain A, whatever the coding: so C = A B."""
    for coding, formula in itertools.product(CODINGS, ("y ~ a * b + x:a", "y ~ 0 + a:b", "y ~ a + x + poly(x, 2):b")):
        m = ranef.lm(formula, cells(), contrasts={"a": coding, "b": coding} if "b" in formula else {"a": coding})
        _, terms = terms_of(m.model.schema, set(m.criterion.gram.standard.kept))
        np.testing.assert_allclose(terms.full @ terms.cells, terms.coded, atol=1e-12)


def test_coefficients_of_raw_years_are_determined() -> None:
    """A coefficient's own test is t^2, whatever the origin of a covariate and its square."""
    rng = np.random.default_rng(1)
    g, x = rng.integers(0, 8, 120), rng.normal(size=120)
    y = x + rng.normal(size=8)[g] + rng.normal(size=120)
    for year in (x, x + 2000.0, (x + 2000.0) * 1e3):
        m = ranef.lmm("y ~ x + I(x^2) + (1 | g)", pd.DataFrame({"y": y, "x": year, "g": [f"g{i}" for i in g]}))
        table = m.anova(3, "asymptotic", style="car")
        assert list(table["df"]) == [1, 1, 1]
        np.testing.assert_allclose(table["statistic"], m.tvalues.to_numpy() ** 2, rtol=1e-8)
