"""The judge of planted faults, on a tree of one function; and lists that do not fit are refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutants.run import (
    CAUGHT,
    EQUIVALENT,
    ROOT,
    SURVIVED,
    Mutant,
    complaints,
    judge,
    load,
    table,
)

ENTRY = """
[[mutant]]
name = "{name}"
file = "tilewright/answer.py"
tests = "tests/test_answer.py"
old = '''{old}'''
new = '''{new}'''
"""


def listed(folder, *entries):
    text = "".join(ENTRY.format(name=n, old=old, new=new) + more for n, old, new, more in entries)
    (folder / "list.toml").write_text(text)
    return load(folder)


@pytest.fixture
def tree(tmp_path):
    for name, text in {
        "tilewright/__init__.py": "",
        "tilewright/answer.py": "def answer(x):\n    return abs(x) + 40\n",
        "tests/test_answer.py": "from tilewright.answer import answer\n\n\n"
        "def test_it():\n    assert answer(2) == 42\n",
        "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
    }.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "tree"


def test_verdicts(tree, tmp_path, capsys):
    mutants = listed(
        tmp_path,
        ("sum", "+ 40", "+ 41", ""),
        ("sign", "abs(x)", "x", ""),
        ("order", "abs(x) + 40", "40 + abs(x)", 'equivalent = "addition commutes"\n'),
    )
    assert judge(mutants, tree, 1) == [CAUGHT, SURVIVED, EQUIVALENT]
    assert (tree / "tilewright/answer.py").read_text().endswith("abs(x) + 40\n")
    assert "test_answer.py::test_it" in capsys.readouterr().out


def test_the_table_counts_by_folder():
    files = ["tilewright/graph/a.py", "tilewright/graph", "tilewright/files.py", "tilewright/plan"]
    mutants = [Mutant(file, file, (), "", "") for file in files]
    assert table(mutants, [CAUGHT, SURVIVED, CAUGHT, EQUIVALENT]).splitlines()[2:] == [
        "| graph | 2 | 1 of 2 | 0 |",
        "| others | 1 | 1 | 0 |",
        "| plan | 1 | 0 | 1 |",
        "| all | 4 | 2 of 3 | 1 |",
    ]


def test_tests_that_fail_anyway_say_nothing(tree, tmp_path):
    (tree / "tests/test_answer.py").write_text("def test_it():\n    assert False\n")
    mutants = listed(tmp_path, ("sum", "+ 40", "+ 41", ""))
    with pytest.raises(SystemExit, match="fail without any fault"):
        judge(mutants, tree, 1)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("+ 39", "+ 41", "must occur once .*, and occurs 0 times"),
        ("x", "y", "must occur once .*, and occurs 2 times"),
        ("+ 40", "+ (40", "is no longer Python"),
    ],
)
def test_patches_that_do_not_fit_are_refused(tree, tmp_path, old, new, words):
    (mutant,) = listed(tmp_path, ("sum", old, new, ""))
    with pytest.raises(SystemExit, match=words):
        mutant.planted(tree)


def test_lists_that_are_not_well_said(tmp_path):
    with pytest.raises(SystemExit, match="changes nothing"):
        listed(tmp_path, ("sum", "+ 40", "+ 40", ""))
    with pytest.raises(SystemExit, match="Two faults are called 'sum'"):
        listed(tmp_path, ("sum", "+ 40", "+ 41", ""), ("sum", "+ 40", "+ 42", ""))
    with pytest.raises(SystemExit, match="and must have"):
        listed(tmp_path, ("sum", "+ 40", "+ 41", "why = 1\n"))


def test_every_fault_of_the_list_can_be_planted():
    """Where files have moved on, the list must follow."""
    mutants = load(Path(__file__).parent)
    assert len(mutants) >= 100
    assert complaints(mutants, ROOT) == []


@pytest.mark.parametrize("file", ["tilewright/sums", "tilewright/sums/gone.py"])
def test_a_text_that_has_moved_on_is_found_in_its_folder(tree, tmp_path, file):
    (tree / "tilewright/sums/deep").mkdir(parents=True)
    (tree / "tilewright/sums/deep/one.py").write_text("x = 1 + 40\n")
    (tree / "tilewright/sums/two.py").write_text("x = 1\n")
    (mutant,) = listed(tmp_path, ("sum", "+ 40", "+ 41", ""))
    path, after = replace(mutant, file=file).planted(tree)
    assert (path, after) == (tree / "tilewright/sums/deep/one.py", "x = 1 + 41\n")
    (tree / "tilewright/sums/two.py").write_text("x = 1 + 40\n")
    with pytest.raises(SystemExit, match="occurs 2 times"):
        replace(mutant, file=file).planted(tree)


def test_tests_that_are_gone_are_refused(tree, tmp_path):
    (mutant,) = listed(tmp_path, ("sum", "+ 40", "+ 41", ""))
    with pytest.raises(SystemExit, match=r"there is no tests/gone\.py::test_it"):
        replace(mutant, tests=("tests/gone.py::test_it",)).planted(tree)
