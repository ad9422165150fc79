"""What every face of a table starts from: its cells as text, which columns hold numbers, and the gap in a long one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ranef import cells

if TYPE_CHECKING:
    from ranef.table import Table

HEAD, TAIL = 40, 10  # rows shown of a table that is longer than both

Cut = tuple[int, int]  # rows before the gap, rows left out


def cut(rows: int) -> Cut | None:
    """Where a long table is cut; None when all rows are shown."""
    return (HEAD, rows - HEAD - TAIL) if rows > HEAD + TAIL + 10 else None


def shown(table: Table, gap: Cut | None = None) -> dict[str, list[str]]:
    """The cells as text, without padding and without the rows in the gap."""
    if gap is None:
        return cells.shown(table.columns, table.rules)
    head, left = gap
    ends = {name: [*values[:head], *values[head + left :]] for name, values in table.columns.items()}
    return cells.shown(ends, table.rules)


def numeric(table: Table) -> dict[str, bool]:
    """Which columns hold numbers, and so stand to the right."""
    return {name: cells.rule_of(name, values, table.rules) != "text" for name, values in table.columns.items()}


def pretty(text: str) -> str:
    """A number with a minus sign in place of the hyphen."""
    return text.replace("-", "\N{MINUS SIGN}")
