"""How many clinics does a trial need, and how many patients in each?

Power over a grid, for treatments of whole clinics and of patients within them. Writes power.png. Needs matplotlib.
"""

import matplotlib

import ranef

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main() -> None:
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for level, line in (("between", "-"), ("within", "--")):
        for size in (5, 20):
            clinics = range(6, 61, 2)
            known = {"effect": 0.4, "size": size, "icc": 0.1, "level": level}
            power = [ranef.power_two_level(clusters=clusters, **known)["power"][0] for clusters in clinics]
            axes.plot(clinics, power, line, label=f"{level} clinics, {size} patients each")
    axes.axhline(0.8, color="0.7", linewidth=0.8)
    axes.set(xlabel="Clinics", ylabel="Power for 0.4 standard deviations", ylim=(0, 1.02))
    axes.legend(frameon=False, fontsize=8)
    figure.savefig("power.png", dpi=150)
    for level in ("between", "within"):
        print(ranef.power_two_level(effect=0.4, size=20, icc=0.1, power=0.8, level=level), end="\n\n")


if __name__ == "__main__":
    main()
