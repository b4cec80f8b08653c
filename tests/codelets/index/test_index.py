"""Vertices whose positions are data: native code, meaning, and lax."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codelets.layouts import dense, same_bits, strided, values
from tests.codelets.run import LESSER, run
from tilewright.codelets.index import DynamicSlice, DynamicUpdateSlice, Gather, Scatter

DTYPES = ["float32", "bfloat16", "float16", "int8", "uint16", "int32", "bool"]
INDEX_DTYPES = ["int8", "uint8", "int32", "uint32"]
seeds = st.integers(0, 1 << 30)
few = settings(max_examples=60, deadline=None, derandomize=True)


def check(codelet, *arrays: np.ndarray, features=None) -> np.ndarray:
    """Native code against the meaning; gives the result."""
    (expected,) = codelet.meaning(*arrays)
    (actual,) = run(codelet, *arrays, features=features)
    same_bits(actual, expected)
    return expected


@given(seeds)
@few
def test_dynamic_slices_of_any_layout(seed):
    generator = np.random.default_rng(seed)
    shape = tuple(generator.integers(0, 7, generator.integers(0, 5)).tolist())
    sizes = tuple(int(generator.integers(0, n + 1)) for n in shape)
    array = values(generator, str(generator.choice(DTYPES)), shape)
    update = values(generator, array.dtype.name, sizes)
    dtypes = [str(generator.choice(INDEX_DTYPES)) for _ in shape]
    starts = [np.array(generator.integers(-9, 9)).astype(dtype) for dtype in dtypes]
    source, out = strided(generator, array), strided(generator, update)
    sliced = check(DynamicSlice(source, tuple(dtypes), out), array, *starts)
    updated = check(DynamicUpdateSlice(out, tuple(dtypes), source), update, *starts, array)
    places = [np.array(min(int(start), 100), np.int32) for start in starts]
    expected = jax.jit(
        lambda x, u, *at: (
            jax.lax.dynamic_slice(x, at, sizes, allow_negative_indices=False),
            jax.lax.dynamic_update_slice(x, u, at, allow_negative_indices=False),
        )
    )(array, update, *places)
    same_bits(sliced, np.asarray(expected[0]))
    same_bits(updated, np.asarray(expected[1]))


@pytest.mark.parametrize(
    "dtype, start, first",
    [
        ("int64", -(2**63), 0),
        ("int64", 2**63 - 1, 6),
        ("uint64", 2**63, 6),
        ("uint64", 2**64 - 1, 6),
        ("uint32", 2**32 - 1, 6),
        ("int32", -1, 0),
        ("uint8", 255, 6),
        ("int8", -128, 0),
    ],
)
def test_starts_are_read_with_their_sign(dtype, start, first):
    array, place = np.arange(10, dtype=np.float32), np.array(start, dtype)
    codelet = DynamicSlice(dense(array), (dtype,), dense(array[:4]))
    assert check(codelet, array, place)[0] == first
    codelet = DynamicUpdateSlice(dense(-array[:4]), (dtype,), dense(array))
    check(codelet, -array[:4], place, array)


@pytest.mark.parametrize("columns", [1, 15, 16, 17, 64, 200])
def test_rows_of_every_length(columns):
    array = np.arange(7 * columns, dtype=np.float32).reshape(7, columns)
    codelet = DynamicSlice(dense(array), ("int32", "int32"), dense(array[:3]))
    two, one = np.array(2, np.int32), np.array(1, np.int32)
    check(codelet, array, two, one)
    check(codelet, array, two, one, features=LESSER)


@dataclass
class Case:
    """Arrays and dimension numbers, as a gather names them."""

    source: np.ndarray
    indices: np.ndarray
    sizes: tuple[int, ...]
    offset_dims: tuple[int, ...]
    collapsed: tuple[int, ...]
    index_map: tuple[int, ...]
    batching: tuple[int, ...]
    indices_batching: tuple[int, ...]

    @property
    def gather(self) -> dict:
        return dict(
            offset_dims=self.offset_dims,
            collapsed_slice_dims=self.collapsed,
            start_index_map=self.index_map,
            operand_batching_dims=self.batching,
            start_indices_batching_dims=self.indices_batching,
        )

    @property
    def scatter(self) -> dict:
        return dict(
            update_window_dims=self.offset_dims,
            inserted_window_dims=self.collapsed,
            scatter_dims_to_operand_dims=self.index_map,
            operand_batching_dims=self.batching,
            scatter_indices_batching_dims=self.indices_batching,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all windows together."""
        gone = {*self.collapsed, *self.batching}
        kept = [n for d, n in enumerate(self.sizes) if d not in gone]
        at, rest = dict(zip(self.offset_dims, kept, strict=True)), iter(self.indices.shape[:-1])
        rank = len(kept) + self.indices.ndim - 1
        return tuple(at[i] if i in at else next(rest) for i in range(rank))


