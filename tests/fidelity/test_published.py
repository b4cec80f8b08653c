"""Published runs: identities hold exactly, every bar holds."""

from statistics import median

import pytest

from fidelity import gpu, ipu, tt
from fidelity.ipu import Published
from fidelity.published import rows, table
from fidelity.row import Row
from tilewright.codelets.emit.llvm import Module
from tilewright.machine import machine
from tilewright.machine.cost import NOTHING

FOUND = [*ipu.rows(), *tt.rows(), *gpu.rows()]


@pytest.mark.parametrize("row", FOUND, ids=lambda row: row.case)
def test_every_bar_holds(row):
    assert row.holds


def test_so_do_those_of_records_and_the_table_has_all():
    every = list(rows())
    assert [row.case for row in every if not row.holds] == []
    assert len(every) > len(FOUND)
    assert all(row.judged for row in every[len(FOUND) :])
    assert len(table(every).splitlines()) == len(every) + 2


def test_rows_without_a_bar_are_of_syncs():
    assert {row.case.rpartition(": ")[2] for row in FOUND if not row.judged} == {"sync"}


@pytest.mark.parametrize(
    ("error", "bound", "holds"),
    [(0.19, False, True), (-0.21, False, False), (0.21, False, False), (0.01, True, False),
     (-0.19, True, True)],
)  # fmt: skip
def test_a_bar_can_be_missed(error, bound, holds):
    assert Row("M", "case", 100.0, 100 * (1 + error), 0.2, bound=bound).holds is holds


@pytest.mark.parametrize(
    ("name", "single", "half", "mebibytes"),
    [("gc2", 31.1, 124.5, 304), ("gc200", 62.4, 249.6, 897), ("pod64", 3994.4, 15977.7, 897 * 64)],
)
def test_identities(name, single, half, mebibytes):
    """Tiles x multiply-adds x 2 x clock is the published peak; tiles x memory what a chip has."""
    it = machine(f"ipu:{name}")
    assert it.peak_flops("float32") / 1e12 == pytest.approx(single, abs=0.06)
    assert it.peak_flops("float16") / 1e12 == pytest.approx(half, abs=0.06)
    assert it.chip.memory * it.chips == mebibytes << 20


def test_products_on_a_mesh_are_a_fifth_off_at_most_in_the_middle():
    assert median(abs(row.error) for row in FOUND if "HiFi2" in row.case) <= 0.20


def test_a_published_vertex_has_no_operands_and_so_does_nothing():
    vertex = Published("copy", NOTHING, 1, 1)
    module = Module(machine("cpu").tile.features)
    vertex.emit(module, "copy")
    assert vertex.meaning() == ()
    assert module.functions["copy"].body.split() == ["entry:", "ret", "void"]
