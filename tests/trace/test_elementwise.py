"""Every elementwise primitive gives what JAX gives, special values included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.trace.comparing import agree, ways

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.5, 1e10, -1e10, np.inf, -np.inf, np.nan]
FLOATS = ("float32", "bfloat16", "float16")
INTEGERS = ("int8", "int16", "int32", "uint8", "uint16", "uint32")

EXACT = (lax.neg, lax.sign, lax.floor, lax.ceil, lax.abs, lax.sqrt, lax.is_finite, lax.square)
ROUNDED = (
    "rsqrt cbrt exp exp2 expm1 log log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh "
    "atanh logistic erf erfc erf_inv"
).split()
SHIFTS = (lax.shift_left, lax.shift_right_logical, lax.shift_right_arithmetic)
PAIRS = (lax.add, lax.sub, lax.mul, lax.div, lax.max, lax.min, lax.eq, lax.ne, lax.lt, lax.ge)


@pytest.mark.parametrize("dtype", FLOATS)
def test_exact_functions_of_one_float(dtype):
    agree(lambda x: [function(x) for function in EXACT], jnp.asarray(SPECIAL, dtype))


@pytest.mark.parametrize("name", ROUNDED)
def test_rounded_functions_of_one_float(name):
    values = [x for x in SPECIAL if abs(x) < 1e9 or not np.isfinite(x)]
    agree(getattr(lax, name), jnp.asarray(values, jnp.float32), epsilons=16, absolute=1e-6)


@pytest.mark.parametrize("name", ("lgamma", "digamma"))
def test_gamma_functions(name):
    values = jnp.asarray([0.1, 0.5, 1.5, 2.5, 10.0, 100.0, -0.5, -3.7], jnp.float32)
    agree(getattr(lax, name), values, epsilons=64, absolute=1e-5)


@pytest.mark.parametrize("dtype", FLOATS)
def test_functions_of_two_floats(dtype):
    left, right = (jnp.asarray(x, dtype) for x in np.meshgrid(SPECIAL, SPECIAL))
    agree(lambda x, y: [function(x, y) for function in PAIRS], left, right)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_functions_of_two_integers(dtype):
    limits = np.iinfo(dtype)
    values = np.array([limits.min, limits.max, 0, 1, 2, 7, limits.max - 1], dtype)
    if limits.min < 0:
        values = np.append(values, np.array([-1, -7], dtype))
    left, right = np.meshgrid(values, values)
    agree(lambda x, y: [function(x, y) for function in (*PAIRS, lax.rem)], left, right)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_shifts(dtype):
    bits = np.iinfo(dtype).bits
    values = np.array([1, 5, np.iinfo(dtype).max], dtype)[:, None] * np.ones((1, bits + 2), dtype)
    distance = np.broadcast_to(np.arange(bits + 2).astype(dtype), values.shape)
    agree(lambda x, n: [function(x, n) for function in SHIFTS], values, distance)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_bits(dtype):
    values = np.array([0, 1, 2, 77, np.iinfo(dtype).max, np.iinfo(dtype).min], dtype)
    agree(lambda x: (lax.population_count(x), lax.clz(x), ~x, x & 3, x | 4, x ^ 5), values)


def test_bools():
    a, b = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)
    agree(lambda a, b: (a & b, a | b, a ^ b, ~a, a == b, a != b), a, b)
    agree(lambda a, b: (a < b, a <= b, a > b, lax.max(a, b), lax.min(a, b)), a, b)


@pytest.mark.parametrize("source", (*FLOATS, "int32", "uint8", "bool"))
def test_conversions(source):
    values = jnp.asarray([0, 1, 2, 100, 127], source)
    agree(lambda x: [x.astype(target) for target in (*FLOATS, *INTEGERS, "bool")], values)


def test_floats_saturate():
    x = jnp.asarray(SPECIAL, jnp.float32)
    agree(lambda x: [lax.convert_element_type(x, target) for target in INTEGERS], x)


def test_integer_powers():
    powers = (-3, -1, 0, 1, 2, 3, 4, 7, 11)
    x = jnp.asarray(SPECIAL, jnp.float32)
    agree(lambda x: [lax.integer_pow(x, power) for power in powers], x)


def test_powers():
    x = jnp.asarray([0.0, 0.5, 2.0, 3.0, np.inf, -2.0], jnp.float32)
    agree(lambda x: (x**2.5, x ** jnp.int32(3), x**-0.5), x, epsilons=4)
    agree(lambda n: jnp.power(n, 3), jnp.arange(-4, 5))


@pytest.mark.parametrize("method", (0, 1))
def test_rounding(method):
    x = jnp.asarray([0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997, 1e9, np.nan], jnp.float32)
    agree(lambda x: lax.round(x, lax.RoundingMethod(method)), x)


def test_nextafter_and_atan2():
    x = jnp.asarray(SPECIAL, jnp.float32)
    agree(lambda x: lax.nextafter(x, jnp.zeros_like(x)), x)
    left, right = np.meshgrid(np.asarray(SPECIAL, np.float32), np.asarray(SPECIAL, np.float32))
    agree(lax.atan2, left, right, epsilons=4)


def test_clamp_and_select():
    x = jnp.asarray(SPECIAL, jnp.float32)
    agree(lambda x: jnp.clip(x, -1.0, 2.0), x)
    agree(lambda x: lax.clamp(x - 1, x, x + 1), x)
    agree(lambda x: jnp.where(x > 0, x, -x), x)
    agree(lambda p, x: lax.select(p, x, -x), True, x)
    agree(lambda i: lax.select_n(i, i * 10, i * 20, i * 30), jnp.array([0, 1, 2], jnp.int32))


def test_a_clamp_whose_bounds_cross_ends_at_the_upper_one():
    x = np.linspace(-3, 3, 13, dtype=np.float32)
    agree(lambda x: (lax.clamp(2.0, x, -1.0), jnp.clip(x, 2.0, -1.0)), x)


@pytest.mark.parametrize("dtype", [f"{sign}int{n}" for n in (8, 16, 32, 64) for sign in ("", "u")])
def test_upper_halves_of_products(dtype):
    bounds = np.iinfo(dtype)
    ends = [bounds.min, bounds.min + 1, bounds.max // 3, bounds.max - 1, bounds.max]
    left, right = np.meshgrid(*[np.array([*ends, 1, 2], dtype)] * 2)
    wide = left.astype(object) * right.astype(object) // 2**bounds.bits
    with jax.enable_x64(bounds.bits == 64):
        all_found = ways(lax.mulhi, left, right)
    for found in all_found:
        np.testing.assert_array_equal(found[0], wide.astype(dtype))


def test_implicit_broadcasting():
    x = jnp.arange(6.0).reshape(2, 3)
    agree(lambda x: lax.mul(x, 2.0) + x[:, :1] * x[:1], x)


@pytest.mark.parametrize(
    ("source", "target", "shape"),
    [
        ("float32", "int32", (3, 2)),
        ("float32", "uint16", (3, 2)),
        ("uint8", "float32", (3, 4)),
        ("uint16", "bfloat16", (4,)),
        ("int16", "int32", (5, 2)),
    ],
)
def test_bitcasts(source, target, shape):
    values = (np.arange(np.prod(shape)) * 37 % 251).reshape(shape).astype(source)
    agree(lambda x: lax.bitcast_convert_type(x, jnp.dtype(target)), values)


def test_reduce_precision():
    x = jnp.asarray([1.0001, 3.14159, 1e-3, 65504.0, 1e30], jnp.float32)
    agree(lambda x: lax.reduce_precision(x, 8, 7), x)
    agree(lambda x: lax.reduce_precision(x, 5, 10), x)


def test_sixty_four_bits():
    with jax.enable_x64(True):
        agree(
            lambda x: (x * 3, x.astype(jnp.int64), lax.rsqrt(x)), np.array([1.5, 1e15]), epsilons=2
        )
        agree(lambda x: (x * x, x >> 3, x.astype(jnp.float64)), np.array([2**40, -5]))


def test_passing_through():
    x = jnp.arange(3.0)
    agree(lambda x: lax.optimization_barrier((x, x + 1)), x)
    agree(lambda x: lax.stop_gradient(x) + jax.checkpoint(jnp.square)(x), x)
    agree(lambda x: (jnp.copy(x), jax.device_put(x)), x)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, jnp.bfloat16])
@pytest.mark.parametrize("divisor", [100.0, 3.0, 0.1, 2.0, np.inf])
def test_division_by_a_number_has_the_bits_of_jit(dtype, divisor):
    """Which takes the product with a reciprocal, but for bfloat16."""
    x = np.random.default_rng(0).normal(size=1000).astype(dtype)

    def divided(x):
        return x / divisor

    found, wanted = tilewright.compile(divided, x)(x), jax.jit(divided)(x)
    assert np.asarray(found).tobytes() == np.asarray(wanted).tobytes()


def test_a_reciprocal_that_would_vanish_is_not_taken():
    x = np.array([3e38, 1e38], np.float32)
    found = tilewright.compile(lambda x: x / 2e38, x)(x)
    np.testing.assert_array_equal(found, x / np.float32(2e38))


@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_a_denormal_is_zero_whatever_else_is_asked(dtype):
    """LLVM joins such questions into one for the class of a float, which knows denormals."""
    tiny = np.finfo(dtype).tiny
    values = np.resize(np.array([tiny / 2, -tiny / 4, 0, -0.0, tiny, 3, np.inf, np.nan], dtype), 37)

    def ask(x):
        zero = (x == 0) | jnp.isnan(x) | jnp.isinf(x)
        return zero, (x != 0) & ~jnp.isnan(x), *jnp.frexp(x), lax.map(lambda v: jnp.frexp(v)[1], x)

    with jax.enable_x64(dtype == "float64"):
        traced, native = ways(ask, values)
    for expected, found in zip(traced, native, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert native[0][:2].all()
    np.testing.assert_array_equal(native[2][:2], values[:2])
    np.testing.assert_array_equal(native[3][:2], 0)
