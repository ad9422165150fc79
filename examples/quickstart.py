"""The first five minutes: fit, look, ask, predict, report.

Run it after `pip install .`:  python examples/quickstart.py
"""

import pandas as pd

import ranef


def main() -> None:
    data = ranef.datasets.load("sleepstudy")
    m = ranef.lmm("Reaction ~ Days + (Days | Subject)", data)
    print(m.summary(), end="\n\n")

    print(m.conf_int(), end="\n\n")
    print(m.ranef(), end="\n\n")

    new = pd.DataFrame({"Days": [0, 5, 9], "Subject": ["308", "308", "a driver we have not met"]})
    print(m.predict(new, new_levels="population", interval="prediction"))

    ranef.report(m, "report.html", data="sleepstudy")


if __name__ == "__main__":
    main()
