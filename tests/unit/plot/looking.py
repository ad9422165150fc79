"""What can be seen of a picture without comparing pixels: text that overlaps, data that a legend covers, artists outside."""

from __future__ import annotations

from itertools import combinations

import numpy as np


def axes_of(drawn):
    return list(np.ravel(np.asarray(drawn, dtype=object)))


def rendered(drawn):
    """The figure of the axes, drawn once, and its renderer."""
    figure = axes_of(drawn)[0].get_figure(root=True)
    figure.canvas.draw()
    return figure, figure.canvas.get_renderer()


def overlapping(axis, renderer):
    """Pairs of drawn tick labels of one axis whose boxes overlap by more than a hair; labels at an angle are not looked at."""
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high and tick.label1.get_visible()]
    shown = [tick.label1 for tick in ticks if tick.label1.get_text() and tick.label1.get_rotation() % 90.0 == 0.0]
    boxes = [label.get_window_extent(renderer).padded(-1.0) for label in shown]
    return [
        (shown[a].get_text(), shown[b].get_text()) for a, b in combinations(range(len(boxes)), 2) if boxes[a].overlaps(boxes[b])
    ]


def outside(figure, renderer, margin=0.02):
    """By how many inches what is drawn reaches beyond the left, bottom, right and top of the figure; empty when it does not."""
    box, (width, height) = figure.get_tightbbox(renderer), figure.get_size_inches()
    beyond = {"left": -box.x0, "bottom": -box.y0, "right": box.x1 - width, "top": box.y1 - height}
    return {side: round(float(by), 3) for side, by in beyond.items() if by > margin}


def covered(axis, renderer):
    """Whether the legend lies over the part of the axes where data are."""
    legend = axis.get_legend()
    return legend is not None and legend.get_window_extent(renderer).padded(-1.0).overlaps(axis.get_window_extent(renderer))


def points_of(axis):
    """(n, 2) the offsets of all scatters."""
    from matplotlib.collections import PathCollection

    found = [np.asarray(c.get_offsets()) for c in axis.collections if type(c) is PathCollection]
    return np.concatenate(found) if found else np.zeros((0, 2))


def segments_of(axis):
    """All segments of line collections."""
    from matplotlib.collections import LineCollection

    return [segment for c in axis.collections if isinstance(c, LineCollection) for segment in c.get_segments()]


def caption_of(drawn):
    """The words of all captions."""
    figure = axes_of(drawn)[0].get_figure(root=True)
    return " ".join(" ".join(t.get_text().split()) for t in figure.findobj(lambda artist: artist.get_gid() == "caption"))
