"""Growth of rats: random slopes, a variance that grows with the mean, and correlation over time (Pinheiro and Bates 2000, section 5.3).

Figures of nlme 3.1-162 in R 4.2.2; `residual=` stands for its `weights` and `correlation`:

    lme(weight ~ Time * Diet, BodyWeight, random = ~ Time, weights = varPower(), correlation = corExp(form = ~ Time))

nlme alternates between the fit and the fitted values until both change by less than 1e-6, so that its figures belong to variances that
have settled to about that; without `varPower` the log likelihood is that of a maximum.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import ranef

from .compare import likelihood, relative, within
from .load import reference_data

FIGURES = {
    None: {
        "llf": -575.8598744100, "beta": [251.651651561476, 0.359639113344, 200.665486459926, 252.071677768072, 0.605839157021, 0.298337519109],
        "se": [13.09402484505, 0.09113974121, 22.67951630719, 22.67951630719, 0.15785866237, 0.15785866237],
        "sd": [36.9390723, 0.2484113], "cor": -0.149, "sigma": 4.443605241, "parameters": {},
    },
    "power(fitted)": {
        "llf": -570.9607109153, "beta": [251.602146066880, 0.361087944588, 200.776971987690, 252.170167147966, 0.601828602052, 0.295235343566],
        "se": [13.06736943461, 0.08837761887, 22.65630772043, 22.66166231488, 0.15542298778, 0.15589109759],
        "sd": [36.8981179, 0.2436506], "cor": -0.145, "sigma": 0.1751734704, "parameters": {"power(fitted)": 0.5428417814},
    },
    "sp_exp(Time | Rat)": {
        "llf": -566.0295900629, "beta": [251.592449277841, 0.360296115082, 200.688908457925, 252.315194913840, 0.625517517510, 0.310945257334],
        "se": [13.1167399917, 0.0904677891, 22.7188600953, 22.7188600953, 0.1566948072, 0.1566948072],
        "sd": [36.9746831, 0.2434623], "cor": -0.149, "sigma": 4.550111517, "parameters": {"range": 3.650437821539},
    },
    "sp_exp(Time | Rat) * power(fitted)": {
        "llf": -560.5702080686, "beta": [251.486768768015, 0.362586565447, 200.785545890444, 252.589896424574, 0.624020857594, 0.306561829729],
        "se": [13.08680289357, 0.08590215951, 22.70721324448, 22.71706425455, 0.15302102292, 0.15387681247],
        "sd": [36.9191320, 0.2328145], "cor": -0.147, "sigma": 0.138387208,
        "parameters": {"range": 4.8863866210, "power(fitted)": 0.5943424138},
    },
}  # fmt: skip


@cache
def fitted(residual: str | None) -> ranef.Fit:
    return ranef.lmm("weight ~ Time * Diet + (Time | Rat)", reference_data("BodyWeight"), residual=residual)


@pytest.mark.parametrize("residual", FIGURES, ids=str)
def test_fit_of_nlme(residual: str | None) -> None:
    m, theirs = fitted(residual), FIGURES[residual]
    assert m.status == "optimum"
    likelihood(m.llf, theirs["llf"], "log likelihood", sign=+1)
    within(m.llf, theirs["llf"], 1e-6, "log likelihood")
    within(m.params, theirs["beta"], 1e-5 * np.array(theirs["se"]), "estimate")
    relative(m.bse, theirs["se"], 1e-5, "standard error")
    relative(m.sigma, theirs["sigma"], 1e-4, "sigma")
    components = {row["term1"]: row["sdcor"] for row in m.varcorr if row["group"] == "Rat" and row["term2"] is None}
    relative(list(components.values()), theirs["sd"], 1e-5, "standard deviation")
    (correlation,) = [row["sdcor"] for row in m.varcorr if row["group"] == "Rat" and row["term2"] is not None]
    within(correlation, theirs["cor"], 5e-4, "correlation")
    if residual:
        ours = {row["term"]: row["estimate"] for row in m.residual_parameters()}
        for name, value in theirs["parameters"].items():
            relative(ours[name], value, 5e-5, name)


def test_published_log_likelihood() -> None:
    assert f"{fitted('sp_exp(Time | Rat) * power(fitted)').llf:.4f}" == "-560.5702"
