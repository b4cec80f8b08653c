"""New data of a shape that there is a program for: nothing is compiled, and draws begin at once."""

import time

import numpy as np
import pytest

import tilewright
from tests.alpha.scale.small import PRICES, SMALL, WINDOWS
from tilewright.alpha.scale.panel import make_panel, training_rows
from tilewright.alpha.scale.program import fit_window
from tilewright.runtime import run

ROUNDS, MORE = 9, 0.05
"""Seconds that a call may take beyond its draws, in the best of so many rounds."""
PANEL = make_panel(PRICES, 1)


@pytest.fixture
def spans(monkeypatch):
    """When each run of a program began and ended, so far."""
    found, drive = [], run.drive

    def timed(*arguments, **named):
        began = time.perf_counter()
        drive(*arguments, **named)
        found.append((began, time.perf_counter()))

    monkeypatch.setattr(run, "drive", timed)
    return found


def test_a_call_with_new_data_takes_what_its_draws_take(spans, monkeypatch):
    fit_window(SMALL, training_rows(PANEL, WINDOWS[0]), WINDOWS[0], None, "real")
    monkeypatch.setattr(tilewright, "compile", None)
    first, more = [], []
    for turn in range(ROUNDS):
        window = WINDOWS[1 + turn % 4]
        rows = training_rows(PANEL, window)
        spans.clear()
        began = time.perf_counter()
        fit_window(SMALL, rows, window, None, "real")
        took = time.perf_counter() - began
        assert len(spans) == SMALL.chains
        first.append(spans[0][0] - began)
        more.append(took - np.subtract(*np.transpose(spans)[::-1]).sum())
    assert 0 < min(first) <= min(more) <= MORE
