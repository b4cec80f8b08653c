"""Nets over images, beside PyTorch (channels last), ONNX Runtime, OpenVINO and JAX.

Norms are folded into the weights for all but JAX, as each one's experts would; our weights are
bound. Both precisions are timed in the same rounds. In bfloat16, our products and convolutions in
groups are, in pairs (`graph/law.py`), and nothing else; what peers compute is, all of it. One
thread each (but for JAX, which takes what it likes), whose processor time counts. Peers are kept to
another level than the host's by `image_peers.py`. JAX, which has never come near the others, is
asked for one image, or where there is no other. A GPU, where JAX sees one, is timed on the clock
and shown; the bar is held against the best on the processor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tilewright.bench import gpu, image_peers
from tilewright.bench.level import bar
from tilewright.bench.limits import Limited, share_row
from tilewright.bench.record import Row
from tilewright.bench.recurrent import timed
from tilewright.bench.rounds import Rounds, compare
from tilewright.machine.host import host_machine
from tilewright.vision import nets

Timed = Callable[[], float]

OURS, PAIRS, JAX = "tilewright", "tilewright bfloat16", "JAX"
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
SHARES = 0.75, 0.8
"""Bars of our share of the limit, for one image and for a batch."""
BATCH = 8
SECONDS = 10.0
"""Of rounds for a case: longer ones have fewer."""


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    size, rounds = (32, 2) if quick else (224, 9)
    for name in list(ANSWERS)[:1] if quick else ANSWERS:
        for batch in (1, 2 if quick else BATCH):
            yield f"{name}, batch {batch}", partial(answers, name, batch, size, rounds)


def answers(name: str, batch: int, size: int, rounds: int) -> list[Row]:
    """In float32 and, of hosts that multiply bfloat16, in bfloat16."""
    halves = multiplies_halves()
    runs = answering(net_of(name, size), batch, (OURS, PAIRS) if halves else (OURS,))
    measured = in_rounds(runs, rounds)
    what = f"{name}, {size} px, batch {batch}"
    rows = [row_of(what, measured, batch, ANSWERS[name][batch > 1])]
    if halves:
        bars = None, HALVES[name][batch > 1]
        rows.append(row_of(f"{what}, bfloat16", measured, batch, bars, PAIRS))
    return rows + share_rows("images", what, runs, measured, SHARES[batch > 1])


def share_rows(
    part: str, what: str, runs: Mapping[str, Timed], measured: Rounds, least: float
) -> list[Row]:
    """A row for ours in each precision."""
    names = {OURS: what, PAIRS: f"{what}, bfloat16"}
    return [
        share_row(part, names[name], name, run, measured, least)
        for name, run in runs.items()
        if isinstance(run, Limited)
    ]


def multiplies_halves() -> bool:
    """Whether the host multiplies bfloat16."""
    return any(unit.feature == "avx512bf16" for unit in host_machine().tile.units)


def answering(net: Any, batch: int, ours: Sequence[str] = (OURS,)) -> Mapping[str, Timed]:
    """Contenders that answer for a batch of noise, warm; `ours` are `OURS`, `PAIRS` or both, and
    with `PAIRS`, peers' in bfloat16 too."""
    module, images = nets.module(net), synthetic(batch, net.size)
    held = start(module, net)
    fn = partial(module.predict, net)
    peers = image_peers.answering(net, images, PAIRS in ours)
    card = gpu.contender(fn, *held, images) if OURS in ours else {}
    return {
        **{name: _ours(fn, held, images, name == PAIRS) for name in ours},
        **peers,
        **(jax_run(fn, held, lambda: images) if batch == 1 or not peers else {}),
        **card,
    }


def in_rounds(runs: Mapping[str, Timed], rounds: int, seconds: float = SECONDS) -> Rounds:
    """Peers in float32 are asked again where they are near the best of them."""
    keep = tuple(name for name in runs if not is_peer(name, False))
    return compare(runs, rounds, keep=keep, seconds=seconds)


def row_of(
    what: str,
    measured: Rounds,
    batch: int,
    bars: tuple[float | None, float | None],
    ours: str = OURS,
    part: str = "images",
) -> Row:
    """Against the best peer in float32 on the processor or, of `PAIRS`, in either precision."""
    names = [name for name in measured.seconds if is_peer(name, ours == PAIRS)]
    each = {name: measured.median(name) * 1e3 / batch for name in measured.seconds}
    notes = "; ".join(f"{name} {time:.2f} ms" for name, time in each.items())
    peer = measured.best(names)
    return Row(
        part, what, each[ours], "ms an image", each[peer], peer,
        *measured.ratio(peer, ours), bar(*bars), gflops=measured.gflops, notes=notes,
        more={"seconds": measured.seconds},
    )  # fmt: skip


def is_peer(name: str, half: bool) -> bool:
    """Whether our time is held against it: a processor's, in float32 or, with `half`, in either."""
    others = name in (OURS, PAIRS) or name.startswith(gpu.PREFIX)
    return not others and (half or "bfloat16" not in name)


def net_of(name: str, size: int) -> Any:
    """What the net is: padded as PyTorch's are."""
    if name == RESNEXT:
        return nets.named("resnext50_32x4d", size=size)
    return nets.named("b0", pad="even", size=size, **NETS[name])


def synthetic(batch: int, size: int) -> np.ndarray:
    """(batch, size, size, 3) of noise."""
    return np.random.default_rng(1).normal(size=(batch, size, size, 3)).astype(np.float32)


def start(module: Any, net: Any) -> tuple[Any, Any]:
    """Weights, and what the norms keep."""
    import jax

    return module.start(net, jax.random.key(0))


def _ours(fn: Callable, held: tuple[Any, Any], images: np.ndarray, half: bool) -> Timed:
    import jax

    import tilewright

    with jax.default_matmul_precision("bfloat16" if half else "float32"):
        program = tilewright.compile(fn, *held, images, tiles=1, law="pairs" if half else None)
    bound = program.bind(*held)
    return Limited.of(timed(partial(bound, images)), bound)


def jax_run(
    fn: Callable, held: tuple[Any, Any], load: Callable[[], np.ndarray]
) -> Mapping[str, Timed]:
    """On the processor, whatever else JAX sees."""
    import jax

    processor = jax.devices("cpu")[0]
    function, held = jax.jit(fn), jax.device_put(held, processor)

    def run() -> None:
        with jax.default_device(processor):
            jax.block_until_ready(function(*held, load()))

    return {JAX: timed(run)}
