"""The command `ranef`: fit, describe and predict without writing Python. Formulas are read, never run.

Exit codes: 0 success; 1 internal error; 2 wrong usage; 3 the formula; 4 the data; 5 the model; 6 the fit did not converge (its
results are written all the same); 7 a file or a saved model; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ranef
from ranef.arguments import write_text
from ranef.errors import DataError, FileError, FormulaError, MemoryEstimateError, ModelError, RanefError, SavedModelError
from ranef.fit.methods import DDF
from ranef.progress import progress

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

OK, INTERNAL, USAGE, FORMULA, DATA, MODEL, NOT_CONVERGED, FILE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 7, 130
CODES: tuple[tuple[type[BaseException], int], ...] = (
    (FormulaError, FORMULA),
    (DataError, DATA),
    (ModelError, MODEL),
    (MemoryEstimateError, MODEL),
    (SavedModelError, FILE),
    (FileError, FILE),
    (RanefError, MODEL),
    (OSError, FILE),
)
LONGEST_ERROR = 20  # lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors go to standard error, on one screen."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    arguments = _parser().parse_args(argv)
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        if arguments.debug:
            raise
        return _complain(*_explained(error))


def _explained(error: Exception) -> tuple[str, int]:
    """What to tell of an error, and the exit code."""
    for kind, code in CODES:
        if isinstance(error, kind):
            return _about_file(error) if isinstance(error, OSError) and not isinstance(error, RanefError) else str(error), code
    return f"internal error: {type(error).__name__}: {error}\nThis is a fault of ranef. `ranef --debug ...` shows where.", INTERNAL


def _about_file(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


def _complain(message: str, code: int) -> int:
    lines = message.splitlines() or [""]
    shown = lines if len(lines) <= LONGEST_ERROR else [*lines[: LONGEST_ERROR - 1], "..."]
    print("ranef: " + "\n".join(shown), file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ranef",
        description="Linear mixed-effects models.",
        epilog="DATA is a file (.csv, .csv.gz, .parquet) or an embedded data set.",
    )
    parser.add_argument("--version", action="version", version=f"ranef {ranef.__version__}")
    parser.add_argument("--debug", action="store_true", help="show where an internal error comes from")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_fit(commands)
    _add_describe(commands)
    _add_predict(commands)
    _add_datasets(commands)
    return parser


def _add_fit(commands: Any) -> None:
    fit = commands.add_parser("fit", help="fit a model and print its summary", description="Fit a model and print its summary.")
    _add_question(fit)
    fit.add_argument("--ml", action="store_true", help="maximum likelihood instead of REML")
    fit.add_argument(
        "--ddf", default="satterthwaite", metavar="METHOD",
        help=f"degrees of freedom: {', '.join(DDF)} (default: satterthwaite)",
    )  # fmt: skip
    fit.add_argument("--optimizer", default="newton", metavar="NAME", help="newton (default), bobyqa, lbfgs or em")
    fit.add_argument("--report", metavar="FILE", type=Path, help="write a report: .html or .md")
    fit.add_argument("--json", metavar="FILE", type=Path, help="write the results as JSON")
    fit.add_argument("--save", metavar="FILE", type=Path, help="save the model for `ranef predict`")
    fit.set_defaults(run=_fit)


def _add_describe(commands: Any) -> None:
    describe = commands.add_parser("describe", help="what a model asks of the data, before any fit")
    _add_question(describe)
    describe.set_defaults(run=_describe)


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser(
        "predict", help="predict new rows with a saved model", description="Writes CSV: one line a row of DATA."
    )
    predict.add_argument("model", metavar="MODEL", type=Path, help="a file written by `ranef fit --save`")
    predict.add_argument("data", metavar="DATA", help="a file or the name of an embedded data set")
    predict.add_argument("--population", action="store_true", help="without random effects")
    predict.add_argument("--interval", choices=("confidence", "prediction"), help="add limits")
    predict.add_argument("--level", type=float, default=0.95, help="of the interval (0.95)")
    predict.add_argument(
        "--new-levels", choices=("error", "population", "missing"), default="error",
        help="what to do with levels that the model has not seen",
    )  # fmt: skip
    predict.add_argument("--out", metavar="FILE", type=Path, help="write here instead of standard output")
    predict.set_defaults(run=_predict)


def _add_datasets(commands: Any) -> None:
    datasets = commands.add_parser("datasets", help="the embedded data sets")
    datasets.add_argument("name", metavar="NAME", nargs="?", help="tell about this one")
    datasets.add_argument("--csv", action="store_true", help="print the data")
    datasets.set_defaults(run=_datasets)


def _add_question(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help="a file or the name of an embedded data set")
    parser.add_argument("formula", metavar="FORMULA", help='such as "y ~ x + (x | group)"')
    parser.add_argument("--residual", metavar="STRUCTURE", help='of the residuals, such as "ar1(visit | id)"')
    parser.add_argument("--weights", metavar="COLUMN", help="precision weights")
    parser.add_argument("--sampling-variance", metavar="COLUMN", help="known variances of the rows, as in a meta-analysis")
    parser.add_argument("--offset", metavar="COLUMN", help="a part of the mean with coefficient one")


def _fit(arguments: argparse.Namespace) -> int:
    if arguments.report is not None:
        from ranef.report.write import kind_of

        kind_of(arguments.report)  # a name that cannot be written is refused before the fit
    for path in (arguments.report, arguments.json, arguments.save):
        if path is not None and not path.parent.is_dir():
            raise FileError.of(path, FileNotFoundError())
    data = _data(arguments.data)
    with progress(f"fitting {arguments.formula}"):
        fit = ranef.lmm(
            arguments.formula, data, reml=not arguments.ml, ddf=arguments.ddf, optimizer=arguments.optimizer,
            residual=arguments.residual, precision_weights=arguments.weights, sampling_variance=arguments.sampling_variance,
            offset=arguments.offset,
        )  # fmt: skip
        text = str(fit.summary())
    print(text)
    for path, write in ((arguments.report, _write_report), (arguments.json, _write_json), (arguments.save, _save)):
        if path is not None:
            with progress(f"writing {path}"):
                write(fit, path, arguments)
            print(f"ranef: wrote {path}", file=sys.stderr)
    return NOT_CONVERGED if fit.status == "not converged" else OK


def _write_report(fit: Fit, path: Path, arguments: argparse.Namespace) -> None:
    from ranef.report.write import report

    report(fit, path, data=arguments.data)


def _write_json(fit: Fit, path: Path, arguments: argparse.Namespace) -> None:
    from ranef.report.record import record

    write_text(path, json.dumps(record(fit), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _save(fit: Fit, path: Path, arguments: argparse.Namespace) -> None:
    fit.save(path)


def _describe(arguments: argparse.Namespace) -> int:
    data = _data(arguments.data)
    options = {
        "residual": arguments.residual, "precision_weights": arguments.weights, "sampling_variance": arguments.sampling_variance,
        "offset": arguments.offset,
    }  # fmt: skip
    print(ranef.describe(arguments.formula, data, **options))
    return OK


def _predict(arguments: argparse.Namespace) -> int:
    from ranef.table import Table

    data = _data(arguments.data)
    fit = ranef.load(arguments.model)
    with progress("predicting"):
        answer = fit.predict(
            data, re="population" if arguments.population else "conditional", interval=arguments.interval,
            new_levels=arguments.new_levels, level=arguments.level,
        )  # fmt: skip
    columns = {str(name): answer[name].to_numpy() for name in answer} if arguments.interval else {"fit": answer.to_numpy()}
    text = Table(columns).to_csv(arguments.out)
    if text is not None:
        print(text, end="")
    return OK


def _datasets(arguments: argparse.Namespace) -> int:
    from ranef import datasets

    if arguments.csv:
        if arguments.name is None:
            raise DataError("--csv needs the name of a data set.", hint="There are: " + ", ".join(datasets.names()) + ".")
        print(datasets.csv_text(arguments.name), end="")
    else:
        print(datasets.describe(arguments.name))
    return OK


def _data(name: str) -> Any:
    """What to hand to a fit: an embedded data set, or the name of a file. A file wins over a data set of the same name."""
    from ranef import datasets

    if not Path(name).exists() and "." not in name and os.sep not in name:
        return datasets.load(name)
    return name
