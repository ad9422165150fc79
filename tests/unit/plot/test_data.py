"""What is drawn is what the tables say: every number in the artists is one of the answers."""

import numpy as np
import pandas as pd
import pytest
from tests.unit.plot.conftest import model
from tests.unit.plot.gallery import POWER
from tests.unit.plot.looking import axes_of, caption_of, points_of, segments_of

import ranef
from ranef.errors import DataError, ModelError
from ranef.inference.views.columns import column

plot = ranef.plot


def lines_of(axis):
    return {line.get_label(): np.column_stack(line.get_data()).astype(float) for line in axis.lines}


def middle_line(axis):
    """The thickest line."""
    return np.column_stack(max(axis.lines, key=lambda line: line.get_linewidth()).get_data()).astype(float)


def sorted_rows(values):
    return values[np.lexsort(values.T)]


def test_residuals_are_those_of_the_fit():
    m = model("sleepstudy")
    table = m.augment()
    drawn = points_of(plot.residuals(m, ax=None))
    expected = np.column_stack([table["fitted"], table["std_resid"]])
    np.testing.assert_allclose(sorted_rows(drawn), sorted_rows(expected))


def test_residuals_against_a_column_that_is_not_in_the_formula():
    data = ranef.datasets.load("sleepstudy").assign(night=lambda d: d["Days"] * 2.0)
    m = ranef.lmm("Reaction ~ Days + (Days | Subject)", data)
    drawn = points_of(plot.residuals(m, "night", kind="raw"))
    np.testing.assert_allclose(np.unique(drawn[:, 0]), np.unique(data["night"]))
    np.testing.assert_allclose(np.sort(drawn[:, 1]), np.sort(m.resid))


def test_boxes_are_the_quartiles_of_each_level():
    m = model("sleepstudy")
    axis = plot.residuals(m, "Subject", kind="raw")
    medians = [line.get_ydata()[0] for line in axis.lines if line.get_linewidth() == 1.6]
    expected = m.resid.groupby(ranef.datasets.load("sleepstudy")["Subject"].to_numpy(), observed=True).median()
    np.testing.assert_allclose(medians, expected)
    assert [label.get_text() for label in axis.get_xticklabels()] == list(expected.index)


def test_quantiles_are_the_ordered_values():
    m = model("intercepts")
    drawn = points_of(plot.qq(m, kind="pearson"))
    np.testing.assert_allclose(np.sort(drawn[:, 1]), np.sort(m.residuals("pearson")))


def test_a_normal_sample_stays_inside_the_band_as_often_as_it_should():
    from ranef.inference.views.normal import quantile_band

    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(200):
        table = quantile_band(rng.normal(size=60), sd=1.0)
        inside += bool(np.all((table["sample"] >= table["conf_low"]) & (table["sample"] <= table["conf_high"])))
    assert 0.91 <= inside / 200 <= 0.98


def test_a_caterpillar_shows_each_level_with_its_interval_in_order():
    m = model("sleepstudy")
    axis = plot.caterpillar(m, "Subject", "Days")
    table = m.ranef().frame.query("term == 'Days'").sort_values("estimate")
    assert [label.get_text() for label in axis.get_yticklabels()] == list(table["level"])
    segments = sorted(segments_of(axis), key=lambda s: s[0, 1])
    half = 1.959963984540054 * table["std_error"].to_numpy()
    np.testing.assert_allclose([s[0, 0] for s in segments], table["estimate"] - half)
    np.testing.assert_allclose([s[1, 0] for s in segments], table["estimate"] + half)


def test_a_caterpillar_of_thousands_says_how_many_it_shows():
    axis = plot.caterpillar(model("ratings"), "s")
    assert len(segments_of(axis)) == 400
    assert "400 of 2,972 levels of s are drawn" in caption_of(axis)
    assert "2,972 levels" in axis.get_xlabel()


def test_shrinkage_shows_the_three_ways():
    m = model("sleepstudy")
    table = ranef.pooling(m).frame
    axis = plot.shrinkage(m)
    for way in ("no", "partial"):
        drawn = next(c.get_offsets() for c in axis.collections if c.get_label() == f"{way} pooling")
        wide = table.pivot(index="level", columns="term", values=f"{way}_pooling")
        np.testing.assert_allclose(sorted_rows(np.asarray(drawn)), sorted_rows(wide[["(Intercept)", "Days"]].to_numpy()))
    np.testing.assert_allclose(plot.shrinkage(ranef.pooling(m)).collections[0].get_offsets(), axis.collections[0].get_offsets())


