"""From an estimator's parameters to what is sampled: every one checked, in one sentence if wrong.

In: the parameters, unchecked, as scikit-learn wants them stored. Out: a `Prior`. Raises
`AlphaError` for a value that cannot be, and for one that the chosen prior has no use for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.priors import LEARNED, PRIORS, RETURNS, Learned, Prior, Returns, Talk
from tilewright.alpha.settings import Chain, Sampler, between, check_run, choice, whole
from tilewright.alpha.windows import moments
from tilewright.doubts import is_constant
from tilewright.models.bnn import CONSTANT, KINDS, NET, Form

AUTO = "auto"
"""A scale that is decided by the data."""
MOST_DEGREES = 1e6
"""Of freedom: the noise is normal long before."""
MOST_LAYERS = 3
LEAPFROGS = 20
"""Of a trajectory under the prior "returns"."""
LEAST_VARIANCE = float(np.finfo(np.float64).tiny)
"""That float64 holds with all its digits."""


def prior_of(given: Any, features: int, seed: Any, scale: str = CONSTANT) -> Prior:
    """The prior that an estimator's parameters describe, for data with so many features.

    `scale` is what was decided where that is left to the data.
    """
    choice("prior", given.prior, PRIORS)
    choice("mean", given.mean, KINDS)
    choice("scale", given.scale, (AUTO, *KINDS))
    hidden = _layers("hidden", given.hidden)
    scale_hidden = _layers("scale_hidden", given.scale_hidden)
    check_run(given.chains, seed, given.machine)
    if given.df is not None:
        between("df", given.df, 1, MOST_DEGREES)
    if given.signal is not None:
        between("signal", given.signal, 0, 1)
    if given.relevance is not None and not isinstance(given.relevance, bool):
        raise AlphaError(f"relevance must be True or False, not {given.relevance!r}.")
    whole("patience", given.patience, 1)
    if given.prior == LEARNED:
        relevance = given.relevance is not False
        scale = scale if given.scale == AUTO else given.scale
        form = Form(features, given.mean, scale, hidden, scale_hidden, relevance)
        return Learned(_chain(given), form, given.df is not None)
    _refuse_heads(given, hidden)
    if given.prior == RETURNS:
        return Returns(_sampler(given, hidden[0]), features)
    return Talk(_chain(given), features, hidden[0])


def weights_of(sample_weight: Any, rows: int) -> np.ndarray:
    """How often each row counts, (rows,); raises ValueError for what says nothing of the sort."""
    try:
        weight = np.asarray(sample_weight, np.float64)
    except (TypeError, ValueError):
        raise ValueError("sample_weight must hold numbers.") from None
    if weight.shape == ():
        weight = np.full(rows, float(weight))
    if weight.shape != (rows,):
        raise ValueError(
            f"sample_weight.shape == {weight.shape}, expected {(rows,)}: a weight for each row."
        )
    wrong = ~(np.isfinite(weight) & (weight >= 0))
    if wrong.any():
        at = int(wrong.argmax())
        raise ValueError(
            f"sample_weight must be finite and 0 or more, not {weight[at]:g}, as of row {at}."
        )
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight


def numbers_of(y: np.ndarray) -> np.ndarray:
    """A target (rows,), float64; raises ValueError for text, for yes and no, and for gaps."""
    if y.dtype.kind not in "iuf":
        what = {"b": "True and False", "U": "text"}.get(y.dtype.kind, str(y.dtype))
        raise ValueError(f"y must hold numbers, not {what}.")
    if np.isnan(y).any():
        raise ValueError("y contains NaN, or nothing, in some rows.")
    return y.astype(np.float64)


def moments_of(values: np.ndarray, weight: np.ndarray | None, what: str) -> tuple[Any, Any]:
    """Mean and deviation over rows (rows, ...), which are called `what`.

    Raises ValueError where float64 cannot hold the variance.
    """
    centre, spread = moments(values, weight)
    if not (np.isfinite(centre).all() and np.isfinite(spread).all()):
        raise ValueError(f"{what} is too large: its variance is infinite.")
    counted = values.reshape(len(values), -1)
    counted = counted if weight is None else counted[weight > 0]
    if (~is_constant(counted) & (np.ravel(spread) ** 2 < LEAST_VARIANCE)).any():
        raise ValueError(
            f"{what} is too small: its variance is below {LEAST_VARIANCE:.0e}. Take other units."
        )
    return centre, spread


def _layers(name: str, value: Any) -> tuple[int, ...]:
    """Units of each layer."""
    layers = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if not 1 <= len(layers) <= MOST_LAYERS:
        raise AlphaError(f"{name} must have 1 to {MOST_LAYERS} layers, not {len(layers)}.")
    for units in layers:
        whole(name, units, 1)
    return tuple(int(units) for units in layers)


def _refuse_heads(given: Any, hidden: tuple[int, ...]) -> None:
    """The fixed priors have one layer, and noise of one scale."""
    asked = {"mean": given.mean != NET, "scale": given.scale not in (AUTO, CONSTANT)}
    asked |= {"relevance": given.relevance, "hidden": len(hidden) > 1}
    for name in (name for name, other in asked.items() if other):
        raise AlphaError(
            f"{name}={getattr(given, name)!r} needs the prior 'learned': with {given.prior!r} "
            "there is a net of one layer for the mean, and one scale for all noise."
        )


def _chain(given: Any) -> Chain:
    """Of chains that adapt everything."""
    if given.precision != "float32":
        raise AlphaError(
            f"precision must be 'float32' with the prior {given.prior!r}, whose warm-up is by "
            f"NUTS, not {given.precision!r}."
        )
    chain = Chain(
        given.sampler, given.warmup, given.draws, given.thin, given.leapfrogs, given.doublings,
        patience=given.patience if given.prior == LEARNED else 1,
    )  # fmt: skip
    chain.check()
    return chain


def _sampler(given: Any, hidden: int) -> Sampler:
    """Of chains with a fixed metric."""
    leapfrogs = LEAPFROGS if given.leapfrogs is None else given.leapfrogs
    chain = Sampler(
        given.sampler, given.warmup, given.draws, leapfrogs, hidden, precision=given.precision
    )
    chain.check()
    return chain
