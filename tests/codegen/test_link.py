"""Object files in memory: what links, what LLVM has to link, and what does not."""

import ctypes
import gc
import math
import platform
from pathlib import Path

import numpy as np
import pytest

from tilewright.codegen import elf, link
from tilewright.codegen.elf import ForeignObjectError, Linked, MissingSymbolError
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
def test_damaged_object_files_are_foreign_or_link():
    """Cut off anywhere, or with bytes changed: never another exception."""
    (part,) = compile_text(CALLER).parts
    random = np.random.default_rng(0)
    damaged = [part[:size] for size in range(0, len(part), 7)]
    for _ in range(400):
        content = np.frombuffer(part, np.uint8).copy()
        content[random.integers(len(part), size=3)] = random.integers(256, size=3)
        damaged.append(content.tobytes())
    foreign = 0
    for content in damaged:
        try:
            Linked([content]).place(1 << 20, {"scaled": 1, "exp": 2})
        except ForeignObjectError:
            foreign += 1
        except MissingSymbolError:
            pass
    assert len(damaged) > foreign > len(part) // 7 - 5


def changed(part: bytes, symbol: str, **fields: int) -> bytes:
    """An object file with other fields in its entry for a symbol."""
    (link,) = (s[6] for s in elf._sections(part) if s[1] == elf._SYMBOLS)
    (table,) = (s[4:6] for s in elf._sections(part) if s[1] == elf._SYMBOLS)
    content = bytearray(part)
    entries = np.frombuffer(content, elf._SYMBOL, table[1] // elf._SYMBOL.itemsize, table[0])
    names = elf._sections(part)[link][4]
    (entry,) = (e for e in entries if part[names + e["name"] :].startswith(symbol.encode() + b"\0"))
    for name, value in fields.items():
        entry[name] = value
    return bytes(content)


@X86
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"section": 0xFFF1}, "a symbol in section 65521"),  # a number, not a place
        ({"section": 0xFFF2}, "a symbol in section 65522"),  # memory that nobody has laid out
        ({"info": 0x16}, "a symbol of type 6"),  # a variable of each thread's own
        ({"info": 0x1A}, "a symbol of type 10"),  # a function that chooses one
    ],
)
def test_symbols_that_are_no_addresses_are_foreign(fields, words):
    (part,) = compile_text(CALLER).parts
    with pytest.raises(ForeignObjectError, match=words):
        Linked([changed(part, "exp", **fields)])


@X86
def test_strong_definitions_are_one_and_weak_ones_give_way():
    weak, strong = ("define weak", "define")
    parts = {
        kind: [
            compile_text(f"{kind} double @one() {{ ret double {x}.0 }}").parts[0] for x in (1, 2)
        ]
        for kind in (weak, strong)
    }
    for order in ([*parts[weak], parts[strong][0]], [parts[strong][0], *parts[weak]]):
        loaded = load(CompiledObject(tuple(order)), ("one",))
        assert ctypes.CFUNCTYPE(ctypes.c_double)(loaded["one"])() == 1.0
    with pytest.raises(ForeignObjectError, match="one is defined twice"):
        Linked(parts[strong])
    with pytest.raises(LinkError, match="do not link"):
        load(CompiledObject(tuple(parts[strong])), ("one",))


@X86
@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("add", 1 << 40, "a distance of more than 32 bits"),
        ("at", 1 << 20, "not a whole object file"),
        ("symbol", 99, "not a whole object file"),
        ("kind", 9, "relocations of kinds"),
    ],
)
def test_relocations_that_lead_nowhere_are_foreign(field, value, words):
    content = bytearray(compile_text(TEXT).parts[0])
    for _, kind, _, _, start, size, *_ in elf._sections(bytes(content)):
        if kind == elf._WITH_ADDENDS:
            count = size // elf._RELOCATION.itemsize
            np.frombuffer(content, elf._RELOCATION, count, start)[field] = value
    with pytest.raises(ForeignObjectError, match=words):
        Linked([bytes(content)]).place(0, {"exp": 1})


@X86
def test_what_is_wanted_and_not_there_is_named():
    with pytest.raises(LinkError, match=r"do not link: nobody defines squared\."):
        load(compile_text(TEXT), ("scaled", "squared"))


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