def test_no_pooling_is_the_regression_of_each_level():
    drawn = {tuple(np.round(p, 4)) for p in np.asarray(plot.shrinkage(model("sleepstudy")).collections[0].get_offsets())}
    data = ranef.datasets.load("sleepstudy")
    own = {tuple(np.round(np.polyfit(d["Days"], d["Reaction"], 1)[::-1], 4)) for _, d in data.groupby("Subject", observed=True)}
    assert drawn == own


def test_the_population_line_is_that_of_the_fixed_effects():
    m = model("sleepstudy")
    axis = plot.trajectories(m)
    x, y = middle_line(axis).T
    np.testing.assert_allclose(y, m.params["(Intercept)"] + m.params["Days"] * x)
    assert axis.get_xlabel() == "Days"
    assert axis.get_ylabel() == "Reaction (ms)"


def test_thin_lines_are_the_predictions_of_the_levels():
    m = model("sleepstudy")
    (lines,) = [c for c in plot.trajectories(m).collections if c.get_gid() == "levels"]
    coefficients = m.coef()["Subject"].to_numpy()
    for segment, (intercept, slope) in zip(lines.get_segments(), coefficients, strict=True):
        np.testing.assert_allclose(segment[:, 1], intercept + slope * segment[:, 0])


def test_lines_of_levels_keep_to_their_own_covariates():
    m = model("growth")
    (lines,) = [c for c in plot.trajectories(m, by="Sex").collections if c.get_gid() == "levels"]
    ends = sorted(segment[-1, 1] for segment in lines.get_segments())
    data = ranef.datasets.load("Orthodont")
    expected = sorted(m.predict(data[data["age"] == 14]))
    np.testing.assert_allclose(ends, expected)


def test_lines_know_nested_grouping_factors():
    m = model("oats_numeric")
    (lines,) = [c for c in plot.trajectories(m, "nitro", "Block:Variety", by="Variety").collections if c.get_gid() == "levels"]
    assert len(lines.get_segments()) == 18


def test_of_many_levels_some_have_lines():
    axis = plot.trajectories(model("ratings"), group="s", most=25)
    (lines,) = [c for c in axis.collections if c.get_gid() == "levels"]
    assert "25 of 2,972 levels are drawn" in caption_of(axis)
    assert len(lines.get_segments()) == 25


def test_effects_are_the_wald_intervals():
    m = model("oats_numeric")
    axis = plot.effects(m)
    table = m.conf_int().frame.iloc[1:]
    assert [label.get_text() for label in axis.get_yticklabels()] == list(table["term"])
    np.testing.assert_allclose([s[0, 0] for s in segments_of(axis)], table["conf_low"])
    np.testing.assert_allclose([s[1, 0] for s in segments_of(axis)], table["conf_high"])


def test_contrasts_are_drawn_with_their_names_and_adjustment():
    contrasts = ranef.emmeans(model("nested"), "Machine").contrast().confint()
    axis = plot.effects(contrasts)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["A - B", "A - C", "B - C"]
    assert "Tukey" in caption_of(axis)


def test_means_are_those_of_emmeans_with_all_observations_behind():
    table = ranef.emmeans(model("nested"), "Machine")
    axis = plot.means(table)
    np.testing.assert_allclose([s[0, 1] for s in segments_of(axis)], table["conf_low"])
    assert len(points_of(axis)) == 54
    np.testing.assert_allclose(np.sort(points_of(axis)[:, 1]), np.sort(ranef.datasets.load("Machines")["score"]))


def test_observations_of_a_text_column_stand_at_their_means():
    data = ranef.datasets.load("Machines").assign(Machine=lambda d: d["Machine"].astype(str))
    axis = plot.means(ranef.emmeans(ranef.lmm("score ~ Machine + (1 | Worker)", data), "Machine"))
    drawn = points_of(axis)
    for place, (_, own) in enumerate(data.groupby("Machine")):
        np.testing.assert_allclose(np.sort(drawn[np.round(drawn[:, 0]) == place, 1]), np.sort(own["score"]))


