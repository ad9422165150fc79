"""Every picture can be read: labelled axes, no text over text, nothing outside of the figure, no legend over the data."""

import warnings

import matplotlib as mpl
import numpy as np
import pytest
from tests.unit.plot.gallery import PANELS, PICTURES, POWER
from tests.unit.plot.looking import axes_of, covered, outside, overlapping, rendered

import ranef

WIDTHS = {"column": (3.4, 2.7), "page": (7.0, 4.6)}


def checked(drawn):
    figure, renderer = rendered(drawn)
    assert outside(figure, renderer) == {}
    for axis in axes_of(drawn):
        assert overlapping(axis.xaxis, renderer) == []
        assert overlapping(axis.yaxis, renderer) == []
        assert not covered(axis, renderer)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_legible_at_the_width_of_a_column_and_of_a_page(name, width):
    tall = name == "caterpillar of 45"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = PICTURES[name](size=(WIDTHS[width][0], 8.0) if tall else WIDTHS[width])
        checked(drawn)
    (axis,) = axes_of(drawn)
    assert axis.get_ylabel() or axis.get_yticklabels()
    assert axis.get_xlabel() or "matrix" in name


@pytest.mark.parametrize("name", PANELS)
def test_panels_are_legible(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checked(PANELS[name]())


def test_power_curves_are_legible():
    checked(ranef.plot.power(**POWER, figsize=(3.4, 2.7)))


def test_a_picture_goes_into_the_axes_of_the_user():
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2)
    assert PICTURES["qq"](ax=left) is left
    assert PICTURES["means"](ax=right) is right
    assert figure.axes == [left, right]


def test_panels_go_into_the_axes_of_the_user_and_their_number_is_checked():
    from matplotlib import pyplot

    _, axes = pyplot.subplots(2, 1)
    drawn = PANELS["caterpillars"](ax=axes)
    assert list(drawn) == list(axes)
    with pytest.raises(ranef.ModelError, match="has 2 panels, and ax= has 1 Axes"):
        PANELS["caterpillars"](ax=axes[0])
    with pytest.raises(ranef.ModelError, match="one panel, and ax= has 2 Axes"):
        PICTURES["qq"](ax=axes)


def test_the_style_ends_with_the_picture():
    before = dict(mpl.rcParams)
    PICTURES["trajectories by"]()
    after = dict(mpl.rcParams)
    assert {key for key in before if before[key] != after[key]} <= {"backend", "backend_fallback"}


def test_series_can_be_told_apart_without_colours():
    from ranef.plot.style import DASHES, MARKS, SERIES, series

    shown = [(series(k)["marker"], str(series(k)["linestyle"])) for k in range(len(SERIES))]
    assert len(set(shown)) == len(shown) == len(MARKS) == len(DASHES)


def test_neighbouring_colours_differ_for_colour_blind_readers():
    """Distances in CIE Lab after simulating protanopia and deuteranopia, Vienot, Brettel and Mollon (1999)."""
    from matplotlib.colors import to_rgb

    from ranef.plot.style import SERIES

    from_rgb = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    protan = np.array([[0.0, 2.02344, -2.52581], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    deutan = np.array([[1.0, 0.0, 0.0], [0.494207, 0.0, 1.24827], [0.0, 0.0, 1.0]])
    linear = np.array([[c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)] for color in SERIES])
    for blindness in (protan, deutan):
        seen = np.clip(linear @ (np.linalg.inv(from_rgb) @ blindness @ from_rgb).T, 0.0, 1.0)
        lab = to_lab(seen)
        distance = np.linalg.norm(lab[:4, None] - lab[None, :4], axis=2)
        assert distance[~np.eye(4, dtype=bool)].min() > 18.0  # the first four; just noticeable is 2.3


def to_lab(rgb):
    xyz = rgb @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16.0 / 116.0)
    return np.stack([116.0 * f[:, 1] - 16.0, 500.0 * (f[:, 0] - f[:, 1]), 200.0 * (f[:, 1] - f[:, 2])], axis=1)
