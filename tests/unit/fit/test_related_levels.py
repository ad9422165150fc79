"""`gr(id, cov=A)` and `mm(a, b)` against the likelihood from its definition, and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_array, diags_array

import ranef
from ranef.covariance.pedigree import Pedigree
from ranef.errors import DataError, FormulaError, MemoryEstimateError, ModelError
from ranef.inference.rlrt import eigenvalues

WHO = [f"a{i:02d}" for i in range(24)]


def pedigree() -> Pedigree:
    rng = np.random.default_rng(1)
    sire = [None] * 6 + [WHO[rng.integers(i // 2)] for i in range(6, 24)]
    dam = [None] * 6 + [WHO[rng.integers(i // 2, i)] for i in range(6, 24)]
    return ranef.pedigree(WHO, sire, dam)


def data() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    A = pedigree().relationship(WHO).to_numpy()
    u = np.linalg.cholesky(A) @ rng.normal(size=(24, 2)) * [1.5, 0.7]
    row = rng.permutation(np.repeat(np.arange(24), 4))
    x = rng.normal(size=len(row))
    frame = pd.DataFrame({"x": x, "id": [WHO[i] for i in row], "b": rng.integers(0, 7, len(row)).astype(str)})
    frame["c"], frame["w"] = rng.choice(WHO, len(row)), rng.uniform(size=len(row))
    frame["y"] = 2.0 + 0.5 * x + u[row, 0] + x * u[row, 1] + rng.normal(size=len(row))
    return frame


def indicator(column: pd.Series) -> np.ndarray:
    return (column.to_numpy()[:, None] == np.array(WHO)).astype(float)


def criterion(frame: pd.DataFrame, spread: np.ndarray) -> float:
    """REML criterion with V = I + spread, from its definition."""
    X, y = np.column_stack([np.ones(len(frame)), frame.x]), frame.y.to_numpy()
    W = np.linalg.inv(np.eye(len(y)) + spread)
    inner = X.T @ W @ X
    r = y - X @ np.linalg.solve(inner, X.T @ W @ y)
    nu = len(y) - 2
    logdets = np.linalg.slogdet(inner)[1] - np.linalg.slogdet(W)[1]
    return float(logdets + nu * (1.0 + np.log(2.0 * np.pi * (r @ W @ r) / nu)))


def test_known_covariance_is_that_of_the_definition() -> None:
    frame, A = data(), pedigree().relationship()
    m = ranef.lmm("y ~ x + (1 | gr(id, cov=A))", frame, covariances={"A": A})
    Z = indicator(frame.id)
    spread = Z @ A.loc[WHO, WHO].to_numpy() @ Z.T
    assert m.deviance == pytest.approx(criterion(frame, m.theta[0] ** 2 * spread), abs=1e-9)
    for moved in (0.99, 1.01):
        assert m.deviance < criterion(frame, (moved * m.theta[0]) ** 2 * spread)
    V = np.eye(len(frame)) + m.theta[0] ** 2 * spread
    residual = frame.y - m.params.iloc[0] - m.params.iloc[1] * frame.x
    expected = m.theta[0] ** 2 * A.loc[WHO, WHO].to_numpy() @ Z.T @ np.linalg.solve(V, residual)
    table = m.ranef()
    assert list(table["level"]) == WHO
    np.testing.assert_allclose(table["estimate"], expected, atol=1e-9)
    np.testing.assert_allclose(m.fittedvalues, frame.y - residual + Z @ expected, atol=1e-9)
    assert m.ngroups == {"gr(id, cov = A)": 24}
    assert not [finding for finding in m.findings if finding.code == "few_levels"]


def test_identity_is_the_ordinary_random_effect() -> None:
    frame = data()
    known = ranef.lmm("y ~ x + (x | gr(id, cov=A))", frame, covariances={"A": (np.eye(24), WHO)})
    plain = ranef.lmm("y ~ x + (x | id)", frame)
    assert known.llf == pytest.approx(plain.llf, abs=1e-8)
    np.testing.assert_allclose(known.params, plain.params, rtol=1e-6)
    np.testing.assert_allclose(known.bse, plain.bse, rtol=1e-5)
    np.testing.assert_allclose(known.varcorr["sdcor"][:3], plain.varcorr["sdcor"][:3], rtol=1e-4)
    np.testing.assert_allclose(known.df, plain.df, rtol=1e-3)
    np.testing.assert_allclose(known.fittedvalues, plain.fittedvalues, atol=1e-5)


def test_slopes_have_the_product_of_both_covariances() -> None:
    frame, A = data(), pedigree().relationship(WHO)
    m = ranef.lmm("y ~ x + (x | gr(id, cov=A))", frame, covariances={"A": A})
    Z = indicator(frame.id)
    both = np.hstack([Z, frame.x.to_numpy()[:, None] * Z])
    L = np.array([[m.theta[0], 0.0], [m.theta[1], m.theta[2]]])
    assert m.deviance == pytest.approx(criterion(frame, both @ np.kron(L @ L.T, A) @ both.T), abs=1e-9)
    assert sorted(set(m.ranef()["term"])) == ["(Intercept)", "x"]


def test_beside_another_factor_and_with_any_kind_of_matrix() -> None:
    frame, A = data(), pedigree().relationship(WHO)
    a = ranef.lmm("y ~ x + (1 | gr(id, cov=A)) + (1 | b)", frame, covariances={"A": A})
    b = ranef.lmm("y ~ x + (1 | gr(id, cov=K)) + (1 | b)", frame, covariances={"K": (csc_array(A.to_numpy()), WHO)})
    assert a.llf == pytest.approx(b.llf, abs=1e-10)
    Z, B = indicator(frame.id), (frame.b.to_numpy()[:, None] == np.unique(frame.b)).astype(float)
    spread = a.theta[0] ** 2 * Z @ A.to_numpy() @ Z.T + a.theta[1] ** 2 * B @ B.T
    assert a.deviance == pytest.approx(criterion(frame, spread), abs=1e-9)


def test_a_precision_matrix_integrates_out_the_levels_without_data() -> None:
    frame, p = data(), pedigree()
    frame = frame[~frame.id.isin(WHO[:9])]
    A = np.linalg.inv(p.precision.toarray())
    at = [p.members.index(who) for who in WHO]
    Z = indicator(frame.id)
    spread = Z @ A[np.ix_(at, at)] @ Z.T
    for given in (p, ranef.precision(p.precision, p.members), ranef.precision(pd.DataFrame(p.precision.toarray(), p.members))):
        m = ranef.lmm("y ~ x + (1 | gr(id, cov=A))", frame, covariances={"A": given})
        assert m.deviance == pytest.approx(criterion(frame, m.theta[0] ** 2 * spread), abs=1e-9)
        assert list(m.ranef()["level"]) == WHO[9:]
    seen = [p.members.index(who) for who in WHO[9:]]
    conditioned = np.linalg.inv(p.precision.toarray()[np.ix_(seen, seen)])
    assert not np.allclose(conditioned, A[np.ix_(seen, seen)], atol=1e-3), "the example tells integrating from conditioning"


def test_a_root_of_low_rank() -> None:
    frame, B = data(), np.random.default_rng(5).normal(size=(24, 3))
    m = ranef.lmm("y ~ x + (1 | gr(id, cov=G))", frame, covariances={"G": ranef.low_rank(B, WHO)})
    Z = indicator(frame.id) @ B
    assert m.deviance == pytest.approx(criterion(frame, m.theta[0] ** 2 * Z @ Z.T), abs=1e-9)
    estimates = np.asarray(m.ranef()["estimate"])
    np.testing.assert_allclose(estimates, B @ np.linalg.lstsq(B, estimates, rcond=None)[0], atol=1e-9)
    full = ranef.lmm("y ~ x + (1 | gr(id, cov=G))", frame, covariances={"G": (B @ B.T, WHO)})
    assert full.llf == pytest.approx(m.llf, abs=1e-8)


def test_a_known_covariance_is_tested_as_what_it_is() -> None:
    """Levels that are the same in pairs are those of a factor of half as many levels."""
    frame = data()
    frame["pair"] = [f"p{WHO.index(who) // 2:02d}" for who in frame.id]
    twins = ranef.low_rank(np.kron(np.eye(12), np.ones((2, 1))), WHO)
    known = ranef.lmm("y ~ x + (1 | gr(id, cov=A))", frame, covariances={"A": twins})
    plain = ranef.lmm("y ~ x + (1 | pair)", frame)
    assert known.deviance == pytest.approx(plain.deviance, abs=1e-8)
    assert known.status == plain.status == "optimum"
    for name in ("statistic", "df", "p_mixture"):
        assert ranef.ranova(known)[name][1] == pytest.approx(ranef.ranova(plain)[name][1], rel=1e-6)
    p, wanted = (ranef.ranova(m, draws=20_000)["p_value"][1] for m in (known, plain))
    assert p == pytest.approx(wanted, rel=0.1, abs=0.003)
    for ours, theirs in zip(eigenvalues(known.criterion.gram), eigenvalues(plain.criterion.gram), strict=True):
        ours, theirs = ours[ours > 1e-9 * ours.max()], theirs[theirs > 1e-9 * theirs.max()]
        np.testing.assert_allclose(np.sort(ours) / ours.max(), np.sort(theirs) / theirs.max(), rtol=1e-8)


def test_hundreds_of_levels_and_no_variance() -> None:
    """The determinant of 300 correlations is no number that a computer knows; without any variance one sentence says so."""
    rng, m = np.random.default_rng(8), 300
    code = np.repeat(np.arange(m), 2)
    apart = np.abs(np.subtract.outer(np.arange(m), np.arange(m)))
    noise = rng.normal(size=len(code))
    frame = pd.DataFrame(
        {"id": [f"a{i:03d}" for i in code], "y": noise + np.linalg.cholesky(0.8**apart)[code] @ rng.normal(size=m)}
    )
    A = (0.8**apart, [f"a{i:03d}" for i in range(m)])
    assert ranef.lmm("y ~ 1 + (1 | gr(id, cov=A))", frame, covariances={"A": A}).status == "optimum"
    nothing = frame.assign(y=np.tile([-1.0, 1.0], m) + 0.01 * noise)
    found = ranef.lmm("y ~ 1 + (1 | gr(id, cov=A))", nothing, covariances={"A": A})
    assert found.optimum.boundary == ("the variances of 300 effects in gr(id, cov = A) are zero",)


def test_a_large_sparse_precision_is_never_dense() -> None:
    """The precision of an autoregression over 30,000 times, of which 40 have data: A of all would take 7 GB."""
    n, rho = 30_000, 0.9
    side = np.full(n - 1, -rho)
    Q = diags_array([side, np.append(np.full(n - 1, 1 + rho**2), 1.0), side], offsets=[-1, 0, 1]) / (1 - rho**2)
    Q = Q - diags_array(np.append(rho**2, np.zeros(n - 1))) / (1 - rho**2)
    at = np.random.default_rng(4).choice(200, 40, replace=False)
    A = ranef.precision(Q, range(n)).among(at)
    np.testing.assert_allclose(A, rho ** np.abs(at[:, None] - at), atol=1e-10)


def test_memory_is_asked_for_before_levels_are_made_dense(monkeypatch) -> None:
    monkeypatch.setattr("ranef.schema.memory.SMALL", 0)
    monkeypatch.setattr("ranef.schema.memory.available_bytes", lambda: 5e4)
    with pytest.raises(MemoryEstimateError, match="with 48 effects, whose covariances are dense"):
        ranef.lmm("y ~ x + (x | gr(id, cov=A))", data(), covariances={"A": pedigree()})


def test_memberships_are_weighted() -> None:
    frame = data()
    first, second = indicator(frame.id), indicator(frame.c)
    even = ranef.lmm("y ~ x + (1 | mm(id, c))", frame)
    Z = (first + second) / 2.0
    assert even.deviance == pytest.approx(criterion(frame, even.theta[0] ** 2 * Z @ Z.T), abs=1e-9)
    w = frame.w.to_numpy()[:, None]
    uneven = ranef.lmm("y ~ x + (1 | mm(id, c, weights=[w, 1 - w]))", frame)
    Z = w * first + (1 - w) * second
    assert uneven.deviance == pytest.approx(criterion(frame, uneven.theta[0] ** 2 * Z @ Z.T), abs=1e-9)
    assert list(even.varcorr["term1"]) == ["(Intercept)", None]
    assert list(even.ranef()["level"]) == WHO


def test_one_membership_twice_is_the_ordinary_random_effect() -> None:
    frame = data()
    a, b = ranef.lmm("y ~ x + (1 | mm(id, id))", frame), ranef.lmm("y ~ x + (1 | id)", frame)
    assert a.llf == pytest.approx(b.llf, abs=1e-9)
    np.testing.assert_allclose(a.ranef()["estimate"], b.ranef()["estimate"], atol=1e-6)


@pytest.mark.parametrize("formula", ["y ~ x + (x | gr(id, cov=A))", "y ~ x + (1 | mm(id, c, weights=[w, 1 - w])) + (1 | b)"])
def test_saving_updating_predicting(formula: str, tmp_path) -> None:
    frame = data()
    m = ranef.lmm(formula, frame, covariances={"A": pedigree().relationship()})
    m.save(tmp_path / "m")
    again = ranef.load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict(frame.head(5)), m.predict(frame.head(5)))
    np.testing.assert_allclose(m.predict(frame.head(5)), m.fittedvalues[:5], atol=1e-9)
    assert m.update(reml=False).reml is False
    with pytest.raises(DataError, match="stranger"):
        m.predict(frame.head(1).assign(id="stranger"))
    assert np.isfinite(m.predict(frame.head(1).assign(id="stranger"), re="population")).all()


IMPROPER = np.diag([1.0, 2.0, 1.0]) - np.eye(3, k=1) - np.eye(3, k=-1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ranef.precision(np.eye(3)), "does not know the levels"),
        (lambda: ranef.precision(np.eye(3), ["a", "b"]), "must be square"),
        (lambda: ranef.precision(np.eye(2), ["a", "a"]), "'a' twice"),
        (lambda: ranef.precision(np.triu(np.ones((2, 2))), ["a", "b"]), "not symmetric"),
        (lambda: ranef.precision(np.diag([1.0, 0.0]), ["a", "b"]), "diagonal, at the level 'b'"),
        (lambda: ranef.precision(IMPROPER, ["a", "b", "c"]).among(np.arange(3)), "not positive definite"),
        (lambda: ranef.precision(np.array([[1.0, 2.0], [2.0, 1.0]]), ["a", "b"]).among(np.arange(2)), "not positive definite"),
        (lambda: ranef.low_rank(np.ones((3, 1)), ["a", "b"]), "a row for each level"),
    ],
)
def test_refusals_of_what_is_given(make, message) -> None:
    with pytest.raises(ModelError, match=message):
        make()


@pytest.mark.parametrize(
    ("formula", "covariances", "error", "message"),
    [
        ("y ~ x + (1 | gr(id, cov=B))", {"A": np.eye(2)}, ModelError, "'B' of .* was not given"),
        ("y ~ x + (1 | gr(id))", {}, FormulaError, "name of a covariance"),
        ("y ~ x + (1 | gr(id, cov=A))", {"A": (np.eye(3), WHO[:3])}, ModelError, "lacks the level 'a03'"),
        ("y ~ x + (1 | gr(id, cov=A))", {"A": np.eye(24)}, ModelError, "no labels"),
        ("y ~ x + (1 | gr(id, cov=A))", {"A": (np.ones((24, 2)), WHO)}, ModelError, "must be square"),
        ("y ~ x + (1 | gr(id, cov=A))", {"A": (np.eye(24) - 0.5, WHO)}, ModelError, "not positive semi-definite"),
        ("y ~ x + (1 | gr(id, cov=A))", {"A": (np.triu(np.ones((24, 24))), WHO)}, ModelError, "not symmetric"),
        ("y ~ x + (x | mm(id, c))", {}, FormulaError, "random intercepts"),
        ("y ~ x + (1 | mm(id))", {}, FormulaError, "two columns"),
        ("y ~ x + (1 | mm(id, c, weights=[w]))", {}, FormulaError, "a weight for each"),
    ],
)
def test_refusals(formula, covariances, error, message) -> None:
    with pytest.raises(error, match=message):
        ranef.lmm(formula, data(), covariances=covariances)
