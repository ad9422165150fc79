"""All pieces of one grouping factor in one compiled call: microseconds for few levels, tens of nanoseconds a level for many."""

from __future__ import annotations

import numpy as np

from ranef.core.kernels.jit import jit
from ranef.core.kernels.sums import Array, Index

HUGE = 1e100
STRETCH = 64  # levels side by side, so that one instruction serves several of them and they stay in the cache


@jit
def load(out: Array, tiles: Array, places: Index, first: int) -> None:
    """out[a, b, i] = tiles[places[first + i], a, b], and zeros behind the last."""
    rows, columns, width = out.shape
    count = min(width, len(places) - first)
    for i in range(count):
        tile = tiles[places[first + i]]
        for a in range(rows):
            for b in range(columns):
                out[a, b, i] = tile[a, b]
    for a in range(rows):
        for b in range(columns):
            for i in range(count, width):
                out[a, b, i] = 0.0


@jit
def store(tiles: Array, values: Array, first: int) -> None:
    """tiles[first + i, a, b] = values[a, b, i]"""
    k = values.shape[0]
    for i in range(min(STRETCH, len(tiles) - first)):
        for a in range(k):
            for b in range(k):
                tiles[first + i, a, b] = values[a, b, i]


@jit
def multiply(out: Array, A: Array, B: Array) -> None:
    """out[:, :, i] = A[:, :, i] B[:, :, i] for a stretch of tiles."""
    for a in range(A.shape[0]):
        for l in range(B.shape[1]):
            to = out[a, l]
            to[:] = 0.0
            for b in range(A.shape[1]):
                left, right = A[a, b], B[b, l]
                for i in range(STRETCH):
                    to[i] += left[i] * right[i]


@jit
def multiply_transposed(out: Array, A: Array, B: Array) -> None:
    """out[:, :, i] = A[:, :, i] B[:, :, i]' for a stretch of tiles."""
    for a in range(A.shape[0]):
        for b in range(B.shape[0]):
            to = out[a, b]
            to[:] = 0.0
            for l in range(A.shape[1]):
                left, right = A[a, l], B[b, l]
                for i in range(STRETCH):
                    to[i] += left[i] * right[i]


@jit
def add_identity_square(out: Array, A: Array) -> None:
    """Lower triangles of I + A'A for a stretch of tiles."""
    for a in range(A.shape[1]):
        for b in range(a + 1):
            to = out[a, b]
            to[:] = 1.0 if a == b else 0.0
            for l in range(A.shape[0]):
                left, right = A[l, a], A[l, b]
                for i in range(STRETCH):
                    to[i] += left[i] * right[i]


@jit
def add_products(out: Array, A: Array, B: Array) -> None:
    """out[a, b] += sum over i and l of A[l, a, i] B[l, b, i], for b <= a."""
    for a in range(A.shape[1]):
        for b in range(a + 1):
            total = 0.0
            for l in range(A.shape[0]):
                left, right = A[l, a], B[l, b]
                for i in range(STRETCH):
                    total += left[i] * right[i]
            out[a, b] += total


@jit
def cholesky(K: Array) -> bool:
    """Lower factors in place of a stretch of K; whether all pivots are positive."""
    k, good = K.shape[0], True
    for b in range(k):
        for a in range(b, k):
            own, pivot = K[a, b], K[b, b]
            for l in range(b):
                left, right = K[a, l], K[b, l]
                for i in range(STRETCH):
                    own[i] -= left[i] * right[i]
            if a == b:
                least = 1.0
                for i in range(STRETCH):
                    least = own[i] if own[i] < least else least
                good = good and least > 0.0
                for i in range(STRETCH):
                    own[i] = np.sqrt(own[i])
            else:
                for i in range(STRETCH):
                    own[i] /= pivot[i]
    return good


@jit
def invert(out: Array, L: Array) -> None:
    """Inverses of a stretch of lower triangles."""
    k = L.shape[0]
    out[:] = 0.0
    for b in range(k):
        out[b, b, :] = 1.0 / L[b, b]
        for a in range(b + 1, k):
            own, pivot = out[a, b], L[a, a]
            for l in range(b, a):
                left, right = L[a, l], out[l, b]
                for i in range(STRETCH):
                    own[i] -= left[i] * right[i]
            for i in range(STRETCH):
                own[i] /= pivot[i]


@jit
def add_tables(out: Array, A: Array, B: Array) -> None:
    """out[a, b, c, d] += sum over i of A[a, b, i] B[c, d, i], for b <= a and d <= c."""
    k = A.shape[0]
    for a in range(k):
        for b in range(a + 1):
            left = A[a, b]
            for c in range(k):
                for d in range(c + 1):
                    right, total = B[c, d], 0.0
                    for i in range(STRETCH):
                        total += left[i] * right[i]
                    out[a, b, c, d] += total


