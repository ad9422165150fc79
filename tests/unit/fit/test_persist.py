"""Saved models: the same answers from a file without data, and no file that does anything but answer or be refused."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.fit.truth import FORMULAS, data_of, model, simulated

import ranef
from ranef.fit.container import EPOCH, read, write
from ranef.fit.effects import conditional_covariance
from ranef.fit.fit import Fit
from ranef.fit.persist import FORMAT, data_digest, load, save

NAMES = list(FORMULAS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fit.ranef"


def saved(fit: Fit, path: Path) -> Fit:
    save(fit, path)
    return load(path)


def same(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("re", ["conditional", "population"])
def test_predictions_are_the_same(name: str, re: str, path: Path) -> None:
    fit, data = model(name), data_of(name)
    again = saved(fit, path)
    same(again.predict(data, re=re), fit.predict(data, re=re))
    for interval in ("confidence", "prediction"):
        same(again.predict(data, re=re, interval=interval), fit.predict(data, re=re, interval=interval))


@pytest.mark.parametrize("name", NAMES)
def test_facts_and_tables_are_the_same(name: str, path: Path) -> None:
    fit = model(name)
    again = saved(fit, path)
    for fact in ("params", "bse", "df", "pvalues", "theta", "llf", "aic", "bic", "sigma", "nobs", "df_residual"):
        same(getattr(again, fact), getattr(fit, fact))
    for fact in ("formula", "reml", "ddf", "status", "is_singular", "ngroups", "dropped"):
        assert getattr(again, fact) == getattr(fit, fact)
    assert [finding.message for finding in again.findings] == [finding.message for finding in fit.findings]
    for table in ("tidy", "glance", "ranef"):
        pd.testing.assert_frame_equal(getattr(again, table)().frame, getattr(fit, table)().frame, rtol=1e-12)
    pd.testing.assert_frame_equal(again.varcorr.frame, fit.varcorr.frame, rtol=1e-12)
    for group, frame in fit.coef().items():
        pd.testing.assert_frame_equal(again.coef()[group], frame, rtol=1e-12)
        same(conditional_covariance(again, group), conditional_covariance(fit, group))


@settings(max_examples=15)
@given(
    st.integers(0, 10_000),
    st.sampled_from(
        ["y ~ x + (x | a)", "y ~ x * f + (1 | a) + (1 | b)", "y ~ poly(x, 2) + (w || a)", "log(x + 20) ~ f + (1 | a/b)"]
    ),
)
def test_save_and_load_is_the_identity_on_predictions(tmp_path_factory: pytest.TempPathFactory, seed: int, formula: str) -> None:
    data = simulated(60, seed)
    fit = ranef.lmm(formula, data)
    again = saved(fit, tmp_path_factory.mktemp("saved") / "fit.ranef")
    new = simulated(40, seed + 1)
    for options in ({}, {"interval": "confidence"}, {"re": "population", "interval": "prediction"}):
        same(again.predict(new, new_levels="population", **options), fit.predict(new, new_levels="population", **options))


def test_summary_shows_without_data(path: Path) -> None:
    assert "17.0" in str(saved(model("slopes"), path).summary())


@pytest.mark.parametrize(
    "question",
    [lambda m: m.resid, lambda m: m.predict(), lambda m: m.simulate(), lambda m: m.hat_values(), lambda m: m.residuals(), lambda m: m.augment(),
     lambda m: m.refit([1.0]), lambda m: m.update(reml=False), lambda m: ranef.henderson(m)],
)  # fmt: skip
def test_questions_about_rows_say_that_there_are_none(question: Callable[[Fit], Any], path: Path) -> None:
    again = saved(model("slopes"), path)
    with pytest.raises(ranef.ModelError, match="holds no data"):
        question(again)


def test_update_with_data_fits_again(path: Path) -> None:
    again = saved(model("slopes"), path)
    assert again.update(data=data_of("slopes"), reml=False).llf == pytest.approx(-875.97, abs=5e-3)


def test_file_holds_no_rows_and_is_small(path: Path) -> None:
    """No array of the file is as long as the data, and no value of the response is found in it."""
    fit = model("crossed")
    save(fit, path)
    header, arrays = read(path, max_bytes=2**20)
    assert max(len(np.atleast_1d(array)) for array in arrays.values()) < fit.nobs
    numbers = np.concatenate([np.ravel(array) for array in arrays.values()])
    assert not np.isin(fit.model.design.y, numbers).any()
    assert not any(repr(value) in json.dumps(header) for value in data_of("crossed")["y"])
    assert path.stat().st_size < 12_000


def test_same_fit_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    save(model("nested"), path)
    save(model("nested"), tmp_path / "again.ranef")
    assert path.read_bytes() == (tmp_path / "again.ranef").read_bytes()


def test_loaded_model_can_be_saved_again(path: Path, tmp_path: Path) -> None:
    again = saved(saved(model("nested"), path), tmp_path / "again.ranef")
    same(again.predict(data_of("nested")), model("nested").predict(data_of("nested")))


def test_digest_tells_the_data_apart(path: Path) -> None:
    fit = model("plain")
    save(fit, path)
    header, _ = read(path, max_bytes=2**20)
    assert header["digest"] == data_digest(fit.model.design)
    assert data_digest(ranef.lm("y ~ x", data_of("plain").assign(y=lambda d: d["y"] + 1e-12)).model.design) != data_digest(
        ranef.lm("y ~ x", data_of("plain")).model.design
    )


def test_functions_are_given_again(path: Path) -> None:
    functions = {"twice": lambda x: 2 * np.asarray(x)}
    data = data_of("plain")
    fit = ranef.lmm("y ~ twice(x) + (1 | a)", data, functions=functions)
    save(fit, path)
    same(load(path, functions=functions).predict(data), fit.predict(data))
    with pytest.raises(ranef.RanefError, match="twice"):
        load(path).predict(data)


def test_interrupted_save_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(model("slopes"), path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ranef.SavedModelError, match="No space left"):
        save(model("plain"), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


# -- strangers


def refused(path: Path, match: str | None = None, **options: Any) -> None:
    with pytest.raises(ranef.SavedModelError, match=match):
        load(path, **options)


def altered(
    path: Path, header: Callable[[dict[str, Any]], Any] | None = None, arrays: Callable[[dict[str, Any]], Any] | None = None
) -> None:
    """Rewrite a saved model with changes that keep the archive in order."""
    save(model("crossed"), path)
    found, numbers = read(path, max_bytes=2**20)
    if header is not None:
        header(found)
    if arrays is not None:
        arrays(numbers)
    write(path, found, numbers)


def test_absent_file_and_folder(tmp_path: Path) -> None:
    refused(tmp_path / "none.ranef", "No such file")
    refused(tmp_path)
    with pytest.raises(ranef.SavedModelError, match="cannot be written"):
        save(model("slopes"), tmp_path / "no" / "folder.ranef")


def test_other_files(path: Path) -> None:
    for content, match in (
        (b"", "not a saved model"),
        (b"y,x\n1,2\n", "not a saved model"),
        (pickle.dumps({"a": 1}), "pickle"),
        (b"PK\x03\x04rest", "damaged"),
    ):
        path.write_bytes(content)
        refused(path, match)


def test_other_archives(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), a=np.zeros(3))
    refused(path.with_suffix(".npz"), "not a saved model")
    write(path, {"magic": "something else"}, {})
    refused(path, "another kind")


def test_future_format_names_the_version(path: Path) -> None:
    altered(path, header=lambda h: h.update(format=FORMAT + 1, version="9.0.0"))
    refused(path, r"9\.0\.0")


def test_traversal_and_extra_members(path: Path) -> None:
    save(model("slopes"), path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../evil.npy", b"x")
    refused(path, "evil")


def test_repeated_members(path: Path) -> None:
    save(model("slopes"), path)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("theta.npy", b"x")
    refused(path, "other contents")


def test_pickled_arrays_are_never_read(path: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    content = io.BytesIO()
    np.save(content, np.array([Bomb(str(mark))], dtype=object), allow_pickle=True)
    save(model("slopes"), path)
    replaced(path, {"theta.npy": content.getvalue()})
    refused(path, "not what the header says|larger than it may be")
    assert not mark.exists()


class Bomb:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (open, (self.path, "w"))


def replaced(path: Path, contents: dict[str, bytes]) -> None:
    """Rewrite the archive with other members."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (members | contents).items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)


