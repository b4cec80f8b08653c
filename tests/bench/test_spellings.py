"""However a recurrent cell is spelled: the same bits, and the same products inside the loop."""

import jax
import numpy as np
import pytest

import tilewright
from tests.graph.same import ops
from tilewright.bench.spellings import GATES, SPELLINGS, SUMMED, program, weights

HIDDEN, INPUTS = 48, 32


def inside(executable) -> list[str]:
    """The operations of the innermost loop."""
    bodies = [body for node in executable.compiled.graph.nodes for body in node.bodies]
    deeper = [body for inner in bodies for node in inner.nodes for body in node.bodies]
    return [op for body in deeper or bodies for op in ops(body)]


@pytest.mark.parametrize(
    ("kind", "batch"),
    [("lstm", 1), pytest.param("lstm", 20, marks=pytest.mark.slow), ("gru", 1), ("rnn", 64)],
)
def test_every_spelling_gives_the_same_bits(kind, batch):
    given = weights(kind, INPUTS, HIDDEN)
    xs = np.random.default_rng(1).normal(size=(9, batch, INPUTS)).astype(np.float32)
    found = {}
    for name in SPELLINGS:
        if not (kind == "gru" and name in SUMMED):
            held, run = program(kind, name, given)
            executable = tilewright.compile(run, held, xs)
            found[name] = executable(held, xs)
            assert not {"copy", "pack", "transpose"} & set(inside(executable)), name
            bound = executable.bind(held)
            assert np.asarray(bound(xs)).tobytes() == np.asarray(found[name]).tobytes()
    first = np.asarray(found["h @ U"])
    for name, state in found.items():
        assert np.asarray(state).tobytes() == first.tobytes(), name
    held, run = program(kind, "h @ U", given)
    np.testing.assert_allclose(first, jax.jit(run)(held, xs), 1e-4, 1e-5)


def test_equinoxs_cell_gives_the_same_bits():
    equinox = pytest.importorskip("equinox")
    given = W, U, b = weights("lstm", INPUTS, HIDDEN)
    xs = np.random.default_rng(1).normal(size=(9, 3, INPUTS)).astype(np.float32)
    cell = equinox.nn.LSTMCell(INPUTS, HIDDEN, key=jax.random.key(0))
    where = lambda c: (c.weight_ih, c.weight_hh, c.bias)  # noqa: E731
    cell = equinox.tree_at(where, cell, (W.T.copy(), U.T.copy(), b))

    def run(cell, xs):
        zero = jax.numpy.zeros((xs.shape[1], HIDDEN))
        step = lambda state, x: (jax.vmap(cell)(x, state), None)  # noqa: E731
        return jax.lax.scan(step, (zero, zero), xs)[0][0]

    arrays, static = equinox.partition(cell, equinox.is_array)
    theirs = tilewright.compile(lambda a, xs: run(equinox.combine(a, static), xs), arrays, xs)
    held, ours = program("lstm", "h @ U", given)
    expected = np.asarray(tilewright.compile(ours, held, xs)(held, xs))
    assert np.asarray(theirs(arrays, xs)).tobytes() == expected.tobytes()


def test_every_kind_has_gates():
    assert all(weights(kind, 3, 5)[0].shape == (3, 5 * gates) for kind, gates in GATES.items())
