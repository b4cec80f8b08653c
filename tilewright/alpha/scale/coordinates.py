"""The coordinates that a chain moves in: positions of `models.bnn`, turned and stretched.

In: the window's rows. Out: maps from a chain's coordinates to a position and back, and the log of
the volume that the first stretches, so that the posterior is the same.

*Turned*: features of volatility go together, and so do their weights a posteriori. Weights of
features are taken along the eigenvectors of the rows' second moments; their prior is the same in
all directions, so a diagonal metric fits prior and likelihood both.

*Stretched*: a weight's coordinate is the weight over its layer's scale to the power 1 - c. Where
data pin the weight down, c = 1 (centred) is best, where they say nothing, c = 0 (Papaspiliopoulos,
Roberts & Sköld 2007). c is the share of the likelihood in the weight's precision: of a linear part
it is known beforehand, of a net it is worked out for scales that are usual where a net is of use.

(Units that are given are turned like features; `units.py` keeps them apart from the linear part.)

*Apart*: a net does much of what its linear part and constant do. What moves is the linear part of
both together, of which the data tell: from it the net's best linear approximation is taken. For a
unit tanh(b + w x) and normal x that is E tanh + E tanh' w x (Stein 1981), with the moments of a
probit: E tanh(z) = tanh(k E z), k = (1 + pi/2 var z)^(-1/2) (MacKay 1992). A shift by a function of
other coordinates changes no volume.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax.numpy as jnp

from tilewright.models.bnn import MEAN, SCALE, Head, Position, Prior, Weights, weights_of

Array = Any

HALF = 0.5
"""The c of a `Position`."""
LINEAR, LAYER, OUT, UNITS = 0.5, 2.0, 3.0, 8
"""Usual scales, over their medians, and units."""
VARIANCE, SLOPE = 0.4, 0.3
"""Of a unit's output; the mean square of its slope."""
INFORMATION = 1.2
"""Of a row about its log-scale: 2 df / (df + 3), at some 5 degrees of freedom (Lange et al. 1989).
About its mean it is (df + 1) / (df + 3) over the squared scale, which is about as much."""


class Centring(NamedTuple):
    """The c of a head's weights."""

    linear: Array  # (features,)
    layer: Array  # (features,) of the first layer
    out: Array  # (), or (units,) of given units


class Coordinates(NamedTuple):
    """`turn` (features, features) is orthogonal; `spread` are the variances of the rows along it;
    then the c of both heads."""

    turn: Array
    spread: Array  # (features,)
    mean: Centring
    scale: Centring
    units: Array | None  # (units, units): the turn of given units


def coordinates_of(X: Array, weight: Array, units: Array | None = None) -> Coordinates:
    """Those that suit rows X (rows, features) that count by `weight` (rows,).

    `units` (rows, units) are those that are given, if they are.
    """
    moments, turn = _directions(X, weight)
    rows = jnp.sum(weight)
    mean, scale = (_centring(moments, rows, prior) for prior in (MEAN, SCALE))
    if units is None:
        return Coordinates(turn, moments / rows, mean, scale, None)
    known, across = _directions(units, weight)
    told = INFORMATION * known * (OUT * SCALE.out) ** 2 / len(known)
    return Coordinates(turn, moments / rows, mean, scale._replace(out=told / (1 + told)), across)


def _directions(X: Array, weight: Array) -> tuple[Array, Array]:
    """Second moments of rows along their eigenvectors, and these."""
    moments, turn = jnp.linalg.eigh((X * weight[:, None]).T @ X)
    return jnp.maximum(moments, 0.0), turn


def _centring(moments: Array, rows: Array, prior: Prior) -> Centring:
    """The likelihood's share of each weight's precision."""
    features = len(moments)
    linear = (LINEAR * prior.linear) ** 2 / features
    layer = (LAYER * prior.layer) ** 2 / features
    out = (OUT * prior.out) ** 2 / UNITS
    told = Centring(moments * linear, moments * layer * out * SLOPE, rows * out * VARIANCE)
    return Centring(*(INFORMATION * part / (1 + INFORMATION * part) for part in told))


