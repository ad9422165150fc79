"""Power curves: `power_two_level` over a range of designs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranef.arguments import checked
from ranef.errors import ModelError
from ranef.inference.power import power_two_level
from ranef.table import Table

COLUMNS = {"clusters": "clusters", "size": "cluster_size", "effect": "effect_size"}


@checked
def power_curves(**design: Any) -> Table:
    """The power of two-level designs, one row for each combination of the arguments of `power_two_level` that are sequences.

    Give effect, clusters and size; any of them, and `icc`, may be a sequence. Columns: those of `power_two_level`, and icc where
    several were asked for. Raises ModelError where nothing is a sequence, and as `power_two_level` does.

    Examples
    --------
    >>> import ranef
    >>> table = ranef.power_curves(effect=0.5, clusters=[10, 20, 40], size=20, icc=0.1)
    >>> table.frame[["clusters", "power"]].round(3)
       clusters  power
    0        10  0.447
    1        20  0.793
    2        40  0.981
    """
    many = {name: list(values) for name, values in design.items() if isinstance(values, Sequence | np.ndarray) and name != "level"}
    if not many:
        raise ModelError("Nothing varies, so there is no curve.", hint="Give a range, such as clusters=range(4, 61).")
    tables = []
    for places in np.ndindex(*(len(values) for values in many.values())):
        chosen = {name: values[place] for (name, values), place in zip(many.items(), places, strict=True)}
        tables.append((chosen, power_two_level(**{**design, **chosen})))
    extra = [name for name in many if name not in COLUMNS]
    columns = {name: np.array([table[name][0] for _, table in tables]) for name in tables[0][1].columns}
    columns |= {name: np.array([chosen[name] for chosen, _ in tables]) for name in extra}
    return Table(columns, title="Power of two-level designs", notes=tables[0][1].notes[1:])
