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
BEAT = 0.5  # where the work says how far it is


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


class Meter:
    """Says how far the work is once it has taken two seconds: a line that is overwritten on a terminal, one line elsewhere."""

    def __init__(self, what: str, unit: str, total: int, watch: bool | None = None, stream: TextIO | None = None) -> None:
        self.what, self.unit, self.total, self.stream = what, unit, total, sys.stderr if stream is None else stream
        self.terminal = self.stream.isatty()
        self.quiet = watch is False
        self.started = self.shown = time.monotonic()
        self.said = False

    def show(self, done: int) -> None:
        now = time.monotonic()
        if self.quiet or now - self.started < PATIENCE or now - self.shown < BEAT or (self.said and not self.terminal):
            return
        left = (now - self.started) * (self.total - done) / max(done, 1)
        text = f"{self.what}: {done} of {self.total} {self.unit}, about {left:.0f} s left"
        print(f"\r\033[K{text}" if self.terminal else text, end="" if self.terminal else "\n", file=self.stream, flush=True)
        self.shown, self.said = now, True

    def close(self) -> None:
        if self.said and self.terminal:
            print("\r\033[K", end="", file=self.stream, flush=True)
