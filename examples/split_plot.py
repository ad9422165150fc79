"""Which dose of nitrogen, and does the answer depend on the variety of oats?

A split plot: varieties were given to whole plots, doses to parts of them. Each is tested against its own error.
"""

import ranef


def main() -> None:
    oats = ranef.datasets.load("Oats")
    m = ranef.lmm("yield ~ nitroF * Variety + (1 | Block / Variety)", oats, ddf="kenward-roger")
    print(m.anova(), end="\n\n")  # ten degrees of freedom for varieties, 45 for doses

    main_effects = m.update(formula="yield ~ nitroF + Variety + (1 | Block / Variety)")
    means = ranef.emmeans(main_effects, "nitroF")
    print(means.cld(), end="\n\n")
    print(means.contrast("poly"), end="\n\n")  # straight, or does it level off?
    print("Per hundredweight:", ranef.lmm("yield ~ nitro + Variety + (1 | Block / Variety)", oats).conf_int(), sep="\n")


if __name__ == "__main__":
    main()
