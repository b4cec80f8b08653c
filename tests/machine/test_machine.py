"""The constants agree with each other and with the published peaks."""

from dataclasses import replace

import pytest

from tilewright.machine import gpu, host, ipu
from tilewright.machine.host import described, host_machine


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
    assert machine.tile.features.vector_bits in (128, 256, 512)
    l1, l2, _, far = machine.tile.memories
    assert l1.size < l2.size == machine.tile.memory < far.size
    assert machine.tile.macs("float32") > machine.tile.macs("float64") > 0


@pytest.mark.parametrize(
    "names, bits, units",
    [
        (("avx2", "fma"), 256, {"float32": 16, "int16": 32, "int8": 0, "bfloat16": 0}),
        (("avx2", "avxvnni", "fma"), 256, {"float32": 16, "int8": 64}),
        (("avx2", "avx512f", "fma"), 512, {"float32": 16, "bfloat16": 0, "int8": 0}),
        (
            ("avx2", "avx512bf16", "avx512f", "avx512vnni", "fma"),
            512,
            {"float32": 16, "bfloat16": 32, "int8": 64},
        ),
    ],
)
def test_units_need_their_features(names, bits, units):
    tile = described(names).tile
    assert (tile.features.vector_bits, tile.features.names) == (bits, names)
    assert {dtype: tile.macs(dtype) for dtype in units} == units
    assert all(unit.feature in names for unit in tile.units)


@pytest.mark.parametrize("level, allowed", [(None, True), ("avx2", False)])
def test_a_lesser_level_is_the_machines_too(monkeypatch, level, allowed):
    monkeypatch.setattr(host, "ENVIRONMENT", replace(host.ENVIRONMENT, features=level))
    assert [host.is_allowed(name) for name in ("avx512f", "avx512bf16", "avxvnni")] == [allowed] * 3
    assert host.is_allowed("avx2")
