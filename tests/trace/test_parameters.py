"""Every row accounts for every parameter of its primitive: it reads it, or says that it does not.

So a parameter that a newer JAX adds is an error and not a silently different answer.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.trace.comparing import agree, operations
from tests.trace.examples import equations
from tilewright.errors import UnsupportedError
from tilewright.trace import trace
from tilewright.trace.rules import RULES
from tilewright.trace.rules.across import _ALGORITHMS
from tilewright.trace.rules.ignored import IGNORED
from tilewright.trace.scope import Scope
from tilewright.trace.session import Session
from tilewright.trace.types import type_of

WITHOUT_EXAMPLE = set(
    # of other devices and layouts, which are one here
    "layout_constraint pvary reshard sharding_constraint "
    # left out, or refused with a reason of their own
    "debug_callback debug_print io_callback pure_callback rng_uniform "
    # no public function binds them
    "call closed_call empty empty2 eq_to le_to lt_to stage tie zeros_like".split()
)
ROWS = sorted(set(RULES) - WITHOUT_EXAMPLE)
X = np.arange(6, dtype=np.float32).reshape(2, 3)


def run(equation):
    """Only this equation, on inputs of its own."""
    scope = Scope(Session(RULES, IGNORED), [type_of(atom.aval) for atom in equation.invars])
    return scope.apply(equation, scope.inputs)


def test_every_row_has_an_example():
    assert set(ROWS) == set(equations())


@pytest.mark.parametrize("name", ROWS)
def test_a_row_accounts_for_all_parameters(name):
    for equation in equations()[name]:
        run(equation)
        with pytest.raises(UnsupportedError, match=rf"{name} of .*with planted = 'meaning'"):
            run(equation.replace(params={**equation.params, "planted": "meaning"}))


@pytest.mark.parametrize("name", sorted(set(IGNORED) - WITHOUT_EXAMPLE))
def test_what_is_said_to_be_ignored_exists_and_is_not_read(name):
    examples = equations()[name]
    assert {parameter for equation in examples for parameter in equation.params} >= IGNORED[name]
    for equation in examples:
        unknown = dict.fromkeys(IGNORED[name] & set(equation.params), object())
        run(equation.replace(params={**equation.params, **unknown}))


def test_a_row_that_gives_another_type_is_an_error():
    (equation,), (comparison,) = equations()["add"], equations()["eq"]
    with pytest.raises(UnsupportedError, match=r"add of .*with a result of bool"):
        run(equation.replace(outvars=comparison.outvars))


def test_products_of_another_type():
    n = np.array([100, -100, 3], np.int8)
    agree(lambda n: lax.mul(n, n, out_dtype=jnp.int32), n)


@pytest.mark.parametrize("name", ("DEFAULT", "F32_F32_F32", "BF16_BF16_F32", "F16_F16_F16"))
def test_algorithms_of_products(name):
    algorithm = lax.DotAlgorithmPreset[name]
    agree(lambda a: lax.dot(a, a.T, precision=algorithm), X, epsilons=8)


@pytest.mark.parametrize("name", _ALGORITHMS)
def test_an_algorithm_says_what_is_multiplied_and_summed_in(name):
    """`BF16_BF16_F32`: the operands, then the sum; those that emulate float32 are float32."""
    if name == "DEFAULT" or "TF32" in name or "_X" in name:
        return
    dtypes = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}
    left, right, sums = (dtypes[word] for word in name.split("_"))
    with jax.enable_x64("F64" in name):
        algorithm = lax.DotAlgorithmPreset[name]
        x = X.astype("float64" if "F64" in name else "float32")
        graph = trace(lambda a: lax.dot(a, a.T, precision=algorithm), x).graph
    (product,) = [node for node in graph.nodes if node.op == "dot"]
    assert [v.dtype for v in product.inputs] == [left, right]
    assert product.output.dtype == sums


def test_an_algorithm_that_we_have_not_is_named():
    algorithm = lax.DotAlgorithmPreset.ANY_F8_ANY_F8_F32
    with pytest.raises(UnsupportedError, match=r"dot_general of .*ANY_F8_ANY_F8_F32"):
        trace(lambda a: lax.dot(a, a.T, precision=algorithm), X)


def test_the_default_precision_is_jax_s():
    for precision in ("default", "highest", "fastest"):
        agree(lambda a, p=precision: jnp.dot(a, a.T, precision=p), X / 7, epsilons=8)
    with jax.default_matmul_precision("bfloat16"):
        graph = trace(lambda a: a @ a.T, X).graph
    assert "convert" in operations(graph)


def test_a_mode_of_indexing_that_we_have_not_is_named():
    mode = lax.GatherScatterMode.ONE_HOT
    with pytest.raises(UnsupportedError, match=r"gather of .*with mode ONE_HOT"):
        trace(lambda x, i: x.at[i].get(mode=mode), X, np.int32(1))
