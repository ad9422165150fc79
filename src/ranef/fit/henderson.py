"""Henderson's mixed-model equations: one linear system whose solution is (beta_hat, b_hat).

    classical      [ X'R^-1X    X'R^-1Z        ] [beta]   [ X'R^-1(y - offset) ]
                   [ Z'R^-1X    Z'R^-1Z + G^-1 ] [ b  ] = [ Z'R^-1(y - offset) ]

    multiplied     the second row times G, so that no inverse of G is needed:

                   [   X'R^-1X    X'R^-1Z     ] [beta]   [   X'R^-1(y - offset) ]
                   [ G Z'R^-1X  G Z'R^-1Z + I ] [ b  ] = [ G Z'R^-1(y - offset) ]

R = sigma^2 W^-1 and G = sigma^2 Omega are the covariances of the residuals and of all random effects. The classical matrix is
symmetric, and its inverse is the joint covariance of (beta_hat, b_hat - b); it does not exist when a variance is zero or a
correlation is +-1. The multiplied one always does, has the same solution, and its inverse times blockdiag(I, G) is that covariance.

Henderson (1950), Ann. Math. Stat. 21, 309 (abstract); Henderson (1975), Biometrics 31, 423-447; for singular G: Harville (1976),
Ann. Stat. 4, 384-395, and Henderson (1984), Applications of Linear Models in Animal Breeding, ch. 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from ranef.arguments import checked
from ranef.design import Array
from ranef.errors import MemoryEstimateError, ModelError
from ranef.fit.effects import factors
from ranef.fit.points import Points, design_points
from ranef.fit.residual_side import refuse_structured
from ranef.fit.rows import needs_rows

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

Form = Literal["multiplied", "classical"]
DENSE_LIMIT = 4000


@dataclass(frozen=True, eq=False)
class Equations:
    """coefficient (beta, b) = rhs on the user's scale; b holds the effects of a level side by side, level after level."""

    coefficient: Any  # (p+q, p+q) scipy.sparse.csc_array
    rhs: Array  # (p+q,)
    names: tuple[str | tuple[str, Any, str], ...]  # the p fixed effects, then (group, level, term) of each b
    fixed: int  # p, the columns of X that were not dropped
    G: Any  # (q, q) scipy.sparse.csc_array
    form: Form

    def solve(self) -> tuple[Array, Array]:
        """(beta_hat (p,), b_hat (q,)) by a sparse LU factorisation."""
        solution = splu(self.coefficient).solve(self.rhs)
        return solution[: self.fixed], solution[self.fixed :]

    def covariance(self) -> Array:
        """(p+q, p+q) joint covariance of the errors (beta_hat - beta, b_hat - b).

        Raises MemoryEstimateError for more than a few thousand unknowns: the matrix is dense.
        """
        size = len(self.rhs)
        if size > DENSE_LIMIT:
            raise MemoryEstimateError(
                f"The joint covariance of {size} effects is a dense matrix of {8e-9 * size**2:.1f} GB.",
                hint="Use conditional_covariance() or predict(interval=...), which never form it.",
            )
        right = np.eye(size)
        if self.form == "multiplied":
            right[self.fixed :, self.fixed :] = self.G.toarray()
        return splu(self.coefficient).solve(right)


@checked
def henderson(fit: Fit, form: Form = "multiplied") -> Equations:
    """The mixed-model equations of a fit at its estimated variances; see the module for the two forms.

    Raises ModelError for the classical form of a singular fit, and for a model that was loaded from a file.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
    >>> equations = ranef.henderson(m)
    >>> equations.coefficient.shape  # one fixed effect and six batches
    (7, 7)
    >>> beta, b = equations.solve()
    >>> beta.round(3), b.round(3)
    (array([1527.5]), array([-17.607,   0.391,  28.562, -23.085,  56.733, -44.995]))
    """
    needs_rows(fit, "henderson()")
    refuse_structured(fit, "henderson()")
    if form not in ("multiplied", "classical"):
        raise ModelError(f"form={form!r} is not known.", hint='Use "multiplied" or "classical".')
    if form == "classical" and fit.optimum.boundary:
        raise ModelError(
            f"The covariance matrix of the random effects has no inverse ({'; '.join(fit.optimum.boundary)}), "
            "so the classical form of Henderson's equations does not exist.",
            hint='Use form="multiplied", which has the same solution.',
        )
    design, solution, kept = fit.model.design, fit.solution, list(fit.criterion.gram.standard.kept)
    points = design_points(design, fit.criterion.layout)
    columns = sparse.hstack([sparse.csr_array(design.X[:, kept]), _random_columns(fit, points)], format="csr")
    weighted = columns.T @ sparse.diags_array(1.0 / (solution.sigma**2 * points.noise), format="csr")
    coefficient, rhs = weighted @ columns, weighted @ (design.y if design.offset is None else design.y - design.offset)
    p, q = len(kept), columns.shape[1] - len(kept)
    roots = [solution.sigma * solution.root(f) for f in range(len(points.z))]
    G = _per_level(fit, [root @ root.T for root in roots])
    if form == "multiplied":
        left = sparse.block_diag([sparse.eye_array(p), G], format="csr")
        coefficient, rhs = left @ coefficient, left @ rhs
        extra = sparse.eye_array(q)
    else:
        extra = _per_level(fit, [_inverse(root) for root in roots])
    corner = sparse.block_diag([sparse.csr_array((p, p)), extra], format="csr")
    return Equations((coefficient + corner).tocsc(), rhs, _names(fit), p, G, form)


def _random_columns(fit: Fit, points: Points) -> Any:
    """(n, q) Z in the order of the unknowns."""
    blocks = [sparse.csr_array((len(points), 0))]
    for block, codes, z in zip(fit.criterion.layout.blocks, points.codes, points.z, strict=True):
        places = codes[:, None] * block.width + np.arange(block.width)
        pointers = np.arange(0, z.size + 1, block.width)
        blocks.append(sparse.csr_array((z.ravel(), places.ravel(), pointers), shape=(len(points), block.size)))
    return sparse.hstack(blocks, format="csr")


def _per_level(fit: Fit, matrices: list[Array]) -> Any:
    """(q, q) block-diagonal: the matrix of its factor for each level."""
    blocks = [sparse.csr_array((0, 0))]
    for block, matrix in zip(fit.criterion.layout.blocks, matrices, strict=True):
        blocks.append(sparse.kron(sparse.eye_array(block.levels), sparse.csr_array(matrix), format="csr"))
    return sparse.block_diag(blocks, format="csc")


def _inverse(root: Array) -> Array:
    """(k, k) inverse of root root'."""
    inverse = np.linalg.solve(root, np.eye(len(root)))
    return inverse.T @ inverse


def _names(fit: Fit) -> tuple[str | tuple[str, Any, str], ...]:
    effects = [(factor.name, level, name) for factor in factors(fit) for level in factor.levels for name in factor.names]
    return (*fit.params.index, *effects)
