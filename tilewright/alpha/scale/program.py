"""A chain of a window as a compiled program, one for all windows of a shape however many there are.

In: a window's rows, and for each chain a key and a state. Out: `Chained` of each, and of all chains
of a window a `Fit`. A chain's key depends on seed, series, first test day and chain alone, so
neither where it runs, nor the order of the work, nor what was done before changes a draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from tilewright.alpha.controls import SERIES
from tilewright.alpha.keys import chain_keys, root_key
from tilewright.alpha.scale.chain import Chained, sample_chain
from tilewright.alpha.scale.fit import Fit, State, example, form_of
from tilewright.alpha.scale.panel import Rows
from tilewright.alpha.scale.settings import ScaleChain, ScaleSettings
from tilewright.alpha.walking.windows import Window
from tilewright.models.bnn import Form

COLD = 4
"""One chain in so many starts cold in every window: it finds what the others are locked out of."""


class Part(NamedTuple):
    """One chain of a window, with a leading axis of 1, and what its features are divided by."""

    chained: Chained
    centre: np.ndarray  # (28,)
    spread: np.ndarray


def fit_window(
    settings: ScaleSettings, rows: Rows, window: Window, state: State | None, series: str
) -> Fit:
    """Sample a window, one chain after the other; all start cold where there is no state."""
    states = [of_chain(settings, state, chain) for chain in range(settings.chains)]
    runs = (begin_chain(settings, rows, window, series, *one) for one in enumerate(states))
    return fit_of(settings, [Part(run.result(), rows.centre, rows.spread) for run in runs], state)


def begin_chain(
    settings: ScaleSettings,
    rows: Rows,
    window: Window,
    series: str,
    chain: int,
    state: State | None,
) -> Any:
    """A `Run` of one chain, whose result is `Chained` with a leading axis of 1; cold if no state.

    `state` is that of this chain alone.
    """
    key = keys_of(settings, window, series)[chain : chain + 1]
    cold, state = np.array([state is None]), state or nothing(settings)
    return program(settings, len(rows.y)).start(
        key, cold, state.position, state.variance, state.step_size, rows.X, rows.y, rows.weight
    )


def fit_of(settings: ScaleSettings, parts: Sequence[Part], state: State | None) -> Fit:
    """The window's model, of its chains in their order and the state that they were given."""
    import jax

    found = Chained(
        *jax.tree.map(lambda *leaves: np.concatenate(leaves), *(p.chained for p in parts))
    )
    return Fit(
        positions=found.positions,
        centre=parts[0].centre,
        spread=parts[0].spread,
        linear=np.asarray(found.linear)[0],
        state=State(found.last, _pooled(np.asarray(found.variance)), np.asarray(found.step_size)),
        cold=cold_chains(settings, state is None),
        acceptance=np.asarray(found.acceptance, np.float64),
        divergences=np.asarray(found.divergences, np.float64),
        gradients=np.asarray(found.gradients, np.float64),
        log_density=np.asarray(found.log_density),
    )


def of_chain(settings: ScaleSettings, state: State | None, chain: int) -> State | None:
    """What of a window's state is for one chain; None if it starts cold."""
    import jax

    if state is None or cold_chains(settings, False)[chain]:
        return None
    own = slice(chain, chain + 1)
    return State(
        jax.tree.map(lambda leaf: leaf[own], state.position),
        state.variance[own],
        state.step_size[own],
    )


def cold_chains(settings: ScaleSettings, opens: bool) -> np.ndarray:
    """Which chains start without a state, (chains,); all do where a sequence opens."""
    everywhere = opens or not settings.warm
    return np.array([everywhere or i % COLD == 0 for i in range(settings.chains)])


def nothing(settings: ScaleSettings) -> State:
    """What a cold chain is passed for a state: shapes count, and numbers that do no harm."""
    import jax

    position = jax.tree.map(lambda leaf: np.zeros((1, *leaf.shape), np.float32), example(settings))
    count = sum(leaf[0].size for leaf in jax.tree.leaves(position))
    return State(position, np.ones((1, count), np.float32), np.ones(1, np.float32))


def keys_of(settings: ScaleSettings, window: Window, series: str) -> Any:
    """A key for each chain."""
    import jax

    made = root_key(settings.seed)
    for number in (SERIES.index(series), int(window.day.replace("-", ""))):
        made = jax.random.fold_in(made, np.uint32(number))
    return jax.random.split(made, settings.chains)


def _pooled(variance: np.ndarray) -> np.ndarray:
    """Of all chains, for each: their metrics next time, (chains, coordinates)."""
    return np.repeat(variance.mean(axis=0, keepdims=True), len(variance), axis=0)


def program(settings: ScaleSettings, rows: int) -> Any:
    """The program of a job, for windows of so many rows."""
    return compiled(settings.chain, form_of(settings), settings.machine, rows)


@lru_cache(maxsize=4)
def compiled(chain: ScaleChain, form: Form, machine: str, rows: int) -> Any:
    """The program for one chain of any window of a shape; on one tile, so that several can run."""
    import jax

    import tilewright
    from tilewright.models import bnn

    position = jax.eval_shape(lambda: bnn.initial(root_key(0), form, False))
    numbers = jax.tree.map(lambda leaf: _array(1, *leaf.shape), position)
    count = sum(leaf.size for leaf in jax.tree.leaves(position))
    return tilewright.compile(
        tilewright.tile_map(
            partial(sample_chain, chain, form), in_axes=(0, 0, 0, 0, 0, None, None, None)
        ),
        jax.eval_shape(lambda: chain_keys(0, 1)),
        jax.ShapeDtypeStruct((1,), np.bool_),
        numbers,
        _array(1, count),
        _array(1),
        _array(rows, form.features),
        _array(rows),
        _array(rows),
        machine=machine,
        tiles=1,
    )


def _array(*shape: int) -> Any:
    import jax

    return jax.ShapeDtypeStruct(shape, np.float32)
