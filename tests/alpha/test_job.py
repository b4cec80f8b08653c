"""A folder is one job's; windows are whole or absent."""

from dataclasses import fields, replace

import numpy as np
import pytest

from tests.alpha.market import prices, result
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.job import Job
from tilewright.alpha.settings import Sampler, Settings


def test_results_come_back_to_the_bit(tmp_path):
    job = Job(tmp_path / "a", prices(), Settings())
    job.save(result())
    (found,) = job.finished().values()
    for field in fields(found):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(result(), field.name))
    assert not list((tmp_path / "a").rglob("*.partial"))


def test_a_torn_file_is_no_result(tmp_path):
    job = Job(tmp_path, prices(), Settings())
    job.save(result())
    whole = job.path("real", 0).read_bytes()
    job.path("real", 1).write_bytes(whole[: len(whole) // 2])
    job.path("real", 2).write_bytes(b"")
    assert list(job.finished()) == [("real", 0)]


def test_another_job_is_refused(tmp_path):
    Job(tmp_path, prices(), Settings())
    for other, words in (
        ((prices(), Settings(seed=1)), "seed 0, not 1"),
        ((prices(), Settings(Sampler(draws=50))), "draws 100, not 50"),
        ((prices(seed=5), Settings()), "other data"),
    ):
        with pytest.raises(AlphaError, match=f"belongs to another job .{words}"):
            Job(tmp_path, *other)
    Job(tmp_path, prices(), Settings(windows=7, controls=1))  # more or fewer windows are the same


@pytest.mark.parametrize(
    "text", [b"", b"\0" * 200, b'{\n  "tile', b'{\n  "tilewright": "0.1.0",\n', None]
)
def test_a_torn_description_is_repaired_from_the_windows(tmp_path, text):
    job = Job(tmp_path, prices(), Settings())
    job.save(result())
    whole = (tmp_path / "job.json").read_bytes()

    def tear():
        (tmp_path / "job.json").unlink() if text is None else (tmp_path / "job.json").write_bytes(
            text
        )

    tear()
    with pytest.raises(AlphaError, match=r"belongs to another job .seed 0, not 1"):
        Job(tmp_path, prices(), Settings(seed=1))
    assert list(Job(tmp_path, prices(), Settings()).finished()) == [("real", 0)]
    assert (tmp_path / "job.json").read_bytes() == whole
    tear()
    job.path("real", 0).unlink()  # nothing is lost
    assert Job(tmp_path, prices(), Settings(seed=1)).finished() == {}


def test_a_description_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "job.json").write_text("apiVersion: batch/v1")
    with pytest.raises(AlphaError, match=r"job\.json cannot be read"):
        Job(tmp_path, prices(), Settings())
    (tmp_path / "job.json").write_text("")
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(AlphaError, match="holds other things"):
        Job(tmp_path, prices(), Settings())


def test_windows_of_another_job_are_not_taken(tmp_path):
    mine, other = (Job(tmp_path / str(s), prices(), Settings(seed=s)) for s in (0, 1))
    other.save(result())
    other.path("real", 0).rename(mine.path("real", 0))
    assert mine.finished() == {}


def test_other_things_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(AlphaError, match="holds other things"):
        Job(tmp_path, prices(), Settings())
    with pytest.raises(AlphaError, match="is not a folder"):
        Job(tmp_path / "thesis.txt", prices(), Settings())
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_one_process_at_a_time(tmp_path):
    job = Job(tmp_path, prices(), Settings())
    with job.locked(), pytest.raises(AlphaError, match="Another process"), job.locked():
        pass
    with job.locked():
        pass


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(machine="abacus"), "Unknown machine 'abacus'"),
        (Settings(Sampler(precision="int4")), "Unknown precision 'int4'"),
        (Settings(Sampler(name="gibbs")), "Unknown sampler 'gibbs'"),
        (Settings(Sampler(name="nuts", precision="bfloat16")), "NUTS needs its energy"),
        (Settings(chains=1), "chains must be 2 or more"),
        (Settings(Sampler(draws=0)), "draws must be 4 or more"),
        (Settings(seed=2**64), "seed must be 18446744073709551615 or less"),
        (replace(Settings(), windows=2.5), "windows must be a whole number, not 2.5"),
        (Settings(Sampler(target_acceptance=1.5)), "target_acceptance must be a number above 0"),
        (Settings(Sampler(first_step=float("nan"))), "first_step must be a number above 0"),
    ],
)
def test_settings_that_cannot_be_run(settings, words):
    with pytest.raises(AlphaError, match=words):
        settings.check()
    assert replace(settings, seed=2) != settings
