"""The decorator of compiled kernels. Importing this module imports numba: only `twins.compiled` should lead here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., object])

# Sums may be reassociated into vector registers (always in the same way on one machine); infinities and nan stay what they are.
FAST = {"reassoc", "contract", "arcp", "nsz"}


def jit(kernel: Kernel) -> Kernel:
    """Compiled at the first call, and kept on disk where some place is writable."""
    try:
        return numba.njit(kernel, cache=True, fastmath=FAST, nogil=True, error_model="numpy")
    except RuntimeError:
        return numba.njit(kernel, fastmath=FAST, nogil=True, error_model="numpy")
