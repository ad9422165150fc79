"""Which random effects do the data support, and does it matter for the question?

Six workers on three machines. From a random intercept to the maximal structure: criteria, dimensions, and the F test of machines.
"""

import ranef

STRUCTURES = {
    "intercept": "(1 | Worker)",
    "interaction": "(1 | Worker) + (1 | Worker:Machine)",
    "uncorrelated": "diag(0 + Machine | Worker)",
    "maximal": "(Machine | Worker)",
}


def main() -> None:
    machines = ranef.datasets.load("Machines")
    fits = {name: ranef.lmm(f"score ~ Machine + {bars}", machines) for name, bars in STRUCTURES.items()}
    for name, m in fits.items():
        test = m.anova(ddf="kenward-roger")
        print(f"{name:<13} AIC {m.aic:7.2f}   F {test['statistic'][0]:6.2f} on {test['den_df'][0]:5.2f} df   {m.status}")
    print()
    print(ranef.re_pca(fits["maximal"]), end="\n\n")
    print(ranef.compare(fits["intercept"], fits["interaction"]))


if __name__ == "__main__":
    main()
