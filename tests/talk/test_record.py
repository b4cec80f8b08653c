"""The file beside the page, and records side by side."""

import json
import math
import platform
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.talk.records import MACHINE, images, talk
from tilewright.errors import ArgumentError
from tilewright.machine.host import host_machine
from tilewright.talk import running
from tilewright.talk.figures import MODELLED, Figure, Point
from tilewright.talk.merging import merged
from tilewright.talk.page import page
from tilewright.talk.peaks import peaks
from tilewright.talk.record import load
from tilewright.talk.steps import settings, steps


def test_what_was_saved_is_loaded(tmp_path):
    record = talk(one=images())
    record.save(tmp_path / "talk.json")
    assert load(tmp_path / "talk.json") == record


def test_rounds_that_were_left_out_stay_so(tmp_path):
    outcome = images()
    figure = replace(outcome.points[0].figure, rounds=(1.0, math.nan, 1.0))
    points = (replace(outcome.points[0], figure=figure), outcome.points[1])
    talk(one=replace(outcome, points=points)).save(tmp_path / "talk.json")
    found = load(tmp_path / "talk.json").outcomes["images: one"].points[0].figure
    assert math.isnan(found.rounds[1])


def test_no_name_of_a_host_or_a_user_and_no_path_is_kept(tmp_path, monkeypatch):
    """Of this machine, with a step that ended over a file."""
    said = f"echo \"FileNotFoundError: no such file: '{tmp_path}/talk/b0.npz' {Path.home()}\" >&2"
    program = tmp_path / "fails"
    program.write_text(f"#!/bin/sh\n{said}\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(platform, "node", lambda: "name-of-the-host")
    monkeypatch.setenv("USER", "name-of-the-user")
    failed = running._child(steps()[0])
    record = running.begin(tmp_path / "talk.json", settings()).with_peaks(peaks(host_machine()))
    record.with_outcome("one", failed).save(tmp_path / "talk.json")
    text = (tmp_path / "talk.json").read_text()
    assert "no such file: 'b0.npz'" in text
    for word in (str(tmp_path), str(tmp_path.parent), "name-of-the-host", "name-of-the-user"):
        assert word not in text


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("OSError: '/home/ada/.cache/x.so': bad", "OSError: 'x.so': bad"),
        ("at /usr/lib/python3/a.py, line 3", "at a.py, line 3"),
        ("3 images/s and 7 ms/step of 1/2", "3 images/s and 7 ms/step of 1/2"),
    ],
)
def test_of_paths_only_names_are_kept(said, kept):
    assert running.without_paths(said) == kept


def test_peaks_are_kept_and_are_not_what_a_machine_is(tmp_path):
    host = host_machine()
    found = peaks(host)
    assert not found["measured"]  # tests plan for what is stated
    assert found["Gop/s"]["float32"] == pytest.approx(host.peak_flops("float32") / 1e9, rel=1e-3)
    assert list(found["read_GB/s"]) == [memory.name for memory in host.tile.memories]
    record = running.begin(tmp_path / "talk.json", settings()).with_peaks(found | {"GHz": 1.0})
    record.save(tmp_path / "talk.json")
    assert running.begin(tmp_path / "talk.json", settings()) == record
    other = record.with_peaks(found)
    assert "Two records of one machine" in page([with_images(record), with_images(other)])
    assert "Stated for its level, not measured, all cores" in page([record])
    assert "GFLOP/s in float32" not in page([talk(one=images())])


def with_images(record):
    return record.with_outcome("images: one", images())


@pytest.mark.parametrize(
    "content, sentence",
    [
        ("{", "is no JSON"),
        ("[]", "is no record of the talk: it has no schema"),
        ('{"schema": 99}', "has schema 99; this version reads 1"),
        ('{"schema": 1, "machine": {}}', "is no record of the talk"),
        (
            '{"schema": 1, "machine": {}, "packages": {}, "settings": {}, "outcomes": {"a": {}}}',
            "is no whole record",
        ),
    ],
)
def test_other_files_are_refused(tmp_path, content, sentence):
    (tmp_path / "talk.json").write_text(content)
    with pytest.raises(ArgumentError, match=sentence):
        load(tmp_path / "talk.json")


