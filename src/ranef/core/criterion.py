"""The criterion: -2 log (restricted) likelihood, profiled over beta and sigma, as a function of theta.

    d(theta) = log|V| + n (1 + log(2 pi s / n))                      ML     Bates et al. (2015), eq. 34
    d(theta) = log|V| + log|X'V^-1X| + nu (1 + log(2 pi s / nu))     REML   eq. 41,  nu = n - rank X

with s = y'Py, V = I + Z Lambda Lambda'Z'. Precision weights and units add constants. Where sigma is known, nothing is profiled:
n log(2 pi sigma^2) + s / sigma^2 takes the place of n (1 + log(2 pi s / n)), nu that of n under REML.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from ranef.core import starts as begin
from ranef.core.dense import Dense
from ranef.core.em import em_step
from ranef.core.gram import Gram
from ranef.core.kernels.threads import one_thread
from ranef.core.landscape import effort
from ranef.core.layout import Layout, Part
from ranef.core.pieces import Known, LinAlgError, Pieces, differentiate
from ranef.core.plain import Plain
from ranef.core.residual.clusters import components
from ranef.core.residual.engine import ResidualEngine
from ranef.core.residual.marginal import Marginal
from ranef.core.residual.rows import RowCovariance
from ranef.core.single import Single
from ranef.core.standard import standardise
from ranef.core.vanished import vanished
from ranef.covariance.base import Array, Covariance
from ranef.covariance.held import Spanned
from ranef.design import Design
from ranef.optim.problem import Evaluation
from ranef.schema.memory import refuse_beyond

Index = NDArray[np.intp]
SMALLEST = 1e-300
SMALL = 30  # the order of matrices below which the BLAS uses one thread of its own accord
CLUSTER = 300  # rows that are not independent, beyond which their covariance matrix is not formed
FEW = 80  # effects that are cheaper in one dense matrix than by structure
LEVELS = 5  # for each of the effects that covary
DIFFERENCE = 1e-4  # of a parameter's size: the error of a central difference is about its square, the rounding 1e-16 over it


class Engine(Protocol):
    """Answers for one set of Gram blocks, at any Lambda of the blocks; `exact` says that second derivatives
    are, `order` is that of the largest dense matrix."""

    @property
    def exact(self) -> bool: ...

    @property
    def order(self) -> int: ...

    def pieces(self, factors: list[Array], order: int) -> Pieces: ...

    def with_gram(self, gram: Gram) -> Engine: ...

    def saturated(self) -> Array: ...

    def projections(self, factors: list[Array]) -> list[Array]: ...

    def apply(self, factors: list[Array], vectors: list[Array]) -> list[Array]: ...

    def conditional(self, factors: list[Array], f: int, g: int, rows: Index, columns: Index) -> Array: ...


@dataclass(frozen=True, eq=False)
class Criterion:
    """A `Problem` for the optimizers: theta are the entries of the factors of the standardised relative covariances."""

    gram: Gram
    engine: Engine
    reml: bool
    scale: float | None = None  # sigma in standardised units where it is known, None where it is estimated
    residual: RowCovariance | None = None  # a residual structure: its parameters rho follow theta, and its scale is sigma's

    @classmethod
    def of(cls, design: Design, reml: bool) -> Criterion:
        """One pass over the data."""
        return cls.of_gram(Gram.of(standardise(design, Layout.of(design.terms))), reml)

    @classmethod
    def of_gram(cls, gram: Gram, reml: bool, scale: float | None = None) -> Criterion:
        return cls(gram, choose_engine(gram), reml, gram.standard.sigma if scale is None else scale)

    @classmethod
    def with_residual(cls, gram: Gram, reml: bool) -> Criterion:
        """The criterion of a design with a residual structure; its parameters are absolute, in standardised units, unless sigma is
        known.
        """
        residual = gram.standard.design.residual
        assert residual is not None
        covariance = RowCovariance(residual, gram.standard.unit)
        engine = choose_residual_engine(gram, covariance)  # nobody asks it for what only engines on Gram blocks have
        return cls(gram, cast(Engine, engine), reml, gram.standard.sigma or 1.0, covariance)

    def with_response(self, y: Array) -> Criterion:
        """The same question about another response (n,): of the data, only y is read."""
        gram = self.gram.with_response(y)
        if gram.unfit:
            gram = self.gram.with_response(y, own_units=True)
        scale = None if self.scale is None else self.scale * self.gram.standard.unit / gram.standard.unit
        return replace(self, gram=gram, engine=self.engine.with_gram(gram), scale=scale)

    def warmed(self) -> Criterion:
        """For many evaluations to come: compiled kernels for any size of problem, which a single fit would not wait for."""
        return replace(self, engine=self.engine.compiled()) if isinstance(self.engine, Single) else self

    @property
    def layout(self) -> Layout:
        return self.gram.layout

    @property
    def size(self) -> int:
        """Length of theta: the parameters of the random effects and, after them, of the residual structure."""
        return self.layout.size + (0 if self.residual is None else self.residual.size)

    def engine_at(self, theta: Array) -> Engine:
        """The engine at the residual parameters of theta."""
        return self.engine if self.residual is None else cast(Engine, self.structured_at(theta))

    def structured_at(self, theta: Array) -> ResidualEngine:
        """The same for a model with a residual structure, with all that only its engine answers."""
        return cast(ResidualEngine, self.engine).at(theta[self.layout.size :])

    def jacobian(self, theta: Array) -> Array:
        """(size, K) derivatives of the directions: entries of the Omegas, then the residual parameters themselves."""
        G = self.layout.jacobian(theta)
        return G if self.residual is None else block_diag(G, np.eye(self.residual.size))

    @property
    def blocks(self) -> tuple[tuple[slice, Covariance], ...]:
        return tuple((part.theta, part.covariance) for _, part in self.layout.parts)

    @property
    def effort(self) -> float:
        """Floating-point operations of an evaluation, to an order of magnitude."""
        return effort(self.gram) if self.residual is None else cast(ResidualEngine, self.engine).effort

    @property
    def unimodal(self) -> bool:
        """Is the criterion known to have a single optimum?"""
        if self.residual is not None:
            return not self.layout.blocks
        return isinstance(self.engine, Single | Dense) and self.engine.unimodal(self.reml)

    @property
    def rugged(self) -> bool:
        """Are covariances to be found from so few levels that several optima are likely, and no start tells where they are?"""
        few = (
            part.covariance.k > 1 and self.layout.blocks[f].levels <= LEVELS * part.covariance.k for f, part in self.layout.parts
        )
        return self.residual is None and any(few)

    @property
    def most(self) -> int:
        """Evaluations after which a search starts no more from elsewhere."""
        return 3000 if self.residual is None else 300

    @property
    def nu(self) -> int:
        """The degrees of freedom that sigma is profiled with: n, or n - rank X under REML."""
        return self.gram.nobs - self.gram.rank if self.reml else self.gram.nobs

    @cached_property
    def constant(self) -> float:
        standard = self.gram.standard
        out = 2.0 * self.nu * float(np.log(standard.unit)) - self.gram.log_weights
        return out + standard.logdet_units() if self.reml else out

    def value(self, pieces: Pieces) -> float:
        return float(self._deviance(pieces.logdet_u, max(pieces.gls.pwrss, SMALLEST), pieces.gls.logdet_x))

    def values(self, logdet: Array, W: Array) -> Array:
        """(b,) the criterion from (b,) log|V| and (b, r+1, r+1) [X y]'V^-1[X y]. Raises LinAlgError where there is no misfit."""
        roots = np.diagonal(np.linalg.cholesky(W), axis1=1, axis2=2)
        return np.asarray(self._deviance(logdet, np.square(roots[:, -1]), 2.0 * np.log(roots[:, :-1]).sum(axis=1)))

    def _deviance(self, logdet: Array | float, s: Array | float, logdet_x: Array | float) -> Array | float:
        """From log|V|, y'Py and log|X'V^-1X|."""
        misfit: Array | float
        if self.scale is None:
            misfit = self.nu * (1.0 + np.log(2.0 * math.pi * s / self.nu))
        else:
            misfit = self.nu * math.log(2.0 * math.pi * self.scale**2) + s / self.scale**2
        d = logdet + misfit + self.constant
        return d + logdet_x if self.reml else d

    def pieces(self, theta: Array, order: int) -> Pieces:
        factors = self.layout.factors(theta)
        engine = self.engine_at(theta)
        if engine.order < SMALL:
            return engine.pieces(factors, order)
        with one_thread():
            return engine.pieces(factors, order)

    def evaluate(self, theta: Array, order: int) -> Evaluation:
        try:
            if order >= 2 and self.layout.differenced:
                return self._differenced(theta)
            return self.evaluation(theta, self.pieces(theta, order))
        except LinAlgError:
            return Evaluation(theta, np.inf)

    def _differenced(self, theta: Array) -> Evaluation:
        """With the Hessian by differences of the gradient: few parameters of a structure with very many entries."""
        at = self.evaluation(theta, self.pieces(theta, 1))
        return replace(at, hessian=self.hessian(theta), exact=True)

    def evaluation(self, theta: Array, pieces: Pieces) -> Evaluation:
        """The criterion and its derivatives as far as the pieces go."""
        value, known = self.value(pieces), None if self.residual is not None else Known(theta, pieces)
        if pieces.t is None:
            return Evaluation(theta, value, found=known)
        traces = differentiate(pieces, self.nu, self.reml, self.scale)
        jacobian = self.jacobian(theta)
        gradient = jacobian @ traces.gradient
        if traces.hessian is None:
            return Evaluation(theta, value, gradient)
        hessian = jacobian @ traces.hessian @ jacobian.T
        q = self.layout.size
        hessian[:q, :q] += self.layout.curvature(theta, traces.gradient)
        if traces.bend is not None:
            hessian[q:, q:] += traces.bend
        return Evaluation(theta, value, gradient, hessian, traces.exact, pieces.unfinished, known)

    def hessian(self, theta: Array, pieces: Pieces | None = None) -> Array:
        """(q, q) the exact Hessian, by central differences of the exact gradient where the engine leaves h and e out.

        `pieces` of order 3 at theta save an evaluation.
        """
        if not self.size:
            return np.zeros((0, 0))
        if not self.layout.differenced:
            at = self.evaluation(theta, self.pieces(theta, 3) if pieces is None else pieces)
            if at.hessian is not None and at.exact:
                return at.hessian
        out = np.empty((self.size, self.size))
        for i in range(self.size):
            step = np.zeros(self.size)
            step[i] = DIFFERENCE * max(abs(theta[i]), 0.1)
            up, down = (self.evaluate(theta + s, 1).gradient for s in (step, -step))
            if up is None or down is None:
                raise LinAlgError("the criterion is not finite beside theta")
            out[i] = (up - down) / (2.0 * step[i])
        return (out + out.T) / 2

    def em_step(self, theta: Array) -> Array:
        """theta after one step of the EM algorithm."""
        return em_step(self.pieces(theta, 1), self.layout, theta, self.gram.nobs, self.nu, self.reml, self.scale)

    def closed_form(self) -> Array | None:
        """The optimum of balanced data (see `balanced` and `orthogonal`) where sigma is estimated."""
        if not isinstance(self.engine, Single | Dense) or self.scale is not None:
            return None
        roots = self.engine.closed_form(self.reml)
        return None if roots is None else np.concatenate([part.covariance.of_factor(roots[f]) for f, part in self.layout.parts])

    def start(self) -> Array:
        return begin.start(self)

    @cached_property
    def ranked(self) -> list[Array]:
        """The starts of a model with a residual structure, best first."""
        return begin.ranked(self)

    def completed(self, theta: Array) -> Array:
        """The parameters of random effects, completed by the start of a residual structure."""
        if self.residual is None or not self.residual.size:
            return theta
        return np.concatenate([theta[: self.layout.size], self.start()[self.layout.size :]])

    def starts(self) -> Iterator[Array]:
        return begin.starts(self)

    def rivals(self) -> Iterator[Array]:
        return begin.rivals(self)

    def settled(self, at: Evaluation, others: Sequence[Evaluation]) -> bool:
        return begin.settled(self, at, others)

    def profile(self, at: Evaluation) -> list[Evaluation] | None:
        return begin.profile(self, at)

    def canonical(self, theta: Array) -> Array:
        if self.residual is None:
            return self.layout.canonical(theta)
        q, out = self.layout.size, np.array(theta)
        out[:q] = self.layout.canonical(theta[:q])
        out[q:] = self.residual.canonical(theta[q:])
        return out

    def boundary(self, theta: Array) -> tuple[str, ...]:
        """The directions in which random effects, and residuals with a structure, do not vary at theta."""
        found: list[str] = []
        for f, part in self.layout.parts:
            term = self.gram.standard.design.terms[part.term]
            factor, names = part.covariance.factor(theta[part.theta]), term.names
            if isinstance(part.covariance, Spanned):
                factor, names = part.covariance.estimated(factor, names)
            elif part.covariance.word == "un" and term.z is not None and not np.all(np.any(factor, axis=1)):
                factor = self._of_user(factor, f, part, term.z)
            found += vanished(factor, names, term.group.name, part.covariance.rank)
        if self.residual is not None:
            found += self.residual.vanished(theta[self.layout.size :])
        return tuple(found)

    def _of_user(self, factor: Array, f: int, part: Part, z: Array) -> Array:
        """The factor of the user's effects times the size of their columns: what does not vary at the means may do so elsewhere."""
        size = np.sqrt(np.mean(z**2, axis=0))
        return np.asarray(size[:, None] * np.linalg.solve(self.gram.z_map(f)[part.columns, part.columns], factor))


