"""Which of two twins computes: NumPy at once, or the compiled kernel once it is worth the wait.

The choice depends on the size of the work alone, never on what has been loaded before, so that a call gives the same bits whenever
it is made.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType

WORTH = 0.1  # seconds of NumPy that are worth loading a compiler (half a second the first time in a process)


def compiled(name: str, seconds: float) -> ModuleType | None:
    """The compiled twin of the kernels `name` if NumPy would need more than WORTH, and numba is there."""
    return load(name) if seconds > WORTH else None


@cache
def load(name: str) -> ModuleType | None:
    try:
        return import_module(f"ranef.core.kernels.compiled_{name}")
    except ImportError:
        return None
