"""A job from images to a page; begun again it is the same, and a folder serves one job."""

import json

import numpy as np
import pytest

from tests.vision.nets import model
from tilewright.errors import ArgumentError
from tilewright.vision import save
from tilewright.vision.classifier import Watching
from tilewright.vision.datasets import Data, shapes
from tilewright.vision.job import Plan, identity_of, open_folder, run
from tilewright.vision.report.files import write_report


class Quiet(Watching):
    deadline: float | None = None
    ended = False

    def stage(self, text: str) -> None:
        pass


class Killed(Quiet):
    """After three steps."""

    def steps(self, done: int, wanted: int, loss: float) -> None:
        if done == 3:
            raise KeyboardInterrupt


@pytest.fixture
def plan(tmp_path):
    save(model(), tmp_path / "net.safetensors")
    options = dict(batch=8, flip="none", crop=1.0)
    return Plan("head", str(tmp_path / "net.safetensors"), layers=False, options=options, epochs=1)


def data(count=60):
    made = shapes(count, 32)
    return Data("shapes", made.items, made.labels, groups=np.arange(count) // 6, whole=True)


def done(folder, plan, watcher):
    open_folder(folder, identity_of(data(), plan))
    outcome = run(folder, data(), plan, watcher)
    write_report(folder, outcome)
    return outcome


def test_a_job_and_the_same_after_a_kill(plan, tmp_path, monkeypatch):
    whole = done(tmp_path / "a", plan, Quiet())
    monkeypatch.setattr("tilewright.vision.checkpoint.SECONDS", 0.0)
    monkeypatch.setattr("tilewright.vision.checkpoint.Checkpoint.__init__.__defaults__", (0.0,))
    with pytest.raises(KeyboardInterrupt):
        done(tmp_path / "b", plan, Killed())
    assert (tmp_path / "b" / "checkpoint.npz").exists()
    again = done(tmp_path / "b", plan, Quiet())
    assert again.classifier.losses_ == whole.classifier.losses_
    for name in ("model.safetensors", "predictions.csv", "scores.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    page = (tmp_path / "a" / "report.html").read_text()
    for words in ("standard error", "Where it looked", "data:image/jpeg;base64", "Calibration"):
        assert words in page
    rows = (tmp_path / "a" / "predictions.csv").read_text().splitlines()
    assert len(rows) == 1 + len(whole.tested)
    assert json.loads((tmp_path / "a" / "summary.json").read_text())["steps"] == 6


def test_groups_stay_together(plan, tmp_path):
    outcome = done(tmp_path / "a", plan, Quiet())
    groups = outcome.data.groups
    assert groups is not None
    assert outcome.comparison.groups == len(set(groups[outcome.tested]))
    assert not set(groups[outcome.tested]) & set(np.delete(groups, outcome.tested))


def test_a_folder_serves_one_job(plan, tmp_path):
    open_folder(tmp_path / "a", identity_of(data(), plan))
    open_folder(tmp_path / "a", identity_of(data(), plan))
    other = Plan("whole", plan.net, options=plan.options)
    with pytest.raises(ArgumentError, match=r"belongs to another job \(stage head, not whole\)"):
        open_folder(tmp_path / "a", identity_of(data(), other))
    with pytest.raises(ArgumentError, match="other data"):
        open_folder(tmp_path / "a", identity_of(data(30), plan))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.tex").write_text("mine")
    with pytest.raises(ArgumentError, match="holds other things"):
        open_folder(tmp_path / "c", identity_of(data(), plan))


def test_a_limit_of_time_settles_epochs_once(plan, tmp_path):
    from tilewright.vision.job import _epochs

    short = Plan("head", plan.net, seconds=100.0)
    assert _epochs(tmp_path, short, 100, rate=10.0, left=100.0) == 2
    assert _epochs(tmp_path, short, 100, rate=99.0, left=100.0) == 2  # as it was settled
    (tmp_path / "plan.json").unlink()
    assert _epochs(tmp_path, short, 10_000, rate=1.0, left=100.0) == 0
    (tmp_path / "plan.json").unlink()
    assert _epochs(tmp_path, Plan(epochs=7), 100, rate=1.0, left=None) == 7
