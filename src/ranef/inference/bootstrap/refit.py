"""Refits of one model to many responses, each given by its sufficient statistics or its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType

import numpy as np

from ranef.core.block import Block
from ranef.core.criterion import Criterion, Engine
from ranef.core.dense import Dense
from ranef.core.gram import Gram
from ranef.core.kernels import twins
from ranef.core.pieces import LinAlgError
from ranef.core.plain import Plain
from ranef.core.single import Single
from ranef.core.solution import Solution
from ranef.covariance.base import Array
from ranef.covariance.factored import is_linear
from ranef.inference.bootstrap.statistics import Levels
from ranef.inference.parameters import Batch, Refits, on_user_scale
from ranef.inference.starts import lifted
from ranef.optim import minimise

NUMPY = 1.2e-3  # seconds of a small refit by NumPy
COMPILING = 2.0  # seconds of NumPy from which the compiler is asked; it takes some twenty seconds, once on a machine
FAR = 10.0
CHEAP = 1e7  # floating-point operations of an evaluation up to which a second start is tried

Draw = tuple[Array, Array]  # E_y and the last row of W_0


@dataclass(frozen=True, eq=False)
class Refitter:
    """A criterion and where to start; `many` says how many refits there will be, which decides whether compiled code pays."""

    criterion: Criterion
    theta: Array
    levels: Levels | None  # of a model with one grouping factor
    many: int

    @cached_property
    def compiled(self) -> ModuleType | None:
        """The compiled loop, for one factor whose structures are linear in theta."""
        linear = all(is_linear(covariance) for _, covariance in self.criterion.blocks)
        if self.levels is None or not linear or self.criterion.scale is not None or self.many * NUMPY < COMPILING:
            return None
        return twins.load("refit")

    @cached_property
    def starts(self) -> Array:
        """(c, q) one start where the criterion is known to have one optimum, or is dear; else also a far one."""
        near = lifted(self.criterion, self.theta)
        alone = self.criterion.unimodal or self.criterion.effort > CHEAP
        return near[None] if alone else np.stack([near, FAR * self.criterion.layout.start()])

    def of_statistics(self, draws: Sequence[Draw]) -> Batch:
        """Models with one factor, or few effects."""
        if self.compiled is not None:
            return self._compiled(draws, self.compiled)
        return Batch.joined([self._one(self._engine(*draw)) for draw in draws])

    def of_responses(self, responses: Sequence[Array]) -> Batch:
        """Responses row by row: one pass over the rows for each."""
        grams = [self.criterion.gram.with_response(y) for y in responses]
        if self.compiled is not None:
            assert self.levels is not None
            return self._compiled([self.levels.of_response(gram) for gram in grams], self.compiled)
        return Batch.joined([self._one(self._of_gram(gram)) for gram in grams])

    def _of_gram(self, gram: Gram) -> Engine:
        engine = self.criterion.engine
        return engine.with_gram(gram) if isinstance(engine, Block | Single) else Criterion.of_gram(gram, self.criterion.reml).engine

    def _engine(self, Ey: Array, rest_y: Array) -> Engine:
        engine, gram = self.criterion.engine, self.criterion.gram
        if self.levels is not None:
            return self.levels.engine(Ey, rest_y)
        if isinstance(engine, Dense):
            right, rest = engine.right.copy(), engine.rest.copy()
            right[:, -1], rest[-1], rest[:, -1] = Ey, rest_y, rest_y
            return Dense(gram, right, rest, engine.offsets)
        ww = gram.ww.copy()
        ww[-1], ww[:, -1] = rest_y, rest_y
        return Plain(replace(gram, ww=ww))

    def _one(self, engine: Engine) -> Batch:
        """By the general optimizer: from the estimate down, and from everywhere where that fails."""
        criterion = replace(self.criterion, engine=engine)
        theta, done = self.theta, True
        if len(theta):
            starts = [None] if criterion.unimodal else self.starts
            found = [minimise(criterion, start=start) for start in starts]
            best = min(found, key=lambda optimum: (optimum.state == "not converged", optimum.value))
            if best.state == "not converged":
                best = minimise(criterion)
            theta, done = best.theta, best.state != "not converged"
        solution = Solution(criterion, theta)
        try:
            pieces = criterion.pieces(theta, 0)
            gls, value = pieces.gls, criterion.value(pieces)
        except LinAlgError:
            done = False
            gls, value = Solution(self.criterion, self.theta).pieces.gls, np.nan
        refits = Refits(
            theta[None], gls.gamma[None], gls.lower[None], np.array([max(gls.pwrss, 0.0)]), np.array([value]), np.array([done])
        )
        return on_user_scale(criterion, refits, solution.dof)

    def _compiled(self, draws: Sequence[Draw], kernels: ModuleType) -> Batch:
        assert self.levels is not None
        criterion = self.criterion
        b, r, q = len(draws), criterion.gram.rank, criterion.size
        Ey, rest_y = np.stack([draw[0] for draw in draws]), np.stack([draw[1] for draw in draws])
        refits = Refits(np.empty((b, q)), np.empty((b, r)), np.empty((b, r, r)), np.empty(b), np.empty(b), np.empty(b, dtype=bool))
        kernels.refit(
            *self._constants, float(criterion.nu), criterion.reml, Ey, rest_y,
            refits.theta, refits.gamma, refits.factor, refits.pwrss, refits.value, refits.done,
        )  # fmt: skip
        nu = criterion.nu
        refits.value[:] += nu * (1.0 + float(np.log(2.0 * np.pi / nu))) + criterion.constant
        batch = on_user_scale(criterion, refits, nu)
        for i in np.flatnonzero(~refits.done).tolist():
            again = self._one(self._engine(*draws[i]))
            for name in ("estimates", "std_errors", "value", "done"):
                getattr(batch, name)[i] = getattr(again, name)[0]
        return batch

    @cached_property
    def _constants(self) -> tuple[Array, ...]:
        """What does not depend on the response; all in one memory layout, so that one compiled version serves all models."""
        assert self.levels is not None
        levels, base = self.levels, self.levels.base
        arrays = (levels.E, levels.pattern, base.lower, base.count, levels.rest, self._basis)
        return tuple(np.ascontiguousarray(a) for a in (*arrays, *self.criterion.layout.directions[1:], self.starts))

    @cached_property
    def _basis(self) -> Array:
        """(q, k, k) dLambda/dtheta of the block."""
        (block,) = self.criterion.layout.blocks
        out = np.zeros((self.criterion.size, block.width, block.width))
        for part in block.parts:
            out[part.theta, part.columns, part.columns] = part.covariance.jacobian(part.covariance.start())
        return out
