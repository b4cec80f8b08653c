"""The collector rests while somebody compiles, and is then as it was found."""

import gc
from threading import Barrier, Thread

import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tilewright.collector import held_off

X = np.arange(4, dtype=np.float32)


@pytest.fixture(autouse=True)
def as_before():
    was = gc.isenabled()
    yield
    (gc.enable if was else gc.disable)()


@pytest.mark.parametrize("on", [True, False])
def test_it_is_as_it_was_found(on):
    (gc.enable if on else gc.disable)()
    with held_off():
        assert not gc.isenabled()
        with held_off():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled() == on


def test_after_an_error_too():
    gc.enable()
    with pytest.raises(ValueError, match="here"), held_off():
        raise ValueError("here")
    assert gc.isenabled()


def test_whoever_ends_last_lets_it_go_on():
    gc.enable()
    both_in, one_out = Barrier(2, timeout=30), Barrier(2, timeout=30)
    seen = []

    def first():
        with held_off():
            both_in.wait()
        one_out.wait()

    def second():
        with held_off():
            both_in.wait()
            one_out.wait()
            seen.append(gc.isenabled())

    threads = [Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [False]
    assert gc.isenabled()


def test_functions_are_traced_without_it_and_errors_let_it_go_on():
    gc.enable()
    seen = []

    def fn(x):
        seen.append(gc.isenabled())
        return jnp.sin(x)

    program = tilewright.compile(fn, X)
    np.testing.assert_allclose(program(X), np.sin(X), rtol=1e-6)
    assert set(seen) == {False}
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        tilewright.compile(lambda x: x * (1 // 0), X)
    assert gc.isenabled()
