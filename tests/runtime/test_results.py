"""Memory of results: on lines, together when small, apart when large."""

import ctypes

import numpy as np
import pytest

from tilewright.codegen.context import LINE
from tilewright.graph.ir import Type
from tilewright.runtime.results import TOGETHER, results_of


def placed(*kinds):
    results = results_of(kinds)
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
def test_results_lie_on_lines_of_their_own(kinds, pieces):
    raw, addresses, arrays = placed(*kinds)
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
