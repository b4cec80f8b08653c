"""Counts add up, and prices follow from them: more work, further memory, slower units cost more."""

from dataclasses import replace

import pytest

from tests.machines import STATED, eager
from tilewright.machine import machine as named
from tilewright.machine.cost import (
    NOTHING,
    Count,
    bounded,
    drawing,
    home,
    is_worth_dealing,
    lanes,
    mac_rate,
    narrow,
    price,
    total,
    work,
)
from tilewright.machine.host import described
from tilewright.machine.meetings import messages

AVX2, AVX512 = described(("avx2", "fma")), described(("avx2", "avx512f", "fma"))
MACHINES = pytest.mark.parametrize(
    "machine", [AVX2, AVX512, STATED, named("ipu:gc200")], ids=["avx2", "avx512", "host", "ipu"]
)
SOME = Count({"float32": 3e5}, {("tanh", "float32"): 1e4, ("add", "float32"): 2e4}, 8e4, 4e4, 10)


def test_counts_are_added_and_multiplied():
    twice = SOME + SOME
    assert twice == SOME * 2
    assert SOME + NOTHING == SOME
    assert total([SOME, NOTHING, twice]) == SOME * 3
    assert total([]) == NOTHING
    assert twice.flops == 2 * (2 * 3e5 + 3e4)
    assert twice.bytes == 2.4e5
    other = Count({"float64": 1}, {("move", "float32"): 5})
    assert (SOME + other).macs == {"float32": 3e5, "float64": 1}
    assert (SOME + other).flops == SOME.flops + 2, "what is only moved is no operation"


@MACHINES
def test_prices_of_work_add_up(machine):
    alone, twice = work(SOME, machine.tile), work(SOME * 2, machine.tile)
    assert twice.cycles == pytest.approx(2 * alone.cycles)
    assert dict(twice.by) == pytest.approx(dict((alone + alone).by))
    assert alone.by["multiply-adds"] == 3e5 / machine.tile.macs("float32")


@MACHINES
def test_the_larger_of_work_and_transfer_bounds(machine):
    arithmetic, transfer = Count({"float32": 1e9}, loads=8), Count({"float32": 1}, loads=1e9)
    assert price(arithmetic, machine.tile).limit == "multiply-adds"
    far = machine.tile.memories[-1]
    assert price(transfer, machine.tile, 1e9).limit == far.name
    assert price(transfer, machine.tile, 1e9).cycles == pytest.approx(1e9 / far.read)
    both = bounded(work(arithmetic, machine.tile), work(transfer, machine.tile))
    assert both == work(arithmetic, machine.tile)


def test_further_memory_is_dearer():
    l1, l2, l3, far = AVX2.tile.memories
    assert [home(AVX2.tile, m.size) for m in (l1, l2, l3, far)] == [l1, l2, l3, far]
    assert home(AVX2.tile, l1.size + 1) is l2
    assert home(AVX2.tile, 10 * far.size) is far
    read = Count(loads=1e6)
    costs = [price(read, AVX2.tile, m.size).cycles for m in (l1, l2, l3, far)]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]


@pytest.mark.parametrize("name", ["tanh", "exp", "div", "acos"])
def test_functions_are_not_additions(name):
    for machine in (AVX2, AVX512):
        cheap = work(Count(operations={("add", "float32"): 1000}), machine.tile)
        dear = work(Count(operations={(name, "float32"): 1000}), machine.tile)
        assert dear.cycles > 4 * cheap.cycles
        assert (cheap.limit, dear.limit) == ("arithmetic", name)


def test_dtypes():
    assert [lanes(AVX512.tile, d) for d in ("float32", "bfloat16", "int8", "float64")] == [
        16, 16, 16, 8,
    ]  # fmt: skip
    assert lanes(AVX2.tile, "float64") == 4
    for dtype in ("float32", "bfloat16", "float16"):
        assert mac_rate(AVX2.tile, dtype) == 16
    assert mac_rate(AVX2.tile, "float64") == 4, "rounded products"
    assert 0 < mac_rate(AVX2.tile, "int32") < 16, "no unit: products, then sums"


def test_narrow_operands_are_priced_by_the_unit_that_takes_them():
    keys = [narrow(*pair, "int32") for pair in (("uint8", "int8"), ("int16", "int8"))]
    keys += [narrow("bfloat16", "bfloat16", "float32", pairs) for pairs in (True, False)]
    assert keys[-1] == "float32"
    able = described(("avx2", "avx512bf16", "avx512f", "avx512vnni", "fma")).tile
    single = mac_rate(able, "float32")
    assert [mac_rate(able, key) / single for key in keys] == [4, 2, 2, 1]
    single = mac_rate(AVX2.tile, "float32")
    # Without VNNI and BF16: bytes go by pairs of 16 bits, bfloat16 by float32.
    assert [mac_rate(AVX2.tile, key) / single for key in keys] == [2, 2, 1, 1]
    assert narrow("int8", "int8", "float32") == "float32"


def test_a_measured_machine_is_priced_by_its_own_figures():
    slow = replace(AVX2.tile, units=tuple(replace(u, rate=u.rate / 3) for u in AVX2.tile.units))
    assert work(SOME, slow).by["multiply-adds"] == pytest.approx(
        3 * work(SOME, AVX2.tile).by["multiply-adds"]
    )


def test_what_is_worth_dealing_out():
    small, large = Count({"float32": 1e4}), Count({"float32": 1e7})
    assert not is_worth_dealing(small, AVX2)
    assert is_worth_dealing(large, AVX2)
    assert is_worth_dealing(small, eager(AVX2))


def test_what_is_worth_dealing_out_to_more_tiles():
    """What they save is more; what is lost at a barrier besides does not grow with it."""

    def least(tiles: int, barrier: float) -> float:
        machine = replace(AVX2, chip=replace(AVX2.chip, tiles=tiles, sync_cycles=barrier))
        rates = (10 ** (k / 20) for k in range(200))
        return next(n for n in rates if is_worth_dealing(Count({"float32": n}), machine))

    assert least(2, 500) > 1.5 * least(16, 500)
    assert least(16, 5000) < 5 * least(16, 500)


def test_drawing_a_number_is_a_barrier_of_two():
    chips = (replace(AVX2.chip, tiles=n, sync_cycles=100 * messages(n)) for n in (2, 16, 192))
    assert {round(drawing(replace(AVX2, chip=chip))) for chip in chips} == {300}
