"""What `describe` says of a residual structure, and how comparisons, strata and the command line name it."""

import pytest

import ranef
from ranef import cli

GROWTH = "distance ~ age * Sex"


@pytest.fixture(scope="module")
def growth():
    return ranef.datasets.load("Orthodont")


def test_subjects_parameters_and_patterns(growth):
    found = ranef.describe(GROWTH, growth.drop(index=[3, 7, 9, 22, 23]), residual="un(age | Subject)")
    assert next(iter(found.residual)) == {
        "structure": "un(age | Subject)", "subject": "Subject", "subjects": 27, "parameters": 10, "visits": 4, "min_rows": 2,
        "max_rows": 4,
    }  # fmt: skip
    assert list(found.visits["subjects"]) == [23, 2, 1, 1]
    assert ["".join(found.visits[visit][i] for visit in ("8", "10", "12", "14")) for i in range(4)] == [
        "xxxx",
        "xxx.",
        "xx..",
        "x.xx",
    ]
    assert dict(zip(found.counts["quantity"], found.counts["count"], strict=True))["covariance parameters"] == 10
    assert "Visits that are there" in str(found)


def test_a_structure_by_distance_has_no_visits(growth):
    found = ranef.describe(GROWTH, growth, residual="car1(age | Subject) * ident(Sex) + nugget")
    assert found.residual["parameters"][0] == 4
    assert len(found.visits) == 0
    without = ranef.describe(GROWTH, growth)
    assert len(without.residual) == len(without.visits) == 0


def test_visits_that_nobody_has_both_of(growth):
    split = growth[((growth["age"] != 8) | (growth["Sex"] == "Male")) & ((growth["age"] != 14) | (growth["Sex"] != "Male"))]
    codes = {finding.code: finding for finding in ranef.describe(GROWTH, split, residual="un(age | Subject)").findings}
    assert codes["visits_never_together"].message == "No subject has both visits of: 8 and 14."
    assert "visits_never_together" not in {f.code for f in ranef.describe(GROWTH, split, residual="toep(age | Subject)").findings}


def test_comparisons_name_the_structure(growth):
    un = ranef.lmm(GROWTH, growth, residual="un(age | Subject)")
    text = str(ranef.compare(un.update(residual=None), un, names=["plain", "full"]))
    assert f"plain: {GROWTH}; residuals independent" in text
    assert f"full: {GROWTH}; residuals un(age | Subject)" in text
    plain = ranef.lmm(GROWTH, growth)
    assert "residuals" not in str(ranef.compare(plain.update(formula="distance ~ age"), plain))


@pytest.mark.parametrize("residual", ["un(age | Subject)", "car1(age | Subject)"])
@pytest.mark.parametrize("random", ["", " + (1 | Subject)"])
def test_between_within_has_the_strata_of_subjects(growth, residual, random):
    """nlme's lme with a random intercept has 25 df for Sex and 79 for age."""
    fit = ranef.lmm(GROWTH + random, growth, residual=residual, ddf="between-within")
    assert dict(fit.df) == {"(Intercept)": 25.0, "age": 79.0, "Sex[T.Female]": 25.0, "age:Sex[T.Female]": 79.0}


def test_independent_residuals_have_one_stratum(growth):
    fit = ranef.lmm(GROWTH, growth, residual="ident(Sex)", ddf="between-within")
    assert set(fit.df) == {104.0}


def test_command_line(capsys):
    assert cli.main(["fit", "Orthodont", GROWTH, "--residual", "ar1(age | Subject)"]) == 0
    assert "Errors:  ar1(age | Subject)" in capsys.readouterr().out
    assert cli.main(["describe", "Orthodont", GROWTH, "--residual", "un(age | Subject)"]) == 0
    assert "Visits that are there" in capsys.readouterr().out
    assert cli.main(["fit", "Orthodont", GROWTH, "--residual", "arl(age | Subject)"]) == cli.FORMULA
    assert "Did you mean ar1?" in capsys.readouterr().err
