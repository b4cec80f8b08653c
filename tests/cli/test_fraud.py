"""`tilewright lstm fraud`: what it says without and with wrong options; and, slowly, all of it."""

import json

import pytest
from typer.testing import CliRunner

from tilewright.cli.app import app


def run(*words):
    return CliRunner().invoke(app, ["lstm", "fraud", *map(str, words)])


def test_without_demo_it_says_what_it_is():
    found = run()
    assert found.exit_code == 0
    assert "--demo" in found.output
    assert "simulated" in found.output


@pytest.mark.parametrize(
    "options, sentence",
    [
        (("--recipe", "talk"), "recipe must be published or order, not 'talk'"),
        (("--strength", 2), "strength must be from 0 to 1, not 2.0"),
        (("--cards", 9), "cards must be a whole number from 50 on, not 9"),
        (("--seed", -1), "seed must be a whole number from 0 on, not -1"),
        (("--weeks", 9), "There are no 9 weeks from day 129 on: purchases cover 183 days"),
        (("--weeks", 0), "weeks must be a whole number from 1 on, not 0"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence_at_once(tmp_path, monkeypatch, options, sentence):
    """Before any purchase is simulated."""
    monkeypatch.setattr("tilewright.sequence.cards.job.compare", None)
    found = run("--demo", "--out", tmp_path, *options)
    assert found.exit_code == 2
    assert sentence in " ".join(found.stderr.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_demo_leaves_a_page_and_its_figures(tmp_path):
    found = run("--demo", "--cards", 200, "--weeks", 1, "--recipe", "published", "--out", tmp_path)
    assert found.exit_code == 0, found.output
    assert "simulated" in found.stdout
    steps = found.stderr.splitlines()
    assert len(steps) == 11
    assert steps[0].endswith("published: purchases")
    assert all(" left" in line for line in steps[3:])
    content = json.loads((tmp_path / "fraud.json").read_text())
    assert content["schema"] == "tilewright fraud 1"
    assert len(content["recipes"]["published"]["models"]) == 6
    assert "These purchases are simulated" in (tmp_path / "fraud.html").read_text()
