"""Jobs from day to day, tiny: that every bar is measured, and by what its line says."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.alpha.scale.small import PRICES, SMALL, WINDOWS
from tilewright.alpha.scale.panel import make_panel
from tilewright.alpha.scale.walk import walk
from tilewright.bench import walking

PANEL = make_panel(PRICES, 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # chains this short agree about nothing
def test_warm_chains_are_held_against_cold_ones():
    settings = replace(SMALL, chains=4, chain=replace(SMALL.chain, draws=20))
    found = walking.compared(settings, PANEL, *WINDOWS[:2])
    assert set(found) == {"cold", "mixed", "warm"}
    for one in found.values():
        assert one["rate"] > 0
        assert one["r_hat"] > 0.9
        assert one["z"] >= 0


def test_distances_are_in_errors_of_both():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(4, 200, 3)), rng.normal(size=(4, 800, 3))
    near = walking._summary(ours, 2.0, theirs)
    assert near["z"] < 4
    assert near["r_hat"] < 1.05
    assert near["rate"] == pytest.approx(400, rel=0.3)
    far = walking._summary(ours + [0, 0, 1.0], 2.0, theirs)
    assert far["z"] == pytest.approx(1 / np.hypot(800**-0.5, 3200**-0.5), rel=0.25)


def test_the_first_draw_and_tomorrow():
    short = replace(SMALL, chain=walking.SHORTEST)
    assert len(walking.first_draws(short, PANEL, WINDOWS[:3])) == 2
    (row,) = walking.run_tomorrow(2, lambda folder: walk(PRICES, SMALL, folder) and None)
    assert row.at_most
    assert row.bar == 2.0
    assert len(row.more["seconds"]) == 2
    assert row.ours == row.more["seconds"][1]


@pytest.mark.parametrize("code", [walking.ALONE, walking.ON_NODES])
def test_jobs_are_told_how_many_windows_by_a_number(code, monkeypatch, capsys):
    cluster = SimpleNamespace(add_node=lambda **_: None, shutdown=lambda: None, address="here")
    made = SimpleNamespace(Cluster=lambda **_: cluster)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(cluster_utils=made))
    monkeypatch.setitem(sys.modules, "ray.cluster_utils", made)
    monkeypatch.setattr(walking, "nodes_job", lambda folder, windows, cluster=None: windows + 0.5)
    monkeypatch.setattr(sys, "argv", ["-c", "folder", "2"])
    exec(code, {})
    assert float(capsys.readouterr().out) == 2.5
