"""All chains of a window as one compiled program, whatever the window and however many there are.

In: a window's rows, a key and a state for each chain. Out: a `Fit`. A chain's key depends on seed,
series, first test day and chain alone, so neither the order of the work nor what was done before
changes a draw. A cold chain costs several warm ones and is started first.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np

from tilewright.alpha.controls import SERIES
from tilewright.alpha.keys import chain_keys, root_key
from tilewright.alpha.scale.chain import ScaleChain, sample_chain
from tilewright.alpha.scale.fit import Fit, State, example, form_of
from tilewright.alpha.scale.panel import Rows
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.scale.windows import Window
from tilewright.alpha.scale_features import NAMES
from tilewright.models.bnn import Form

COLD = 4
"""One chain in so many starts cold in every window: it finds what the others are locked out of."""


def fit_window(
    settings: ScaleSettings, rows: Rows, window: Window, state: State | None, series: str
) -> Fit:
    """Sample a window; all chains start cold where there is no state."""
    program = compiled(settings.chain, form_of(settings), settings.machine, settings.chains,
                       len(rows.y))  # fmt: skip
    cold = cold_chains(settings, state)
    state = state or nothing(settings)
    keys = keys_of(settings, window, series)
    found = program(
        keys, cold, state.position, state.variance, state.step_size, rows.X, rows.y, rows.weight
    )
    return Fit(
        positions=found.positions,
        centre=rows.centre,
        spread=rows.spread,
        linear=np.asarray(found.linear)[0],
        state=State(found.last, _pooled(np.asarray(found.variance)), np.asarray(found.step_size)),
        cold=cold,
        acceptance=np.asarray(found.acceptance, np.float64),
        divergences=np.asarray(found.divergences, np.float64),
        gradients=np.asarray(found.gradients, np.float64),
        log_density=np.asarray(found.log_density),
    )


def cold_chains(settings: ScaleSettings, state: State | None) -> np.ndarray:
    """Which chains start without a state, (chains,)."""
    everywhere = state is None or not settings.warm
    return np.array([everywhere or i % COLD == 0 for i in range(settings.chains)])


def nothing(settings: ScaleSettings) -> State:
    """What is passed where there is no state: shapes count, and numbers that do no harm."""
    import jax

    chains = settings.chains
    position = jax.tree.map(
        lambda leaf: np.zeros((chains, *leaf.shape), np.float32), example(settings)
    )
    count = sum(leaf[0].size for leaf in jax.tree.leaves(position))
    return State(position, np.ones((chains, count), np.float32), np.ones(chains, np.float32))


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


@lru_cache(maxsize=4)
def compiled(chain: ScaleChain, form: Form, machine: str, chains: int, rows: int) -> Any:
    """The program for all windows of a shape."""
    import jax

    import tilewright
    from tilewright.alpha.keys import root_key
    from tilewright.models import bnn

    position = jax.eval_shape(lambda: bnn.initial(root_key(0), form, False))
    numbers = jax.tree.map(lambda leaf: _array(chains, *leaf.shape), position)
    count = sum(leaf.size for leaf in jax.tree.leaves(position))
    return tilewright.compile(
        tilewright.tile_map(
            partial(sample_chain, chain, form), in_axes=(0, 0, 0, 0, 0, None, None, None)
        ),
        jax.eval_shape(lambda: chain_keys(0, chains)),
        jax.ShapeDtypeStruct((chains,), np.bool_),
        numbers,
        _array(chains, count),
        _array(chains),
        _array(rows, len(NAMES)),
        _array(rows),
        _array(rows),
        machine=machine,
    )


def _array(*shape: int) -> Any:
    import jax

    return jax.ShapeDtypeStruct(shape, np.float32)
