"""What layouts cost on several chips beyond what they cost on one: bytes over links, and waiting.

In: a problem, columns of candidates (`candidates.py`), the machine. Out: cycles to be added, a
column; nothing on one chip. Tiles of a chip are neighbours, and blocks lie on neighbours along the
inner dimension, then the outer, then k: so a chip has a stretch of the grid, of which each block
that it needs comes over its links once, and what lies on it already does not come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from tilewright.machine.machine import Machine

if TYPE_CHECKING:
    from tilewright.plan.candidates import Problem


@dataclass(frozen=True)
class Grid:
    """Parts of each dimension, whether neighbours differ in n, turns; bytes of each operand's
    block, of a block of results, and what on-chip exchanges of operands, of parts of sums and of
    results take, in cycles."""

    parts: Mapping[str, np.ndarray]
    n_inner: np.ndarray
    serial: np.ndarray
    brought: Sequence[np.ndarray]
    out: np.ndarray
    cycles: tuple[np.ndarray, np.ndarray, np.ndarray]


def over_links(problem: Problem, grid: Grid, machine: Machine) -> np.ndarray:
    """Cycles by which exchanges between chips take longer than those on a chip."""
    if machine.chips == 1:
        return np.zeros(grid.serial.shape)
    chip, parts = machine.chip, grid.parts
    tiles = parts["m"] * parts["n"] * parts["k"]
    chips = np.ceil(tiles / chip.tiles)
    once = np.zeros(grid.serial.shape)
    for number, side in enumerate(problem.sides):
        fixed = bool(problem.fixed) and problem.fixed[number]
        turns = np.where("n" in side, grid.serial, 1)
        turns = np.where(fixed & (turns == 1), 0, turns)  # brought before the loop around it
        once = once + turns * _needed(problem, grid, side, grid.brought[number], machine)
    same = np.clip(chip.tiles / (parts["m"] * parts["n"]), 1, parts["k"])
    gathered = grid.out * (1 - same / parts["k"]) * np.minimum(tiles, chip.tiles)
    results = problem.item * problem.m * problem.n / chips
    moved = results * (1 - _overlap(problem, grid, "mn", machine))
    found = np.zeros(grid.serial.shape)
    rounds = (once, grid.serial * gathered, moved)
    for size, cycles in zip(rounds, grid.cycles, strict=True):
        crosses = size > 0
        longer = np.maximum(size / link_rate(machine) - cycles, 0.0)
        found = found + np.where(crosses, longer + grid.serial * begun(machine), 0.0)
    return found


def link_rate(machine: Machine) -> float:
    """Bytes a cycle into a chip, or out of it."""
    exchange = machine.chip.exchange
    a_second = exchange.bytes_per_second_between_chips * exchange.link_efficiency
    return a_second / machine.chip.clock or 1.0


def begun(machine: Machine) -> float:
    """Cycles of an exchange between chips, and of their sync, beyond those of one chip."""
    exchange, chip = machine.chip.exchange, machine.chip
    more = max(exchange.overhead_between_chips - exchange.overhead_cycles, 0)
    waiting = max(machine.sync_cycles_between_chips - chip.sync_cycles, 0)
    return more + waiting + exchange.seconds_per_hop * chip.clock


def _needed(
    problem: Problem, grid: Grid, side: str, block: np.ndarray, machine: Machine
) -> np.ndarray:
    """Bytes of an operand that come to a chip from others, in a turn."""
    chip, parts = machine.chip.tiles, grid.parts
    inner = np.where(grid.n_inner, parts["n"], parts["m"])
    whole = parts["m"] * parts["n"]
    along = {
        "inner": np.minimum(inner, chip),
        "outer": np.minimum(whole / inner, np.ceil(chip / inner)),
        "k": np.minimum(parts["k"], np.ceil(chip / whole)),
    }
    distinct = np.ones(block.shape)
    for name in side:
        if name == "k":
            distinct = distinct * along["k"]
        else:
            is_inner = grid.n_inner if name == "n" else ~grid.n_inner
            distinct = distinct * np.where(is_inner, along["inner"], along["outer"])
    every = problem.item * prod(problem.sizes[name] for name in side)
    size = np.minimum(block * distinct, every / (grid.serial if "n" in side else 1))
    return size * (1 - _overlap(problem, grid, side, machine))


def _overlap(problem: Problem, grid: Grid, side: str, machine: Machine) -> np.ndarray:
    """Of the rows that a chip has to do with, the part that is at home on it: all lie in the order
    of the tiles. The least of three chips, the first, one in the middle, and the last."""
    chip, chips, parts = machine.chip.tiles, machine.chips, grid.parts
    tiles = parts["m"] * parts["n"] * parts["k"]
    first = side[0]
    if first == "k":
        return np.full(tiles.shape, 1 / chips)
    outer = grid.n_inner if first == "m" else ~grid.n_inner
    beside = np.where(outer, parts["n" if first == "m" else "m"], 1)
    used, least = np.ceil(tiles / chip), np.ones(tiles.shape)
    for which in (0.0, np.floor((used - 1) / 2), used - 1):
        low, high = which * chip, np.minimum((which + 1) * chip, tiles)
        begin, end = np.floor(low / beside), np.ceil(high / beside)
        whole = ~outer & (high - low >= parts[first])  # a chip has all of the inner dimension
        begin = np.where(whole, 0.0, begin % parts[first]) / parts[first]
        end = np.where(whole, 1.0, np.minimum(begin + (high - low) / beside / parts[first], 1.0))
        end = np.where(outer, np.minimum(np.ceil(high / beside) / parts[first], 1.0), end)
        common = np.minimum(end, (which + 1) / chips) - np.maximum(begin, which / chips)
        least = np.minimum(least, np.maximum(common, 0.0) / np.maximum(end - begin, 1e-9))
    return np.where(parts["k"] == 1, least, 1 / chips)
