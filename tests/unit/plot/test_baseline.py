"""A few pictures look as they did: small grey copies, compared with a tolerance that other versions of matplotlib pass.

Make them again after looking:  python -m tests.unit.plot.test_baseline
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.unit.plot.gallery import PANELS, PICTURES
from tests.unit.plot.looking import axes_of

FOLDER = Path(__file__).parent / "baseline"
SIZE = (4.6, 3.4)
CELLS = (68, 92)  # of the grey copy
TOLERANCE = 0.02  # root mean square of the difference, of 1; moving the axes by a hundredth of the figure gives 0.03 and more
NAMES = ("trajectories by", "shrinkage", "caterpillar of many", "interaction", "covariance", "qq", "residuals of many", "pooling")


def grey(drawn):
    """(68, 92) means of the darkness of blocks of pixels."""
    figure = axes_of(drawn)[0].get_figure(root=True)
    figure.set_dpi(100)
    figure.canvas.draw()
    dark = 1.0 - np.asarray(figure.canvas.buffer_rgba())[..., :3].mean(axis=2) / 255.0
    rows, columns = (np.linspace(0, n, m + 1).astype(int)[:-1] for n, m in zip(dark.shape, CELLS, strict=True))
    sums = np.add.reduceat(np.add.reduceat(dark, rows, axis=0), columns, axis=1)
    counts = np.outer(np.diff([*rows, dark.shape[0]]), np.diff([*columns, dark.shape[1]]))
    return sums / counts


def drawn(name):
    return PICTURES[name](size=SIZE) if name in PICTURES else PANELS[name](size=SIZE)


def path(name):
    return FOLDER / f"{name.replace(' ', '-')}.png"


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_looks_as_it_did(name):
    from matplotlib import pyplot

    expected = pyplot.imread(path(name))
    assert expected.shape == CELLS
    assert float(np.sqrt(np.mean((grey(drawn(name)) - expected) ** 2))) < TOLERANCE


def test_the_comparison_sees_a_change():
    from matplotlib import pyplot

    other = grey(drawn("shrinkage"))
    assert float(np.sqrt(np.mean((other - pyplot.imread(path("qq"))) ** 2))) > 3.0 * TOLERANCE
    moved = np.roll(pyplot.imread(path("shrinkage")), 1, axis=1)
    assert float(np.sqrt(np.mean((other - moved) ** 2))) > TOLERANCE


if __name__ == "__main__":
    import matplotlib as mpl

    mpl.use("Agg")
    from PIL import Image

    FOLDER.mkdir(exist_ok=True)
    for one in NAMES:
        Image.fromarray(np.rint(255.0 * grey(drawn(one))).astype(np.uint8)).save(path(one), optimize=True)