@pytest.mark.parametrize(
    ("inside", "name", "value"),
    [
        ((), "case", 3), ((), "more", None), (("figure",), "value", "fast"),
        (("figure",), "unit", None), (("figure",), "rounds", [1.0, "x"]), (("figure",), "value", 0),
        (("figure",), "rounds", [1.0, 1e308]), (("more",), "error", "x"), (("more",), "note", []),
    ],
)  # fmt: skip
def test_a_record_with_what_no_run_leaves(tmp_path, inside, name, value):
    path = tmp_path / "talk.json"
    talk(one=images()).save(path)
    content = json.loads(path.read_text())
    place = content["outcomes"]["images: one"]["points"][0]
    for key in inside:
        place = place[key]
    place[name] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ArgumentError, match=f"is no whole record of the talk: {name} is "):
        load(path)


@pytest.mark.parametrize(
    ("inside", "name", "value"),
    [
        ("conditions", "seconds", None), ("conditions", "others", "few"),
        ("conditions", "MHz", []), ("missing", "PyTorch", None),
    ],
)  # fmt: skip
def test_a_step_with_what_no_run_leaves(tmp_path, inside, name, value):
    path = tmp_path / "talk.json"
    talk(one=images()).save(path)
    content = json.loads(path.read_text())
    content["outcomes"]["images: one"][inside][name] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ArgumentError, match=f"is no whole record of the talk: {name} is "):
        load(path)


@pytest.mark.parametrize(
    ("inside", "name", "value"),
    [
        ((), "cpu", 3), ((), "cores", "two"), ((), "memory_gib", None), ((), "cache_kib", ["32"]),
        (("peaks", "Gop/s"), "float32", "fast"), (("peaks", "read_GB/s"), "L1", None),
    ],
)  # fmt: skip
def test_a_machine_that_is_none(tmp_path, inside, name, value):
    path = tmp_path / "talk.json"
    talk(one=images()).with_peaks(peaks(host_machine())).save(path)
    content = json.loads(path.read_text())
    place = content["machine"]
    for key in inside:
        place = place[key]
    place[name] = value
    path.write_text(json.dumps(content))
    said = inside[0] if inside else name
    with pytest.raises(ArgumentError, match=f"is no whole record of the talk: {said} is "):
        load(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ArgumentError, match="There is no file"):
        load(tmp_path / "talk.json")


def test_records_of_other_workloads_are_not_merged(tmp_path):
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    talk(one=images()).save(first)
    replace(talk(one=images()), settings={"images": [32, 1]}).save(second)
    with pytest.raises(ArgumentError, match=r"b\.json holds other workloads than"):
        merged([first, second])
    with pytest.raises(ArgumentError, match="two records or more"):
        merged([first])


def test_machines_side_by_side_and_one_machine_twice(tmp_path):
    paths = [tmp_path / name for name in ("a.json", "b.json", "c.json")]
    talk(one=images()).save(paths[0])
    talk(one=images(ours=1.1)).save(paths[1])
    replace(talk(one=images(peer=4.0)), machine=MACHINE | {"cpu": "Another"}).save(paths[2])
    text = page(merged(paths))
    said = "Two records of one machine: half of the measured figures differ by at most 10.0%, all"
    assert said in text
    assert "Another, AVX2" in text
    assert "4.00 × (4.00–4.00)" in text  # its own ratio, inside its own record


def test_what_is_modelled_says_nothing_of_how_far_records_lie_apart():
    """A model says the same twice, whatever the machine did meanwhile."""
    same = Point("batch 1", "Another", Figure(1.0, "ms", MODELLED, "its file"))
    first, second = images(), images(ours=1.1, peer=2.2)
    both = [talk(one=replace(one, points=(*one.points, *[same] * 3))) for one in (first, second)]
    assert "figures differ by at most 10.0%, all by at most 10.0%" in page(both)
    assert "at most 0.0%, all by at most 0.0%" in page([talk(one=first)] * 2)
    near = [talk(one=images(ours=ours)) for ours in (1.0, 1.1001)]
    assert "all by at most 10.1%" in page(near)
