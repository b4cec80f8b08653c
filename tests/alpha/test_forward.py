"""The job as a whole, small: it is found whole again after a kill, and the same to the bit."""

import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from tests.alpha.market import Listener, prices
from tilewright.alpha import peer
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.forward import make_panel, walk
from tilewright.alpha.job import Job
from tilewright.alpha.noise import fit_degrees
from tilewright.alpha.program import in_order
from tilewright.alpha.report.files import write_report
from tilewright.alpha.report.page import page
from tilewright.alpha.settings import Sampler, Settings
from tilewright.alpha.tables import Prices
from tilewright.alpha.windows import training_targets, walk_forward

PRICES = prices()
SMALL = Settings(Sampler(warmup=4, draws=6, leapfrogs=2, hidden=3), windows=4, controls=1)


def run(folder: Path, listener: Listener | None = None, settings=SMALL, **options):
    job = Job(folder, PRICES, settings)
    options = {"peer": False, **options}
    return job, walk(job, PRICES, settings, listener or Listener(), **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    listener = Listener()
    job, outcome = run(tmp_path_factory.mktemp("whole") / "job", listener)
    return job, outcome, listener


def same(one, other) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))


def test_every_window_is_there(whole):
    _, outcome, listener = whole
    wanted = {("real", i) for i in range(4)} | {("planted", 0), ("shuffled", 0)}
    assert set(outcome.results) == wanted == set(listener.done)
    assert 0 < listener.asked() < 600
    assert outcome.windows == outcome.planned == 4


def test_killed_and_run_again_ends_the_same(whole, tmp_path):
    _, outcome, _ = whole
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Listener(stop_after=2))
    before = {p.name: p.read_bytes() for p in (tmp_path / "windows").glob("*.npz")}
    assert len(before) == 2
    listener = Listener()
    _, again = run(tmp_path, listener)
    assert listener.resumed == 2
    assert len(listener.done) == 4
    assert set(again.results) == set(outcome.results)
    assert all(same(again.results[key], outcome.results[key]) for key in outcome.results)
    assert all((tmp_path / "windows" / name).read_bytes() == b for name, b in before.items())


def test_speed_is_that_of_all_windows(whole, tmp_path, monkeypatch):
    notes = whole[1].notes
    assert notes["measured"] == 6
    assert notes["rate"] == notes["leapfrogs"] / notes["seconds"]
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Listener(stop_after=3))
    job, _ = run(tmp_path)
    noted = job.notes()
    assert noted["measured"] == 6
    assert noted["leapfrogs"] >= notes["leapfrogs"]  # a chain that was under way is run again
    job.path("real", 3).unlink()
    job.note(cores=99)  # the rest ran on another machine
    assert "measured on 1 of 6 windows" in page_of(*run(tmp_path))


def page_of(job, outcome):
    return page(outcome, *write_report(job, outcome))


def test_a_finished_job_does_no_work(whole):
    job, outcome, _ = whole
    listener = Listener()
    _, again = run(job.folder, listener)
    assert not listener.done
    assert all(same(again.results[key], outcome.results[key]) for key in outcome.results)


def test_no_time_means_fewer_windows_and_no_shorter_chains(whole, tmp_path, monkeypatch):
    monkeypatch.setattr("tilewright.alpha.forward.FIRST_LOOK", 1)
    _, outcome = run(tmp_path, seconds=0.0)
    assert 1 <= outcome.windows < 4
    assert set(outcome.results) <= set(whole[1].results)
    assert all(same(r, whole[1].results[key]) for key, r in outcome.results.items())
    assert Job(tmp_path, PRICES, SMALL).notes()["windows"] == outcome.windows
    _, again = run(tmp_path, seconds=0.0)  # the same command: settled
    assert again.windows == outcome.windows
    assert set(again.results) == set(outcome.results)
    _, more = run(tmp_path)  # another: all of them
    assert more.windows == 4


def test_xla_gives_the_same_forecasts_but_for_rounding(whole, tmp_path):
    settings = Settings(SMALL.sampler, windows=1, controls=0, machine="xla")
    _, outcome = run(tmp_path, settings=settings)
    ours, theirs = whole[1].results["real", 0], outcome.results["real", 0]
    np.testing.assert_array_equal(ours.leapfrogs, theirs.leapfrogs)
    np.testing.assert_allclose(ours.crps[0], theirs.crps[0], atol=1e-3)
    np.testing.assert_array_equal(ours.crps[1:], theirs.crps[1:])


def test_what_is_scored_is_what_came(whole):
    """Outcomes, their days, and the noise of every result, from the panel alone."""
    panel = make_panel(PRICES, SMALL.seed)
    windows = walk_forward(PRICES.days, SMALL.windows)
    for (series, index), found in whole[1].results.items():
        target = panel.targets[series]
        came = target[found.test : found.test + 21].ravel()
        np.testing.assert_array_equal(found.outcome, came.astype(np.float32))
        assert found.test == windows[index].test
        assert found.df == fit_degrees(target[found.test - 251 : found.test - 1].ravel())


