"""A product over a concatenation is the sum of the parts' products, to the bit."""

from functools import partial

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import tilewright
from tests.graph.same import ops
from tests.trace.comparing import agree
from tilewright.graph.evaluate import evaluate
from tilewright.graph.law import dot_ordered
from tilewright.graph.verify import verify
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
X, H, W = (RANDOM.normal(size=s).astype(np.float32) for s in ((3, 16), (3, 300), (316, 24)))


def joined(x, h, w):
    return jnp.concatenate([x, h], axis=-1) @ w


def parts(x, h, w):
    return x @ w[:16] + h @ w[16:]


def turned(x, h, w):
    return (w.T @ jnp.concatenate([x.T, h.T])).T


@pytest.mark.parametrize("dtype", [np.float32, np.int32, ml_dtypes.bfloat16])
def test_the_sum_of_the_parts(dtype):
    arguments = [array.astype(dtype) for array in (X, H, W)]
    found = [np.asarray(tilewright.compile(f, *arguments)(*arguments)) for f in (joined, turned)]
    if dtype is not ml_dtypes.bfloat16:  # whose parts are rounded once here, each there
        found.append(np.asarray(tilewright.compile(parts, *arguments)(*arguments)))
    assert len({array.tobytes() for array in found}) == 1
    verify(trace(joined, *arguments).graph)
    agree(joined, *arguments, epsilons=64, absolute=1e-4)


SPELLINGS = {
    "its transpose": lambda x, h, w: (w.T @ jnp.concatenate([x, h], 1).T).T,
    "a transpose of rows": lambda x, h, w: jnp.concatenate([x.T, h.T]).T @ w,
    "vectors as rows": lambda x, h, w: jnp.stack(
        [(jnp.concatenate(pair)[None] @ w)[0] for pair in zip(x, h, strict=True)]
    ),
    "mapped rows": lambda x, h, w: jax.vmap(lambda x, h: (jnp.concatenate([x, h])[None] @ w)[0])(
        x, h
    ),
    "instances": tilewright.tile_map(
        lambda x, h, w: (jnp.concatenate([x, h])[None] @ w)[0], in_axes=(0, 0, None)
    ),
    "rows in groups": lambda x, h, w: (jnp.concatenate([x, h], 1).reshape(3, 1, 1, -1) @ w).reshape(
        3, -1
    ),
    "repeated": lambda x, h, w: jnp.einsum(
        "bik,kj->bij", jnp.broadcast_to(jnp.concatenate([x, h], 1), (2, 3, 316)), w
    )[1],
    "converted": lambda x, h, w: jnp.concatenate([x, h], 1).astype(jnp.float32) @ w,
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_however_it_is_spelled(name):
    narrow = X.astype(np.float16), H.astype(np.float16)
    wide = *(array.astype(np.float32) for array in narrow), W
    expected = np.asarray(tilewright.compile(joined, *wide)(*wide))
    arguments = (*narrow, W) if name == "converted" else wide
    ours = np.asarray(tilewright.compile(SPELLINGS[name], *arguments)(*arguments))
    assert ours.tobytes() == expected.tobytes()


def test_a_reshape_that_is_no_concatenation_along_the_contracted_axis():
    """Its rows are two of the columns' rows each; a dimension as long is the wrong one."""

    def mixed(x, w):
        return jnp.concatenate([x, x + 1]).reshape(48, 96) @ w

    x = RANDOM.normal(size=(48, 48)).astype(np.float32)
    assert ops(trace(mixed, x, W[:96]).graph).count("dot") == 1
    agree(mixed, x, W[:96], epsilons=64, absolute=1e-4)


def test_parts_of_16_bits_are_added_in_float32_and_rounded_once():
    narrow = [array.astype(ml_dtypes.bfloat16) for array in (X, H, W)]
    x, h, w = (array.astype(np.float32) for array in narrow)
    product = partial(dot_ordered, contract=((1,), (0,)), batch=((), ()), dtype="float32")
    expected = (product(x, w[:16]) + product(h, w[16:])).astype(ml_dtypes.bfloat16)
    (ours,) = evaluate(trace(joined, *narrow).graph, narrow)
    assert ours.tobytes() == expected.tobytes()


def test_vectors():
    arguments = X[0], H[0], W
    found = [np.asarray(tilewright.compile(f, *arguments)(*arguments)) for f in (joined, parts)]
    assert found[0].tobytes() == found[1].tobytes()


def test_what_is_not_split():
    """Short parts, many parts, several contracted axes, and concatenations of free axes."""

    def count(function, *arguments):
        return ops(trace(function, *arguments).graph).count("dot")

    assert count(joined, X, H, W) == 2
    assert count(joined, X[:, :15], H, W[1:]) == 1
    many = [X] * 9
    assert count(lambda *x: jnp.concatenate(x, 1) @ W[:144], *many) == 1
    assert count(lambda x, w: jnp.concatenate([x, x]) @ w, X, W[:16]) == 1
    both = np.ones((32, 4, 5), np.float32)
    pairs = lambda a: jnp.einsum("abc,abd->cd", jnp.concatenate([a[:16], a[16:]]), a)  # noqa: E731
    assert count(pairs, both) == 1
