"""What a job that goes on finds in its folder, and leaves there."""

from types import SimpleNamespace
from typing import Any

from tilewright.sequence.forward.work import Work


def test_a_control_scored_just_before_a_kill_leaves_no_model(tmp_path):
    """Its folder is that of a job that was never killed."""
    settings = SimpleNamespace(controls=1, sequence=8)
    job = SimpleNamespace(
        settings=settings,
        scored_path=lambda window, series="real": tmp_path / f"scored-{series}",
        fit_path=lambda window, series="real": tmp_path / f"fit-{series}",
    )
    window = SimpleNamespace(whole=True, number=0)
    for series in ("real", "shuffled"):
        job.scored_path(window, series).touch()
        job.fit_path(window, series).touch()
    walk: Any = SimpleNamespace(folder=job, windows=[window], settings=settings)
    method: Any = SimpleNamespace(together=1, chained=False, controls=("shuffled",))
    watcher: Any = None
    Work(walk, method, watcher).run(None)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["fit-real", "scored-real", "scored-shuffled"]
