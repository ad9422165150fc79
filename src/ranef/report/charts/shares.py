"""Where the variance comes from, as one bar."""

from __future__ import annotations

from ranef.report.charts import Picture
from ranef.report.svg import Panel
from ranef.table import Table


def shares(table: Table) -> Picture:
    """The shares of `variance_partition`, side by side."""
    names, parts = list(table["component"]), [float(value) for value in table["share"]]
    ends = [sum(parts[: i + 1]) for i in range(len(parts))]
    legend = [f"{name} {100 * part:.1f} %" for name, part in zip(names, parts, strict=True)]
    panel = Panel(
        (0.0, 1.0), (-0.6, 0.6), "Share of the variance", "", "Parts of the variance", ", ".join(legend) + ".",
        height=100 + 17 * len(names), legend=legend, swatches=True,
    )  # fmt: skip
    panel.boxes([0.0, *ends[:-1]], ends, 0.0, 0.5)
    return Picture(panel.render(), "Parts of the variance of the response.")
