"""Makes the images of docs/reference/pictures.md and of the tutorial.  python docs/gallery.py [name ...]

Each image is what the code beside it on the page draws: the code blocks of a page are run one after the other, and where an image
follows a block that made a figure, that is saved there. (The other images of the tutorial are those of docs/pictures.py.)
"""

from __future__ import annotations

import contextlib
import doctest
import re
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot

FOLDER = Path(__file__).parent
PAGES = [FOLDER / "reference/pictures.md", *sorted(FOLDER.glob("tutorials/*.md"))]
PART = re.compile(r"^```python\n(?P<code>.*?)^```$|^!\[[^\]]*\]\((?P<image>[^)]+)\)$", re.MULTILINE | re.DOTALL)


def main(wanted: list[str]) -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if "plot." in text and (not wanted or any(f"/{name}.png" in text for name in wanted)):
            draw(page, text, wanted)


def draw(page: Path, text: str, wanted: list[str]) -> None:
    names: dict[str, object] = {}
    for part in PART.finditer(text):
        if part["code"]:
            with contextlib.redirect_stdout(None):
                for example in doctest.DocTestParser().get_examples(part["code"]):
                    exec(example.source, names)
            continue
        path = page.parent / part["image"]
        if pyplot.get_fignums() and (not wanted or path.stem in wanted):
            save(pyplot.gcf(), path)
        pyplot.close("all")


def save(figure: pyplot.Figure, path: Path) -> None:
    """A PNG with a palette of 128 colours: a third of the size, and no difference to the eye."""
    from PIL import Image

    figure.canvas.draw()
    figure.set_dpi(140)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
