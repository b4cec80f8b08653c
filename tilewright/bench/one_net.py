"""One net over images, beside its peers: what `tilewright vision bench` shows.

In: a net of `models/`, how many images at a time. Out: `Times`, in milliseconds an image, and what
share of the multiply-add peak ours is. Contenders are those of `images.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from tilewright.bench.image_steps import stepping
from tilewright.bench.images import OURS, PAIRS, answering, is_peer, multiplies_halves
from tilewright.bench.rounds import compare
from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.vision import nets

PASSES = 3
"""A step's multiply-adds, in those of an answer: forward, to the images, to the kernels."""


@frozen
class Times:
    """`times` by contender, ours first; `ratio` is the best peer's over ours (None: no peer)."""

    batch: int
    times: Mapping[str, float]
    peer: str
    ratio: float | None
    gflops: float
    peak: float

    def cells(self, contenders: Iterable[str]) -> tuple[str, ...]:
        """Of a row: batch, times of these contenders, the best peer, the share of the peak.

        Not all of them run every batch.
        """
        ratio = "none here" if self.ratio is None else f"{self.ratio:.2f}x {self.peer}"
        shown = (f"{self.times[name]:.2f}" if name in self.times else "" for name in contenders)
        return (str(self.batch), *shown, ratio, f"{self.gflops / self.peak:.0%}")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measured(
    net: nets.Net, batch: int, rounds: int, *, training: bool = False, half: bool = False
) -> Times:
    """Raises `ArgumentError` where halves are asked for and the host has none."""
    if half and not multiplies_halves():
        raise ArgumentError("--half needs a processor with AVX512-BF16, which this one is not.")
    ours = PAIRS if half else OURS
    contenders = stepping if training else answering
    runs = contenders(net, batch, ours=(ours,))
    found = compare(runs, rounds, keep=(ours,))
    times = {name: found.median(name) * 1e3 / batch for name in runs}
    peers = [name for name in runs if is_peer(name, half)]
    peer = found.best(peers) if peers else ""
    macs = nets.module(net).multiply_adds(net) * (PASSES if training else 1)
    return Times(
        batch, times, peer, found.ratio(peer, ours)[0] if peers else None,
        2 * macs / times[ours] / 1e6, found.gflops,
    )  # fmt: skip
