"""How many threads the BLAS may use: one in small and batched work, where waiting for each other costs more than the work.

A Cholesky factorisation of order 400 takes a second with two threads on two busy cores, and five milliseconds with one.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

NARROW, SHORT = 16, 1 << 14  # columns, and numbers in all of them, whose products take one thread of their own accord
LARGE = 2000  # the order from which on a dense matrix keeps several threads busy


@cache
def _controller() -> tuple[ThreadpoolController, int]:
    """The libraries, and how many threads they had. Looking for them takes most of a millisecond, and is done once a process."""
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController()
    return found, max((library["num_threads"] for library in found.info() if library["user_api"] == "blas"), default=1)


@dataclass
class _OneThread(AbstractContextManager[None]):
    """The setting belongs to the process: the first who enters makes it, and the last who leaves takes it back."""

    inside: int = 0
    limit: Any = None
    lock: Lock = field(default_factory=Lock)

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.limit = _controller()[0].limit(limits=1, user_api="blas")
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.limit.restore_original_limits()


_ONE_THREAD = _OneThread()


def one_thread() -> AbstractContextManager[object]:
    """The BLAS is held to one thread within the `with`. Costs forty microseconds, and nothing within another one."""
    return _ONE_THREAD


def one_thread_for(rows: int, columns: int) -> AbstractContextManager[object]:
    """`one_thread`, but where the columns are so few and short that the BLAS uses one of its own accord."""
    return nullcontext() if columns <= NARROW and rows * columns <= SHORT else one_thread()


def many_threads(order: int) -> AbstractContextManager[object]:
    """As many threads as the process began with, within `one_thread`, for a dense matrix of an `order` that is worth them."""
    if order < LARGE:
        return nullcontext()
    controller, threads = _controller()
    return controller.limit(limits=threads, user_api="blas")
