"""What a layer's limit is made of."""

import pytest

from tilewright.bench import groups as bench
from tilewright.machine.host import host_machine
from tilewright.talk import groups
from tilewright.talk.verdicts import verdicts

pytestmark = pytest.mark.usefixtures("cheap_collections")


def test_operations_and_bytes_by_hand():
    regular, alone = groups.LAYERS[-1], groups.LAYERS[0]
    assert groups.flops(regular) == 2 * 8 * 28 * 28 * 256 * 256 * 9
    assert groups.flops(alone) == groups.flops(regular) / 256
    images, weights = 8 * 28 * 28 * 256 * 4, 256 * 16 * 9 * 4
    assert groups.nbytes(bench.Layer(16)) == 2 * images + weights


def test_groups_of_all_sizes():
    assert [layer.each for layer in groups.LAYERS] == [1, 4, 8, 16, 32, 256]
    assert groups.LAYERS[-1].name == "regular"


def test_every_contender_of_the_bench_is_a_point_and_equal_precisions_are_compared(monkeypatch):
    names = ["tilewright", "tilewright bfloat16", "PyTorch", "OpenVINO bfloat16"]
    monkeypatch.setattr(groups, "timed", lambda call: lambda: 0.002)
    monkeypatch.setattr(groups, "LAYERS", groups.LAYERS[:2])
    monkeypatch.setattr(bench, "answering", lambda layer: dict.fromkeys(names))
    points = groups.run().points
    assert [p.who for p in points] == 2 * names
    found = verdicts(points)
    assert [v.mine.who for v in found.values()] == names[:2] * 2
    assert not any(v.unlike for v in found.values())


@pytest.mark.parametrize("size, memory", [(1e3, 0), (1e6, 1), (1e15, -1)])
def test_bytes_come_from_the_memory_that_has_room_for_them(monkeypatch, size, memory):
    monkeypatch.setattr(groups, "nbytes", lambda layer: size)
    machine = host_machine()
    rate = machine.tile.memories[memory].read * machine.chip.clock
    assert groups.moving(bench.Layer(16)) == pytest.approx(size / rate)
