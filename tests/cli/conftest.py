"""Commands that measure do not measure the host first: tests compile for what is stated."""

import pytest


@pytest.fixture(autouse=True)
def told(monkeypatch) -> list[str]:
    """Who would have had it measured is told so."""
    said: list[str] = []

    def known(tell):
        said.append("asked")
        tell("Plans see what is stated.")

    monkeypatch.setattr("tilewright.calibrate.known", known)
    return said
