"""Verdicts as a table, and how numbers stand in cells."""

import re

from tilewright.talk.figures import Point, measured
from tilewright.talk.tables import against, cell, machines, numbers


def points(batches, half="tilewright bfloat16"):
    """Ours against a peer that takes twice as long in float32, and as long in bfloat16."""
    found = []
    for batch in batches:
        times = {"tilewright": 2.0, "PyTorch": 4.0, "PyTorch bfloat16": 1.0, half: 1.0}
        for who, seconds in times.items():
            figure = measured(f"images: batch {batch}", [seconds] * 3, "ms")
            found.append(Point(f"batch {batch}", who, figure))
    return found


def rows(text):
    return re.findall(r"<tr>(.*?)</tr>", text)


def plain(text):
    return re.sub(r"<[^>]*>", "|", text)


def test_many_verdicts_are_a_table_of_cases_by_precision():
    head, *found = rows(against(points([1, 2, 4])))
    assert re.findall(r"<th[^>]*>(.*?)</th>", head) == ["", "float32", "bfloat16"]
    assert len(found) == 3
    for batch, line in zip((1, 2, 4), found, strict=True):
        assert f">batch {batch}<" in line
        _, second = plain(line).split("2.00 ×")
        assert "PyTorch" in second
        assert "1.00 ×" in second
        assert "PyTorch bfloat16; neither faster nor slower" in second


def test_few_are_sentences():
    text = against(points([1]))
    assert "<table" not in text
    assert text.count("<li>") == 2


def test_of_one_precision_too():
    mine = [p for p in points(range(9)) if "bfloat16" not in p.who]
    assert against(mine).count("<li>") == 9


def test_what_is_slower_or_in_another_precision_is_said():
    unlike = [p for p in points([1, 2, 4]) if p.who != "tilewright bfloat16"]
    cells = rows(against(unlike))
    assert "0.50 ×" in cells[1]
    assert "PyTorch bfloat16; slower; ours in float32" in plain(cells[1])
    lines = [line for line in rows(numbers(unlike)) if "PyTorch bfloat16" in line]
    assert all("0.50 × (ours in float32)" in line for line in lines)
    like = [line for line in rows(numbers(points([1]))) if "PyTorch bfloat16" in line]
    assert "1.00 ×<" in like[0]


def test_cells():
    assert [cell(value) for value in (None, "a<b", 2596.5, 0.01234, 84.51, 3)] == [
        "", "a&lt;b", "2,596", "0.0123", "84.5", "3",
    ]  # fmt: skip


def test_machines_have_their_names_on_two_lines():
    text = machines()
    assert "ipu:gc200<br><small>IPU GC200</small>" in text
    assert len({line.count("<td") for line in rows(text)[1:]}) == 1
