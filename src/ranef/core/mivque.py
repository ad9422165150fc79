"""Starting values for many levels: MIVQUE0, the moments of the residuals of ordinary least squares. One pass over the Gram blocks.

With e = y - X gamma, E e'V_d e = sum_e omega_e tr V_d V_e + sigma^2 tr V_d for each direction d (V_0 = I for sigma^2), but for
what gamma takes: K + 1 linear equations.

docs/explanation/likelihood.md, eq. 29. Rao (1971), J. Multivariate Anal. 1, 445-456; Hartley, Rao and LaMotte (1978), Biometrics
34, 233-242.
"""

from __future__ import annotations

import numpy as np

from ranef.core.gram import Gram
from ranef.core.moments import direction_traces, level_products
from ranef.core.pieces import direction_forms, direction_products
from ranef.covariance.base import Array

SMALLEST = 0.05  # of the average relative standard deviation: what the guess keeps from the boundary


def mivque_start(gram: Gram) -> Array:
    """theta of the moment estimates, away from the boundary."""
    layout, r = gram.layout, gram.rank
    gamma = gram.ww[:r, r]
    turn = np.append(-gamma, 1.0)[:, None]
    products = {(f, f): level_products(z.reshape(len(z), 1, -1))[0, 0] for f, z in enumerate(gram.zz)}
    products |= {key: level_products(pair.values.reshape(len(pair.rows), 1, -1))[0, 0] for key, pair in gram.pairs.items()}
    widths = [block.width for block in layout.blocks]
    tables = {(f, g): table.reshape(widths[f], widths[g], widths[f], widths[g]) for (f, g), table in products.items()}
    traces = direction_traces(layout, {f: z.sum(axis=0) for f, z in enumerate(gram.zz)})
    A = np.block([[direction_products(layout, tables), traces[:, None]], [traces, np.full((1, 1), gram.nobs)]])
    squares = direction_forms(layout, [level_products(zw @ turn) for zw in gram.zw])[:, 0, 0]
    left = float(turn[:, 0] @ gram.ww @ turn[:, 0])
    found = np.linalg.lstsq(A, np.append(squares, left), rcond=1e-10)[0]
    sigma2 = max(found[-1], 0.05 * left / gram.nobs)
    return _inside(gram, found[:-1] / sigma2)


def _inside(gram: Gram, omega: Array) -> Array:
    """theta of the nearest covariances whose standard deviations are not near zero."""
    layout, at = gram.layout, 0
    out = np.empty(layout.size)
    for f, part in layout.parts:
        k = part.covariance.k
        rows, columns = np.nonzero(np.tril(part.covariance.support()))
        full = np.zeros((k, k))
        full[rows, columns] = omega[at : at + len(rows)]
        at += len(rows)
        values, vectors = np.linalg.eigh(np.tril(full) + np.tril(full, -1).T)
        least = layout.blocks[f].levels / gram.nobs
        out[part.theta] = part.covariance.of_factor(vectors * np.sqrt(np.clip(values, least, None)))
    return out
