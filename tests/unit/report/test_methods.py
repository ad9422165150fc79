"""The paragraph for a paper says what was done, in sentences that can be printed."""

import re

import numpy as np
import pytest

import ranef
from ranef.report.methods import DDF, keys, paragraph
from ranef.report.references import REFERENCES, bibliography, cite

KEYS = ["sleepstudy", "nested", "full", "uncorrelated", "boundary", "linear"]


@pytest.mark.parametrize("key", [*KEYS, "hostile", "wide"])
def test_sentences_are_whole(fits, hostile, wide, key):
    text = paragraph({**fits, "hostile": hostile, "wide": wide}[key])
    assert text.endswith(".")
    assert "  " not in text
    assert "None" not in text
    assert not re.search(r"\b1 (rows|levels|observations)\b|\.\.|,\.| ,|\(\)", text)
    assert text.count("(") == text.count(")")
    assert all(sentence[0].isupper() for sentence in text.split(". "))


def test_the_fit_is_described(fits, wide):
    text = paragraph(fits["sleepstudy"])
    assert "with Days as fixed effect and random intercepts and slopes of Days by Subject, with an unstructured covariance" in text
    assert "180 observations in 18 levels of Subject" in text
    assert "restricted maximum likelihood (REML)" in text
    assert "degrees of freedom by Satterthwaite's method (Fai & Cornelius, 1996; Satterthwaite, 1946)" in text
    assert f"ranef {ranef.__version__} in Python" in text
    assert np.__version__ in text
    assert "by Subject, uncorrelated" in paragraph(fits["uncorrelated"])
    assert "the fit is singular" in paragraph(fits["boundary"])
    assert "We regressed Reaction on Days by ordinary least squares." in paragraph(fits["linear"])
    assert "178 residual degrees of freedom" in paragraph(fits["linear"])
    hard = paragraph(wide)
    assert "We left out 3 rows with missing values in a_covariate_with_a_name_0." in hard
    assert "We dropped copy, which is a linear combination of other predictors." in hard
    assert "were estimated by maximum likelihood" in hard
    assert "weighted by w" in hard
    assert "An offset entered the mean" in hard
    assert "asymptotic" in hard


@pytest.mark.parametrize("ddf", [ddf for ddf in DDF if ddf != "knapp-hartung"])
def test_every_method_is_cited(fits, ddf):
    text = paragraph(fits["nested"].with_ddf(ddf))
    assert cite(DDF[ddf][1]) in text
    assert DDF[ddf][1] in keys(fits["nested"].with_ddf(ddf))


def test_the_list_holds_what_is_cited_and_nothing_else(fits):
    found = keys(fits["sleepstudy"])
    assert found == ["bates", "patterson", "satterthwaite", "boundary", "nakagawa"]
    entries = bibliography(found)
    assert len(entries) == 8 + 1
    assert entries == sorted(entries, key=lambda entry: entry.removeprefix("The ").casefold())
    assert keys(fits["linear"]) == []


def test_untested_random_effects_are_not_said_to_be_tested(fits):
    assert "boundary" not in keys(fits["sleepstudy"], tested=False)
    assert "nakagawa" not in keys(fits["sleepstudy"], effect_sizes=False)


def test_references_have_year_and_end():
    for reference in REFERENCES.values():
        assert all(re.search(r"\(\d{4}\)", entry) and entry.endswith(".") for entry in reference.entry.split("\n"))
