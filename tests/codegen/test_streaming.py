"""Outputs are streamed of which every instance of the one map, and nobody else, writes a row."""

from typing import Any, cast

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tilewright.codegen.streaming import ring_buffers, streaming_map
from tilewright.plan.ir import Buffer, Call, Map, Program, Step, View, new_var
from tilewright.plan.views import whole

COUNT, ROW = 5, 4


def touch(*views: View) -> Call:
    """A vertex of which only the views matter here."""
    return Call(cast(Any, None), views)


def rings(*steps: Step) -> set[Buffer]:
    program = Program((), (), (), steps, {}, 0, 0)
    return ring_buffers(program, streaming_map(program))


@pytest.fixture
def output() -> Buffer:
    return Buffer("float32", COUNT * ROW, "output", 0)


def instances(output: Buffer, step: int | None = ROW, space: str = "tile") -> Map:
    var = new_var()
    moves = () if step is None else ((var, step),)
    row = View(output, (ROW,), (1,), 0, moves)
    return Map(var, COUNT, (touch(whole(Buffer("float32", ROW, space), (ROW,))), touch(row)))


def test_rows_of_instances_are(output):
    assert rings(instances(output)) == {output}


@pytest.mark.parametrize("step", [None, 1, 2 * ROW])
def test_what_is_no_row_of_an_instance_is_not(output, step):
    assert rings(instances(output, step)) == set()


def test_what_others_touch_is_not(output):
    rows = whole(output, (COUNT, ROW))
    assert rings(instances(output), touch(rows)) == set()
    assert rings(touch(rows), instances(output)) == set()


def test_two_maps_are_not(output):
    assert rings(instances(output), instances(output)) == set()


def test_programs_with_other_results_beside_the_rows():
    """What is not streamed is None until the end, and then as ever."""

    def square(x):
        return lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * x), (0, x))[1]

    def function(xs):
        rows = lax.map(square, xs)
        return rows, jnp.sort(rows, axis=0), xs + 1

    xs = np.arange(12, dtype=np.float32).reshape(4, 3)
    program = tilewright.compile(function, xs)
    run = program.start(xs)
    for ours, theirs in zip(run.result(10), program(xs), strict=True):
        np.testing.assert_array_equal(ours, theirs)
