"""The command line: output, files, exit codes, and errors without a traceback."""

import json
import os
import subprocess
import sys
import time

import pandas as pd
import pytest

import ranef
from ranef import cli, datasets

FORMULA = "Reaction ~ Days + (Days | Subject)"


def run(capsys, *arguments):
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as exit_:
        code = exit_.code
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return code, out, err


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "sleep.ranef"
    ranef.lmm(FORMULA, datasets.load("sleepstudy")).save(path)
    return path


def test_fit_prints_the_summary_and_writes_files(capsys, tmp_path):
    page, record, model = tmp_path / "r.html", tmp_path / "r.json", tmp_path / "m.ranef"
    code, out, err = run(capsys, "fit", "sleepstudy", FORMULA, "--report", page, "--json", record, "--save", model)
    assert code == 0
    assert "Days           10.467       1.546  17.0   6.77  <0.001" in out
    assert err.count("wrote") == 3
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    m = ranef.lmm(FORMULA, datasets.load("sleepstudy"))
    facts = json.loads(record.read_text(encoding="utf-8"))
    assert facts["llf"] == m.llf
    assert facts["fixed"]["estimate"] == list(m.params)
    assert facts["status"] == "optimum"
    assert facts["groups"] == {"Subject": 18}
    assert list(ranef.load(model).params) == list(m.params)


def test_a_report_is_a_page_or_markdown_and_other_names_are_refused_before_the_fit(capsys, tmp_path):
    code, _, err = run(capsys, "fit", "sleepstudy", FORMULA, "--report", tmp_path / "r.md")
    assert code == 0
    assert "wrote" in err
    assert (tmp_path / "r.md").read_text(encoding="utf-8").startswith("# Reaction: linear mixed model")
    assert list((tmp_path / "r_files").glob("*.svg"))
    code, out, err = run(capsys, "fit", "sleepstudy", FORMULA, "--report", tmp_path / "r.pdf")
    assert code == cli.MODEL
    assert out == ""
    assert ".html or .md" in err


def test_fit_takes_files_and_options(capsys, tmp_path):
    data = datasets.load("sleepstudy").assign(w=2.0, o=1.0)
    data.to_csv(tmp_path / "d.csv.gz", index=False)
    data.to_parquet(tmp_path / "d.parquet")
    texts = set()
    for name in ("d.csv.gz", "d.parquet"):
        code, out, _ = run(capsys, "fit", tmp_path / name, FORMULA, "--ml", "--ddf", "residual", "--weights", "w", "--offset", "o")
        assert code == 0
        assert "maximum likelihood" in out
        assert "residual degrees of freedom" in out
        texts.add(out)
    assert len(texts) == 1


