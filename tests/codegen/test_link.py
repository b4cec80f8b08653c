"""Object files in memory: what links, what LLVM has to link, and what does not."""

import ctypes
import gc
import math
import platform
from pathlib import Path

import pytest

from tilewright.codegen import link
from tilewright.codegen.elf import ForeignObjectError, Linked
from tilewright.codegen.host import compile_text
from tilewright.codegen.link import LinkError, load
from tilewright.image import CompiledObject

X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="our linker knows x86-64")
UNARY = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
TEXT = """
declare double @exp(double)
define double @scaled(double %x) {
  %y = call double @exp(double %x)
  %z = fmul double %y, 0x400921FB54442D18
  ret double %z
}
"""
CALLER = """
declare double @scaled(double)
declare double @exp(double)
define double @twice(double %x) {
  %y = call double @scaled(double %x)
  %z = call double @exp(double %y)
  ret double %z
}
"""
VARIABLE = """
@counter = global i64 40
define i64 @count() {
  %x = load i64, ptr @counter
  %y = add i64 %x, 1
  store i64 %y, ptr @counter
  ret i64 %y
}
"""


def value(x: float) -> float:
    loaded = load(compile_text(TEXT), ("scaled",))
    return UNARY(loaded["scaled"])(x)


@X86
def test_constants_functions_and_outside_symbols():
    assert Linked(compile_text(TEXT).parts).outside == ["exp"]
    assert value(0.5) == math.exp(0.5) * math.pi
    both = CompiledObject((*compile_text(CALLER).parts, *compile_text(TEXT).parts))
    assert Linked(both.parts).outside == ["exp"]
    loaded = load(both, ("twice", "scaled"))
    assert UNARY(loaded["twice"])(-1.0) == math.exp(math.exp(-1.0) * math.pi)


@X86
def test_what_is_not_ours_is_llvms():
    """Variables need memory that is written to; LLVM's linker has it."""
    compiled = compile_text(VARIABLE)
    with pytest.raises(ForeignObjectError):
        Linked(compiled.parts).place(0, {})
    loaded = load(compiled, ("count",))
    count = ctypes.CFUNCTYPE(ctypes.c_int64)(loaded["count"])
    assert [count(), count()] == [41, 42]


@pytest.mark.parametrize("part", [b"", b"\x7fELF", b"MZ" + bytes(200), bytes(64)])
def test_what_is_no_object_file(part):
    with pytest.raises(ForeignObjectError):
        Linked([part])


@X86
def test_what_is_listed_but_not_called_is_not_needed():
    """LLVM lists the library's square root beside its own instruction for one."""
    text = """
declare double @llvm.sqrt.f64(double)
define double @root(double %x) {
  %y = call double @llvm.sqrt.f64(double %x)
  ret double %y
}
"""
    compiled = compile_text(text)
    assert Linked(compiled.parts).outside == []
    loaded = load(compiled, ("root",))
    assert UNARY(loaded["root"])(2.0) == math.sqrt(2.0)


@X86
def test_an_unknown_symbol_is_named():
    with pytest.raises(LinkError, match=r"do not link: nobody defines scaled\."):
        load(compile_text(CALLER), ("twice",))


@X86
def test_memory_is_given_back(monkeypatch):
    gc.collect()
    library, freed = link._library(), []
    real = library.munmap
    monkeypatch.setattr(library, "munmap", lambda *pages: (freed.append(pages), real(*pages)))
    assert value(0.0) > 3
    gc.collect()
    assert len(freed) == 1


def test_pages_are_never_written_and_run_at_once():
    loaded = load(compile_text(TEXT), ("scaled",))
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, permissions, *_ = line.split()
        first, last = (int(end, 16) for end in span.split("-"))
        if first <= loaded["scaled"] < last:
            assert permissions == "r-xp"
            return
    raise AssertionError("not mapped")
