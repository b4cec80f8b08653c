"""A training step of the talk's net, 64 windows of 200 steps, beside PyTorch's.

A step is squared loss, gradient and plain descent; weights are PyTorch's initial ones, overwritten
in place by both. One thread each, whose processor time counts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from tilewright.bench.beside import beside, unless_pretended
from tilewright.bench.precision import HIDDEN, INPUTS, STEPS, net_of
from tilewright.bench.record import Row
from tilewright.bench.recurrent import timed
from tilewright.bench.rounds import compare

BATCH, RATE = 64, 1e-2
AGAINST = 1.5
"""Times as fast as PyTorch."""

Step = Callable[[np.ndarray, np.ndarray], Any]
"""One step on windows (batch, steps, inputs) and targets (batch,): its loss."""


def run(rounds: int, hidden: int = HIDDEN, steps: int = STEPS, batch: int = BATCH) -> list[Row]:
    """Nothing without PyTorch."""
    if find_spec("torch") is None:
        return []
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(batch, steps, INPUTS)).astype(np.float32)
    ys = rng.normal(size=batch).astype(np.float32)
    source = net_of(hidden)
    mine, theirs = _ours(source, xs, ys), _torch(source)
    for _ in range(2):  # the second one is of weights that the first one changed
        np.testing.assert_allclose(mine(xs, ys), theirs(xs, ys), rtol=1e-4)
    runs = {"tilewright": mine, "PyTorch": theirs}
    measured = compare({who: timed(partial(step, xs, ys)) for who, step in runs.items()}, rounds)
    name = f"talk's net, a training step, {batch} × {steps}"
    return [beside("learning", name, measured, "tilewright", "PyTorch", unless_pretended(AGAINST))]


def _ours(source: Any, xs: np.ndarray, ys: np.ndarray) -> Step:
    import jax
    import jax.numpy as jnp

    import tilewright
    from tilewright.models.recurrent import window
    from tilewright.sequence import load

    model = load(source)

    def step(weights: Any, xs: Any, ys: Any) -> Any:
        def loss(weights: Any) -> Any:
            return jnp.mean((window(model.net, weights, xs)[:, 0] - ys) ** 2)

        value, slope = jax.value_and_grad(loss)(weights)
        return jax.tree.map(lambda w, g: w - RATE * g, weights, slope), value

    return tilewright.compile(step, model.weights, xs, ys, state="weights", tiles=1)


def _torch(net: Any) -> Step:
    torch = import_module("torch")
    for name, value in net.named_parameters():  # of two biases that are added one stays
        value.requires_grad_("bias_hh" not in name)
    optimiser = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], RATE)

    def step(xs: np.ndarray, ys: np.ndarray) -> float:
        optimiser.zero_grad()
        loss = ((net(torch.from_numpy(xs))[:, 0] - torch.from_numpy(ys)) ** 2).mean()
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step
