"""Heterogeneity between studies, and the estimators of it that a meta-analysis knows; `heterogeneity` is the door."""

from ranef.inference.meta.answer import heterogeneity

__all__ = ["heterogeneity"]