def test_member_that_inflates_beyond_its_size_is_not_read_to_the_end(path: Path) -> None:
    save(model("slopes"), path)
    replaced(path, {"theta.npy": bytes(50_000_000)})
    assert path.stat().st_size < 100_000
    refused(path, "larger than it may be")


def test_declared_size_is_checked_before_anything_is_read(path: Path) -> None:
    save(model("slopes"), path)
    header, _ = read(path, max_bytes=2**20)
    header["arrays"]["zz.0"]["shape"] = [2**31, 2, 2]
    replaced(path, {"header.json": json.dumps(header).encode()})
    refused(path, "MB of arrays")
    refused(path, "not what the header says|larger", max_bytes=2**60)


@pytest.mark.parametrize("shape", [[-1], [2.5], ["3"], [True], None, [1] * 9])
def test_impossible_shapes(shape: Any, path: Path) -> None:
    save(model("slopes"), path)
    header, _ = read(path, max_bytes=2**20)
    header["arrays"]["theta"]["shape"] = shape
    replaced(path, {"header.json": json.dumps(header).encode()})
    refused(path)


def test_deep_headers_and_constants(path: Path) -> None:
    save(model("slopes"), path)
    for text in ("[" * 200_000, '{"arrays": {"a": NaN}}', "[]", '"text"', "{", '{"arrays": []}'):
        replaced(path, {"header.json": text.encode()})
        refused(path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda a: a.pop("theta"), "lacks the array"),
        (lambda a: a.update(theta=np.zeros(2)), "shape"),
        (lambda a: a.update(scale=-a["scale"]), "units"),
        (lambda a: a.update(upper=np.zeros_like(a["upper"])), "units"),
        (lambda a: a.update(ww=-a["ww"]), None),
        (lambda a: a.update({"zz.0": a["zz.0"][:3]}), "shape"),
        (lambda a: a.update({"zw.0": a["zw.0"] * 0.99}), "contradicts itself"),
        (lambda a: a.update({"theta": a["theta"] * 2}), "contradicts itself"),
        (lambda a: a.update({"pair.0.1.rows": a["pair.0.1.rows"] + 100}), "pairs of levels"),
        (lambda a: a.update({"pair.0.1.rows": -a["pair.0.1.rows"]}), "pairs of levels"),
        (lambda a: a.update({"pair.0.1.columns": a["pair.0.1.columns"][::-1]}), "order of the pairs"),
        (lambda a: a.update({"pair.0.1.values": a["pair.0.1.values"][1:]}), "shape"),
        (lambda a: a.update(shift=np.full_like(a["shift"], np.nan)), "not finite"),
        (lambda a: a.update(hessian=np.full_like(a["hessian"], np.inf)), "not finite"),
    ],
)
def test_numbers_that_cannot_be(change: Callable[[dict[str, Any]], Any], match: str | None, path: Path) -> None:
    altered(path, arrays=change)
    refused(path, match)


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.pop("schema"),
        lambda h: h.pop("facts"),
        lambda h: h["facts"].update(beta={}),
        lambda h: h["facts"].update(beta={"(Intercept)": 1.0, "x": 2.0, "w": 3.0}),
        lambda h: h["facts"].update(deviance=0.0),
        lambda h: h["facts"].update(nobs=2),
        lambda h: h["facts"].update(nobs="many"),
        lambda h: h["terms"].pop(),
        lambda h: h["terms"][0].update(structure="magic"),
        lambda h: h["terms"][0].update(group="nobody"),
        lambda h: h["terms"][0].update(names=["x"] * 1000),
        lambda h: h.update(names=["a", "b", "c"]),
        lambda h: h["standard"].update(kept=[2, 1, 0]),
        lambda h: h["standard"].update(kept=[0, 1, 7]),
        lambda h: h["standard"].update(constants=[9, None, None]),
        lambda h: h["schema"]["groups"][0]["parts"][0].pop(),
        lambda h: h["schema"].update(formula="y ~ __import__('os').getpid() + (1 | a)"),
        lambda h: h.update(formula="(" * 300 + "y"),
    ],
)
def test_headers_that_contradict_the_numbers(change: Callable[[dict[str, Any]], Any], path: Path) -> None:
    altered(path, header=change)
    refused(path)


