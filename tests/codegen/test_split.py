"""Splitting a module's text, and compiling the parts in several processes."""

import ctypes

import pytest

from tilewright.codegen import host, parallel
from tilewright.codegen.split import pieces, split

TEXT = """
declare float @llvm.fabs.f32(float)
@table = internal constant [2 x i64] [i64 5, i64 7]

define internal i64 @tiny(i64 %a0) alwaysinline nounwind {
entry:
  %v1 = mul i64 %a0, 10
  ret i64 %v1
}
define internal i64 @left(i64 %a0) noinline nounwind {
entry:
  %v1 = call i64 @tiny(i64 %a0)
  ret i64 %v1
}
define internal i64 @right(i64 %a0) noinline nounwind {
entry:
  %p = getelementptr i64, ptr @table, i64 %a0
  %v1 = load i64, ptr %p
  %v2 = call i64 @left(i64 %v1)
  ret i64 %v2
}
define i64 @run(i64 %a0) {
entry:
  %v1 = call i64 @left(i64 %a0)
  %v2 = call i64 @right(i64 %a0)
  %v3 = add i64 %v1, %v2
  ret i64 %v3
}
"""


def run(compiled: host.CompiledObject, argument: int) -> int:
    loaded = host.load(compiled, ("run",))
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(loaded["run"])(argument)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_parts_link_to_the_same_program(count):
    parts = split(TEXT, count)
    assert len(parts) == min(count, 3)
    target = host.host_target()
    compiled = host.CompiledObject(tuple(host.compile_part(part, target) for part in parts))
    assert run(compiled, 1) == 10 + 70


def test_every_function_is_in_one_part():
    parts = [pieces(part) for part in split(TEXT, 2)]
    names = [name for part in parts for name in part.functions if name != "tiny"]
    assert sorted(names) == ["left", "right", "run"]


def test_a_module_with_variables_stays_whole():
    text = TEXT.replace("internal constant", "internal global")
    assert split(text, 2) == [text]


def test_several_processes(monkeypatch):
    monkeypatch.setattr(parallel, "LEAST", 100)
    compiled = host.compile_text(TEXT)
    assert len(compiled.parts) > 1
    assert run(compiled, 0) == 50


def test_a_mistake_in_another_process_is_shown(monkeypatch):
    monkeypatch.setattr(parallel, "LEAST", 100)
    long = "\n".join(f"  %x{i} = add i64 {i}, 1" for i in range(50))
    bad = TEXT.replace("entry:\n  %v1 = mul", f"entry:\n{long}\n  %v1 = mul")
    bad = bad.replace("add i64 %v1, %v2", "fadd i64 %v1, %v2")
    with pytest.raises(host.CompileError, match="fadd"):
        host.compile_text(bad)
