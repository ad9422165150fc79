"""Many refits: seeded one by one, in parallel, watched, and stopped when asked.

Refit i draws from SeedSequence(seed, spawn_key=(i,)): the same numbers whatever the number of workers, the size of the chunks and
the number of refits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

import numpy as np

from ranef.inference.parameters import Batch
from ranef.progress import Meter

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
        meter = Meter("bootstrap", "refits", self.n, watch, stream)
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
