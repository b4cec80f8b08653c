"""Small functions, one for each operation, with arguments."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

X = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
V = np.random.default_rng(2).normal(size=40).astype(np.float32)
I = np.array([3, -1, 99, 0, 3, -99], np.int32)  # noqa: E741
ROWS = np.array([[0, 2], [6, 4], [-3, 1], [7, 7]], np.int32)


def at(mode):
    return lambda x, i: x.at[i].get(mode=mode)


def update(kind, mode):
    return lambda x, i: getattr(x.at[i], kind)(2.5, mode=mode)


def windows(mode):
    numbers = lax.GatherDimensionNumbers((1, 2), (), (0, 1))
    return lambda x, i: lax.gather(x, i, numbers, (2, 3), mode=mode)


def scatter_windows(mode):
    numbers = lax.ScatterDimensionNumbers((1, 2), (), (0, 1))

    def function(x, i):
        values = jnp.arange(24.0).reshape(4, 2, 3)
        return lax.scatter_add(x, i, values, numbers, mode=mode)

    return function


def unequal(x):
    """A while loop whose trip count depends on data."""
    return lax.while_loop(lambda s: s[0] < 50, lambda s: (s[0] * 1.5, s[1] + 1), (x, 0))


CASES = {
    "matmul": (lambda x, w: x @ w, X, W),
    "gradient": (jax.grad(lambda w, x: jnp.sum(jnp.tanh(x @ w) ** 2)), W, X),
    "inner": (lambda x, y: jnp.einsum("ik,jk->ij", x, y), X, X),
    "batched": (lambda x: jnp.einsum("bi,bj->bij", x, x), X),
    "reduce": (lambda x: (x.sum(0), x.sum(1), x.max(), x.prod(1), x.min(0)), X),
    "logic": (lambda x: ((x > 0).all(0), (x > 0).any(1)), X),
    "argmax": (lambda x: (x.argmax(1), x.argmin(0)), X),
    "cumulative": (lambda v: (jnp.cumsum(v), jnp.cumprod(v), lax.cummax(v, reverse=True)), V),
    "sort": (lambda v: (jnp.sort(v), jnp.argsort(-v), lax.top_k(v, 3)), V),
    "pad": (lambda x: lax.pad(x, 9.0, ((1, -2, 1), (-1, 3, 0))), X),
    "pad_all": (lambda x: lax.pad(x, 9.0, ((-9, 4, 0), (0, 0, 2))), X),
    "move": (lambda x: (x.T[::-1, 1::2], jnp.concatenate([x, x + 1], 1), x.reshape(5, 7)), X),
    "iota": (lambda x: x + jnp.arange(5) + jnp.arange(7)[:, None], X),
    "broadcast": (lambda x: lax.broadcast_in_dim(x, (2, 7, 4, 5), (1, 3)), X),
    "dynamic_slice": (lambda x, i: lax.dynamic_slice(x, (i[0], i[1]), (3, 2)), X, I),
    "dynamic_update": (lambda x, i: lax.dynamic_update_slice(x, x[:2] + 1, (i[2], i[1])), X, I),
    "gather_clip": (at("clip"), X, I),
    "gather_fill": (at("fill"), X, I),
    "gather_windows": (windows("clip"), X, ROWS),
    "gather_windows_fill": (windows("fill"), X, ROWS),
    "gather_batched": (lambda x: jnp.take_along_axis(x, jnp.argsort(x, 1), 1), X),
    "gather_vmap": (jax.vmap(lambda r, i: r[i], (0, None)), X, I),
    "scatter_set": (update("set", "drop"), X, I),
    "scatter_add": (update("add", "drop"), X, I),
    "scatter_clip": (update("add", "clip"), X, I),
    "scatter_max": (update("max", "drop"), X, I),
    "scatter_min": (update("min", "clip"), X, I),
    "scatter_multiply": (update("multiply", "drop"), X, I),
    "scatter_windows": (scatter_windows("drop"), X, ROWS),
    "scatter_windows_clip": (scatter_windows("clip"), X, ROWS),
    "scatter_vmap": (jax.vmap(lambda r, i: r.at[i].add(1.0), (0, None)), X, I),
    "segment_sum": (lambda v: jax.ops.segment_sum(v, jnp.arange(40) % 3, 4), V),
    "while": (unequal, np.float32(1.5)),
    "while_vmap": (jax.vmap(unequal), np.array([1, 60, 7], np.float32)),
    "scan": (lambda v: lax.scan(lambda c, x: (c * 0.5 + x, c), jnp.float32(0), v), V),
    "scan_reverse": (
        lambda v: lax.scan(lambda c, x: (c * 0.5 + x, c), jnp.float32(0), v, reverse=True), V,
    ),
    "fori": (lambda x: lax.fori_loop(0, 5, lambda i, c: c * 0.9 + i, x), X),
    "map": (lambda x: lax.map(lambda row: row.sum() * row, x), X),
    "cond": (lambda x, i: lax.cond(i[0] > 2, lambda x: x + 1, lambda x: x * 2, x), X, I),
    "switch": (lambda x, i: lax.switch(i[2], [lambda x: x, lambda x: -x], x), X, I),
    "select": (lambda x: jnp.where(x > 0, x, 0), X),
}  # fmt: skip
