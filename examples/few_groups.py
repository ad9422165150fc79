"""How much do degrees of freedom matter with six groups?

A treatment that is given to whole groups has no effect in these data. How often does each method say that it has?
"""

import numpy as np

import ranef

METHODS = ("kenward-roger", "satterthwaite", "residual", "asymptotic")


def main(replicates: int = 200) -> None:
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(6), 5)
    data = {"treated": (group % 2).astype(float), "group": group, "y": np.zeros(30)}
    m = ranef.lmm("y ~ treated + (1 | group)", {**data, "y": rng.normal(size=30)})
    rejected = dict.fromkeys(METHODS, 0)
    for _ in range(replicates):
        new = m.refit(rng.normal(0, 1, 6)[group] + rng.normal(0, 1, 30))
        for method in METHODS:
            rejected[method] += new.with_ddf(method).pvalues["treated"] < 0.05
    print(f"Rejections of a true hypothesis at 5 %, {replicates} data sets of six groups of five")
    for method, count in rejected.items():
        print(f"  {method:<15} {count / replicates:6.1%}")


if __name__ == "__main__":
    main()
