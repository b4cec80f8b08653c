"""Panels summed some k at a time: when, and that no bit changes."""

from dataclasses import replace

import pytest

from tests.codelets.cases import check, dense
from tests.codelets.run import LESSER, levels
from tilewright.codelets.base import Operand
from tilewright.codelets.contract import ContractOuter, chunks
from tilewright.codelets.emit.llvm import Module
from tilewright.codelets.expression import Expression, Instruction

BIAS = Expression(("float32", "float32"), (Instruction("add", (0, 1), "float32"),), (2,))


def over_rows(m, n, k, dtype="float32"):
    """Both operands with the contracted dimension first."""
    return ContractOuter(Operand(dtype, (m, k), (1, m)), dense(dtype, k, n), dense("float32", m, n))


def lengths(codelet, features, monkeypatch):
    """How many k the panels' tiles take at a time."""
    taken = []
    chunk = chunks.chunk
    with monkeypatch.context() as patch:
        patch.setattr(chunks, "chunk", lambda *args: taken.append(chunk(*args)) or taken[-1])
        codelet.emit(Module(features), "product")
    return taken


def test_far_panels_are_cut_and_near_ones_are_not(monkeypatch):
    assert max(lengths(over_rows(22, 40, 256), LESSER, monkeypatch)) < 256
    assert lengths(over_rows(22, 40, 144), LESSER, monkeypatch) == [144]
    assert lengths(over_rows(22, 40, 300), LESSER, monkeypatch) == [300], "several leaves"
    assert lengths(over_rows(6, 40, 256), LESSER, monkeypatch) == [256], "few rows"


@levels
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "shape", [(22, 40, 256), (40, 40, 250), (9, 100, 255), (23, 37, 241), (64, 64, 256)]
)
def test_bits(shape, dtype, features, monkeypatch):
    monkeypatch.setattr(chunks, "TALLEST", 32)
    monkeypatch.setattr(chunks, "TILES", 1)
    m, n, k = shape
    codelet = over_rows(m, n, k, dtype)
    assert min(lengths(codelet, features, monkeypatch)) < k
    check(codelet, features)
    check(replace(codelet, epilogue=BIAS, beside=(Operand("float32", (m, n), (0, 1)),)), features)