def position_of(at: Position, coordinates: Coordinates) -> Position:
    """The position that a chain's coordinates stand for."""

    def head(at: Head, prior: Prior, c: Centring) -> Head:
        found = _apart(_stretched(at, c, 1.0), prior, coordinates.spread, -1.0)
        return _turned(found, coordinates.turn, coordinates.units)

    return _both(at, coordinates, head)


def at_position(position: Position, coordinates: Coordinates) -> Position:
    """The chain's coordinates of a position."""

    def head(at: Head, prior: Prior, c: Centring) -> Head:
        units = None if coordinates.units is None else coordinates.units.T
        found = _turned(at, coordinates.turn.T, units)
        return _stretched(_apart(found, prior, coordinates.spread, 1.0), c, -1.0)

    return _both(position, coordinates, head)


def log_volume(at: Position, coordinates: Coordinates) -> Array:
    """Log of the determinant of `position_of`, ()."""
    found = jnp.zeros(())
    for head, c in ((at.mean, coordinates.mean), (at.scale, coordinates.scale)):
        for part, centring in _parts(head, c):
            share = jnp.broadcast_to(HALF - centring, part.values.shape)
            found = found + jnp.sum(share) * part.log_scale
    return found


def _parts(head: Head, c: Centring) -> list[tuple[Weights, Array]]:
    """Weights that are stretched, and their c; layers after the first stay as they are."""
    found = [] if head.linear is None else [(head.linear, c.linear)]
    found += [(layer.W, c.layer[:, None]) for layer in head.layers[:1]]
    return found if head.out is None else [*found, (head.out, c.out)]


def _both(at: Position, coordinates: Coordinates, head: Any) -> Position:
    return at._replace(
        mean=head(at.mean, MEAN, coordinates.mean),
        scale=head(at.scale, SCALE, coordinates.scale),
    )


def _stretched(head: Head, c: Centring, sign: float) -> Head:
    """From a chain's c to a position's, or back with a sign of -1."""
    new = [
        part._replace(values=part.values * jnp.exp(sign * (HALF - centring) * part.log_scale))
        for part, centring in _parts(head, c)
    ]
    linear = new.pop(0) if head.linear is not None else None
    first = tuple(layer._replace(W=new.pop(0)) for layer in head.layers[:1])
    return Head(head.constant, linear, first + head.layers[1:], new.pop() if new else None)


def _turned(head: Head, turn: Array, units: Array | None) -> Head:
    """Weights of features, and of given units, in another basis."""

    def turned(part: Weights, turn: Array) -> Weights:
        return part._replace(values=turn @ part.values)

    first = tuple(layer._replace(W=turned(layer.W, turn)) for layer in head.layers[:1])
    linear = None if head.linear is None else turned(head.linear, turn)
    out = head.out
    if out is not None and not head.layers and units is not None:
        out = turned(out, units)
    return head._replace(linear=linear, layers=first + head.layers[1:], out=out)


def _apart(head: Head, prior: Prior, spread: Array, sign: float) -> Head:
    """Add the net's best linear approximation to constant and linear part, `sign` times."""
    if head.linear is None or head.out is None or len(head.layers) != 1:
        return head
    (layer,), linear = head.layers, head.linear
    W, out = weights_of(layer.W, prior.layer), weights_of(head.out, prior.out)
    slower = 1 / jnp.sqrt(1 + math.pi / 2 * (spread @ (W * W)))
    level = jnp.tanh(slower * layer.b)
    slope = W @ (out * slower * (1 - level * level))
    unit = jnp.exp(HALF * linear.log_scale) * (prior.linear / math.sqrt(len(spread)))
    return head._replace(
        constant=head.constant + sign * (out @ level),
        linear=linear._replace(values=linear.values + sign * slope / unit),
    )
