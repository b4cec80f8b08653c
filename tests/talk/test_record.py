"""The file beside the page, and records side by side."""

import json
import math
from dataclasses import replace

import pytest

from tests.talk.records import MACHINE, images, talk
from tilewright.errors import ArgumentError
from tilewright.talk.merging import merged
from tilewright.talk.page import page
from tilewright.talk.record import load


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


def test_no_name_of_a_host_or_a_user_and_no_path_is_kept(tmp_path):
    import getpass
    import platform

    talk(one=images()).save(tmp_path / "talk.json")
    text = (tmp_path / "talk.json").read_text()
    assert str(tmp_path) not in text
    assert platform.node() not in text or len(platform.node()) < 4
    assert getpass.getuser() not in json.loads(text)["machine"].values()


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
    assert "Two records of one machine: half of the figures differ by less than 10%" in text
    assert "Another, AVX2" in text
    assert "4.00 × (4.00–4.00)" in text  # its own ratio, inside its own record
