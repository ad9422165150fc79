"""Optimizers of the criterion: `minimise` is the one door; what they ask and answer is in `problem`."""

from ranef.optim.minimise import minimise

__all__ = ["minimise"]
