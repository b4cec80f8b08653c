"""Products of some blocks are written in the place of what they are added to, if it is free."""

import jax.numpy as jnp

import tilewright
from tests.agree import agree
from tests.graph.test_sampled import ROWS, K, N, array
from tests.machines import STATED
from tests.trace.test_blocks import case
from tilewright.codelets.contract import ContractSampled
from tilewright.dump import Dump
from tilewright.plan.summary import calls_of
from tilewright.stages import Stages
from tilewright.trace import trace

MASK, _ = case(K, N, 4, 0.3)
MOVED = "copy_float32", "transpose_float32"
X, Y = array(ROWS, K), array(ROWS, N)


def sampled(fn, *args):
    """The vertices of sampled products, and copies of floats."""
    program = Stages(trace(fn, *args).graph, Dump("test"), machine=STATED).program
    calls = [call for call, _ in calls_of(program.steps)]
    copies = [call for call in calls if call.codelet.name.startswith(MOVED)]
    return [call for call in calls if isinstance(call.codelet, ContractSampled)], copies


def test_what_is_the_callers_is_copied_first():
    def fn(w, x, y):
        return tilewright.blocks(w + x.T @ y, MASK)

    args = array(K, N), X, Y
    (call,), copies = sampled(fn, *args)
    assert call.views[-1].buffer.space != "input"
    assert len(copies) == 1
    agree(fn, *args, absolute=1e-5)


def test_what_a_vertex_made_is_added_to():
    def fn(w, x, y):
        return tilewright.blocks(jnp.sqrt(w) + x.T @ y, MASK)

    args = abs(array(K, N)), X, Y
    found, copies = sampled(fn, *args)
    assert len(found) == 1
    assert not copies
    agree(fn, *args, absolute=1e-5)


def test_what_lies_across_is_laid_in_lines():
    def fn(w, x, y):
        return tilewright.blocks(jnp.cumsum(w, 0).T + x.T @ y.T, MASK)

    args = array(N, K), X, array(N, ROWS)
    (call,), copies = sampled(fn, *args)
    assert all(call.views[i].strides[1] == 1 for i in (1, -1))
    assert copies
    agree(fn, *args, absolute=1e-5)
