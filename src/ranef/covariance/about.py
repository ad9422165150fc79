"""What is told of a structure: its words, its formula, and what other programs call it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """The same structure elsewhere; empty where a program does not have it. The other programs' words are understood as well."""

    sas: str = ""
    nlme: str = ""
    glmmtmb: str = ""
    mmrm: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class About:
    """A row of the table of structures."""

    word: str
    title: str
    formula: str  # of the correlation of positions i and j, or of the covariance where `count` says so; LaTeX
    count: str  # number of parameters besides the standard deviations, or in all for structures without any of their own
    names: Names = Names()
    heterogeneous: Names | None = None  # of the version with a standard deviation for each position, whose word ends in h
    coordinates: bool = False  # do its positions have coordinates (a time, a place), or only an order?
    options: tuple[str, ...] = ()  # that it takes after the bar
