"""Who shows how far fits are."""

import io
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tilewright.sequence import fitting

FIT: Any = SimpleNamespace(epoch=np.array([1]), best_score=np.array([0.5]))


class Terminal(io.StringIO):
    """Text that thinks that somebody looks at it."""

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """One to which a bar is drawn at once."""
    monkeypatch.setattr(fitting, "PATIENCE", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def test_a_fit_has_a_bar_of_its_own(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    with fitting._bar(3) as shown:
        shown(FIT)
    assert "learning" in terminal.getvalue()


def test_it_has_none_where_who_asks_for_it_has_one(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    with fitting.unseen(), fitting._bar(3) as shown:
        shown(FIT)
    assert terminal.getvalue() == ""
    assert fitting._seen.get()
