"""All pieces of one grouping factor in one compiled call: microseconds for few levels, tens of nanoseconds a level for many."""

from __future__ import annotations

import numpy as np

from ranef.core.kernels.jit import jit
from ranef.core.kernels.sums import Array, Index

STRETCH = 64  # levels at a time, so that what is computed of them stays in the cache

@jit
def pattern_factors(lower: Array, count: Array, lam: Array) -> tuple[float, bool, Array, Array, Array]:
    """log|V|, whether all K are positive definite, and per pattern K = L L': L^-1, L_C K^-1 and M = L_C K^-1 L_C'."""
    U, k, _ = lower.shape
    inner, outer, M = np.zeros((U, k, k)), np.zeros((U, k, k)), np.zeros((U, k, k))
    half, K, back = np.empty((k, k)), np.empty((k, k)), np.empty((k, k))
    logdet = 0.0
    for u in range(U):
        for a in range(k):
            for b in range(k):
                total = 0.0
                for l in range(k):
                    total += lam[l, a] * lower[u, l, b]
                half[a, b] = total
        for a in range(k):
            for b in range(a + 1):
                total = 1.0 if a == b else 0.0
                for l in range(k):
                    total += half[l, a] * half[l, b]
                K[a, b] = total
        product = 1.0
        for a in range(k):
            for b in range(a + 1):
                total = K[a, b]
                for l in range(b):
                    total -= K[a, l] * K[b, l]
                if a == b:
                    if not total > 0.0:
                        return 0.0, False, inner, outer, M
                    K[a, a] = np.sqrt(total)
                    product *= K[a, a]
                else:
                    K[a, b] = total / K[b, b]
        logdet += 2.0 * count[u] * np.log(product)
        for b in range(k):
            for a in range(b, k):
                total = 1.0 if a == b else 0.0
                for l in range(b, a):
                    total -= K[a, l] * inner[u, l, b]
                inner[u, a, b] = total / K[a, a]
        for a in range(k):
            for b in range(k):
                total = 0.0
                for l in range(b + 1):
                    total += inner[u, b, l] * lower[u, a, l]
                back[a, b] = total
        for a in range(k):
            for b in range(k):
                total = 0.0
                for l in range(b, k):
                    total += back[a, l] * inner[u, l, b]
                outer[u, a, b] = total
            for b in range(a + 1):
                total = 0.0
                for l in range(k):
                    total += back[a, l] * back[b, l]
                M[u, a, b] = total
                M[u, b, a] = total
    return logdet, True, inner, outer, M


@jit
def level_products(out: Array, tiles: Array, pattern: Index, E: Array, first: int) -> None:
    """out[i] = tiles[pattern[j]] E[j] for the levels j = first + i."""
    rows, k, c = out.shape
    for i in range(rows):
        tile, own, to = tiles[pattern[first + i]], E[first + i], out[i]
        for a in range(k):
            for l in range(c):
                to[a, l] = tile[a, 0] * own[0, l]
            for b in range(1, k):
                value = tile[a, b]
                for l in range(c):
                    to[a, l] += value * own[b, l]


@jit
def add_square(out: Array, X: Array) -> None:
    """out += X'X on the lower triangle; four rows at a time."""
    n, p = X.shape
    whole = n - n % 4
    for i in range(0, whole, 4):
        for a in range(p):
            u, v, w, x = X[i, a], X[i + 1, a], X[i + 2, a], X[i + 3, a]
            for b in range(a + 1):
                out[a, b] += u * X[i, b] + v * X[i + 1, b] + w * X[i + 2, b] + x * X[i + 3, b]
    for i in range(whole, n):
        for a in range(p):
            for b in range(a + 1):
                out[a, b] += X[i, a] * X[i, b]


@jit
def level_square(inner: Array, pattern: Index, E: Array, rest: Array) -> Array:
    """W = W_0 + sum Y_j'Y_j with Y_j = L^-1 E_j."""
    G, k, c = E.shape
    W, Y = np.zeros((c, c)), np.empty((min(G, STRETCH), k, c))
    for first in range(0, G, STRETCH):
        part = Y[: min(STRETCH, G - first)]
        level_products(part, inner, pattern, E, first)
        add_square(W, part.reshape(-1, c))
    for a in range(c):
        for b in range(a + 1):
            W[b, a] = W[a, b]
    return W + rest


