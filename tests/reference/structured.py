"""The residual structure that a case of nlme, mmrm or glmmTMB asks for, in our words."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import ranef

from .load import reference_case, reference_data

CORRELATIONS = {
    "AR1": "ar1", "CompSymm": "cs", "Symm": "un", "CAR1": "car1", "Exp": "sp_exp", "Gaus": "sp_gau", "Lin": "sp_lin",
    "Ratio": "sp_ratio", "ARMA": "arma11",
}  # fmt: skip
FUNCTIONS = {"Ident": "ident", "Power": "power", "Exp": "exponential", "ConstPower": "constpower"}
BY_VISIT = {
    "CS": "cs", "CSH": "csh", "AR1": "ar1", "ARH1": "ar1h", "UN": "un", "TOEP": "toep", "TOEPH": "toeph", "ADH": "adh",
    "SPEXP": "sp_exp",
}  # fmt: skip
RANDOM = {  # the random parts that nlme writes as lists
    "lme-ovary-ar1": " + (sin(2 * pi * Time) || Mare)",
    "lme-glucose2-ar1": " + (1 | Subject / Date)",
    "lme-glucose2": " + (1 | Subject / Date)",
    "lme-oats-compsymm": " + cs(0 + Variety | Block)",
}
TMB = {
    "tmb-orthodont-cs-ml": "csh(age | Subject)", "tmb-orthodont-un-reml": "un(age | Subject)",
    "tmb-scoretime-cs": "csh(visit | subject)", "tmb-scoretime-toep": "toeph(visit | subject)", "tmb-simtrial-ar1": "ar1(visit | id)",
    "tmb-simtrial-toep": "toeph(visit | id)", "tmb-simtrial-us": "un(visit | id)", "tmb-orthodont-disp-sex": "ident(Sex)",
    "tmb-sleepstudy-disp": "exponential(Days)",
}  # fmt: skip


def residual(case: dict[str, Any]) -> str | None:
    """nlme's `correlation` and `variance_function`, mmrm's `structure`, or what stands in TMB."""
    if case["id"] in TMB:
        return TMB[case["id"]]
    if case["kind"] == "mmrm":
        arm = ", by=arm" if "byarm" in case["id"] else ""
        visit = "visitn" if case["structure"] == "SPEXP" else case["visit"]
        return f"{BY_VISIT[case['structure']]}({visit} | {case['subject']}{arm})"
    correlation, variance = case.get("correlation"), case.get("variance_function")
    parts = [_correlation(correlation, variance)] if correlation else []
    general = correlation is not None and correlation.startswith("corSymm")
    for kind, form in re.findall(r"var(Ident|Power|Exp|ConstPower)\(form = ~ ([^()]*)\)", "" if general else variance or ""):
        parts.append(f"{FUNCTIONS[kind]}({form.replace('1 |', '').strip()})")
    return " * ".join(sorted(parts, key=lambda part: "nugget" in part)) or None


def _correlation(text: str, variance: str | None) -> str:
    word = CORRELATIONS[re.match(r"cor([A-Za-z1]*)\(", text)[1]]
    position, group = re.search(r"form = ~ ([^|]*) \| ([^,)]*)", text).groups()
    if word == "un" and variance is None:
        word = "cor"
    return f"{word}({position} | {group})" + (" + nugget" if "nugget = TRUE" in text else "")


@cache
def fitted_structure(case_id: str) -> Any:
    case = reference_case(case_id)
    formula = case["formula"]
    if case_id in RANDOM:
        formula += RANDOM[case_id]
    elif case["kind"] == "lme" and "|" not in formula:
        formula += f" + ({case['random'].removeprefix('~ ')})"
    elif case_id in TMB:
        formula = re.sub(r" \+ (us|cs|toep|ar1)\(.*", "", formula)
    return ranef.lmm(formula, reference_data(case["data"]), reml=case["method"] == "REML", residual=residual(case))
