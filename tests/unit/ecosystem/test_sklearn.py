"""MixedRegressor in scikit-learn: its own checks, clones, pipelines, cross-validation by groups."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.errors import DataError, FormulaError

pytest.importorskip("sklearn", reason="MixedRegressor is a scikit-learn estimator; the extra `test` installs scikit-learn")

from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_predict, cross_val_score
from sklearn.utils.estimator_checks import check_estimator

FORMULA = "Reaction ~ Days + (Days | Subject)"
PERFECT = dict.fromkeys(
    (
        "check_sample_weights_shape",
        "check_sample_weights_not_overwritten",
        "check_sample_weight_equivalence_on_dense_data",
        "check_regressors_no_decision_function",
    ),
    "fits a response that the predictors determine, where a residual variance does not exist",
)


@pytest.fixture(scope="module")
def data():
    return ranef.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def X(data):
    return data[["Days", "Subject"]]


def test_it_passes_the_checks_of_scikit_learn():
    check_estimator(ranef.MixedRegressor(), expected_failed_checks=PERFECT, on_skip=None)


def test_it_is_the_fit_of_lmm(data, X):
    model, m = ranef.MixedRegressor(FORMULA).fit(X, data["Reaction"]), ranef.lmm(FORMULA, data)
    np.testing.assert_allclose(model.predict(X), m.fittedvalues)
    assert model.intercept_ == pytest.approx(m.params["(Intercept)"])
    np.testing.assert_allclose(model.coef_, m.params.drop("(Intercept)"))
    assert model.fit_.llf == pytest.approx(m.llf)
    assert list(model.feature_names_in_) == ["Days", "Subject"]


@pytest.mark.parametrize("formula", ["~ Days + (Days | Subject)", "Days + (Days | Subject)"])
def test_the_response_may_go_without_a_name(data, X, formula):
    np.testing.assert_allclose(
        ranef.MixedRegressor(formula).fit(X, data["Reaction"]).predict(X), ranef.lmm(FORMULA, data).fittedvalues, rtol=1e-6
    )


def test_unseen_groups_are_predicted_by_the_population_part(data, X):
    model = ranef.MixedRegressor(FORMULA).fit(X, data["Reaction"])
    found = model.predict(pd.DataFrame({"Days": [0, 5], "Subject": ["new", "new"]}))
    np.testing.assert_allclose(found, model.intercept_ + model.coef_[0] * np.array([0, 5]))


def test_cross_validation_by_groups_is_a_loop_of_fits(data, X):
    folds = GroupKFold(6)
    scores = cross_val_score(ranef.MixedRegressor(FORMULA), X, data["Reaction"], groups=data["Subject"], cv=folds)
    for (train, test), score in zip(folds.split(X, groups=data["Subject"]), scores, strict=True):
        m = ranef.lmm(FORMULA, data.iloc[train])
        predicted = m.predict(data.iloc[test], re="population")
        assert score == pytest.approx(r2_score(data["Reaction"].iloc[test], predicted))


def test_rows_of_known_groups_are_predicted_better_than_new_groups(data, X):
    model, y = ranef.MixedRegressor(FORMULA), data["Reaction"]
    rows = cross_val_predict(model, X, y, cv=KFold(10, shuffle=True, random_state=0))
    groups = cross_val_predict(model, X, y, groups=data["Subject"], cv=GroupKFold(9))
    assert r2_score(y, rows) > r2_score(y, groups) + 0.2


def test_clones_searches_and_pickles(data, X):
    model = ranef.MixedRegressor(FORMULA, reml=False)
    assert clone(model).get_params() == {"formula": FORMULA, "reml": False, "optimizer": "newton"}
    search = GridSearchCV(model, {"reml": [True, False]}, cv=3).fit(X, data["Reaction"])
    assert set(search.best_params_) == {"reml"}
    fitted = clone(model).fit(X, data["Reaction"])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))


def test_a_transformed_response(data, X):
    model = TransformedTargetRegressor(ranef.MixedRegressor(FORMULA), func=np.log, inverse_func=np.exp).fit(X, data["Reaction"])
    expected = np.exp(ranef.lmm("log(Reaction) ~ Days + (Days | Subject)", data).fittedvalues)
    np.testing.assert_allclose(model.predict(X), expected)
    with pytest.raises(FormulaError, match="plain name"):
        ranef.MixedRegressor("log(Reaction) ~ Days").fit(X, data["Reaction"])


def test_weights_are_precision_weights(data, X):
    weights = np.linspace(0.5, 2.0, len(data))
    model = ranef.MixedRegressor(FORMULA).fit(X, data["Reaction"], sample_weight=weights)
    np.testing.assert_allclose(model.predict(X), ranef.lmm(FORMULA, data, precision_weights=weights).fittedvalues)


def test_arrays_and_polars(data, X):
    polars = pytest.importorskip("polars", reason="X is a polars frame; the extra `test` installs polars")
    expected = ranef.lmm("Reaction ~ Days + (1 | Subject)", data).fittedvalues
    frame = polars.from_pandas(data[["Days", "Subject"]].astype({"Subject": str}))
    model = ranef.MixedRegressor("~ Days + (1 | Subject)").fit(frame, data["Reaction"].to_numpy())
    np.testing.assert_allclose(model.predict(frame), expected)
    values = X.astype(float).to_numpy()
    np.testing.assert_allclose(ranef.MixedRegressor("~ x0 + (1 | x1)").fit(values, data["Reaction"]).predict(values), expected)


def test_what_does_not_fit_together_is_said(data, X):
    with pytest.raises(DataError, match="y has 3 values"):
        ranef.MixedRegressor(FORMULA).fit(X, [1.0, 2.0, 3.0])
    with pytest.raises(DataError, match="missing"):
        ranef.MixedRegressor(FORMULA).fit(X.assign(Days=np.nan), data["Reaction"])
    with pytest.raises(ValueError, match="feature names"):
        ranef.MixedRegressor(FORMULA).fit(X, data["Reaction"]).predict(X[["Days"]])


def test_without_scikit_learn_it_says_what_to_install():
    code = (
        "import sys; sys.modules['sklearn'] = None; sys.modules['sklearn.base'] = None\n"
        "import ranef\n"
        "try: ranef.MixedRegressor()\n"
        "except ranef.ModelError as problem: print(problem)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())
    assert "pip install 'ranef[sklearn]'" in done.stdout


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
