"""A step of training of nets over images, beside PyTorch (channels last) and JAX.

Plain gradient descent on a batch, by its own statistics. One thread each (but for JAX, which takes
what it likes), whose processor time counts. JAX, whose steps take many times as long, is asked for
the first net on images that lie ready, or where there is no other. On hosts that multiply bfloat16,
steps whose products and convolutions read it are timed in the same rounds, PyTorch's by `autocast`;
in ours, what waits for gradients is kept in it, too, and weights, sums and norms are in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from tilewright.bench import gpu, image_peers
from tilewright.bench.images import (
    JAX,
    OURS,
    PAIRS,
    RESNEXT,
    Timed,
    in_rounds,
    jax_run,
    multiplies_halves,
    net_of,
    row_of,
    share_rows,
    start,
    synthetic,
)
from tilewright.bench.limits import Limited
from tilewright.bench.record import Row
from tilewright.bench.recurrent import timed
from tilewright.bench.rounds import Rounds
from tilewright.vision import nets

Loader = Callable[[], np.ndarray]
"""A batch of images, (batch, size, size, 3) float32."""

STEPS = {"B0": (2.0, 2.2), "B0, groups of 16": (1.4, 1.7), RESNEXT: (1.1, 1.1)}
"""Bars: on AVX2 and on AVX-512."""
HALVES = {"B0": 3.0, "B0, groups of 16": 1.4, RESNEXT: 1.0}
"""The same in bfloat16, against the best peer in either precision, with AVX512-BF16."""
BESIDE_JAX = 8.0
"""The bar against JAX on the processor, in float32."""
SHARE = 0.6
"""The bar of our share of the limit."""
TRAINED, CLASSES = 16, 1000
ROUNDS, SECONDS = 9, 60.0


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    size, batch, rounds = (32, 2, 2) if quick else (224, TRAINED, ROUNDS)
    for name in list(STEPS)[:1] if quick else STEPS:
        yield f"{name}, training", partial(training, name, batch, size, rounds)


def training(
    name: str, batch: int, size: int, rounds: int, load: Loader | None = None
) -> list[Row]:
    """`load` is part of every contender's step on the processor; without it images lie ready."""
    is_first, halves = name == next(iter(STEPS)) and load is None, multiplies_halves()
    ours = (OURS, PAIRS) if halves else (OURS,)
    runs = stepping(net_of(name, size), batch, load, with_jax=is_first, ours=ours)
    what, measured = f"{name}, {size} px, training, batch {batch}", in_rounds(runs, rounds, SECONDS)
    rows = [row_of(what, measured, batch, STEPS[name], OURS, "image_steps")]
    if is_first and JAX in measured.seconds:
        rows.append(_beside_jax(what, measured, batch))
    if halves:
        bars = None, HALVES[name]
        rows.append(row_of(f"{what}, bfloat16", measured, batch, bars, PAIRS, "image_steps"))
    if load is not None:  # decoding is a part of such a step
        return rows
    return rows + share_rows("image_steps", what, runs, measured, SHARE)


def _beside_jax(what: str, measured: Rounds, batch: int) -> Row:
    """The same function by JAX, which has all cores."""
    ours, theirs = (measured.median(name) * 1e3 / batch for name in (OURS, JAX))
    return Row(
        "image_steps", f"{what}, the same function", ours, "ms an image", theirs, JAX,
        *measured.ratio(JAX, OURS), BESIDE_JAX, gflops=measured.gflops,
    )  # fmt: skip


def stepping(
    net: Any,
    batch: int,
    load: Loader | None = None,
    with_jax: bool = True,
    ours: Sequence[str] = (OURS,),
) -> Mapping[str, Timed]:
    """Contenders for a step of training, warm; `ours` are `OURS`, `PAIRS` or both, and with
    `PAIRS`, PyTorch's in bfloat16 too."""
    module, images = nets.module(net), synthetic(batch, net.size)
    load = (lambda: images) if load is None else load
    held, step = start(module, net), step_of(module, net, batch)
    halved = step_of(module, nets.halved(net), batch)
    peers = image_peers.stepping(net, load, CLASSES, PAIRS in ours)
    return {
        **{
            name: _ours(halved if name == PAIRS else step, held, images, load, name == PAIRS)
            for name in ours
        },
        **peers,
        **(jax_run(step, held, load) if with_jax or not peers else {}),
        **gpu.contender(step, *held, images),
    }


def step_of(module: Any, net: Any, batch: int) -> Callable[..., Any]:
    """Of weights, what norms keep, and images: new ones of both, after plain descent."""
    import jax
    import jax.numpy as jnp

    labels = np.arange(batch) % CLASSES

    def loss(weights: Any, kept: Any, images: Any) -> Any:
        logits, kept = module.train(net, weights, kept, images)
        chosen = jax.nn.log_softmax(logits)[jnp.arange(batch), labels]
        return -jnp.mean(chosen), kept

    def step(weights: Any, kept: Any, images: Any) -> Any:
        gradients, kept = jax.grad(loss, has_aux=True)(weights, kept, images)
        return jax.tree.map(lambda w, g: w - 0.01 * g, weights, gradients), kept

    return step


def _ours(
    step: Callable, held: tuple[Any, Any], images: np.ndarray, load: Loader, half: bool
) -> Timed:
    import jax

    import tilewright

    with jax.default_matmul_precision("bfloat16") if half else nullcontext():
        program = tilewright.compile(step, *held, images, tiles=1, law="pairs" if half else None)
    return Limited.of(timed(lambda: program(*held, load())), program)
