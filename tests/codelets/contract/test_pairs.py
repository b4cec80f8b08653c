"""Products in pairs of operands that lie as they come: the bits of the law, however these lie."""

import numpy as np
import pytest

from tests.codelets.cases import check, dense
from tests.codelets.layouts import same_bits
from tests.codelets.run import HOST, levels, run
from tilewright.codelets.base import Operand
from tilewright.codelets.contract import ContractOuter
from tilewright.codelets.emit.llvm import Module
from tilewright.codelets.expression import Expression, Instruction
from tilewright.graph.fma import fma32
from tilewright.graph.ir import numpy_dtype

B, F = "bfloat16", "float32"
SHAPES = [
    (1, 1, 2),
    (5, 3, 2),
    (7, 17, 8),
    (16, 16, 16),
    (33, 47, 34),
    (9, 100, 256),
    (40, 22, 258),
    (17, 33, 520),
    (3, 18, 1100),
]
STEP = Instruction("add", (0, 1), F)
PLUS = Expression((F, F), (STEP, Instruction("mul", (2, 0), F)), (2, 3))
"""The sum and what lies beside it; and that times the sum."""


def sides(m, n, k):
    """Both operands along rows (columns) and along terms, dense and with gaps."""
    lefts = [(k, 1), (k + 6, 1), (1, m), (1, m + 3)]
    rights = [(n, 1), (n + 5, 1), (1, k), (1, k + 2)]
    for left in lefts:
        for right in rights:
            yield Operand(B, (m, k), left), Operand(B, (k, n), right)


@levels
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bits_in_any_layout(shape, features):
    m, n, _ = shape
    for lhs, rhs in sides(*shape):
        check(ContractOuter(lhs, rhs, dense(F, m, n), paired=True), features)
    check(ContractOuter(lhs, rhs, Operand(F, (m, n), (1, m)), paired=True), features)
    check(ContractOuter(lhs, rhs, dense(B, m, n), paired=True), features)


@levels
@pytest.mark.parametrize("shape", SHAPES[3:6], ids=str)
def test_what_follows_the_sums(shape, features):
    m, n, _ = shape
    for lhs, rhs in sides(*shape):
        out = dense(F, m, n)
        check(ContractOuter(lhs, rhs, out, PLUS, (out,), (out,), paired=True), features)


@levels
def test_the_odd_term_of_each_pair_comes_first(features):
    random = np.random.default_rng(0)
    x, w = (random.normal(size=n).astype(np.float32) for n in ((4, 300), (300, 20)))
    codelet = ContractOuter(dense(B, 4, 300), dense(B, 300, 20), dense(F, 4, 20), paired=True)
    x, w = (a.astype(numpy_dtype(B)) for a in (x, w))
    leaves = []
    for start, end in ((0, 256), (256, 300)):
        sums = np.zeros((4, 20), np.float32)
        for even in range(start, end, 2):
            for i in (even + 1, even):
                sums = fma32(x[:, i, None].astype(np.float32), w[i].astype(np.float32), sums)
        leaves.append(sums)
    (found,) = run(codelet, x, w, features=features)
    same_bits(found, leaves[0] + leaves[1])


def test_one_instruction_where_there_is_it():
    if "avx512bf16" not in HOST.names:
        pytest.skip("this host has no vdpbf16ps")
    module = Module(HOST)
    codelet = ContractOuter(dense(B, 30, 64), dense(B, 64, 40), dense(F, 30, 40), paired=True)
    codelet.emit(module, "product")
    assert "dpbf16ps" in module.text()
    assert "fma" not in module.text()