@settings(max_examples=300)
@given(st.data())
def test_flipped_bytes_give_the_same_model_or_an_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content, expected = whole_file(tmp_path_factory)
    broken = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        broken[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    check_broken(bytes(broken), expected, tmp_path_factory)


@settings(max_examples=100)
@given(st.data())
def test_cut_files_are_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content, expected = whole_file(tmp_path_factory)
    check_broken(content[: data.draw(st.integers(0, len(content) - 1))], expected, tmp_path_factory)


@settings(max_examples=200)
@given(st.data())
def test_flipped_bytes_of_the_header_give_an_equivalent_model_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Behind a valid checksum, so that the header itself is read; whatever is accepted also answers or refuses by an error of ours."""
    content = rich_file(tmp_path_factory)
    target = tmp_path_factory.mktemp("header") / "broken.ranef"
    target.write_bytes(content)
    with zipfile.ZipFile(target) as archive:
        text = bytearray(archive.read("header.json"))
    text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 127))
    replaced(target, {"header.json": bytes(text)})
    try:
        again = load(target)
    except ranef.SavedModelError:
        return
    assert np.isfinite(again.sigma)
    with contextlib.suppress(ranef.RanefError):
        assert len(again.predict(simulated(20), new_levels="population", interval="prediction")) == 20


def whole_file(factory: pytest.TempPathFactory) -> tuple[bytes, np.ndarray]:
    if not hasattr(whole_file, "kept"):
        target = factory.mktemp("whole") / "fit.ranef"
        save(model("crossed"), target)
        whole_file.kept = target.read_bytes(), model("crossed").predict(data_of("crossed")).to_numpy()  # type: ignore[attr-defined]
    return whole_file.kept  # type: ignore[attr-defined]


def rich_file(factory: pytest.TempPathFactory) -> bytes:
    """With factors, contrasts, and transforms that keep a state."""
    if not hasattr(rich_file, "kept"):
        target = factory.mktemp("rich") / "fit.ranef"
        save(ranef.lmm("y ~ C(f, sum) * poly(x, 2) + bs(w, df=4) + (scale(w) | a) + (1 | a:b)", simulated()), target)
        rich_file.kept = target.read_bytes()  # type: ignore[attr-defined]
    return rich_file.kept  # type: ignore[attr-defined]


def check_broken(content: bytes, expected: np.ndarray, factory: pytest.TempPathFactory) -> None:
    target = factory.mktemp("broken") / "fit.ranef"
    target.write_bytes(content)
    try:
        again = load(target)
    except ranef.SavedModelError:
        return
    same(again.predict(data_of("crossed")), expected)


def test_encrypted_member_is_refused(path: Path) -> None:
    save(model("slopes"), path)
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    struct.pack_into("<H", content, at + 8, struct.unpack_from("<H", content, at + 8)[0] | 1)
    path.write_bytes(bytes(content))
    refused(path, "packed in a way")
