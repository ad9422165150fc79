"""Does a single driver decide what we say about all of them?

Influence of each cluster on the fixed effects and on the variances, and the fit without the most influential one.
"""

import ranef


def main() -> None:
    data = ranef.datasets.load("sleepstudy")
    m = ranef.lmm("Reaction ~ Days + (Days | Subject)", data)
    table = ranef.influence(m, "Subject").table.frame.sort_values("cooks_distance", ascending=False)
    print(table.head(5).round(3).to_string(index=False), end="\n\n")

    most = table["Subject"].iloc[0]
    without = m.update(data=data[data["Subject"] != most])
    print(f"{'':22}{'all drivers':>14}{'without ' + str(most):>14}")
    for name in ("(Intercept)", "Days"):
        print(f"{name:<22}{m.params[name]:>14.2f}{without.params[name]:>14.2f}")
    for name, one, other in zip(("sd intercept", "sd slope"), m.varcorr["sdcor"], without.varcorr["sdcor"], strict=False):
        print(f"{name:<22}{one:>14.2f}{other:>14.2f}")


if __name__ == "__main__":
    main()
