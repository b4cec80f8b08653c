"""What is timed on this host and modelled beside it: products, gradients, LSTMs, samplers.

The gradient is the talk's, spread over the tiles or one chain a tile; a run is some steps uphill.
Cases run some milliseconds at most: longer ones see other processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from tilewright.runtime.memory import aligned


@dataclass(frozen=True)
class Case:
    """`function(*arguments)`, on so many tiles."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    tiles: int


def cases() -> Iterator[Case]:
    """All, in order of kind."""
    yield from _products()
    yield from _gradients()
    yield from _lstms()
    yield from _samplers()


def _normal(*shape: int) -> np.ndarray:
    """At the start of a cache line, as our own results are; NumPy's own begin 16 bytes behind."""
    array, _ = aligned(shape, np.dtype(np.float32), 4 * prod(shape))
    array[...] = np.random.default_rng(0).normal(size=shape)
    return array


def _products() -> Iterator[Case]:
    def product(x: Any, y: Any) -> Any:
        return x @ y

    for m, k, n in ((64, 64, 64), (256, 256, 256), (1024, 1024, 1024), (1000, 22, 40)):
        yield Case(f"product {m} × {k} × {n}", product, (_normal(m, k), _normal(k, n)), 1)
    yield Case("product 1024 × 1024 × 1024", product, (_normal(1024, 1024), _normal(1024, 1024)), 2)
    yield Case("product 512 × 4096 × 128", product, (_normal(512, 4096), _normal(4096, 128)), 1)
    yield Case("product 512 × 4096 × 128", product, (_normal(512, 4096), _normal(4096, 128)), 2)
    for m, k in ((256, 1024), (1024, 2048), (8192, 4096)):
        yield Case(f"matrix {m} × {k} times vector", product, (_normal(m, k), _normal(k)), 1)
    yield Case(
        "64 products of 32 × 32 × 32", product, (_normal(64, 32, 32), _normal(64, 32, 32)), 1
    )
    yield Case("rows: softmax of 1000 × 256", _softmax, (_normal(1000, 256),), 1)
    yield Case("elementwise on 4,000,000", _fused, (_normal(4_000_000), _normal(4_000_000)), 1)
    yield Case("elementwise on 4,000,000", _fused, (_normal(4_000_000), _normal(4_000_000)), 2)


def _softmax(x: Any) -> Any:
    import jax

    return jax.nn.softmax(x, axis=-1)


def _fused(x: Any, y: Any) -> Any:
    import jax.numpy as jnp

    return jnp.tanh(x) * y + x


def _gradients() -> Iterator[Case]:
    import jax
    import jax.numpy as jnp

    from tilewright.alpha.talk import window
    from tilewright.models import talk

    params = jax.tree.map(np.asarray, talk.start())
    turns_of = {250: 50, 1000: 12, 5000: 3, 58_368: 1}
    for rows, turns in turns_of.items():
        X, y = window(rows)
        density = talk.log_density(X, y)

        def descend(params: Any, density: Any = density, turns: int = turns) -> Any:
            def turn(_: Any, net: Any) -> Any:
                slope = jax.grad(density)(net)
                return jax.tree.map(lambda p, g: p + 1e-6 * g, net, slope)

            return jax.lax.fori_loop(0, turns, turn, params)

        for tiles in (1, 2):
            yield Case(f"gradient, {rows:,} rows, spread", descend, (params,), tiles)
        if rows <= 5000:
            many = jax.tree.map(lambda p: jnp.stack([p] * 8), params)
            many = jax.tree.map(np.asarray, many)

            def chains(params: Any, descend: Any = descend) -> Any:
                import tilewright

                return tilewright.tile_map(descend)(params)

            for tiles in (1, 2):
                yield Case(f"gradient, {rows:,} rows, 8 chains", chains, (many,), tiles)


def _lstms() -> Iterator[Case]:
    import jax

    from tilewright.models import recurrent

    layers = (recurrent.Layer("lstm", 16, 256), recurrent.Layer("lstm", 256, 256))
    net = recurrent.Recurrent(layers)
    weights = jax.tree.map(np.asarray, recurrent.initial(net, jax.random.key(0)))

    def window(weights: Any, xs: Any) -> Any:
        return recurrent.window(net, weights, xs)

    for batch, steps in ((1, 200), (64, 10)):
        for tiles in (1, 2):
            yield Case(
                f"LSTM 2 × 256, batch {batch}", window, (weights, _normal(batch, steps, 16)), tiles
            )


def _samplers() -> Iterator[Case]:
    import tilewright
    from tilewright.bench.nuts_workloads import Nuts

    for model in ("funnel", "logistic"):
        work = Nuts(model, chains=8, draws=10).workload()
        for tiles in (1, 2):
            yield Case(f"NUTS, {model}", tilewright.tile_map(work.chain), work.arguments, tiles)
