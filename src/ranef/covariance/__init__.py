"""Covariance structures by the word that names them in a formula."""

from ranef.covariance.base import Covariance
from ranef.covariance.correlation import Correlation, Kernel
from ranef.covariance.diagonal import Diagonal
from ranef.covariance.factored import Factored
from ranef.covariance.identity import Identity
from ranef.covariance.registry import STRUCTURES, description, restored, structure, word_of
from ranef.covariance.scaled import Scaled
from ranef.covariance.unstructured import Unstructured

__all__ = [
    "STRUCTURES", "Correlation", "Covariance", "Diagonal", "Factored", "Identity", "Kernel", "Scaled", "Unstructured",
    "description", "restored", "structure", "word_of",
]  # fmt: skip
