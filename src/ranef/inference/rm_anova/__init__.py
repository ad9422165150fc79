"""Repeated-measures analysis of variance; `rm_anova` is the door."""

from ranef.inference.rm_anova.answer import RepeatedMeasures, rm_anova

__all__ = ["RepeatedMeasures", "rm_anova"]
