"""Small vertices in the middle of a function: their meaning's bits, wherever operands are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from tests.codelets.cases import arguments
from tests.codelets.edges import DTYPES
from tests.codelets.elementwise.test_codelet import everything
from tests.codelets.layouts import dense, same_bits, strided, values
from tests.codelets.reduce.test_codelet import reduction
from tests.codelets.run import levels, run
from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.contract import ContractOuter, ContractVector
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.codelets.expression import Expression, Instruction
from tilewright.codelets.index import DynamicSlice, DynamicUpdateSlice, Gather, Scatter
from tilewright.codelets.small.emit import emit_small, in_memory, is_small
from tilewright.codelets.small.places import MOST, InMemory, InRegister, Place, positions
from tilewright.graph.ir import numpy_dtype
from tilewright.machine.cost import Count

SHAPES = [(), (1,), (2,), (3,), (4,), (5,), (2, 2), (3, 4), (2, 1, 5), (16,), (4, 4)]


@dataclass(frozen=True)
class Small(Codelet):
    """A codelet written by `emit_small`; its operands are in registers where they may and fit."""

    inner: Codelet
    registers: bool

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return self.inner.inputs

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return self.inner.outputs

    @property
    def in_place(self) -> tuple[int, ...]:
        return self.inner.in_place

    @property
    def work(self) -> Count:
        return self.inner.work

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return self.inner.meaning(*arrays)

    def emit(self, module: Module, symbol: str) -> None:
        operands = (*self.inputs, *self.outputs)
        function = module.function(symbol, "void", ["ptr"] * len(operands))
        held = [self._register(function, i, operand) for i, operand in enumerate(operands)]
        places: list[Place] = []
        for i, (operand, register) in enumerate(zip(operands, held, strict=True)):
            memory = InMemory(operand.dtype, function.argument(i))
            places.append(memory if register is None else register)
            if register is not None:
                every = range(register.size)
                spots = [e - register.first for e in every]
                register.replace(function, memory.read(function, spots))
        emit_small(function, self.inner, places)
        for i, register in enumerate(held):
            if register is not None and i >= len(self.inputs):
                spots = [e - register.first for e in range(register.size)]
                memory = InMemory(register.dtype, function.argument(i))
                memory.write(function, spots, register.whole(function))
        function.close()

    def _register(self, function: Function, i: int, operand: Operand) -> InRegister | None:
        spots = positions(operand)
        size = max(spots) - min(spots) + 1
        if not self.registers or i in in_memory(self.inner) or size > MOST:
            return None
        register = InRegister(operand.dtype, "", size, -min(spots))
        slot = function.let(f"alloca {register.type}")
        return InRegister(operand.dtype, slot, size, -min(spots))


def check(codelet: Codelet, *arrays: np.ndarray, features=None) -> None:
    assert is_small(codelet)
    with np.errstate(all="ignore"):
        expected = codelet.meaning(*arrays)
    for registers in (False, True):
        actual = run(Small(codelet, registers), *arrays, features=features)
        for ours, theirs in zip(actual, expected, strict=True):
            same_bits(ours, theirs.astype(ours.dtype, copy=False))


@levels
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_operation(dtype, features):
    expression = everything(dtype)
    generator = np.random.default_rng(0)
    for shape in [(), (3,), (16,)]:
        a, b = (values(generator, dtype, shape) for _ in range(2))
        operand = dense(a)
        codelet = Elementwise(
            expression, shape, (operand.strides,) * 2, (operand.strides,) * len(expression.outputs)
        )
        check(codelet, a, b, features=features)


@pytest.mark.parametrize("dtype", ["float32", "bool", "bfloat16", "int64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_any_layout(shape, dtype):
    generator = np.random.default_rng(len(shape))
    steps = (Instruction("max", (0, 1), dtype), Instruction("eq", (0, 1), "bool"))
    expression = Expression((dtype, dtype), steps, (2, 3, 0))
    for _ in range(6):
        a, b = (values(generator, dtype, shape) for _ in range(2))
        flags = np.zeros(shape, bool)
        laid = [strided(generator, x) for x in (a, b, a, flags, a)]
        if generator.integers(0, 2):
            laid[0] = Operand(dtype, shape, (0,) * len(shape))
            a = np.full(shape, a.flat[0])
        strides = tuple(operand.strides for operand in laid)
        check(Elementwise(expression, shape, strides[:2], strides[2:]), a, b)


def test_indices():
    steps = [Instruction("iota", (), "int32", (("dimension", d),)) for d in range(2)]
    expression = Expression((), tuple(steps), (0, 1))
    for shape in [(3, 5), (1, 1), (2, 8)]:
        strides = dense(np.zeros(shape)).strides
        check(Elementwise(expression, shape, (), (strides, strides)))


@levels
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("sum", "float32"), ("sum", "float64"), ("sum", "bfloat16"), ("sum", "int32"),
     ("max", "float32"), ("min", "int16"), ("prod", "float32"), ("and", "bool"), ("or", "bool"),
     ("max", "bool"), ("xor", "int64")],
)  # fmt: skip
def test_reductions(kind, dtype, features):
    domains = [((n,), (0,)) for n in (1, 2, 3, 7, 9, 15, 16)]
    domains += [((3, 5), (1,)), ((3, 5), (0,)), ((2, 2, 4), (0, 2)), ((4, 4), ())]
    domains += [((2, 3, 2), (1,)), ((5, 1), (1,)), ((1, 5), (0,)), ((5, 3), (0, 1))]
    for shape, axes in domains:
        codelet = reduction(kind, dtype, shape, axes)
        check(codelet, *arguments(codelet), features=features)


@pytest.mark.parametrize("kind", ["sum", "max", "min", "prod"])
def test_reductions_of_special_values(kind):
    """Zeros by sign, denormals, NaN and infinities, at every place."""
    special = np.array([-0.0, 0.0, 1e-40, -1e-40, 1, -1, np.nan, np.inf, -np.inf], np.float32)
    generator = np.random.default_rng(0)
    for shape, axes in [((9,), (0,)), ((1,), (0,)), ((2,), (0,)), ((4, 3), (1,)), ((4, 3), (0,))]:
        codelet = reduction(kind, "float32", shape, axes)
        for chosen in (special, special[:4]):
            check(codelet, generator.choice(chosen, shape))
            check(codelet, generator.choice(chosen, shape))


@pytest.mark.parametrize("dtype", ["float32", "bool", "bfloat16"])
def test_windows(dtype):
    generator = np.random.default_rng(0)
    pairs = [((70,), (1,)), ((9, 8), (1, 8)), ((9, 8), (2, 3)), ((30,), (16,)), ((), ())]
    for shape, sizes in pairs:
        for _ in range(3):
            array, window = values(generator, dtype, shape), values(generator, dtype, sizes)
            starts = [np.array(generator.integers(-5, 80), np.int32) for _ in shape]
            kinds = ("int32",) * len(shape)
            source, out = strided(generator, array), strided(generator, window)
            check(DynamicSlice(source, kinds, out), array, *starts)
            check(DynamicUpdateSlice(out, kinds, source), window, *starts, array)


DOTS = [(1, 1, 1), (2, 2, 2), (3, 4, 2), (4, 1, 4), (1, 3, 5), (1, 1, 16), (4, 4, 4), (2, 3, 1)]


@levels
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int32"])
def test_products(dtype, features):
    generator = np.random.default_rng(0)
    for m, n, k in DOTS:
        for batch in ((), (2,)) if m * n * k <= 8 else ((),):
            a, b = (draw(generator, dtype, shape) for shape in ((*batch, m, k), (*batch, k, n)))
            lhs, rhs = strided(generator, a), strided(generator, b)
            out = strided(generator, np.zeros((*batch, m, n), a.dtype))
            check(ContractOuter(lhs, rhs, out), a, b, features=features)
            rhs = strided(generator, b[..., 0])
            out = strided(generator, np.zeros((*batch, m), a.dtype))
            check(ContractVector(lhs, rhs, out), a, b[..., 0], features=features)


@pytest.mark.parametrize("k", [1, 2, 7, 8, 9, 16])
def test_zeros_of_products_have_the_laws_sign(k):
    generator = np.random.default_rng(k)
    for special in ([-0.0, 1.0], [1e-30, -1e-30], [-1e-20, 1e-20, 0.0]):
        for _ in range(4):
            a, b = (generator.choice(special, k).astype(np.float32) for _ in range(2))
            out = Operand("float32", (1,), (1,))
            check(ContractVector(dense(a[None]), dense(b), out), a[None], b)


def draw(generator: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers whose sums round."""
    if dtype == "int32":
        return generator.integers(-(2**31), 2**31, shape, np.int32)
    return generator.normal(size=shape).astype(numpy_dtype(dtype))


