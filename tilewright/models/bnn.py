"""Bayesian nets of a target's mean and of how widely it scatters, with scales that are learned.

In: a `Position`, features (rows, features), targets (rows,) of about unit variance. Out: the log
posterior density up to a constant, and forecasts. Plain JAX.

    y ~ mean(x) + exp(log_scale(x)) * StudentT(df)

Either head is constant + linear(x) + net(x), a net of tanh layers; a `Form` says which parts there
are. Without hidden units a log-scale is a linear scale regression; constant, it is common noise.

A weight is its coordinate in the position times a scale over the root of its layer's inputs. Scales
have log-normal priors, one a layer: a part that the data do not need shrinks away (Neal 1996,
Bayesian Learning for Neural Networks, chapter 3). With `relevance` each feature has a scale of its
own besides. `models.returns` has scales that are fixed.

Weights that data pin down are sampled best as they are, others best in units of their scale
(Papaspiliopoulos, Roberts & Sköld 2007). A net has both: coordinates lie half way between, so their
own prior deviation is the root of the scale. All other coordinates are standard normal a priori.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from tilewright.models.student_rows import student_rows

Array = Any

CONSTANT, LINEAR, NET = KINDS = ("constant", "linear", "net")
UNITS = "units"
"""A kind of head whose units are given, as columns of the rows after the features."""
LEAST_DEGREES, USUAL_DEGREES = 2.0, 6.0
"""Degrees of freedom are 2 + 6 exp(z): the variance is finite, the prior's median 8, and 95 % of it
lies between 2.8 and 45."""


@dataclass(frozen=True)
class Prior:
    """Medians of a head's scales, and centre of its constant, in units of the target."""

    constant: float
    linear: float
    layer: float
    out: float


MEAN = Prior(constant=0.0, linear=0.5, layer=1.0, out=1.0)
SCALE = Prior(constant=-1.0, linear=0.5, layer=1.0, out=0.1)


@dataclass(frozen=True)
class Form:
    """Which parts there are: the kind of each head, and the units of each layer of its net."""

    features: int
    mean: str = NET
    scale: str = CONSTANT
    hidden: tuple[int, ...] = (16,)
    scale_hidden: tuple[int, ...] = (8,)
    relevance: bool = False


class Weights(NamedTuple):
    """Coordinates of weights, whose prior deviation is exp(log_scale / 2), and of their scale."""

    values: Array  # (inputs,) or (inputs, units)
    log_scale: Array  # ()


class Layer(NamedTuple):
    """Coordinates of one tanh layer."""

    W: Weights  # (inputs, units)
    b: Array  # (units,)


class Head(NamedTuple):
    """Coordinates of one head; None for what it has not."""

    constant: Array  # ()
    linear: Weights | None  # (features,)
    layers: tuple[Layer, ...]
    out: Weights | None  # (units of the last layer,)


class Position(NamedTuple):
    """All coordinates."""

    mean: Head
    scale: Head
    log_degrees: Array | None  # () None where the degrees of freedom are given
    relevance: Array | None  # (features,) log-scales of the features


def initial(key: Array, form: Form, degrees_known: bool) -> Position:
    """A draw from the prior for weights; scales, constants and noise start at their medians."""
    mean, scale = jax.random.split(key)
    zero = jnp.zeros(())
    return Position(
        _initial_head(mean, form.features, form.mean, form.hidden),
        _initial_head(scale, form.features, form.scale, form.scale_hidden),
        None if degrees_known else zero,
        jnp.zeros(form.features) if form.relevance else None,
    )


def _initial_head(key: Array, features: int, kind: str, hidden: tuple[int, ...]) -> Head:
    zero = jnp.zeros(())
    if kind == CONSTANT:
        return Head(zero, None, (), None)
    keys = jax.random.split(key, 2 + 2 * len(hidden))
    linear = _initial_weights(keys[0], features)
    if kind == LINEAR:
        return Head(zero, linear, (), None)
    if kind == UNITS:
        return Head(zero, linear, (), _initial_weights(keys[1], hidden[0]))
    sizes = (features, *hidden)
    layers = tuple(
        Layer(
            _initial_weights(keys[2 * i + 2], *sizes[i : i + 2]),
            jax.random.normal(keys[2 * i + 3], (sizes[i + 1],)),
        )
        for i in range(len(hidden))
    )
    return Head(zero, linear, layers, _initial_weights(keys[1], sizes[-1]))


def _initial_weights(key: Array, *shape: int) -> Weights:
    return Weights(jax.random.normal(key, shape), jnp.zeros(()))


