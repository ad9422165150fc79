"""The summary says what lme4's and lmerTest's users look for, with the numbers of the fit."""

import pytest

from ranef.report import sections
from ranef.report.summary import summary


def test_sleepstudy_reads_as_published(fits):
    text = str(fits["sleepstudy"].summary())
    for line in (
        "Linear mixed model fit by REML",
        "Formula: Reaction ~ Days + (Days | Subject)",
        "Data:    180 rows; Subject: 18 levels",
        "REML criterion 1743.63   logLik -871.81   AIC 1755.63   BIC 1774.79",
        "(Intercept)   251.405       6.825  17.0  36.84  <0.001",
        "Days           10.467       1.546  17.0   6.77  <0.001",
        "          Days            35.07      5.922  0.066",
        "Residual                 654.94     25.592",
    ):
        assert line in text
    assert text.splitlines()[3].startswith("Status:  optimum")


@pytest.mark.parametrize("key", ["sleepstudy", "nested", "full", "uncorrelated", "boundary", "linear"])
def test_every_summary_fits_the_screen(fits, key):
    text = str(fits[key].summary())
    assert max(map(len, text.splitlines())) <= 80
    assert fits[key].status in text
    for term, estimate in fits[key].params.items():
        assert term in text
        assert f"{estimate:.2f}"[:-1] in text


def test_a_boundary_is_said_once_and_in_words(fits):
    text = " ".join(str(fits["boundary"].summary()).split())
    assert "Status: optimum on the boundary" in text
    assert text.count("the variance of (Intercept) in Batch is zero") == 1
    assert "Warning:" in text


def test_correlations_stand_beside_the_effects_that_they_join(fits):
    table = sections.random_effects(fits["full"])
    assert table["group"] == ["Worker", "", "", "Residual"]
    first, second = table["correlation"], table["correlation_2"]
    assert first[0] is None
    assert second[:2] == [None, None]
    pairs = {(row["term2"], row["term1"]): row["sdcor"] for row in fits["full"].varcorr if row["term2"]}
    terms = table["term"]
    assert first[1] == pairs[terms[1], terms[0]]
    assert first[2] == pairs[terms[2], terms[0]]
    assert second[2] == pairs[terms[2], terms[1]]


def test_terms_without_correlation_have_no_such_column(fits):
    assert "correlation" not in sections.random_effects(fits["nested"])
    table = sections.random_effects(fits["uncorrelated"])
    assert "correlation" not in table or all(value is None for value in table["correlation"])


def test_correlation_of_the_fixed_effects_is_optional(fits):
    assert "Correlation of the fixed" not in str(fits["full"].summary())
    text = str(summary(fits["full"], correlation=True))
    assert "Correlation of the fixed effects" in text
    cov = fits["full"].cov_params()
    expected = cov.iloc[1, 0] / (cov.iloc[0, 0] * cov.iloc[1, 1]) ** 0.5
    assert f"{expected:.3f}" in text


def test_z_tests_are_called_so(fits):
    table = sections.fixed_effects(fits["sleepstudy"].with_ddf("asymptotic"))
    assert "df" not in table
    assert table.headings["statistic"] == "z"


def test_a_linear_model_is_a_linear_model(fits):
    text = str(fits["linear"].summary())
    assert text.startswith("Linear model fit by least squares")
    assert "Random effects" not in text
    assert "Residual standard deviation 47.71 on 178 degrees of freedom" in text


def test_rows_left_out_are_counted(hostile):
    text = str(hostile.summary())
    assert "178 of 180 rows" in text
    assert "2 in " in text


def test_notebook_form_escapes(hostile):
    html = hostile.summary()._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert html == hostile._repr_html_()


def test_a_loaded_model_has_a_summary(fits, tmp_path):
    import ranef

    fits["sleepstudy"].save(tmp_path / "m.ranef")
    text = str(ranef.load(tmp_path / "m.ranef").summary())
    assert "Scaled residuals" not in text
    assert "180 rows" in text
    assert text.splitlines()[-2:] == str(fits["sleepstudy"].summary()).splitlines()[-2:]


def test_many_correlations_are_a_table_of_their_own(wide):
    assert "correlation" not in sections.random_effects(wide)
    table = sections.random_correlations(wide)
    assert [table.headings[name] for name in table.columns if name.startswith("correlation")] == ["1", "2", "3", "4", "5"]
    pairs = {(row["term2"], row["term1"]): row["sdcor"] for row in wide.varcorr if row["term2"]}
    names = [name.split(" ", 1)[1] for name in table["term"]]
    assert table["correlation_3"][4] == pairs[names[4], names[2]]
    assert table["correlation_3"][2] is None


def test_a_hard_summary_is_readable(wide):
    text = str(wide.summary())
    assert max(map(len, text.splitlines())) <= 80
    assert "Weights: w" in text
    assert "Offset:  given as numbers" in text
    assert "fit by maximum likelihood" in text
    assert "dropped: copy" in text
    assert "397 of 400 rows" in text
    assert "Fixed effects: z tests (asymptotic" in text
    fixed = text[text.index("Fixed effects") :].splitlines()
    assert sum(line.startswith("Term") for line in fixed) == 1  # folded names, no second block
    assert any(line.strip() and line.startswith("  ") for line in fixed)


def test_a_linear_model_tells_what_it_explains(fits):
    text = str(fits["linear"].summary())  # R: summary(lm(Reaction ~ Days, sleepstudy))
    assert "Multiple R2 0.2865, adjusted R2 0.2825" in text
    assert "F 71.46 on 1 and 178 degrees of freedom, p <0.001" in text


def test_a_description_shows_its_formula_and_findings_in_a_notebook():
    import ranef

    data = ranef.datasets.load("sleepstudy")
    data["twice"] = 2 * data["Days"]
    html = ranef.describe("Reaction ~ Days + twice + (1 | Subject)", data)._repr_html_()
    assert "<code>Reaction ~ Days + twice + (1 | Subject)</code>" in html
    assert 'class="badge mind"' in html
    assert html.count("<style>") == 1


def test_the_style_of_a_fragment_touches_nothing_else(fits):
    import re

    style = re.search(r"<style>(.*?)</style>", fits["full"]._repr_html_(), re.S).group(1)
    selectors = [selector.strip() for rule in re.findall(r"([^{}]+)\{", style) for selector in rule.split(",")]
    assert selectors
    assert all(selector.startswith(("div.ranef.ranef", "@media")) for selector in selectors)


def test_means_with_contrasts_show_both_tables_in_a_notebook(fits):
    import ranef

    html = ranef.emmeans(fits["full"], "pairwise ~ Machine")._repr_html_()
    assert html.count("<caption>") == 2
