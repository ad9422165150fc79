"""A sign of life on standard error for work that takes longer than two seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

PATIENCE = 2.0  # seconds before the first sign
PERIOD = 1.0  # seconds between signs on a terminal; a log gets one line


@contextmanager
def progress(what: str, stream: TextIO | None = None) -> Iterator[None]:
    """While the block runs, say what is being done and for how long; on a terminal the line is overwritten and removed."""
    out = sys.stderr if stream is None else stream
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(what, out, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(what: str, out: TextIO, done: threading.Event) -> None:
    start = time.monotonic()
    if done.wait(PATIENCE):
        return
    if not out.isatty():
        print(f"ranef: {what} ...", file=out, flush=True)
        return
    while True:
        print(f"\r\033[Kranef: {what} ({time.monotonic() - start:.0f} s)", end="", file=out, flush=True)
        if done.wait(PERIOD):
            print("\r\033[K", end="", file=out, flush=True)
            return
