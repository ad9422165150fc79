"""How pictures look: colours that colour-blind readers tell apart, lines and marks that survive a printer without colours.

The colours are those of Okabe and Ito (2008), "Color universal design", https://jfly.uni-koeln.de/color/, without yellow, which is
too pale on white. Series differ in mark and line, too. All of it holds within `style()` only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ranef.errors import ModelError

BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
INK, GREY, PALE = "#1a1c1f", "#6b7178", "#c9cdd2"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, INK)
MARKS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1.5, 1.5)),
    (0, (6, 2, 1.5, 2)),
    (0, (9, 3)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (1, 3)),
)

RC: dict[str, Any] = {
    "figure.facecolor": "white", "figure.dpi": 110,
    "figure.constrained_layout.h_pad": 0.06, "figure.constrained_layout.w_pad": 0.06,
    "font.size": 9.0, "text.color": INK, "mathtext.default": "regular",
    "axes.facecolor": "white", "axes.edgecolor": GREY, "axes.labelcolor": INK, "axes.linewidth": 0.8, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.labelsize": 9.0, "axes.titlesize": 9.0, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.formatter.limits": (-4, 5), "axes.formatter.useoffset": False,
    "xtick.color": GREY, "ytick.color": GREY, "xtick.labelcolor": INK, "ytick.labelcolor": INK, "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0, "xtick.major.size": 3.0, "ytick.major.size": 3.0,
    "legend.frameon": False, "legend.fontsize": 8.0, "legend.title_fontsize": 8.0, "lines.linewidth": 1.4, "lines.markersize": 4.0,
    "patch.linewidth": 0.8,
}  # fmt: skip


@contextmanager
def style() -> Iterator[None]:
    """matplotlib's defaults with `RC` on top, until the end of the block.

    Raises ModelError where matplotlib is not installed.
    """
    try:
        from matplotlib import style as styles
    except ImportError as problem:
        raise ModelError(
            f"Pictures need the package matplotlib ({problem}).", hint="Install it: pip install 'ranef[plot]'."
        ) from None
    with styles.context(RC, after_reset=True):
        yield


def series(place: int) -> dict[str, Any]:
    """Colour, mark and line of the series at a place; they repeat when there are more than seven."""
    place %= len(SERIES)
    return {"color": SERIES[place], "marker": MARKS[place], "linestyle": DASHES[place]}
