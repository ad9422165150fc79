"""What means are asked for: a name, several names, or a text such as `pairwise ~ trt | week`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ranef.errors import ModelError

USAGE = 'Give "trt", ["trt", "week"] or "pairwise ~ trt | week".'


@dataclass(frozen=True)
class Specs:
    names: tuple[str, ...]
    by: tuple[str, ...] = ()
    method: str | None = None


def read_specs(specs: str | Sequence[str], by: str | Sequence[str] | None) -> Specs:
    """The factors, the families, and the contrasts that a text asks for.

    Raises ModelError for what is neither.
    """
    given = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    if isinstance(specs, str):
        text = specs
    elif isinstance(specs, Sequence) and all(isinstance(name, str) for name in specs):
        return Specs(tuple(specs), given)
    else:
        raise ModelError(f"specs={specs!r} names no factors.", hint=USAGE)
    method, names = text.split("~", 1) if "~" in text else ("", text)
    names, families = names.split("|", 1) if "|" in names else (names, "")
    if "|" in families or "~" in names:
        raise ModelError(f"specs={specs!r} cannot be read.", hint=USAGE)
    return Specs(_names(names), (*_names(families), *given), method.strip() or None)


def _names(text: str) -> tuple[str, ...]:
    for operator in "*:+":
        text = text.replace(operator, "\0")
    names = [part.strip().strip("`") for part in text.split("\0")]
    return tuple(name for name in names if name and name != "1")
