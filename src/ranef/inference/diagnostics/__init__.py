"""Does the model hold? `check` asks all assumptions at once; the other files answer one each."""

from ranef.inference.diagnostics.answer import Assessment, Check
from ranef.inference.diagnostics.checks import check
from ranef.inference.diagnostics.pca import re_pca
from ranef.inference.diagnostics.scaled import QuantileResiduals, quantile_residuals

__all__ = ["Assessment", "Check", "QuantileResiduals", "check", "quantile_residuals", "re_pca"]
