"""A job of sequence nets as a whole, small: the same bits however it is interrupted or goes on."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.alpha.scale.small import Listener
from tests.sequence.forward.small import PRICES, SMALL, WINDOWS, cut
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.tables import Prices
from tilewright.sequence import checkpoint
from tilewright.sequence.forward import walk as module
from tilewright.sequence.forward.ahead import today
from tilewright.sequence.forward.report.files import write_report
from tilewright.sequence.forward.walk import NET, WARM, ForwardFolder, walk_forward


def files(folder: Path, kind: str = "scored") -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (folder / kind).iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder, listener = tmp_path_factory.mktemp("whole") / "job", Listener()
    return walk_forward(PRICES, SMALL, folder, listener), listener, folder


def test_every_window_is_scored_and_the_open_one_is_fitted(whole):
    found, listener, folder = whole
    assert [w.whole for w in WINDOWS] == [True] * 4 + [False]
    assert [s.day for s in found.scored()] == [w.day for w in WINDOWS[:-1]]
    assert listener.done == ["open", *(w.day for w in WINDOWS[-2::-1])]  # newest first
    assert len(files(folder, "fits")) == len(WINDOWS)
    assert not (folder / "under-way.npz").exists()
    for one in found.scored():
        for values in one.scores().values():
            assert np.isfinite(values).all()


def test_killed_and_run_again_ends_with_the_same_bytes(whole, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        walk_forward(PRICES, SMALL, tmp_path / "job", Listener(3))
    listener = Listener()
    walk_forward(PRICES, SMALL, tmp_path / "job", listener)
    assert len(listener.done) == len(WINDOWS) - 3
    for kind in ("scored", "fits"):
        assert files(tmp_path / "job", kind) == files(whole[2], kind)


def test_killed_while_it_learns(whole, tmp_path, monkeypatch):
    """It goes on from what was written, and from nothing that belongs to other windows."""
    write = checkpoint.write_bytes

    def killed(path, content):
        write(path, content)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write_bytes", killed)
        patched.setattr(module, "CHECKPOINT_SECONDS", 0)
        with pytest.raises(KeyboardInterrupt):
            walk_forward(PRICES, SMALL, tmp_path / "job")
    assert (tmp_path / "job" / "under-way.npz").exists()
    assert not files(tmp_path / "job", "fits")
    walk_forward(cut(405), SMALL, tmp_path / "job")  # ends earlier: other windows
    walk_forward(PRICES, SMALL, tmp_path / "job")
    assert files(tmp_path / "job") == files(whole[2])


def test_days_to_come_move_no_score(whole, tmp_path):
    """Later prices may be anything."""
    values = PRICES.values.copy()
    last = WINDOWS[2].end + SMALL.horizon
    values[last:] *= np.linspace(1, 3, len(values) - last)[:, None]
    found = walk_forward(Prices(PRICES.days, PRICES.names, values, "other"), SMALL)
    early = {n: b for n, b in files(whole[2]).items() if n[:10] <= WINDOWS[2].day}
    assert len(early) == 3
    assert early.items() < files(found.folder.path).items()


def test_tomorrow_is_what_the_walk_says_of_that_day(whole, tmp_path):
    early = walk_forward(cut(WINDOWS[3].test + 3), SMALL, tmp_path / "job")
    table = today(ForwardFolder.opened(early.folder.path))
    one = list(whole[0].scored())[3]
    mine = one.places[:, 0] == WINDOWS[3].test + 2
    np.testing.assert_allclose(table["q05"], one.quantiles[0, 1, mine] * one.unit[mine], rtol=1e-4)
    assert table["instrument"].tolist() == list(PRICES.names)


def test_the_report_of_volatilities_with_warm_starts_and_a_control(tmp_path):
    settings = replace(SMALL, target="volatility", warm=True, controls=1, rivals="all")
    found = walk_forward(cut(405), settings, tmp_path / "job")
    scored = list(found.scored())
    assert scored[0].models[:2] == (NET, WARM)
    np.testing.assert_array_equal(scored[0].mean[0], scored[0].mean[1])  # none to go on from
    assert not np.array_equal(scored[1].mean[0], scored[1].mean[1])
    assert [s.day for s in found.scored("shuffled")] == [scored[-1].day]
    said = write_report(found)
    assert said is not None
    text = (tmp_path / "job" / "report.html").read_text()
    assert said.headline.replace("'", "&#x27;") in text
    assert not re.search(r'(src|href)="?http', text)
    assert "nan" not in re.sub(r"<[^>]*>", " ", text).casefold().split()
    content = json.loads((tmp_path / "job" / "report.json").read_text())
    assert content["best rival"] not in (NET, WARM)
    assert content["windows"]["days"] == [s.day for s in scored]
    table = pd.read_parquet(tmp_path / "job" / "forecasts")
    day = PRICES.days.index(table["date"].iloc[0])
    stock = PRICES.names.index(table["instrument"].iloc[0])
    ahead = np.diff(np.log(PRICES.values[day : day + 6, stock]))
    assert table["outcome"].iloc[0] == pytest.approx(0.5 * np.log(np.mean(ahead**2)), rel=1e-5)
    tomorrow = today(found.folder)
    assert "mean" not in tomorrow.columns
    middle = tomorrow["geometric_mean"]
    assert (tomorrow["q25"] < middle).all()
    assert (middle < tomorrow["q75"]).all()


def test_another_job_is_refused(whole):
    with pytest.raises(AlphaError, match=r"belongs to another job \(hidden 4, not 5\)"):
        walk_forward(PRICES, replace(SMALL, hidden=5), whole[2])
    changed = PRICES.values.copy()
    changed[WINDOWS[0].test - 2] *= 1.01
    with pytest.raises(AlphaError, match="other data, in the window tested from"):
        walk_forward(Prices(PRICES.days, PRICES.names, changed, "x"), SMALL, whole[2])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(target="mean"), "Unknown target 'mean': choose one of density, volatility"),
        (dict(seeds=0), "seeds must be 1 or more"),
        (dict(learning_rate=0), "learning_rate must be above 0"),
        (dict(warm=1), "warm must be True or False"),
        (dict(first="soon"), "first must be an ISO date"),
        (dict(rivals="some"), "Unknown rivals 'some'"),
        (dict(train=5000), "One window needs"),
        (dict(steps_back=71), "steps_back must be at most train=70, not 71"),
        (
            dict(validation=0.01),
            "of train=70 days is shorter than the horizon of 1",
        ),
        (dict(target="volatility", validation=0.05), "shorter than the horizon of 5"),
    ],
)
def test_settings_that_cannot_be(change, words, tmp_path):
    with pytest.raises(AlphaError, match=words):
        walk_forward(PRICES, replace(SMALL, **change), tmp_path / "job")
    assert not (tmp_path / "job").exists()
