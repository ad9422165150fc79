# Kenward and Roger's adjusted covariance and the df of every coefficient, by pbkrtest: one JSON object.
# Rscript pbkrtest.R FORMULA DATA.csv GROUPS
suppressPackageStartupMessages({library(lme4); library(pbkrtest); library(jsonlite)})
argument <- commandArgs(trailingOnly = TRUE)
data <- read.csv(argument[2])
for (g in strsplit(argument[3], ",")[[1]]) data[[g]] <- factor(data[[g]])
m <- lmer(as.formula(argument[1]), data,
          control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.01, rhoend = 1e-10, maxfun = 1e5)))
used <- system.time({
  V <- vcovAdj(m)
  df <- sapply(seq_along(fixef(m)), function(i) Lb_ddf(replace(numeric(length(fixef(m))), i, 1), vcov(m), V))
})
cat(toJSON(list(cpu = used[["user.self"]] + used[["sys.self"]], estimate = unname(fixef(m)), se = sqrt(diag(as.matrix(V))), df = df,
                version = as.character(packageVersion("pbkrtest"))), auto_unbox = TRUE, digits = NA))
