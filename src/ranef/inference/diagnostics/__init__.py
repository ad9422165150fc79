"""Does the model hold? `check` asks all assumptions at once; the other files answer one each."""

from ranef.inference.diagnostics.answer import Assessment, Check
from ranef.inference.diagnostics.checks import check

__all__ = ["Assessment", "Check", "check"]
