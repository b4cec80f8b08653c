"""Layouts as steps: whichever is taken gives the same bits, on tiles that hold what they need."""

import numpy as np
import pytest

from tests.codelets.layouts import same_bits
from tests.plan.apart.test_distribution import (
    arrays_of,
    few,
    product_call,
    program_of,
    result_of,
    sum_call,
)
from tilewright.plan.apart.candidates import Layout
from tilewright.plan.apart.cutting import cutting
from tilewright.plan.apart.gridded import steps
from tilewright.plan.ir import Exchange, Family
from tilewright.plan.verify import faults
from tilewright.simulate import simulate

MEMORY = 1 << 18
LAYOUTS = [
    Layout(7, 10, 600),
    Layout(3, 4, 600),
    Layout(3, 4, 600, n_inner=False),
    Layout(7, 10, 256),
    Layout(4, 5, 256),
    Layout(3, 10, 512, n_inner=False),
    Layout(3, 5, 600, serial=2),
    Layout(7, 2, 256, serial=5),
]
"""Of 7 x 10 results, each of 600 terms: short blocks, sums in parts, turns."""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_bits(layout):
    call, on = product_call(7, 10, 600), few(24, MEMORY)
    cut = cutting(call)
    assert cut is not None
    program = program_of(call, steps(cut, layout), on)
    assert faults(program, MEMORY) == []
    arrays = arrays_of(call)
    result = simulate(program, arrays, on.tiles)
    assert result.races == []
    same_bits(result.outputs[0].reshape(7, 10), result_of(call, arrays))


@pytest.mark.parametrize("layout", [Layout(5, 1, 512, last=3, share=1), Layout(12, 1, 600)])
def test_sums_without_columns(layout):
    call, on = sum_call(12, 600, 1), few(24, MEMORY)
    cut = cutting(call)
    assert cut is not None
    program = program_of(call, steps(cut, layout), on)
    arrays = arrays_of(call)
    result = simulate(program, arrays, on.tiles)
    assert result.races == []
    same_bits(result.outputs[0], np.asarray(result_of(call, arrays)).reshape(-1))


@pytest.mark.parametrize("inner", (True, False))
@pytest.mark.parametrize("k", (256, 512, 600))
def test_blocks_are_each_on_a_tile_of_its_own(inner, k):
    """Those of one product; the tiles are the first ones, with none left out."""
    cut = cutting(product_call(7, 10, 600))
    assert cut is not None
    products = []
    for step in steps(cut, Layout(3, 4, k, n_inner=inner)):
        if isinstance(step, Exchange):
            break
        assert isinstance(step, Family)
        products += list(step.homes.tiles())
    assert sorted(products) == list(range(3 * 3 * -(-600 // k)))