def test_known_variances(capsys):
    question = "bcg", "yi ~ ablat + (1 | trial)", "--sampling-variance", "vi"
    code, out, _ = run(capsys, "fit", *question, "--ddf", "knapp-hartung")
    assert code == 0
    assert "known sampling variances" in out
    assert "Knapp and Hartung" in out
    code, out, _ = run(capsys, "describe", *question)
    assert code == 0
    assert "not identified" not in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["fit", "sleepstudy", "Reaction ~ Days + (1 | Subject"], cli.FORMULA, "^"),
        (["fit", "sleepstudy", "Reaction ~ __import__('os').system('true')"], cli.FORMULA, "^"),
        (["fit", "sleepstudy", "Reaction ~ Dayz + (1 | Subject)"], cli.DATA, "Days"),
        (["fit", "sleepstudi", FORMULA], cli.DATA, "sleepstudy"),
        (["fit", "nothing.csv", FORMULA], cli.DATA, "nothing.csv"),
        (["fit", "Dyestuff", "Yield ~ 1 + (Yield | Batch) + (1 | Yield)"], cli.MODEL, "Yield"),
        (["fit", "sleepstudy", FORMULA, "--ddf", "guess"], cli.MODEL, "satterthwaite"),
        (["fit", "sleepstudy", FORMULA, "--optimizer", "guess"], cli.MODEL, "newton"),
        (["fit", "sleepstudy", FORMULA, "--report", "no/such/folder/r.html"], cli.FILE, "folder"),
        (["fit", "sleepstudy"], cli.USAGE, "FORMULA"),
        (["fly"], cli.USAGE, "fly"),
        ([], cli.USAGE, "COMMAND"),
        (["predict", "nothing.ranef", "sleepstudy"], cli.FILE, "nothing.ranef"),
        (["datasets", "Oates"], cli.DATA, "Oats"),
        (["datasets", "--csv"], cli.DATA, "needs the name"),
        (["describe", "Oats", "yield ~ nitrogen"], cli.DATA, "nitro"),
    ],
)
def test_errors_have_a_code_and_fit_on_a_screen(capsys, monkeypatch, tmp_path, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    got, _, err = run(capsys, *arguments)
    assert got == code
    assert words in err
    assert len(err.splitlines()) <= 24


def test_a_file_that_is_no_model_is_refused(capsys, tmp_path):
    stranger = tmp_path / "model.pkl"
    stranger.write_bytes(b"\x80\x04cos\nsystem\n")
    assert run(capsys, "predict", stranger, "sleepstudy")[0] == cli.FILE


def test_no_convergence_has_a_code_of_its_own(capsys, monkeypatch):
    fit = ranef.lmm(FORMULA, datasets.load("sleepstudy"))
    from dataclasses import replace

    from ranef.fit.answer import changed

    stuck = changed(fit, optimum=replace(fit.optimum, state="not converged"))
    monkeypatch.setattr(ranef, "lmm", lambda *_, **__: stuck)
    code, out, _ = run(capsys, "fit", "sleepstudy", FORMULA)
    assert code == cli.NOT_CONVERGED
    assert "not converged" in out


def test_a_fault_of_ours_is_said_to_be_one(capsys, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("oops\n" * 100)

    monkeypatch.setattr(ranef, "lmm", broken)
    code, _, err = run(capsys, "fit", "sleepstudy", FORMULA)
    assert code == cli.INTERNAL
    assert "internal error: ZeroDivisionError" in err
    assert len(err.splitlines()) <= cli.LONGEST_ERROR
    with pytest.raises(ZeroDivisionError):
        cli.main(["--debug", "fit", "sleepstudy", FORMULA])


def test_interruption(capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ranef, "lmm", interrupted)
    assert run(capsys, "fit", "sleepstudy", FORMULA)[0] == 130


def test_predict_writes_csv(capsys, tmp_path, saved):
    new = tmp_path / "new.csv"
    new.write_text("Days,Subject\n5,308\n5,unknown\n,309\n", encoding="utf-8")
    code, _, err = run(capsys, "predict", saved, new)
    assert code == cli.DATA
    assert "unknown" in err
    code, out, _ = run(capsys, "predict", saved, new, "--new-levels", "population", "--interval", "prediction")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "fit,std_error,conf_low,conf_high"
    assert len(lines) == 4
    assert lines[3] == ",,,"
    target = tmp_path / "out.csv"
    assert run(capsys, "predict", saved, "sleepstudy", "--population", "--out", target) == (0, "", "")
    m = ranef.lmm(FORMULA, datasets.load("sleepstudy"))
    expected = m.predict(datasets.load("sleepstudy"), re="population")
    assert pd.read_csv(target)["fit"].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-12)


def test_datasets_are_listed_told_and_printed(capsys):
    assert "sleepstudy" in run(capsys, "datasets")[1]
    assert "Belenky" in run(capsys, "datasets", "sleepstudy")[1]
    assert run(capsys, "datasets", "Dyestuff", "--csv")[1].splitlines()[:2] == ["Batch,Yield", "A,1545"]


def test_describe(capsys):
    code, out, _ = run(capsys, "describe", "Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)")
    assert code == 0
    assert "fully crossed" in out


def test_version(capsys):
    assert run(capsys, "--version")[:2] == (0, f"ranef {ranef.__version__}\n")


def test_as_a_module_into_a_closed_pipe():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = f'"{sys.executable}" -m ranef datasets InstEval --csv | head -n 1'
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "s,d,studage,lectage,service,dept,y"
    assert done.stderr == ""


def test_quick_work_is_silent_and_long_work_says_so(monkeypatch):
    import io

    from ranef import progress

    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    monkeypatch.setattr(progress, "PERIOD", 0.01)
    quiet, log, terminal = io.StringIO(), io.StringIO(), io.StringIO()
    terminal.isatty = lambda: True
    for stream, seconds in ((log, 0.1), (terminal, 0.1)):
        with progress.progress("fitting y ~ x", stream):
            time.sleep(seconds)
    monkeypatch.setattr(progress, "PATIENCE", 10.0)
    with progress.progress("fitting", quiet):
        pass
    assert quiet.getvalue() == ""
    assert log.getvalue() == "ranef: fitting y ~ x ...\n"
    assert "fitting y ~ x (0 s)" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\033[K")
