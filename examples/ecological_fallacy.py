"""Does weight raise blood pressure, if hospitals with heavier patients have lower pressure?

Two effects of one covariate, within and between hospitals, with opposite signs.
"""

import numpy as np

import ranef


def main() -> None:
    rng = np.random.default_rng(4)
    hospital = np.repeat(np.arange(12), 15)
    mean = rng.normal(80, 8, 12)[hospital]
    weight = mean + rng.normal(0, 6, 180)
    bp = 130 + 0.5 * (weight - mean) - 1.0 * (mean - 80) + rng.normal(0, 3, 12)[hospital] + rng.normal(0, 5, 180)
    data = {"bp": bp, "weight": weight, "hospital": hospital}

    print("ignoring hospitals    ", round(float(ranef.lm("bp ~ weight", data).params["weight"]), 2))
    m = ranef.lmm("bp ~ weight + (1 | hospital)", data)
    print("one slope for both    ", round(float(m.params["weight"]), 2))
    print(ranef.contextual(m, "weight"), end="\n\n")
    print(ranef.hausman(m))


if __name__ == "__main__":
    main()
