"""Recurrent nets that forecast a distribution at every step, as plain JAX functions.

In: a `Forecaster` (what it is), its `Parameters`, inputs x of about unit size. Out: `z` of every
step, which a head reads as a distribution of the targets y, themselves of about unit size.

    z_t = x_t S + h_t W + b        a linear part runs past the net; W and S start at zero

    "normal"      y ~ z_0 + exp(z_1) * Normal
    "student_t"   y ~ z_0 + exp(z_1) * StudentT(df), df learned, one a target, above 2
    "quantiles"   q_0 = z_0, q_i = q_(i-1) + softplus(z_i): they cannot cross
    "classes"     P(y = 0) : P(y = i) is 1 : exp(z_(i-1))

A net so started is a constant; what it says first is what a linear model would.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from tilewright.models import recurrent
from tilewright.models.recurrent import Affine, Recurrent, State, Weights

Array = Any

NORMAL, STUDENT, QUANTILES, CLASSES = HEADS = ("normal", "student_t", "quantiles", "classes")
LEAST_DEGREES, USUAL_DEGREES = 2.0, 6.0
"""Degrees of freedom are 2 + 6 exp(QUICK d), d at 0 first and QUICK d at most MOST_LOG."""
MOST_LOG = 4.0
QUICK = 10.0
"""An optimiser moves all parameters by as much a step, and this one has far to go on its own."""
HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
STEEPEST = 10.0
"""Log-scales are held within this: exp(10) = 22,000 units of the target."""


@dataclass(frozen=True)
class Forecaster:
    """A causal net without a head of its own, the kind of head, and what is forecast."""

    net: Recurrent
    head: str = STUDENT
    targets: int = 1
    levels: tuple[float, ...] = ()
    classes: int = 0

    @property
    def width(self) -> int:
        """Of z."""
        each = {QUANTILES: len(self.levels), CLASSES: self.classes - 1}
        return self.targets * each.get(self.head, 2)


class Parameters(NamedTuple):
    """`log_degrees` (targets,) is there for Student's t alone."""

    net: Weights
    skip: Array  # (inputs, width)
    out: Affine  # (hidden, width)
    log_degrees: Array | None


def initial(form: Forecaster, key: Array) -> Parameters:
    """Random weights of the net, forget gates open (Jozefowicz et al. 2015), the rest at zero."""
    weights = recurrent.initial(form.net, key)
    layers = tuple(
        tuple(
            cell._replace(b=cell.b.at[layer.hidden : 2 * layer.hidden].set(1.0))
            if layer.kind == "lstm"
            else cell
            for cell in cells
        )
        for layer, cells in zip(form.net.layers, weights.layers, strict=True)
    )
    hidden = form.net.layers[-1].outputs
    return Parameters(
        weights._replace(layers=layers),
        jnp.zeros((form.net.inputs, form.width)),
        Affine(jnp.zeros((hidden, form.width)), _first_answer(form)),
        jnp.zeros(form.targets) if form.head == STUDENT else None,
    )


def _first_answer(form: Forecaster) -> Array:
    """z of a standard normal target: quantiles at its own, else location 0 and log-scale 0."""
    if form.head != QUANTILES:
        return jnp.zeros(form.width)
    places = jax.scipy.special.ndtri(jnp.asarray(form.levels))
    gaps = jnp.diff(places)
    return jnp.tile(jnp.concatenate([places[:1], jnp.log(jnp.expm1(gaps))]), form.targets)


def run(
    form: Forecaster, parameters: Parameters, state: tuple[State, ...], xs: Array
) -> tuple[tuple[State, ...], Array, Array]:
    """Steps on from a state: xs (steps, batch, inputs) to the state after them, z and h.

    z is (steps, batch, width), h (steps, batch, hidden) what the last layer says. All of a step is
    in one turn: read again for z afterwards, h would be turned round, which costs more than z.
    """

    def advance(state: tuple[State, ...], x: Array) -> tuple[tuple[State, ...], tuple[Array, ...]]:
        state, hidden = recurrent.step(form.net, parameters.net, state, x)
        z = x @ parameters.skip + hidden @ parameters.out.W + parameters.out.b
        return state, (z, hidden)

    state, (z, hidden) = jax.lax.scan(advance, state, xs)
    return state, z, hidden


def location_and_scale(form: Forecaster, z: Array, xp: Any = jnp) -> tuple[Array, Array]:
    """Of "normal" and "student_t", each (..., targets)."""
    pairs = z.reshape(*z.shape[:-1], form.targets, 2)
    return pairs[..., 0], xp.exp(xp.clip(pairs[..., 1], -STEEPEST, STEEPEST))


def degrees(log_degrees: Array, xp: Any = jnp) -> Array:
    """Of freedom, (targets,)."""
    return LEAST_DEGREES + USUAL_DEGREES * xp.exp(xp.minimum(QUICK * log_degrees, MOST_LOG))


def quantiles(form: Forecaster, z: Array, xp: Any = jnp) -> Array:
    """(..., targets, levels), rising."""
    each = z.reshape(*z.shape[:-1], form.targets, len(form.levels))
    gaps = xp.logaddexp(each[..., 1:], 0.0)
    return xp.cumsum(xp.concatenate([each[..., :1], gaps], axis=-1), axis=-1)


def logits(z: Array, xp: Any = jnp) -> Array:
    """Of a single target, (..., classes)."""
    return xp.concatenate([xp.zeros_like(z[..., :1]), z], axis=-1)


def loss(form: Forecaster, parameters: Parameters, z: Array, y: Array) -> Array:
    """Of each target y (..., targets): minus its log density, or mean pinball loss, doubled.

    Classes are the numbers 0.0, 1.0 and on. Pinball loss comes near the CRPS (Gneiting & Raftery
    2007), the nearer the more levels there are.
    """
    if form.head == QUANTILES:
        error = y[..., None] - quantiles(form, z)
        levels = jnp.asarray(form.levels)
        return 2 * jnp.mean(jnp.maximum(levels * error, (levels - 1) * error), axis=-1)
    if form.head == CLASSES:
        all_ = logits(z)
        own = jnp.take_along_axis(all_, y.astype(jnp.int32), axis=-1)
        return jax.nn.logsumexp(all_, axis=-1, keepdims=True) - own
    location, scale = location_and_scale(form, z)
    error = (y - location) / scale
    if parameters.log_degrees is None:
        return HALF_LOG_TAU + jnp.log(scale) + 0.5 * error * error
    df = degrees(parameters.log_degrees)
    constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * jnp.log(math.pi * df)
    return jnp.log(scale) + 0.5 * (df + 1) * jnp.log1p(error * error / df) - constant
