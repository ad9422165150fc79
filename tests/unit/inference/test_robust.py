"""Robust covariances against their definitions with n x n matrices, which the package never forms."""

from __future__ import annotations

import mpmath
import numpy as np
import pandas as pd
import pytest
from scipy.linalg import sqrtm

import ranef
from ranef.inference.robust import Robust, robust


def frame(seed: int = 1, m: int = 9, per: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    s = np.repeat(np.arange(m), per)
    c = s * 3 + rng.integers(0, 3, len(s))
    x, z = rng.normal(size=len(s)), rng.normal(size=m)[s]
    y = 1 + x + 0.5 * z + rng.normal(size=m)[s] + rng.normal(size=3 * m)[c] + rng.normal(size=len(s)) * (1 + 0.5 * np.abs(x))
    keep = rng.random(len(s)) < 0.8
    return pd.DataFrame({"y": y, "x": x, "z": z, "s": s.astype(str), "c": c.astype(str), "w": rng.uniform(0.5, 2, len(s))})[keep]


MODELS = {
    "intercept": lambda d: ranef.lmm("y ~ x + z + (1 | s)", d),
    "slope": lambda d: ranef.lmm("y ~ x + z + (x | s)", d),
    "nested": lambda d: ranef.lmm("y ~ x + z + (1 | s / c)", d),
    "weights": lambda d: ranef.lmm("y ~ x + z + (1 | s)", d, precision_weights="w"),
    "regression": lambda d: ranef.lm("y ~ x + z", d),
}


def dense(m, codes):
    """X, V / sigma^2, e, M, H and the rows of each cluster."""
    design, n = m.model.design, m.nobs
    V = np.diag(np.ones(n) if design.weights is None else 1 / design.weights)
    for f, part in m.criterion.layout.parts:
        term = design.terms[part.term]
        z = np.ones((n, 1)) if term.z is None else term.z
        root = m.solution.root(f)[part.columns, part.columns]
        V += (z @ root @ root.T @ z.T) * (term.group.codes[:, None] == term.group.codes)
    X, W = design.X, np.linalg.inv(V)
    M = np.linalg.inv(X.T @ W @ X)
    return X, V, design.y - X @ m.solution.beta, M, X @ M @ X.T @ W, [np.flatnonzero(codes == c) for c in range(codes.max() + 1)]


def adjustments(kind, X, V, M, rows):
    out = []
    for c in rows:
        Vc, R = V[np.ix_(c, c)], V[np.ix_(c, c)] - X[c] @ M @ X[c].T
        if kind == "CR2":
            D = np.linalg.cholesky(Vc).T
            out.append(D.T @ np.linalg.pinv(np.real(sqrtm(D @ R @ D.T))) @ D)
        elif kind == "CR3":
            out.append(np.linalg.inv(np.eye(len(c)) - X[c] @ M @ X[c].T @ np.linalg.inv(Vc)))
        else:
            out.append(np.eye(len(c)) * (np.sqrt(len(rows) / (len(rows) - 1)) if kind == "CR1" else 1.0))
    return out


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2", "CR3"])
@pytest.mark.parametrize("model", MODELS)
def test_covariance_and_df_are_those_of_the_definition(model: str, kind: str) -> None:
    d = frame()
    m = MODELS[model](d)
    _, codes = np.unique(d["s"], return_inverse=True)
    X, V, e, M, H, rows = dense(m, codes)
    A = adjustments(kind, X, V, M, rows)
    T = [a.T @ np.linalg.inv(V[np.ix_(c, c)]) @ X[c] @ M for a, c in zip(A, rows, strict=True)]
    vcov = sum(np.outer(t.T @ e[c], t.T @ e[c]) for t, c in zip(T, rows, strict=True))
    ours = robust(m, kind, "s")
    np.testing.assert_allclose(ours.cov_params(), vcov, rtol=1e-7, atol=1e-12)
    spread = (np.eye(len(X)) - H) @ V @ (np.eye(len(X)) - H).T
    for j in range(X.shape[1]):
        P = np.array(
            [[t[:, j] @ spread[np.ix_(c, b)] @ u[:, j] for u, b in zip(T, rows, strict=True)] for t, c in zip(T, rows, strict=True)]
        )
        assert ours.df.iloc[j] == pytest.approx(np.trace(P) ** 2 / np.sum(P * P), rel=1e-6)


def test_joint_test_is_hotellings_with_eta_from_its_definition() -> None:
    d = frame()
    m = MODELS["slope"](d)
    _, codes = np.unique(d["s"], return_inverse=True)
    X, V, _, M, H, rows = dense(m, codes)
    C = np.eye(3)[1:]
    A = adjustments("CR2", X, V, M, rows)
    G = []
    for a, c in zip(A, rows, strict=True):
        g = np.zeros((len(X), 2))
        g[c] = a.T @ np.linalg.inv(V[np.ix_(c, c)]) @ X[c] @ M @ C.T
        G.append((np.eye(len(X)) - H).T @ g)
    omega = sum(g.T @ V @ g for g in G)
    values, vectors = np.linalg.eigh(omega)
    root = vectors / np.sqrt(values) @ vectors.T
    G = [g @ root for g in G]
    total = 0.0
    for s in range(2):
        for t in range(2):
            for a in G:
                for b in G:
                    P = a.T @ V @ b
                    total += P[s, s] * P[t, t] + P[s, t] * P[t, s]
    eta = 2 * 3 / total
    test = Robust.of(m, "CR2", "s").test(C, np.zeros(2))
    assert test.den_df == pytest.approx(eta - 1, rel=1e-6)
    assert test.scale == pytest.approx((eta - 1) / eta, rel=1e-6)
    one = Robust.of(m, "CR2", "s")
    assert one.test(C[:1], np.zeros(1)).den_df == pytest.approx(one.df(C[:1])[0])


def test_large_clusters_are_rotated_without_a_change(monkeypatch) -> None:
    d = frame(per=60)
    for model in ("nested", "slope", "weights"):
        m = MODELS[model](d)
        small = robust(m, "CR2", "s")
        monkeypatch.setattr("ranef.inference.robust.LARGE", 10**9)
        full = robust(m, "CR2", "s")
        monkeypatch.undo()
        np.testing.assert_allclose(small.cov_params(), full.cov_params(), rtol=1e-9)
        np.testing.assert_allclose(small.df, full.df, rtol=1e-8)


def test_cr2_is_unbiased_when_the_model_is_right() -> None:
    """E of the estimate under e ~ N(0, sigma^2 V) is M sigma^2: sum over clusters of T'RT = M."""
    m = MODELS["slope"](frame())
    found = Robust.of(m, "CR2", "s")
    expected = found.own.sum(axis=0) - np.einsum("cij,ckj->ik", found.shared, found.shared)
    np.testing.assert_allclose(expected, np.eye(3), atol=1e-9)


def test_longley_to_sixty_digits() -> None:
    from tests.reference.load import fitted

    m = fitted("ols-longley")
    with mpmath.workdps(60):
        X, y = mpmath.matrix(m.model.design.X.tolist()), mpmath.matrix(m.model.design.y.tolist())
        A = (X.T * X) ** -1
        e = y - X * (A * (X.T * y))
        V = np.array((A * (X.T * mpmath.diag([v**2 for v in e]) * X) * A).tolist(), dtype=float)
    se = np.sqrt(np.diag(V))
    np.testing.assert_allclose(m.cov_params("CR0").to_numpy() / np.outer(se, se), V / np.outer(se, se), atol=1e-10)


def test_every_door_gives_the_same_test() -> None:
    d = frame()
    m = MODELS["nested"](d)
    r = robust(m, "CR2")
    assert r.test("x")["p_value"][0] == pytest.approx(m.test("x", ddf="CR2")["p_value"][0])
    assert r.anova()["p_value"][0] == pytest.approx(r.pvalues["x"])
    assert "CR2" in str(r.summary())
    np.testing.assert_allclose(robust(m, "CR2", d["s"].to_numpy()).bse, r.bse)
    np.testing.assert_array_equal(m.bse, MODELS["nested"](d).bse)


def test_refusals() -> None:
    d = frame()
    with pytest.raises(ranef.ModelError, match="several clusters"):
        robust(MODELS["intercept"](d), "CR2", "c")
    with pytest.raises(ranef.ModelError, match="CR9"):
        robust(MODELS["intercept"](d), "CR9")
    with pytest.raises(ranef.DataError, match="shape"):
        robust(MODELS["regression"](d), "CR1", np.arange(3))
    with pytest.raises(ranef.DataError, match="missing"):
        robust(MODELS["regression"](d), "CR1", np.where(np.arange(len(d)) == 4, np.nan, 1.0))
    with pytest.raises(ranef.DataError, match="no column 'town'"):
        robust(MODELS["regression"](d), "CR1", "town")
    with pytest.raises(ranef.ModelError, match="one cluster"):
        robust(MODELS["regression"](d), "CR1", np.zeros(len(d)))


@pytest.mark.parametrize("kind", ["CR0", "CR2", "CR3"])
def test_a_cluster_that_is_fitted_exactly_says_nothing(kind: str) -> None:
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"x": rng.normal(size=40), "g": np.repeat(np.arange(8), 5).astype(str), "f": "0"})
    data["y"] = data["x"] + rng.normal(size=8)[data["g"].astype(int)] + rng.normal(size=40)
    data.loc[:4, "f"] = list("12345")
    whole = ranef.robust(ranef.lm("y ~ x + f", data), kind, "g")
    others = ranef.robust(ranef.lm("y ~ x", data[5:]), kind, "g")
    assert whole.bse["x"] == pytest.approx(others.bse["x"], rel=1e-8)
    assert whole.df["x"] == pytest.approx(others.df["x"], rel=1e-6)


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2", "CR3"])
def test_no_test_where_the_clusters_do_not_tell(kind: str) -> None:
    """Means of the clusters themselves have no residuals, and more hypotheses than clusters no covariance of full rank."""
    rng = np.random.default_rng(9)
    data = pd.DataFrame({"g": np.repeat(np.arange(4), 6).astype(str), "a": np.tile(list("pqrstu"), 4), "y": rng.normal(size=24)})
    own = ranef.robust(ranef.lm("y ~ g", data), kind, "g")
    assert own.pvalues.isna().all()
    assert np.isnan(own.conf_int()["conf_low"]).all()
    many = ranef.robust(ranef.lm("y ~ a", data), kind, "g").anova()
    assert many["num_df"][0] == 5
    assert np.isnan(many["p_value"][0])
