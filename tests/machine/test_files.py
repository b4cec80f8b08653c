"""Machines as files: read as written, checked figure by figure, found by name."""

import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from tests.machines import STATED
from tilewright.errors import ArgumentError
from tilewright.machine import machine, names
from tilewright.machine.files import parse, read
from tilewright.machine.quantities import (
    CLOCKS,
    RATES,
    SIZES,
    TIMES,
    quantity,
    shown_size,
    shown_time,
)
from tilewright.machine.written import content_of, to_toml

TEXT = """
name = "Small"
kind = "cpu"
[tiles]
count = 4
source = "assumed"
[clock]
base = "2 GHz"
boost = "3 GHz"
source = "a page"
[vectors]
level = "avx2"
source = "a page"
[memory.L1]
size = "32 KiB"
read = 64
sharers = 1
source = "measured"
[memory.L3]
size = "8 MiB"
read = 20
all = 10
sharers = 2
source = "measured"
[memory.memory]
size = "4 GiB"
read = "20 GB/s"
total = "40 GB/s"
sharers = 0
source = "a page"
[barrier]
time = "1 us"
source = "assumed"
"""


@pytest.mark.parametrize("name", names())
def test_all_that_come_with_us_are_read_as_written(name):
    """Without a warning: every figure has a source."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = machine(name)
        again = parse(to_toml(content_of(found)))
    assert replace(again, source=found.source) == found
    if name != "cpu":
        assert found.sources
        assert all(source for _, source in found.sources)


def test_a_host_is_written_with_every_figure_assumed_or_measured():
    again = parse(to_toml(content_of(STATED)))
    assert (again.chip, again.launch) == (STATED.chip, STATED.launch)
    assert all(source.startswith("assumed") for _, source in again.sources)
    measured = replace(STATED, source="figures measured")
    again = parse(to_toml(content_of(measured)))
    assert {source for _, source in again.sources} == {"measured"}


def test_figures_of_a_file():
    small = parse(TEXT)
    l1, l3, far = small.tile.memories
    assert (small.chip.tiles, small.chip.clock, small.chip.boost) == (4, 2e9, 3e9)
    assert (l1.shared, l3.shared, l3.sharers, far.sharers) == (False, True, 2, 0)
    assert (l3.read, l3.read_all, l3.apart) == (20, 10, False)
    assert (far.read, far.read_all, far.apart) == (10, 5, True)
    assert small.chip.sync_cycles == 2000
    assert small.assumed == ("tiles.count", "barrier.time")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("count = 4", "count = -4", r"\[tiles\] count is -4, which cannot be"),
        ("count = 4", "count = 4.5", r"count must be a whole number, not 4.5"),
        ("count = 4", 'count = "many"', r"count must be a figure such as 64, not 'many'"),
        ("count = 4", "", r"\[tiles\] lacks 'count'"),
        ("count = 4", "count = 4\ncuont = 3", r"has no 'cuont' \(did you mean 'count'"),
        ('"2 GHz"', '"2 THz"', r"base is '2 THz', which cannot be"),
        ('"2 GHz"', '"2 MiB"', r"base must be a figure such as \"2.7 GHz\", not '2 MiB'"),
        ('"2 GHz"', "nan", r"must be a finite figure"),
        ('"3 GHz"', '"1 GHz"', r"boost, 1e\+09 Hz, is below its base"),
        ('"avx2"', '"avx9"', r"level must be one of avx512, avx2"),
        ("[barrier]", "[barier]", r"no table \[barier\] \(did you mean 'barrier'"),
        ("all = 10", 'all = 10\ntotal = "9 GB/s"', r"has both all and total"),
        ('name = "Small"', "", r"lacks 'name'"),
        ('kind = "cpu"', 'kind = "abacus"', r"kind must be one of cpu, ipu, tt, gpu"),
        ('kind = "cpu"', 'kind = "cpu', r"is not a TOML file"),
        ('source = "measured"', "source = 3", r"source must be a text"),
        ('source = "measured"', 'source = { sizes = "x" }', r"source for 'sizes', which is not"),
        ("[memory.L1]", "[memory]\nL2 = 3\n[memory.L1]", r"memory.L2 must be a table"),
        ("[tiles]", "tiles = 3\n[tile]", r"tiles must be a table"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(old, new, words):
    assert old in TEXT
    with pytest.raises(ArgumentError, match=words) as failure:
        parse(TEXT.replace(old, new, 1), "mine.toml")
    assert "mine.toml" in str(failure.value)
    assert "\n" not in str(failure.value).strip().removesuffix(".")


@pytest.mark.parametrize("table", ["tiles", "clock", "memory"])
def test_tables_that_must_be_there(table):
    text = TEXT.replace(f"[{table}", "[x" if table != "memory" else "[units")
    with pytest.raises(ArgumentError):
        parse(text)


def test_a_figure_without_source_is_used_with_a_warning():
    with pytest.warns(UserWarning, match=r"no source for clock.base, clock.boost"):
        found = parse(TEXT.replace('boost = "3 GHz"\nsource = "a page"', 'boost = "3 GHz"'))
    assert found.chip.boost == 3e9


def test_names_and_files(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text(TEXT)
    assert machine(mine) == machine(str(mine)) == read(mine)
    assert machine(read(mine)) == read(mine)
    with pytest.raises(
        ArgumentError, match=r"no machine 'cpu:epic-9755'; the nearest are cpu:epyc"
    ):
        machine("cpu:epic-9755")
    with pytest.raises(ArgumentError, match="cannot be read"):
        machine(tmp_path / "none.toml")
    mine.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArgumentError, match="not text"):
        machine(mine)
    with pytest.raises(ArgumentError, match="by name, file or Machine, not 3"):
        machine(3)  # type: ignore[arg-type]


def test_what_if():
    epyc = machine("cpu:epyc-9755")
    other = epyc.with_(cores=64, l2="2 MiB", clock="3 GHz")
    assert (other.chip.tiles, other.chip.clock, other.chip.boost) == (64, 3e9, 0)
    assert other.tile.memories[1].size == 2 << 20
    assert other.tile.memories[2] == epyc.tile.memories[2]
    whole = [m.tile.memories[3].read_all * m.chip.clock * m.chip.tiles for m in (epyc, other)]
    assert whole[1] == pytest.approx(whole[0]), "main memory is shared by the new number of cores"
    assert {"tiles.count", "memory.L2.size", "clock.base"} <= set(other.assumed)
    assert epyc.with_(memory="1000 GB/s").tile.memories[3].read_all * 128 * 2.7e9 == pytest.approx(
        1e12
    )
    assert epyc.with_(barrier="1 us").chip.sync_cycles == 2700
    pod = machine("ipu:pod64").with_(tile="1 MiB", exchange=8, links="640 GB/s", chips=16, sync=9)
    assert (pod.tile.memory, pod.chips, pod.sync_cycles_between_chips) == (1 << 20, 16, 9)
    assert pod.chip.exchange.bytes_per_cycle_per_tile == 8
    assert pod.chip.exchange.bytes_per_second_between_chips == 640e9
    assert {"memory.tile.size", "exchange.links", "chips.count"} <= set(pod.assumed)


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"coers": 3}, r"no 'coers' \(did you mean 'cores'\?\); with_ takes cores"),
        ({"cores": -1}, r"count is -1, which cannot be"),
        ({"l2": "x"}, r"size must be a figure"),
    ],
)
def test_a_wrong_what_if(figures, words):
    with pytest.raises(ArgumentError, match=words):
        machine("cpu:epyc-9755").with_(**figures)


def test_quantities():
    assert quantity("1.5 MiB", SIZES, "") == 1.5 * 2**20
    assert quantity("1,000 MB", SIZES, "") == 1e9
    assert quantity("614.4 GB/s", RATES, "") == 614.4e9
    assert quantity("5 us", TIMES, "") == quantity("5 µs", TIMES, "") == pytest.approx(5e-6)
    assert quantity(3, CLOCKS, "") == 3
    assert [shown_time(s) for s in (1.5e-8, 3e-6, 0.002, 2.0)] == ["15 ns", "3 µs", "2 ms", "2 s"]
    assert [shown_size(n) for n in (100, 48 << 10, 3 << 30)] == ["100 B", "48 KiB", "3 GiB"]
    for bad in (True, None, "GHz", "3 parsec", [3]):
        with pytest.raises(ValueError, match="must be a figure such as X"):
            quantity(bad, CLOCKS, "X")


def test_every_data_file_has_a_name():
    folder = Path(__file__).parents[2] / "tilewright/machine/data"
    assert len(list(folder.glob("*.toml"))) == len(names()) - 1 >= 20
