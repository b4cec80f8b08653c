"""One tick at a time from C, on the caller's thread alone: medians, tails, and what they could be.

A library is exported and timed by the program of `sequence/latency_in_c.py`; in every round each
precision is timed by turns, and beside it Python's own step and ONNX Runtime's call of one step,
from Python, as there is no other (in float32, and with weights quantised dynamically).

The floor of a median is what its tick must read, at the rate at which this core reads as many bytes
as all weights of the net are, over the share of it that products reach; and the gates, priced.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tilewright.bench import onnx_runtime
from tilewright.bench.level import PRETENDS, bar
from tilewright.bench.record import Row
from tilewright.bench.recurrent_peers import precision_of
from tilewright.bench.ticks import drawn, one_step, stepping
from tilewright.calibrate import Alone
from tilewright.codelets.peak import PeakRead
from tilewright.frozen import frozen
from tilewright.machine.cost import Count, work
from tilewright.machine.host import host_machine
from tilewright.sequence.latency import constant, from_python
from tilewright.sequence.latency_in_c import InC, compiler


@frozen
class Net:
    """`most`: microseconds from tick to answer in the fastest precision, at most; `steps`: of a
    window that slides, of which the same is asked."""

    inputs: int
    hidden: int
    layers: int
    most: float | None = None
    steps: int | None = None

    def after(self) -> int:
        """Multiply-adds that wait for the tick: of all layers' inputs, and of the head."""
        below = [self.inputs] + [self.hidden] * (self.layers - 1)
        return 4 * self.hidden * sum(below) + self.hidden

    def all(self) -> int:
        return self.after() + 4 * self.hidden * self.hidden * self.layers


NETS: Mapping[str, Net] = {
    "talk's net": Net(16, 256, 2),
    "shape A": Net(100, 100, 2, 5.0, 50),
    "shape B": Net(250, 200, 3, 15.0, 100),
    "2 × 128, 128 inputs": Net(128, 128, 2, 5.0),
    "3 × 256, 256 inputs": Net(256, 256, 3, 15.0),
    "shape C": Net(500, 1000, 4),
}
BYTES = {"float32": 4, "bfloat16x16": 2, "int8": 1, "int8x8": 1}
SHARES: Mapping[str, float | None] = {
    "float32": bar(0.9, 0.9), "bfloat16x16": bar(0.6, 0.8),
    "int8": bar(0.58, 0.75), "int8x8": bar(0.58, 0.75),
}  # fmt: skip
"""Of reading that products of a row are to reach."""
AHEAD, OVER_FLOOR, APART, OVER_C, OF_BYTES = 4.0, 1.5, 2.0, 3.0, 1.5
"""A peer's call over our tick; a tick over its floor; ticks 1 ms apart over saturated ones;
Python's microseconds over C's; a tick of a net that lies far away over reading it."""
FAR = 8
"""Times a tile's own memory: a net of so many bytes and more comes from further away."""
TAIL = 1.5
"""A 99th percentile in medians, beside that of a loop that is as long."""
TICKS, FEW, EVERY, LASTS = 3000, 300, 1e-3, 0.5
"""Ticks of a round, and those that are apart: so many, so many seconds apart, in all so many. Where
an answer and what is prepared take half of that second or more, ticks are twice as far apart as
that takes: nearer, they would wait for each other."""
READS = 20
ROUNDS = {False: 5, True: 3}
"""Of a net that lies far away a round takes twelve seconds, and its medians hardly differ."""


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    for name in ("shape A",) if quick else NETS:
        yield name, partial(run, name, NETS[name], 2 if quick else ROUNDS[_is_far(NETS[name])])