def heads(position: Position, X: Array, xp: Any = jnp, floor: float = 0.0) -> tuple[Array, Array]:
    """Mean and log-scale of each row: (rows,), or () where a head is constant.

    The scale is the root of the sum of squares of what its head says and `floor`: some targets are
    exactly 0 where prices move by ticks, and no row may be told to be. With `xp=numpy` for
    positions of NumPy arrays, in their precision.
    """
    mean, log_scale = _both_heads(position, X, xp)
    if floor:
        log_scale = 0.5 * xp.log(xp.exp(2 * log_scale) + floor * floor)
    return mean, log_scale


def _both_heads(position: Position, X: Array, xp: Any) -> tuple[Array, Array]:
    """Mean and log-scale, whatever the floor."""
    if position.relevance is not None:
        X = X * xp.exp(position.relevance)
    return _head(position.mean, X, MEAN, xp), _head(position.scale, X, SCALE, xp)


def _head(head: Head, X: Array, prior: Prior, xp: Any) -> Array:
    found = prior.constant + head.constant
    if head.linear is not None:
        linear = weights_of(head.linear, prior.linear, xp)
        if head.out is not None and not head.layers:
            both = xp.concatenate([linear, weights_of(head.out, prior.out, xp)])
            return found + X @ both
        found = found + X[:, : len(linear)] @ linear
    if head.out is not None:
        units = X
        for layer in head.layers:
            units = xp.tanh(units @ weights_of(layer.W, prior.layer, xp) + layer.b)
        found = found + units @ weights_of(head.out, prior.out, xp)
    return found


def weights_of(weights: Weights, median: float, xp: Any = jnp) -> Array:
    """Their values; a priori of deviation scale / sqrt(inputs), the scale of that median."""
    inputs = weights.values.shape[0]
    return weights.values * (xp.exp(0.5 * weights.log_scale) * (median / math.sqrt(inputs)))


def log_prior(position: Position) -> Array:
    """Log density of the coordinates a priori, up to a constant, ()."""
    found = jnp.zeros(())
    for part in jax.tree.leaves(position, is_leaf=lambda node: isinstance(node, Weights)):
        if isinstance(part, Weights):
            squares = jnp.sum(part.values * part.values)
            found = found - 0.5 * part.values.size * part.log_scale
            found = found - 0.5 * squares * jnp.exp(-part.log_scale) - 0.5 * part.log_scale**2
        else:
            found = found - 0.5 * jnp.sum(part * part)
    return found


def with_scales_held(density: Any) -> Any:
    """A density of positions, without a slope in the scales: to climb.

    With its weights at zero a layer's density grows without bound as its scale shrinks, and a climb
    up that ends where no chain comes out of again.
    """

    def hold(part: Any) -> Any:
        if not isinstance(part, Weights):
            return part
        return part._replace(log_scale=jax.lax.stop_gradient(part.log_scale))

    def held(position: Any) -> Array:
        return density(jax.tree.map(hold, position, is_leaf=lambda part: isinstance(part, Weights)))

    return held


def degrees(position: Position, known: Array, xp: Any = jnp) -> Array:
    """Degrees of freedom, (): those of the position, or else the known ones."""
    if position.log_degrees is None:
        return known
    return LEAST_DEGREES + USUAL_DEGREES * xp.exp(position.log_degrees)


def log_density(
    X: Array, y: Array, known: Array, weight: Array | None = None, floor: float = 0.0
) -> Any:
    """`position -> log posterior`, up to a constant; `known` degrees of freedom, if they are.

    A row counts `weight` (rows,) times; `floor` is that of `heads`.
    """

    def total(values: Array) -> Array:
        return jnp.sum(values if weight is None else weight * values)

    rows = y.shape[0] if weight is None else jnp.sum(weight)

    def density(position: Position) -> Array:
        mean, log_scale = _both_heads(position, X, jnp)
        df = degrees(position, known)
        constant = rows * (gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * jnp.log(df))
        if floor:
            one = jnp.ones_like(y) if weight is None else weight
            spread = student_rows(y, mean, log_scale, df, one, floor)
            return constant + spread + log_prior(position)
        squares = ((y - mean) * jnp.exp(-log_scale)) ** 2
        likelihood = (
            constant
            - total(jnp.broadcast_to(log_scale, y.shape))
            - 0.5 * (df + 1) * total(jnp.log1p(squares * (1 / df)))
        )
        return likelihood + log_prior(position)

    return density