def random_case(generator: np.random.Generator, most: int = 5) -> Case:
    """Every role for every dimension; indices within and beyond the bounds."""
    rank = int(generator.integers(1, 5))
    shape = generator.integers(1, 6, rank).tolist()
    batch = generator.integers(0 if most else 1, most + 1, generator.integers(0, 4)).tolist()
    roles = generator.choice(["batching", "collapsed", "window", "window"], rank).tolist()
    free, pairs = list(range(len(batch))), {}
    for d in range(rank):
        if roles[d] == "batching" and free:
            pairs[d] = free.pop(int(generator.integers(len(free))))
            shape[d] = batch[pairs[d]]
    sizes = [
        1 if d in pairs or roles[d] == "collapsed" else int(generator.integers(0, n + 1))
        for d, n in enumerate(shape)
    ]
    sizes = [min(n, size) for n, size in zip(shape, sizes, strict=True)]
    collapsed = tuple(d for d in range(rank) if roles[d] == "collapsed")
    others = [d for d in range(rank) if d not in pairs]
    mapped = generator.permutation(others)[: generator.integers(0, len(others) + 1)].tolist()
    count = rank - len(collapsed) - len(pairs)
    offset = np.sort(generator.permutation(count + len(batch))[:count]).tolist()
    source = values(generator, str(generator.choice(DTYPES)), tuple(shape))
    indices = generator.integers(-2, 7, (*batch, len(mapped)))
    indices = indices.astype(str(generator.choice(INDEX_DTYPES)))
    return Case(
        source, indices, tuple(sizes), tuple(offset), collapsed, tuple(mapped),
        tuple(pairs), tuple(pairs.values()),
    )  # fmt: skip


LAX_MODES = {
    "clip": jax.lax.GatherScatterMode.CLIP,
    "drop": jax.lax.GatherScatterMode.FILL_OR_DROP,
}


@given(seeds, st.sampled_from(["clip", "drop"]))
@settings(few, max_examples=100)
def test_gather_with_any_dimension_numbers(seed, mode):
    generator = np.random.default_rng(seed)
    case = random_case(generator)
    out = strided(generator, np.zeros(case.shape, case.source.dtype))
    params = case.gather | dict(slice_sizes=case.sizes, mode=mode)
    source, indices = strided(generator, case.source), strided(generator, case.indices)
    codelet = Gather.of(source, indices, out, params)
    result = check(codelet, case.source, case.indices)
    if case.source.size:
        expected = jax.lax.gather(
            case.source,
            case.indices,
            jax.lax.GatherDimensionNumbers(**case.gather),
            case.sizes,
            mode=LAX_MODES[mode],
        )
        same_bits(result, np.asarray(expected))


@given(seeds, st.sampled_from(["clip", "drop"]))
@settings(few, max_examples=100)
def test_scatter_with_any_dimension_numbers(seed, mode):
    generator = np.random.default_rng(seed)
    case = random_case(generator)
    kind = str(generator.choice(["set", "add", "mul", "min", "max"]))
    updates = values(generator, case.source.dtype.name, case.shape)
    arrays = (case.indices, updates, case.source)
    indices, windows, out = (strided(generator, array) for array in arrays)
    params = case.scatter | dict(kind=kind, mode=mode)
    codelet = Scatter.of(indices, windows, out, params)
    result = check(codelet, *arrays)
    collides = kind == "set" and np.prod(case.indices.shape[:-1]) > 1
    if not collides and case.source.size and case.source.dtype != bool:
        name = "scatter" if kind == "set" else f"scatter_{kind}"
        expected = getattr(jax.lax, name)(
            case.source,
            case.indices,
            updates,
            jax.lax.ScatterDimensionNumbers(**case.scatter),
            mode=LAX_MODES[mode],
        )
        same_bits(result, np.asarray(expected))


ROWS = dict(
    collapsed_slice_dims=(0,),
    start_index_map=(0,),
    operand_batching_dims=(),
    start_indices_batching_dims=(),
)
PLACES = np.array([[3], [0], [-1], [9], [10], [3], [2**31 - 1], [-(2**31)]], np.int32)


