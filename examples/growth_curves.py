"""Do boys grow faster than girls? A picture of each child's line, and a test of the difference of the slopes.

Writes growth.png. Needs matplotlib.
"""

import matplotlib

import ranef

matplotlib.use("Agg")


def main() -> None:
    children = ranef.datasets.load("Orthodont")
    m = ranef.lmm("distance ~ center(age) * Sex + (center(age) | Subject)", children, ddf="kenward-roger")
    slopes, difference = ranef.emtrends(m, "age", "pairwise ~ Sex")
    print(slopes, difference, sep="\n\n", end="\n\n")
    print(ranef.emmeans(m, "pairwise ~ Sex | age", at={"age": [8, 14]})[1])

    ax = ranef.plot.trajectories(ranef.lmm("distance ~ age * Sex + (age | Subject)", children), by="Sex")
    figure = ax.figure if hasattr(ax, "figure") else ax[0].figure
    figure.savefig("growth.png", dpi=150)


if __name__ == "__main__":
    main()
