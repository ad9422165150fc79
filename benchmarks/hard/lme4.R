# Fits each problem of a list with lmer's defaults and prints one JSON object a line.
# Rscript lme4.R LIST.json        LIST: [{id, formula, reml, path, groups}]
suppressPackageStartupMessages({library(lme4); library(jsonlite)})
problems <- fromJSON(commandArgs(trailingOnly = TRUE)[1], simplifyVector = FALSE)
control <- lmerControl(check.nobs.vs.nRE = "ignore", check.nobs.vs.nlev = "ignore", check.nobs.vs.rankZ = "ignore")
for (p in problems) {
  data <- read.csv(p$path)
  for (g in unlist(p$groups)) data[[g]] <- factor(data[[g]])
  noted <- character()
  out <- tryCatch({
    m <- withCallingHandlers(lmer(as.formula(p$formula), data, REML = p$reml, control = control),
      warning = function(w) {noted <<- c(noted, conditionMessage(w)); invokeRestart("muffleWarning")},
      message = function(w) invokeRestart("muffleMessage"))
    list(id = p$id, criterion = if (p$reml) REMLcrit(m) else -2 * as.numeric(logLik(m)), theta = unname(getME(m, "theta")),
         evaluations = m@optinfo$feval, warnings = unique(c(noted, unlist(m@optinfo$conv$lme4$messages))))
  }, error = function(e) list(id = p$id, criterion = NULL, error = conditionMessage(e), warnings = noted))
  out$version <- as.character(packageVersion("lme4"))
  cat(toJSON(out, auto_unbox = TRUE, digits = NA, null = "null"), "\n")
}
