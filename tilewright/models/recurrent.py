"""Stacked LSTMs and GRUs with a dense head, as plain JAX functions.

In: a `Recurrent` (what the net is), its weights (`Weights`), inputs. Out: what the head says of the
last step, or of every step.

    LSTM  i, f, g, o = x W + h U + b           c' = sigmoid(f) c + sigmoid(i) tanh(g)
          h' = sigmoid(o) tanh(c')                      Hochreiter and Schmidhuber (1997), with
                                                        the forget gate of Gers et al. (2000)
    GRU   r, z = sigmoid(x W + h U + b)                 Cho et al. (2014)
          n = tanh(x W + b + r (h U + d))               reset "after" the product, as cuDNN has it
          n = tanh(x W + b + (r h) U)                   reset "before", as in the paper
          h' = (1 - z) n + z h

Weights are (inputs, gates x hidden) and (hidden, gates x hidden), gates in the orders above; there
is one bias a layer, and `d` (hidden,) where a GRU resets after the product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = Any
GATES = {"lstm": 4, "gru": 3}
ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
}


@dataclass(frozen=True)
class Layer:
    """`kind` "lstm" or "gru"; `directions` "forward", "backward" or "both" (outputs side by side).

    `reset` is "after" or "before", for a GRU.
    """

    kind: str
    inputs: int
    hidden: int
    directions: str = "forward"
    reset: str = "after"

    @property
    def outputs(self) -> int:
        return self.hidden * len(self.ways)

    @property
    def ways(self) -> tuple[str, ...]:
        """The directions, one by one."""
        return ("forward", "backward") if self.directions == "both" else (self.directions,)


@dataclass(frozen=True)
class Dense:
    """y = activation(x W + b)."""

    inputs: int
    outputs: int
    activation: str = "linear"


@dataclass(frozen=True)
class Recurrent:
    """Layers one upon the other, then a head of dense layers (maybe none).

    `reads` says what the head is given: "every step", "last step" (the outputs at the last step of
    time) or "last state" (each direction's when it has seen everything; the same but for layers
    that run backward). `read_activation` is applied to it before.
    """

    layers: tuple[Layer, ...]
    head: tuple[Dense, ...] = ()
    reads: str = "last step"
    read_activation: str = "linear"

    @property
    def inputs(self) -> int:
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        return self.head[-1].outputs if self.head else self.layers[-1].outputs

    @property
    def is_causal(self) -> bool:
        """Whether it can answer tick by tick."""
        return all(layer.directions == "forward" for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        layers = sum(_cell_size(layer) * len(layer.ways) for layer in self.layers)
        return layers + sum((dense.inputs + 1) * dense.outputs for dense in self.head)

    def macs(self, steps: int) -> int:
        """Multiply-adds of one sequence."""
        a_step = sum(
            GATES[layer.kind] * layer.hidden * (layer.inputs + layer.hidden) * len(layer.ways)
            for layer in self.layers
        )
        head = sum(dense.inputs * dense.outputs for dense in self.head)
        return steps * a_step + head * (steps if self.reads == "every step" else 1)


def _cell_size(layer: Layer) -> int:
    gates = GATES[layer.kind] * layer.hidden
    return gates * (layer.inputs + layer.hidden + 1) + layer.hidden * has_own_bias(layer)


def has_own_bias(layer: Layer) -> bool:
    """Whether the recurrent product of the candidate has a bias inside the reset gate."""
    return layer.kind == "gru" and layer.reset == "after"


class Cell(NamedTuple):
    """One layer's weights in one direction."""

    W: Array  # (inputs, gates x hidden)
    U: Array  # (hidden, gates x hidden)
    b: Array  # (gates x hidden,)
    d: Array | None = None  # (hidden,), see the module's text


class Affine(NamedTuple):
    W: Array  # (inputs, outputs)
    b: Array  # (outputs,)


class Weights(NamedTuple):
    """`layers[i]` has a cell for each of the layer's ways."""

    layers: tuple[tuple[Cell, ...], ...]
    head: tuple[Affine, ...] = ()


State = tuple[Array, ...]
"""Of one cell: (h, c) of an LSTM, (h,) of a GRU, each (..., hidden)."""


def initial(net: Recurrent, key: Array) -> Weights:
    """Uniform in +-1/sqrt(hidden) (as PyTorch starts), biases at zero."""

    def uniform(shape: tuple[int, ...], fan: int) -> Array:
        nonlocal key
        key, own = jax.random.split(key)
        return jax.random.uniform(own, shape, minval=-1, maxval=1) / fan**0.5

    def cell(layer: Layer) -> Cell:
        gates = GATES[layer.kind] * layer.hidden
        return Cell(
            uniform((layer.inputs, gates), layer.hidden),
            uniform((layer.hidden, gates), layer.hidden),
            jnp.zeros(gates),
            jnp.zeros(layer.hidden) if has_own_bias(layer) else None,
        )

    return Weights(
        tuple(tuple(cell(layer) for _ in layer.ways) for layer in net.layers),
        tuple(
            Affine(uniform((d.inputs, d.outputs), d.inputs), jnp.zeros(d.outputs)) for d in net.head
        ),
    )


