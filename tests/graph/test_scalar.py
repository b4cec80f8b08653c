"""Each scalar meaning against XLA on the CPU: exact where arithmetic is exact, else in ULPs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tilewright.graph.floats import bits_of
from tilewright.graph.ir import numpy_dtype
from tilewright.graph.ops import BINARY, COMPARISONS, ELEMENTWISE, UNARY
from tilewright.graph.scalar import SCALAR


@pytest.fixture(autouse=True, scope="module")
def sixty_four_bits():
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


FLOAT_DTYPES = ["float32", "float64", "bfloat16", "float16"]
INT_DTYPES = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
LAX = {
    "not": "bitwise_not", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "popcount": "population_count",
}  # fmt: skip
EXACT_UNARY = "neg abs sign floor ceil round_even round_away sqrt is_finite".split()
EXACT_BINARY = "add sub mul div rem max min eq ne lt le gt ge nextafter".split()
FUNCTIONS = sorted(UNARY - set(EXACT_UNARY) - {"not", "popcount", "clz"})


def reference(op: str):
    if op == "round_even":
        return lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)
    if op == "round_away":
        return lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO)
    return getattr(lax, LAX.get(op, op))


def floats(dtype: str, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    plain = generator.normal(size=60) * 10.0 ** generator.integers(-6, 6, size=60)
    halves = np.arange(-8, 8) / 2.0
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, 3.0, 1e-30, 1e30]
    with np.errstate(all="ignore"):
        return np.concatenate([plain, halves, special]).astype(numpy_dtype(dtype))


def integers(dtype: str, seed: int) -> np.ndarray:
    bounds = np.iinfo(dtype)
    generator = np.random.default_rng(seed)
    wide = generator.integers(bounds.min, bounds.max, size=40, dtype=dtype, endpoint=True)
    small = generator.integers(0, 70, size=40).astype(dtype)
    special = np.array([bounds.min, bounds.max, 0, 1, bounds.max, 2], dtype)
    return np.concatenate([wide, small, special, (0 - special).astype(dtype)])


def pairs(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.meshgrid(array, array)
    return a.ravel(), b.ravel()


def same(ours: np.ndarray, theirs) -> None:
    theirs = np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    equal = bits_of(ours) == bits_of(theirs)
    if ours.dtype.kind in "fV":
        equal |= np.isnan(ours) & np.isnan(theirs)
    assert equal.all(), (ours[~equal][:5], theirs[~equal][:5])


def test_every_elementwise_op_has_a_meaning():
    assert set(SCALAR) == ELEMENTWISE


@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
@pytest.mark.parametrize("op", EXACT_UNARY)
def test_exact_unary_floats(op, dtype):
    x = floats(dtype, 0)
    theirs = np.asarray(jax.jit(reference(op))(x))
    same(SCALAR[op](x, dtype=theirs.dtype.name), theirs)


@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
@pytest.mark.parametrize("op", EXACT_BINARY)
def test_exact_binary_floats(op, dtype):
    if op == "nextafter" and dtype in ("bfloat16", "float16"):
        pytest.skip("JAX widens these")
    a, b = pairs(floats(dtype, 1)[::2])
    theirs = np.asarray(jax.jit(reference(op))(a, b))
    same(SCALAR[op](a, b, dtype=theirs.dtype.name), theirs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", FUNCTIONS)
def test_functions(op, dtype):
    x = floats(dtype, 2)
    x = x[~(np.abs(x) > 1e5)] if op in ("sin", "cos", "tan") else x
    x = x[x > -5] if op in ("lgamma", "digamma") else x
    x = x[x > 0] if op == "rsqrt" else x
    theirs = np.asarray(jax.jit(reference(op))(x))
    ours = SCALAR[op](x, dtype=dtype)
    scale = 2e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(ours, theirs, rtol=scale, atol=scale / 10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", ["pow", "atan2"])
def test_binary_functions(op, dtype):
    a, b = pairs(floats(dtype, 3)[::3])
    theirs = np.asarray(jax.jit(reference(op))(a, b))
    np.testing.assert_allclose(SCALAR[op](a, b, dtype=dtype), theirs, rtol=1e-4, atol=1e-30)


@pytest.mark.parametrize("dtype", INT_DTYPES)
@pytest.mark.parametrize("op", sorted(BINARY - {"atan2", "nextafter", "pow"}))
def test_binary_integers(op, dtype):
    a, b = pairs(integers(dtype, 0)[::2])
    theirs = np.asarray(jax.jit(reference(op))(a, b))
    same(SCALAR[op](a, b, dtype="bool" if op in COMPARISONS else dtype), theirs)


@pytest.mark.parametrize("dtype", INT_DTYPES)
@pytest.mark.parametrize("op", "neg abs sign not popcount clz".split())
def test_unary_integers(op, dtype):
    if op == "abs" and dtype.startswith("u"):
        pytest.skip("not in JAX")
    x = integers(dtype, 1)
    same(SCALAR[op](x, dtype=dtype), jax.jit(reference(op))(x))


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int64"])
def test_integer_power(dtype):
    a, b = pairs(np.array([0, 1, 2, 3, 7], dtype))
    same(SCALAR["pow"](a, b, dtype=dtype), np.power(a, b))


@pytest.mark.parametrize("target", [*FLOAT_DTYPES, *INT_DTYPES, "bool"])
@pytest.mark.parametrize("source", [*FLOAT_DTYPES, *INT_DTYPES, "bool"])
def test_convert(source, target):
    if source == "bool":
        x = np.array([True, False])
    else:
        x = floats(source, 4) if source in FLOAT_DTYPES else integers(source, 4)
    theirs = jax.jit(lambda v: lax.convert_element_type(v, numpy_dtype(target)))(x)
    same(SCALAR["convert"](x, dtype=target), theirs)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("exponent, mantissa", [(5, 10), (8, 7), (4, 3), (11, 52), (5, 2)])
def test_reduce_precision(dtype, exponent, mantissa):
    x = floats(dtype, 5)
    theirs = jax.jit(lambda v: lax.reduce_precision(v, exponent, mantissa))(x)
    same(SCALAR["reduce_precision"](x, dtype=dtype, exponent=exponent, mantissa=mantissa), theirs)


def test_denormals_are_zeros_to_arithmetic_but_move_freely():
    tiny = np.array([1e-40, -1e-40], np.float32)
    for op in ("add", "mul", "max", "min", "sub", "eq", "lt", "div", "nextafter"):
        theirs = np.asarray(jax.jit(reference(op))(tiny, tiny[::-1]))
        same(SCALAR[op](tiny, tiny[::-1].copy(), dtype=theirs.dtype.name), theirs)
    for op in ("neg", "abs", "sign", "floor", "ceil", "sqrt"):
        same(SCALAR[op](tiny, dtype="float32"), jax.jit(reference(op))(tiny))
    small = np.array([2e-38, 1.5e-38, -1.2e-38], np.float32)
    half = np.full(3, 0.5, np.float32)
    same(SCALAR["mul"](small, half, dtype="float32"), jax.jit(lax.mul)(small, half))


def test_select_clamps():
    which = np.array([-1, 0, 1, 2, 5], np.int32)
    cases = [np.full(5, i, np.float32) for i in range(3)]
    same(SCALAR["select"](which, *cases, dtype="float32"), jax.jit(lax.select_n)(which, *cases))


def test_bitcast():
    x = floats("float32", 6)
    same(
        SCALAR["bitcast"](x, dtype="int32"),
        jax.jit(lambda v: lax.bitcast_convert_type(v, jnp.int32))(x),
    )


def test_booleans():
    a, b = pairs(np.array([True, False]))
    for op in ("and", "or", "xor", "max", "min", "eq", "lt"):
        same(SCALAR[op](a, b, dtype="bool"), jax.jit(reference(op))(a, b))
    same(SCALAR["not"](a, dtype="bool"), jax.jit(lax.bitwise_not)(a))
