"""Figures are kept, or measured once; what cannot be is said, and compiling goes on."""

from dataclasses import replace

import pytest

from tilewright.calibrate import DisturbedError, kept
from tilewright.machine.host import host_machine


@pytest.fixture
def measuring(monkeypatch):
    """What `calibrate` would leave, and how often it was asked."""
    machine = host_machine()
    chip = replace(machine.chip, sync_cycles=510)
    asked, present = [], [replace(machine, source="figures stated for avx512")]

    def calibrate():
        asked.append(1)
        present[0] = replace(machine, source="figures measured", chip=chip)
        return present[0]

    monkeypatch.setattr(kept, "calibrate", calibrate)
    monkeypatch.setattr(kept, "host_machine", lambda: present[0])
    return asked


def test_measured_once(measuring):
    said: list[str] = []
    assert kept.known(said.append).chip.sync_cycles == 510
    assert kept.known(said.append).chip.sync_cycles == 510
    assert len(measuring) == 1
    assert "is measured first" in said[0]
    assert said[1] == said[2]
    assert "as it was measured: a barrier of 510 cycles" in said[1]


def test_a_busy_host_is_said(measuring, monkeypatch):
    def calibrate():
        raise DisturbedError("This host is too busy to be measured.")

    monkeypatch.setattr(kept, "calibrate", calibrate)
    said: list[str] = []
    assert not kept.is_measured(kept.known(said.append))
    assert "too busy" in said[1]
    assert "stated for its level, a barrier of" in said[1]


def test_without_a_cache_nothing_is_measured(measuring, monkeypatch):
    monkeypatch.setattr(kept, "ENVIRONMENT", replace(kept.ENVIRONMENT, cache=None))
    said: list[str] = []
    kept.known(said.append)
    assert not measuring
    assert "TILEWRIGHT_CACHE is off" in said[0]
