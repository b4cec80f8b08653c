"""A program whose vertices go in turns, against one in which each goes by itself: equal bits."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
import pytest

import tilewright


def agrees_with_each_alone(
    walk: str,
    function: Callable,
    arguments: Sequence,
    tiles: Sequence[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`walk` is the name of what `plan/lower.py` calls."""
    joined = [tilewright.compile(function, *arguments, tiles=count) for count in tiles]
    monkeypatch.setattr(f"tilewright.plan.lower.{walk}", lambda steps, machine: list(steps))
    monkeypatch.setattr("tilewright.compilation.recall", lambda text, machine, make: make())
    alone = tilewright.compile(function, *arguments, tiles=1)
    expected = jax.tree.leaves(alone(*arguments))
    for program in joined:
        for found, wanted in zip(jax.tree.leaves(program(*arguments)), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
