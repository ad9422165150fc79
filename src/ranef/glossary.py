"""The words of every table: what a column is called, how its numbers are shown, and what they mean.

One entry a column, whichever function made the table; so a reader learns each word once. Columns that are not listed here are shown
by the kind of their values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rule = Literal[
    "text", "count", "estimate", "size", "statistic", "df", "p", "fraction", "criterion", "level", "given", "own", "row", "even"
]  # fmt: skip
# text       as it is
# given      a number of the user's: with the decimals that it came with
# own        a number of the user's in a column with numbers of other columns: each with its own decimals
# count      a whole number
# estimate   on the scale of the response: decimals that its standard error supports
# row        the same, row by row, where the rows have different scales
# even       the same, but rows that differ by one decimal only have those of the shortest
# size       a positive quantity (variance, standard deviation): four significant digits
# statistic  t, z, F: two decimals;   df: one decimal, two below ten;   p: three decimals, "<0.001"
# fraction   a correlation or a share: three decimals;   criterion: two decimals (log-likelihood, AIC);   level: a confidence level


@dataclass(frozen=True)
class Column:
    """How one column of a table is headed, shown and explained."""

    heading: str
    rule: Rule
    help: str


GLOSSARY: dict[str, Column] = {
    "effect": Column("Effect", "text", "fixed effect, random-effect parameter, or the term that is tested"),
    "component": Column("Component", "text", "the part of the model, or the principal component, that the row belongs to"),
    "group": Column("Group", "text", "grouping factor of a random term; Residual for the observations"),
    "level": Column("Level", "text", "a level of the grouping factor"),
    "term": Column("Term", "text", "name of the coefficient or parameter"),
    "term1": Column("Term", "text", "the coefficient whose variance this is"),
    "term2": Column("With", "text", "the coefficient with which it covaries"),
    "contrast": Column("Contrast", "text", "what is compared with what"),
    "letters": Column("Letters", "text", "means that share a letter do not differ significantly"),
    "estimate": Column("Estimate", "estimate", "the estimate, on the scale of the response (or of the link)"),
    "std_error": Column("Std. error", "estimate", "standard error of the estimate"),
    "conf_low": Column("Lower", "estimate", "lower limit of the confidence interval"),
    "conf_high": Column("Upper", "estimate", "upper limit of the confidence interval"),
    "pred_low": Column("Lower", "estimate", "lower limit of the prediction interval"),
    "pred_high": Column("Upper", "estimate", "upper limit of the prediction interval"),
    "prediction": Column("Prediction", "estimate", "the predicted mean of the response"),
    "statistic": Column("Statistic", "statistic", "the test statistic"),
    "null": Column("Null", "size", "what the tested combination is under the hypothesis"),
    "num_df": Column("Num. df", "count", "degrees of freedom of the numerator: how many things are tested at once"),
    "den_df": Column("Den. df", "df", "degrees of freedom of the denominator"),
    "df": Column("df", "df", "degrees of freedom of the test or interval"),
    "p_value": Column("p", "p", "probability of a statistic at least as extreme if the tested effect were nil"),
    "p_naive": Column("Naive p", "p", "p value that takes no account of variances on the boundary"),
    "variance": Column("Variance", "size", "variance of the random effect"),
    "covariance": Column("Covariance", "size", "variance, or covariance of two random effects"),
    "sd": Column("Std. dev.", "size", "standard deviation of the random effect, on the scale of the response"),
    "correlation": Column("Corr.", "fraction", "correlation of two random effects of the same group"),
    "sd_or_correlation": Column("SD / corr.", "size", "standard deviation, or correlation of two random effects"),
    "before": Column("Before", "size", "the variance (or standard deviation) in the first model or condition"),
    "after": Column("After", "size", "the variance (or standard deviation) in the second model or condition"),
    "reliability": Column(
        "Reliability", "fraction", "share of the variance of a random effect that the data of its level determine"
    ),
    "shrinkage": Column(
        "Shrinkage", "fraction", "part of the level's own deviation that partial pooling takes away: 1 - reliability"
    ),
    "cluster_size": Column("Cluster size", "size", "rows of a cluster; of equal clusters with the same effect on precision"),
    "clusters": Column("Clusters", "count", "number of clusters"),
    "effective_rows": Column("Effective rows", "size", "independent rows that would tell as much"),
    "effect_size": Column("Effect", "size", "difference of the response for one unit of the covariate"),
    "power": Column("Power", "fraction", "probability of a significant test if the effect is as given"),
    "complete_pooling": Column("Complete", "estimate", "the coefficient with all levels alike"),
    "no_pooling": Column("No pooling", "estimate", "the coefficient from the rows of the level alone"),
    "partial_pooling": Column("Partial", "estimate", "the coefficient predicted by the model, from all levels"),
    "no_pooling_se": Column("SE, none", "estimate", "standard error without pooling"),
    "partial_pooling_se": Column("SE, partial", "estimate", "standard error with partial pooling"),
    "nobs": Column("Observations", "count", "rows that the model uses"),
    "ngroups": Column("Groups", "count", "levels of the grouping factor"),
    "levels": Column("Levels", "count", "levels of the grouping factor"),
    "npar": Column("Parameters", "count", "fixed coefficients, covariance parameters and the residual variance"),
    "sigma": Column("Sigma", "size", "residual standard deviation"),
    "llf": Column("logLik", "criterion", "log-likelihood (restricted, under REML)"),
    "aic": Column("AIC", "criterion", "Akaike's information criterion"),
    "aicc": Column("AICc", "criterion", "AIC with the correction for small samples"),
    "bic": Column("BIC", "criterion", "Bayesian information criterion, of the number of rows"),
    "caic": Column("cAIC", "criterion", "conditional AIC: of predictions for new rows of the same groups"),
    "weight": Column("Weight", "fraction", "Akaike weight: how likely the model predicts best, among those compared"),
    "model": Column("Model", "text", "name or number of the model"),
    "change": Column("Change", "fraction", "relative to the first model"),
    "deviance": Column("Deviance", "criterion", "minus twice the log-likelihood"),
    "remlcrit": Column("REML criterion", "criterion", "minus twice the restricted log-likelihood"),
    "df_residual": Column("Residual df", "count", "rows minus parameters"),
    "sum_sq": Column("Sum sq.", "size", "sum of squares on the scale of the residual variance"),
    "mean_sq": Column("Mean sq.", "size", "sum of squares divided by its degrees of freedom"),
    "vcov": Column("Variance", "size", "variance, or covariance of two random effects"),
    "sdcor": Column("SD / corr.", "size", "standard deviation, or correlation of two random effects"),
    "cond_sd": Column("Cond. SD", "estimate", "standard deviation of the random effect given the data"),
    "minimum": Column("Min", "fraction", "the smallest value"),
    "quarter": Column("1Q", "fraction", "a quarter of the values are smaller"),
    "median": Column("Median", "fraction", "half of the values are smaller"),
    "three_quarters": Column("3Q", "fraction", "three quarters of the values are smaller"),
    "maximum": Column("Max", "fraction", "the largest value"),
    "lowest": Column("Lowest", "own", "the smallest value, as the data have it"),
    "highest": Column("Highest", "own", "the largest value, as the data have it"),
    "role": Column("Role", "text", "what the column is in the model"),
    "rows_by_level": Column("Rows by level", "text", "the levels and how many rows each has"),
    "test": Column("Test", "text", "what is tested"),
    "quantity": Column("Quantity", "text", "what is counted or measured"),
    "share": Column("Share", "fraction", "part of the whole, between 0 and 1"),
    "count": Column("Count", "count", "how many"),
    "mean": Column("Mean", "size", "mean over the rows used"),
    "std_dev": Column("Std. dev.", "size", "standard deviation over the rows used"),
    "estimable": Column("Estimable", "text", "whether the data determine the coefficient; if not, what the column equals"),
    "structure": Column("Structure", "text", "covariance structure of the term"),
    "parameters": Column("Parameters", "count", "covariance parameters"),
    "min_rows": Column("Min. rows", "count", "rows of the smallest level"),
    "median_rows": Column("Median rows", "count", "rows of the median level"),
    "max_rows": Column("Max. rows", "count", "rows of the largest level"),
    "first": Column("First", "text", "the first of two grouping factors"),
    "second": Column("Second", "text", "the second of two grouping factors"),
    "relation": Column("Relation", "text", "how the two lie to each other"),
    "observed": Column("Observed", "estimate", "the response"),
    "fit": Column("Prediction", "estimate", "the predicted mean of the response"),
    "std_resid": Column("Std. resid.", "statistic", "residual over its standard deviation"),
    "mu": Column("Mean", "estimate", "the fitted value without random effects"),
    "fitted": Column("Fitted", "estimate", "the fitted value, random effects included"),
    "resid": Column("Residual", "estimate", "observed minus fitted"),
    "hat": Column("Leverage", "fraction", "weight of the row in its own fitted value"),
    "row": Column("Row", "count", "position of the row in the data"),
    "rows": Column("Rows", "count", "number of rows"),
    "missing": Column("Missing", "count", "rows with a missing value in this column"),
    "name": Column("Name", "text", "name"),
    "columns": Column("Columns", "count", "number of columns"),
    "description": Column("Description", "text", "what it is"),
    "kind": Column("Kind", "text", "number, whole number, factor or ordered factor"),
    "unit": Column("Unit", "text", "unit of measurement"),
    "meaning": Column("Meaning", "text", "what the column holds"),
    "formula": Column("Formula", "text", "a model that suits the data"),
    "shows": Column("What it shows", "text", "what the data are good for"),
    "source": Column("Source", "text", "where it comes from"),
    "value": Column("Value", "size", "value"),
    "zeta": Column("Zeta", "statistic", "signed root of the rise of -2 log likelihood along the profile"),
    "bias": Column("Bias", "estimate", "mean of the bootstrap estimates minus the estimate"),
    "cooks_distance": Column("Cook's D", "size", "squared change of the coefficients without the rows, by their covariance"),
    "cooks_theta": Column("Cook's D (var.)", "size", "the same for the variance parameters"),
    "covratio": Column("Cov. ratio", "statistic", "determinant of the covariance of the coefficients, without over with the rows"),
    "dffits": Column("DFFITS", "statistic", "change of the own fitted value in units of its standard error"),
    "cooks_conditional": Column("Cook's D (cond.)", "size", "Cook's distance of a row from its conditional residual (lme4's)"),
    "stratum": Column("Stratum", "text", "the error stratum in which the term is tested"),
    "eta_sq": Column("Eta sq.", "fraction", "sum of squares of the term as a share of its stratum"),
    "partial_eta_sq": Column("Partial eta sq.", "fraction", "sum of squares of the term as a share of it and its error"),
    "generalized_eta_sq": Column("Gen. eta sq.", "fraction", "sum of squares of the term as a share of it and all errors"),
    "mauchly_w": Column("Mauchly's W", "fraction", "one where the contrasts of the cells are uncorrelated with equal variances"),
    "epsilon_gg": Column("Eps. (GG)", "fraction", "Greenhouse and Geisser's factor of the degrees of freedom"),
    "epsilon_hf": Column("Eps. (HF)", "fraction", "Huynh and Feldt's factor of the degrees of freedom"),
    "p_gg": Column("p (GG)", "p", "p value with Greenhouse and Geisser's degrees of freedom"),
    "p_hf": Column("p (HF)", "p", "p value with Huynh and Feldt's degrees of freedom"),
    "p_mixture": Column("p (mixture)", "p", "asymptotic p value by the mixture of chi-squares of variances on the boundary"),
    "assumption": Column("Assumption", "text", "what the model takes for granted"),
    "check": Column("Check", "text", "the test or measure that looks at it"),
    "verdict": Column("Verdict", "text", "fine, look, concern or not tested; by the size of the effect and its p value"),
    "evidence": Column("Evidence", "text", "what was found, in words"),
    "expected": Column("Expected", "size", "the mean of the statistic over data simulated from the model"),
    "theoretical": Column("Theoretical", "statistic", "where a standard normal distribution puts the value of this rank"),
    "sample": Column("Sample", "statistic", "the value of this rank, in standard deviations"),
    "lower": Column("Lower", "estimate", "lower edge of the band"),
    "upper": Column("Upper", "estimate", "upper edge of the band"),
    "trend": Column("Trend", "estimate", "local straight lines through the points"),
    "residual": Column("Residual", "estimate", "observed minus fitted"),
    "studentised": Column(
        "Stud. resid.", "statistic", "residual over its standard deviation, with sigma estimated without the row"
    ),
    "lag": Column("Lag", "count", "steps between two rows of a series"),
    "acf": Column("ACF", "fraction", "correlation of residuals so many steps apart"),
    "pairs": Column("Pairs", "count", "how many pairs of rows are so many steps apart"),
    "threshold": Column("Threshold", "size", "a value beyond which a level deserves a look: four over their number"),
    "gvif": Column("GVIF", "size", "generalised variance inflation factor of the term"),
    "inflation": Column("Inflation", "size", "how many times wider a standard error is for the other predictors"),
    "cumulative": Column("Cumulative", "fraction", "share of this and the components before it"),
    "direction": Column("Direction", "text", "the combination of random effects that varies"),
    "predicted_rank": Column("Rank of prediction", "fraction", "rank of the expected response, between 0 and 1"),
    "scaled_residual": Column("Scaled residual", "fraction", "share of the simulated responses that are smaller"),
    "simulated": Column("Simulated", "size", "the same of simulated data"),
    "code": Column("Code", "text", "name of the finding"),
    "severity": Column("Severity", "text", "note, warning or serious"),
    "distance": Column("Distance", "size", "distance in time of two rows of one group"),
    "semivariance": Column("Semivariance", "size", "half the mean squared difference of two residuals"),
    "message": Column("Message", "text", "what was found"),
    "remedy": Column("What to do", "text", "what to do about it"),
}


def entry(name: str) -> Column | None:
    """The entry of a column; a number at its end (`correlation_2`) only tells it from others of the kind."""
    return GLOSSARY.get(name) or GLOSSARY.get(name.rstrip("0123456789").rstrip("_"))


def explain(name: str) -> str:
    """What the column called `name` means, in one line; empty when the glossary does not know it."""
    found = entry(name)
    return "" if found is None else found.help
