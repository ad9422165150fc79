"""How much memory there is, asked before a large block is allocated rather than after."""

from __future__ import annotations

from pathlib import Path

from ranef.errors import MemoryEstimateError

SHARE = 0.7  # of what is available that one design may take
SMALL = 1 << 28  # blocks below 256 MB are not worth a question


def available_bytes() -> float:
    """The least of free memory, the limit of the control group and that of the address space."""
    limits = [_address_space(), _free()]
    group = _number(Path("/sys/fs/cgroup/memory.max"))
    used = _number(Path("/sys/fs/cgroup/memory.current"))
    if group is not None:
        limits.append(group - (used or 0.0))
    return min(limits)


FEWER = "Drop a term, merge levels, or make a factor with very many levels a random effect."


def refuse_beyond(size: float, what: str, hint: str = FEWER) -> None:
    """Raises MemoryEstimateError when a block of `size` bytes for `what` does not fit."""
    if size < SMALL:
        return
    room = available_bytes()
    if size > SHARE * room:
        raise MemoryEstimateError(
            f"{what} would need {size / 1e9:.3g} GB; {room / 1e9:.3g} GB are available",
            hint=hint,
        )


def _address_space() -> float:
    try:
        import resource
    except ImportError:  # not on Windows
        return float("inf")
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return float("inf") if soft == resource.RLIM_INFINITY else float(soft)


def _free() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    kilobytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return float(kilobytes[0]) * 1024 if kilobytes else float("inf")


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return None
