# Unstructured repeated measures in nlme or glmmTMB: Rscript mmrm.R PACKAGE data.csv REPEATS
# Prints one JSON line: CPU seconds (user + system) of one call, its criterion (-2 log restricted likelihood), peak memory; or the
# error of a call that failed and the CPU seconds that it spent.
arguments <- commandArgs(trailingOnly = TRUE)
package <- arguments[1]; repeats <- as.integer(arguments[3])
suppressPackageStartupMessages(library(package, character.only = TRUE))
d <- read.csv(arguments[2])
d$id <- factor(d$id); d$arm <- factor(d$arm); d$time <- d$visit; d$visit <- factor(d$visit)

fit <- if (package == "nlme") function() {
  m <- gls(y ~ arm * visit + base, d, correlation = corSymm(form = ~ time | id), weights = varIdent(form = ~ 1 | visit),
           method = "REML", control = glsControl(maxIter = 200, msMaxIter = 1000, opt = "nlminb"))
  -2 * as.numeric(logLik(m))
} else function() {
  m <- glmmTMB(y ~ arm * visit + base + us(0 + visit | id), d, dispformula = ~0, REML = TRUE,
               control = glmmTMBControl(parallel = 1))
  -2 * as.numeric(logLik(m))
}
call <- function() { t <- system.time(value <- fit()); c(sum(t[c("user.self", "sys.self")]), t[["elapsed"]], value) }
start <- proc.time()
give_up <- function(e) {
  spent <- sum((proc.time() - start)[c("user.self", "sys.self")])
  cat(sprintf('{"error": "%s", "spent": %.2f, "version": "%s"}\n', gsub("[\\\\\"\n]", " ", conditionMessage(e)), spent,
              as.character(packageVersion(package))))
  quit(status = 0)
}
runs <- tryCatch(sapply(seq_len(repeats), function(i) call()), error = give_up)
middle <- runs[, order(runs[1, ])[(repeats + 1) %/% 2]]
peak <- as.numeric(sub("[^0-9]*([0-9]+).*", "\\1", grep("VmHWM", readLines("/proc/self/status"), value = TRUE))) / 1024
cat(sprintf('{"cpu": %.6f, "wall": %.6f, "criterion": %.9f, "peak_mb": %.1f, "version": "%s"}\n',
            middle[1], middle[2], middle[3], peak, as.character(packageVersion(package))))
