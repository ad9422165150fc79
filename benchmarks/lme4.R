# Times lmer on one problem and prints one JSON object: CPU and wall seconds of the fit, the criterion, peak memory.
# Rscript lme4.R FORMULA DATA.csv GROUPS REPEATS WHAT        WHAT: fit | refit | tests
suppressPackageStartupMessages({library(lme4); library(jsonlite)})
argument <- commandArgs(trailingOnly = TRUE)
formula <- as.formula(argument[1])
data <- if (requireNamespace("data.table", quietly = TRUE)) {
  data.table::setDTthreads(1)
  as.data.frame(data.table::fread(argument[2], showProgress = FALSE))
} else read.csv(argument[2])
for (g in intersect(strsplit(argument[3], ",")[[1]], names(data))) data[[g]] <- factor(data[[g]])
repeats <- as.integer(argument[4])
what <- argument[5]
quiet <- function(call) suppressMessages(suppressWarnings(call))
if (what == "tests") suppressPackageStartupMessages(library(lmerTest))

once <- switch(what,
  fit = function() quiet(lme4::lmer(formula, data)),
  tests = function() {m <- quiet(lmerTest::lmer(formula, data)); quiet(coef(summary(m))); m},
  refit = {
    start <- quiet(lme4::lmer(formula, data))
    y <- data$Reaction + (seq_len(nrow(data)) - 1) %% 7
    function() quiet(lme4::refit(start, y))
  })
if (repeats > 1) m <- once()
used <- system.time(for (i in seq_len(repeats)) m <- once())
criterion <- REMLcrit(m)
if (what == "refit") { # what refit stores as its criterion is not that of its theta: evaluate it there
  data$Reaction <- y
  criterion <- lmer(formula, data, devFunOnly = TRUE)(getME(m, "theta"))
}
peak <- sub("[^0-9]*([0-9]+).*", "\\1", grep("VmHWM", readLines("/proc/self/status"), value = TRUE))
cat(toJSON(list(cpu = (used[["user.self"]] + used[["sys.self"]]) / repeats, wall = used[["elapsed"]] / repeats,
                criterion = criterion, peak_mb = as.numeric(peak) / 1024, evaluations = m@optinfo$feval,
                theta = unname(getME(m, "theta")), sigma = sigma(m), version = as.character(packageVersion("lme4"))),
           auto_unbox = TRUE, digits = NA))
