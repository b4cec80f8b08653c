"""Nets over images, beside PyTorch (channels last), ONNX Runtime, OpenVINO and JAX.

Answers: norms are folded into the weights for all but JAX, as each one's experts would; our weights
are bound. In bfloat16, our products of matrices are, in pairs (`graph/law.py`), and nothing else;
what PyTorch computes is, all of it. Training: a step of plain gradient descent by the batch's own
statistics. One thread each (but for JAX, which takes what it likes), whose processor time counts.
Peers are kept to another level than the host's by `image_peers.py`. A GPU, where JAX sees one, is
timed on the clock and shown; the bar is held against the best on the processor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tilewright.bench import gpu, image_peers
from tilewright.bench.level import bar
from tilewright.bench.record import Row
from tilewright.bench.recurrent import timed
from tilewright.bench.rounds import compare
from tilewright.machine.host import host_machine
from tilewright.vision import nets

Timed = Callable[[], float]
Loader = Callable[[], np.ndarray]
"""A batch of images, (batch, size, size, 3) float32."""

OURS, JAX = "tilewright", "JAX"
NETS = {"B0": {}, "B0, groups of 16": {"group": 16, "expansion": 4}}
"""EfficientNets, by what sets them apart."""
RESNEXT = "ResNeXt-50"
ANSWERS = {
    "B0": ((1.15, 1.25), (1.2, 1.3)),
    "B0, groups of 16": ((1.15, 1.3), (1.2, 1.3)),
    RESNEXT: ((1.05, 1.05), (1.05, 1.05)),
}
"""Bars for one image and for a batch: on AVX2 and on AVX-512."""
HALVES = {"B0": (1.25, 1.4), "B0, groups of 16": (1.25, 1.4), RESNEXT: (1.0, 1.0)}
"""The same in bfloat16, against the best peer in either precision, with AVX512-BF16."""
STEPS = {"B0": (2.0, 2.2), "B0, groups of 16": (1.4, 1.7), RESNEXT: (1.1, 1.1)}
BATCH, TRAINED = 8, 16
CLASSES = 1000


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    size, rounds = (32, 2) if quick else (224, 9)
    for name in list(ANSWERS)[:1] if quick else ANSWERS:
        for batch in (1, 2 if quick else BATCH):
            yield f"{name}, batch {batch}", partial(answers, name, batch, size, rounds)
            yield f"{name}, batch {batch}, bfloat16", partial(halves, name, batch, size, rounds)
        batch = 2 if quick else TRAINED
        yield f"{name}, training", partial(training, name, batch, size, min(rounds, 5))


def answers(name: str, batch: int, size: int, rounds: int) -> list[Row]:
    runs = answering(_net(name, size), batch)
    what = f"{name}, {size} px, batch {batch}"
    return [_row(what, runs, batch, rounds, ANSWERS[name][batch > 1])]


def halves(name: str, batch: int, size: int, rounds: int) -> list[Row]:
    """Of hosts that multiply bfloat16."""
    if not multiplies_halves():
        return []
    runs = answering(_net(name, size), batch, half=True)
    what = f"{name}, {size} px, batch {batch}, bfloat16"
    return [_row(what, runs, batch, rounds, (None, HALVES[name][batch > 1]), half=True)]


def training(
    name: str, batch: int, size: int, rounds: int, load: Loader | None = None
) -> list[Row]:
    """`load` is part of every contender's step on the processor; without it images lie ready."""
    runs = stepping(_net(name, size), batch, load)
    return [_row(f"{name}, {size} px, training, batch {batch}", runs, batch, rounds, STEPS[name])]


def multiplies_halves() -> bool:
    """Whether the host multiplies bfloat16."""
    return any(unit.feature == "avx512bf16" for unit in host_machine().tile.units)


