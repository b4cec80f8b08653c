"""Programs grown at random from a seed: loops in loops, carries that change places, branches that
pass operands on, updates in place. They are where memory is easily reused too early.

`program(seed)` is a function of two (3, 4) arrays and an integer; all programs are exact up to
rounding, so their values stay comparable.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

SHAPE = (3, 4)
DEPTH = 3
"""How deeply loops and branches nest."""

Scalars = list[Any]


def arguments(seed: int) -> tuple[np.ndarray, np.ndarray, np.int32]:
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(2, *SHAPE)).astype(np.float32)
    return x, y, np.int32(generator.integers(0, 5))


def program(seed: int) -> Callable[[Array, Array, Array], list[Array]]:
    def fn(x: Array, y: Array, n: Array) -> list[Array]:
        grower = Grower(random.Random(seed))
        values = grower.grow([x, y], [n, n + 1], 0)
        return [grower.choose(values) for _ in range(3)]

    return fn


class Grower:
    def __init__(self, source: random.Random):
        self.source = source

    def choose(self, values: list[Array]) -> Array:
        return self.source.choice(values)

    def grow(self, values: list[Array], scalars: Scalars, depth: int) -> list[Array]:
        """The values, and some computed from them."""
        values = list(values)
        kinds = [self.simple] * 11
        if depth < DEPTH:
            kinds += [self.counted, self.conditional, self.branch, self.branch, self.scan]
        for _ in range(self.source.randint(1, 6)):
            values += self.source.choice(kinds)(values, scalars, depth)
        return values

    def simple(self, values: list[Array], scalars: Scalars, _depth: int) -> list[Array]:
        a, b, s = self.choose(values), self.choose(values), self.source.choice(scalars)
        half = jnp.float32(0.5)
        makers: list[Callable[[], Array]] = [
            lambda: (a + b) * half,
            lambda: a * half - b,
            lambda: (a + b.sum(0)) * half,
            lambda: jnp.where(a > b, a, b),
            lambda: a[::-1],
            lambda: a.T.reshape(SHAPE),
            lambda: a.at[s % 3].set(b[0]),
            lambda: a.at[s % 3, 1].add(b[1, 2]),
            lambda: a.at[:, ::2].multiply(half),
            lambda: lax.dynamic_update_slice(a, b[:2, :2], (s % 2, s % 3)),
            lambda: lax.dynamic_slice(jnp.concatenate([a, b]), (s % 3, 0), SHAPE),
        ]
        return [self.source.choice(makers)()]

    def some(self, values: list[Array], least: int, most: int) -> list[Array]:
        return [self.choose(values) for _ in range(self.source.randint(least, most))]

    def results(self, old: list[Array], values: list[Array], count: int) -> tuple[Array, ...]:
        """New values, or old ones in other places."""
        sources = [values if self.source.random() < 0.6 else old for _ in range(count)]
        return tuple(map(self.choose, sources))

    def counted(self, values: list[Array], scalars: Scalars, depth: int) -> list[Array]:
        first, consts = self.some(values, 1, 4), self.some(values, 0, 2)
        state, turns, s = self.source.getrandbits(32), self.source.randint(1, 4), scalars[0]

        def step(i: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
            mine = Grower(random.Random(state))
            grown = mine.grow([*carry, *consts], [i, s + i], depth + 1)
            return mine.results(list(carry), grown, len(carry))

        return list(lax.fori_loop(0, turns, step, tuple(first)))

    def conditional(self, values: list[Array], scalars: Scalars, depth: int) -> list[Array]:
        first, turns = self.some(values, 1, 4), self.source.randint(1, 4)
        state, s = self.source.getrandbits(32), scalars[0]

        def step(carry: tuple[Array, ...]) -> tuple[Array, ...]:
            mine = Grower(random.Random(state))
            i, *rest = carry
            grown = mine.grow(rest, [i, s + i], depth + 1)
            return (i + 1, *mine.results(rest, grown, len(rest)))

        return list(lax.while_loop(lambda c: c[0] < turns, step, (jnp.int32(0), *first))[1:])

    def branch(self, values: list[Array], scalars: Scalars, depth: int) -> list[Array]:
        operands, count = self.some(values, 1, 4), self.source.randint(1, 4)
        states = [self.source.getrandbits(32) for _ in range(self.source.randint(2, 3))]
        s = self.source.choice(scalars)

        def case(state: int) -> Callable[..., tuple[Array, ...]]:
            def run(*given: Array) -> tuple[Array, ...]:
                mine = Grower(random.Random(state))
                return mine.results(list(given), mine.grow(list(given), [s], depth + 1), count)

            return run

        return list(lax.switch(s % len(states), [case(state) for state in states], *operands))

    def scan(self, values: list[Array], scalars: Scalars, depth: int) -> list[Array]:
        xs, first = jnp.stack(self.some(values, 3, 3)), self.some(values, 1, 3)
        state, reverse = self.source.getrandbits(32), self.source.random() < 0.3

        def step(carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
            mine = Grower(random.Random(state))
            grown = mine.grow([*carry, x], scalars, depth + 1)
            return mine.results([*carry, x], grown, len(carry)), mine.choose(grown)

        carry, ys = lax.scan(step, tuple(first), xs, reverse=reverse)
        return [*carry, ys[1]]
