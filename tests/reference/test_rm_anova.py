"""Repeated-measures ANOVA against R's afex (multivariate model) and aov (strata)."""

from __future__ import annotations

import numpy as np
import pytest

from ranef.inference.rm_anova import rm_anova
from tests.reference import compare
from tests.reference.load import reference_case, reference_cases, reference_data

COMPLETE = reference_cases("rm-anova", "anova_uncorrected")
STRATA = reference_cases("rm-anova", "strata")
COLUMNS = {
    "num_df": "num_df", "den_df": "den_df", "statistic": "f", "p_value": "p", "partial_eta_sq": "pes", "generalized_eta_sq": "ges",
}  # fmt: skip


def analysis(case_id: str, correction: str):
    case = reference_case(case_id)
    return rm_anova(
        reference_data(case["data"]), case["dv"], case["subject"], within=case.get("within", ()), between=case.get("between", ()),
        type=case["type"], correction=correction,
    )  # fmt: skip


@pytest.mark.parametrize(("correction", "table"), [("none", "anova_uncorrected"), ("gg", "anova_gg"), ("hf", "anova_hf")])
@pytest.mark.parametrize("case_id", COMPLETE)
def test_tables_of_afex(case_id: str, correction: str, table: str) -> None:
    ours, theirs = analysis(case_id, correction).table, reference_case(case_id)["results"][table]
    at = [list(ours["term"]).index(term) for term in theirs["term"]]
    assert len(at) == len(ours)
    for mine, other in COLUMNS.items():
        compare.relative(np.asarray(ours[mine], dtype=float)[at], theirs[other], 1e-9, mine, floor=1e-14)


@pytest.mark.parametrize("case_id", COMPLETE)
def test_epsilons_and_mauchly(case_id: str) -> None:
    results = reference_case(case_id)["results"]
    ours = analysis(case_id, "gg").sphericity
    at = [list(ours["term"]).index(term) for term in results["epsilon"]["term"]]
    for mine, other in (("epsilon_gg", "gg_eps"), ("epsilon_hf", "hf_eps"), ("p_gg", "gg_p"), ("p_hf", "hf_p")):
        compare.relative(np.asarray(ours[mine])[at], results["epsilon"][other], 1e-9, mine)
    at = [list(ours["term"]).index(term) for term in results["mauchly"]["term"]]
    compare.relative(np.asarray(ours["mauchly_w"])[at], results["mauchly"]["w"], 1e-9, "W")


@pytest.mark.parametrize("case_id", COMPLETE)
def test_p_of_mauchly_with_the_term_that_r_takes_from_another_dimension(case_id: str) -> None:
    """R puts the number of cells p into one term of Box's expansion, where the number of contrasts d belongs: 3 (p - d) too much."""
    from scipy.special import chdtrc

    answer, theirs = analysis(case_id, "gg"), reference_case(case_id)["results"]["mauchly"]
    ours, cells = answer.sphericity, answer.cells
    for term, p_value in zip(theirs["term"], theirs["p"], strict=True):
        i = list(ours["term"]).index(term)
        d = int(np.prod([size - 1 for name, size in zip(cells.within, cells.within_sizes, strict=True) if name in term.split(":")]))
        e = len(cells.Y) - int(np.prod(cells.between_sizes, dtype=int))
        rho, f = 1 - (2 * d * d + d + 2) / (6 * d * e), d * (d + 1) / 2 - 1
        z = -e * rho * np.log(ours["mauchly_w"][i])
        weight = (d + 2) * (d - 1) * (d - 2) * 3 * (cells.levels - d) / (288 * (e * d * rho) ** 2)
        compare.relative(ours["p_value"][i] + weight * (chdtrc(f + 4, z) - chdtrc(f, z)), p_value, 1e-9, "p")


@pytest.mark.parametrize("case_id", STRATA)
def test_strata_of_aov(case_id: str) -> None:
    case = reference_case(case_id)
    table = rm_anova(case["formula"], reference_data(case["data"]))
    ours = {(row["stratum"], row["term"]): row for row in table}
    count = 0
    for stratum in case["results"]["strata"]:
        theirs = stratum["table"]
        for i, term in enumerate(theirs["term"]):
            row = ours[stratum["stratum"], term]
            names = (("df", "df"), ("sum_sq", "sum_sq"), ("mean_sq", "mean_sq"), ("statistic", "f"), ("p_value", "p"))
            for mine, other in names:
                compare.relative(row[mine], [theirs[other][i]], 1e-9, f"{term} {mine}")
            count += 1
    assert count == len(table)
