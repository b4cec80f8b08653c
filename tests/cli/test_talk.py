"""`tilewright talk` from the shell."""

import pytest
from typer.testing import CliRunner

from tests.talk.records import images, talk
from tilewright.cli.app import app
from tilewright.talk import running
from tilewright.talk.record import Outcome, load


def invoke(*arguments: str):
    return CliRunner().invoke(app, ["talk", *arguments])


def test_what_would_be_measured():
    found = invoke("--list", "--only", "lstm")
    assert found.exit_code == 0
    assert "batch 1024" in found.output
    training = invoke("--list", "--only", "training").output
    assert "B0, groups of 16 · B0 · B0, photographs · B0, groups of 16, photographs" in " ".join(
        training.split()
    )


def test_a_page_and_its_numbers(tmp_path, monkeypatch, told):
    monkeypatch.setattr(running, "_child", lambda step, most: images())
    found = invoke("--out", str(tmp_path / "a"), "--only", "images", "--quick")
    assert found.exit_code == 0, found.output
    assert (tmp_path / "a/talk.html").stat().st_size > 5000
    assert "0 of 2 steps" in invoke("--out", str(tmp_path / "a"), "--only", "images",
                                    "--quick").output  # fmt: skip
    assert len(told) == 1  # and not where nothing is left to be measured


def test_what_is_read_from_files_needs_no_step(tmp_path):
    listed = invoke("--list", "--only", "machines")
    assert "machines: CPU, GPU, IPU, read from files" in listed.output
    found = invoke("--out", str(tmp_path), "--only", "machines")
    assert found.exit_code == 0, found.output
    assert load(tmp_path / "talk.json").outcomes == {}
    assert "CPU, GPU, IPU" in (tmp_path / "talk.html").read_text()


def test_how_to_install_is_said_with_its_brackets(tmp_path, monkeypatch):
    monkeypatch.setattr("tilewright.talk.installed.no_gpu", lambda: {"A GPU": "pip install 'a[b]'"})
    monkeypatch.setattr(running, "_child", lambda step, most: images())
    found = invoke("--out", str(tmp_path / "a"), "--only", "images", "--quick")
    assert "missing: pip install 'a[b]'" in found.output.replace("\n", " ")


@pytest.mark.parametrize("command", [["talk", "--only", "lstm"], ["lstm", "--demo"]])
def test_steps_that_fail_or_are_disturbed_say_so_in_words(command, tmp_path, monkeypatch):
    """Without marks of how they are printed; brackets in what failed stay."""
    shaken = {"seconds": 50.0, "others": 0.5}
    outcomes = iter([Outcome("lstm", conditions=shaken, failed="needs 'a[b]'")])
    monkeypatch.setattr(
        running, "_child", lambda *_: next(outcomes, Outcome("lstm", conditions=shaken))
    )
    found = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "a")])
    assert found.exit_code == 0, found.output
    assert "batch 1: needs 'a[b]'\n" in found.output
    assert "batch 64: 50 s (disturbed)\n" in found.output


def test_what_there_is_no_time_for_is_left(tmp_path, monkeypatch):
    """As soon as the pace is known: long before the minutes are over."""
    slow = Outcome("lstm", conditions={"seconds": 900.0, "others": 0.0})
    monkeypatch.setattr(running, "_child", lambda *_: slow)
    found = invoke("--out", str(tmp_path / "a"), "--only", "lstm")
    told = " ".join(found.output.split())
    assert "Would not end within 30 minutes, so left for another call: lstm: batch 1024" in told


def test_records_of_two_machines(tmp_path):
    paths = [str(tmp_path / name) for name in ("a.json", "b.json")]
    for path in paths:
        talk(one=images()).save(tmp_path / path)
    found = invoke("merge", *paths, "-o", str(tmp_path / "both.html"))
    assert found.exit_code == 0, found.output
    assert (tmp_path / "both.html").exists()


def test_mistakes_are_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    for arguments, sentence in (
        (("--only", "chess", "--list"), "There is no workload 'chess'"),
        (("--out", str(tmp_path / "file/x")), "is no folder to write to"),
        (("merge", str(tmp_path / "none.json")), "two records or more"),
    ):
        found = invoke(*arguments)
        assert found.exit_code == 2
        assert sentence in found.output.replace("\n", " ")
