"""Unstructured repeated measures against nlme and glmmTMB, every ratio from one run.

    python benchmarks/mmrm.py [--quick] [--fresh] [--write]

A trial of 2,000 patients with 10 visits and one of 200 with 4, with patients who leave and visits that are missed; the model is
y ~ arm * visit + base with an unstructured covariance over visits, by REML. The whole call is timed in CPU seconds (user + system) on
one thread, each program in a process of its own, warm; ours with Kenward-Roger's degrees of freedom (linear) and p-values, theirs
without tests. --quick leaves the large trial out (nlme takes minutes for it), --fresh measures the R packages anew, --write puts
the table into docs/explanation/benchmarks.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from problems import CACHE, EXACT, HERE
from run import ONE_THREAD
from trial_data import trial

PAGE = HERE.parent / "docs" / "explanation" / "benchmarks.md"
BEGIN, END = "<!-- mmrm: begin -->", "<!-- mmrm: end -->"
CLOSE = 1e-6  # relative distance of criteria
PACKAGES = ("glmmTMB", "nlme")
Result = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    name: str
    subjects: int
    visits: int
    repeats: int  # of the R packages
    bars: dict[str, float]

    @property
    def title(self) -> str:
        return f"{self.subjects:,} patients × {self.visits} visits"

    def frame(self) -> pd.DataFrame:
        return trial(self.subjects, self.visits, leaving=0.3, missing=0.05, seed=self.visits)

    def csv(self) -> Path:
        path = CACHE / f"mmrm-{self.name}.csv"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            self.frame().to_csv(path, index=False, float_format="%.17g")
        return path


TRIALS = (
    Trial("small", 200, 4, 5, {"glmmTMB": 30.0, "nlme": 30.0}),
    Trial("large", 2000, 10, 1, {"glmmTMB": 100.0, "nlme": 1000.0}),
)


def theirs(package: str, of: Trial, fresh: bool) -> Result:
    """The answer of an R package, kept in the cache."""
    path = CACHE / "results" / f"{package}-mmrm-{of.name}.json"
    if path.exists() and not fresh:
        return json.loads(path.read_text(encoding="utf-8"))
    command = ["Rscript", str(HERE / "mmrm.R"), package, str(of.csv()), str(of.repeats)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | ONE_THREAD, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    result = json.loads(lines[-1]) if lines else {"error": (done.stderr.strip().splitlines() or ["no answer"])[-1]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result), encoding="utf-8")
    return result


def ours(of: Trial) -> Result:
    command = [sys.executable, __file__, "--worker", of.name]
    source = os.pathsep.join(filter(None, [str(HERE.parent / "src"), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | ONE_THREAD | {"PYTHONPATH": source}, check=False
    )
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def worker(of: Trial) -> None:
    """One JSON line: the first call of the process, and the median of warm ones."""
    import ranef

    frame = pd.read_csv(of.csv(), **EXACT)
    frame["visit"] = frame["visit"].astype(str).str.zfill(2)

    def call() -> tuple[float, Any]:
        start = time.process_time()
        m = ranef.mmrm("y ~ arm * visit + base", frame, subject="id", visit="visit", cov="un", ddf="kenward-roger-linear")
        m.pvalues  # noqa: B018
        return time.process_time() - start, m

    first, m = call()
    times = sorted(call()[0] for _ in range(7))
    peak = next(line for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
    facts = {"rows": m.nobs, "evaluations": m.optimum.evaluations, "status": m.status}
    print(json.dumps({"cpu": times[3], "first": first, "criterion": m.deviance, "peak_mb": int(peak.split()[1]) / 1024, **facts}))


def verdicts(of: Trial, found: dict[str, Result]) -> list[str]:
    """Ratios against the bars, and whether the criteria agree."""
    us, out = found["ranef"], []
    best = min(result["criterion"] for result in found.values() if "criterion" in result)
    for package, result in found.items():
        if "criterion" not in result:
            spent = (
                f", which took it {result['spent']:.0f} s, {result['spent'] / us['cpu']:,.0f} times ours"
                if "spent" in result
                else ""
            )
            out.append(f"{'FAILS' if package == 'ranef' else 'notes'}: {package} gave no answer: {result['error']}{spent}")
            continue
        gap = (result["criterion"] - best) / (1.0 + abs(best))
        word = "holds" if gap <= CLOSE else "FAILS" if package == "ranef" else "notes"
        out.append(f"{word}: {package}'s criterion {result['criterion']:.6f}, {gap:.1e} above the best")
    for package, bar in of.bars.items():
        if "cpu" in found[package] and "cpu" in us:
            ratio = found[package]["cpu"] / us["cpu"]
            out.append(f"{'holds' if ratio >= bar else 'FAILS'}: {ratio:,.0f} times faster than {package}, bar {bar:,.0f}")
    return out


def table(found: dict[str, dict[str, Result]], trials: tuple[Trial, ...]) -> str:
    rows = ["| trial | rows | ranef | glmmTMB | nlme | × glmmTMB (bar) | × nlme (bar) |", "|" + " --- |" * 7]
    for of in trials:
        us = found[of.name]["ranef"]
        cells = [cell(found[of.name][package]) for package in ("ranef", *PACKAGES)]
        ratios = [ratio(found[of.name][package], us, of.bars[package]) for package in PACKAGES]
        rows.append(f"| {of.title} | {us['rows']:,} | " + " | ".join([*cells, *ratios]) + " |")
    return "\n".join(rows)


def cell(result: Result) -> str:
    if "cpu" in result:
        return f"{result['cpu']:.3g} s, {result['peak_mb']:.0f} MB"
    return f"no answer after {result['spent']:.0f} s" if "spent" in result else "error"


def ratio(result: Result, us: Result, bar: float) -> str:
    if "cpu" in result:
        return f"{result['cpu'] / us['cpu']:,.0f} ({bar:,.0f})"
    return f"above {result['spent'] / us['cpu']:,.0f} ({bar:,.0f})" if "spent" in result else ""


def page(found: dict[str, dict[str, Result]], trials: tuple[Trial, ...]) -> str:
    versions = ", ".join(f"{p} {found[trials[0].name][p]['version']}" for p in PACKAGES)
    lines = [f"* {of.title}: {line}" for of in trials for line in verdicts(of, found[of.name])]
    return (
        f"{BEGIN}\n\n## Repeated measures\n\nMeasured {datetime.date.today().isoformat()} with `python benchmarks/mmrm.py`; {versions}. "
        "The model is `y ~ arm * visit + base` with an unstructured covariance over visits, by REML; patients leave and miss visits. CPU "
        "seconds of the whole call, one thread, warm; ours with Kenward and Roger's degrees of freedom (linear), theirs without tests. "
        "glmmTMB says this model with a tiny residual variance, so that its criterion can differ from the exact one by about 1e-7.\n\n"
        + table(found, trials) + "\n\n" + "\n".join(lines) + f"\n\n{END}"
    )  # fmt: skip


def write(section: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    if BEGIN in text:
        text = text[: text.index(BEGIN)] + section + text[text.index(END) + len(END) :]
    else:
        text = text.rstrip() + "\n\n" + section + "\n"
    PAGE.write_text(text, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="without the large trial")
    parser.add_argument("--fresh", action="store_true", help="measure the R packages anew")
    parser.add_argument("--write", action="store_true", help="write the table into the documentation")
    parser.add_argument("--worker", choices=[of.name for of in TRIALS], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(next(of for of in TRIALS if of.name == options.worker))
        return 0
    trials = TRIALS[:1] if options.quick else TRIALS
    found, failed = {}, False
    for of in trials:
        found[of.name] = {"ranef": ours(of), **{package: theirs(package, of, options.fresh) for package in PACKAGES}}
        print(f"\n{of.title}")
        for package, result in found[of.name].items():
            print(f"  {package:8s} {json.dumps(result)}")
        for line in verdicts(of, found[of.name]):
            failed |= line.startswith("FAILS")
            print("  " + line)
    if options.write:
        write(page(found, trials))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
