"""Parts of a concatenation are computed in it; what is no vertex's own is copied."""

import re

import jax.numpy as jnp
import numpy as np

from tests.agree import agree
from tests.machines import STATED
from tilewright.codelets.contract import ContractOuter
from tilewright.dump import Dump
from tilewright.plan.ir import Call
from tilewright.plan.places import CACHE_LINE, CROWDED
from tilewright.plan.summary import calls_of
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
X, Y = (RANDOM.normal(size=(48, 256)).astype(np.float32) for _ in range(2))


def calls(fn, *args):
    program = Stages(trace(fn, *args).graph, Dump("test"), machine=STATED).program
    return [call for call, _ in calls_of(program.steps)]


def copies(found: list[Call]) -> int:
    return sum(bool(re.match("copy_", call.codelet.name)) for call in found)


def columns(x, y):
    """The gradient of gates: two parts side by side, whose rows a product sums, and columns too."""
    both = jnp.concatenate([x * y, x - y], axis=1)
    return x.T @ both, jnp.sum(both, axis=0)


def test_nothing_is_copied_of_what_vertices_make():
    assert not copies(calls(columns, X, Y))


def test_bits_stay():
    def side_by_side(x, y):
        made = x * y
        both = jnp.concatenate([made, x, made @ y.T, made[:, :3], y + x], axis=1)
        return jnp.sum(both * both), made

    def below(x, y):
        both = jnp.concatenate([x * y, x, (x * y) @ y.T, y + x], axis=0)
        return jnp.sum(both * both), jnp.cumsum(both, axis=0)

    for fn in (side_by_side, below):
        agree(fn, X[:, :48], Y[:, :48], relative=1e-4, absolute=1e-4)
    agree(columns, X, Y, relative=1e-4, absolute=1e-3)


def test_a_part_that_stands_there_twice_or_is_a_result_is_copied():
    def twice(x, y):
        made = x * y
        return jnp.cumsum(jnp.concatenate([made, made], axis=1), axis=0)

    def result(x, y):
        made = x * y
        return made, jnp.cumsum(jnp.concatenate([made, x - y], axis=1), axis=0)

    assert copies(calls(twice, X, Y)) == 2
    assert copies(calls(result, X, Y)) >= 1
    agree(twice, X, Y, relative=1e-4, absolute=1e-4)
    agree(result, X, Y, relative=1e-4, absolute=1e-4)


def test_lines_that_would_meet_in_few_sets_are_put_apart():
    (product,) = [c for c in calls(columns, X, Y) if isinstance(c.codelet, ContractOuter)]
    pitch = product.views[1].strides[0] * 4
    assert pitch > CROWDED
    assert pitch % CACHE_LINE == 0
    assert pitch % CROWDED