def zero_state(net: Recurrent, shape: tuple[int, ...] = ()) -> tuple[State, ...]:
    """The state before the first tick of a causal net, for a batch of that shape."""
    return tuple(_zeros(layer, shape) for layer in net.layers)


def _zeros(layer: Layer, shape: tuple[int, ...]) -> State:
    count = 2 if layer.kind == "lstm" else 1
    return tuple(jnp.zeros((*shape, layer.hidden)) for _ in range(count))


def cell(layer: Layer, weights: Cell, state: State, x: Array) -> State:
    """One tick of one cell: x (..., inputs) to the state after it, whose first part is h."""
    if layer.kind == "lstm":
        h, c = state
        gates = x @ weights.W + h @ weights.U + weights.b
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c
    (h,) = state
    size = layer.hidden
    seen = x @ weights.W + weights.b
    if layer.reset == "after":
        kept = h @ weights.U
        r, z = jnp.split(jax.nn.sigmoid(seen[..., : 2 * size] + kept[..., : 2 * size]), 2, axis=-1)
        n = jnp.tanh(seen[..., 2 * size :] + r * (kept[..., 2 * size :] + weights.d))
    else:
        kept = h @ weights.U[:, : 2 * size]
        r, z = jnp.split(jax.nn.sigmoid(seen[..., : 2 * size] + kept), 2, axis=-1)
        n = jnp.tanh(seen[..., 2 * size :] + (r * h) @ weights.U[:, 2 * size :])
    return ((1 - z) * n + z * h,)


def step(
    net: Recurrent, weights: Weights, state: tuple[State, ...], x: Array
) -> tuple[tuple[State, ...], Array]:
    """One tick of a causal net: x (..., inputs) to the next state and the answer (..., outputs)."""
    states = []
    for layer, (own,), old in zip(net.layers, weights.layers, state, strict=True):
        states.append(cell(layer, own, old, x))
        x = states[-1][0]
    return tuple(states), head(net, weights, x)


class Sliding(NamedTuple):
    """Of a window that slides: a state for each tick at which one began, (streams, steps, hidden).

    `at` is the row of the oldest: its window is full with the next tick.
    """

    cells: tuple[State, ...]
    at: Array  # int32


def zero_sliding(net: Recurrent, streams: int, steps: int) -> Sliding:
    """Before the first tick all windows are empty."""
    return Sliding(zero_state(net, (streams, steps)), jnp.int32(0))


def slide(net: Recurrent, weights: Weights, state: Sliding, x: Array) -> tuple[Sliding, Array]:
    """One tick of windows that slide: x (streams, inputs) to answers (streams, outputs).

    Each answer is that of the last `steps` ticks from a zero state, or of as many as there have
    been. All rows advance; the oldest answers, by itself and before the others, and its row begins
    anew.
    """
    cells, at = state
    x = x[:, None]
    oldest = jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, at, 1, 1), cells)
    _, answer = step(net, weights, oldest, x)
    after, _ = step(net, weights, cells, x)
    blank = jax.tree.map(jnp.zeros_like, oldest)
    begun = jax.tree.map(
        lambda a, zero: jax.lax.dynamic_update_slice_in_dim(a, zero, at, 1), after, blank
    )
    steps = cells[0][0].shape[1]
    return Sliding(begun, jnp.where(at + 1 == steps, 0, at + 1)), answer[:, 0]


def window(net: Recurrent, weights: Weights, xs: Array) -> Array:
    """From a zero state: xs (batch, steps, inputs) to (batch, outputs), or (batch, steps, outputs).

    The latter where the head reads every step.
    """
    steps = jnp.swapaxes(xs, 0, 1)
    ends: Array = steps
    for layer, cells in zip(net.layers, weights.layers, strict=True):
        zeros = _zeros(layer, steps.shape[1:-1])
        ran = [
            _scan(layer, own, zeros, steps, reverse=way == "backward")
            for own, way in zip(cells, layer.ways, strict=True)
        ]
        steps = jnp.concatenate([outputs for _, outputs in ran], axis=-1)
        ends = jnp.concatenate([end[0] for end, _ in ran], axis=-1)
    read = {"every step": jnp.swapaxes(steps, 0, 1), "last step": steps[-1], "last state": ends}
    return head(net, weights, read[net.reads])


def _scan(
    layer: Layer, weights: Cell, state: State, steps: Array, *, reverse: bool = False
) -> tuple[State, Array]:
    """The state that was computed last, and outputs at each step (steps, batch, hidden)."""

    def advance(state: State, x: Array) -> tuple[State, Array]:
        state = cell(layer, weights, state, x)
        return state, state[0]

    return jax.lax.scan(advance, state, steps, reverse=reverse)


def head(net: Recurrent, weights: Weights, x: Array) -> Array:
    """The dense layers on (..., features), and what comes before them."""
    x = ACTIVATIONS[net.read_activation](x)
    for dense, own in zip(net.head, weights.head, strict=True):
        x = ACTIVATIONS[dense.activation](x @ own.W + own.b)
    return x
