"""The comparison with JAX notices what it should."""

from types import SimpleNamespace

import numpy as np

from tilewright.alpha.check import compare
from tilewright.alpha.peer import Measured

RNG = np.random.default_rng(0)
TRACE = -2000 + RNG.normal(size=110).astype(np.float32)


def draws(mean, trace=TRACE):
    return SimpleNamespace(warm_up=trace[:10], kept=SimpleNamespace(mean=mean))


def peer(mean):
    return Measured(1000.0, "rows", mean, TRACE)


def test_two_samples_of_one_posterior():
    one, other = RNG.normal(size=(2, 100, 40))
    found = compare(draws(one), peer(other))
    assert found.passed
    assert found.gap == 0
    assert "agree" in found.sentence()


def test_another_posterior():
    one, other = RNG.normal(size=(2, 100, 40))
    found = compare(draws(one + 0.8), peer(other))
    assert not found.passed
    assert "DO NOT AGREE" in found.sentence()


def test_another_start():
    one, other = RNG.normal(size=(2, 100, 40))
    assert not compare(draws(one, TRACE * 1.001), peer(other)).passed
