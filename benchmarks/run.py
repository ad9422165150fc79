"""Speed, memory and accuracy against lme4 and the Python packages, every ratio from one table.

    python benchmarks/run.py [--quick | --further] [--only NAME ...] [--fresh PACKAGE ...] [--peers PYTHON] [--write]

Each measurement runs in a process of its own, on one thread. Answers of other packages are kept in the cache and reused unless
they are named after --fresh ("all" for every one); ours are always measured anew. --quick leaves out the problems of a million
rows, --further takes other ones: more parameters, more levels, up to ten million rows. --write puts the table into
docs/explanation/benchmarks.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from problems import CACHE, FURTHER, GROUPS, HERE, PROBLEMS, Problem, data_path
from table import further, gate, markdown

PAGE = HERE.parent / "docs" / "explanation" / "benchmarks.md"
ONE_THREAD = dict.fromkeys(
    (
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "RAYON_NUM_THREADS",
        "POLARS_MAX_THREADS",
        "NUMBA_NUM_THREADS",
        "R_DATATABLE_NUM_THREADS",
    ),
    "1",
)
PEERS = ("lme4", "lme4+tests", "mixedlm", "mixedlm-rs", "lme-python", "gpboost", "statsmodels")
LARGE = frozenset({"nested3", "longbal", "longunbal"})
CAP = 600.0  # seconds for one measurement
Result = dict[str, Any]


def applies(package: str, problem: Problem) -> bool:
    """Whether a package can say this model at all."""
    return {
        "lme4": True,
        "lme4+tests": problem.name in ("sleepstudy", "kb07", "insteval", "ratings"),
        "mixedlm": True,
        "lme-python": problem.name != "refit",
        "mixedlm-rs": problem.one_factor is not None,
        "statsmodels": problem.one_factor is not None,
        "gpboost": problem.gpboost is not None,
    }[package]


def r_command(package: str, problem: Problem) -> list[str]:
    what = "refit" if problem.name == "refit" else "tests" if package == "lme4+tests" else "fit"
    repeats = "50" if problem.name in ("sleepstudy", "refit") else "1"
    data = str(data_path(problem, ".csv"))
    return ["Rscript", str(HERE / "lme4.R"), problem.formula, data, ",".join(GROUPS), repeats, what]


def python_command(python: str, package: str, problem: Problem) -> list[str]:
    data_path(problem, ".feather")
    return [python, str(HERE / "worker.py"), package, problem.name, str(problem.repeats)]


def run(command: list[str], *, source: bool = False) -> Result:
    """The JSON object on the last line a measurement prints, or the reason why there is none."""
    environment = os.environ | ONE_THREAD
    if source:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parent / "src"), os.environ.get("PYTHONPATH", "")]))
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CAP, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"> {CAP:.0f} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        return {"error": (done.stderr.strip().splitlines() or ["no answer"])[-1][:200]}
    return json.loads(lines[-1])


def cached(package: str, problem: Problem, command: list[str], fresh: bool) -> Result:
    path = CACHE / "results" / f"{package}-{problem.name}.json"
    if path.exists() and not fresh:
        return json.loads(path.read_text(encoding="utf-8"))
    result = run(command)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result), encoding="utf-8")
    return result


def measure(problem: Problem, peers_python: str | None, fresh: set[str]) -> dict[str, Result]:
    results: dict[str, Result] = {}
    for package in (p for p in PEERS if applies(p, problem)):
        is_r = package.startswith("lme4")
        if package in problem.left_out:
            results[package] = {"error": problem.left_out[package]}
            continue
        if (is_r and not shutil.which("Rscript")) or (not is_r and peers_python is None):
            continue
        command = r_command(package, problem) if is_r else python_command(str(peers_python), package, problem)
        results[package] = cached(package, problem, command, bool(fresh & {package, "all"}))
    results["ranef"] = run(python_command(sys.executable, "ranef", problem), source=True)
    return results


def report(problem: Problem, results: dict[str, Result]) -> None:
    print(f"\n{problem.name}: {problem.title}   {problem.formula}")
    ours = results["ranef"].get("cpu")
    for package, result in results.items():
        if "cpu" not in result:
            print(f"  {package:12s} {result.get('error', '')}")
            continue
        ratio = f"{result['cpu'] / ours:9.2f} x" if ours else ""
        criterion = result.get("criterion")
        shown = "" if criterion is None else f"{criterion:18.6f}"
        print(
            f"  {package:12s} {result['cpu']:10.5f} s CPU {result['wall']:10.5f} s wall {result['peak_mb']:7.0f} MB {shown} {ratio}"
        )
    for line in gate(problem, results):
        print("  " + line)


def sections_of_others() -> str:
    """What other programs wrote into the page, between their marks."""
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    return "".join(f"\n{found[0]}\n" for found in re.finditer(r"<!-- (\w+): begin -->.*?<!-- \1: end -->", old, re.DOTALL))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="without the problems of a million rows")
    parser.add_argument("--further", action="store_true", help="the problems beyond those with a bar against lme4")
    parser.add_argument("--only", nargs="+", choices=[p.name for p in (*PROBLEMS, *FURTHER)], help="these problems only")
    parser.add_argument("--fresh", nargs="*", default=[], help="other packages to measure anew, or all")
    parser.add_argument("--peers", default=os.environ.get("RANEF_PEERS_PYTHON"), help="Python with the packages of peers.txt")
    parser.add_argument("--write", action="store_true", help="write the table into the documentation")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    asked = FURTHER if options.further else PROBLEMS if not options.only else (*PROBLEMS, *FURTHER)
    chosen = [p for p in asked if (not options.only or p.name in options.only) and not (options.quick and p.name in LARGE)]
    table: dict[str, dict[str, Result]] = {}
    for problem in chosen:
        table[problem.name] = measure(problem, options.peers, set(options.fresh))
        report(problem, table[problem.name])
    if options.write:
        write(options, chosen, table)
    failed = [problem.name for problem in chosen if any(line.startswith("FAILS") for line in gate(problem, table[problem.name]))]
    return 1 if failed else 0


def write(options: argparse.Namespace, chosen: list[Problem], table: dict[str, dict[str, Result]]) -> None:
    """The table into the page: all of it but what other programs wrote, or the section of the further problems."""
    command = "python benchmarks/run.py " + " ".join(a for a in sys.argv[1:] if a != options.peers and a != "--peers")
    when = datetime.date.today().isoformat()
    if options.further:
        text = further(chosen, table, command=command.strip(), when=when)
        old = re.sub(r"\n<!-- further: begin -->.*?<!-- further: end -->\n", "", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
        text = f"{old.rstrip()}\n\n<!-- further: begin -->\n\n{text}\n\n<!-- further: end -->\n"
    else:
        machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        text = markdown(chosen, table, command=command.strip(), when=when, machine=machine)
        text = text.rstrip() + "\n" + sections_of_others()
    PAGE.write_text(text, encoding="utf-8")
    print(f"\nwritten: {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE.name}")


if __name__ == "__main__":
    sys.exit(main())