@pytest.mark.parametrize("mode", ["clip", "drop"])
@pytest.mark.parametrize("dtype", ["float32", "bool", "bfloat16"])
def test_one_window_at_an_index(dtype, mode):
    generator = np.random.default_rng(0)
    gathers = {"collapsed_slice_dims": (0,), "start_index_map": (0,)}
    scatters = {"inserted_window_dims": (0,), "scatter_dims_to_operand_dims": (0,)}
    for shape, window in [((70,), ()), ((9, 5), (5,)), ((9, 1), (1,))]:
        dims = tuple(range(len(window)))
        array = values(generator, dtype, shape)
        source, out = dense(array), dense(np.zeros(window, array.dtype))
        indices = Operand("int32", (1,), (1,))
        gather = Gather.of(
            source, indices, out,
            {**gathers, "offset_dims": dims, "slice_sizes": (1, *window), "mode": mode,
             "operand_batching_dims": (), "start_indices_batching_dims": (), "fill": 0},
        )  # fmt: skip
        for start in (-3, 7, 200):
            index = np.array([start], np.int32)
            check(gather, array, index)
            for kind in ("set", "add"):
                scatter = Scatter.of(
                    indices, out, source,
                    {**scatters, "update_window_dims": dims, "operand_batching_dims": (),
                     "scatter_indices_batching_dims": (), "kind": kind, "mode": mode},
                )  # fmt: skip
                check(scatter, index, values(generator, dtype, window), array)


def test_what_is_small():
    add = Expression(("float32",) * 2, (Instruction("add", (0, 1), "float32"),), (2,))
    assert is_small(Elementwise(add, (16,), ((1,), (1,)), ((1,),)))
    assert not is_small(Elementwise(add, (17,), ((1,), (1,)), ((1,),)))
    assert not is_small(Elementwise(add, (0,), ((1,), (1,)), ((1,),)))
    window = DynamicSlice(Operand("int8", (99,), (1,)), ("int32",), Operand("int8", (3,), (1,)))
    assert in_memory(window) == (0,)
