"""The job of the scale net as a whole, small: found whole after a kill, the same to the bit."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.alpha.scale.small import PRICES, SMALL, WINDOWS, Listener, cut
from tilewright.alpha.controls import PLANTED, SHUFFLED
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale import program
from tilewright.alpha.scale.ahead import today
from tilewright.alpha.scale.folder import opened
from tilewright.alpha.scale.level import here
from tilewright.alpha.scale.panel import training_rows
from tilewright.alpha.scale.program import fit_window
from tilewright.alpha.scale.walk import walk
from tilewright.alpha.tables import Prices


def files(folder: Path, kind: str = "scored") -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (folder / kind).iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder, listener = tmp_path_factory.mktemp("whole") / "job", Listener()
    return walk(PRICES, SMALL, folder, listener), listener, folder


def test_every_window_is_scored_and_the_open_one_is_fitted(whole):
    found, listener, folder = whole
    assert [w.whole for w in WINDOWS] == [True] * 5 + [False]
    assert [s.day for s in found.scored()] == [w.day for w in WINDOWS[:-1]]
    assert len(listener.done) == len(WINDOWS)
    assert [p.name[:10] for p in (folder / "fits").iterdir()] == [WINDOWS[-1].day]


def test_one_compile_for_all_windows(whole):
    before = program.compiled.cache_info().misses
    walk(cut(410), SMALL)
    assert program.compiled.cache_info().misses == before


def test_warm_chains_go_on_and_one_is_cold(whole):
    colds = [s.cold.tolist() for s in whole[0].scored()]
    assert colds == [[True, True] if w.opens else [True, False] for w in WINDOWS[:-1]]
    gradients = [s.gradients for s in whole[0].scored()]
    assert gradients[1][1] < gradients[0][1]


@pytest.mark.parametrize("stop_after", [1, 2, 4])
def test_killed_and_run_again_ends_with_the_same_bytes(whole, tmp_path, stop_after):
    with pytest.raises(KeyboardInterrupt):
        walk(PRICES, SMALL, tmp_path / "job", Listener(stop_after))
    listener = Listener()
    walk(PRICES, SMALL, tmp_path / "job", listener)
    assert len(listener.done) == len(WINDOWS) - stop_after
    for kind in ("scored", "fits"):
        assert files(tmp_path / "job", kind) == files(whole[2], kind)


def test_killed_between_fit_and_scores(whole, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("tilewright.alpha.scale.material.Material.score", killed)
        with pytest.raises(KeyboardInterrupt):
            walk(PRICES, SMALL, tmp_path / "job")
    walk(PRICES, SMALL, tmp_path / "job")
    assert files(tmp_path / "job") == files(whole[2])


def test_a_new_day_and_a_cut_at_the_end_reuse_what_is_finished(whole, tmp_path):
    listener = Listener()
    walk(cut(405), SMALL, tmp_path / "job", listener)
    shorter = files(tmp_path / "job")
    assert set(shorter) < set(files(whole[2]))
    listener = Listener()
    walk(PRICES, SMALL, tmp_path / "job", listener)
    assert listener.done == [WINDOWS[4].day, "open"]
    assert files(tmp_path / "job") == files(whole[2])
    listener = Listener()
    found = walk(cut(406), SMALL, tmp_path / "job", listener)
    assert listener.done == ["open"]  # its draws had been dropped
    assert {s.day for s in found.scored()} == {name[:10] for name in shorter}


def test_other_data_and_settings_are_refused(whole, tmp_path):
    walk(cut(350), SMALL, tmp_path / "job")
    changed = PRICES.values.copy()
    changed[300] *= 1.01
    other = Prices(PRICES.days, PRICES.names, changed, "changed")
    with pytest.raises(AlphaError, match=f"other data, in the window tested from {WINDOWS[0].day}"):
        walk(other, SMALL, tmp_path / "job")
    with pytest.raises(AlphaError, match="draws 6, not 7"):
        walk(PRICES, replace(SMALL, chain=replace(SMALL.chain, draws=7)), tmp_path / "job")
    with pytest.raises(AlphaError, match="train 60, not 70"):
        walk(PRICES, replace(SMALL, train=70), tmp_path / "job")


def test_what_no_window_depends_on_is_known_when_it_goes_on(tmp_path):
    """Who resumes or appends says neither how many draws to keep nor how many controls to run."""
    settings = replace(SMALL, keep=0, controls=1)
    with pytest.raises(KeyboardInterrupt):
        walk(cut(400), settings, tmp_path / "job", Listener(1))
    assert opened(tmp_path / "job").settings == settings
    before = (tmp_path / "job" / "job.json").read_bytes()
    changed = Prices(PRICES.days, PRICES.names, PRICES.values * 1.01, "changed")
    with pytest.raises(AlphaError, match="other data"):
        walk(changed, SMALL, tmp_path / "job")
    assert (tmp_path / "job" / "job.json").read_bytes() == before
    walk(cut(400), replace(settings, keep=1), tmp_path / "job")
    assert opened(tmp_path / "job").settings.keep == 1


def test_another_version_is_refused_or_recorded(whole, tmp_path, monkeypatch):
    walk(cut(350), SMALL, tmp_path / "job")
    monkeypatch.setattr("tilewright.__version__", "9.9")
    with pytest.raises(AlphaError, match="say --other-version"):
        walk(cut(350), SMALL, tmp_path / "job")
    walk(cut(350), SMALL, tmp_path / "job", other_version=True)
    assert '"9.9"' in (tmp_path / "job" / "job.json").read_text()


def test_another_level_of_instructions_is_refused(whole, tmp_path, monkeypatch):
    walk(cut(350), SMALL, tmp_path / "job")
    assert json.loads((tmp_path / "job" / "job.json").read_text())["level"] == here()
    monkeypatch.setattr("tilewright.alpha.scale.crew.here", lambda: "another")
    with pytest.raises(AlphaError, match=f"was begun on {here()} and this is another"):
        walk(PRICES, SMALL, tmp_path / "job")


def test_chains_go_on_within_their_sequence_alone(whole):
    """However the windows lay beside each other: one after the other, they end the same."""
    panel, state = whole[0].panel, None
    scores = {s.day: s for s in whole[0].scored()}
    for window in WINDOWS[:4]:
        state = None if window.opens else state
        fit = fit_window(SMALL, training_rows(panel, window), window, state, "real")
        state = fit.state
        np.testing.assert_array_equal(scores[window.day].state.variance, state.variance)
        np.testing.assert_array_equal(scores[window.day].gradients, fit.gradients)


def test_gaps_leave_rows_out_and_the_rest_as_it_is(tmp_path):
    """A stock listed later: rows that it has not are neither learned from nor forecast."""
    late = PRICES.values.copy()
    late[:120, 1] = np.nan
    late[400:403, 2] = np.nan
    table = Prices(PRICES.days, PRICES.names, late, "gaps")
    found = walk(table, SMALL, tmp_path / "job")
    for one in found.scored():
        stocks = {int(s) for s in one.places[:, 1]}
        assert (1 in stocks) == (one.places[:, 0].max() >= 376)
        assert not {(401, 2), (399, 2)} & {tuple(p) for p in one.places.tolist()}
        assert np.isfinite(one.crps[0]).all()


def test_controls(tmp_path):
    found = walk(PRICES, replace(SMALL, controls=1), tmp_path / "job")
    for series in (PLANTED, SHUFFLED):
        assert [s.day for s in found.scored(series)] == [WINDOWS[-2].day]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(first="2015-03-01"), "is the earliest"),
        (dict(first="2031-01-01"), "after the last day"),
        (dict(first="soon"), "first must be an ISO date"),
        (dict(train=400), "One window needs"),
        (dict(scale="constant"), "Unknown scale"),
        (dict(warm=1), "warm must be True or False"),
        (dict(sequence=0), "sequence must be 1 or more"),
    ],
)
def test_what_cannot_be_run_is_said_first(change, words, tmp_path):
    with pytest.raises(AlphaError, match=words):
        walk(PRICES, replace(SMALL, **change), tmp_path / "job")
    assert not (tmp_path / "job").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(AlphaError, match="is not the folder of a job"):
        walk(PRICES, SMALL, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_no_time_takes_the_oldest_windows(tmp_path):
    found = walk(PRICES, SMALL, tmp_path / "job", seconds=1e-9)
    assert [s.day for s in found.scored()] == [WINDOWS[3].day]


def test_features_and_members_stay_with_the_job(whole, tmp_path):
    """Killed and resumed from the folder alone, the same bytes; without them it is refused."""
    told = np.random.default_rng(5).normal(size=(*PRICES.values.shape, 1))
    spans = pd.DataFrame({"instrument": PRICES.names, "to": [None, PRICES.days[380], None]})
    extras: dict[str, Any] = dict(
        features=lambda table: {"told": told[: len(table.days), :, 0]}, members=spans
    )
    found = walk(PRICES, SMALL, tmp_path / "job", **extras)
    names = {PRICES.names[s] for one in found.scored() for s in one.places[:, 1]}
    assert names == set(PRICES.names)
    gone = [one.places for one in found.scored()][-1]
    assert not (gone[:, 1] == 1).any()
    with pytest.raises(KeyboardInterrupt):
        walk(PRICES, SMALL, tmp_path / "killed", Listener(2), **extras)
    job = opened(tmp_path / "killed")
    walk(job.prices, job.settings, tmp_path / "killed")
    for kind in ("scored", "fits"):
        assert files(tmp_path / "killed", kind) == files(tmp_path / "job", kind)
    assert len(today(opened(tmp_path / "job"))) == 2
    with pytest.raises(AlphaError, match="belongs to another job"):
        walk(PRICES, SMALL, tmp_path / "job")
    with pytest.raises(AlphaError, match=r"\['told'\] are wanted, and \[\] come with"):
        walk(PRICES, job.settings, tmp_path / "job")
    assert files(whole[2]).keys() != files(tmp_path / "job").keys()
