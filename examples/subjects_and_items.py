"""Is an effect of condition general, or does it belong to the words that happened to be chosen?

Words belong to one condition each. An analysis of averages by subject takes the words for all that there are and finds effects
that other words would not show; crossed random effects of subjects and words do not.
"""

import numpy as np
import pandas as pd

import ranef


def experiment(rng: np.random.Generator, subjects: int = 20, items: int = 12) -> pd.DataFrame:
    data = pd.MultiIndex.from_product([range(subjects), range(items)], names=["subject", "item"]).to_frame(index=False)
    data["condition"] = np.where(data["item"] % 2, "new", "old")
    data["rt"] = 500 + rng.normal(0, 40, subjects)[data["subject"]] + rng.normal(0, 30, items)[data["item"]]
    return data.assign(rt=data["rt"] + rng.normal(0, 60, len(data)))


def main() -> None:
    rng = np.random.default_rng(11)
    found = np.zeros(2, dtype=int)
    for _ in range(60):
        data = experiment(rng)
        means = data.groupby(["subject", "condition"], as_index=False)["rt"].mean()
        by_subject = ranef.lmm("rt ~ condition + (1 | subject)", means)
        crossed = ranef.lmm("rt ~ condition + (1 | subject) + (1 | item)", data)
        found += [by_subject.pvalues["condition[T.old]"] < 0.05, crossed.pvalues["condition[T.old]"] < 0.05]
    print("False findings in 60 experiments without an effect, at 5 %")
    print(f"  averages by subject           {found[0]}")
    print(f"  subjects and words as random  {found[1]}")
    print(crossed.summary())


if __name__ == "__main__":
    main()