def test_noise_is_fitted_to_training_days_alone(tmp_path):
    panel, settings = make_panel(PRICES, 0), replace(SMALL, windows=1, controls=0)
    (window,) = walk_forward(PRICES.days, 1)
    wild = panel.targets["real"] * np.random.default_rng(0).standard_cauchy((620, 3))
    wild[window.start : window.start + 250] = panel.targets["real"][window.start :][:250]
    changed = replace(panel, targets={**panel.targets, "real": wild})
    _, outcome = run(tmp_path, settings=settings, panel=changed)
    assert outcome.results["real", 0].df == fit_degrees(training_targets(window, wild))
    assert outcome.results["real", 0].df > fit_degrees(wild[253:-1].ravel())


def test_beside_plain_jax(tmp_path, monkeypatch):
    """The peer, in its own process: speeds are noted, and the draws agree."""
    monkeypatch.setattr(peer, "FLAGS", f"{peer.FLAGS} {os.environ['XLA_FLAGS']}")
    settings = Settings(Sampler(warmup=20, draws=40, leapfrogs=4, hidden=3), windows=1, controls=0)
    job, outcome = run(tmp_path, settings=settings, peer=True)
    check = outcome.notes["check"]
    assert check["passed"], check["text"]
    assert outcome.notes["jax_rate"] > 0
    assert outcome.notes["jax_order"] in ("rows", "columns")
    assert "times that</dd>" in page_of(job, outcome)


def test_report(whole):
    job, outcome, _ = whole
    scores, said = write_report(job, outcome)
    page = (job.folder / "report.html").read_text()
    assert set(scores) == {"real", "planted", "shuffled"}
    assert said.headline in page
    titles = ("Controls", "Keep in mind", "How to read it", "How it was made")
    assert ("<h2>What was found</h2>" in page) == bool(said.findings)
    places = [page.index(f"<h2>{title}</h2>") for title in titles]
    assert places == sorted(places)
    assert "acceptance" not in page[page.index("<body>") : places[-1]]
    assert "http://" not in page.split("<body>")[1]
    lines = (job.folder / "forecasts.csv").read_text().splitlines()
    assert len(lines) == 1 + 4 * 21 * 3
    assert lines[1].startswith(PRICES.days[outcome.series("real")[-1].test] + ",S0,")


def test_failed_windows_are_marked(whole):
    job, outcome, _ = whole
    results = {key: replace(r, failure="") for key, r in outcome.results.items()}
    nothing = np.full_like(results["real", 1].r_hat, np.nan)
    results["real", 1] = replace(
        results["real", 1], failure="draws are not finite", r_hat=nothing, ess=nothing
    )
    broken = replace(outcome, results=results)
    found = page(broken, *write_report(job, broken))
    assert "1 of 4 windows failed" in found
    assert "1 / 4" in found
    assert "draws are not finite" in found
    assert "draws are not finite" in (job.folder / "forecasts.csv").read_text()
    write_report(job, outcome)


def test_controls_are_spread_among_the_first_windows():
    windows = walk_forward([str(i) for i in range(3000)], 10)
    order = in_order(Settings(windows=10, controls=2), windows)
    assert [f"{s[0]}{w.index}" for s, w in order] == (
        "r0 p0 r1 s0 r2 p1 r3 s1 r4 r5 r6 r7 r8 r9".split()
    )
    assert len(in_order(Settings(controls=5), windows[:2])) == 6


def test_what_cannot_be_run_is_said_first(whole):
    with pytest.raises(AlphaError, match="controls must be 0 or more"):
        run(whole[0].folder, settings=replace(SMALL, controls=-1))
    with pytest.raises(AlphaError, match="seconds must be finite"):
        run(whole[0].folder, seconds=np.inf)


def test_windows_known_by_their_dates_outlive_new_days_and_cuts(tmp_path):
    """A table that goes on: finished windows are kept, and a folder that saw all has the same."""
    settings = replace(SMALL, windows=3, controls=0, anchor="dates")

    def walked(folder: Path, days: int, values=PRICES.values):
        listener = Listener()
        table = Prices(PRICES.days[:days], PRICES.names, values[:days], "made up")
        outcome = walk(Job(folder, table, settings), table, settings, listener, peer=False)
        return outcome.series("real"), listener.done

    shorter, _ = walked(tmp_path / "a", 598)
    longer, done = walked(tmp_path / "a", 620)
    assert [r.test for r in shorter] == [567, 546, 525]
    assert [r.test for r in longer] == [588, 567, 546]
    assert done == [("real", longer[0].index)]
    at_once, _ = walked(tmp_path / "b", 620)
    assert all(same(one, other) for one, other in zip(longer, at_once, strict=True))
    back, done = walked(tmp_path / "a", 599)
    assert all(same(one, other) for one, other in zip(back, shorter, strict=True))
    assert not done
    changed = PRICES.values.copy()
    changed[560] *= 1.01
    with pytest.raises(AlphaError, match=f"other data, up to {PRICES.days[567]}"):
        walked(tmp_path / "a", 620, changed)


def test_a_stock_that_does_not_move():
    values = PRICES.values.copy()
    values[:, 1] = 5.0
    with pytest.raises(AlphaError, match="Column 'S1' does not change"):
        make_panel(Prices(PRICES.days, PRICES.names, values, "made up"), 0)
