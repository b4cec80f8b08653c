"""Nets on tiles whose barriers take no time: all that can be dealt out is, and no bit changes.

A window, a stream and a window that slides, each as one program with what it is bound to.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import pytest

from tests.agree import TILES, same_bits
from tests.machines import eager
from tests.sequence.streams import model, ticks
from tests.simulate.test_agree import syncs
from tilewright import Executable
from tilewright.graph.evaluate import evaluate
from tilewright.sequence import Model
from tilewright.simulate import simulate

STEPS = 4
WAYS: dict[str, Callable[[Model, str], Any]] = {
    "window": lambda net, precision: net.window(2, STEPS, precision=precision, tiles=max(TILES)),
    "stream": lambda net, precision: net.stream(5, precision=precision, tiles=max(TILES)),
    "slide": lambda net, precision: net.slide(3, precision=precision, tiles=max(TILES)),
}


@pytest.fixture(autouse=True)
def everything_is_dealt_out(monkeypatch):
    """Also the rows of a batch, which shares of rows would keep on a tile."""
    monkeypatch.setattr("tilewright.compiler.host_machine", eager)
    monkeypatch.setattr("tilewright.graph.share_ways.Ways.gain", 1.0)


def on(tiles: int, way: str, precision: str) -> Any:
    """With a thread each, whatever the number of CPUs."""
    with mock.patch("tilewright.runtime.executable.default_workers", return_value=tiles):
        return WAYS[way](model("packed"), precision)


def answers(running: Any, way: str) -> list[np.ndarray]:
    if way == "window":
        return [running(np.swapaxes(ticks(STEPS, 2), 0, 1).copy())]
    found = []
    for x in ticks(STEPS, running.streams):
        found.append(np.array(running.answer(x)))
        running.prepare()
    return found


@pytest.mark.parametrize("precision", ["float32", "int8x8"])
@pytest.mark.parametrize("way", WAYS)
def test_bits_do_not_hang_on_the_number_of_tiles(way, precision):
    made = {tiles: on(tiles, way, precision) for tiles in TILES}
    programs = {n: one if way == "window" else one.program for n, one in made.items()}
    assert {n: program.workers for n, program in programs.items()} == {n: n for n in TILES}
    found = {tiles: answers(one, way) for tiles, one in made.items()}
    for tiles in TILES[1:]:
        same_bits(found[tiles], found[1], f"{tiles} tiles against one")


@pytest.mark.parametrize("precision", ["float32", "int8x8"])
@pytest.mark.parametrize("way", WAYS)
def test_simulated_it_is_the_graph_and_a_barrier_less_is_a_race(way, precision):
    """Not every barrier: a planner may be more careful than it need be."""
    running = on(3, way, precision)
    bound: Executable = running if way == "window" else running.program
    program, graph, rng = bound.compiled.program, bound.compiled.graph, np.random.default_rng(0)
    count = sum(buffer.space == "constant" for buffer in program.inputs)
    literals, hidden = bound.image.constants[:count], bound.image.constants[count:]
    given = [*hidden]
    for value in graph.inputs[len(hidden) :]:
        given.append(rng.normal(size=value.shape).astype(value.type.numpy))
    means = evaluate(graph, [np.array(array) for array in given])
    fresh = lambda: [np.array(array) for array in (*literals, *given)]  # noqa: E731
    for tiles in (2, 3, 5):
        ran = simulate(program, fresh(), tiles, seed=tiles)
        assert ran.races == []
        flat = [a.reshape(b.shape) for a, b in zip(ran.outputs, means, strict=True)]
        same_bits(flat, means, f"{tiles} tiles, simulated")
    lesser = (replace(program, steps=steps) for steps in syncs(program.steps))
    assert any(simulate(one, fresh(), 3).races for one in lesser)