@jit
def rotate(out: Array, X: Array, rotation: Array) -> None:
    """out = X rotation, upper triangular."""
    n, c = X.shape
    for i in range(n):
        for l in range(c):
            out[i, l] = 0.0
        for b in range(c):
            value = X[i, b]
            for l in range(b, c):
                out[i, l] += value * rotation[b, l]


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
def add_inside(inside: Array, pattern: Index, B: Array, first: int) -> None:
    """inside[0, u] += B_x B_x', inside[1, u] += r r' on lower triangles, for the levels from `first` on."""
    rows, k, c = B.shape
    for i in range(rows):
        u, own = pattern[first + i], B[i]
        for a in range(k):
            for b in range(a + 1):
                total = 0.0
                for l in range(c - 1):
                    total += own[a, l] * own[b, l]
                inside[0, u, a, b] += total
                inside[1, u, a, b] += own[a, c - 1] * own[b, c - 1]


@jit
def backward(outer: Array, pattern: Index, E: Array, rotation: Array, inside: Array) -> Array:
    """(kc, kc) sums over levels of vec(B_j)vec(B_j)', on the lower triangle; B_j = L_C K^-1 E_j rotation."""
    G, k, c = E.shape
    squares, Y, B = np.zeros((k * c, k * c)), np.empty((min(G, STRETCH), k, c)), np.empty((min(G, STRETCH), k, c))
    for first in range(0, G, STRETCH):
        rows = min(STRETCH, G - first)
        level_products(Y[:rows], outer, pattern, E, first)
        rotate(B[:rows].reshape(-1, c), Y[:rows].reshape(-1, c), rotation)
        add_square(squares, B[:rows].reshape(-1, k * c))
        if inside.shape[1]:
            add_inside(inside, pattern, B[:rows], first)
    return squares


@jit
def second_sums(M: Array, count: Array, inside: Array) -> Array:
    """(3, k, k, k, k) sums over levels of M[b, c] times M, B_x B_x' and r r' [a, d]."""
    U, k, _ = M.shape
    out = np.zeros((3, k, k, k, k))
    for u in range(U):
        for a in range(k):
            for b in range(a + 1):
                value = M[u, a, b]
                weighted = count[u] * value
                for c in range(k):
                    for d in range(c + 1):
                        out[0, a, b, c, d] += weighted * M[u, c, d]
                        out[1, a, b, c, d] += value * inside[0, u, c, d]
                        out[2, a, b, c, d] += value * inside[1, u, c, d]
    for a in range(k):
        for b in range(k):
            for c in range(k):
                for d in range(k):
                    for s in range(3):
                        out[s, a, b, c, d] = out[s, max(a, b), min(a, b), max(c, d), min(c, d)]
    return out


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
    logdet, good, inner, outer, M = pattern_factors(lower, count, lam)
    if not good:
        return 1, 0.0, rest, t, 0.0, 0.0, t, F, second
    fine, L, gamma, pwrss, logdet_x, rotation = least_squares(level_square(inner, pattern, E, rest))
    if not fine:
        return 2, 0.0, rest, t, 0.0, 0.0, t, F, second
    if order == 0:
        return 0, logdet, L, gamma, pwrss, logdet_x, t, F, second
    inside = np.zeros((2, len(count) if order >= 2 else 0, k, k))
    squares = backward(outer, pattern, E, rotation, inside)
    for d in range(K):
        p, q = max(a[d], b[d]), min(a[d], b[d])
        total = 0.0
        for u in range(len(count)):
            total += count[u] * M[u, p, q]
        t[d] = total if p == q else 2.0 * total
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
        second = direction_tables(second_sums(M, count, inside), a, b)
    return 0, logdet, L, gamma, pwrss, logdet_x, t, F, second
