"""The literature that a report cites: how it is cited in the text, and the entry in the list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    cited: str
    entry: str


REFERENCES = {
    "bates": Reference(
        "Bates et al., 2015",
        "Bates, D., Mächler, M., Bolker, B., & Walker, S. (2015). Fitting linear mixed-effects models using lme4. "
        "Journal of Statistical Software, 67(1), 1–48.",
    ),
    "patterson": Reference(
        "Patterson & Thompson, 1971",
        "Patterson, H. D., & Thompson, R. (1971). Recovery of inter-block information when block sizes are unequal. "
        "Biometrika, 58(3), 545–554.",
    ),
    "satterthwaite": Reference(
        "Fai & Cornelius, 1996; Satterthwaite, 1946",
        "Fai, A. H.-T., & Cornelius, P. L. (1996). Approximate F-tests of multiple degree of freedom "
        "hypotheses in generalized least "
        "squares analyses of unbalanced split-plot experiments. Journal of Statistical Computation and "
        "Simulation, 54(4), 363–378.\n"
        "Satterthwaite, F. E. (1946). An approximate distribution of estimates of variance components. Biometrics Bulletin, 2(6), "
        "110–114.",
    ),
    "kenward-roger": Reference(
        "Kenward & Roger, 1997",
        "Kenward, M. G., & Roger, J. H. (1997). Small sample inference for fixed effects from restricted maximum likelihood. "
        "Biometrics, 53(3), 983–997.",
    ),
    "knapp": Reference(
        "Knapp & Hartung, 2003",
        "Knapp, G., & Hartung, J. (2003). Improved tests for a random effects meta-regression with a single covariate. "
        "Statistics in Medicine, 22(17), 2693–2710.",
    ),
    "pinheiro": Reference(
        "Pinheiro & Bates, 2000",
        "Pinheiro, J. C., & Bates, D. M. (2000). Mixed-effects models in S and S-PLUS. Springer.",
    ),
    "sas": Reference("SAS Institute, 2023", "SAS Institute. (2023). SAS/STAT user's guide: The MIXED procedure."),
    "boundary": Reference(
        "Self & Liang, 1987; Stram & Lee, 1994",
        "Self, S. G., & Liang, K.-Y. (1987). Asymptotic properties of maximum likelihood estimators and "
        "likelihood ratio tests under "
        "nonstandard conditions. Journal of the American Statistical Association, 82(398), 605–610.\n"
        "Stram, D. O., & Lee, J. W. (1994). Variance components testing in the longitudinal mixed effects "
        "model. Biometrics, 50(4), "
        "1171–1177.",
    ),
    "nakagawa": Reference(
        "Johnson, 2014; Nakagawa et al., 2017",
        "Johnson, P. C. D. (2014). Extension of Nakagawa & Schielzeth's R²GLMM to random slopes models. Methods in Ecology and "
        "Evolution, 5(9), 944–946.\n"
        "Nakagawa, S., Johnson, P. C. D., & Schielzeth, H. (2017). The coefficient of determination R² and intra-class correlation "
        "coefficient from generalized linear mixed-effects models revisited and expanded. Journal of the Royal Society Interface, "
        "14(134), 20170213.",
    ),
    "robust": Reference(
        "Bell & McCaffrey, 2002; Pustejovsky & Tipton, 2018",
        "Bell, R. M., & McCaffrey, D. F. (2002). Bias reduction in standard errors for linear regression with multi-stage samples. "
        "Survey Methodology, 28(2), 169–181.\n"
        "Pustejovsky, J. E., & Tipton, E. (2018). Small-sample methods for cluster-robust variance "
        "estimation and hypothesis testing "
        "in fixed effects models. Journal of Business & Economic Statistics, 36(4), 672–683.",
    ),
}


def cite(key: str) -> str:
    """The citation in parentheses."""
    return f"({REFERENCES[key].cited})"


def bibliography(keys: Iterable[str]) -> list[str]:
    """The entries, in alphabetical order, each once; the software comes with its version."""
    from ranef import __version__

    entries = {entry for key in keys for entry in REFERENCES[key].entry.split("\n")}
    entries.add(f"The ranef developers. (2026). ranef: Mixed-effects models in Python (version {__version__}) [Computer software].")
    return sorted(entries, key=lambda entry: entry.removeprefix("The ").casefold())
