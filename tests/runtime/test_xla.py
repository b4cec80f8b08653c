"""The interface of an Executable over `jax.jit`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tilewright.errors import ArgumentError

X = np.arange(4, dtype=np.float32)


def compile(fn, *args, **named):
    return tilewright.compile(fn, *args, machine="xla", **named)


def line(params, x):
    return {"y": params["a"] * x + params["b"]}


PARAMS = {"a": np.float32(2), "b": X}


@pytest.fixture(scope="module")
def call():
    return compile(line, PARAMS, jax.ShapeDtypeStruct((4,), jnp.float32))


def test_numpy_in_and_out(call):
    result = call(PARAMS, X)["y"]
    assert type(result) is np.ndarray
    assert result.flags.writeable
    np.testing.assert_array_equal(result, 3 * X)


def test_bind_and_start(call):
    bound = call.bind(params=PARAMS)
    np.testing.assert_array_equal(bound(X)["y"], 3 * X)
    with bound.start(X) as run:
        np.testing.assert_array_equal(run.result(10)["y"], 3 * X)
        assert run.done
    with pytest.raises(ValueError, match="no instances"):
        bound.start(X, stream=True)


def test_wrong_arguments(call):
    with pytest.raises(ArgumentError, match=r"^x has shape \(3,\)"):
        call(PARAMS, X[:3])
    with pytest.raises(ArgumentError, match=r"^params\['b'\] is missing"):
        call({"a": X}, X)


def test_float64_and_python_numbers():
    call = compile(lambda x, y: x + y, np.zeros(4), 1.0)
    np.testing.assert_array_equal(call(np.ones(4), 2), 3 * np.ones(4))


def test_there_is_nothing_to_look_into():
    program = tilewright.compile(lambda x: x + 1, np.float32(1), machine="xla")
    for look in (program.report, lambda: program.profile(np.float32(1))):
        with pytest.raises(ValueError, match="compile for this host instead"):
            look()


def test_it_shows_what_it_is(call):
    assert repr(call).startswith("<XlaExecutable line(params: 2 arrays, x: float32[4]) -> float32")
    assert call.graph == call.program
    assert "is XLA's program: `llvm` is its text" in call.graph
    assert repr(call.start(PARAMS, X)).startswith("<XlaRun line: ")


def test_arguments_by_name():
    call = compile(line, PARAMS, x=X)
    np.testing.assert_array_equal(call(PARAMS, x=X)["y"], call(x=X, params=PARAMS)["y"])


def test_keys():
    call = compile(lambda key: jax.random.split(key), jax.random.key(0))
    key = jax.random.key(3)
    assert jnp.array_equal(
        jax.random.key_data(call(key)), jax.random.key_data(jax.random.split(key))
    )


def test_looking_inside(call):
    assert "stablehlo" in call.llvm
    assert "HloModule" in call.assembly
