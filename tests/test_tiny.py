"""Every stage once, on a function small enough to follow: start reading here."""

import jax.numpy as jnp
import numpy as np

from tilewright.calibrate import FmaPeak
from tilewright.codegen.host import compile_text
from tilewright.codegen.program import emit
from tilewright.compiler import compile
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.graph.text import to_text
from tilewright.machine.host import host_machine
from tilewright.plan.lower import lower
from tilewright.plan.text import program_to_text
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace


def layer(x, w):
    return jnp.maximum(x @ w, 0).sum(0)


X = np.arange(12, dtype=np.float32).reshape(3, 4) - 5
W = np.eye(4, dtype=np.float32) * 2
EXPECTED = np.array([6, 8, 12, 16], np.float32)


def test_every_stage():
    traced = trace(layer, X, W)
    assert "dot" in to_text(traced.graph)
    graph = Stages(traced.graph, Dump("tiny")).graph
    np.testing.assert_array_equal(evaluate(graph, [X, W])[0], EXPECTED)

    program, literals = lower(graph, host_machine())
    assert "contract_outer_f32_3x4x4" in program_to_text(program)
    simulated = simulate(program, [*literals, X, W], 2)
    assert simulated.races == []
    np.testing.assert_array_equal(simulated.outputs[0], EXPECTED)

    module = emit(program, host_machine()).module
    assert "tilewright_run" in module.text()
    assert compile_text(module).parts

    executable = compile(layer, X, W)
    np.testing.assert_array_equal(executable(X, W), EXPECTED)
    assert "contract_outer" in executable.program
    assert "fma" in executable.assembly or "fmadd" in executable.assembly
    assert executable.report().rows
    assert executable.profile(X, W).rows


def test_the_peak_is_a_number_of_operations_a_second():
    peak = FmaPeak(1000)
    assert 1e9 < max(peak.flops() for _ in range(20)) < 1e12
