"""Recurrent cells as libraries have them, unmodified, and two layers written as one scan.

In: weights as in `spellings.py`. Out: what a library or a spelling holds of them, and a function of
that and of xs (steps, batch, inputs) that gives the state after the last step, (batch, hidden):
flax's cells under `flax.linen.RNN`, and equinox's under a scan of `vmap`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tilewright.bench.spellings import CELLS, GATES, Array, Weights

Program = tuple[Any, Callable[[Any, Array], Array]]
"""What is held, and the function of it and xs."""


def programs(kind: str, given: Weights) -> Mapping[str, Program]:
    """By name, of the libraries that are installed."""
    found = {}
    if find_spec("equinox") and kind == "lstm":
        found["equinox's LSTMCell"] = _of_equinox(given)
    if find_spec("flax"):
        for name in FLAX[kind]:
            found[f"flax's {name}"] = of_flax(name, given)
    return found


FLAX = {"lstm": ("LSTMCell", "OptimizedLSTMCell"), "gru": ("GRUCell",), "rnn": ()}
"""Cells of flax by kind."""
_FLAX_GATES = {"LSTMCell": "ifgo", "OptimizedLSTMCell": "ifgo", "GRUCell": "rzn"}


def of_flax(name: str, given: Weights) -> Program:
    """A cell of flax under its RNN; of a GRU, the candidate's bias is where flax has one."""
    nn = import_module("flax.linen")
    hidden, gates = given[1].shape[0], _FLAX_GATES[name]
    inside: dict[str, dict[str, Array]] = {}
    split = (np.split(array, len(gates), axis=-1) for array in given)
    for gate, w, u, bias in zip(gates, *split, strict=True):
        inside[f"i{gate}"], inside[f"h{gate}"] = {"kernel": w}, {"kernel": u}
        seen = name == "GRUCell"
        inside[f"{'i' if seen else 'h'}{gate}"]["bias"] = bias
        if seen and gate == "n":
            inside["hn"]["bias"] = np.zeros_like(bias)
    rnn = nn.RNN(getattr(nn, name)(features=hidden), time_major=True, return_carry=True)

    def run(held: Any, xs: Array) -> Array:
        carry, _ = rnn.apply(held, xs)
        return carry[1] if isinstance(carry, tuple) else carry

    return {"params": {"cell": inside}}, run


def _of_equinox(given: Weights) -> Program:
    equinox = import_module("equinox")
    W, U, b = given
    hidden = U.shape[0]
    cell = equinox.nn.LSTMCell(W.shape[0], hidden, key=jax.random.key(0))
    where = lambda c: (c.weight_ih, c.weight_hh, c.bias)  # noqa: E731
    cell = equinox.tree_at(where, cell, (W.T.copy(), U.T.copy(), b))
    held, static = equinox.partition(cell, equinox.is_array)

    def run(held: Any, xs: Array) -> Array:
        cell = equinox.combine(held, static)
        zero = jnp.zeros((xs.shape[1], hidden))
        step = lambda state, x: (jax.vmap(cell)(x, state), None)  # noqa: E731
        return lax.scan(step, (zero, zero), xs)[0][0]

    return held, run


def stacked(kind: str, layers: Sequence[Weights]) -> Mapping[str, Program]:
    """Layers as a scan each, and as one scan over the cells of all."""
    gates = GATES[kind]

    def cell(given: Weights, state: tuple, x: Array) -> tuple:
        W, U, b = given
        seen, kept, bias = (jnp.split(array, gates, -1) for array in (x @ W, state[0] @ U, b))
        return CELLS[kind](state, seen, kept, bias)

    def start(given: Weights, xs: Array) -> tuple:
        zero = jnp.zeros((xs.shape[1], given[1].shape[0]))
        return (zero, zero) if kind == "lstm" else (zero,)

    def each(held: Sequence[Weights], xs: Array) -> Array:
        for given in held:

            def step(state: tuple, x: Array, given: Weights = given) -> tuple[tuple, Array]:
                state = cell(given, state, x)
                return state, state[0]

            last, xs = lax.scan(step, start(given, xs), xs)
        return last[0]

    def one(held: Sequence[Weights], xs: Array) -> Array:
        def step(states: Sequence[tuple], x: Array) -> tuple[Sequence[tuple], None]:
            after = []
            for given, state in zip(held, states, strict=True):
                after.append(cell(given, state, x))
                x = after[-1][0]
            return after, None

        return lax.scan(step, [start(given, xs) for given in held], xs)[0][-1][0]

    held = list(layers)
    return {"a scan a layer": (held, each), "one scan over all cells": (held, one)}
