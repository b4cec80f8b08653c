"""Nets over images, beside PyTorch (channels last) and ONNX Runtime, one thread each.

Answers: norms are folded into the weights for all, as each one's experts would; our weights are
bound. In bfloat16, our products of matrices are, in pairs (`graph/law.py`), and nothing else; what
PyTorch computes is, all of it. Training: a step of plain gradient descent by the batch's own
statistics. Times are the processor's. With another level than the host's, PyTorch is kept to it by
its own switches, and ONNX Runtime, which has none, is left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from tilewright.bench import onnx_runtime
from tilewright.bench.level import PRETENDS, bar
from tilewright.bench.record import Row
from tilewright.bench.recurrent import timed
from tilewright.bench.rounds import compare
from tilewright.machine.host import host_machine

Timed = Callable[[], float]

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
    bars = ANSWERS[name][batch > 1]
    runs = {"tilewright": _ours(name, batch, size), **_peers(name, batch, size)}
    what = f"{name}, {size} px, batch {batch}"
    return [_row(what, runs, batch, rounds, bars)]


def halves(name: str, batch: int, size: int, rounds: int) -> list[Row]:
    """Of hosts that multiply bfloat16."""
    if not any(unit.feature == "avx512bf16" for unit in host_machine().tile.units):
        return []
    both = _peers(name, batch, size), _peers(name, batch, size, half=True)
    runs = {"tilewright": _ours(name, batch, size, half=True), **both[0], **both[1]}
    what = f"{name}, {size} px, batch {batch}, bfloat16"
    return [_row(what, runs, batch, rounds, (None, HALVES[name][batch > 1]))]


def training(name: str, batch: int, size: int, rounds: int) -> list[Row]:
    runs = {"tilewright": _our_step(name, batch, size), **_their_step(name, batch, size)}
    return [_row(f"{name}, {size} px, training, batch {batch}", runs, batch, rounds, STEPS[name])]


def _row(
    what: str,
    runs: Mapping[str, Timed],
    batch: int,
    rounds: int,
    bars: tuple[float | None, float | None],
) -> Row:
    measured = compare(runs, rounds, keep=tuple(runs))
    names = [name for name in runs if name != "tilewright"]
    each = {name: measured.median(name) * 1e3 / batch for name in runs}
    notes = "; ".join(f"{name} {time:.2f} ms" for name, time in each.items())
    if not names:
        return Row("images", what, each["tilewright"], "ms an image", notes="no peer is installed",
                   more={"seconds": measured.seconds})  # fmt: skip
    peer = measured.best(names)
    return Row(
        "images", what, each["tilewright"], "ms an image", each[peer], peer,
        *measured.ratio(peer, "tilewright"), bar(*bars), gflops=measured.gflops, notes=notes,
        more={"seconds": measured.seconds},
    )  # fmt: skip


# Ours.


def _net(name: str, size: int) -> tuple[Any, Any]:
    """The model's module, and what the net is: padded as PyTorch's are."""
    from tilewright.models import efficientnet, resnext

    if name == RESNEXT:
        return resnext, resnext.named("50_32x4d", size=size)
    return efficientnet, efficientnet.named("b0", pad="even", size=size, **NETS[name])


def _images(batch: int, size: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(batch, size, size, 3)).astype(np.float32)


def _ours(name: str, batch: int, size: int, half: bool = False) -> Timed:
    import jax

    import tilewright

    module, net = _net(name, size)
    weights, kept = module.start(net, jax.random.key(0))
    function, given = partial(module.predict, net), (weights, kept, _images(batch, size))
    with jax.default_matmul_precision("bfloat16" if half else "float32"):
        program = tilewright.compile(function, *given, tiles=1, law="pairs" if half else None)
    return timed(partial(program.bind(weights, kept), _images(batch, size)))


def _our_step(name: str, batch: int, size: int) -> Timed:
    import jax
    import jax.numpy as jnp

    import tilewright

    module, net = _net(name, size)
    weights, kept = module.start(net, jax.random.key(0))
    labels = np.arange(batch) % CLASSES

    def loss(weights: Any, kept: Any, images: Any) -> Any:
        logits, kept = module.train(net, weights, kept, images)
        chosen = jax.nn.log_softmax(logits)[jnp.arange(batch), labels]
        return -jnp.mean(chosen), kept

    def step(weights: Any, kept: Any, images: Any) -> Any:
        gradients, kept = jax.grad(loss, has_aux=True)(weights, kept, images)
        return jax.tree.map(lambda w, g: w - 0.01 * g, weights, gradients), kept

    images = _images(batch, size)
    return timed(partial(tilewright.compile(step, weights, kept, images, tiles=1), weights, kept,
                         images))  # fmt: skip


# Peers.


def _peers(name: str, batch: int, size: int, half: bool = False) -> Mapping[str, Timed]:
    torch = torch_here()
    if torch is None:
        return {}
    from tilewright.bench.image_peers import torch_net

    net = torch_net(torch, _net(name, size)[1], folded=True).eval()
    images = torch.from_numpy(_images(batch, size)).permute(0, 3, 1, 2)
    if half:
        net, images = net.bfloat16(), images.bfloat16()

    def run() -> Any:
        with torch.inference_mode():
            return net(images)

    if half:
        return {"PyTorch bfloat16": timed(run)}
    found = {"PyTorch": timed(run)}
    if onnx_runtime.is_here() and not PRETENDS:
        answer = onnx_runtime.answering(onnx_runtime.exported(torch, net, images))
        found["ONNX Runtime"] = timed(partial(answer, images.contiguous().numpy()))
    return found


def _their_step(name: str, batch: int, size: int) -> Mapping[str, Timed]:
    torch = torch_here()
    if torch is None:
        return {}
    from tilewright.bench.image_peers import torch_net

    net = torch_net(torch, _net(name, size)[1], folded=False).train()
    images = torch.from_numpy(_images(batch, size)).permute(0, 3, 1, 2)
    labels = torch.arange(batch) % CLASSES
    optimiser = torch.optim.SGD(net.parameters(), 0.01)

    def run() -> None:
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(images), labels).backward()
        optimiser.step()

    return {"PyTorch": timed(run)}


def torch_here() -> Any:
    """PyTorch at this run's level, on one thread, or None."""
    if find_spec("torch") is None:
        return None
    if PRETENDS:
        os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
    torch = import_module("torch")
    torch.set_num_threads(1)
    return torch
