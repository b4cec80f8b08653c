"""Convolutions and windows as vertices: native bits are those of the meaning, on both levels."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.codelets.cases import arguments, check, dense
from tests.codelets.run import LEVELS, assembly, levels, run
from tilewright.codelets.base import Operand
from tilewright.codelets.convolution import Convolution, FilterGradient, Window, WindowScatter
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.expression import Expression, Instruction
from tilewright.graph.ir import numpy_dtype

# groups, in, out, kh, kw, stride, dilation, oh, ow
CASES = [
    (1, 3, 5, 3, 3, (1, 1), (1, 1), 2, 9),
    (1, 3, 40, 3, 3, (2, 2), (1, 1), 3, 7),
    (1, 40, 33, 3, 3, (1, 1), (1, 1), 1, 5),
    (1, 64, 17, 3, 2, (1, 1), (1, 2), 1, 3),
    (1, 256, 9, 2, 2, (1, 1), (1, 2), 1, 3),
    (1, 1, 1, 3, 1, (1, 1), (2, 1), 4, 4),
    (1, 800, 8, 1, 1, (1, 1), (1, 1), 1, 5),
    (1, 5, 0, 2, 2, (1, 1), (1, 1), 1, 5),
    (1, 0, 5, 2, 2, (1, 1), (1, 1), 1, 5),
    (8, 1, 1, 3, 3, (1, 1), (1, 1), 3, 19),
    (37, 1, 1, 5, 5, (2, 2), (1, 1), 2, 8),
    (20, 1, 1, 17, 17, (1, 1), (1, 1), 1, 2),
    (9, 1, 2, 3, 3, (1, 1), (1, 2), 2, 9),
    (5, 2, 1, 3, 3, (2, 1), (1, 1), 2, 9),
    (6, 4, 4, 3, 3, (1, 1), (1, 1), 2, 9),
    (3, 8, 8, 3, 3, (2, 2), (1, 1), 2, 9),
    (4, 8, 8, 3, 3, (1, 1), (1, 2), 1, 17),
    (3, 16, 16, 3, 3, (1, 1), (1, 1), 2, 9),
    (2, 32, 32, 3, 3, (1, 1), (1, 1), 2, 3),
    (3, 3, 3, 2, 3, (1, 1), (1, 1), 2, 4),
    (5, 1, 1, 1, 1, (1, 1), (1, 1), 2, 4),
]


def convolution(case, dtype="float32", made=None, merged=True):
    groups, channels, out, kh, kw, stride, dilation, oh, ow = case
    h = (oh - 1) * stride[0] + (kh - 1) * dilation[0] + 1
    w = (ow - 1) * stride[1] + (kw - 1) * dilation[1] + 1
    kernel = dense(dtype, groups, kh, kw, channels, out)
    if merged:
        step = groups * out
        strides = (out, kw * channels * step, channels * step, step, 1)
        kernel = Operand(dtype, kernel.shape, strides)
    image = dense(dtype, 2, h, w, groups, channels)
    return Convolution(
        image, kernel, dense(made or dtype, 2, oh, ow, groups, out), stride, dilation
    )


@levels
@pytest.mark.parametrize("case", CASES, ids=str)
def test_bits(case, features):
    check(convolution(case), features)


@levels
def test_sums_of_a_leaf_stay_in_registers_while_others_wait(features):
    """Of two leaves: the first one's sums are in memory while the second one is taken."""
    text = assembly(convolution((2, 16, 16, 5, 5, (1, 1), (1, 1), 1, 28), merged=False), features)
    for block in re.split(r"\n(?=\S*:)", text):
        assert block.count("rsp)") <= 1.2 * block.count("vfmadd") or "vfmadd" not in block


@levels
def test_every_other_row_of_a_kernel(features):
    """As in a phase of a data gradient; along rows of the image a window's elements are dense."""
    codelet = convolution((1, 3, 5, 3, 3, (1, 1), (1, 1), 1, 1), merged=False)
    groups, row, *inner = codelet.kernel.strides
    kernel = replace(codelet.kernel, strides=(2 * groups, 2 * row, *inner))
    check(replace(codelet, kernel=kernel), features)


@levels
def test_images_that_are_turned_round(features):
    """Rows and columns of the image change places in memory, kernels of few channels do not."""
    codelet = convolution((4, 8, 8, 3, 3, (1, 1), (1, 1), 2, 15))
    n, _, wide, groups, each = codelet.image.strides
    shape = codelet.image.shape
    turned = replace(codelet.image, strides=(n, groups * shape[3], shape[1] * wide, groups, each))
    check(replace(codelet, image=turned), features)
    check(replace(codelet, image=replace(turned, strides=(n, 0, wide, groups, each))), features)


