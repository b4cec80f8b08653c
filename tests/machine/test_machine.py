"""The constants agree with each other and with the published peaks."""

from dataclasses import replace

import pytest

from tilewright.machine import host, machine, names
from tilewright.machine.host import described, host_machine


@pytest.mark.parametrize(
    ("name", "dtype", "published"),
    [
        ("ipu:c2", "float16", 2 * 124.5e12),
        ("ipu:c2", "float32", 2 * 31.1e12),
        ("ipu:gc200", "float16", 250e12),
        ("ipu:gc200", "float32", 62e12),
        ("ipu:m2000", "float16", 1e15),
        ("ipu:pod64", "float16", 15.978e15),
        ("ipu:pod64", "float32", 3.994e15),
        ("gpu:v100", "float16", 125e12),
        ("gpu:v100", "float32", 15.7e12),
        ("gpu:a100", "float16", 312e12),
        ("gpu:a100", "float32", 19.5e12),
    ],
)
def test_peaks(name, dtype, published):
    assert machine(name).peak_flops(dtype) == pytest.approx(published, rel=0.01)


def test_memory_on_chip():
    assert machine("ipu:gc2").chip.memory == 304 << 20
    assert machine("ipu:gc200").chip.memory == pytest.approx(896 << 20, rel=0.01)
    assert machine("ipu:bow").peak_flops("float16") == pytest.approx(350e12, rel=0.01)


def test_every_machine_names_its_source():
    for name in names():
        found = machine(name)
        assert found.source
        assert found.tiles >= found.chip.tiles


def test_this_host():
    found = host_machine()
    assert found == machine() == machine("cpu")
    assert found.name
    assert found.tile.features.vector_bits in (128, 256, 512)
    l1, l2, _, far = found.tile.memories
    assert l1.size < l2.size == found.tile.memory < far.size
    assert found.tile.macs("float32") > found.tile.macs("float64") > 0


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
