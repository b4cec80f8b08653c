"""A host's own figures: found again, rounded, and not trusted when old, damaged or another's."""

import json
import time
from dataclasses import replace

import pytest

from tests.calibrate.test_rounds import SOME
from tests.machines import STATED, eager
from tilewright import record
from tilewright.image import Image
from tilewright.machine import figures
from tilewright.machine.host import described, host_names

NAMES = host_names()


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    figures.write(tmp_path, NAMES, SOME)
    return tmp_path


def test_they_are_found_again_to_two_digits(folder):
    found = figures.read(folder, NAMES)
    assert found is not None
    assert (found.clock, found.barrier, found.call) == (3.5e9, 2300, 11)
    assert found.reads["L3"] == (61, 12)
    assert found == found.rounded() == SOME.rounded()
    nearly = replace(SOME, clock=3.46e9, barrier=2320.0)
    assert described(NAMES, nearly.rounded()) == described(NAMES, found), "no other plans"


def test_they_make_the_machine(folder):
    machine = described(NAMES, figures.read(folder, NAMES))
    assert machine.chip.clock == 3.5e9
    assert machine.chip.sync_cycles == 2300
    assert machine.tile.operations == (("tanh", "float32", 18.0),)
    assert [memory.read for memory in machine.tile.memories] == [61] * 4
    assert [memory.size for memory in machine.tile.memories] == [
        memory.size for memory in STATED.tile.memories
    ]
    assert {u.rate for u in machine.tile.units if u.operands[1] == "float32"} == {2.0}
    assert (machine.source[-8:], STATED.source[-8:]) != ("measured", "measured")
    assert repr(machine) != repr(STATED), "it is named by its figures"


def test_who_measured_with_one_cpu_has_the_stated_barrier():
    """Where it took no time, everything would be dealt out in slivers."""
    alone = described(NAMES, replace(SOME, barrier=0.0))
    assert alone.chip.sync_cycles == STATED.chip.sync_cycles


def test_old_ones_are_not_trusted(folder):
    path = figures.path(folder, NAMES)
    content = json.loads(path.read_text())
    for days, trusted in ((0, True), (29, True), (31, False), (-1, False)):
        path.write_text(json.dumps(content | {"taken": time.time() - 86_400 * days}))
        assert (figures.read(folder, NAMES) is not None) == trusted


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"taken": 1e12}', '{"taken": "x"}', "null"])
def test_damaged_ones_are_not_trusted(folder, text):
    figures.path(folder, NAMES).write_text(text)
    assert figures.read(folder, NAMES) is None


def test_fields_that_are_missing_or_wrong(folder):
    path = figures.path(folder, NAMES)
    content = json.loads(path.read_text())
    for name in content:
        path.write_text(json.dumps({k: v for k, v in content.items() if k != name}))
        assert figures.read(folder, NAMES) is None
        path.write_text(json.dumps(content | {name: [["x"]]}))
        assert figures.read(folder, NAMES) is None


def test_another_host_has_its_own(folder, monkeypatch):
    assert figures.read(folder, (*NAMES, "other")) is None
    monkeypatch.setattr(figures, "cpu_limit", lambda: 4711)
    assert figures.read(folder, NAMES) is None
    assert figures.read(None, NAMES) is None


def test_a_folder_that_others_may_write_is_not_trusted(folder):
    assert figures.read(folder, NAMES) is not None
    folder.chmod(0o777)
    assert figures.read(folder, NAMES) is None


def test_the_machine_is_part_of_the_cache_key(tmp_path, monkeypatch):
    tmp_path.chmod(0o700)
    environment = replace(record.ENVIRONMENT, cache=tmp_path, dump=None)
    monkeypatch.setattr(record, "ENVIRONMENT", environment)
    made = []

    def make():
        made.append(1)
        return Image()

    for machine in (STATED, STATED, eager(), STATED, eager()):
        record.recall("graph", machine, make)
    assert len(made) == 2
