"""Packing and products of what is packed, as vertices: on all ways to run, alone and dealt out."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from ml_dtypes import bfloat16

import tilewright
from tests.agree import agree
from tests.graph.same import ops
from tests.machines import STATED, eager
from tests.plan.test_epilogues import names
from tilewright.graph.ir import Builder, Type
from tilewright.machine.host import host_machine
from tilewright.plan.ir import Loop, Spread
from tilewright.plan.lower import lower
from tilewright.plan.scope import FAR
from tilewright.plan.text import program_to_text


def array(*shape, seed=0):
    return (np.random.default_rng(seed).normal(size=shape) / shape[0] ** 0.5).astype(np.float32)


def repeated(function):
    """(h, w, ...) -> the state after eight trips of h' = function(h, w, ...)."""

    def run(h, *fixed):
        return lax.fori_loop(0, 8, lambda _, h: function(h, *fixed), h)

    return run


@pytest.mark.parametrize(
    ("rows", "terms", "columns"),
    [(5, 48, 90), (1, 64, 64), (40, 128, 200), (300, 64, 80)],  # the latter two are dealt out
)
@pytest.mark.parametrize("turned", [False, True])
def test_on_all_ways_to_run(rows, terms, columns, turned, monkeypatch):
    monkeypatch.setattr("tilewright.graph.share_ways.Ways.gain", 1.0)  # all tiles do each trip
    h, w, v = array(rows, terms), array(terms, columns, seed=1), array(columns, terms, seed=2)
    w = w.T.copy() if turned else w

    def step(h, w, v):
        return ((h @ (w.T if turned else w)) * 0.5 + 0.25) @ v

    function = repeated(step)
    agree(function, h, w, v, absolute=1e-4)
    program = tilewright.compile(function, h, w, v).compiled
    inside = [op for node in program.graph.nodes for body in node.bodies for op in ops(body)]
    assert inside.count("dot_packed") == 2
    loop = next(
        s for s in program.program.steps if isinstance(s, Loop) and "panels" in str(s.steps)
    )
    assert any(isinstance(step, Spread) for step in loop.steps) == (rows * terms * columns > 1e6)


def test_what_follows_is_taken_before_the_store():
    h, w, b = array(3, 90), array(90, 90, seed=1), array(90, seed=2)
    text = names(repeated(lambda h, w, b: jnp.maximum(h @ w + b, 0) - h), h, w, b)
    assert text.count("contract_panels_float32_3x90x90_add_max_sub") == 1


@pytest.mark.parametrize("turned", [False, True])
def test_strided_results(turned):
    """The packed operand on the left: what the product gives lies across."""
    w, h = array(80, 80), array(80, 5, seed=1)

    def step(h, w):
        return jnp.tanh((w.T if turned else w) @ h * 0.5 + h)

    function = repeated(step)
    agree(function, h, w, exact=False, absolute=1e-4)
    graph = tilewright.compile(function, h, w).compiled.graph
    assert "dot_packed" in [op for node in graph.nodes for body in node.bodies for op in ops(body)]


@pytest.mark.parametrize("turned", [False, True])
def test_packing_is_dealt_out(monkeypatch, turned):
    """Where barriers take no time: each tile its own panels, whichever way the matrix lies."""
    monkeypatch.setattr("tilewright.compiler.host_machine", eager)
    h, w = array(2, 64), array(64, 200, seed=1)
    w = w.T.copy() if turned else w
    function = repeated(lambda h, w: (h @ (w.T if turned else w))[:, :64])
    agree(function, h, w, absolute=1e-4)
    steps = tilewright.compile(function, h, w).compiled.program.steps
    assert isinstance(steps[0], Spread)
    assert steps[0].count == 200 // 16


@pytest.mark.parametrize(("rows", "terms"), [(1, 97), (3, 128), (40, 96)])
def test_what_a_product_widens_is_packed_as_narrow_as_it_was(rows, terms):
    """bfloat16 weights of float32 rows; the last pair of k may lack its second."""
    h, w = array(rows, terms), array(terms, terms, seed=1).astype(bfloat16)
    function = repeated(lambda h, w: (h @ w) * 0.5 + 0.25)
    agree(function, h, w, absolute=1e-4)
    narrow = tilewright.compile(function, h, w)
    assert f"bfloat16[{-(-terms // 16)},{-(-terms // 2)},16,2] = pack" in narrow.graph
    wide = w.astype(np.float32)
    assert narrow(h, w).tobytes() == tilewright.compile(function, h, wide)(h, wide).tobytes()


@pytest.mark.parametrize(("rows", "terms"), [(1, 97), (3, 128), (40, 96)])
@pytest.mark.parametrize("dtype", ["int16", "int8"])
def test_integers_stay_narrow_on_both_sides(rows, terms, dtype):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    h = np.random.default_rng(0).integers(low, high, (rows, terms), dtype, endpoint=True)
    w = np.random.default_rng(1).integers(-128, 127, (terms, terms), np.int8, endpoint=True)

    def step(h, w):
        contracted = (((1,), (0,)), ((), ()))
        sums = lax.dot_general(h, w, contracted, preferred_element_type=jnp.int32)
        return lax.shift_right_arithmetic(sums, 8).astype(dtype)

    function = repeated(step)
    agree(function, h, w)
    graph = tilewright.compile(function, h, w).graph
    assert "int8[" in graph.split("= pack")[0].splitlines()[-1]
    bytes_ = any(unit.operands == ("uint8", "int8") for unit in host_machine().tile.units)
    assert ("uint16[" in graph) == (bytes_ and dtype == "int16" and rows <= 4)


def test_other_integers_are_not_packed():
    w = np.ones((96, 96), np.int32)

    def step(h, w):
        contracted = (((1,), (0,)), ((), ()))
        return lax.dot_general(h, w, contracted, preferred_element_type=jnp.int32)

    assert "= pack" not in tilewright.compile(repeated(step), w[:2], w).graph


@pytest.mark.parametrize("kind", ["int8", "float32"])
@pytest.mark.parametrize("share", [0.3, 0.5])
def test_bytes_that_are_far_are_read_line_by_line(kind, share):
    """Where all panels together are more than their share of the last cache."""
    panels = Type(kind, (4, 32, 16, 2 if kind == "int8" else 1))
    builder = Builder([Type("int16" if kind == "int8" else kind, (1, 32)), panels])
    sums = {"dtype": "int32"} if kind == "int8" else {}
    product = builder.op("dot_packed", *builder.inputs, columns=64, **sums)
    *caches, memory = STATED.tile.memories
    last = replace(caches[-1], size=int(panels.nbytes / share))
    tile = replace(STATED.tile, memories=(*caches[:-1], last, memory))
    machine = replace(STATED, chip=replace(STATED.chip, tile=tile))
    program, _ = lower(builder.graph([product]), machine)
    assert ("_far" in program_to_text(program)) == (kind == "int8" and share > FAR)
