"""Accuracy of functions against float64, in units of the last place (ULP); equal bits everywhere.

`WORST` is what sweeps over all exponents and signs found, rounded up: the table to keep true.
"""

import re

import numpy as np
import pytest
import scipy.special

from tests.codelets.layouts import same_bits
from tests.codelets.run import LESSER, LEVELS, Compiled, levels, wrapped
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.emit.libm import LIBM_NAME
from tilewright.codelets.emit.llvm import Features
from tilewright.codelets.expression import Expression, Instruction
from tilewright.codelets.scalar_math import FORMULAS
from tilewright.graph.ir import numpy_dtype
from tilewright.graph.scalar import SCALAR

SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -2.0, 1e30, -1e30, 88.8, -88.8]

# float32: the greatest error in ULPs, and the range of |x| and the signs it was measured on.
WORST = {
    "acos": (0.9, 1e-30, 1, "+-"),
    "acosh": (1.8, 1, 3.4e38, "+"),
    "asin": (0.9, 1e-30, 1, "+-"),
    "asinh": (1.7, 2e-38, 3.4e38, "+-"),
    "atan": (0.9, 1e-30, 1e30, "+-"),
    "atanh": (1.6, 2e-38, 0.9999999, "+-"),
    "cbrt": (1.1, 1e-30, 1e30, "+-"),
    "cos": (1.6, 1e-30, 1e30, "+-"),
    "cosh": (1.4, 2e-38, 89.4159, "+-"),
    "digamma": (0.6, 1e-20, 1e30, "+"),
    "erf": (1.75, 1e-37, 10, "+-"),
    "erf_inv": (3.6, 1e-37, 0.9999999, "+-"),
    "erfc": (4.2, 1e-30, 9.1, "+-"),
    "exp": (1, 1e-30, 87.3, "+-"),
    "exp2": (0.9, 1e-30, 126, "+-"),
    "expm1": (1.6, 1e-37, 88.7, "+-"),
    "lgamma": (2.6, 3, 1e30, "+"),
    "log": (1, 2e-38, 3e38, "+"),
    "log1p": (1.5, 2e-38, 3e38, "+"),
    "logistic": (2.4, 1e-30, 87, "+-"),
    "sin": (1.6, 1e-30, 1e30, "+-"),
    "sinh": (1.8, 2e-38, 89.4159, "+-"),
    "tan": (1.2, 1e-30, 1e30, "+-"),
    "tanh": (1.8, 2e-38, 100, "+-"),
}
REFERENCE = {
    "acos": np.arccos, "acosh": np.arccosh, "asin": np.arcsin, "asinh": np.arcsinh,
    "atan": np.arctan, "atanh": np.arctanh, "digamma": scipy.special.digamma,
    "erf": scipy.special.erf, "erf_inv": scipy.special.erfinv, "erfc": scipy.special.erfc,
    "lgamma": scipy.special.gammaln, "logistic": scipy.special.expit,
}  # fmt: skip


def reference(op: str):
    """A function on float64."""
    return REFERENCE[op] if op in REFERENCE else getattr(np, op)


def codelet(
    op: str, dtype: str, shape: tuple[int, ...], operands: int = 1, **params
) -> Elementwise:
    step = Instruction(op, tuple(range(operands)), dtype, tuple(params.items()))
    strides = (1,) * len(shape)
    expression = Expression((dtype,) * operands, (step,), (operands,))
    return Elementwise(expression, shape, (strides,) * operands, (strides,))


def computed(op: str, *arrays: np.ndarray, features=None, **params) -> np.ndarray:
    native = codelet(op, arrays[0].dtype.name, arrays[0].shape, len(arrays), **params)
    result = np.empty_like(arrays[0])
    Compiled(native, features)(*arrays, result)
    return result


def one_by_one(op: str, *arrays: np.ndarray, **params) -> np.ndarray:
    """Through code without vectors."""
    native = Compiled(codelet(op, arrays[0].dtype.name, (), len(arrays), **params))
    result = np.empty_like(arrays[0])
    for i in range(result.size):
        native(*(array[i:] for array in arrays), result[i:])
    return result


