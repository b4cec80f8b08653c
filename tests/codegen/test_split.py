"""Splitting a module, and compiling the parts in several threads."""

import ctypes
import re
import time
from concurrent.futures import ThreadPoolExecutor

import jax.numpy as jnp
import llvmlite.binding as llvm
import numpy as np
import pytest

import tilewright
from tilewright.codegen import host, parallel
from tilewright.codegen.link import load
from tilewright.codegen.split import groups, split
from tilewright.codelets.emit.llvm import Function, Module
from tilewright.machine.machine import Features


def module(last: str = "add") -> Module:
    """run(x) = left(x) + right(x), left(x) = tiny(x) = 2 five(x), right(x) = left(x + 6)."""
    made = Module(Features(256, 16))
    made.declare("llvm.fabs.f32", "float", "float")
    five = _function(made, "five", "alwaysinline nounwind")
    five.close(f"i64 {five.let('mul i64 %a0, 5')}")
    tiny = _function(made, "tiny", "alwaysinline nounwind")
    half = tiny.call("i64", "five", ("i64", "%a0"))
    tiny.close(f"i64 {tiny.let(f'mul i64 {half}, 2')}")
    left = _function(made, "left")
    left.close(f"i64 {left.call('i64', 'tiny', ('i64', '%a0'))}")
    right = _function(made, "right")
    later = right.let("add i64 %a0, 6")
    right.close(f"i64 {right.call('i64', 'left', ('i64', later))}")
    run = _function(made, "run")
    run.exported = True
    parts = [run.call("i64", symbol, ("i64", "%a0")) for symbol in ("left", "right")]
    run.close(f"i64 {run.let(f'{last} i64 {parts[0]}, {parts[1]}')}")
    return made


def _function(made: Module, symbol: str, attributes: str = "noinline nounwind") -> Function:
    return made.function(symbol, "i64", ["i64"], attributes)


def run(compiled: host.CompiledObject, argument: int) -> int:
    loaded = load(compiled, ("run",))
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(loaded["run"])(argument)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_parts_link_to_the_same_program(count):
    parts = split(module(), count)
    assert len(parts) == min(count, 3)
    target = host.host_target()
    compiled = host.CompiledObject(tuple(host.compile_part(part, target) for part in parts))
    assert run(compiled, 1) == 10 + 70


def test_every_function_is_in_one_part():
    names = [function.symbol for group in groups(module(), 2) for function in group]
    assert sorted(names) == ["left", "right", "run"]


def test_several_threads(monkeypatch):
    monkeypatch.setattr(parallel, "LEAST", 50)
    compiled = host.compile_text(module())
    assert len(compiled.parts) > 1
    assert run(compiled, 0) == 60


def test_a_mistake_in_another_thread_is_shown(monkeypatch):
    monkeypatch.setattr(parallel, "LEAST", 50)
    with pytest.raises(host.CompileError, match="fadd"):
        host.compile_text(module("fadd"))


def long(name: str, terms: int = 400) -> str:
    """A function whose machine code takes LLVM some tens of milliseconds."""
    lines = [
        f"%p{i} = getelementptr float, ptr %x, i64 {7 * i}\n"
        f"%l{i} = load volatile float, ptr %p{i}\n"
        f"%v{i} = fdiv float %l{i}, {f'%v{i - 1}' if i else '3.0'}"
        for i in range(terms)
    ]
    body = "\n".join(lines)
    return f"define float @{name}(ptr %x) {{\n{body}\nret float %v{terms - 1}\n}}"


def test_other_threads_may_use_llvm_meanwhile():
    """Of the time that a part takes, little is spent under the lock of all llvmlite's calls."""
    since, held = [], []

    def taken() -> None:
        since.append(time.perf_counter())

    def left() -> None:
        held.append(time.perf_counter() - since.pop())

    target = host.host_target()
    host.compile_part(long("warm", 1), target)
    llvm.ffi.register_lock_callback(taken, left)
    try:
        begin = time.perf_counter()
        host.compile_part(long("f"), target)
        whole = time.perf_counter() - begin
    finally:
        llvm.ffi.unregister_lock_callback(taken, left)
    assert held
    assert sum(held) < whole / 2


def test_threads_compile_the_same_bytes_at_once():
    texts = [long(f"f{i}", 50 + i) for i in range(6)]
    target = host.host_target()
    alone = [host.compile_part(text, target) for text in texts]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda text: host.compile_part(text, target), texts))
    assert together == alone


def test_a_thread_has_a_code_generator_of_its_own():
    """LLVM's serves one thread at a time."""
    target = host.host_target()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(host.target_machine, target).result()
    assert other is not host.target_machine(target)
    assert host.target_machine(target) is host.target_machine(target)


def everything(x, keys):
    """Functions of all kinds: of one variable, by lanes, of integers, sorts, moves, products."""
    order = jnp.argsort(x[0])
    pairs = jnp.lexsort((keys, x[1]))
    powers = keys ** jnp.abs(keys % 5)
    turned = jnp.tanh(x.T) @ x
    return jnp.sin(x), order, pairs, powers, turned, jnp.sort(x, 0), jnp.linalg.cholesky(turned)


def test_functions_say_whom_they_call():
    """What stands in the text and what stands in the data are the same."""
    x = np.arange(1200, dtype=np.float32).reshape(30, 40) / 1000
    made = tilewright.compile(everything, x, np.arange(40)).compiled.stages.emitted.module
    called = {symbol for function in made.functions.values() for symbol in function.calls}
    assert len(called & made.functions.keys()) > 20
    for function in made.functions.values():
        named = set(re.findall(r"@([\w.$-]+)", function.body)) & made.functions.keys()
        assert named == function.calls & made.functions.keys(), function.symbol
