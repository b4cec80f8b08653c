"""The limit of any plan: arithmetic or compulsory bytes, block by block."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.machines import STATED
from tilewright.compiler import compile
from tilewright.graph.ir import Builder, Graph, Type
from tilewright.machine.cost import home, lanes, mac_rate
from tilewright.report.limit import limit
from tilewright.trace import trace

RATE = mac_rate(STATED.tile, "float32")
X = np.zeros((64, 32), np.float32)
NARROW, WIDE = np.zeros((128, 32), np.float32), np.zeros((32, 128), np.float32)


def graph_of(fn, *arrays) -> Graph:
    return trace(fn, *arrays).graph


def chain(x, *matrices):
    for matrix in matrices:
        x = x @ matrix
    return x


def test_products_take_their_multiply_adds():
    found = limit(graph_of(chain, X, WIDE), STATED)
    (block,) = found.blocks
    assert block.arithmetic == pytest.approx(64 * 32 * 128 / RATE)
    assert found.seconds == pytest.approx(block.cycles / STATED.chip.clock)


def test_functions_take_what_was_measured_and_the_rest_the_peak():
    table = {name: cycles for name, dtype, cycles in STATED.tile.operations if dtype == "float32"}
    (block,) = limit(graph_of(lambda x: jnp.tanh(x) + 1.0, X), STATED).blocks
    functions = X.size * table["tanh"] / lanes(STATED.tile, "float32")
    assert block.arithmetic == pytest.approx(functions + X.size / (2 * RATE))


def test_a_block_ends_where_a_chain_is_narrow():
    """What is wide need not be in memory; what is narrow is left and read once more."""
    found = limit(graph_of(chain, X, WIDE, NARROW, WIDE, NARROW), STATED)
    assert len(found.blocks) == 2
    weights = 2 * (WIDE.nbytes + NARROW.nbytes)
    assert found.nbytes == weights + 4 * X.nbytes  # read, left, read, left


def test_what_is_read_around_a_chain_ends_no_block():
    def fn(x, wide, narrow):
        y = chain(x, wide, narrow)
        return chain(y, wide, narrow) + jnp.sin(x)

    def around(x, wide, narrow):
        y = jnp.sin(x)
        return chain(y, wide, narrow, wide, narrow) + y

    assert len(limit(graph_of(around, X, WIDE, NARROW), STATED).blocks) == 1
    assert limit(graph_of(fn, X, WIDE, NARROW), STATED).nbytes < 10 * X.nbytes


def test_what_is_read_twice_counts_once():
    once = limit(graph_of(chain, X, WIDE, NARROW), STATED)
    twice = limit(graph_of(lambda x, w, n: chain(x, w, n, w, n), X, WIDE, NARROW), STATED)
    assert twice.nbytes == once.nbytes + 2 * X.nbytes


def test_bytes_limit_what_computes_little():
    long = np.zeros(3_000_000, np.float32)
    found = limit(graph_of(lambda x: x + 1, long), STATED)
    assert found.waiting == 1
    rate = home(STATED.tile, 2 * long.nbytes).read
    assert found.blocks[0].cycles == pytest.approx(2 * long.nbytes / rate)


def test_a_map_has_its_bodys_blocks_and_reads_weights_once():
    count = 8
    builder = Builder([Type("float32", WIDE.shape), Type("float32", (count, *X.shape))])
    inside = Builder([Type("float32", WIDE.shape), Type("float32", X.shape)])
    order = {"contract": ((1,), (0,)), "batch": ((), ()), "dtype": "float32"}
    made = inside.op("dot", *inside.inputs[::-1], **order)
    kind = Type("float32", (count, *made.shape))
    (out,) = builder.add(
        "map", builder.inputs, [kind], bodies=[inside.graph([made])], consts=1, length=count
    )
    found = limit(builder.graph([out]), STATED)
    assert sum(b.arithmetic for b in found.blocks) == pytest.approx(count * 64 * 32 * 128 / RATE)
    assert found.nbytes == WIDE.nbytes + count * (X.nbytes + made.type.nbytes)


def test_tiles_share_the_work():
    graph = graph_of(chain, X, WIDE, NARROW)
    one, two = limit(graph, STATED, 1), limit(graph, STATED, 2)
    assert two.blocks[0].arithmetic == pytest.approx(one.blocks[0].arithmetic / 2)


def test_report_and_profile_say_it():
    executable = compile(jax.nn.silu, np.zeros((512, 512), np.float32), tiles=1)
    profile = executable.profile(np.zeros((512, 512), np.float32))
    assert profile.limit is not None
    assert profile.reached == profile.limit.seconds / profile.seconds
    assert str(profile.limit) in str(profile)
    said = next(note for note in executable.report().notes if "limit of any plan" in note)
    assert str(profile.limit) in said
    assert "planned" in said
