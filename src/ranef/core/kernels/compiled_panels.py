"""Compiled twins of `panels`: products level by level with a dense matrix, touching only its entries at pairs of neighbours.

The dense matrix is visited tile by tile, so that the tile stays in the cache while all levels add to it.
"""

from __future__ import annotations

import numpy as np

from ranef.core.kernels.jit import jit
from ranef.core.kernels.panels import Array, Index

TILE = 512


@jit
def tile_edges(starts: Index, columns: Index, tiles: int) -> Index:
    """(m, tiles + 1) the first entry of each level in each stretch of TILE columns."""
    levels = len(starts) - 1
    edges = np.empty((levels, tiles + 1), dtype=np.intp)
    for j in range(levels):
        i = starts[j]
        for tile in range(tiles):
            while i < starts[j + 1] and columns[i] < tile * TILE:
                i += 1
            edges[j, tile] = i
        edges[j, tiles] = starts[j + 1]
    return edges


@jit
def rotate(values: Array, row: Index, factors: Array) -> Array:
    k, out = values.shape[1], np.empty(values.shape)
    for i in range(len(values)):
        factor = factors[row[i]]
        for b in range(k):
            total = 0.0
            for a in range(k):
                total += values[i, a] * factor[a, b]
            out[i, b] = total
    return out


@jit
def subtract_square(out: Array, starts: Index, columns: Index, values: Array) -> None:
    k, tiles = values.shape[1], (out.shape[0] + TILE - 1) // TILE
    edges = tile_edges(starts, columns, tiles)
    for upper in range(tiles):
        for left in range(upper + 1):
            for j in range(len(starts) - 1):
                first, last = edges[j, left], edges[j, left + 1]
                if first == last:
                    continue
                for i in range(edges[j, upper], edges[j, upper + 1]):
                    row, stop = out[columns[i]], min(last, i + 1)
                    for a in range(0, k - 1, 2):
                        one, two = values[i, a], values[i, a + 1]
                        for l in range(first, stop):
                            row[columns[l]] -= one * values[l, a] + two * values[l, a + 1]
                    if k % 2:
                        one = values[i, k - 1]
                        for l in range(first, stop):
                            row[columns[l]] -= one * values[l, k - 1]


@jit
def gather(symmetric: Array, starts: Index, columns: Index, values: Array) -> Array:
    k, tiles = values.shape[1], (symmetric.shape[0] + TILE - 1) // TILE
    edges = tile_edges(starts, columns, tiles)
    out = np.zeros(values.shape)
    for upper in range(tiles):
        for left in range(upper + 1):
            for j in range(len(starts) - 1):
                first, last = edges[j, left], edges[j, left + 1]
                if first == last:
                    continue
                for i in range(edges[j, upper], edges[j, upper + 1]):
                    row, stop = symmetric[columns[i]], min(last, i)
                    if k == 1:
                        value, total = values[i, 0], 0.0
                        for l in range(first, stop):
                            s = row[columns[l]]
                            out[l, 0] += s * value
                            total += s * values[l, 0]
                        out[i, 0] += total
                    else:
                        for l in range(first, stop):
                            s = row[columns[l]]
                            for a in range(k):
                                out[l, a] += s * values[i, a]
                                out[i, a] += s * values[l, a]
                    if upper == left:
                        s = row[columns[i]]
                        for a in range(k):
                            out[i, a] += s * values[i, a]
    return out
