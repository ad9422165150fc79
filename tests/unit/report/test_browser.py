"""The page in a browser: no complaint on its console, nothing loaded, no sideways scrolling on a phone, print, accessibility.

These need Chromium; the last one needs axe-core, too (`pip install ranef[browser]`). `.ci/run` provides both where it can.
"""

import importlib.util
import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

import ranef

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--allow-file-access-from-files", "--enable-logging=stderr",
    "--virtual-time-budget=60000",
]  # fmt: skip
NARROW = 360
KEYS = ["sleepstudy", "full", "linear", "hostile", "wide"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def _axe() -> Path | None:
    found = importlib.util.find_spec("axe_core_python")
    folders = [] if found is None else found.submodule_search_locations or []
    return next((path for folder in folders if (path := Path(folder) / "axe.min.js").exists()), None)


@pytest.fixture(scope="module")
def folder(fits, hostile, wide, tmp_path_factory):
    """A report of each model, side by side with what the tests add."""
    place = tmp_path_factory.mktemp("pages")
    for key, fit in {**fits, "hostile": hostile, "wide": wide}.items():
        if key in KEYS:
            ranef.report(fit, place / f"{key}.html")
    return place


def browse(page: Path, *options: str) -> tuple[str, list[str]]:
    """The page after its scripts have run, and the lines of the console."""
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [str(CHROMIUM), *FLAGS, profile, *options, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=180)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def answer(text: str):
    """What a script wrote into the element `answer`."""
    return json.loads(unescape(re.search(r'<pre id="answer"[^>]*>(.*?)</pre>', text, re.S).group(1)))


def test_pages_are_silent_load_nothing_and_do_not_scroll_sideways_on_a_phone(folder):
    frames = "".join(
        f'<iframe id="{key}" style="width:{NARROW}px;height:740px;border:0" src="{key}.html"></iframe>' for key in KEYS
    )
    script = """
      addEventListener("load", () => {
        const out = {};
        for (const frame of document.querySelectorAll("iframe")) {
          const page = frame.contentDocument, root = page.documentElement;
          const wide = [...page.querySelectorAll("body *")].filter(
            e => !e.closest(".scroll, .wide, pre") && e.getBoundingClientRect().right > root.clientWidth + 1);
          out[frame.id] = {
            scroll: root.scrollWidth, client: root.clientWidth, wide: wide.map(e => e.outerHTML.slice(0, 80)),
            loaded: frame.contentWindow.performance.getEntriesByType("resource").map(e => e.name), height: root.scrollHeight,
          };
        }
        document.getElementById("answer").textContent = JSON.stringify(out);
      });"""
    probe = folder / "probe.html"
    probe.write_text(f'<!doctype html>{frames}<pre id="answer"></pre><script>{script}</script>', encoding="utf-8")
    text, console = browse(probe, "--dump-dom")
    assert console == []
    found = answer(text)
    assert set(found) == set(KEYS)
    for one in found.values():
        assert NARROW - 20 <= one["scroll"] == one["client"] <= NARROW  # less a scroll bar
        assert one["wide"] == []
        assert one["loaded"] == []
        assert one["height"] > 2000


def test_pages_print(folder):
    target = folder / "sleepstudy.pdf"
    browse(folder / "sleepstudy.html", f"--print-to-pdf={target}", "--no-pdf-header-footer")
    data = target.read_bytes()
    assert data.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", data))
    assert 3 <= pages <= 12


@pytest.mark.skipif(_axe() is None, reason="axe-core is not installed (pip install ranef[browser])")
@pytest.mark.parametrize("key", KEYS)
def test_axe_core_finds_nothing(folder, key):
    shutil.copy(_axe(), folder / "axe.min.js")
    script = """
      addEventListener("load", () => axe.run({iframes: false}).then(found => {
        document.getElementById("answer").textContent = JSON.stringify({
          passes: found.passes.length,
          violations: found.violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 120))]),
        });
      }));"""
    added = f'<pre id="answer" hidden></pre><script src="axe.min.js"></script><script>{script}</script></body>'
    page = folder / f"axe-{key}.html"
    page.write_text((folder / f"{key}.html").read_text(encoding="utf-8").replace("</body>", added), encoding="utf-8")
    text, _ = browse(page, "--dump-dom")
    found = answer(text)
    assert found["violations"] == []
    assert found["passes"] > 20
