"""Fused expressions against their meaning: every operation and dtype to the bit, any layout."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.codelets.edges import DTYPES, FLOATS, INTEGERS, edges, pairs
from tests.codelets.layouts import dense, same_bits, strided
from tests.codelets.run import LEVELS, Compiled, levels, run
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.emit.llvm import Module
from tilewright.codelets.expression import Expression, Instruction, constant_instruction
from tilewright.graph.ir import numpy_dtype
from tilewright.graph.ops import COMPARISONS
from tilewright.graph.scalar import BINARY, UNARY
from tilewright.plan.ir import dense_strides

SIZES = [0, 1, 2, 3, 7, 15, 16, 17, 33, 100]
UNARY_FLOAT = (
    "neg abs sign floor ceil round_even round_away sqrt rsqrt is_finite".split()
)  # those whose results are exact or rounded once
BINARY_FLOAT = "add sub mul div rem max min nextafter eq ne lt le gt ge".split()
UNARY_INTEGER = "neg abs sign not popcount clz".split()
BINARY_INTEGER = (
    "add sub mul div rem pow max min and or xor shift_left shift_right_logical "
    "shift_right_arithmetic eq ne lt le gt ge".split()
)
BINARY_BOOL = "add mul max min and or xor eq ne lt le gt ge".split()


def legal(dtype: str) -> tuple[Sequence[str], Sequence[str]]:
    """Exact operations of one and of two operands."""
    if dtype == "bool":
        return ["not"], BINARY_BOOL
    return (UNARY_FLOAT, BINARY_FLOAT) if dtype in FLOATS else (UNARY_INTEGER, BINARY_INTEGER)


def result(op: str, dtype: str) -> str:
    return "bool" if op in COMPARISONS or op == "is_finite" else dtype


def everything(dtype: str) -> Expression:
    """All exact operations on two operands of a dtype, each an output."""
    unary, binary = legal(dtype)
    steps = [Instruction(op, (0,), result(op, dtype)) for op in unary]
    steps += [Instruction(op, (0, 1), result(op, dtype)) for op in binary]
    return Expression((dtype, dtype), tuple(steps), tuple(range(2, 2 + len(steps))))


@pytest.mark.parametrize("op", sorted({*UNARY, *BINARY, *COMPARISONS}))
def test_every_operation_of_a_graph_can_be_written(op):
    whole = op in {*UNARY_INTEGER, *BINARY_INTEGER} - {*UNARY_FLOAT}
    dtype, operands = "int32" if whole else "float32", (0,) if op in UNARY else (0, 1)
    step = Instruction(op, operands, result(op, dtype))
    module = Module(LEVELS[0])
    expression = Expression((dtype,) * len(operands), (step,), (len(operands),))
    contiguous(expression, (33,)).emit(module, "written")
    assert module.functions["written"].body


def contiguous(expression: Expression, shape: tuple[int, ...]) -> Elementwise:
    strides = dense_strides(shape)
    return Elementwise(
        expression,
        shape,
        (strides,) * len(expression.inputs),
        (strides,) * len(expression.outputs),
    )


def check(codelet: Elementwise, *arrays: np.ndarray, features=None) -> None:
    with np.errstate(all="ignore"):
        expected = codelet.meaning(*arrays)
    actual = run(codelet, *arrays, features=features)
    for i, (ours, theirs) in enumerate(zip(actual, expected, strict=True)):
        try:
            same_bits(ours, theirs.astype(ours.dtype, copy=False))
        except AssertionError as error:
            step = codelet.expression.outputs[i] - len(codelet.expression.inputs)
            what = codelet.expression.instructions[step] if step >= 0 else "copy"
            raise AssertionError(f"{what}: {error}") from None


@levels
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_operation(dtype, features):
    a, b = pairs(edges(dtype))
    check(contiguous(everything(dtype), a.shape), a, b, features=features)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_operation_on_one_number(dtype):
    """Without vectors; compiled once, called on pairs of edges."""
    codelet = contiguous(everything(dtype), ())
    native = Compiled(codelet)
    for a, b in list(zip(*pairs(edges(dtype)), strict=True))[::3]:
        arguments = [np.asarray(a).reshape(()), np.asarray(b).reshape(())]
        outputs = [np.zeros((), numpy_dtype(o.dtype)) for o in codelet.outputs]
        native(*arguments, *outputs)
        for ours, theirs in zip(outputs, codelet.meaning(*arguments), strict=True):
            same_bits(ours, theirs.astype(ours.dtype, copy=False))


@levels
@pytest.mark.parametrize("source", DTYPES)
def test_conversions(source, features):
    x = edges(source, denormals=True)
    steps = tuple(Instruction("convert", (0,), target) for target in DTYPES)
    expression = Expression((source,), steps, tuple(range(1, 1 + len(steps))))
    check(contiguous(expression, x.shape), x, features=features)


@levels
@pytest.mark.parametrize("before", [0, 20])
def test_floats_become_bfloat16_as_they_should(before, features):
    """Ties, denormals, infinities, and every kind of NaN, of which only the sign is kept: a vector
    at a time and, in a long expression, several abreast."""
    high = np.arange(0, 1 << 32, 1 << 16, dtype=np.uint32)
    bits = np.concatenate([high | low for low in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF)])
    steps = [Instruction("neg", (i,), "float32") for i in range(before)]
    steps.append(Instruction("convert", (before,), "bfloat16"))
    expression = Expression(("float32",), tuple(steps), (len(steps),))
    check(contiguous(expression, bits.shape), bits.view(np.float32), features=features)


@levels
@pytest.mark.parametrize(("dtype", "mantissa"), [("bfloat16", 7), ("float16", 10)])
def test_numbers_halfway_between_two_are_rounded_to_even(dtype, mantissa, features):
    """And those a little above or below to the nearer one."""
    halfway = 1 + (np.arange(64) + 0.5) / 2**mantissa
    x = np.concatenate([halfway, -halfway, halfway + 2**-20, halfway - 2**-20]).astype(np.float32)
    expression = Expression(("float32",), (Instruction("convert", (0,), dtype),), (1,))
    check(contiguous(expression, x.shape), x, features=features)


@pytest.mark.parametrize("dtype", FLOATS)
def test_denormals(dtype):
    """Flushed by arithmetic, kept by what only moves bits."""
    ops = "add sub mul div neg abs sign floor sqrt nextafter eq lt is_finite".split()
    unary, _ = legal(dtype)
    steps = [Instruction(op, (0,) if op in unary else (0, 1), result(op, dtype)) for op in ops]
    expression = Expression((dtype, dtype), tuple(steps), tuple(range(2, 2 + len(steps))))
    a, b = pairs(edges(dtype, denormals=True))
    check(contiguous(expression, a.shape), a, b)


@pytest.mark.parametrize(
    "dtypes",
    [("float32", "int32"), ("uint64", "float64"), ("bfloat16", "uint16"), ("int16", "float16")],
)
def test_bitcast(dtypes):
    source, target = dtypes
    bits = np.random.default_rng(0).integers(0, 256, 64 * 8, dtype=np.uint8)
    x = bits.view(numpy_dtype(source))
    if source == "int16":
        x = x[np.isfinite(x.view(np.float16))]  # signalling NaN becomes quiet
    there = Instruction("bitcast", (0,), target)
    back = Instruction("bitcast", (1,), source)
    check(contiguous(Expression((source,), (there, back), (1, 2)), x.shape), x)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("exponent, mantissa", [(5, 10), (8, 7), (4, 3), (11, 52), (5, 2)])
def test_reduce_precision(dtype, exponent, mantissa):
    params = (("exponent", exponent), ("mantissa", mantissa))
    x = edges(dtype)
    step = Instruction("reduce_precision", (0,), dtype, params)
    check(contiguous(Expression((dtype,), (step,), (1,)), x.shape), x)


@pytest.mark.parametrize("dtype", ["float32", "bool", "int8", "float64", "bfloat16"])
def test_select(dtype):
    generator = np.random.default_rng(1)
    cases = [generator.permutation(edges(dtype)) for _ in range(3)]
    number = generator.integers(-2, 5, cases[0].shape).astype(np.int32)
    flag = number > 1
    three = Instruction("select", (0, 2, 3, 4), dtype)
    two = Instruction("select", (1, 2, 3), dtype)
    expression = Expression(("int32", "bool", *[dtype] * 3), (three, two), (5, 6))
    check(contiguous(expression, number.shape), number, flag, *cases)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0, 1, -2.5, np.nan, -0.0, np.inf])
def test_constants(dtype, value):
    if dtype not in FLOATS and not np.isfinite(value):
        pytest.skip("a float only")
    constant = constant_instruction(np.asarray(value).astype(numpy_dtype(dtype)))
    check(contiguous(Expression((), (constant,), (0,)), (19,)))


@pytest.mark.parametrize("dtype", [*FLOATS, "int32", "uint8", "int64"])
def test_indices(dtype):
    """Also where the walk merges dimensions, or runs along another than the last."""
    steps = [Instruction("iota", (), dtype, (("dimension", i),)) for i in range(3)]
    expression = Expression((), tuple(steps), (0, 1, 2))
    check(contiguous(expression, (3, 5, 18)))
    shuffled = ((1, 3, 15), (90, 18, 1), (18, 54, 1))
    check(Elementwise(expression, (3, 5, 18), (), shuffled))
    one = Expression((), tuple(steps[:1]), (0,))
    check(contiguous(one, (20, 3)))
    check(contiguous(one, (1,)))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "bool", "int8", "float64"])
@pytest.mark.parametrize("size", SIZES)
def test_sizes(size, dtype):
    generator = np.random.default_rng(size)
    a, b = (generator.integers(0, 2, size).astype(numpy_dtype(dtype)) for _ in range(2))
    steps = (Instruction("max", (0, 1), dtype), Instruction("eq", (2, 1), "bool"))
    check(contiguous(Expression((dtype, dtype), steps, (2, 3, 0)), (size,)), a, b)


@levels
@pytest.mark.parametrize("stride", [2, -1, 0, 5, -3])
@pytest.mark.parametrize("size", [3, 16, 37])
def test_strides(size, stride, features):
    for dtype in ("float32", "bfloat16", "bool", "float64"):
        other = "bfloat16" if dtype == "float32" else "int32"
        generator = np.random.default_rng(size)
        a = generator.integers(0, 2, () if stride == 0 else size).astype(numpy_dtype(dtype))
        a, b = np.broadcast_to(a, size), generator.integers(0, 9, size).astype(numpy_dtype(other))
        steps = (Instruction("convert", (0,), other), Instruction("add", (2, 1), other))
        expression = Expression((dtype, other), steps, (3,))
        out = stride or 1
        check(
            Elementwise(expression, (size,), ((stride,), (1,)), ((out,),)), a, b, features=features
        )


def test_any_layout():
    generator = np.random.default_rng(3)
    for _ in range(40):
        shape = tuple(generator.integers(1, 20, generator.integers(0, 4)))
        a, b = (generator.normal(size=shape).astype(np.float32) for _ in range(2))
        operands = [strided(generator, x) for x in (a, b, a, a)]
        steps = (Instruction("sub", (0, 1), "float32"), Instruction("mul", (2, 1), "float32"))
        expression = Expression(("float32", "float32"), steps, (2, 3))
        strides = tuple(operand.strides for operand in operands)
        check(Elementwise(expression, shape, strides[:2], strides[2:]), a, b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(33, 18), (7, 40, 16), (1, 5), (64, 22), (17, 5, 35)])
def test_transposing_copies(shape, dtype):
    """Bits of any kind arrive as they were."""
    count = int(np.prod(shape))
    bits = np.random.default_rng(4).integers(0, 256, count * 8, dtype=np.uint8)
    x = bits[: count * numpy_dtype(dtype).itemsize].view(numpy_dtype(dtype))
    x = (bits[:count] > 99) if dtype == "bool" else x
    x = x.reshape(shape)
    source, target = dense_strides(shape), dense_strides(shape[::-1])[::-1]
    codelet = Elementwise(Expression((dtype,), (), (0,)), shape, (source,), (target,))
    for features in LEVELS:
        (ours,) = run(codelet, x, features=features)
        assert ours.tobytes() == x.tobytes()


def test_an_output_may_lie_on_an_input():
    x = np.arange(100, dtype=np.float32)
    step = Instruction("add", (0, 1), "float32")
    codelet = contiguous(Expression(("float32", "float32"), (step,), (2,)), (100,))
    total = x.copy()
    Compiled(codelet)(total, x, total)
    same_bits(total, x + x)


def test_names_are_symbols():
    expression = everything("float32")
    name = contiguous(expression, (3, 4)).name
    assert name.replace("_", "").isalnum()
    assert name != contiguous(expression, (3, 5)).name


def test_operands_agree_with_dense_arrays():
    x = np.zeros((3, 4), np.float32)
    codelet = contiguous(Expression(("float32",), (), (0,)), (3, 4))
    assert codelet.inputs == codelet.outputs == (dense(x),)
    assert codelet.work.bytes == 2 * x.nbytes
    assert INTEGERS


CHAIN = "neg exp add tanh log1p mul logistic sub abs erf".split()


def chain(dtype: str) -> Expression:
    """Long enough for several registers side by side; one input may be the same in every lane."""
    steps: list[Instruction] = []
    for i, op in enumerate(CHAIN):
        arguments = (1 + i,) if op not in ("add", "mul", "sub") else (1 + i, 0)
        steps.append(Instruction(op, arguments if i else (1,), dtype))
    steps.append(Instruction("lt", (0, len(steps)), "bool"))
    return Expression((dtype, dtype), tuple(steps), (len(steps), len(steps) + 1))


@levels
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_neighbours_in_several_registers_have_the_bits_of_one_alone(dtype, features):
    """At sizes around the turns of four registers, from one address and from many."""
    lanes = 4 * features.vector_bits // 32
    x = np.random.default_rng(0).normal(size=5 * lanes).astype(numpy_dtype(dtype))
    y = np.array(0.75).astype(x.dtype)
    alone = Compiled(Elementwise(chain(dtype), (1,), ((0,), (1,)), ((1,), (1,))), features)
    expected = [np.zeros(x.shape, x.dtype), np.zeros(x.shape, bool)]
    for i in range(x.size):
        alone(y, x[i : i + 1], *(out[i : i + 1] for out in expected))
    for size in (2 * lanes - 1, 2 * lanes, 3 * lanes + 17, 4 * lanes + 19, 5 * lanes - 1):
        codelet = Elementwise(chain(dtype), (size,), ((0,), (1,)), ((1,), (1,)))
        for ours, theirs in zip(
            run(codelet, y, x[:size], features=features), expected, strict=True
        ):
            same_bits(ours, theirs[:size])


@levels
@pytest.mark.parametrize("step", [-1, 2, 3])
def test_several_registers_of_any_layout(step, features):
    x = np.random.default_rng(1).normal(size=300).astype(np.float32)
    near = run(contiguous(chain("float32"), (300,)), x, x, features=features)
    far = Elementwise(chain("float32"), (300,), ((step,), (1,)), ((step,), (1,)))
    for ours, theirs in zip(run(far, x, x, features=features), near, strict=True):
        same_bits(ours, theirs)


def test_a_long_result_may_lie_on_an_input():
    x = np.random.default_rng(2).normal(size=300).astype(np.float32)
    codelet = contiguous(chain("float32"), (300,))
    expected, above = run(codelet, x, x)
    ours, flags = x.copy(), np.zeros(300, bool)
    Compiled(codelet)(x, ours, ours, flags)
    same_bits(ours, expected)
    same_bits(flags, above)


@pytest.mark.parametrize(
    "shape, axis",
    [((4, 56, 56, 144), 1), ((3, 2, 112, 96), 2), ((1, 7, 7, 1152), 3), ((600,), 0), ((40, 30), 0)],
)
def test_pieces_are_whole_lines_where_there_are_rows_enough(shape, axis):
    cut = contiguous(chain("float32"), shape).cut
    assert cut is not None
    assert set(cut.axes) == {axis}
    assert (cut.length, cut.along_lanes) == (shape[axis], axis == len(shape) - 1)
