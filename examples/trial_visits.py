"""Does a drug change how patients do at the last visit, when some leave early and visits correlate in their own way?

A mixed model for repeated measures: visits as a factor, an unstructured covariance, Kenward and Roger's tests; and what happens
if the correlation is ignored or taken for the same everywhere.
"""

import numpy as np
import pandas as pd

import ranef

COVARIANCE = [[9, 6, 5, 4], [6, 10, 7, 6], [5, 7, 12, 9], [4, 6, 9, 14]]


def trial(rng: np.random.Generator, patients: int = 60) -> pd.DataFrame:
    patient, visit = (grid.ravel() for grid in np.indices((patients, 4)))
    drug = patient % 2
    noise = rng.normal(size=(patients, 4)) @ np.linalg.cholesky(COVARIANCE).T
    data = pd.DataFrame({"patient": patient, "visit": visit, "arm": pd.Categorical.from_codes(drug, ["placebo", "drug"])})
    data["y"] = 40 + 0.5 * visit + 0.8 * drug * visit + noise.ravel()
    stays = 1 + rng.geometric(0.12, patients)[patient]
    return data[visit < stays]


def main() -> None:
    data = trial(np.random.default_rng(21))
    m = ranef.mmrm("y ~ arm * factor(visit)", data, subject="patient", visit="visit", cov="un")
    print(ranef.emmeans(m, "revpairwise ~ arm | visit")[1].confint(), end="\n\n")
    print(m.residual_covariance(correlation=True), end="\n\n")
    for word in ("id", "cs", "ar1h", "un"):
        fit = m.update(residual=f"{word}(visit | patient)")
        last = ranef.emmeans(fit, "revpairwise ~ arm | visit")[1]
        print(f"{word:<5} AIC {fit.aic:7.1f}   last visit {last['estimate'][-1]:.2f} +- {last['std_error'][-1]:.2f}")


if __name__ == "__main__":
    main()