def answering(net: Any, batch: int, half: bool = False) -> Mapping[str, Timed]:
    """Contenders that answer for a batch of noise, warm; with `half`, peers' in bfloat16 too."""
    module, images = nets.module(net), synthetic(batch, net.size)
    held = _start(module, net)
    fn = partial(module.predict, net)
    halved = image_peers.answering_in_half(net, images) if half else {}
    card = {} if half else gpu.contender(fn, *held, images)
    return {
        OURS: _ours(fn, held, images, half),
        **image_peers.answering(net, images),
        **halved,
        **_jax(fn, held, lambda: images),
        **card,
    }


def stepping(net: Any, batch: int, load: Loader | None = None) -> Mapping[str, Timed]:
    """Contenders for a step of training, warm."""
    module, images = nets.module(net), synthetic(batch, net.size)
    load = (lambda: images) if load is None else load
    held, step = _start(module, net), _step(module, net, batch)
    return {
        OURS: _our_step(step, held, images, load),
        **image_peers.stepping(net, load, CLASSES),
        **_jax(step, held, load),
        **gpu.contender(step, *held, images),
    }


def _row(
    what: str,
    runs: Mapping[str, Timed],
    batch: int,
    rounds: int,
    bars: tuple[float | None, float | None],
    half: bool = False,
) -> Row:
    """Against the best peer in float32 on the processor or, with `half`, in either precision. JAX
    is asked again where it is near."""
    measured = compare(runs, rounds, keep=tuple(name for name in runs if name != JAX))
    names = [name for name in runs if is_peer(name, half)]
    each = {name: measured.median(name) * 1e3 / batch for name in runs}
    notes = "; ".join(f"{name} {time:.2f} ms" for name, time in each.items())
    peer = measured.best(names)
    return Row(
        "images", what, each[OURS], "ms an image", each[peer], peer,
        *measured.ratio(peer, OURS), bar(*bars), gflops=measured.gflops, notes=notes,
        more={"seconds": measured.seconds},
    )  # fmt: skip


def is_peer(name: str, half: bool) -> bool:
    """Whether our time is held against it: a processor's, in float32 or, with `half`, in either."""
    others = name == OURS or name.startswith(gpu.PREFIX)
    return not others and (half or "bfloat16" not in name)


def _net(name: str, size: int) -> Any:
    """What the net is: padded as PyTorch's are."""
    if name == RESNEXT:
        return nets.named("resnext50_32x4d", size=size)
    return nets.named("b0", pad="even", size=size, **NETS[name])


def synthetic(batch: int, size: int) -> np.ndarray:
    """(batch, size, size, 3) of noise."""
    return np.random.default_rng(1).normal(size=(batch, size, size, 3)).astype(np.float32)


def _start(module: Any, net: Any) -> tuple[Any, Any]:
    """Weights, and what the norms keep."""
    import jax

    return module.start(net, jax.random.key(0))


def _step(module: Any, net: Any, batch: int) -> Callable[..., Any]:
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


def _ours(fn: Callable, held: tuple[Any, Any], images: np.ndarray, half: bool = False) -> Timed:
    import jax

    import tilewright

    with jax.default_matmul_precision("bfloat16" if half else "float32"):
        program = tilewright.compile(fn, *held, images, tiles=1, law="pairs" if half else None)
    return timed(partial(program.bind(*held), images))


def _our_step(step: Callable, held: tuple[Any, Any], images: np.ndarray, load: Loader) -> Timed:
    import tilewright

    program = tilewright.compile(step, *held, images, tiles=1)
    return timed(lambda: program(*held, load()))


def _jax(fn: Callable, held: tuple[Any, Any], load: Loader) -> Mapping[str, Timed]:
    """On the processor, whatever else JAX sees."""
    import jax

    processor = jax.devices("cpu")[0]
    function, held = jax.jit(fn), jax.device_put(held, processor)

    def run() -> None:
        with jax.default_device(processor):
            jax.block_until_ready(function(*held, load()))

    return {JAX: timed(run)}
