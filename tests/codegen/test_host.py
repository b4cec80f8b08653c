"""LLVM text to machine code, for this host and for lesser ones."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tilewright.codegen import host
from tilewright.codegen.host import CompiledObject, CompileError
from tilewright.codegen.link import load
from tilewright.machine.host import host_machine

ADD = """
define i64 @add(i64 %a, i64 %b) {
entry:
  %c = add i64 %a, %b
  ret i64 %c
}
"""
BINARY = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)


def test_compile_and_load():
    loaded = load(host.compile_text(ADD), ("add",))
    assert BINARY(loaded["add"])(40, 2) == 42


def test_many_programs_with_one_symbol():
    texts = [ADD.replace("add i64 %a, %b", f"add i64 %a, {i}") for i in range(20)]
    loaded = [load(host.compile_text(text), ("add",)) for text in texts]
    assert [BINARY(each["add"])(100, 0) for each in loaded] == list(range(100, 120))


def test_object_bytes_round_trip():
    for parts in ((), (b"",), (b"abc", b"", b"de")):
        assert CompiledObject.from_bytes(CompiledObject(parts).to_bytes()).parts == parts


def test_a_mistake_is_shown_with_its_line():
    with pytest.raises(CompileError) as caught:
        host.compile_text(ADD.replace("add i64 %a, %b", "fadd i64 %a, %b"))
    message = str(caught.value)
    assert "in define i64 @add" in message
    assert ">      4 |   %c = fadd i64 %a, %b" in message


def test_a_module_that_parses_but_does_not_verify():
    text = "define i64 @f(i1 %a) {\nentry:\n  br label %x\ny:\n  ret i64 %b\nx:\n"
    text += "  %b = add i64 1, 2\n  br i1 %a, label %x, label %z\nz:\n  ret i64 0\n}\n"
    text = text.replace("br label %x\n", "br i1 %a, label %x, label %y\n", 1)
    with pytest.raises(CompileError, match="dominate"):
        host.compile_text(text)


def test_remainders_and_long_copies_link():
    text = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define float @f(float %x, ptr %a, ptr %b) {
  call void @llvm.memcpy.p0.p0.i64(ptr %a, ptr %b, i64 1000, i1 false)
  %y = frem float %x, 3.0
  ret float %y
}
"""
    loaded = load(host.compile_text(text), ("f",))
    call = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_float, ctypes.c_char_p, ctypes.c_char_p)
    target = ctypes.create_string_buffer(1000)
    assert call(loaded["f"])(7.0, ctypes.cast(target, ctypes.c_char_p), b"x" * 1000) == 1.0
    assert target.raw == b"x" * 1000


def test_the_machine_and_the_target_agree():
    """What /proc says and what LLVM finds are the same extensions, at this level."""
    on = {word[1:] for word in host.host_target().features.split(",") if word[0] == "+"}
    features = host_machine().tile.features
    assert set(features.names) <= on
    assert ("avx512f" in on) == (features.vector_bits == 512)
    assert ("avx2" in on) == (features.vector_bits >= 256)


def test_a_forced_feature_level_emits_no_avx512():
    script = """
from tilewright.codegen import host
from tilewright.machine.host import host_machine
text = '''
define void @f(ptr %p) {
  %x = load <16 x float>, ptr %p, align 4
  %y = fmul <16 x float> %x, %x
  store <16 x float> %y, ptr %p, align 4
  ret void
}
'''
print(host_machine().tile.features.vector_bits)
assert "zmm" not in host.assembly(text)
assert "ymm" in host.assembly(text)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"TILEWRIGHT_FEATURES": "avx2"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    if "x86_64" in os.uname().machine:
        assert (done.returncode, done.stdout) == (0, "256\n"), done.stderr


def test_no_contraction_across_operations():
    text = """
define float @f(float %a, float %b, float %c) {
  %d = fmul float %a, %b
  %e = fadd float %d, %c
  ret float %e
}
"""
    assert "fmadd" not in host.assembly(text)
