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
from tilewright.models.bnn import CONSTANT, KINDS, NET, Form

AUTO = "auto"
"""A scale that is decided by the data."""
MOST_DEGREES = 1e6
"""Of freedom: the noise is normal long before."""
MOST_LAYERS = 3
LEAPFROGS = 20
"""Of a trajectory under the prior "returns"."""


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
