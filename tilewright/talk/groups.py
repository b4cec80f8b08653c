"""One layer as a regular convolution and in groups, as in the talk: time, operations, bytes, limit.

The layer and its contenders, in either precision, are the bench's; one thread each. Fewer channels
a group are fewer operations: whether they are less time, too, is the question. The limit is the
longer of two times: all operations at the peak that was measured in turns with them, and all bytes,
read and written once, at the rate of the memory that has room for them.
"""

from __future__ import annotations

from math import prod

from tilewright.bench import groups as bench
from tilewright.bench.recurrent import timed
from tilewright.bench.rounds import compare
from tilewright.machine.host import host_machine
from tilewright.talk.figures import Point, measured
from tilewright.talk.installed import missing
from tilewright.talk.record import Outcome

LAYERS = tuple(map(bench.Layer, (1, *bench.EACH)))
"""By channels a group; the last is a regular convolution."""
ROUNDS = 9


def run() -> Outcome:
    """A case for each size of a group, ours and the peers' by turns."""
    points: list[Point] = []
    for layer in LAYERS:
        name = layer.name
        calls = {who: timed(call) for who, call in bench.answering(layer).items()}
        found = compare(calls, ROUNDS, keep=tuple(calls))
        work = {"Mflop": flops(layer) / 1e6, "MB": nbytes(layer) / 1e6}
        for who in calls:
            limit = max(flops(layer) / (found.gflops * 1e9), moving(layer))
            more = work | {"of float32's limit": limit / found.median(who)}
            points.append(
                Point(name, who, measured(f"groups: {name}", found.seconds[who], "ms"), more)
            )
    return Outcome("groups", tuple(points), missing("PyTorch", "OpenVINO"))


def flops(layer: bench.Layer) -> float:
    """Two a multiply-add."""
    return 2.0 * layer.batch * layer.size**2 * layer.channels * layer.each * layer.taps**2


def nbytes(layer: bench.Layer) -> float:
    """Of images, weights and results, each once."""
    weights, images = layer.shapes
    return 4.0 * (2 * prod(images) + prod(weights))


def moving(layer: bench.Layer) -> float:
    """Seconds in which one core reads so many bytes, by this host's figures."""
    machine, count = host_machine(), nbytes(layer)
    memories = machine.tile.memories
    roomy = next((memory for memory in memories if memory.size >= count), memories[-1])
    return count / (roomy.read * machine.chip.clock)
