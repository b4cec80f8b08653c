"""Bits that stand: results of forty programs, as they were when the law of sums was settled.

A digest changes when the law does (`graph/law.py`), or the formula of a function, never with a
machine, a rewrite or a codelet. Functions that go to the C library have the bits of that library.
Inputs are counted out, so that no generator's version matters. `python -m tests.graph.test_digests`
makes the table anew.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax import lax

import tilewright

TABLE = Path(__file__).with_name("digests.json")


Program = tuple[Callable, tuple]
"""A function that gives a dict of arrays, and its arguments."""


def numbers(*shape: int, seed: int = 1, dtype: Any = np.float32) -> np.ndarray:
    """Between -1 and 1, spread evenly; whole numbers for integers."""
    count = np.arange(1, 1 + int(np.prod(shape)), dtype=np.uint64) * np.uint64(seed * 2 + 1)
    words = (count * np.uint64(2654435761)) % np.uint64(1 << 32)
    values = words.astype(np.float64) / (1 << 31) - 1
    scale = 1000 if np.dtype(dtype).kind in "iu" else 1
    return (values * scale).astype(dtype).reshape(shape)


def matrices(dtype: Any) -> Program:
    a, b, c = (
        numbers(*s, seed=i, dtype=dtype) for i, s in enumerate([(7, 33), (33, 17), (20, 600)])
    )
    d = numbers(600, 40, seed=5, dtype=dtype)

    def function(a, b, c, d):
        return {
            "matrices": a @ b,
            "row of a matrix": c[:1] @ d,
            "several leaves": c @ d,
            "transposed": jnp.einsum("km,nk->nm", a.T, b.T),
            "vector": c @ d[:, 0],
            "vector of columns": d.T @ c[0],
            "two vectors": c[0] @ d[:, 1],
            "sum": c.sum(),
            "sum of columns": d.sum(0),
            "sum of rows": c.sum(1),
        }

    return function, (a, b, c, d)


def batches(a, b):
    return {
        "batch": a @ b,
        "mapped": jax.vmap(lambda x: x @ b[0])(a),
        "batch of vectors": jnp.einsum("bmk,bk->bm", a, b[:, :, 0]),
        "several axes": jnp.einsum("bmk,bkn->mn", a, b),
        "sum over outer axes": a.sum((0, 1)),
        "sum over split axes": a.sum((0, 2)),
        "product": jnp.prod(a * 0.5 + 1, axis=1),
        "outer": a[0, 0][:, None] * b[0, 0][None],
        "running": jnp.cumsum(a, 2),
        "concatenated": jnp.concatenate([a[0], a[1]], 1) @ jnp.concatenate([b[0], b[1]]),
    }


def chain(rows: int) -> Program:
    x, y, w, v = (
        numbers(rows, 6),
        numbers(rows, seed=3),
        numbers(6, 9, seed=4),
        numbers(9, 1, seed=6),
    )

    def loss(parameters, x, y):
        w, v = parameters
        return jnp.sum((y - (jnp.maximum(x @ w, 0) @ v)[:, 0]) ** 2)

    def function(parameters, x, y):
        value, (dw, dv) = jax.value_and_grad(loss)(parameters, x, y)
        return {"value": value, "weights": dw, "last weights": dv}

    return function, ((w, v), x, y)


def loops(w, h, xs):
    def step(carry, x):
        state, gradient = carry
        new = jnp.clip(state @ w.T + x, -1, 1)
        return (new, gradient + state.T @ new), new.sum(1)

    carry, sums = lax.scan(step, (h, jnp.zeros((40, 40))), xs)
    return {"state": carry[0], "gradient": carry[1], "sums": sums}


FUNCTIONS = {
    "cos": (jnp.cos, 40.0),
    "sin": (jnp.sin, 40.0),
    "exp": (jnp.exp, 90.0),
    "exp2": (jnp.exp2, 120.0),
    "expm1": (jnp.expm1, 20.0),
    "log": (lambda x: jnp.log(jnp.abs(x)), 1e6),
    "log1p": (lambda x: jnp.log1p(jnp.abs(x)), 100.0),
    "logistic": (jax.nn.sigmoid, 30.0),
    "tanh": (jnp.tanh, 6.0),
    "sinh": (jnp.sinh, 89.0),
    "cosh": (jnp.cosh, 89.0),
    "asinh": (jnp.arcsinh, 100.0),
    "acosh": (lambda x: jnp.arccosh(1 + jnp.abs(x)), 100.0),
    "atanh": (jnp.arctanh, 1.0),
    "erf": (jax.scipy.special.erf, 4.0),
    "erfc": (jax.scipy.special.erfc, 6.0),
    "erf_inv": (jax.scipy.special.erfinv, 1.0),
    "digamma": (jax.scipy.special.digamma, 20.0),
    "lgamma": (jax.scipy.special.gammaln, 20.0),
    "pow": (lambda x: jnp.abs(x) ** x, 8.0),
}
"""Functions of one number with a formula of ours, and up to which size they are asked."""
DOUBLE = ("exp", "expm1", "log", "logistic", "tanh", "erf_inv", "digamma", "sinh", "cosh")
"""Those that have one in float64, too."""


def functions(x):
    names = FUNCTIONS if x.dtype == jnp.float32 else DOUBLE
    return {name: FUNCTIONS[name][0](x * FUNCTIONS[name][1]) for name in names}


GROUPS = {
    "functions of float32": (functions, (numbers(5000),)),
    "functions of float64": (functions, (numbers(5000, dtype=np.float64),)),
    "float32": matrices(np.float32),
    "bfloat16": matrices(ml_dtypes.bfloat16),
    "float16": matrices(np.float16),
    "int32": matrices(np.int32),
    "batches": (batches, (numbers(3, 5, 20), numbers(3, 20, 9, seed=2))),
    "strips of 200 rows": chain(200),
    "strips of 3000 rows": chain(3000),
    "loops": (
        loops,
        (numbers(40, 40, seed=7) / 8, numbers(2, 40, seed=8), numbers(6, 2, 40, seed=9)),
    ),
}


def digests(group: str) -> dict[str, str]:
    function, arguments = GROUPS[group]
    with jax.enable_x64(group.endswith("float64")):
        results = tilewright.compile(function, *arguments)(*arguments)
    return {
        name: hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
        for name, array in results.items()
    }


@pytest.mark.parametrize("group", GROUPS)
def test_bits_stand(group):
    assert digests(group) == json.loads(TABLE.read_text())[group]


def test_there_are_forty():
    table = json.loads(TABLE.read_text())
    assert set(table) == set(GROUPS)
    assert sum(map(len, table.values())) >= 40


if __name__ == "__main__":
    found = {group: digests(group) for group in GROUPS}
    TABLE.write_text(json.dumps(found, indent=1) + "\n")
