"""The pictures of the tutorial. Needs matplotlib.

    python docs/pictures.py [FOLDER [NAME ...]]

draws those that are named, or all, into the folder, or docs/images/tutorial. They stand in the repository, so that the pages can be
read without a build; a test draws each of them again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
from scipy import stats

import ranef

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FOLDER = Path(__file__).parent / "images" / "tutorial"
BLUE, RED, GREEN, INK, GREY, PALE = "#0072B2", "#D55E00", "#009E73", "#1a1c1f", "#6b7178", "#c9cdd2"
NINE = plt.get_cmap("viridis")(np.linspace(0, 0.92, 9))
STYLE = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": GREY, "axes.labelcolor": INK,
    "axes.titlesize": 9.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "legend.frameon": False, "legend.fontsize": 8,
    "xtick.color": GREY, "ytick.color": GREY, "xtick.labelcolor": INK, "ytick.labelcolor": INK, "lines.linewidth": 1.6,
}  # fmt: skip
DRAWN = {}


def picture(draw):
    DRAWN[draw.__name__.replace("_", "-")] = draw
    return draw


def panels(*titles, height=3.1, ratios=None, sharey=False):
    figure, axes = plt.subplots(1, len(titles), figsize=(8.2, height), layout="constrained", width_ratios=ratios, sharey=sharey)
    axes = np.atleast_1d(axes)
    for panel, title in zip(axes, titles, strict=True):
        panel.set_title(title)
    return figure, axes


def load(name="square"):
    return ranef.datasets.load(name)


def dots(axes, x, y, color=GREY, **options):
    axes.scatter(x, y, **{"s": 14, "color": color, "alpha": 0.75, "linewidths": 0, **options})


# -- regression


# -- groups


def by(data, column):
    return list(data.groupby(column, observed=True))


def of_groups(axes, data, m, x="age"):
    for place, (name, part) in enumerate(by(data, "group")):
        dots(axes, part[x], part["score"], NINE[place % 9])
        ends = np.array([part[x].min(), part[x].max()])
        axes.plot(ends, m.predict({x: ends, "group": [name] * 2}), color=NINE[place % 9])
    axes.set_xlabel("Age (years)")


@picture
def groups_fixed():
    data = load()
    figure, axes = panels("age + group: parallel lines", "age * group: a slope for each", sharey=True)
    for panel, formula in zip(axes, ("score ~ age + group", "score ~ age * group"), strict=True):
        of_groups(panel, data, ranef.lm(formula, data))
    axes[0].set_ylabel("Score")
    return figure


@picture
def random_intercept():
    data = load()
    m = ranef.lmm("score ~ age + (1 | group)", data)
    figure, (left, right) = panels("A random intercept for each group", "are draws from a distribution", ratios=(1.3, 1))
    of_groups(left, data, m)
    ends = np.array([20.0, 92.0])
    left.plot(ends, m.params["(Intercept)"] + m.params["age"] * ends, color=INK, linewidth=2.6)
    left.annotate("average group", (82, 16.9), (68, 12.2), color=INK, arrowprops={"arrowstyle": "-", "color": GREY})
    left.set_ylabel("Score")
    effects = m.ranef().frame
    sd = m.varcorr["sdcor"][0]
    grid = np.linspace(-3 * sd, 3 * sd, 200)
    right.fill_betweenx(grid, stats.norm.pdf(grid, 0, sd) / stats.norm.pdf(0, 0, sd), color=PALE, alpha=0.5, linewidth=0)
    for place, row in effects.iterrows():
        at = 0.08 + 0.1 * place
        right.errorbar(at, row["estimate"], 1.96 * row["std_error"], color=NINE[place], fmt="o", markersize=5, linewidth=1.6)
        right.text(at + 0.02, row["estimate"] + 0.35, row["level"], color=NINE[place], fontsize=8)
    right.axhline(0, color=INK, linewidth=1)
    right.set(ylabel="Deviation of the group (points)", xticks=[], xlabel="Normal density, and the nine groups")
    return figure


@picture
def within_between():
    data = load()
    m = ranef.lmm("score ~ between(age, group) + within(age, group) + (1 | group)", data)
    figure, (axes,) = panels("Slopes within groups, and of the groups' means", height=3.6)
    for place, (name, part) in enumerate(by(data, "group")):
        dots(axes, part["age"], part["score"], NINE[place], alpha=0.5)
        x, y = part["age"].mean(), part["score"].mean()
        ends = np.array([part["age"].min(), part["age"].max()])
        axes.plot(ends, y + m.params["within(age, group)"] * (ends - x), color=NINE[place], linewidth=1.2)
        axes.plot(x, y, "D", color=NINE[place], markersize=8, markeredgecolor="white")
        axes.text(x + 1.2, y + 0.25, name, color=NINE[place])
    ends = np.array([44.0, 74.0])
    axes.plot(
        ends, m.params["(Intercept)"] + m.params["between(age, group)"] * ends, color=RED, linewidth=2.4, linestyle=(0, (5, 2))
    )
    axes.text(74.5, m.params["(Intercept)"] + m.params["between(age, group)"] * 74, "between", color=RED, va="center",
              bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
    axes.set(xlabel="Age (years); diamonds: means of the groups", ylabel="Score")
    return figure


@picture
def design_effect():
    rho = np.linspace(0, 0.98, 200)
    figure, (axes,) = panels("30 clusters of 20: standard error of a difference between halves", height=3.1)
    between = 2 * np.sqrt((rho + (1 - rho) / 20) / 30)
    within = 2 * np.sqrt((1 - rho) / 600)
    axes.plot(rho, between, color=RED)
    axes.plot(rho, within, color=BLUE, linestyle=(0, (5, 2)))
    axes.text(0.6, between[122] + 0.012, "between clusters", color=RED, ha="right")
    axes.text(0.6, within[122] + 0.015, "within clusters", color=BLUE)
    axes.set(xlabel="Intraclass correlation", ylabel="Standard error (SD of a row)", ylim=(0, None))
    return figure


@picture
def random_slopes():
    data = load("square_slopes")
    m = ranef.lmm("score ~ age + (age | group)", data)
    centred = ranef.lmm("score ~ center(age) + (center(age) | group)", data)
    figure, (lines, zero, mean) = panels(
        "A line for each of 18 groups", "Zero is age 0", "Zero is the mean age", ratios=(1.5, 1, 1)
    )
    dots(lines, data["age"], data["score"], PALE, s=9)
    for name, (intercept, slope) in m.coef()["group"].iterrows():
        part = data[data["group"] == name]["age"]
        ends = np.array([part.min(), part.max()])
        lines.plot(ends, intercept + slope * ends, color=BLUE, alpha=0.6, linewidth=1.1)
    ends = np.array([22.0, 90.0])
    lines.plot(ends, m.params["(Intercept)"] + m.params["age"] * ends, color=INK, linewidth=2.6)
    lines.set(xlabel="Age (years)", ylabel="Score")
    for axes, fit in ((zero, m), (mean, centred)):
        dots(axes, *fit.coef()["group"].to_numpy().T, BLUE, s=22)
        axes.axhline(0, color=PALE, linewidth=0.8)
        axes.set_xlabel(f"Intercept\ncorrelation {fit.varcorr['sdcor'][2]:.2f}")
    zero.set_ylabel("Slope (points a year)")
    return figure


@picture
def boundary():
    m = ranef.lmm("Yield ~ 1 + (1 | Batch)", load("Dyestuff"))
    rng = np.random.default_rng(1)
    ratios = []
    for _ in range(1500):
        new = m.refit(rng.normal(size=m.nobs))
        ratios.append(max(0.0, ranef_ratio(new)))
    ratios = np.array(ratios)
    figure, (axes,) = panels("Likelihood ratio in 1,500 data sets without a variance between six batches", height=3.1)
    edges = np.linspace(0, 6, 25)
    axes.hist(ratios, edges, density=True, color=PALE)
    grid = np.linspace(0.06, 6, 300)
    axes.plot(grid, 0.5 * stats.chi2.pdf(grid, 1), color=BLUE, label="half of chi-squared with 1 df (the other half is 0)")
    axes.plot(grid, stats.chi2.pdf(grid, 1), color=RED, linestyle=(0, (5, 2)), label="chi-squared with 1 df: naive")
    axes.annotate(
        f"{np.mean(ratios < 1e-6):.0%} are exactly 0", (0.2, 1.55), (1.1, 1.5), arrowprops={"arrowstyle": "-", "color": GREY}
    )
    axes.set(xlabel="Likelihood ratio", ylabel="Density", ylim=(0, 1.8))
    axes.legend(loc="center right")
    return figure


def ranef_ratio(m):
    """Restricted likelihood ratio of the one variance of a fit."""
    return m.deviance_at([0.0]) - m.deviance


@picture
def nesting():
    pastes, penicillin = load("Pastes"), load("Penicillin")
    figure, (left, right) = panels("Nested: each cask in one batch", "Crossed: each sample on each plate", height=3.0)
    for axes, rows, columns in (
        (left, pastes["sample"], pastes["batch"]),
        (right, penicillin["sample"], penicillin["plate"]),
    ):
        table = np.zeros((rows.cat.categories.size, columns.cat.categories.size))
        np.add.at(table, (rows.cat.codes.to_numpy(), columns.cat.codes.to_numpy()), 1)
        table = (table.T if axes is left else table) > 0
        axes.pcolormesh(np.where(table, 1.0, np.nan), cmap="Blues", vmin=0, vmax=1.4, edgecolor="white", linewidth=1)
        axes.set(xticks=[], yticks=np.arange(len(table)) + 0.5, ylim=(len(table), 0))
    left.set(xlabel="30 casks", ylabel="Batch", yticklabels=pastes["batch"].cat.categories)
    right.set(xlabel="24 plates", ylabel="Sample", yticklabels=penicillin["sample"].cat.categories)
    return figure


# -- time


@picture
def growth():
    data = load("square_growth")
    m = ranef.lmm("score ~ month + (month | patient)", data)
    coef = m.coef()["patient"]
    figure, axes = plt.subplots(2, 5, figsize=(8.2, 3.9), layout="constrained", sharex=True, sharey=True)
    ends = np.array([0.0, 9.0])
    average = m.params["(Intercept)"] + m.params["month"] * ends
    for panel, (name, part) in zip(axes.flat, by(data, "patient"), strict=False):
        panel.plot(ends, average, color=PALE, linewidth=1.2)
        dots(panel, part["month"], part["score"], GREY, s=10)
        panel.plot(ends, coef.loc[name].iloc[0] + coef.loc[name].iloc[1] * ends, color=BLUE)
        panel.set_title(f"patient {name}", fontweight="normal")
    last = axes.flat[-1]
    for intercept, slope in coef.to_numpy():
        last.plot(ends, intercept + slope * ends, color=BLUE, alpha=0.45, linewidth=1)
    last.plot(ends, average, color=INK, linewidth=2.6)
    last.set_title("all, and the average", fontweight="normal")
    figure.supxlabel("Month", fontsize=9)
    figure.supylabel("Score", fontsize=9)
    return figure


@picture
def covariance():
    lag = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    sd = np.array([1.0, 1.2, 1.45, 1.75])
    free = np.array([[1, 0.75, 0.5, 0.55], [0.75, 1, 0.7, 0.35], [0.5, 0.7, 1, 0.8], [0.55, 0.35, 0.8, 1]])
    toeplitz = np.array([1, 0.7, 0.3, 0.4])[lag]
    compound = np.where(lag == 0, 1, 0.6)
    shown = {
        "cs": compound, "csh": compound * np.outer(sd, sd), "ar1": 0.7**lag, "ar1h": 0.7**lag * np.outer(sd, sd),
        "toep": toeplitz, "un": free * np.outer(sd, sd),
    }  # fmt: skip
    figure, axes = plt.subplots(1, 6, figsize=(8.2, 1.9), layout="constrained")
    for panel, (name, matrix) in zip(axes, shown.items(), strict=True):
        panel.imshow(matrix, cmap="Blues", vmin=0, vmax=3.2)
        for (i, j), value in np.ndenumerate(matrix):
            panel.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=7, color="white" if value > 1.8 else INK)
        panel.set(xticks=[], yticks=[], title=name)
        panel.spines[:].set_visible(False)
    return figure


def save(draw, path: Path) -> None:
    """A PNG of few colours, which is small."""
    from io import BytesIO

    from PIL import Image

    with plt.rc_context(STYLE):
        figure = draw()
        raw = BytesIO()
        figure.savefig(raw, dpi=125)
        plt.close(figure)
    Image.open(raw).convert("RGB").quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)


def main(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or DRAWN:
        save(DRAWN[name], folder / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER, sys.argv[2:])
