"""What the embedded data sets are: where they come from, what their columns mean, and what they are good for.

Column names and the order of levels are those of the R originals, so that published formulas run unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "whole", "factor", "ordered"]


@dataclass(frozen=True)
class Variable:
    """One column. `levels` is the order of a factor; empty means: as they are met, or by number when they are numbers."""

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    levels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """One data set: its file, its provenance, a model that suits it, and what that model shows."""

    name: str
    file: str
    title: str
    source: str
    shows: str
    formula: str
    variables: tuple[Variable, ...]
    sampling_variance: str | None = None  # the column of known variances that goes with the formula


def _letters(letters: str) -> tuple[str, ...]:
    return tuple(letters)


def _words(words: str) -> tuple[str, ...]:
    return tuple(words.split())


SLEEPSTUDY = Dataset(
    "sleepstudy", "sleepstudy.csv", "Reaction times of 18 long-distance lorry drivers over ten days of three hours in bed a night",
    "Belenky et al. (2003), Journal of Sleep Research 12, 1-12; the subset of Bates et al. (2015), as in R's lme4",
    "people differ in their level and in their slope: random intercepts and slopes, and shrinkage",
    "Reaction ~ Days + (Days | Subject)",
    (
        Variable("Reaction", "number", "average reaction time of the day", "ms"),
        Variable("Days", "whole", "days of sleep restriction; 0 and 1 were adaptation", "days"),
        Variable("Subject", "factor", "the driver"),
    ),
)  # fmt: skip

DYESTUFF = Dataset(
    "Dyestuff", "Dyestuff.csv", "Yield of a dyestuff from five samples of each of six batches of an intermediate product",
    "Davies & Goldsmith (1972), Statistical Methods in Research and Production, 4th ed., table 6.1; as in R's lme4",
    "the simplest model there is: how much of the variation lies between batches",
    "Yield ~ 1 + (1 | Batch)",
    (
        Variable("Batch", "factor", "batch of the intermediate product", levels=_letters("ABCDEF")),
        Variable("Yield", "whole", "yield of standard colour", "g"),
    ),
)  # fmt: skip

DYESTUFF2 = Dataset(
    "Dyestuff2", "Dyestuff2.csv", "Simulated yields with little variation between batches",
    "Box & Tiao (1973), Bayesian Inference in Statistical Analysis, table 5.1.4; as in R's lme4",
    "a variance whose estimate is exactly zero: an optimum on the boundary, and no failure",
    "Yield ~ 1 + (1 | Batch)",
    (
        Variable("Batch", "factor", "simulated batch", levels=_letters("ABCDEF")),
        Variable("Yield", "number", "simulated yield"),
    ),
)  # fmt: skip

PENICILLIN = Dataset(
    "Penicillin", "Penicillin.csv", "Zones of growth inhibition of six penicillin samples on each of 24 plates",
    "Davies & Goldsmith (1972), table 6.6; as in R's lme4",
    "two completely crossed random factors",
    "diameter ~ 1 + (1 | plate) + (1 | sample)",
    (
        Variable("diameter", "whole", "diameter of the zone of inhibition", "mm"),
        Variable("plate", "factor", "the assay plate", levels=_letters("abcdefghijklmnopqrstuvwx")),
        Variable("sample", "factor", "the penicillin sample", levels=_letters("ABCDEF")),
    ),
)  # fmt: skip

PASTES = Dataset(
    "Pastes", "Pastes.csv", "Strength of a chemical paste: two assays of three casks from each of ten deliveries",
    "Davies & Goldsmith (1972), table 6.3; as in R's lme4",
    "casks nested in batches, written as (1 | batch / cask)",
    "strength ~ 1 + (1 | batch / cask)",
    (
        Variable("strength", "number", "paste strength"),
        Variable("batch", "factor", "delivery batch", levels=_letters("ABCDEFGHIJ")),
        Variable("cask", "factor", "cask within the batch; the letters mean nothing across batches", levels=_letters("abc")),
        Variable("sample", "factor", "batch and cask together: each cask has a label of its own"),
    ),
)  # fmt: skip

MACHINES = Dataset(
    "Machines", "Machines.csv", "Productivity scores of six workers on three kinds of machine, three times each",
    "Milliken & Johnson (1992), Analysis of Messy Data, p. 285; as in R's nlme",
    "workers differ, and differ by machine: interaction of a fixed and a random factor",
    "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)",
    (
        Variable("Worker", "ordered", "the worker, by increasing best score", levels=_letters("624135")),
        Variable("Machine", "factor", "kind of machine", levels=_letters("ABC")),
        Variable("score", "number", "productivity score"),
    ),
)  # fmt: skip

ORTHODONT = Dataset(
    "Orthodont", "Orthodont.csv", "Growth of the distance from pituitary to pterygomaxillary fissure of 27 children",
    "Potthoff & Roy (1964), Biometrika 51, 313-326; as in R's nlme",
    "growth curves that differ by sex; the variance differs too",
    "distance ~ age * Sex + (age | Subject)",
    (
        Variable("distance", "number", "distance on the X-ray", "mm"),
        Variable("age", "whole", "age", "years"),
        Variable("Subject", "factor", "the child", levels=_words(
            "M16 M05 M02 M11 M07 M08 M03 M12 M13 M14 M09 M15 M06 M04 M01 M10 F10 F09 F06 F01 F05 F07 F02 F08 F03 F04 F11")),
        Variable("Sex", "factor", "sex of the child", levels=("Male", "Female")),
    ),
)  # fmt: skip

OATS = Dataset(
    "Oats", "Oats.csv", "Split-plot trial in six blocks: three varieties of oats in plots, four doses of nitrogen in subplots",
    "Yates (1935), JRSS Supplement 2, 181-247; as in R's nlme, with nitroF added",
    "a split plot: the variety is tested against plots, nitrogen against subplots",
    "yield ~ nitro + Variety + (1 | Block / Variety)",
    (
        Variable("Block", "factor", "block", levels=("VI", "V", "III", "IV", "II", "I")),
        Variable("Variety", "factor", "variety of oats", levels=("Golden Rain", "Marvellous", "Victory")),
        Variable("nitro", "number", "nitrogen", "hundredweight per acre"),
        Variable("yield", "whole", "yield of the subplot", "bushels per acre"),
        Variable("nitroF", "factor", "nitro as a factor", levels=("0", "0.2", "0.4", "0.6")),
    ),
)  # fmt: skip

CAKE = Dataset(
    "cake", "cake.csv", "Breakage angle of chocolate cakes: three recipes, six temperatures, 15 replicates",
    "Cochran & Cox (1957), Experimental Designs, 2nd ed., p. 300 (data of Cook, 1938); as in R's lme4",
    "an ordered factor and its polynomial contrasts, in a split plot",
    "angle ~ recipe * temperature + (1 | recipe:replicate)",
    (
        Variable("replicate", "factor", "the mixing, numbered within recipe"),
        Variable("recipe", "factor", "recipe", levels=_letters("ABC")),
        Variable("temperature", "ordered", "baking temperature", "degrees Fahrenheit", ("175", "185", "195", "205", "215", "225")),
        Variable("angle", "whole", "angle at which the cake broke", "degrees"),
        Variable("temp", "whole", "temperature as a number", "degrees Fahrenheit"),
    ),
)  # fmt: skip

INSTEVAL = Dataset(
    "InstEval", "InstEval.csv.gz", "Ratings of 1,128 lecturers by 2,972 students of ETH Zurich",
    "ETH Zurich, 1994-1998, anonymised; as in R's lme4",
    "73,421 rows with large, partly crossed random factors",
    "y ~ service + (1 | s) + (1 | d) + (1 | dept:service)",
    (
        Variable("s", "factor", "the student"),
        Variable("d", "factor", "the lecturer"),
        Variable("studage", "factor", "how long the student has been there", "semesters"),
        Variable("lectage", "factor", "how long ago the lecture was rated", "semesters"),
        Variable("service", "factor", "1: a lecture for another department", levels=("0", "1")),
        Variable("dept", "factor", "department", levels=_words("15 5 10 12 6 7 4 8 9 14 1 3 11 2")),
        Variable("y", "whole", "rating, from 1 (poor) to 5 (very good)"),
    ),
)  # fmt: skip

SCHOOLS = Dataset(
    "schools", "schools.csv", "Scores of 248 pupils in 48 classes of 12 schools",
    "Simulated: y = 5 + 0.7 x + 0.4 z + school (SD 1.2) + class (SD 0.8) + error (SD 1), 40 pupils left out at random",
    "three levels, where the class numbers start again in each school; the truth is known",
    "y ~ x + z + (1 | school / class)",
    (
        Variable("school", "factor", "the school"),
        Variable("class", "factor", "the class, numbered within its school"),
        Variable("x", "number", "a covariate of the pupil", "standard deviations"),
        Variable("z", "number", "a covariate of the school", "standard deviations"),
        Variable("y", "number", "score"),
    ),
)  # fmt: skip

PRIMER = "Simulated, so that the tables of a primer on mixed models (SQUARE, Vrije Universiteit Brussel) come out"

SQUARE = Dataset(
    "square", "square.csv", "Scores of 64 patients of nine groups in a test",
    PRIMER,
    "from regression to a random intercept: an age, nine groups, a randomised treatment and one that the older patients got",
    "score ~ age + (1 | group)",
    (
        Variable("id", "whole", "the patient"),
        Variable("group", "factor", "the group of patients"),
        Variable("age", "number", "age", "years"),
        Variable("age_d", "factor", "age in two classes", levels=("<=60", ">60")),
        Variable("arm", "factor", "treatment by lot", levels=("control", "treatment")),
        Variable("therapy", "factor", "treatment that older patients got more often", levels=("control", "treatment")),
        Variable("score", "number", "test result", "points of 20"),
    ),
)  # fmt: skip

SQUARE_SLOPES = Dataset(
    "square_slopes", "square_slopes.csv", "Scores of 128 patients of 18 groups in a test",
    PRIMER,
    "random slopes that go with the intercepts",
    "score ~ age + (age | group)",
    (
        Variable("id", "whole", "the patient"),
        Variable("group", "factor", "the group of patients"),
        Variable("age", "number", "age", "years"),
        Variable("score", "number", "test result", "points"),
    ),
)  # fmt: skip

SQUARE_VISITS = Dataset(
    "square_visits", "square_visits.csv", "Scores of nine patients at four visits",
    PRIMER,
    "time as a factor: comparisons with the first visit and between visits",
    "score ~ visit + (1 | patient)",
    (
        Variable("patient", "factor", "the patient"),
        Variable("visit", "factor", "the visit, by months since the first", levels=("T0", "T3", "T6", "T9")),
        Variable("month", "whole", "time since the first visit", "months"),
        Variable("score", "number", "test result", "points of 20"),
    ),
)  # fmt: skip

SQUARE_GROWTH = Dataset(
    "square_growth", "square_growth.csv", "Scores of nine patients, each at eight to twelve moments of its own",
    PRIMER,
    "time as a number: patients start and change differently",
    "score ~ month + (month | patient)",
    (
        Variable("patient", "factor", "the patient"),
        Variable("month", "number", "time", "months"),
        Variable("score", "number", "test result", "points"),
    ),
)  # fmt: skip

BCG = Dataset(
    "bcg", "bcg.csv", "Thirteen trials of the vaccine of Calmette and Guerin against tuberculosis",
    "Colditz et al. (1994), J. Am. Med. Assoc. 271, 698-702; Berkey et al. (1995), Stat. Med. 14, 395-411; as in R's metadat",
    "a meta-analysis: effects whose sampling variances are known, and a moderator that explains most of their spread",
    "yi ~ 1 + (1 | trial)",
    (
        Variable("trial", "whole", "number of the trial"),
        Variable("author", "factor", "first author of the report"),
        Variable("year", "whole", "year of the report"),
        Variable("tpos", "whole", "vaccinated people who fell ill"),
        Variable("tneg", "whole", "vaccinated people who did not"),
        Variable("cpos", "whole", "people without vaccine who fell ill"),
        Variable("cneg", "whole", "people without vaccine who did not"),
        Variable("ablat", "whole", "absolute latitude of the place", "degrees"),
        Variable("alloc", "factor", "how people were allocated", levels=("alternate", "random", "systematic")),
        Variable("yi", "number", "logarithm of the risk ratio"),
        Variable("vi", "number", "sampling variance of yi"),
    ),
    "vi",
)  # fmt: skip

CATALOGUE: dict[str, Dataset] = {
    entry.name: entry
    for entry in (
        *(SLEEPSTUDY, DYESTUFF, DYESTUFF2, PENICILLIN, PASTES, MACHINES, ORTHODONT, OATS, CAKE, INSTEVAL, SCHOOLS),
        *(SQUARE, SQUARE_SLOPES, SQUARE_VISITS, SQUARE_GROWTH, BCG),
    )
}
