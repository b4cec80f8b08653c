"""Peak memory of a step of training, as planned and as measured, beside PyTorch's.

`python -m tilewright.bench.memory NET SIZE BATCH [PyTorch]` is a fresh process: it builds a net and
its step, makes two steps, and prints as JSON by how many bytes its resident memory grew at most
over what it was before the first. Weights and images were there by then; new weights or gradients,
and all that lies between, were not. Ours prints what its plan takes of these, too.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from tilewright.bench.cold import fresh
from tilewright.bench.image_steps import CLASSES, STEPS, TRAINED, step_of
from tilewright.bench.images import net_of, start, synthetic
from tilewright.bench.record import Row

LEAST = 2.0
"""The bar: PyTorch's bytes over ours."""
WITHIN = 1.1
"""The bar of measured bytes over planned ones."""
PYTORCH = "PyTorch"


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    size, batch = (32, 2) if quick else (224, TRAINED)
    for name in list(STEPS)[:1] if quick else STEPS:
        yield f"{name}, memory of a step", partial(run, name, size, batch)


def run(name: str, size: int, batch: int) -> list[Row]:
    """PyTorch's over ours, where it is installed; and ours over its plan."""
    command = ["-m", "tilewright.bench.memory", name, str(size), str(batch)]
    ours = json.loads(fresh(command, {}))
    theirs = json.loads(fresh([*command, PYTORCH], {}))
    what = f"{name}, {size} px, training, batch {batch}: memory"
    grown, planned = ours["grown"] / 1e6, ours["planned"] / 1e6
    beside: dict[str, Any] = {}
    if theirs:
        peer = theirs["grown"] / 1e6
        beside = dict(peer=peer, peer_name=PYTORCH, ratio=peer / grown, bar=LEAST)
    return [
        Row("memory", what, grown, "MB", **beside, notes=f"{planned:,.0f} MB planned"),
        Row("memory", f"{what}, over what was planned", grown / planned, "×", bar=WITHIN,
            at_most=True),
    ]  # fmt: skip


# What the fresh process does.


def main(name: str, size: int, batch: int, by: str = "tilewright") -> None:
    net, images = net_of(name, size), synthetic(batch, size)
    planned = 0
    if by == PYTORCH:
        step = _theirs(net, images)
    else:
        step, planned = _ours(net, images)
    print(json.dumps(step and {"grown": _grown(step), "planned": planned}))


def _ours(net: Any, images: Any) -> tuple[Callable[[], Any], int]:
    """The step, and bytes between its arguments and its results, and of these."""
    import jax
    import numpy as np

    import tilewright
    from tilewright.vision import nets

    module = nets.module(net)
    held = jax.tree.map(np.array, start(module, net))
    program = tilewright.compile(step_of(module, net, len(images)), *held, images, tiles=1)
    plan = program.compiled.program
    results = sum(buffer.nbytes for buffer in plan.outputs)
    return partial(program, *held, images), plan.shared_bytes + plan.tile_bytes + results


def _theirs(net: Any, images: Any) -> Callable[[], Any] | None:
    from tilewright.bench.image_peers import step_by_torch, torch_here

    torch = torch_here()
    return None if torch is None else step_by_torch(torch, net, lambda: images, CLASSES)


def _grown(step: Callable[[], Any]) -> int:
    """Of two steps, the most."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # what building and compiling left
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak is that from here on
    before = _resident("VmRSS")
    for _ in range(2):
        step()
    return _resident("VmHWM") - before


def _resident(name: str) -> int:
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(name))
    return int(line.split()[1]) << 10


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