def test_boxes_of_a_text_column_are_its_levels():
    data = ranef.datasets.load("Machines").assign(shift=lambda d: np.where(d.index % 2, "early", "late"))
    m = ranef.lmm("score ~ Machine + (1 | Worker)", data)
    axis = plot.residuals(m, "shift", kind="raw")
    medians = [line.get_ydata()[0] for line in axis.lines if line.get_linewidth() == 1.6]
    np.testing.assert_allclose(medians, m.resid.groupby(data["shift"].to_numpy()).median())


def test_numbers_with_missing_values_are_missing():
    data = ranef.datasets.load("Machines")
    data["day"] = pd.array([None, *range(1, len(data))], dtype="Int64")
    found = column(ranef.lmm("score ~ Machine + (1 | Worker)", data), "day").numbers
    np.testing.assert_array_equal(found, [np.nan, *range(1, len(data))])


def test_families_of_means_have_panels_with_their_own_observations():
    axes = plot.means(model("oats"), "nitroF", by="Variety")
    assert [axis.get_title(loc="left") for axis in axes] == ["Variety = Golden Rain", "Variety = Marvellous", "Variety = Victory"]
    data = ranef.datasets.load("Oats")
    for axis, (_, own) in zip(axes, data.groupby("Variety", observed=True), strict=True):
        np.testing.assert_allclose(np.sort(points_of(axis)[:, 1]), np.sort(own["yield"]))
    assert len({axis.get_ylim() for axis in axes}) == 1


def test_observations_follow_the_means_to_the_scale_of_the_response():
    m = ranef.lmm("log(score) ~ Machine + (1 | Worker)", ranef.datasets.load("Machines"))
    axis = plot.means(ranef.emmeans(m, "Machine", type="response"))
    np.testing.assert_allclose(np.sort(points_of(axis)[:, 1]), np.sort(ranef.datasets.load("Machines")["score"]))


def test_an_interaction_joins_the_means_of_each_trace():
    m = model("oats")
    found = lines_of(plot.interaction(m, "nitroF", "Variety"))
    table = ranef.emmeans(m, ["nitroF", "Variety"]).frame
    for variety, own in table.groupby("Variety", sort=False):
        np.testing.assert_allclose(found[variety][:, 1], own["estimate"])


def test_contrasts_are_no_means():
    contrasts = ranef.emmeans(model("nested"), "Machine").contrast()
    with pytest.raises(ModelError, match="contrasts, not means"):
        plot.means(contrasts)
    with pytest.raises(ModelError, match="no means to draw"):
        plot.means(model("nested"))


def test_a_profile_curve_goes_through_the_points_of_the_profile():
    profile = ranef.profile(model("sleepstudy"))
    for axis, curve in zip(plot.profile(profile), profile.curves, strict=True):
        x, zeta = max((np.column_stack(line.get_data()) for line in axis.lines), key=len).T
        np.testing.assert_allclose(np.interp(curve.values, x, zeta), curve.zeta, atol=5e-3)


def test_the_density_of_a_profile_is_one():
    for axis in plot.profile(model("sleepstudy"), "density"):
        x, density = max((np.column_stack(line.get_data()) for line in axis.lines), key=len).T
        assert np.trapezoid(density, x) == pytest.approx(0.9973, abs=0.02)  # within three deviations; correlations end at one


def test_a_bootstrap_histogram_counts_every_refit():
    boot = ranef.bootstrap(model("sleepstudy"), 60, seed=1, progress=False)
    for axis, draws in zip(plot.bootstrap(boot), boot.draws.T, strict=True):
        assert sum(patch.get_height() for patch in axis.patches) == np.isfinite(draws).sum()
    assert "60 refits" in caption_of(plot.bootstrap(boot))


def test_shares_of_the_variance_are_the_lengths_of_the_bars():
    m = model("schools")
    axis, table = plot.variance(m), ranef.variance_partition(m)
    np.testing.assert_allclose([bar.get_width() for bar in axis.patches], table["share"])
    assert [label.get_text() for label in axis.get_yticklabels()] == list(table["component"])


