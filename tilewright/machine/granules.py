"""Products of matrices by a unit that takes whole granules of them, on a tile's threads.

In: sizes, numbers or arrays of them, one for each of many candidates; a tile. Out: cycles.

Products: Graphcore's own planner counts so (poplibs, lib/poplin/PerformanceEstimation.hpp, the 1x1
vertices): for each granule of weights, their loading at 16 bytes a cycle, and for each row as long
as the unit takes; the threads share the rows, and each begins with some 46 bundles, three rows'
work among them. A unit that takes several rows at once (a Tenstorrent tile of 32 by 32) is fed
whole granules of both operands, and takes as long for one that is not full.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tilewright.machine.machine import Tile, Unit

PASS, BEGIN, ROWS_BEGUN = 6, 46, 3
"""Bundles of a pass over the rows beside loading weights; of each thread before its fourth row, and
rows that those do."""
PRODUCT = 50
"""Bundles of a whole product."""
LANES = 16
"""Columns of a panel (`graph/law.py`)."""
Numbers = Any
"""A number, or an array with one for each of many candidates."""


def threaded(bundles: Numbers, units: Numbers, tile: Tile) -> Numbers:
    """Cycles of bundles that the threads share out as whole units."""
    units = np.maximum(1.0, units)
    longest = np.ceil(units / tile.threads) / units
    return bundles * longest * tile.threads


def matrix_unit(tile: Tile, dtype: str) -> Unit | None:
    """The unit that takes whole granules of a dtype, if there is one."""
    units = [u for u in tile.units if u.operands[0] == dtype and prod(u.shape) > 1]
    return max(units, key=lambda unit: unit.macs, default=None)


def takes_blocks(unit: Unit) -> bool:
    """Whether a granule has several rows, so that single ones go through it as well."""
    return unit.shape[0] > 1


def product(m: Numbers, n: Numbers, k: Numbers, tile: Tile, unit: Unit, dtype: str) -> Numbers:
    """Cycles of (m, k) times (k, n) on one tile, whichever operand is better as the weights."""
    if takes_blocks(unit):
        high, wide, deep = unit.shape
        granules = np.ceil(m / high) * np.ceil(n / wide) * np.ceil(k / deep)
        return tile.call + granules / unit.rate
    turned = _product(n, m, k, tile, unit, dtype)
    return np.minimum(_product(m, n, k, tile, unit, dtype), turned)


def convolution(
    pixels: Numbers, outputs: Numbers, channels: Numbers, taps: int, tile: Tile, unit: Unit,
    dtype: str,
) -> Numbers:  # fmt: skip
    """Cycles of a group: each tap is a product of (pixels, channels) and (channels, outputs)."""
    if takes_blocks(unit):
        return product(pixels, outputs, channels * taps, tile, unit, dtype)
    return PRODUCT + taps * (_product(pixels, outputs, channels, tile, unit, dtype) - PRODUCT)


def kept(
    rows: Numbers, count: Numbers, tall: int, tile: Tile, unit: Unit, dtype: str
) -> Numbers:  # fmt: skip
    """Cycles of rows times so many blocks of `tall` by 16: those of whole granules, where a granule
    is larger (see `squares`)."""
    if takes_blocks(unit):
        high, wide, deep = unit.shape
        granules = np.ceil(rows / high) * np.ceil(count * tall * LANES / (wide * deep))
        return tile.call + granules / unit.rate
    return PRODUCT + count * (_product(rows, LANES, tall, tile, unit, dtype) - PRODUCT)


def sampled(
    counts: Sequence[int], tall: int, terms: int, tile: Tile, unit: Unit, dtype: str
) -> Numbers:
    """Cycles of sums of so many terms for so many blocks of `tall` by 16 in each panel: those of
    whole granules, where a granule is larger. Else rows of a panel stream by its terms, block after
    block, as if they were one below the other."""
    if takes_blocks(unit):
        return kept(terms, sum(counts), tall, tile, unit, dtype)
    rows = np.array([count for count in counts if count]) * tall
    return PRODUCT + np.sum(_product(rows, LANES, terms, tile, unit, dtype) - PRODUCT)


def beside(tile: Tile, dtype: str) -> int:
    """Panels of 16 columns that a granule takes side by side."""
    unit = matrix_unit(tile, dtype)
    return -(-unit.shape[1] // LANES) if unit is not None and takes_blocks(unit) else 1


def squares(lines: np.ndarray, tile: Tile, dtype: str) -> np.ndarray:
    """Of lines (panels, k) that may differ from zero, all that lie in a granule with one that does:
    what a unit multiplies that takes whole granules. Of other units, the same lines."""
    unit = matrix_unit(tile, dtype)
    if unit is None or not takes_blocks(unit):
        return lines
    several, deep = beside(tile, dtype), unit.shape[2]
    panels, k = lines.shape
    padded = np.zeros((-(-panels // several) * several, -(-k // deep) * deep), bool)
    padded[:panels, :k] = lines
    shape = (padded.shape[0] // several, several, padded.shape[1] // deep, deep)
    there = np.any(padded.reshape(shape), (1, 3), keepdims=True)
    return np.broadcast_to(there, shape).reshape(padded.shape)[:panels, :k]


def _product(
    rows: Numbers, columns: Numbers, k: Numbers, tile: Tile, unit: Unit, dtype: str
) -> Numbers:
    """Rows stream past granules of (k, columns)."""
    _, wide, deep = unit.shape
    size = 2 if dtype in ("float16", "bfloat16") else 4
    passes = np.ceil(columns / wide) * np.ceil(k / deep)
    load = wide * deep * size / (tile.memories[0].read or 16)
    each = np.ceil(rows / tile.threads)
    thread = BEGIN + np.maximum(0, each - ROWS_BEGUN) / unit.rate
    return PRODUCT + passes * (PASS + load + tile.threads * thread)
