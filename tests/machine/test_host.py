"""A processor below what programs need is refused in one sentence, before anything is compiled."""

import platform
from dataclasses import replace

import numpy as np
import pytest

import tilewright
from tilewright.errors import UnsupportedError
from tilewright.machine import host
from tilewright.machine.cost import drawing
from tilewright.machine.host import described
from tilewright.machine.levels import LEVELS, stated


def test_below_avx2(monkeypatch, tmp_path):
    exe = tilewright.compile(lambda x: x + 1, np.ones(3, np.float32))
    exe.save(tmp_path / "model.tw")
    monkeypatch.setattr(host, "instructions", lambda: frozenset(("sse2", "avx")))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(UnsupportedError, match="has no AVX2 and no FMA: programs need an x86-64"):
        tilewright.compile(lambda x: x + 2, np.ones(3, np.float32))
    with pytest.raises(UnsupportedError, match="has no AVX2"):
        tilewright.load(tmp_path / "model.tw")
    monkeypatch.setattr(host, "instructions", lambda: frozenset(("avx2", "fma")))
    tilewright.load(tmp_path / "model.tw")


@pytest.mark.parametrize(("machine", "known"), [("aarch64", {"asimd"}), ("x86_64", set())])
def test_others_are_not_asked(machine, known, monkeypatch):
    monkeypatch.setattr(host, "instructions", lambda: frozenset(known))
    monkeypatch.setattr(platform, "machine", lambda: machine)
    host.check_able()


def test_a_barrier_measured_among_few_is_that_of_all(monkeypatch):
    """In a container of two CPUs on a host of sixteen."""
    monkeypatch.setattr(host, "cpu_count", lambda: 16)
    figures = replace(stated(LEVELS["avx2"], 2), barrier=300.0)
    assert described(("avx2", "fma"), figures).chip.sync_cycles == 1000
    assert drawing(described(("avx2", "fma"), figures)) == 300