@jit
def pattern_factors(lower: Array, count: Array, lam: Array, table: Array) -> tuple[float, bool, Array, Array, Array, Array]:
    """log|V|, whether all K are positive definite, per pattern K = L L': L^-1, L_C K^-1 and M = L_C K^-1 L_C', and the sum of M.

    Adds to the table (k, k, k, k), unless it is empty, the sum of M (x) M over levels.
    """
    U, k, _ = lower.shape
    inner, outer, M = np.empty((U, k, k)), np.empty((U, k, k)), np.empty((U, k, k))
    own, half, K = np.empty((k, k, STRETCH)), np.empty((k, k, STRETCH)), np.empty((k, k, STRETCH))
    inverse, back, product = np.empty((k, k, STRETCH)), np.empty((k, k, STRETCH)), np.empty((k, k, STRETCH))
    turned, every, logdet = np.empty((k, k, STRETCH)), np.arange(U), 0.0
    total, weights, weighted = np.zeros((k, k)), np.empty(STRETCH), np.empty((k, k, STRETCH))
    alone = 1.0  # the product of pivots of patterns with one level, so that a logarithm serves many
    for a in range(k):
        for b in range(k):
            turned[a, b, :] = lam[b, a]
    for first in range(0, U, STRETCH):
        load(own, lower, every, first)
        multiply(half, turned, own)
        add_identity_square(K, half)
        if not cholesky(K):
            return 0.0, False, inner, outer, M, total
        for i in range(min(STRETCH, U - first)):
            pivots = 1.0
            for a in range(k):
                pivots *= K[a, a, i]
            if count[first + i] == 1.0 and pivots < HUGE:
                alone *= pivots
                if alone > HUGE:
                    logdet += 2.0 * np.log(alone)
                    alone = 1.0
            else:
                logdet += 2.0 * count[first + i] * np.log(pivots)
        invert(inverse, K)
        store(inner, inverse, first)
        multiply_transposed(back, own, inverse)
        multiply(product, back, inverse)
        store(outer, product, first)
        multiply_transposed(product, back, back)
        store(M, product, first)
        weights[:] = 0.0
        weights[: min(STRETCH, U - first)] = count[first : first + STRETCH]
        for a in range(k):
            for b in range(a + 1):
                to, value, added = weighted[a, b], product[a, b], 0.0
                for i in range(STRETCH):
                    to[i] = weights[i] * value[i]
                    added += to[i]
                total[a, b] += added
        if len(table):
            add_tables(table, product, weighted)
    return logdet + 2.0 * np.log(alone), True, inner, outer, M, total


@jit
def level_square(inner: Array, pattern: Index, E: Array, rest: Array) -> Array:
    """W = W_0 + sum Y_j'Y_j with Y_j = L^-1 E_j."""
    G, k, c = E.shape
    W, every = np.zeros((c, c)), np.arange(G)
    tile, own, Y = np.empty((k, k, STRETCH)), np.empty((k, c, STRETCH)), np.empty((k, c, STRETCH))
    for first in range(0, G, STRETCH):
        load(tile, inner, pattern, first)
        load(own, E, every, first)
        multiply(Y, tile, own)
        add_products(W, Y, Y)
    for a in range(c):
        for b in range(a + 1):
            W[b, a] = W[a, b]
    return W + rest


@jit
def rotate(out: Array, X: Array, rotation: Array) -> None:
    """out[a, l] = sum over b of X[a, b] rotation[b, l], with an upper triangular rotation."""
    for a in range(X.shape[0]):
        for l in range(X.shape[1]):
            to = out[a, l]
            to[:] = 0.0
            for b in range(l + 1):
                own, value = X[a, b], rotation[b, l]
                for i in range(STRETCH):
                    to[i] += own[i] * value


@jit
def least_squares(W: Array) -> tuple[bool, Array, Array, float, float, Array]:
    """Whether X'V^-1X = L L', L, gamma, y'Py, log|X'V^-1X|, and the rotation [L^-T, -gamma; 0, 1]."""
    r = W.shape[0] - 1
    lower, gamma, rotation = np.zeros((r, r)), np.zeros(r), np.zeros((r + 1, r + 1))
    logdet, pwrss = 0.0, W[r, r]
    for a in range(r):
        for b in range(a + 1):
            total = W[a, b]
            for l in range(b):
                total -= lower[a, l] * lower[b, l]
            if a == b:
                if not total > 0.0:
                    return False, lower, gamma, 0.0, 0.0, rotation
                lower[a, a] = np.sqrt(total)
                logdet += 2.0 * np.log(lower[a, a])
            else:
                lower[a, b] = total / lower[b, b]
        total = W[a, r]
        for l in range(a):
            total -= lower[a, l] * gamma[l]
        gamma[a] = total / lower[a, a]
        pwrss -= gamma[a] * gamma[a]
    for b in range(r):
        for a in range(b, r):
            total = 1.0 if a == b else 0.0
            for l in range(b, a):
                total -= lower[a, l] * rotation[b, l]
            rotation[b, a] = total / lower[a, a]
    for a in range(r - 1, -1, -1):
        total = gamma[a]
        for l in range(a + 1, r):
            total -= lower[l, a] * gamma[l]
        gamma[a] = total / lower[a, a]
        rotation[a, r] = -gamma[a]
    rotation[r, r] = 1.0
    return True, lower, gamma, pwrss, logdet, rotation