@levels
@pytest.mark.parametrize(
    "dtype, made",
    [("bfloat16", "bfloat16"), ("float16", "float32"), ("float64", "float64"), ("int32", "int32")],
)
def test_dtypes(dtype, made, features):
    for case in CASES[1], CASES[9], CASES[14], CASES[16]:
        check(convolution(case, dtype, made), features)
        check(convolution(case, dtype, made, merged=False), features)


def paired(case):
    """The same of bfloat16, whose input channels are taken in pairs, with sums in float32."""
    codelet = convolution(case, "bfloat16", "float32")
    groups, kh, kw, channels, out = codelet.kernel.shape
    if groups > 1 and out < 16:
        kernel = dense("bfloat16", kh, kw, channels // 2, groups, out, 2)
        order = (3, 0, 1, 2, 4, 5)
        shape, strides = (tuple(x[i] for i in order) for x in (kernel.shape, kernel.strides))
        kernel = Operand("bfloat16", shape, strides)
    else:
        kernel = dense("bfloat16", groups, kh, kw, channels // 2, out, 2)
    return replace(codelet, kernel=kernel, paired=True)


@levels
@pytest.mark.parametrize("case", [case for case in CASES if case[1] and case[1] % 2 == 0], ids=str)
def test_pairs_of_channels(case, features):
    """One instruction where there is it, two multiply-adds elsewhere: the same bits."""
    check(paired(case), features)
    threshold = Expression(("float32",), (Instruction("neg", (0,), "float32"),), (1,))
    check(replace(paired(case), epilogue=threshold), features)


def test_pairs_are_one_instruction():
    if "avx512bf16" in LEVELS[0].names:
        text = assembly(paired((3, 16, 16, 3, 3, (1, 1), (1, 1), 2, 9)), LEVELS[0])
        assert text.count("vdpbf16ps") > 9 > text.count("vfmadd")


def ended(case):
    """A bias for each channel, a residual, a threshold; what was compared is stored, too."""
    codelet = convolution(case)
    out = codelet.out
    bias = Operand("float32", out.shape, (0, 0, 0, *out.strides[3:]))
    expression = Expression(
        ("float32",) * 3,
        (
            Instruction("add", (0, 1), "float32"),
            Instruction("max", (3, 2), "float32"),
            Instruction("lt", (4, 3), "bool"),
            Instruction("mul", (4, 0), "float32"),
        ),
        (6, 5),
    )
    flags = Operand("bool", out.shape, out.strides)
    return replace(codelet, epilogue=expression, beside=(bias, out), more=(flags,))


@levels
@pytest.mark.parametrize("case", CASES, ids=str)
def test_epilogues(case, features):
    """Every way in which lanes run along channels, whole vectors and cut ones."""
    check(ended(case), features)


def test_a_long_epilogue_takes_neighbours_abreast():
    """A function of four vectors at a time, then of those left; the bits of one at a time."""
    case = (32, 1, 1, 3, 3, (1, 1), (1, 1), 2, 15)
    tanh = Expression(("float32",), (Instruction("tanh", (0,), "float32"),), (1,))
    for features in LEVELS:
        codelet = replace(convolution(case), epilogue=tanh)
        given = arguments(codelet)
        (sums,) = run(convolution(case), *given, features=features)
        alone = Elementwise(tanh, sums.shape, (codelet.out.strides,), (codelet.out.strides,))
        (fused,), (apart,) = (run(c, *x, features=features) for c, x in
                              ((codelet, given), (alone, [sums])))  # fmt: skip
        np.testing.assert_array_equal(fused, apart)


def filter_gradient(case, n, dtype="float32", made=None, merged=True):
    of = convolution(case, dtype)
    kernel = convolution(case, made or dtype, merged=merged).kernel
    image, g = (Operand(x.dtype, (n, *x.shape[1:]), x.strides) for x in (of.image, of.out))
    return FilterGradient(image, g, kernel, of.stride, of.dilation)


@levels
@pytest.mark.parametrize("case", CASES, ids=str)
def test_filter_gradients(case, features):
    """Several leaves an image, the last one shorter."""
    check(filter_gradient(case, 1, merged=False), features)
    if case[1] * case[2] * case[3] < 200:
        check(filter_gradient((*case[:7], 5, 65), 2), features)


@levels
@pytest.mark.parametrize("dtype", ["bfloat16", "float64", "int32"])
def test_filter_gradients_of_other_dtypes(dtype, features):
    for case in CASES[1], CASES[9], CASES[14]:
        check(filter_gradient(case, 2, dtype), features)


def paired_gradient(case, n, merged=True):
    """The same of bfloat16, with sums in float32, the positions of a row in pairs."""
    return replace(filter_gradient(case, n, "bfloat16", "float32", merged), paired=True)


@levels
@pytest.mark.parametrize("case", CASES, ids=str)
def test_filter_gradients_in_pairs_of_positions(case, features):
    """Even rows and odd ones, of one position and of two; several leaves an image."""
    check(paired_gradient(case, 1, merged=False), features)
    for columns in (1, 2, 6):
        check(paired_gradient((*case[:7], 2, columns), 2), features)
    if case[1] * case[2] * case[3] < 200:
        for columns in (64, 65):
            check(paired_gradient((*case[:7], 5, columns), 2), features)


@levels
def test_filter_gradients_in_pairs_where_images_lie_otherwise(features):
    """With gaps between pixels and rows, with channels apart, and turned round."""
    for case in CASES[14], CASES[17], CASES[10]:
        codelet = paired_gradient((*case[:7], 3, 9), 2)
        _, h, w, groups, each = codelet.image.shape
        wide = groups * each + 5
        gaps = ((h + 1) * w * wide, w * wide, wide, each, 1)
        check(replace(codelet, image=Operand("bfloat16", codelet.image.shape, gaps)), features)
        apart = (h * w * groups * each, groups * each, h * groups * each, 1, groups)
        check(replace(codelet, image=Operand("bfloat16", codelet.image.shape, apart)), features)


@levels
def test_what_has_no_neighbour_meets_nothing_else(features):
    """The last position of an odd row beside numbers that are none, which later taps read."""
    codelet = paired_gradient((1, 16, 16, 1, 3, (1, 1), (1, 1), 1, 5), 1, merged=False)
    image, gradient = (np.ones(x.shape, np.float32) for x in codelet.inputs)
    image[:, :, 6] = np.inf
    given = (x.astype(numpy_dtype("bfloat16")) for x in (image, gradient))
    (kernel,) = run(codelet, *given, features=features)
    wanted = np.array([5, 5, np.inf], np.float32)[:, None, None] * np.ones((3, 16, 16), np.float32)
    np.testing.assert_array_equal(kernel[0, 0], wanted)


def test_pairs_of_positions_are_one_instruction():
    """Of groups and of channels by themselves; what outgrows a leaf's place, or has few taps, is
    read where it lies."""
    if "avx512bf16" not in LEVELS[0].names:
        pytest.skip("this host has no vdpbf16ps")
    for case in CASES[10], CASES[17], CASES[18]:
        text = assembly(paired_gradient((*case[:7], 4, 14), 2), LEVELS[0])
        assert text.count("vdpbf16ps") >= 9 > text.count("vfmadd")
    for case in (1, 16, 16, 1, 1, (1, 1), (1, 1), 1, 9000), CASES[9]:
        text = assembly(paired_gradient(case, 1), LEVELS[0])
        assert text.count("vdpbf16ps") == 0 < text.count("vfmadd")


@levels
@pytest.mark.parametrize("kind", ["sum", "prod", "max", "min"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "float64"])
def test_windows(kind, dtype, features):
    for channels, size, stride, dilation in [
        (1, (2, 2), (2, 2), (1, 1)),
        (17, (3, 3), (2, 2), (1, 1)),
        (33, (1, 4), (1, 1), (1, 2)),
        (3, (2, 2), (1, 1), (3, 2)),
        (5, (0, 4), (1, 1), (1, 1)),
    ]:
        image, out = dense(dtype, 2, 7, 9, channels), dense(dtype, 2, 3, 3, channels)
        check(Window(kind, image, out, size, stride, dilation), features)


@levels
@pytest.mark.parametrize("made", [7, 15, 16, 17, 63, 64, 65, 200])
def test_windows_over_time(made, features):
    """Lanes are neighbours in time: of one channel, of three, and apart."""
    for channels, stride in [(1, 1), (3, 1), (1, 2)]:
        time = (made - 1) * stride + 5
        for size, shape in [((5, 1), (2, time, 1)), ((1, 5), (2, 1, time))]:
            image = dense("float32", *shape, channels)
            of_one = (made, 1) if size[0] > 1 else (1, made)
            out = dense("float32", 2, *of_one, channels)
            check(Window("max", image, out, size, (stride, stride), (1, 1)), features)


@levels
@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize(
    "dtype, made", [("float32", "float32"), ("bfloat16", "float32"), ("int32", "int32")]
)
def test_window_gradients(kind, dtype, made, features):
    """Windows that overlap, do not, and leave gaps; equal elements; NaN."""
    for channels, size, stride in [(1, (2, 2), (2, 2)), (19, (3, 3), (2, 1)), (16, (1, 2), (2, 3))]:
        image, gradient = dense(dtype, 2, 7, 9, channels), dense(dtype, 2, 3, 3, channels)
        codelet = WindowScatter(kind, image, gradient, dense(made, *image.shape), size, stride)
        x, g, before = arguments(codelet)
        x = np.round(x.astype(float)).astype(x.dtype)
        if made == "float32":
            x[0, 2, 2] = np.nan
        check(codelet, features, [x, g, before])
