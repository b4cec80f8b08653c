"""Vertices that go along an axis: native code, meaning, and lax."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codelets.layouts import dense, same_bits, strided, values
from tests.codelets.run import LESSER, run
from tilewright.codelets.along import ArgReduce, Cumulative, Sort
from tilewright.graph.ir import numpy_dtype

FLOATS = ["float32", "float64", "bfloat16", "float16"]
INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
SIZES = [1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 100, 1000]
seeds = st.integers(0, 1 << 30)
few = settings(max_examples=60, deadline=None, derandomize=True)


def check(codelet, *arrays: np.ndarray, features=None) -> tuple[np.ndarray, ...]:
    """Native code against the meaning; gives the results."""
    expected = codelet.meaning(*arrays)
    actual = run(codelet, *arrays, features=features)
    for one, other in zip(actual, expected, strict=True):
        same_bits(one, other)
    return expected


def noisy(generator: np.random.Generator, dtype: str, shape) -> np.ndarray:
    """Ties, and for floats now and then a NaN, an infinity or a signed zero."""
    array = values(generator, dtype, shape)
    if dtype not in FLOATS:
        return array
    odd = np.array([np.nan, np.inf, -np.inf, -0.0]).astype(array.dtype)
    chosen = generator.choice(odd, shape)
    return np.where(generator.random(shape) < generator.choice([0, 0.02, 0.5]), chosen, array)


def random_shape(generator: np.random.Generator) -> tuple[int, ...]:
    return tuple(generator.choice([1, 2, 3, 5, 17, 40], generator.integers(1, 4)).tolist())


# Sort.


def sort_of(arrays, dimension: int, keys: int) -> Sort:
    operands = tuple(map(dense, arrays))
    return Sort(operands, operands, dimension, keys)


@given(seeds)
@few
def test_sorts_of_any_layout(seed):
    generator = np.random.default_rng(seed)
    shape = random_shape(generator)
    keys, carried = int(generator.integers(1, 4)), int(generator.integers(0, 3))
    dtypes = [str(generator.choice(INTEGERS)) for _ in range(keys)]
    dtypes += [str(generator.choice([*FLOATS, "int8", "bool"])) for _ in range(carried)]
    arrays = [values(generator, dtype, shape) for dtype in dtypes]
    dimension = int(generator.integers(len(shape)))
    sources, outs = ([strided(generator, array) for array in arrays] for _ in range(2))
    check(Sort(tuple(sources), tuple(outs), dimension, keys), *arrays)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_sort_orders_the_whole_range(dtype):
    limits = np.iinfo(dtype)
    ends = np.array([limits.max, limits.min, 0, 1, limits.max - 1, limits.min + 1], dtype)
    (result,) = check(sort_of([ends], 0, 1), ends)
    assert result.tolist() == sorted(ends.tolist())


@pytest.mark.parametrize("size", [0, *SIZES, 5000])
@pytest.mark.parametrize("keys", [1, 2])
def test_sort_is_stable_and_agrees_with_lax(size, keys):
    generator = np.random.default_rng(size)
    arrays = [generator.integers(0, 1 + size // 4, size).astype(np.int32) for _ in range(keys)]
    arrays.append(np.arange(size, dtype=np.int32))
    result = check(sort_of(arrays, 0, keys), *arrays)
    expected = jax.lax.sort(arrays, dimension=0, num_keys=keys)
    for one, other in zip(result, expected, strict=True):
        same_bits(one, np.asarray(other))


@pytest.mark.parametrize("pattern", ["sorted", "reversed", "equal", "sawtooth"])
def test_sort_of_special_orders(pattern):
    index = np.arange(999, dtype=np.int32)
    key = dict(sorted=index, reversed=index[::-1], equal=0 * index, sawtooth=index % 7)[pattern]
    key = np.ascontiguousarray(key)
    check(sort_of([key, index], 0, 1), key, index)
    wide = key.astype(np.int64)
    check(sort_of([wide, index], 0, 1), wide, index)


# Argmax and argmin.


@given(seeds, st.sampled_from(["argmax", "argmin"]))
@settings(few, max_examples=80)
def test_arguments_of_any_layout(seed, kind):
    generator = np.random.default_rng(seed)
    shape = random_shape(generator)
    array = noisy(generator, str(generator.choice([*FLOATS, *INTEGERS])), shape)
    axis = int(generator.integers(len(shape)))
    dtype = str(generator.choice(["int8", "uint8", "int32", "uint32", "int64"]))
    out = np.zeros(shape[:axis] + shape[axis + 1 :], dtype)
    codelet = ArgReduce(kind, axis, strided(generator, array), strided(generator, out))
    (result,) = check(codelet, array)
    if array.itemsize < 8:
        expected = getattr(jax.lax, kind)(array, axis, np.int32)
        same_bits(result.astype(np.int32), np.asarray(expected))


@pytest.mark.parametrize("features", [None, LESSER], ids=["host", "lesser"])
@pytest.mark.parametrize("size", SIZES)
def test_the_first_of_equals_wherever_it_is(size, features):
    places = sorted({0, size // 3, size // 2, size - 1})
    out = dense(np.zeros(1, np.int32))
    for special, kind in [(5, "argmax"), (-5, "argmin"), (np.nan, "argmax"), (np.nan, "argmin")]:
        array = np.zeros((1, size), np.float32)
        array[0, places[1:]] = special
        codelet = ArgReduce(kind, 1, dense(array), out)
        (index,) = check(codelet, array, features=features)
        assert index[0] == (places[1] if len(places) > 1 else 0)


# Running sums.


@given(seeds, st.sampled_from(["sum", "prod", "max", "min"]), st.booleans())
@settings(few, max_examples=80)
def test_cumulatives_of_any_layout(seed, kind, reverse):
    generator = np.random.default_rng(seed)
    shape = random_shape(generator)
    array = noisy(generator, str(generator.choice([*FLOATS, *INTEGERS])), shape)
    axis = int(generator.integers(len(shape)))
    layouts = strided(generator, array), strided(generator, array)
    (result,) = check(Cumulative(kind, axis, reverse, *layouts), array)
    if array.dtype == np.int32:
        expected = getattr(jax.lax, f"cum{kind}")(array, axis, reverse)
        same_bits(result, np.asarray(expected))


@pytest.mark.parametrize("features", [None, LESSER], ids=["host", "lesser"])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("axis", [0, 1])
def test_running_sums_are_taken_one_after_the_other(axis, dtype, features):
    generator = np.random.default_rng(axis)
    array = generator.normal(size=(37, 37)).astype(numpy_dtype(dtype))
    codelet = Cumulative("sum", axis, False, dense(array), dense(array))
    (result,) = check(codelet, array, features=features)
    if dtype == "float32":
        same_bits(result, np.cumsum(array, axis, dtype=np.float32))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_empty_arrays(shape):
    array = np.zeros(shape, np.int32)
    check(Cumulative("sum", 0, False, dense(array), dense(array)), array)
    check(sort_of([array], 0, 1), array)
    if shape[0]:
        out = np.zeros(shape[1:], np.int32)
        check(ArgReduce("argmax", 0, dense(array), dense(out)), array)
