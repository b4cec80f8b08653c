"""Terms that read padding are left out, and the bits stay those of all terms."""

from dataclasses import replace

import numpy as np
import pytest

from tests.codelets.cases import arguments, check
from tests.codelets.convolution.test_convolution import CASES, convolution, ended, paired
from tests.codelets.run import assembly, levels
from tilewright.codelets.convolution import Convolution
from tilewright.codelets.convolution.padding import Line, is_worth_a_look

PADS = [((2, 1), (1, 2)), ((9, 9), (0, 2))]
AROUND = ((2, 2), (2, 2))
SMALL = [
    (2, 16, 16, 5, 5, (1, 1), (1, 1), 7, 7),
    (4, 4, 4, 3, 3, (1, 1), (1, 1), 5, 14),
    (2, 16, 32, 3, 3, (1, 1), (1, 1), 3, 30),
    (40, 1, 1, 5, 5, (1, 1), (1, 1), 7, 7),
]
LEAVES = [
    (1, 256, 20, 3, 3, (1, 1), (1, 1), 8, 9),
    (2, 256, 16, 3, 3, (2, 1), (1, 2), 9, 7),
    (1, 256, 70, 2, 3, (1, 1), (1, 1), 9, 11),
    (1, 256, 40, 5, 1, (1, 1), (1, 1), 30, 8),
]
"""Whose taps are whole leaves."""
OTHERS = [CASES[2], CASES[4], CASES[12], CASES[13], CASES[15]]


def padded(codelet: Convolution, pads) -> tuple[Convolution, list[np.ndarray]]:
    """With as much of its image padding as there is of it, and its arguments."""
    sizes = codelet.image.shape[1:3]
    rows, columns = (
        (min(low, size), min(high, size - min(low, size)))
        for (low, high), size in zip(pads, sizes, strict=True)
    )
    given = arguments(codelet)
    image = np.zeros(given[0].shape, given[0].dtype)
    inside = tuple(
        slice(low, size - high) for (low, high), size in zip((rows, columns), sizes, strict=True)
    )
    image[:, *inside] = given[0][:, *inside]
    return replace(codelet, padding=(rows, columns)), [image, *given[1:]]


def narrow(case) -> Convolution:
    """In bfloat16, in pairs where channels make some."""
    return convolution(case, "bfloat16") if case[1] % 2 else paired(case)


@levels
@pytest.mark.parametrize("pads", PADS, ids=str)
@pytest.mark.parametrize("case", SMALL + LEAVES + OTHERS, ids=str)
def test_bits(case, pads, features):
    for codelet in convolution(case), narrow(case):
        codelet, given = padded(codelet, pads)
        check(codelet, features, given)


@levels
def test_epilogues(features):
    for case in SMALL[0], SMALL[3]:
        codelet, given = padded(ended(case), PADS[0])
        check(codelet, features, given)


@levels
@pytest.mark.parametrize("case", SMALL + LEAVES[:3], ids=str)
def test_kernels_that_are_not_finite(case, features):
    """Zeros times them are no numbers, wherever they stand in the kernel."""
    for made in convolution(case), narrow(case):
        codelet, (image, kernel) = padded(made, AROUND)
        places = (0, 0), (0, -1), (1, 0), (-1, 1)
        for place, value in zip(places, (np.inf, -np.inf, np.nan, np.inf), strict=True):
            one = kernel.copy()
            one[-1, *place].flat[-1] = value
            check(codelet, features, [image, one])


@levels
@pytest.mark.parametrize("case", SMALL + LEAVES[:2], ids=str)
def test_zeros_keep_their_sign(case, features):
    """A tiny negative product leaves -0.0, which a zero of padding turns round, or leaves."""
    codelet, (image, kernel) = padded(convolution(case), AROUND)
    tiny = np.float32(1e-30)
    for sign in (1, -1):
        signs = np.where(np.random.default_rng(1).random(kernel.shape) < 0.9, -sign, sign)
        check(codelet, features, [sign * tiny * (image != 0), (tiny * signs).astype(np.float32)])


@levels
def test_fewer_products_are_written(features):
    """Of a row of 7 with two columns of padding on either side, 6 of 35 are left out."""
    codelet, _ = padded(convolution((1, 3, 16, 1, 5, (1, 1), (1, 1), 1, 7), merged=False), AROUND)
    whole = replace(codelet, padding=((0, 0), (0, 0)))
    written, before = (assembly(each, features).count("vfmadd") for each in (codelet, whole))
    assert written < before


@levels
def test_leaves_of_padding_are_not_written(features):
    """A tile at the left has less to multiply at the first tap: code of its own, of fewer sums."""
    codelet, _ = padded(convolution(LEAVES[0]), AROUND)
    whole = replace(codelet, padding=((0, 0), (0, 0)))
    written, before = (assembly(each, features).count("vfmadd") for each in (codelet, whole))
    assert written > before


@levels
def test_long_kernels_are_not_written_for_each_end(features):
    """Of 31 taps over a line, whose 60 ends would each be code of their own."""
    codelet, _ = padded(convolution((1, 1, 1, 1, 31, (1, 1), (1, 1), 1, 230)), ((0, 0), (30, 30)))
    whole = replace(codelet, padding=((0, 0), (0, 0)))
    assert assembly(codelet, features) == assembly(whole, features)


def test_what_is_counted_of_a_line():
    random = np.random.default_rng(0)
    for _ in range(500):
        taps, outputs, stride, dilation = random.integers(1, (10, 30, 4, 4)).tolist()
        low, end = random.integers(0, (10, 40)).tolist()
        line = Line(taps, outputs, stride, dilation, low, end)
        reads = np.array([[line.reads(i, j) for j in range(outputs)] for i in range(taps)])
        assert line.share == (~reads).mean()
        assert line.written_out == taps * (~reads.all(0)).sum()


def test_pieces_of_few_rows_do_not_look_at_all_of_a_kernel():
    """To look at it takes longer than what is left out of one row."""
    codelet, _ = padded(convolution((1, 256, 20, 3, 3, (1, 1), (1, 1), 1, 3)), ((0, 0), (1, 1)))
    assert not is_worth_a_look(codelet)
    assert all(is_worth_a_look(padded(convolution(case), AROUND)[0]) for case in LEAVES)


def test_pieces_of_rows_know_of_no_padding_above():
    codelet, _ = padded(convolution(SMALL[0]), AROUND)
    image = replace(codelet.image, shape=(2, 7, *codelet.image.shape[2:]))
    out = replace(codelet.out, shape=(2, 3, *codelet.out.shape[2:]))
    assert codelet.on([image, codelet.kernel, out]).padding == ((0, 0), (2, 2))
