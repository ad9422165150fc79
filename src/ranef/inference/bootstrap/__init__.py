"""Bootstrap: `bootstrap(m, n)` for intervals, `bootstrap(m0, m1)` for a test of nested models."""

from ranef.inference.bootstrap.answer import Bootstrap, bootstrap, bootstrap_intervals
from ranef.inference.bootstrap.comparison import BootstrapTest

__all__ = ["Bootstrap", "BootstrapTest", "bootstrap", "bootstrap_intervals"]
