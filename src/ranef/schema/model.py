"""Schema: everything that new data need to become the columns of the fit, and nothing of the data themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ranef.errors import SavedModelError
from ranef.formula import format as canonical
from ranef.formula import parse
from ranef.formula.model import Formula
from ranef.schema.coding import Coding, TermCoding, Variable
from ranef.schema.contrasts import Contrast
from ranef.schema.evaluate import UserFunctions
from ranef.schema.grouping import GroupLevels


@dataclass(frozen=True, eq=False)
class Schema:
    """Levels, codings, knots, recurrences, group levels. A dot of the formula is already resolved.

    `weights` and `offset` are names of columns; `loose_offset` says that an offset was given as an array instead.
    """

    formula: Formula
    names: tuple[str, ...]
    variables: Mapping[str, Variable]
    fixed: tuple[TermCoding, ...]
    bars: tuple[tuple[TermCoding, ...], ...]
    groups: Mapping[str, GroupLevels]
    states: Mapping[str, Any]
    weights: str | None = None
    offset: str | None = None
    loose_offset: bool = False
    functions: UserFunctions = field(default_factory=dict)

    def apply(self, data: Any, **options: Any) -> Any:
        """The columns of the fit for new rows; see `ranef.schema.apply.apply_schema`."""
        from ranef.schema.apply import apply_schema

        return apply_schema(self, data, **options)

    def with_functions(self, functions: UserFunctions) -> Schema:
        """The same schema with the user's functions, which no file holds."""
        return replace(self, functions=dict(functions))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; `from_json` gives the same schema back, without the user's functions."""
        return {
            "formula": _written(self.formula),
            "names": list(self.names),
            "variables": [variable.to_json() for variable in self.variables.values()],
            "fixed": _terms_to_json(self.fixed),
            "bars": [_terms_to_json(terms) for terms in self.bars],
            "groups": [group.to_json() for group in self.groups.values()],
            "states": dict(self.states),
            "weights": self.weights,
            "offset": self.offset,
            "loose_offset": self.loose_offset,
            "functions": sorted(self.functions),
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Schema:
        """The schema that `to_json` wrote.

        Raises SavedModelError when it is not one.
        """
        try:
            groups = [GroupLevels.from_json(group) for group in saved["groups"]]
            return cls(
                formula=parse(saved["formula"]),
                names=tuple(saved["names"]),
                variables={entry["text"]: Variable.from_json(entry) for entry in saved["variables"]},
                fixed=_terms_from_json(saved["fixed"]),
                bars=tuple(_terms_from_json(terms) for terms in saved["bars"]),
                groups={group.name: group for group in groups},
                states=dict(saved["states"]),
                weights=saved["weights"],
                offset=saved["offset"],
                loose_offset=bool(saved["loose_offset"]),
            )
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as problem:
            raise SavedModelError(f"the saved schema is incomplete or damaged: {type(problem).__name__}: {problem}") from None


def _written(formula: Formula) -> str:
    """The text that gives this formula without data: as the user wrote it, unless it has a dot."""
    return formula.text if parse(formula.text) == formula else canonical(formula)


def _terms_to_json(terms: tuple[TermCoding, ...]) -> list[Any]:
    return [[[coding.variable, coding.contrast and coding.contrast.to_json()] for coding in term] for term in terms]


def _terms_from_json(saved: Any) -> tuple[TermCoding, ...]:
    return tuple(
        tuple(Coding(text, None if contrast is None else Contrast.from_json(contrast)) for text, contrast in term) for term in saved
    )  # fmt: skip