def sweep(low: float, high: float, signs: str, count: int = 200_003) -> np.ndarray:
    """float32 numbers evenly spread over bit patterns, so over exponents."""
    first, last = (int(np.float32(x).view(np.uint32)) for x in (low, high))
    x = np.linspace(first, last, count).astype(np.uint32).view(np.float32)
    return np.concatenate([x, -x]) if signs == "+-" else x


def ulps(ours: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Distance in units of the last place of the exact value."""
    mantissa = {"float32": 23, "float64": 52}[ours.dtype.name]
    with np.errstate(all="ignore"):
        exponent = np.maximum(np.floor(np.log2(np.abs(exact))), -126 if mantissa == 23 else -1022)
        distance = np.abs(ours.astype(np.float64) - exact) / 2.0 ** (exponent - mantissa)
    return np.where(ours == exact, 0, distance)


@pytest.mark.parametrize("op", WORST)
def test_float32_within_the_table(op):
    worst, low, high, signs = WORST[op]
    x = sweep(low, high, signs)
    exact = reference(op)(x.astype(np.float64))
    assert ulps(computed(op, x), exact).max() <= worst


def test_every_function_is_in_the_table():
    functions = (set(FORMULAS["float"]) | set(LIBM_NAME)) - {"pow", "atan2", "tanh_approximate"}
    assert functions == set(WORST)


@levels
def test_log1p_of_zero_to_one_is_log1p_to_the_bit(features):
    x = np.concatenate([sweep(0, 1, "+"), np.array([1e-40, np.nan, -np.nan], "float32")])
    same_bits(computed("log1p_unit", x, features=features), computed("log1p", x, features=features))


TINY = float(np.finfo(np.float32).tiny)


@pytest.mark.parametrize("op", ["asinh", "cosh", "sinh"])
@levels
def test_hyperbolic_functions_up_to_their_ends(op, features):
    """Where halves are denormal, and where powers of two, squares or results have no float."""
    x = [TINY, 1e-37, 88.8, 89.415, 89.41598, 89.416, 89.6, 1.8446743e19, 1.8446746e19, 3.4e38]
    x = np.array([*x, *(-a for a in x)], np.float32)
    with np.errstate(over="ignore"):
        expected = reference(op)(x.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(computed(op, x, features=features), expected, rtol=3e-7)


@levels
def test_inverse_hyperbolic_functions_at_their_ends(features):
    """Next to where they begin or end, and just beyond; denormals are zeros."""
    below, above = (np.nextafter(np.float32(1), np.float32(end)) for end in (0, 2))
    x = np.array([below, 1, above, 1.8446743e19, 1.8446746e19, 3.4e38], np.float32)
    expected = [np.nan, 0, 0.00048828123, 45.054566, 45.054566, 89.415154]
    np.testing.assert_allclose(computed("acosh", x, features=features), expected, rtol=3e-7)
    x = np.array([below, 1, above, TINY], np.float32)
    expected = [8.6643398, np.inf, np.nan, TINY]
    for sign in (1, -1):
        ours = computed("atanh", sign * x, features=features)
        np.testing.assert_allclose(ours, sign * np.array(expected), rtol=3e-7)
    zeros = np.array([1e-40, -1e-40], np.float32)
    for op in ("sinh", "asinh", "atanh"):
        same_bits(computed(op, zeros, features=features), zeros * np.float32(0))


@pytest.mark.parametrize("op", ["acosh", "asinh", "atanh", "cosh", "sinh"])
def test_hyperbolic_functions_leave_the_library_alone(op):
    """By the number, they took eight to fifteen times as long."""
    names = {symbol for name in LIBM_NAME.values() for symbol in (name, f"{name}f")}
    for dtype in ("float32", "float64") if op in WORST_DOUBLE else ("float32",):
        text = wrapped(codelet(op, dtype, (64,)), LESSER)
        assert not names & set(re.findall(r"@(\w+)\(", text))


def test_approximate_tanh():
    x = sweep(2e-38, 1e30, "+-")
    ours = computed("tanh", x, approximate=True)
    assert np.abs(ours / np.tanh(x.astype(np.float64)) - 1).max() < 4e-5
    assert np.abs(ours).max() < 1


def test_tanh_is_at_most_one_and_odd():
    x = sweep(2e-38, 1e30, "+")
    ours = computed("tanh", x)
    assert ours.max() == 1
    same_bits(computed("tanh", -x), -ours)


@pytest.mark.parametrize("op", [*WORST, "tanh approximate"])
def test_equal_bits_on_every_machine_and_width(op):
    name, _, approximate = op.partition(" ")
    params = {"approximate": True} if approximate else {}
    _, low, high, signs = WORST[name]
    x = np.concatenate([sweep(low, high, signs, 500), np.array(SPECIAL, np.float32)])
    ours = computed(name, x, features=LEVELS[0], **params)
    same_bits(computed(name, x, features=LESSER, **params), ours)
    same_bits(computed(name, x, features=Features(128, 32), **params), ours)
    same_bits(one_by_one(name, x, **params), ours)
    for start, size in ((0, 3), (50, 5), (len(x) - 7, 7)):
        part = x[start : start + size].copy()
        same_bits(computed(name, part, **params), ours[start : start + size])


@pytest.mark.parametrize("op", [*WORST, "sqrt", "rsqrt"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_special_values(op, dtype):
    """Zeros by sign, infinities and NaN are as in `graph/scalar.py`; the rest about so."""
    with np.errstate(all="ignore"):
        x = np.array(SPECIAL).astype(numpy_dtype(dtype))
        expected = SCALAR[op](x, dtype=dtype)
    if op == "lgamma":
        expected[np.isinf(x)] = np.inf  # as XLA; SciPy gives -inf below
    if op == "erf_inv":
        expected[x == 0] = x[x == 0]  # as XLA; SciPy loses the sign
    ours = computed(op, x)
    exact = np.isnan(expected) | np.isinf(expected) | (expected == 0)
    exact &= (x != -88.8) & (x != 88.8)  # some results are nearly denormal there
    same_bits(ours[exact], expected[exact])
    tolerance = {"float32": 1e-6, "float64": 1e-14, "bfloat16": 0.01, "float16": 0.002}[dtype]
    with np.errstate(all="ignore"):
        ours, expected = ours[~exact].astype(np.float64), expected[~exact].astype(np.float64)
    np.testing.assert_allclose(ours, expected, rtol=tolerance, atol=1e-37)


@pytest.mark.parametrize("op", sorted(WORST))
def test_float64(op):
    _, low, high, signs = WORST[op]
    x = sweep(low, min(high, 1e5), signs, 3001).astype(np.float64)
    x = x * (1 + 1e-9) if high > 1 else x
    exact = reference(op)(x)
    np.testing.assert_allclose(computed(op, x), exact, rtol=4e-14, atol=1e-15)


# float64, against extended precision where the host has it: the table that is to be kept true.
WORST_DOUBLE = {
    "cosh": (1.4, 1e-300, 710.4, "+-", np.cosh),
    "exp": (1.1, 1e-17, 708, "+-", np.exp),
    "expm1": (2.2, 1e-300, 708, "+-", np.expm1),
    "log": (0.9, 1e-300, 1e300, "+", np.log),
    "logistic": (2.1, 1e-17, 700, "+-", lambda x: 1 / (1 + np.exp(-x))),
    "sinh": (1.8, 1e-300, 710.4, "+-", np.sinh),
    "tanh": (1.7, 1e-300, 30, "+-", np.tanh),
}


@pytest.mark.parametrize("op", WORST_DOUBLE)
def test_float64_formulas(op):
    worst, low, high, signs, exactly = WORST_DOUBLE[op]
    generator = np.random.default_rng(0)
    x = np.exp(generator.uniform(np.log(low), np.log(high), 50_001))
    x = np.concatenate([x, -x]) if signs == "+-" else x
    ours = computed(op, x)
    same_bits(computed(op, x, features=LESSER), ours)
    same_bits(one_by_one(op, x[:99]), ours[:99])
    exact = exactly(x.astype(np.longdouble))
    if np.finfo(np.longdouble).nmant > 60:
        distance = np.abs(ours - exact) / 2.0 ** (np.floor(np.log2(np.abs(exact))) - 52)
        assert np.where(ours == exact, 0, distance).max() <= worst


@pytest.mark.parametrize("op", ["cosh", "sinh"])
@levels
def test_hyperbolic_functions_of_float64_up_to_their_ends(op, features):
    tiny = np.finfo(np.float64).tiny
    x = np.array([tiny, 1e-300, 709.7, 710.2, 710.47, 710.48, 710.61, 710.9, 1e5, np.inf])
    x = np.array([*x, *-x, np.nan])
    with np.errstate(over="ignore"):
        expected = getattr(np, op)(x)
    np.testing.assert_allclose(computed(op, x, features=features), expected, rtol=4e-16)


def test_digamma_of_negative_numbers():
    x = np.linspace(-20.3, -0.01, 997)
    x = x[np.abs(x - np.round(x)) > 1e-3]
    exact = scipy.special.digamma(x)
    np.testing.assert_allclose(computed("digamma", x), exact, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("op", "dtype"), [("digamma", "float32"), ("digamma", "float64"), ("lgamma", "float32")]
)
def test_digamma_and_lgamma_leave_the_library_alone(op, dtype):
    """Logarithms and tangents by the number were most of their time; eight lanes are written out,
    as LLVM would take as often as long for wider vectors."""
    x = np.linspace(0.1, 12, 96).astype(dtype)
    mixed = np.where(np.arange(96) == 70, -x, x)
    kept = np.arange(96) != 70
    same_bits(computed(op, mixed)[kept], computed(op, x)[kept])
    text = wrapped(codelet(op, dtype, x.shape), LESSER)
    names = {symbol for name in LIBM_NAME.values() for symbol in (name, f"{name}f")}
    assert not names & set(re.findall(r"@(\w+)\(", text))
    assert "fma.v8f64(" in text
    assert "fma.v16f64(" not in text


@levels
def test_lgamma_of_any_sign_and_at_its_ends(features):
    """Infinite at the poles, and zero at its roots 1 and 2."""
    x = np.concatenate([np.linspace(-20.3, 12, 1501), np.geomspace(1e-37, 1, 99)])
    x = x.astype(np.float32)
    exact = scipy.special.gammaln(x.astype(np.float64)).astype(np.float32)
    ours = computed("lgamma", x, features=features)
    np.testing.assert_allclose(ours, exact, rtol=3e-7, atol=1e-14)
    x = np.array([0, -1, -30, -1e9, np.inf, -np.inf, 3e37, 1, 2, np.nan], np.float32)
    expected = [*[np.inf] * 6, scipy.special.gammaln(float(x[6])), 0, 0, np.nan]
    ours = computed("lgamma", x, features=features)
    np.testing.assert_array_equal(ours, np.array(expected, np.float32))


def test_power():
    generator = np.random.default_rng(0)
    x = np.exp(generator.uniform(-80, 80, 100_001)).astype(np.float32)
    y = (generator.uniform(-87, 87, x.shape) / np.log(x)).astype(np.float32)
    exact = x.astype(np.float64) ** y.astype(np.float64)
    assert ulps(computed("pow", x, y), exact).max() < 0.6
    same_bits(computed("pow", x[:999], y[:999], features=LESSER), computed("pow", x[:999], y[:999]))


@pytest.mark.parametrize("op", ["pow", "atan2"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_pairs(op, dtype):
    numbers = [*SPECIAL, 2.0, -3.0, 1.5, -0.5, 1 / 3, 1e10, -7.0, 3e38]
    x, y = (a.ravel() for a in np.meshgrid(np.array(numbers, dtype), np.array(numbers, dtype)))
    with np.errstate(all="ignore"):
        expected = SCALAR[op](x, y, dtype=dtype)
    ours = computed(op, x, y)
    exact = ~np.isfinite(expected) | (expected == 0)
    same_bits(ours[exact], expected[exact])
    np.testing.assert_allclose(ours[~exact], expected[~exact], rtol=2e-7)
    same_bits(one_by_one(op, x, y), ours)
