"""One recurrent cell in every spelling: the same function, and by the law of sums the same bits.

In: weights (W (inputs, gates x hidden), U (hidden, gates x hidden), b (gates x hidden,)). Out: for
each spelling its own weights, and a function of them and of xs (steps, batch, inputs) that gives
the state after the last step, (batch, hidden). A user picks one without thinking of speed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tilewright.frozen import frozen

Array = Any
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
Weights = tuple[Array, Array, Array]


@frozen
class Spelling:
    """`prepare` turns W, U, b into the weights as they are held; `products` (weights, x, h) gives
    x W and h U: as two arrays, or two lists with an array a gate, or their sum and None.
    """

    prepare: Callable[[Array, Array, Array, int], Any]
    products: Callable[[Any, Array, Array], tuple[Any, Any]]


def weights(kind: str, inputs: int, hidden: int, seed: int = 0) -> Weights:
    """Uniform in +-1 / sqrt(hidden)."""
    rng, width = np.random.default_rng(seed), GATES[kind] * hidden
    return tuple(
        (rng.uniform(-1, 1, shape) / hidden**0.5).astype(np.float32)
        for shape in ((inputs, width), (hidden, width), (width,))
    )  # type: ignore[return-value]


def _as_they_are(W: Array, U: Array, b: Array, gates: int) -> Any:
    return W, U


def _turned(W: Array, U: Array, b: Array, gates: int) -> Any:
    return np.ascontiguousarray(W.T), np.ascontiguousarray(U.T)


def _general(x: Array, w: Array, axis: int) -> Array:
    return lax.dot_general(x, w, (((1,), (axis,)), ((), ())))


def _row_by_row(x: Array, w: Array) -> Array:
    return jax.vmap(lambda row: row @ w)(x)


def _column_by_column(x: Array, w: Array) -> Array:
    return jax.vmap(lambda row: w @ row)(x)


def _each(product: Callable) -> Callable[[Any, Array, Array], tuple[Any, Any]]:
    return lambda p, x, h: (product(x, p[0]), product(h, p[1]))


SPELLINGS: Mapping[str, Spelling] = {
    "h @ U": Spelling(_as_they_are, _each(lambda x, w: x @ w)),
    "h @ U.T": Spelling(_turned, _each(lambda x, w: x @ w.T)),
    "dot_general": Spelling(_as_they_are, _each(lambda x, w: _general(x, w, 0))),
    "dot_general of rows": Spelling(_turned, _each(lambda x, w: _general(x, w, 1))),
    "einsum": Spelling(_as_they_are, _each(lambda x, w: jnp.einsum("bk,kn->bn", x, w))),
    "einsum of rows": Spelling(_turned, _each(lambda x, w: jnp.einsum("bk,nk->bn", x, w))),
    "(U.T @ h.T).T": Spelling(_as_they_are, _each(lambda x, w: (w.T @ x.T).T)),
    "vmap of x @ W": Spelling(_as_they_are, _each(_row_by_row)),
    "vmap of W @ x": Spelling(_turned, _each(_column_by_column)),
    "a product a gate": Spelling(
        lambda W, U, b, gates: [np.split(w, gates, axis=1) for w in (W, U)],
        lambda p, x, h: ([x @ w for w in p[0]], [h @ u for u in p[1]]),
    ),
    "[x, h] @ W": Spelling(
        lambda W, U, b, gates: np.concatenate([W, U]),
        lambda p, x, h: (jnp.concatenate([x, h], axis=-1) @ p, None),
    ),
}
SUMMED = ("[x, h] @ W",)
"""Spellings that a GRU cannot use: its candidate takes the two products apart."""


def program(kind: str, name: str, given: Weights) -> tuple[Any, Callable[[Any, Array], Array]]:
    """The weights as this spelling holds them, and the function of them and xs."""
    W, U, b = given
    gates, spelling = GATES[kind], SPELLINGS[name]
    hidden = U.shape[0]

    def run(held: Any, xs: Array) -> Array:
        products, bias = held

        def step(state: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], None]:
            seen, kept = spelling.products(products, x, state[0])
            return CELLS[kind](state, _gates(seen, gates), _gates(kept, gates), bias), None

        zero = jnp.zeros((xs.shape[1], hidden))
        return lax.scan(step, (zero, zero) if kind == "lstm" else (zero,), xs)[0][0]

    return (spelling.prepare(W, U, b, gates), np.split(b, gates)), run


def _gates(product: Any, gates: int) -> Any:
    if product is None or isinstance(product, list):
        return product
    return jnp.split(product, gates, axis=-1)


def _sums(seen: list, kept: list | None, bias: list) -> list:
    if kept is None:
        return [s + b for s, b in zip(seen, bias, strict=True)]
    return [s + k + b for s, k, b in zip(seen, kept, bias, strict=True)]


def _lstm(state: tuple, seen: list, kept: list | None, bias: list) -> tuple:
    i, f, g, o = _sums(seen, kept, bias)
    c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _gru(state: tuple, seen: list, kept: list | None, bias: list) -> tuple:
    assert kept is not None
    r, z = (jax.nn.sigmoid(s + k + b) for s, k, b in zip(seen[:2], kept, bias, strict=False))
    n = jnp.tanh(seen[2] + bias[2] + r * kept[2])
    return ((1 - z) * n + z * state[0],)


def _rnn(state: tuple, seen: list, kept: list | None, bias: list) -> tuple:
    return (jnp.tanh(_sums(seen, kept, bias)[0]),)


CELLS = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}
