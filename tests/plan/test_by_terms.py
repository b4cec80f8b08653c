"""Products of many terms and few outputs, dealt out in runs of leaves: which, and the law's own
bits however many tiles."""

from dataclasses import replace
from math import prod

import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tilewright.codelets.contract import ContractOuter
from tilewright.graph import law
from tilewright.machine.host import host_machine
from tilewright.plan import views
from tilewright.plan.basic import operand
from tilewright.plan.by_terms import by_terms
from tilewright.plan.ir import Buffer

RANDOM = np.random.default_rng(0)
TERMS = 9 * host_machine().tile.memory // (4 * 40 * 8) + 100
"""Of which two matrices of 40 columns in all are more than a tile's memory holds, and no whole
number of leaves."""


def matrix(columns, rows=TERMS):
    return RANDOM.normal(size=(rows, columns)).astype(np.float32)


def gradient(x, g):
    """Of a kernel of one tap."""
    return x.T @ g


def stepped(x, g, w):
    """What descent makes of a kernel."""
    return w - 0.01 * (x.T @ g)


def vertices(function, *arguments) -> list[str]:
    text = tilewright.compile(function, *arguments, tiles=2).program
    return [line.split()[0] for line in text.splitlines() if "->" in line]


@pytest.mark.parametrize(("m", "n"), [(16, 24), (24, 16), (7, 33), (1, 40)])
def test_bits_are_those_of_the_law(m, n):
    x, g, w = matrix(m), matrix(n), matrix(n, rows=m)
    total = law.product(x.T, g.T, "sequence", "float32")
    for tiles in (1, 2, 3, 5):
        found = tilewright.compile(gradient, x, g, tiles=tiles)(x, g)
        np.testing.assert_array_equal(found, total)
        found = tilewright.compile(stepped, x, g, w, tiles=tiles)(x, g, w)
        np.testing.assert_array_equal(found, w - np.float32(0.01) * total)


def test_runs_are_dealt_out_and_fill_the_lanes():
    x, g = matrix(16), matrix(24)
    runs, *rest, tree = vertices(gradient, x, g)
    assert runs.startswith("contract_outer_f32_24x16x")
    assert all(name.startswith("contract") for name in rest)
    assert tree.startswith("tree_float32_")


@pytest.mark.parametrize(
    ("x", "g"),
    [(matrix(16, 300), matrix(24, 300)), (matrix(2400, 1500), matrix(1800, 1500))],
    ids=["near", "many outputs"],
)
def test_others_are_cut_along_outputs(x, g):
    assert not any(name.startswith("tree") for name in vertices(gradient, x, g))


def test_sums_may_be_larger_than_what_they_are_of():
    x, g = matrix(512, 1500), matrix(256, 1500)
    run, *_, tree = vertices(gradient, x, g)
    assert run.endswith("x256")
    assert tree.startswith("tree_float32_6x")
    expected = law.product(x.T, g.T, "sequence", "float32")
    np.testing.assert_array_equal(tilewright.compile(gradient, x, g, tiles=2)(x, g), expected)


@pytest.mark.parametrize(
    ("terms", "columns", "parts"),
    [(1_000_000, 500, 489), (9000, 3000, 0)],
    ids=["longer runs", "too few terms"],
)
def test_sums_of_all_runs_stay_below_half_a_gigabyte(terms, columns, parts):
    """Of runs of a leaf each: 4 GB beside operands of 4 GB, 1.3 GB beside 0.2."""
    shapes = (terms, columns), (terms, columns), (columns, columns)
    left, right, out = (views.whole(Buffer("float32", prod(s), "shared"), s) for s in shapes)
    left = views.transpose(left, (1, 0))
    codelet = ContractOuter(operand(left), operand(right), operand(out))
    host = host_machine()
    two = replace(host, chip=replace(host.chip, tiles=2))
    steps = by_terms(codelet, [left, right, out], two) or []
    assert [step.views[0].shape[0] for step in steps[-1:]] == [parts][: len(steps)]
    assert bool(steps) == bool(parts)


def test_a_run_makes_what_its_terms_are():
    """What lies between a product and the gradient of the kernel after it is nobody else's."""
    x, w, g = matrix(16), matrix(32, rows=16), matrix(8)
    x, g = x.reshape(-1, 4, 16)[:, None], g.reshape(-1, 4, 8)[:, None]

    def chained(x, w, g):
        h = jnp.maximum(x @ w, 0) * 2
        return jnp.einsum("nhwa,nhwb->ab", h, g)

    program = tilewright.compile(chained, x, w, g, tiles=1)
    first = program.program.split("spread")[1]
    names = [line.split("_")[0].strip() for line in first.splitlines() if "->" in line]
    assert names[:2] == ["contract", "contract"]
    h = np.maximum(law.product(x.reshape(-1, 16), w.T, "sequence", "float32"), 0) * 2
    expected = law.product(h.T, g.reshape(-1, 8).T, "sequence", "float32")
    np.testing.assert_array_equal(program(x, w, g), expected)
