"""Registers of several machine registers: put side by side, and kept in step."""

import pytest

from tests.codelets.run import AVX2, HOST
from tilewright.codelets.emit.llvm import Module
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.scalar_math.pieces import polynomial


def text(features, width: int, kind: str = "float") -> str:
    """Of a module with one polynomial of three coefficients."""
    module = Module(features)
    row = f"<{width} x {kind}>"
    function = module.function("f", row, [row])
    result = polynomial(Register(function, kind, width, function.argument(0)), (1.0, 2.0, 3.0))
    function.close(f"{row} {result.name}")
    return module.text()


def test_four_registers_are_tied_where_there_are_sixteen():
    tied = text(AVX2, 32)
    assert tied.count('asm ""') == 1  # in a function of its own, which is called
    assert tied.count("call <32 x float> @tw_in_step_x32") == 2


@pytest.mark.parametrize("width", [8, 16])
def test_fewer_are_not(width):
    assert "asm" not in text(AVX2, width)


def test_double_is_not():
    assert "asm" not in text(AVX2, 16, "double")


@pytest.mark.skipif(HOST.registers < 32, reason="a host of few registers")
def test_none_is_where_there_are_many():
    assert "asm" not in text(HOST, 64)
