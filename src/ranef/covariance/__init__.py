"""Covariance structures by the word that names them in a formula."""

from ranef.covariance.base import Covariance
from ranef.covariance.diagonal import Diagonal
from ranef.covariance.identity import Identity
from ranef.covariance.unstructured import Unstructured

STRUCTURES: dict[str, type[Covariance]] = {kind.word: kind for kind in (Unstructured, Diagonal, Identity)}

__all__ = ["STRUCTURES", "Covariance", "Diagonal", "Identity", "Unstructured"]
