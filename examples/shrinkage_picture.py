"""The picture of the README: what the random effects of sleepstudy do. Needs matplotlib.

python examples/shrinkage_picture.py docs/images/sleepstudy.png
"""

import sys

import matplotlib
import numpy as np

import ranef

matplotlib.use("Agg")
import matplotlib.pyplot as plt

INK, SOFT, OWN, MIXED, MEAN = "#1d2024", "#8a9199", "#d2691e", "#2563a8", "#1d2024"


def main(path: str) -> None:
    data = ranef.datasets.load("sleepstudy")
    m = ranef.lmm("Reaction ~ Days + (Days | Subject)", data)
    subjects = m.coef()["Subject"]
    own = {name: np.polyfit(rows["Days"], rows["Reaction"], 1)[::-1] for name, rows in data.groupby("Subject", observed=True)}

    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": SOFT})
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.1), width_ratios=(1.15, 1), layout="constrained")
    trajectories(left, data, m, subjects)
    shrinkage(right, m, subjects, own)
    figure.savefig(path, dpi=150)


def trajectories(axes, data, m, subjects) -> None:
    days = np.array([0.0, 9.0])
    axes.scatter(data["Days"], data["Reaction"], s=9, color=SOFT, alpha=0.55, linewidths=0)
    for intercept, slope in subjects.to_numpy():
        axes.plot(days, intercept + slope * days, color=MIXED, linewidth=1, alpha=0.55)
    intercept, slope = m.params
    axes.plot(days, intercept + slope * days, color=MEAN, linewidth=2.6)
    axes.annotate(
        "the average driver", (6.3, intercept + slope * 6.3), (2.4, 440), color=INK, arrowprops={"arrowstyle": "-", "color": SOFT}
    )
    axes.set(xlabel="Days of three hours in bed", ylabel="Reaction time (ms)", xticks=range(0, 10, 3))
    axes.set_title("A line for each of 18 drivers", loc="left", color=INK, fontweight="bold", fontsize=11)


def shrinkage(axes, m, subjects, own) -> None:
    for name, (intercept, slope) in own.items():
        there = subjects.loc[str(name)].to_numpy()
        axes.annotate(
            "", there, (intercept, slope), arrowprops={"arrowstyle": "-|>", "color": SOFT, "lw": 0.9, "shrinkA": 2, "shrinkB": 2}
        )
    axes.scatter(*np.array(list(own.values())).T, s=26, color=OWN, label="each driver's own regression", zorder=3)
    axes.scatter(*subjects.to_numpy().T, s=26, color=MIXED, label="mixed model", zorder=3)
    axes.scatter(*m.params, marker="D", s=52, color=MEAN, label="fixed effects", zorder=4)
    axes.set(xlabel="Intercept (ms)", ylabel="Slope (ms a day)")
    axes.legend(frameon=False, loc="upper right", fontsize=8.5)
    axes.set_ylim(top=30)
    axes.set_title("Each driver borrows from all the others", loc="left", color=INK, fontweight="bold", fontsize=11)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "sleepstudy.png")
