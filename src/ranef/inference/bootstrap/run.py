"""Many refits: seeded one by one, in parallel, watched, and stopped when asked.

Refit i draws from SeedSequence(seed, spawn_key=(i,)): the same numbers whatever the number of workers, the size of the chunks and
the number of refits.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

import numpy as np

from ranef.inference.parameters import Batch

PATIENCE = 2.0  # seconds before the first sign of life
PERIOD = 0.5
LARGEST = 500  # refits in a chunk

Chunk = Callable[[list[np.random.Generator]], Batch]


@dataclass(frozen=True)
class Work:
    """`n` refits by `refits`, on `jobs` workers (threads where the work releases the interpreter, else processes)."""

    refits: Chunk
    n: int
    entropy: int
    jobs: int
    threads: bool
    small: bool  # chunks of one: a refit takes long

    def chunks(self) -> list[range]:
        size = 1 if self.small else max(1, min(LARGEST, -(-self.n // (4 * self.jobs))))
        return [range(start, min(start + size, self.n)) for start in range(0, self.n, size)]

    def run(self, watch: bool | None = None, stream: TextIO | None = None) -> tuple[Batch | None, bool]:
        """The refits that were made, in order, and whether all were; an interrupt ends the work and keeps what is done."""
        parts: list[Batch] = []
        meter = Meter(self.n, watch, sys.stderr if stream is None else stream)
        try:
            for part in self._parts():
                parts.append(part)
                meter.show(sum(len(p.done) for p in parts))
        except KeyboardInterrupt:
            return (Batch.joined(parts) if parts else None), False
        finally:
            meter.close()
        return Batch.joined(parts), True

    def _parts(self) -> Iterator[Batch]:
        if self.jobs == 1:
            yield from (chunk_of(self.refits, self.entropy, chunk) for chunk in self.chunks())
            return
        from joblib import Parallel, delayed

        parallel = Parallel(n_jobs=self.jobs, prefer="threads" if self.threads else "processes", return_as="generator")
        yield from parallel(delayed(chunk_of)(self.refits, self.entropy, chunk) for chunk in self.chunks())


def chunk_of(refits: Chunk, entropy: int, chunk: range) -> Batch:
    return refits([generator(entropy, i) for i in chunk])


def generator(entropy: int, i: int) -> np.random.Generator:
    """The random numbers of refit i."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy, spawn_key=(i,))))


def entropy_of(seed: int | None) -> int:
    """The seed, or one from the system."""
    return int(np.random.SeedSequence(seed).entropy)  # type: ignore[arg-type]


class Meter:
    """Says how far the work is once it has taken two seconds: a line that is overwritten on a terminal, one line elsewhere."""

    def __init__(self, total: int, watch: bool | None, stream: TextIO) -> None:
        self.total, self.stream = total, stream
        self.terminal = stream.isatty()
        self.quiet = watch is False
        self.started = self.shown = time.monotonic()
        self.said = False

    def show(self, done: int) -> None:
        now = time.monotonic()
        if self.quiet or now - self.started < PATIENCE or now - self.shown < PERIOD or (self.said and not self.terminal):
            return
        left = (now - self.started) * (self.total - done) / max(done, 1)
        text = f"bootstrap: {done} of {self.total} refits, about {left:.0f} s left"
        print(f"\r\033[K{text}" if self.terminal else text, end="" if self.terminal else "\n", file=self.stream, flush=True)
        self.shown, self.said = now, True

    def close(self) -> None:
        if self.said and self.terminal:
            print("\r\033[K", end="", file=self.stream, flush=True)
