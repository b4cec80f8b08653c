"""The constants agree with each other and with the published peaks."""

import pytest

from tilewright.machine import gpu, ipu
from tilewright.machine.cpu import host_machine


@pytest.mark.parametrize(
    ("machine", "dtype", "published"),
    [
        (ipu.C2, "float16", 2 * 124.5e12),
        (ipu.C2, "float32", 2 * 31.1e12),
        (ipu.MK2, "float16", 250e12),
        (ipu.MK2, "float32", 62e12),
        (ipu.M2000, "float16", 1e15),
        (ipu.POD64, "float16", 15.978e15),
        (ipu.POD64, "float32", 3.994e15),
        (gpu.V100, "float16", 125e12),
        (gpu.V100, "float32", 15.7e12),
        (gpu.A100, "float16", 312e12),
        (gpu.A100, "float32", 19.5e12),
    ],
)
def test_peaks(machine, dtype, published):
    assert machine.peak_flops(dtype) == pytest.approx(published, rel=0.01)


def test_memory_on_chip():
    assert ipu.GC2.memory == 304 << 20
    assert ipu.GC200.memory == pytest.approx(896 << 20, rel=0.01)
    assert ipu.BOW.peak_flops("float16") == pytest.approx(350e12, rel=0.01)


def test_every_machine_names_its_source():
    for machine in (*ipu.MACHINES.values(), *gpu.MACHINES.values(), host_machine()):
        assert machine.source
        assert machine.tiles >= machine.chip.tiles


def test_this_host():
    machine = host_machine()
    assert machine.name
    assert machine.chip.tile.lanes in (4, 8, 16)
    assert machine.chip.far_memory > 1 << 30