@jit
def square_inside(fixed: Array, rest: Array, B: Array) -> None:
    """Lower triangles of B_x B_x' and r r' for a stretch of levels."""
    k, c, _ = B.shape
    for a in range(k):
        for b in range(a + 1):
            to = fixed[a, b]
            to[:] = 0.0
            for l in range(c - 1):
                left, right = B[a, l], B[b, l]
                for i in range(STRETCH):
                    to[i] += left[i] * right[i]
            rest[a, b, :] = B[a, c - 1] * B[b, c - 1]


@jit
def backward(outer: Array, M: Array, pattern: Index, E: Array, rotation: Array, tables: Array) -> Array:
    """(kc, kc) sums over levels of vec(B_j)vec(B_j)', on the lower triangle; B_j = L_C K^-1 E_j rotation.

    Adds to tables (2, k, k, k, k), unless they are empty, the sums of M (x) B_x B_x' and M (x) r r'.
    """
    G, k, c = E.shape
    squares, every = np.zeros((k * c, k * c)), np.arange(G)
    tile, fixed, rest = np.empty((k, k, STRETCH)), np.empty((k, k, STRETCH)), np.empty((k, k, STRETCH))
    own, Y, B = np.empty((k, c, STRETCH)), np.empty((k, c, STRETCH)), np.empty((k, c, STRETCH))
    for first in range(0, G, STRETCH):
        load(tile, outer, pattern, first)
        load(own, E, every, first)
        multiply(Y, tile, own)
        rotate(B, Y, rotation)
        flat = B.reshape(1, k * c, STRETCH)
        add_products(squares, flat, flat)
        if tables.shape[1]:
            load(tile, M, pattern, first)
            square_inside(fixed, rest, B)
            add_tables(tables[0], tile, fixed)
            add_tables(tables[1], tile, rest)
    return squares


@jit
def complete(tables: Array) -> None:
    """All entries of tables that are symmetric in the first two and in the last two places."""
    k = tables.shape[1]
    for s in range(len(tables)):
        for a in range(k):
            for b in range(k):
                for c in range(k):
                    for d in range(k):
                        tables[s, a, b, c, d] = tables[s, max(a, b), min(a, b), max(c, d), min(c, d)]


@jit
def direction_tables(tables: Array, a: Index, b: Index) -> Array:
    """(3, K, K) sums over the symmetric positions of both directions, as `pieces.direction_products` has them."""
    K = len(a)
    out = np.empty((3, K, K))
    for s in range(3):
        table = tables[s]
        for d in range(K):
            for e in range(K):
                p, q, v, w = a[d], b[d], a[e], b[e]
                half = (0.5 if p == q else 1.0) * (0.5 if v == w else 1.0)
                out[s, d, e] = half * (table[q, v, p, w] + table[q, w, p, v] + table[p, v, q, w] + table[p, w, q, v])
    return out


@jit
def pieces(
    lower: Array, count: Array, E: Array, pattern: Index, rest: Array, lam: Array, a: Index, b: Index, order: int
) -> tuple[int, float, Array, Array, float, float, Array, Array, Array]:
    """0 (or 1: K, 2: X'V^-1X is not positive definite), log|V|, L, gamma, y'Py, log|X'V^-1X|, t, F, and [h, e, y]."""
    k, c, K = E.shape[1], E.shape[2], len(a)
    t, F, second = np.empty(K), np.empty((K, c, c)), np.empty((3, 0, 0))
    size = k if order >= 2 else 0
    tables = np.zeros((3, size, size, size, size))
    logdet, good, inner, outer, M, total = pattern_factors(lower, count, lam, tables[0])
    if not good:
        return 1, 0.0, rest, t, 0.0, 0.0, t, F, second
    fine, L, gamma, pwrss, logdet_x, rotation = least_squares(level_square(inner, pattern, E, rest))
    if not fine:
        return 2, 0.0, rest, t, 0.0, 0.0, t, F, second
    if order == 0:
        return 0, logdet, L, gamma, pwrss, logdet_x, t, F, second
    squares = backward(outer, M, pattern, E, rotation, tables[1:])
    for d in range(K):
        p, q = max(a[d], b[d]), min(a[d], b[d])
        t[d] = total[p, q] if p == q else 2.0 * total[p, q]
        for i in range(c):
            for l in range(c):
                x, y = p * c + i, q * c + l
                F[d, i, l] = squares[max(x, y), min(x, y)]
        if p != q:
            for i in range(c):
                for l in range(i + 1):
                    value = F[d, i, l] + F[d, l, i]
                    F[d, i, l], F[d, l, i] = value, value
    if order >= 2:
        complete(tables)
        second = direction_tables(tables, a, b)
    return 0, logdet, L, gamma, pwrss, logdet_x, t, F, second
