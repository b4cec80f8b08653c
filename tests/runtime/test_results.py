"""Memory of results: on lines, together when small, apart when large."""

import ctypes

import numpy as np
import pytest

from tilewright.codegen.context import LINE
from tilewright.graph.ir import Type
from tilewright.runtime.memory import HUGE, LEAST, lasting
from tilewright.runtime.results import TOGETHER, Lasting, results_of


def placed(*kinds, make=results_of):
    results = make(kinds)
    pieces, shifts = results.pieces(), (ctypes.c_int64 * len(kinds))()
    addresses = results.place(pieces, shifts)
    return pieces, addresses, results.arrays(pieces, shifts[:])


@pytest.mark.parametrize(
    ("kinds", "pieces"),
    [
        ((), 0),
        ((Type("float32", (3,)),), 1),
        ((Type("float32", ()), Type("int8", (65,)), Type("bool", (0,))), 1),
        ((Type("float32", (TOGETHER,)), Type("float32", ())), 2),
    ],
)
@pytest.mark.parametrize("make", [results_of, Lasting])
def test_results_lie_on_lines_of_their_own(kinds, pieces, make):
    raw, addresses, arrays = placed(*kinds, make=make)
    assert len(raw) == pieces
    assert [a.ctypes.data for a in arrays] == addresses
    assert all(address % LINE == 0 for address in addresses)
    assert [(a.dtype, a.shape) for a in arrays] == [(k.numpy, k.shape) for k in kinds]
    for number, array in enumerate(arrays):
        array[...] = number
    for number, array in enumerate(arrays):
        assert (array == number).all() or array.dtype == np.bool_


def test_who_keeps_a_small_result_keeps_few_bytes():
    small, large = Type("float32", ()), Type("float32", (100_000,))
    for kinds in ((small, large), (small, small)):
        raw, _, (kept, _) = placed(*kinds)
        assert kept.base is raw[0]
        assert raw[0].nbytes <= TOGETHER + LINE


def test_what_stays_lies_on_huge_pages():
    for nbytes in (0, 1, LEAST, HUGE + 1):
        assert lasting(nbytes).nbytes == nbytes
    kinds = [Type("float32", (500_000,)), Type("int8", (3,)), Type("float32", (500_000,))]
    raw, _, arrays = placed(*kinds, make=Lasting)
    assert raw[0].ctypes.data % HUGE == 0
    ends = [(piece.ctypes.data, piece.ctypes.data + piece.nbytes) for piece in raw]
    assert [end for _, end in ends[:-1]] == [start for start, _ in ends[1:]]
    for number, array in enumerate(arrays):
        array[...] = number
    kept = arrays[2]
    del raw, arrays
    assert (kept == 2).all()
