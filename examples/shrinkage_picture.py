"""The picture of the README: what the random effects of sleepstudy do. Needs matplotlib.

python examples/shrinkage_picture.py docs/images/sleepstudy.png
"""

import sys

import matplotlib

import ranef

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main(path: str) -> None:
    m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    plt.rcParams.update(
        {"axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left", "axes.titleweight": "bold"}
    )
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.1), width_ratios=(1.15, 1), layout="constrained")
    ranef.plot.trajectories(m, ax=left)
    ranef.plot.shrinkage(m, ax=right)
    left.set(title="A line for each of 18 drivers", xlabel="Days of three hours in bed", ylabel="Reaction time (ms)")
    right.set(title="Each driver borrows from all the others", xlabel="Intercept (ms)", ylabel="Slope (ms a day)", ylim=(None, 30))
    right.legend(loc="upper right", frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "sleepstudy.png")
