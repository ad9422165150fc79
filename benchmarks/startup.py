"""Cold start, each in a process of its own: `import ranef`, and the first fit with tests and summary.

    python benchmarks/startup.py [--python PYTHON] [--cold]

--python names the interpreter to measure, for instance of an environment with the package installed; the default is this one with the
sources of this folder. --cold gives the just-in-time compiler an empty cache, as on the first use after installation.
Bars: 0.3 s for the import, 1.5 s for the first fit. Exits with 1 above them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
IMPORT = "import time; a = time.perf_counter(); import ranef; print(time.perf_counter() - a, time.process_time())"
FIRST = (
    "import time; a = time.perf_counter(); import ranef; d = ranef.datasets.load('sleepstudy'); "
    "m = ranef.lmm('Reaction ~ Days + (Days | Subject)', d); str(m.summary()); print(time.perf_counter() - a, time.process_time())"
)
CROSSED = FIRST.replace("sleepstudy", "Penicillin").replace(
    "Reaction ~ Days + (Days | Subject)", "diameter ~ 1 + (1 | plate) + (1 | sample)"
)
TASKS = (("import ranef", IMPORT, 0.3), ("first fit, one factor", FIRST, 1.5), ("first fit, crossed factors", CROSSED, 1.5))
REPEATS = 5


def seconds(python: str, code: str, cold: bool, from_source: bool) -> tuple[float, float]:
    """(wall seconds of the task, CPU seconds of the whole process with its interpreter)."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"} | ({"NUMBA_CACHE_DIR": cache} if cold else {})
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages have byte code
        if from_source:
            environment["PYTHONPATH"] = str(HERE.parent / "src")
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, env=environment)
    wall, cpu = done.stdout.split()[-2:]
    return float(wall), float(cpu)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--cold", action="store_true")
    options = parser.parse_args()
    failed = False
    for title, code, bar in TASKS:
        runs = [seconds(options.python, code, options.cold, options.python == sys.executable) for _ in range(1 + REPEATS)][1:]
        walls, cpus = zip(*runs, strict=True)
        failed |= median(walls) > bar
        print(
            f"{title:28s} median {median(walls):.3f} s, least {min(walls):.3f} s, bar {bar} s; CPU of the process {min(cpus):.3f} s"
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
