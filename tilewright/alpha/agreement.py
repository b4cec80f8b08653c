"""Chains of an estimator, which go on while they disagree.

In: a prior, keys, a float32 array each of rows, targets, degrees of freedom and perhaps weights.
Out: `Draws` of all chains, as many as were asked for. Chains that go on double their length and
keep every second draw, so that draws lie twice as far apart and memory stays what it was. The first
program is the same whether they do or not; a second one for going on, of whatever length, is
compiled where it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from tilewright.alpha.priors import Learned, Prior
from tilewright.alpha.sample import Draws

AGAIN = 2
"""Of a chain's key, for what comes after its first draws: they were of its parts 0 and 1."""


def sample_until(
    enough: Callable[[Draws], bool], prior: Prior, machine: str, keys: Any, data: tuple[Any, ...]
) -> tuple[Draws, int]:
    """Draws, and how many times as long as asked the chains became, until `enough(draws)`."""
    program = _program(prior)
    draws, tuned = _compiled(program, machine, len(keys), *_shapes(data))(keys, *data)
    times = 1
    while not enough(draws) and isinstance(prior, Learned):
        if 2 * times > prior.chain.patience:
            break
        times *= 2
        run = _compiled_longer(program, machine, *_kinds(tuned), len(keys), *_shapes(data))
        more, tuned = run(keys, tuned, np.int32(times * prior.chain.thin), *data)
        draws = _joined(draws, more)
    return draws, times


def _program(prior: Prior) -> Prior:
    """As its programs see it: how often they are run is not their business."""
    if not isinstance(prior, Learned):
        return prior
    return replace(prior, chain=replace(prior.chain, patience=1))


def _joined(old: Draws, new: Draws) -> Draws:
    """Every second of the old draws, and the new ones: as many transitions of either."""
    import jax

    def both(a: Any, b: Any) -> np.ndarray:
        return np.concatenate([np.asarray(a)[:, 1::2], np.asarray(b)], axis=1)

    return Draws(
        jax.tree.map(both, old.kept, new.kept),
        both(old.log_density, new.log_density),
        (np.asarray(old.acceptance) + np.asarray(new.acceptance)) / 2,
        np.asarray(old.divergences) / 2 + np.asarray(new.divergences),
        np.asarray(old.leapfrogs) + np.asarray(new.leapfrogs),
        old.step_size,
        old.warm_up,
    )


def _longer(prior: Learned, key: Any, tuned: Any, thin: Any, *data: Any) -> tuple[Any, Any]:
    """The half of one chain's draws that is new."""
    import jax

    new = prior.chain.draws - prior.chain.draws // 2
    key = jax.random.fold_in(jax.random.fold_in(key, AGAIN), thin)
    return prior.go_on(jax.random.split(key, new), tuned, thin, *data)


def _kinds(tuned: Any) -> tuple[Any, tuple[Any, ...]]:
    """The tree of what the first program gave, and types of its leaves: tracing would tell them,
    too, but takes as long as that program's own."""
    import jax

    leaves, tree = jax.tree.flatten(tuned)
    return tree, tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)


def _shapes(data: tuple[Any, ...]) -> tuple[int, int, bool]:
    """Rows, features, and whether rows have weights."""
    return *data[0].shape, len(data) > 3


@lru_cache(maxsize=8)
def _compiled(
    prior: Prior, machine: str, chains: int, rows: int, features: int, weighted: bool
) -> Any:
    """The program for all data of one shape."""
    keys, data = _given(chains, rows, features, weighted)
    return _mapped(prior.sample, machine, (keys,), data)


@lru_cache(maxsize=8)
def _compiled_longer(
    prior: Learned,
    machine: str,
    tree: Any,
    kinds: tuple[Any, ...],
    chains: int,
    rows: int,
    features: int,
    weighted: bool,
) -> Any:
    """The program by which chains go on, by draws as far apart as they are told.

    `tree` and `kinds` are those of what they were tuned to (chains, ...).
    """
    import jax

    keys, data = _given(chains, rows, features, weighted)
    tuned, thin = jax.tree.unflatten(tree, kinds), jax.ShapeDtypeStruct((), np.int32)
    return _mapped(partial(_longer, prior), machine, (keys, tuned), [thin, *data])


def _given(chains: int, rows: int, features: int, weighted: bool) -> tuple[Any, list[Any]]:
    """Keys of chains, and data."""
    import jax

    from tilewright.alpha.keys import chain_keys

    shapes = [(rows, features), (rows,), (), *[(rows,)] * weighted]
    data: list[Any] = [jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes]
    return jax.eval_shape(lambda: chain_keys(0, chains)), data


def _mapped(chain: Callable, machine: str, each: tuple[Any, ...], shared: list[Any]) -> Any:
    """A program of a chain for each of `each`, all of them with what is shared."""
    import tilewright

    axes = (*[0] * len(each), *[None] * len(shared))
    mapped = tilewright.tile_map(chain, in_axes=axes)
    return tilewright.compile(mapped, *each, *shared, machine=machine)
