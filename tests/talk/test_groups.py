"""What a layer's limit is made of."""

import pytest

from tilewright.machine.host import host_machine
from tilewright.talk import groups


def test_operations_and_bytes_by_hand():
    assert groups.flops(groups.CHANNELS) == 2 * 8 * 28 * 28 * 256 * 256 * 9
    assert groups.flops(1) == groups.flops(groups.CHANNELS) / 256
    images, weights = 8 * 28 * 28 * 256 * 4, 256 * 16 * 9 * 4
    assert groups.nbytes(16) == 2 * images + weights


@pytest.mark.parametrize("size, memory", [(1e3, 0), (1e6, 1), (1e15, -1)])
def test_bytes_come_from_the_memory_that_has_room_for_them(monkeypatch, size, memory):
    monkeypatch.setattr(groups, "nbytes", lambda each: size)
    machine = host_machine()
    rate = machine.tile.memories[memory].read * machine.chip.clock
    assert groups.moving(16) == pytest.approx(size / rate)
