"""Deletion diagnostics of rows and clusters; `influence` is the door."""

from ranef.inference.influence.answer import Influence, influence

__all__ = ["Influence", "influence"]
