"""The frozen question: which data, which terms, which criterion, and how to answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ranef.design import Array, Design
from ranef.formula import Formula
from ranef.schema import Intake, Rows, Schema


@dataclass(frozen=True, eq=False)
class Options:
    """How a model is fitted and reported; everything that is not the model itself."""

    ddf: str = "satterthwaite"
    optimizer: str = "newton"
    start: Any = None  # theta on the user's scale


@dataclass(frozen=True, eq=False)
class Model:
    formula: Formula
    intake: Intake
    reml: bool
    options: Options
    recipe: dict[str, Any]  # the arguments of the call that `update` starts from: data, precision_weights, offset, contrasts, ...

    def with_response(self, y: Array) -> Model:
        """The same question about another response."""
        intake, model = object.__new__(Intake), object.__new__(Model)  # half of the time that `replace` and __init__ take
        intake.__dict__.update(self.intake.__dict__, design=self.intake.design.with_response(y))
        model.__dict__.update(self.__dict__, intake=intake)
        return model

    @property
    def design(self) -> Design:
        return self.intake.design

    @property
    def schema(self) -> Schema:
        return self.intake.schema

    @property
    def rows(self) -> Rows:
        return self.intake.rows
