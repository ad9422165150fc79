"""In which order terms are to be written so that reading them gives the same factors in the same order."""

from __future__ import annotations

from collections import defaultdict, deque

from ranef.formula.expression import Expression
from ranef.formula.model import Term

Before = dict[Expression, set[Expression]]


def written_order(terms: list[Term]) -> list[tuple[Term, bool]]:
    """The terms (without the intercept) in an order from which they can be read back; False marks a factor that is only to be
    mentioned (`f - f`), to fix its place.

    Reading orders the factors of a term by their first appearance and sorts terms by degree. So `a + b:a` comes from `b:a + a` and
    must be written like that. The order within a degree is kept.
    """
    return [(term, True) for term in terms] if _reads_in_order(terms) else _search(terms)


def _reads_in_order(terms: list[Term]) -> bool:
    places: dict[Expression, int] = {}
    for term in terms:
        found = [places.setdefault(factor, len(places)) for factor in term.factors]
        if found != sorted(found):
            return False
    return True


def _search(terms: list[Term]) -> list[tuple[Term, bool]]:
    before: Before = defaultdict(set)
    for term in terms:
        for place, factor in enumerate(term.factors):
            before[factor].update(term.factors[:place])
    degrees: dict[int, deque[Term]] = defaultdict(deque)
    for term in terms:
        degrees[term.order].append(term)
    written: list[tuple[Term, bool]] = []
    seen: set[Expression] = set()
    while any(degrees.values()):
        queue = next((queue for queue in degrees.values() if queue and _is_readable(queue[0], seen, before)), None)
        if queue is None:
            free = next(factor for factor in before if factor not in seen and before[factor] <= seen)
            term, kept = Term((free,)), False
        else:
            term, kept = queue.popleft(), True
        written.append((term, kept))
        seen.update(term.factors)
    return written


def _is_readable(term: Term, seen: set[Expression], before: Before) -> bool:
    """Whether the factors that are new in this term come only after those that precede them in any other term."""
    known = set(seen)
    for factor in term.factors:
        if factor not in known and not before.get(factor, set()) <= known:
            return False
        known.add(factor)
    return True
