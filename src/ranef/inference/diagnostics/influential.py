"""Influential clusters: would the answer be another without one of them?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ranef.inference.diagnostics.answer import Assessment, judge, untested
from ranef.inference.diagnostics.evidence import Evidence
from ranef.table import Table

ASSUMPTION = "Influence"
SMALL, LARGE = 1.0, 2.0  # Cook and Weisberg (1982, p. 118): one moves the estimate to the edge of its 50 % region
REMEDY = "Fit again without it (`ranef.influence` shows what changes) and report both; do not drop it for its influence alone."


def influential(evidence: Evidence) -> Iterator[Assessment]:
    if evidence.structured:
        yield untested("influence", ASSUMPTION, "Cook's distance", "Not available for models with a residual structure.")
    for place, found in enumerate(evidence.cooks):
        code, panel = (f"influence_{found.name}", f"influence:{found.name}") if place else ("influence", "influence")
        check = f"Cook's distance, {found.name}"
        if not np.isfinite(found.cooks).any():
            yield untested(code, ASSUMPTION, check, "Without any of these levels the model is not determined.")
            continue
        known = np.where(np.isfinite(found.cooks), found.cooks, -1.0)
        worst, alone = int(np.argmax(known)), int(np.count_nonzero(~np.isfinite(found.cooks)))
        words = f"the largest is {known[worst]:.2g}, of {found.name} {found.levels[worst]}"
        words += f", among the {len(known)} of {found.total} levels that pull most" if len(known) < found.total else ""
        words += f"; {alone} others cannot be left out, the rest does not determine the model." if alone else "."
        verdict = judge(None, float(known[worst]), small=SMALL, large=LARGE)
        yield Assessment(code, ASSUMPTION, check, float(known[worst]), None, verdict, words, REMEDY, panel)


def influence_panels(evidence: Evidence) -> Iterator[tuple[str, Table]]:
    for place, found in enumerate(evidence.cooks):
        if not np.isfinite(found.cooks).any():
            continue
        threshold = np.full(len(found.cooks), 4.0 / found.total)
        columns = {"level": found.levels, "cooks_distance": found.cooks, "threshold": threshold}
        yield f"influence:{found.name}" if place else "influence", evidence.table(columns, f"Cook's distance by {found.name}")
