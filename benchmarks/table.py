"""From measurements to verdicts and to the page of the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from problems import Problem

Result = dict[str, Any]
PYTHON_PEERS = ("mixedlm", "mixedlm-rs", "lme-python", "gpboost", "statsmodels")
CLOSE = 1e-6  # relative difference of criteria up to which two fits are of the same optimum


def criteria(results: dict[str, Result]) -> dict[str, float]:
    return {name: r["criterion"] for name, r in results.items() if r.get("criterion") is not None}


def gap(results: dict[str, Result], package: str) -> float | None:
    """Criterion of a package minus the best of all, relative to its size."""
    all_criteria = criteria(results)
    if package not in all_criteria:
        return None
    best = min(all_criteria.values())
    return (all_criteria[package] - best) / max(1.0, abs(best))


def exact(results: dict[str, Result], package: str) -> bool:
    """Whether a package reached the best criterion; a timing of another answer is no competition."""
    distance = gap(results, package)
    return distance is not None and distance <= CLOSE


def gate(problem: Problem, results: dict[str, Result]) -> list[str]:
    """One line per promise: accuracy, ratio to the rival, ahead of every exact Python peer, memory."""
    ours, rival = results["ranef"], results.get(problem.rival, {})
    if "cpu" not in ours:
        return [f"FAILS: {ours.get('error')}"]
    lines = []
    distance = gap(results, "ranef")
    lines.append(
        f"{'holds' if distance is not None and distance <= CLOSE else 'FAILS'}: criterion within {CLOSE:g} of the best ({distance:.1e})"
    )
    if "cpu" in rival:
        ratio = rival["cpu"] / ours["cpu"]
        holds = "holds" if ratio >= problem.bar else "FAILS"
        lines.append(f"{holds}: {ratio:.1f} times faster than {problem.rival}, bar {problem.bar:g}")
    rivals = [p for p in PYTHON_PEERS if "cpu" in results.get(p, {}) and exact(results, p)]
    if rivals:
        fastest = min(rivals, key=lambda p: results[p]["cpu"])
        ratio = results[fastest]["cpu"] / ours["cpu"]
        verdict = "notes" if not problem.ahead else "holds" if ratio >= 1 else "FAILS"
        lines.append(f"{verdict}: {ratio:.2f} times faster than {fastest}, the fastest exact Python peer")
    others = {p: r["peak_mb"] for p, r in results.items() if p != "ranef" and "peak_mb" in r and p != "lme4+tests"}
    if others:
        leanest = min(others, key=lambda p: others[p])
        ratio = ours["peak_mb"] / others[leanest]
        lines.append(f"{'holds' if ratio <= 1.25 else 'FAILS'}: peak memory {ratio:.2f} of {leanest}, the leanest, bar 1.25")
    return lines


def seconds(value: float) -> str:
    return f"{1e3 * value:.2f} ms" if value < 0.1 else f"{value:.2f} s"


def cell(results: dict[str, Result], package: str) -> str:
    """CPU seconds and megabytes; marked where the criterion misses the best, or is another one."""
    result = results.get(package)
    if result is None:
        return ""
    if "cpu" not in result:
        error = result.get("error", "")
        return error if error.startswith(">") or error == "not run" else "error"
    distance = gap(results, package)
    mark = "†" if distance is None else "" if distance <= CLOSE else f" (+{distance:.0e})"
    return f"{seconds(result['cpu'])}{mark}, {result['peak_mb']:.0f} MB"


def titled(problem: Problem) -> str:
    return f"{problem.title}<br>`{problem.formula.replace('|', chr(92) + '|')}`"


def further(problems: Sequence[Problem], table: dict[str, dict[str, Result]], *, command: str, when: str) -> str:
    """The section of the problems beyond those with a bar against lme4."""
    rows = []
    for problem in problems:
        results = table[problem.name]
        ours, rival = results["ranef"], results.get(problem.rival, {})
        ratio = f"{rival['cpu'] / ours['cpu']:.1f} ({problem.bar:g})" if "cpu" in rival and "cpu" in ours else ""
        rows.append(f"| {titled(problem)} | {' | '.join(cell(results, p) for p in ('ranef', 'lme4', 'mixedlm'))} | {ratio} |")
    return FURTHER.format(when=when, command=command, table="\n".join(rows))


def markdown(problems: Sequence[Problem], table: dict[str, dict[str, Result]], *, command: str, when: str, machine: str) -> str:
    packages = ["ranef", "lme4", *PYTHON_PEERS]
    head = "| problem | " + " | ".join(packages) + " | × lme4 (bar) | × best exact Python | memory / leanest |"
    rows = [head, "|" + " --- |" * (len(packages) + 4)]
    for problem in problems:
        results = table[problem.name]
        rows.append(
            f"| {titled(problem)} | "
            + " | ".join(cell(results, p) for p in packages)
            + f" | {' | '.join(ratios(problem, results))} |"
        )
    versions = {p: r["version"] for results in table.values() for p, r in results.items() if "version" in r and p != "ranef"}
    listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()) if name != "lme4+tests")
    verdicts = [f"* {p.name}: {line}" for p in problems for line in gate(p, table[p.name])]
    return PAGE.format(
        when=when, command=command, machine=machine, versions=listed, table="\n".join(rows), verdicts="\n".join(verdicts)
    )


def ratios(problem: Problem, results: dict[str, Result]) -> tuple[str, str, str]:
    ours = results["ranef"]
    if "cpu" not in ours:
        return "", "", ""
    lme4 = f"{results['lme4']['cpu'] / ours['cpu']:.1f} ({problem.bar:g})" if "cpu" in results.get("lme4", {}) else ""
    peers = [results[p]["cpu"] for p in PYTHON_PEERS if "cpu" in results.get(p, {}) and exact(results, p)]
    memory = [r["peak_mb"] for p, r in results.items() if p not in ("ranef", "lme4+tests") and "peak_mb" in r]
    return (lme4, f"{min(peers) / ours['cpu']:.2f}" if peers else "", f"{ours['peak_mb'] / min(memory):.2f}" if memory else "")


PAGE = """# Speed, memory and accuracy

Measured {when} with

    {command}

on {machine}; {versions}. One thread everywhere. A cell gives CPU seconds (user + system) of the whole call, from data frame to
fit, warm, and the peak memory of the process with its interpreter, libraries and data. Ours includes the Satterthwaite degrees of
freedom and p-values; the others are timed without tests. Every criterion is the REML deviance at the answer: a number in brackets is
how far a package stopped above the best of all, relative to its size; † marks a package that has only another criterion, so that
its answer is not compared. Ratios count only packages that reached the optimum. The columns of the
other packages are those of the last run that measured them anew (`--fresh`) on the same machine.

{table}

## Verdicts

{verdicts}

How to measure again, and what each program of the folder does, is in `benchmarks/README.md`.
"""

FURTHER = """## Further problems

Measured {when} with `{command}`. The ratios that we aim at are to lme4 or, where that takes too long, to mixedlm; they come from
measurements on data of the same shape, not on these.

| problem | ranef | lme4 | mixedlm | × rival (aim) |
| --- | --- | --- | --- | --- |
{table}"""
