"""Which functions go into their callers, and that a program of several has the same bits."""

import jax
import jax.numpy as jnp
import numpy as np

from tilewright.codegen import once_called, program
from tilewright.codegen.once_called import into_callers
from tilewright.codelets.emit.llvm import Module
from tilewright.dump import Dump
from tilewright.machine.machine import Features
from tilewright.runtime.executable import Executable
from tilewright.runtime.made import Made
from tilewright.stages import Stages
from tilewright.trace import trace

NOT_IMPROVED = "noinline nounwind optnone"


def module(calls: dict[str, list[str]], not_improved: tuple[str, ...] = ()) -> Module:
    """Functions that call others, those first that are called."""
    made = Module(Features(256, 16))
    for symbol, called in calls.items():
        given = [NOT_IMPROVED] if symbol in not_improved else []
        function = made.function(symbol, "void", ["ptr"], *given)
        for other in called:
            function.call("void", other, ("ptr", "%a0"))
        function.close()
    return made


def inlined(made: Module, *wanted: str) -> set[str]:
    into_callers(made, wanted or tuple(made.functions))
    return {symbol for symbol, function in made.functions.items() if function.inlined}


def test_what_is_called_from_one_place():
    calls = {"a": [], "b": [], "c": [], "twice": ["b", "b"], "run": ["a", "c", "twice"]}
    assert inlined(module({**calls, "other": ["c"]})) == {"a", "twice"}


def test_only_what_may():
    assert inlined(module({"a": [], "b": [], "run": ["a", "b"]}), "b", "run") == {"b"}


def test_what_is_not_improved_stays_and_keeps_its_own():
    calls = {"inner": [], "once": ["inner"], "loop": ["once"], "run": ["loop"]}
    assert inlined(module(calls, ("once", "run"))) == set()


def test_no_function_grows_long(monkeypatch):
    calls = {"a": [], "b": ["a"], "c": ["b"], "d": ["c"]}
    sizes = {symbol: len(f.body) for symbol, f in module(calls).functions.items()}
    monkeypatch.setattr(once_called, "LONGEST", sizes["a"] + sizes["b"])
    assert inlined(module(calls)) == {"a"}
    monkeypatch.setattr(once_called, "LONGEST", sizes["a"] + sizes["b"] + sizes["c"])
    assert inlined(module(calls)) == {"a", "b"}


def walk(x):
    """Loops and a branch around products: functions of a frame in each other."""

    def turn(i, x):
        y = jnp.sin(x @ x) / 30
        return jax.lax.cond(i % 2 == 0, lambda y: y.T @ y, lambda y: jnp.sort(y), y)

    return jax.lax.while_loop(lambda x: jnp.sum(x) < 1e3, lambda x: turn(3, x) + 1, x), (
        jax.lax.fori_loop(0, 5, turn, x)
    )


def test_a_program_has_the_same_bits(monkeypatch):
    x = np.random.RandomState(0).randn(40, 40).astype(np.float32)
    graph = trace(walk, x).graph
    within = Stages(graph, Dump("within"))
    results = Executable(Made(within.image()))(x)
    monkeypatch.setattr(program, "into_callers", lambda module, symbols: None)
    apart = Stages(graph, Dump("apart"))
    expected = Executable(Made(apart.image()))(x)
    kept = [
        {symbol for symbol, f in stages.emitted.module.functions.items() if not f.inlined}
        for stages in (within, apart)
    ]
    assert kept[0] < kept[1]
    for result, other in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, other)