def choose_residual_engine(gram: Gram, covariance: RowCovariance) -> ResidualEngine:
    """By clusters of rows that are not independent where these are small, or smaller than all random effects together.

    Raises MemoryEstimateError where neither the covariance matrix of a cluster nor that of the random effects fits.
    """
    design, blocks = gram.standard.design, gram.layout.blocks
    codes = [design.terms[block.parts[0].term].group.codes for block in blocks]
    sizes = np.bincount(components([covariance.term.subject.codes, *codes], gram.nobs)).astype(float)
    effects = float(sum(block.size for block in blocks))
    if not blocks or sizes.max() <= CLUSTER or np.sum(sizes**3) < effects**3:
        refuse_beyond(8.0 * (covariance.size + 6) * sizes.max() ** 2, f"the covariance matrix of {sizes.max():,.0f} related rows")
        return Marginal.of(gram, covariance)
    refuse_beyond(8.0 * 8 * effects**2, f"the covariance matrix of {effects:,.0f} random effects")
    from ranef.core.residual.crossed import Crossed  # with scipy.sparse

    return Crossed.of(gram, covariance)


def choose_engine(gram: Gram) -> Engine:
    """The cheapest engine that the crossing of the factors allows."""
    if not gram.layout.blocks:
        return Plain(gram)
    if len(gram.layout.blocks) == 1:
        return Single.of(gram)
    if sum(block.size for block in gram.layout.blocks) <= FEW:
        return Dense.of(gram)
    from ranef.core.block import Block  # with scipy.sparse, which small models need not wait for

    return Block.of(gram)
