"""`agree`: one function run four ways, which must give the same arrays.

    JAX         the reference, within the tolerance that the caller states
    evaluate    the rewritten graph, in NumPy
    simulate    the program, in NumPy, on several tiles; it must be free of races
    native      machine code, on 1, 2, 3 and 5 tiles: always the same bits

Without transcendental functions (`exact`), evaluate, simulate and native agree to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import jax
import numpy as np

import tilewright
from tests.trace.comparing import words
from tilewright.graph.evaluate import evaluate
from tilewright.plan.synchronise import is_shared_work
from tilewright.simulate import simulate

TILES = (1, 2, 3, 5)


def agree(
    fn: Callable,
    *args: Any,
    exact: bool = True,
    relative: float = 0.0,
    absolute: float = 0.0,
    simulated: bool = True,
) -> None:
    """Compare all ways; `relative` and `absolute` are what JAX may differ by."""
    program = tilewright.compile(fn, *args, tiles=max(TILES))
    native = {tiles: leaves(of_workers(tiles, program)(*args)) for tiles in TILES}
    for tiles in TILES[1:]:
        same_bits(native[tiles], native[1], f"{tiles} tiles against one")
    compiled, image = program.compiled, program.image
    inputs = [words(leaf) for leaf in jax.tree.leaves(args)]
    literals = sum(buffer.space == "constant" for buffer in compiled.program.inputs)
    hidden = list(image.constants[literals:])
    means = evaluate(compiled.graph, [*hidden, *inputs])
    near = same_bits if exact else close
    near(native[1], means, "native against evaluate")
    if simulated:
        result = simulate(compiled.program, [*image.constants, *inputs], 3, seed=0)
        assert result.races == []
        flat = [
            array.reshape(mean.shape) for array, mean in zip(result.outputs, means, strict=True)
        ]
        same_bits(flat, means, "simulate against evaluate")
    expected = [words(leaf) for leaf in jax.tree.leaves(jax.jit(fn)(*args))]
    compare(native[1], expected, relative, absolute)


def on_tiles(tiles: int, fn: Callable, *args: Any) -> tilewright.Executable:
    """`fn` compiled for that many tiles, each a thread, whatever the number of CPUs."""
    return of_workers(tiles, tilewright.compile(fn, *args, tiles=tiles))


def of_workers(tiles: int, compiled: tilewright.Executable) -> tilewright.Executable:
    """The program on that many threads: no stage of compilation sees how many there are."""
    with mock.patch("tilewright.runtime.executable.default_workers", return_value=tiles):
        program = tilewright.Executable(compiled.compiled)
    steps = program.compiled.program.steps
    assert program.workers == (tiles if any(map(is_shared_work, steps)) else 1)
    return program


def leaves(tree: Any) -> list[np.ndarray]:
    return [words(leaf) for leaf in jax.tree.leaves(tree)]


def same_bits(ours: list[np.ndarray], theirs: list[np.ndarray], what: str) -> None:
    """Equal dtypes, shapes and bytes; any NaN equals any other."""
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), f"{what}, result {number}"
        if a.tobytes() != b.tobytes():
            np.testing.assert_array_equal(a, b, f"{what}, result {number}")


def close(ours: list[np.ndarray], theirs: list[np.ndarray], what: str) -> None:
    """Within a few units in the last place of the largest value."""
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a.dtype.kind not in "fV":
            np.testing.assert_array_equal(a, b, f"{what}, result {number}")
            continue
        epsilon = float(jax.numpy.finfo(a.dtype).eps)
        scale = float(np.max(np.abs(np.where(np.isfinite(b), b, 0)), initial=0))
        a, b = a.astype(np.float64), b.astype(np.float64)
        np.testing.assert_allclose(a, b, 64 * epsilon, 64 * epsilon * scale, err_msg=what)


def compare(
    ours: list[np.ndarray], theirs: list[np.ndarray], relative: float, absolute: float
) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        if a.dtype.kind in "fV":
            a, b = a.astype(np.float64), b.astype(np.float64)
            np.testing.assert_allclose(a, b, relative, absolute)
        else:
            np.testing.assert_array_equal(a, b)
