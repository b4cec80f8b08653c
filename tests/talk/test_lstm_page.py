"""Latency against throughput on a page: what is on it, what is left out."""

import re

from tests.talk.records import MACHINE
from tilewright.sequence.precision import PRECISIONS
from tilewright.talk.drawing import _styles
from tilewright.talk.figures import Point, measured
from tilewright.talk.lstm_page import AGAINST, page, points, tables
from tilewright.talk.record import Outcome, Talk
from tilewright.talk.steps import settings

SECONDS = {
    # Milliseconds of a call in batches of 1, error.
    "tilewright, float32": (4.0, 2e-6),
    "tilewright, bfloat16": (3.0, 4e-3),
    "tilewright, int8": (2.0, 6e-3),
    "tilewright, int8x8": (1.0, 5e-2),
    "PyTorch": (6.0, 1e-6),
    "PyTorch bfloat16": (9.0, 1e-2),
    "<b>int8": (3.0, 3e-2),
}


def recorded(*batches: int) -> Talk:
    """Calls take so long times the batch; 99th percentiles are known of one."""
    outcomes = {}
    for batch in batches:
        found = []
        for who, (ms, error) in SECONDS.items():
            figure = measured(f"lstm: batch {batch}", [ms * batch / 1e3] * 3, "ms")
            more = {"windows/s": 1e3 / ms, "error": error} | ({"p99 ms": 7.0} if batch == 1 else {})
            found.append(Point(f"batch {batch}", who, figure, more))
        known = {"seconds": 3.0, "others": 0.0, "stolen": 0.0, "MHz": None}
        outcomes[f"lstm: batch {batch}"] = Outcome("lstm", tuple(found), {"A": "pip a"}, known)
    return Talk(MACHINE, {"jax": "0.10.2"}, settings(), outcomes)


def test_tables_by_batch():
    made = tables(points(recorded(1, 64)))
    assert made[AGAINST] == [
        ["", "float32", "bfloat16", "int8, with no larger error"],
        # bfloat16 against the faster peer, which is more precise; int8x8 errs more than its peer.
        ["batch 1", "1.50 × PyTorch", "2.00 × PyTorch", "1.50 × <b>int8"],
        ["batch 64", "1.50 × PyTorch", "2.00 × PyTorch", "1.50 × <b>int8"],
    ]
    latency, throughput, tail = list(made.values())[1:]
    assert latency[0] == throughput[0] == ["", "error", "1", "64"]
    assert latency[1] == ["tilewright, float32", "2e-06", "4.00", "256"]
    assert throughput[1] == ["tilewright, float32", "2e-06", "250", "250"]
    assert tail[0] == ["", "error", "1"]


def test_the_page_is_whole_and_needs_nothing():
    text = page(recorded(1, 64))
    assert not re.search(r"(src|href)\s*=|url\(|<script|<b>int8", text)
    assert text.count("<polyline") == len(SECONDS)
    assert text.count("<table") == 5
    assert "A is not here: pip a" in text
    assert "pinned" not in text


def test_nothing_is_said_of_what_is_not_done():
    assert tables([]) == {}
    assert "<polyline" not in page(Talk(MACHINE, {}, settings(), {}))


def test_no_two_contenders_look_alike():
    names = [f"tilewright, {p}" for p in PRECISIONS]
    names += ["PyTorch", "PyTorch bfloat16", "PyTorch int8", "ONNX Runtime", "ONNX Runtime int8"]
    names += ["ONNX Runtime int8, 7 bits"]
    looks = _styles(names)
    assert len({(colour, mark) for colour, _, mark in looks.values()}) == len(names)
    assert len({colour for colour, _, _ in looks.values()}) == len(names)


def test_what_marks_are_and_what_is_left_is_said():
    text = page(recorded(1, 64))
    assert "a mark on it a batch; in its order: 1, 64." in text
    left = "batch 2, batch 4, batch 16, batch 256, batch 1024"
    assert f"Not measured yet: {left}; the same command goes on with them." in text
    assert "Not measured yet" not in page(recorded(1, 2, 4, 16, 64, 256, 1024))


def test_of_nothing_there_is_no_chart():
    """Where the first step fails already."""
    failed = Outcome("lstm", conditions={"seconds": 9.0}, failed="it took more than 9 seconds")
    talk = Talk(MACHINE, {"jax": "0.10.2"}, settings(), {"lstm: batch 1": failed})
    text = page(talk)
    assert "batch 1 was not measured: it took more than 9 seconds" in text
    assert "<section></section>" not in text
    assert "a mark on it" not in text
