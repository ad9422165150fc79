"""How many threads the BLAS may use: one in small and batched work, where waiting for each other costs more than the work.

A Cholesky factorisation of order 400 takes a second with two threads on two busy cores, and five milliseconds with one.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

LARGE = 2000  # the order from which on a dense matrix keeps several threads busy


@cache
def _controller() -> ThreadpoolController:
    """Looking for the libraries takes most of a millisecond, and is done once a process."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def blas_threads(order: int) -> AbstractContextManager[object]:
    """One thread within the `with`, unless the largest dense matrix has an `order` that is worth more. Costs ten microseconds."""
    return nullcontext() if order >= LARGE else _controller().limit(limits=1, user_api="blas")
