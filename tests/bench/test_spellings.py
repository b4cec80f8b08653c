"""However a recurrent cell is spelled: the same bits, and the same products inside the loop."""

import jax
import numpy as np
import pytest

import tilewright
from tests.graph.same import ops
from tilewright.bench import cells
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


def test_two_layers_as_one_scan_are_a_scan_each():
    layers = [weights("gru", INPUTS, HIDDEN), weights("gru", HIDDEN, HIDDEN, seed=1)]
    xs = np.random.default_rng(1).normal(size=(9, 1, INPUTS)).astype(np.float32)
    found = {}
    for name, (held, run) in cells.stacked("gru", layers).items():
        executable = tilewright.compile(run, held, xs)
        found[name] = np.asarray(executable(held, xs)).tobytes()
        assert ops(executable.compiled.graph).count("scan") == 2, name
    assert len(found) == 2
    assert len(set(found.values())) == 1


def test_every_kind_has_gates():
    assert all(weights(kind, 3, 5)[0].shape == (3, 5 * gates) for kind, gates in GATES.items())
