"""`tilewright.jit`: compiled at the first call, differentiated and mapped like any function."""

import threading
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tilewright import jitted
from tilewright.errors import ArgumentError

X = np.arange(4, dtype=np.float32)


@pytest.fixture
def compiled():
    """The argument lists that programs have been compiled for."""
    real, seen = jitted.compiled_as, []

    def noted(called, **options):
        seen.append(called.values)
        return real(called, **options)

    with mock.patch.object(jitted, "compiled_as", noted):
        yield seen


def test_one_program_for_each_kind_of_arguments(compiled):
    @tilewright.jit
    def scaled(x, by=2.0):
        """Its words."""
        return {"x": x["x"] * by}

    assert (scaled.__name__, scaled.__doc__) == ("scaled", "Its words.")
    for data in (X, X + 1):
        np.testing.assert_array_equal(scaled({"x": data})["x"], 2 * data)
        np.testing.assert_array_equal(scaled({"x": data}, by=3.0)["x"], 3 * data)
        np.testing.assert_array_equal(scaled({"x": data[:2]}, 4.0)["x"], 4 * data[:2])
        np.testing.assert_array_equal(scaled({"x": data.astype(int)}, 4)["x"], 4 * data)
    assert len(compiled) == 4
    assert type(scaled({"x": X})["x"]) is np.ndarray
    scaled.cache_clear()
    scaled({"x": X})
    assert len(compiled) == 5


def power(x, count, *, kind="plain"):
    assert isinstance(count, int)
    for _ in range(count):
        x = x * x if kind == "plain" else -x
    return x


@pytest.mark.parametrize(
    "static",
    [
        {"static_argnums": 1, "static_argnames": "kind"},
        {"static_argnums": (1,), "static_argnames": ["kind", "count"]},
        {"static_argnames": ("count", "kind")},
    ],
)
def test_static_arguments_are_part_of_the_program(compiled, static):
    fast = tilewright.jit(power, **static)
    for _ in range(2):
        np.testing.assert_array_equal(fast(X, 2), X**4)
        np.testing.assert_array_equal(fast(X, 3), X**8)
        np.testing.assert_array_equal(fast(X, 3, kind="turned"), -X)
        np.testing.assert_array_equal(fast(X, count=1), X**2)
    assert len(compiled) == 4


def test_static_values_that_are_equal_but_of_other_types_are_other_programs():
    for numbers, names in ((1, ()), ((), "by")):
        fast = tilewright.jit(lambda x, by: x + by, static_argnums=numbers, static_argnames=names)
        for by, kind in ((1, np.int32), (1.0, np.float32), (True, np.int32), (1, np.int32)):
            assert fast(2, by).dtype == fast(2, by=by).dtype == kind
    shown = tilewright.jit(lambda x, by: x * len(repr(by)), static_argnums=1)
    assert [int(shown(1, by)) for by in (True, 1, 1.0)] == [4, 1, 3]


def test_static_numbers_from_the_end_count_parameters():
    fast = tilewright.jit(lambda x, y, by: (x + y) * int(by), static_argnums=-1)
    for result in (fast(X, X, 3), fast(X, X, by=3), fast(X, y=X, by=3)):
        np.testing.assert_array_equal(result, 6 * X)


def test_static_arguments_that_cannot_be():
    with pytest.raises(ArgumentError, match="'other', which is no argument"):
        tilewright.jit(power, static_argnames="other")
    with pytest.raises(ArgumentError, match="argument 1 is static, but list has no hash"):
        tilewright.jit(power, static_argnums=1)(X, [1])
    for number in (2, -3):
        with pytest.raises(ArgumentError, match=f"static_argnums holds {number}, but .* takes 2"):
            tilewright.jit(power, static_argnums=number)
    assert tilewright.jit(lambda *all: all[0] * all[2], static_argnums=2)(X, X, 2).shape == (4,)
    with pytest.raises(ArgumentError, match="what jit takes is a function, not int 3"):
        tilewright.jit(3)  # pyright: ignore[reportArgumentType]


def test_messages_name_arguments_as_the_function_does():
    fast = tilewright.jit(
        lambda kind, x, *rest, by: x["a"] * by + len(rest), static_argnames="kind"
    )
    with pytest.raises(ArgumentError, match=r"^x\['a'\] is str 'no', which is no array"):
        fast("plain", {"a": "no"}, by=1.0)
    with pytest.raises(ArgumentError, match=r"^by is str 'no', which is no array"):
        fast("plain", {"a": X}, by="no")
    with pytest.raises(tilewright.UnsupportedError, match=r"^rest\[1\]\['b'\] of complex64"):
        fast("plain", {"a": X}, X, {"b": 1j}, by=1.0)
    fast("plain", {"a": 1}, by=2)
    with pytest.raises(ArgumentError, match=r"^x\['a'\] is 2147483648, which is no int32"):
        fast("plain", {"a": 2**31}, by=2)


def test_inside_of_transformations_it_is_the_function(compiled):
    @tilewright.jit
    def loss(x):
        return jnp.sum(x**3)

    np.testing.assert_allclose(jax.grad(loss)(X), 3 * X**2)
    np.testing.assert_allclose(jax.vmap(loss)(X[:, None]), X**3)
    np.testing.assert_allclose(jax.jit(lambda: loss(X))(), np.sum(X**3))
    np.testing.assert_allclose(
        tilewright.compile(lambda x: jax.grad(loss)(x), X)(X), 3 * X**2, rtol=1e-6
    )
    assert not compiled


def test_settings_of_jax_are_part_of_the_key():
    fast = tilewright.jit(lambda x: x + 0.5)
    assert fast(1.0).dtype == np.float32
    with jax.enable_x64(True):
        assert fast(1.0).dtype == np.float64
    assert fast(1.0).dtype == np.float32


def test_the_longest_unused_program_goes_first(compiled, monkeypatch):
    monkeypatch.setattr(jitted, "MOST_PROGRAMS", 2)
    fast = tilewright.jit(lambda x: x + 1)
    for size in (1, 2, 1, 3, 1, 2):
        fast(X[:size])
    assert [len(args[0]) for args in compiled] == [1, 2, 3, 2]


def test_methods():
    class Scaled:
        by = 3.0

        @tilewright.jit(static_argnums=0)
        def scale(self, x):
            return x * self.by

    np.testing.assert_array_equal(Scaled().scale(X), 3 * X)


def test_threads_compile_once(compiled):
    fast = tilewright.jit(lambda x: jnp.tanh(x) @ x)
    threads = [threading.Thread(target=fast, args=(X,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(compiled) == 1
