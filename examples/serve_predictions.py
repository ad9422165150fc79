"""How does a service predict without the data that the model was fitted to?

Saves a fit (sums, no rows), reads it in another process's place, and predicts known and new levels with intervals.
"""

from pathlib import Path

import ranef


def train(path: str) -> None:
    ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy")).save(path)


def serve(path: str, request: dict) -> dict:
    m = ranef.load(path)
    return m.predict(request, new_levels="population", interval="prediction")


def main() -> None:
    train("sleep.ranef")
    print(f"{Path('sleep.ranef').stat().st_size} bytes")
    answer = serve("sleep.ranef", {"Days": [3, 9, 9], "Subject": ["308", "308", "a new driver"]})
    for fit, low, high in zip(answer["fit"], answer["conf_low"], answer["conf_high"], strict=True):
        print(f"{fit:6.1f} ms   ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