@pytest.mark.parametrize("mode", ["clip", "drop", "promise"])
@pytest.mark.parametrize("columns", [1, 16, 37])
def test_gather_of_rows(columns, mode):
    source = np.arange(10 * columns, dtype=np.float32).reshape(10, columns)
    out = np.zeros((len(PLACES), columns), np.float32)
    params = ROWS | dict(offset_dims=(1,), slice_sizes=(1, columns), mode=mode, fill=7.0)
    codelet = Gather.of(dense(source), dense(PLACES), dense(out), params)
    result = check(codelet, source, PLACES)
    assert result[2, 0] == (7.0 if mode == "drop" else 0.0)
    check(codelet, source, PLACES, features=LESSER)


def test_gather_fills_as_jax_does():
    for dtype, fill in [("float32", np.nan), ("int8", -128), ("uint16", 65535), ("bool", True)]:
        source = np.zeros(3, dtype)
        params = ROWS | dict(offset_dims=(), slice_sizes=(1,), mode="drop")
        places, out = np.array([[5]]), np.zeros(1, dtype)
        codelet = Gather.of(dense(source), dense(places), dense(out), params)
        np.testing.assert_array_equal(check(codelet, source, places), np.array([fill], dtype))


def test_equal_gathers_are_equal_in_spite_of_nan():
    source, out = np.zeros(3, np.float32), np.zeros(8, np.float32)
    one, other = (
        Gather.of(
            dense(source),
            dense(PLACES),
            dense(out),
            ROWS | dict(offset_dims=(), slice_sizes=(1,), mode="drop", fill=float("nan")),
        )
        for _ in range(2)
    )
    assert one == other
    assert hash(one) == hash(other)


def row_scatter(kind: str, mode: str, arrays: tuple[np.ndarray, ...]) -> Scatter:
    """Whole rows of the last array."""
    indices, updates, array = arrays
    params = dict(
        update_window_dims=tuple(range(1, array.ndim)),
        inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0,),
        operand_batching_dims=(),
        scatter_indices_batching_dims=(),
        kind=kind,
        mode=mode,
    )
    return Scatter.of(dense(indices), dense(updates), dense(array), params)


@pytest.mark.parametrize("features", [None, LESSER], ids=["host", "lesser"])
@pytest.mark.parametrize("dtype", [*DTYPES, "float64", "int64", "uint8"])
@pytest.mark.parametrize("kind", ["set", "add", "mul", "min", "max"])
def test_colliding_rows_are_combined_in_order(kind, dtype, features):
    generator = np.random.default_rng(5)
    shapes = [(6, 47), (9, 47)]
    if dtype in ("float32", "float64", "bfloat16", "float16"):
        array, updates = (
            generator.normal(size=shape).astype(values(generator, dtype, ()).dtype)
            for shape in shapes
        )
        updates[:, 3], updates[::2, 4], array[:, 4] = np.nan, -0.0, 0.0
    else:
        array, updates = (values(generator, dtype, shape) for shape in shapes)
    indices = np.array([[1], [1], [4], [-1], [1], [6], [4], [0], [1]], np.int32)
    arrays = (indices, updates, array)
    check(row_scatter(kind, "drop", arrays), *arrays, features=features)


def test_sums_of_16_bit_floats_are_rounded_one_by_one():
    dtype = values(np.random.default_rng(0), "bfloat16", ()).dtype
    array, updates = np.array([256], dtype), np.array([1, 1, 1], dtype)
    arrays = (np.zeros((3, 1), np.int32), updates, array)
    assert check(row_scatter("add", "drop", arrays), *arrays)[0] == 256


def test_overlapping_windows_follow_the_order_of_the_updates():
    # Windows along the first axis of the updates, positions along the second: element (w, b) comes
    # after every element of an earlier w, even of a later b.
    array, updates = np.zeros(4, np.float32), np.array([[1, 2], [3, 4]], np.float32)
    indices = np.array([[1], [0]], np.int32)
    params = dict(
        update_window_dims=(0,),
        inserted_window_dims=(),
        scatter_dims_to_operand_dims=(0,),
        operand_batching_dims=(),
        scatter_indices_batching_dims=(),
        kind="set",
        mode="drop",
    )
    codelet = Scatter.of(dense(indices), dense(updates), dense(array), params)
    assert check(codelet, indices, updates, array).tolist() == [2, 4, 3, 0]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,), (4,)])
def test_empty_arrays(shape):
    array, indices = np.ones(shape, np.float32), np.zeros((0, 1), np.int32)
    updates = np.ones((0, *shape[1:]), np.float32)
    check(row_scatter("add", "clip", (indices, updates, array)), indices, updates, array)