def test_a_matrix_shows_its_entries():
    m = model("sleepstudy")
    axis = plot.covariance(m)
    image = np.asarray(axis.images[0].get_array())
    tau, data = ranef.marginal_covariance(m), np.arange(10.0)
    np.testing.assert_allclose(image, np.array([tau[name] for name in list(tau.columns)[1:]]).T)
    Z = np.column_stack([np.ones(10), data])
    v = {(a, b or a): value for a, b, value in zip(m.varcorr["term1"], m.varcorr["term2"], m.varcorr["vcov"], strict=True)}
    omega = np.array([[v["(Intercept)", "(Intercept)"], v["(Intercept)", "Days"]], [v["(Intercept)", "Days"], v["Days", "Days"]]])
    np.testing.assert_allclose(image, Z @ omega @ Z.T + m.sigma**2 * np.eye(10))


def test_what_is_no_square_matrix_is_refused():
    with pytest.raises(ModelError, match="no labelled square matrix"):
        plot.matrix(model("sleepstudy").conf_int())


def test_influence_shows_the_table():
    found = ranef.influence(model("sleepstudy"))
    axis = plot.influence(found)
    np.testing.assert_allclose([s[1, 1] for s in segments_of(axis)], found.table["cooks_distance"])
    with pytest.raises(ModelError, match="no column 'cooks'"):
        plot.influence(found, "cooks")
    with pytest.raises(ModelError, match="Leverages belong to rows"):
        plot.influence(found, "leverage")


def test_the_path_of_the_optimizer_ends_at_the_optimum():
    m = model("sleepstudy").update(optimizer="em")
    (line,) = plot.optimizer(m).lines
    assert len(line.get_xdata()) == len(m.optimum.path)
    assert line.get_ydata()[-1] < 1e-6 < line.get_ydata()[0]


def test_power_curves_are_those_of_the_design():
    axis = plot.power(**POWER)
    table = ranef.power_curves(**POWER)
    drawn = np.concatenate([line.get_ydata() for line in axis.lines if len(line.get_ydata()) > 2])
    np.testing.assert_allclose(np.sort(drawn), np.sort(np.asarray(table["power"])))


def test_random_effects_lie_where_they_are_predicted():
    m = model("sleepstudy")
    drawn = points_of(plot.random_effects(m))
    np.testing.assert_allclose(drawn, m.solution.effects[0])


def test_spaghetti_of_any_frame():
    data = ranef.datasets.load("sleepstudy")
    pandas = plot.spaghetti(data, "Reaction", "Days", "Subject")
    polars = plot.spaghetti(ranef.datasets.load("sleepstudy", as_="polars"), "Reaction", "Days", "Subject")
    assert len(segments_of(pandas)) == len(segments_of(polars)) == 18
    np.testing.assert_allclose(middle_line(pandas)[:, 1], data.groupby("Days")["Reaction"].mean())
    assert pandas.get_ylabel() == "Reaction (ms)"
    with pytest.raises(DataError, match="no column 'days'"):
        plot.spaghetti(data, "Reaction", "days", "Subject")
    with pytest.raises(ModelError, match="names of its columns"):
        plot.spaghetti(data)


def test_bands_are_one_standard_deviation_of_the_residuals():
    m = ranef.lm("distance ~ Sex", ranef.datasets.load("Orthodont"))
    axis = plot.bands(m, by="Sex")
    data = ranef.datasets.load("Orthodont")
    for band, (_, own) in zip([c for c in axis.collections if len(c.get_paths()) == 1 and len(c.get_offsets()) <= 1],
                              data.groupby("Sex", observed=True), strict=True):  # fmt: skip
        box = band.get_paths()[0].get_extents()
        assert (box.y0, box.y1) == pytest.approx((own["distance"].mean() - own["distance"].std(),
                                                  own["distance"].mean() + own["distance"].std()))  # fmt: skip


def test_pooling_draws_three_lines_a_level():
    m = model("sleepstudy")
    axes = plot.pooling(m)
    table = ranef.pooling(m).frame.set_index(["level", "term"])
    for axis in axes:
        found = lines_of(axis)["partial pooling"]
        row = table.loc[axis.get_title(loc="left")]["partial_pooling"]
        np.testing.assert_allclose(found[:, 1], row["(Intercept)"] + row["Days"] * found[:, 0])


