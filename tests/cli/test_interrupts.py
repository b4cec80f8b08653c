"""Ctrl-C is heard wherever it comes."""

import os
import signal
import sys
import time
import weakref

import pytest

from tilewright.cli.interrupts import keep_interrupts


class Thing:
    """May be referred to weakly."""


def interrupted_in_a_callback():
    def callback(_):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

    thing = Thing()
    reference = weakref.ref(thing, callback)
    del thing
    assert reference() is None


def test_one_that_comes_within_a_callback_is_sent_once_more(monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    keep_interrupts()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        interrupted_in_a_callback()
        time.sleep(20)


def test_other_exceptions_are_told_as_ever(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    keep_interrupts()

    def callback(_):
        raise ZeroDivisionError

    thing = Thing()
    reference = weakref.ref(thing, callback)
    del thing
    assert reference() is None
    assert told[0].exc_type is ZeroDivisionError
