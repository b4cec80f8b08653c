"""A window's fitted model in a file: its draws, what they need to forecast, and where chains ended.

In: what the chains of a window gave. Out: a `Fit`, written whole or not at all, and its forecasts.
"""

from __future__ import annotations

import io
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.mixture import Mixture
from tilewright.alpha.priors import each_draw
from tilewright.alpha.scale.settings import FLOOR, ScaleSettings
from tilewright.alpha.scale.units import apart, units_of
from tilewright.alpha.walking.archive import arrays_in
from tilewright.alpha.windows import own_inside
from tilewright.files import write_bytes
from tilewright.frozen import frozen
from tilewright.models import bnn

BLOCK = 4096
"""Rows whose draws are in memory at a time."""


@frozen
class State:
    """Where chains ended, and how they moved: leaves have a leading axis of chains."""

    position: Any  # of `models.bnn`
    variance: np.ndarray  # (chains, coordinates): the metric's inverse
    step_size: np.ndarray  # (chains,)


@frozen
class Fit:
    """Draws of one window; features are standardised by `centre` and `spread`."""

    positions: Any  # leaves (chains, draws, ...)
    centre: np.ndarray  # (28,)
    spread: np.ndarray
    linear: np.ndarray  # (1 + 28, units): of given units, what is taken away; or empty
    state: State
    cold: np.ndarray  # (chains,) bool: started without a state
    acceptance: np.ndarray  # (chains,)
    divergences: np.ndarray
    gradients: np.ndarray
    log_density: np.ndarray  # (chains, draws)

    def save(self, path: Path) -> None:
        """All or nothing; raises OSError."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        tree = {"positions": plain.pop("positions"), **state_arrays(plain.pop("state"))}
        content = io.BytesIO()
        np.savez(content, **plain, **_named(tree.pop("positions"), "positions"), **tree)
        write_bytes(path, content.getvalue())

    @staticmethod
    def load(path: Path, settings: ScaleSettings) -> Fit:
        """What `save` wrote; raises `AlphaError` for a file that is damaged."""
        arrays = arrays_in(path)
        pattern = example(settings)
        positions, state = _tree(arrays, "positions", pattern), state_of(arrays, pattern)
        plain = {
            f.name: arrays[f.name] for f in fields(Fit) if f.name not in ("positions", "state")
        }
        return Fit(positions=positions, state=state, **plain)

    def rows(self, features: np.ndarray) -> np.ndarray:
        """Features (rows, 28), standardised as the training rows were."""
        return own_inside(np.asarray(features, np.float64), self.centre, self.spread)

    def _seen(self, X: np.ndarray) -> np.ndarray:
        """Standardised rows as the net sees them: with the units that are given."""
        if not self.linear.size:
            return X
        units = units_of(X, self.linear.shape[1], np)
        return np.concatenate([X, apart(X, units, self.linear.astype(np.float64))], axis=1)

    def forecasts(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of standardised rows: mean and scale (chains, draws, rows), df (chains, draws)."""
        chains, draws = self.log_density.shape
        mean, scale = (np.empty((chains, draws, len(X))) for _ in range(2))
        df, X = np.empty((chains, draws)), self._seen(X)
        for place, at in each_draw(self.positions):
            location, log_scale = bnn.heads(at, X, np, FLOOR)
            mean[place], scale[place] = location, np.exp(log_scale)
            df[place] = bnn.degrees(at, 1.0, np)
        return mean, scale, df

    def distribution(self, X: np.ndarray) -> Mixture:
        """The predictive distribution of standardised rows, in units of the target.

        Raises `AlphaError` where a chain has left all numbers behind.
        """
        mean, scale, df = self.forecasts(X)
        if not (np.isfinite(mean).all() and np.isfinite(scale).all() and np.isfinite(df).all()):
            raise AlphaError("The chains of this model diverged: it has no forecast.")
        return Mixture(mean.reshape(-1, len(X)), scale.reshape(-1, len(X)), df.ravel())


def form_of(settings: ScaleSettings) -> bnn.Form:
    """The net that is sampled."""
    from tilewright.alpha.scale_features import NAMES

    features = len(NAMES) + len(settings.features)
    return bnn.Form(features, settings.mean, settings.scale, scale_hidden=(settings.hidden,))


def example(settings: ScaleSettings) -> Any:
    """A position, of which structure and shapes count."""
    return _pattern(form_of(settings))


@lru_cache(maxsize=16)
def _pattern(form: bnn.Form) -> Any:
    """Traced once: every file of a job is read by it."""
    import jax

    from tilewright.alpha.keys import root_key

    return jax.eval_shape(lambda: bnn.initial(root_key(0), form, False))


def state_arrays(state: State) -> dict[str, np.ndarray]:
    """As they are in a file."""
    named = _named(state.position, "state")
    return {**named, "variance": state.variance, "step_size": state.step_size}


def state_of(arrays: dict[str, np.ndarray], pattern: Any) -> State:
    """What `state_arrays` made."""
    return State(_tree(arrays, "state", pattern), arrays["variance"], arrays["step_size"])


def _named(tree: Any, name: str) -> dict[str, np.ndarray]:
    import jax

    return {f"{name}_{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}


def _tree(arrays: dict[str, np.ndarray], name: str, pattern: Any) -> Any:
    import jax

    structure = jax.tree.structure(pattern)
    return jax.tree.unflatten(
        structure, [arrays[f"{name}_{i}"] for i in range(structure.num_leaves)]
    )