def test_pooling_of_intercepts_with_a_common_slope():
    """No pooling is the regression with a dummy for each level, complete pooling that without."""
    data = ranef.datasets.load("sleepstudy")
    dummies, plain = ranef.lm("Reaction ~ Days + Subject", data), ranef.lm("Reaction ~ Days", data)
    for axis in plot.pooling(model("intercepts"), most=3):
        level, found = axis.get_title(loc="left"), lines_of(axis)
        days = found["no pooling"][:, 0]
        new = {"Days": days, "Subject": np.repeat(level, len(days))}
        np.testing.assert_allclose(found["no pooling"][:, 1], dummies.predict(new), rtol=1e-7)
        np.testing.assert_allclose(found["complete pooling"][:, 1], plain.predict(new), rtol=1e-7)
        np.testing.assert_allclose(found["partial pooling"][:, 1], model("intercepts").predict(new), rtol=1e-9)


def test_pooling_over_a_factor_and_of_an_intercept_alone():
    axes = plot.pooling(model("machines"))
    assert [label.get_text() for label in axes[-1].get_xticklabels()] == ["A", "B", "C"]
    for axis in plot.pooling(model("dyestuff")):
        assert all(np.ptp(line[:, 1]) == 0 for line in lines_of(axis).values())


@pytest.mark.parametrize("name", ["residuals", "qq", "trajectories", "means", "influence", "covariance", "pooling"])
def test_a_saved_model_has_no_rows_to_draw(name, tmp_path):
    model("sleepstudy").save(tmp_path / "m.ranef")
    saved = ranef.load(tmp_path / "m.ranef")
    arguments = {"means": ["Days"]}.get(name, [])
    with pytest.raises(ModelError, match="saved model"):
        getattr(plot, name)(saved, *arguments)


@pytest.mark.parametrize("name", ["caterpillar", "shrinkage", "random_effects", "pooling"])
def test_a_regression_has_no_random_effects(name):
    with pytest.raises(ModelError, match="no random effects"):
        getattr(plot, name)(model("regression"))


def test_the_caption_is_told_once():
    assert caption_of(plot.qq(model("sleepstudy"))).count("A normal sample") == 1
    assert len(axes_of(plot.assumptions(model("sleepstudy")))) == 4


def test_the_panels_of_a_check_have_their_verdicts():
    found = ranef.check(model("sleepstudy"), n=100)
    axes = plot.check(found)
    titles = [axis.get_title(loc="left") for axis in axes]
    assert "Normal residuals – concern" in titles
    assert "Normal effects – fine\nSubject: Days" in titles
    verdicts = {one.code: one.verdict for one in found.assessments}
    assert verdicts["normality"] == "concern"
    assert verdicts["normality_Subject_Days"] == "fine"
    drawn = points_of(axes[titles.index("Normal residuals – concern")])
    np.testing.assert_allclose(np.sort(drawn[:, 1]), np.sort(found.panels["qq_residuals"]["sample"]))
    with pytest.raises(ModelError, match="no panel"):
        plot.check(found, "linearities")


def test_the_covariance_of_a_residual_structure_is_the_estimated_one():
    m = ranef.lmm("distance ~ age * Sex", ranef.datasets.load("Orthodont"), residual="un(age | Subject)")
    table = m.residual_covariance()
    expected = np.array([table[name] for name in list(table.columns)[1:]]).T
    np.testing.assert_allclose(np.asarray(plot.covariance(m).images[0].get_array()), expected)
    np.testing.assert_allclose(np.asarray(plot.matrix(table).images[0].get_array()), expected)


def test_the_covariance_of_slopes_and_a_residual_structure_has_both_parts():
    m = ranef.lmm("Reaction ~ Days + (1 | Subject)", ranef.datasets.load("sleepstudy"), residual="ar1(Days | Subject)")
    drawn = np.asarray(plot.covariance(m).images[0].get_array())
    residual = m.residual_covariance()
    alone = np.array([residual[name] for name in list(residual.columns)[1:]]).T
    np.testing.assert_allclose(drawn - alone, m.varcorr["vcov"][0], rtol=1e-8)