def run(name: str, net: Net, rounds: int, ticks: int = TICKS) -> list[Row]:
    """Nothing where there is no C compiler."""
    if compiler() is None:
        return []
    model = drawn((net.inputs, net.hidden, net.layers, 0))
    count = max(40, min(ticks, int(ticks * 3e6 / net.all())))
    xs = np.random.default_rng(1).normal(size=(count, 1, net.inputs)).astype(np.float32)
    peers = _peers(model, xs[: count // 4])
    taken: dict[str, list[float]] = {peer: [] for peer in peers}
    reads = {size: Alone(PeakRead(size * net.all() // 512 * 128, 5)) for size in (1, 2, 4)}
    read: dict[int, list[float]] = {size: [] for size in reads}
    with ExitStack() as stack:
        found = {precision: _Ticks(model, precision, xs, stack) for precision in BYTES}
        slides = _slides(model, net, xs, stack)
        stack.enter_context(_one_core())
        for _ in range(rounds):
            for peer, call in peers.items():
                taken[peer].append(call() * 1e6)
            for size, reading in reads.items():
                best = min(reading.seconds() for _ in range(READS))
                read[size].append(best / reading.codelet.work.bytes)
            for own in (*found.values(), *slides.values()):
                own.turn()
    seconds = {size: min(times) for size, times in read.items()}
    calls = {peer: float(np.median(times)) for peer, times in taken.items()}
    return [*_rows(name, net, found, calls, seconds), *_slide_rows(name, net, slides)]


@contextmanager
def _one_core() -> Iterator[None]:
    """This thread, and the programs that it starts, stay on a core: who counts microseconds does
    not let the system carry a thread from one core's caches to another's."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})  # the first one hears most interrupts
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class _Ticks:
    """A stream in one precision, from C and from Python; microseconds by round."""

    def __init__(self, model: Any, precision: str, xs: np.ndarray, stack: ExitStack):
        self.stream = model.stream(precision=precision, tiles=1)
        self.xs, self.due, self.every = xs, constant(len(xs), 0), EVERY
        library = InC(self.stream.program, model.net.inputs, model.net.outputs)
        self.in_c = stack.enter_context(library)
        self.found: dict[str, list[float]] = {}

    def turn(self) -> None:
        delays, floor = self.in_c.delays(self.xs, self.due)
        self._add("C", delays.delays, 50)
        self._add("C between", delays.between, 50)
        self._add("p99", delays.delays, 99)
        self._add("spinning", floor, 99)
        self._add("apart", self._apart(), 50)
        own = self.stream
        self._add("Python", from_python(own.answer, own.prepare, self.xs, self.due).delays, 50)

    def _apart(self) -> np.ndarray:
        self.every = max(self.every, 2e-6 * (self["C"] + self["C between"]))
        few = min(len(self.xs), FEW, max(40, int(LASTS / self.every)))
        return self.in_c.delays(self.xs[:few], constant(few, self.every))[0].delays

    def _add(self, name: str, nanoseconds: np.ndarray, percentile: float) -> None:
        """The first tenth is warm-up."""
        warm = nanoseconds[len(nanoseconds) // 10 :]
        self.found.setdefault(name, []).append(float(np.percentile(warm, percentile)) / 1e3)

    def __getitem__(self, name: str) -> float:
        return float(np.median(self.found[name]))

    def over(self, one: str, other: str) -> float:
        """What one takes more than the other in the same round: how fast memory is changes."""
        pairs = zip(self.found[one], self.found[other], strict=True)
        return float(np.median([a - b for a, b in pairs]))


class _Slide:
    """A window that slides, in one precision, from C, saturated; microseconds by round."""

    def __init__(self, model: Any, steps: int, precision: str, xs: np.ndarray, stack: ExitStack):
        slide = model.slide(steps, precision=precision, tiles=1)
        self.xs, self.found = xs[:FEW], list[float]()
        library = InC(slide.program, model.net.inputs, model.net.outputs)
        self.in_c = stack.enter_context(library)

    def turn(self) -> None:
        delays = self.in_c.delays(self.xs, constant(len(self.xs), 0))[0].delays
        self.found.append(float(np.median(delays[len(delays) // 10 :])) / 1e3)

    @property
    def tick(self) -> float:
        return float(np.median(self.found))


def _slides(model: Any, net: Net, xs: np.ndarray, stack: ExitStack) -> dict[str, _Slide]:
    """By precision, where the net has a window."""
    if net.steps is None:
        return {}
    return {precision: _Slide(model, net.steps, precision, xs, stack) for precision in BYTES}


def _slide_rows(name: str, net: Net, slides: Mapping[str, _Slide]) -> list[Row]:
    if not slides:
        return []
    best = min(slides, key=lambda precision: slides[precision].tick)
    told = ", ".join(f"{precision} {own.tick:.2f}" for precision, own in slides.items())
    what = f"{name}, a window of {net.steps} that slides: a tick in {best}"
    return [Row("latency", what, slides[best].tick, "µs", bar=net.most, at_most=True,
                notes=f"{told} µs")]  # fmt: skip


def _rows(
    name: str,
    net: Net,
    found: Mapping[str, _Ticks],
    calls: Mapping[str, float],
    seconds: Mapping[int, float],
) -> list[Row]:
    best = min(found, key=lambda precision: found[precision]["C"])
    told = ", ".join(f"{p} {own['C']:.2f}" for p, own in found.items())
    rows = [Row("latency", f"{name}: a tick in {best}", found[best]["C"], "µs", bar=net.most,
                at_most=True, notes=f"{told} µs")]  # fmt: skip
    for precision in dict.fromkeys(("float32", best)):
        rows += _of_precision(name, net, precision, found[precision], calls, seconds)
    return rows


def _of_precision(
    name: str,
    net: Net,
    precision: str,
    own: _Ticks,
    calls: Mapping[str, float],
    seconds: Mapping[int, float],
) -> list[Row]:
    size, tick, what = BYTES[precision], own["C"], f"{name}, {precision}"
    reading, gates = size * net.after() * seconds[size] * 1e6, _gates(net)
    floor = reading / (SHARES[precision] or 1.0) + gates
    most = TAIL * tick + own["spinning"]
    rows = [
        _times(f"{what}: over its floor", tick / floor, OVER_FLOOR,
               f"{floor:.2f} µs, of which {gates:.2f} gates"),
        _times(f"{what}: p99 over {TAIL} medians and a spinning loop's p99", own["p99"] / most, 1.0,
               f"{own['p99']:.2f} µs, the loop's {own['spinning']:.2f}"),
        _times(f"{what}: {own.every * 1e3:.2g} ms apart over saturated", own["apart"] / tick, APART,
               f"{own['apart']:.2f} µs"),
    ]  # fmt: skip
    if not _is_far(net):  # of milliseconds, what a call takes is within the noise
        rows.append(
            Row("latency", f"{what}: Python's step over C's", own.over("Python", "C"), "µs",
                bar=OVER_C, at_most=True, notes=f"{own['C between']:.1f} µs between ticks from C")
        )  # fmt: skip
    elif net.most is None:
        rows.append(_times(f"{what}: over reading its weights", tick / reading, OF_BYTES, ""))
    kind = precision_of(precision)
    peer = min((p for p in calls if precision_of(p) == kind), key=lambda p: calls[p], default="")
    if peer:
        # A peer that does not know of the pretended level uses the host's own.
        limit = None if PRETENDS else AHEAD
        step = Row("latency", f"{what}: one step", tick, "µs", calls[peer], peer)
        rows.insert(0, replace(step, ratio=calls[peer] / tick, bar=limit))
    return rows


def _is_far(net: Net) -> bool:
    """In every precision."""
    return net.all() > FAR * host_machine().tile.memory


def _times(name: str, value: float, most: float, notes: str) -> Row:
    return Row("latency", name, round(value, 2), "×", bar=most, at_most=True, notes=notes)


def _gates(net: Net) -> float:
    """Microseconds of a tick's gates, priced: three logistics, two tanh, four sums and products."""
    units = float(net.hidden * net.layers)
    counts = {("logistic", "float32"): 3 * units, ("tanh", "float32"): 2 * units}
    counts |= {("mul", "float32"): 3 * units, ("add", "float32"): 5 * units}
    machine = host_machine()
    return work(Count(operations=counts), machine.tile).cycles / machine.chip.clock * 1e6


def _peers(model: Any, xs: np.ndarray) -> Mapping[str, Callable[[], float]]:
    """Median seconds of a call of one step."""
    if not onnx_runtime.is_here():
        return {}
    quantisation, content = import_module("onnxruntime.quantization"), one_step(model)
    found = dict(stepping(content, xs))
    with TemporaryDirectory() as folder:
        plain, made = Path(folder, "net.onnx"), Path(folder, "int8.onnx")
        plain.write_bytes(content)
        for bits, reduce in ((8, False), (7, True)):
            kind = quantisation.QuantType.QInt8
            quantisation.quantize_dynamic(plain, made, weight_type=kind, reduce_range=reduce)
            named = stepping(made.read_bytes(), xs)
            found |= {f"{peer}, int8 of {bits} bits": call for peer, call in named.items()}
    return found
