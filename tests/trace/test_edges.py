"""What crosses a program's edges: right, or one sentence that says which leaf and where."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.dtypes import ExtendedDType
from jax.dtypes import float0
from jax.experimental.hijax import HiPrimitive, HiType, ShapedArray, register_hitype
from jax.extend.core import Primitive

import tilewright
from tests.trace.comparing import agree, trace
from tilewright.errors import ArgumentError, UnsupportedError

X = jnp.arange(4.0)
NOTHING = np.zeros(3, float0)


def results(fn, *args):
    return tilewright.compile(fn, *args)(*args)


def test_the_derivative_by_an_integer():
    def pulled_back(x, i):
        return jax.vjp(lambda x, i: x[i].sum(), x, i)[1](1.0)

    of_x, of_i = results(pulled_back, X, jnp.array([1, 2]))
    assert of_x.tolist() == [0, 1, 1, 0]
    assert (of_i.dtype, of_i.shape) == (float0, (2,))


def test_float0_comes_in_goes_through_a_loop_and_is_captured():
    def through(x, nothing):
        looped = jax.lax.scan(lambda c, _: (c, None), nothing, None, length=2)[0]
        return x * 2, looped, NOTHING

    doubled, *nothings = results(through, X, NOTHING)
    assert doubled.tolist() == [0, 2, 4, 6]
    assert all((n.dtype, n.shape) == (float0, (3,)) for n in nothings)
    agree(lambda x, n: jax.jvp(jnp.multiply, (x, n), (x, np.zeros((), float0))), 2.0, 3)


def test_none_and_python_numbers():
    assert results(lambda x, n: (None, n, x), 1.0, None)[:2] == (None, None)
    agree(lambda x: (1, 2.5, True, np.float32(3)), 1.0)


@pytest.mark.parametrize("dtype", ("complex64", "int4", "float8_e4m3fn"))
def test_an_argument_of_a_type_that_we_have_not(dtype):
    with pytest.raises(UnsupportedError, match=rf"argument 1\['a'\] of {dtype}\[3\].*test_edges"):
        trace(lambda x, d: x, X, {"a": jnp.ones(3, dtype)})


class Coin(ExtendedDType):
    """A dtype that is no NumPy type, as libraries register them."""

    type = jax.dtypes.extended  # type: ignore[assignment]
    name = "coin"

    def __str__(self):
        return self.name


def test_types_that_libraries_add():
    toss = Primitive("toss")
    toss.def_abstract_eval(lambda x: jax.core.ShapedArray(x.shape, Coin()))  # type: ignore[arg-type]
    coins = jax.ShapeDtypeStruct((3,), Coin())
    with pytest.raises(UnsupportedError, match=r"argument 1 of coin\[3\].*test_edges.py:\d+"):
        trace(lambda x, c: x, X, coins)
    for implemented in (False, True):
        if implemented:
            toss.def_impl(lambda x: x)
        with pytest.raises(UnsupportedError, match=r"toss of float32\[4\].*test_edges.py:\d+"):
            trace(lambda x: toss.bind(x), X)


class Halves:
    """A value of a type of hijax: what a vector is put together from."""

    def __init__(self, left, right):
        self.left, self.right = left, right


class HalvesType(HiType):
    def __eq__(self, other):
        return isinstance(other, HalvesType)

    def __hash__(self):
        return hash(HalvesType)

    def __repr__(self):
        return "Halves"

    def lo_ty(self):
        return [ShapedArray((2,), jnp.dtype("float32"))] * 2

    def lower_val(self, hi_val):
        return [hi_val.left, hi_val.right]

    def raise_val(self, left, right):
        return Halves(left, right)


class Parted(HiPrimitive):
    def abstract_eval(self, x):
        return HalvesType(), set()

    def to_lojax(self, x):
        return Halves(x[:2], x[2:])


class Joined(HiPrimitive):
    def abstract_eval(self, halves):
        return ShapedArray((4,), jnp.dtype("float32")), set()

    def to_lojax(self, halves):
        if not isinstance(halves, Halves):
            raise TypeError("no halves")
        return jnp.concatenate([halves.left, halves.right])


class Lost(Parted):
    def to_lojax(self, x):
        raise NotImplementedError


register_hitype(Halves, lambda halves: HalvesType())
parted, joined, lost = Parted("parted"), Joined("joined"), Lost("lost")


def test_types_of_hijax():
    halves = Halves(X[:2], X[2:])
    agree(lambda x: joined.bind(parted.bind(x)) + x, X)
    where = r"is not supported: it is no array \(at .*test_edges.py:\d+\)"
    with pytest.raises(UnsupportedError, match=rf"argument 1\[0\] of Halves {where}"):
        trace(lambda x, held: x, X, [halves])
    with pytest.raises(UnsupportedError, match=rf"the result\[1\] of Halves {where}"):
        trace(lambda x: (x, parted.bind(x)), X)
    with pytest.raises(UnsupportedError, match=rf"captured data of Halves {where}"):
        trace(lambda x: joined.bind(halves) + x, X)


def test_what_hijax_cannot_expand():
    wrong = r"lost of float32\[4\] is not .* expand it \(NotImpl.*\) \(at .*test_edges.py:\d+\)"
    with pytest.raises(UnsupportedError, match=wrong):
        trace(lambda x: jax.jit(lambda x: joined.bind(lost.bind(x)))(x) + x, X)


def test_a_token_is_no_argument():
    with pytest.raises(UnsupportedError, match=r"argument 1 of Tok.*no array.*test_edges.py:\d+"):
        trace(lambda x, token: x, X, jax.lax.create_token())


def test_mutable_arrays_of_the_caller():
    held = jax.new_ref(X)
    with pytest.raises(UnsupportedError, match=r"argument 0 of Ref.*mutable.*test_edges.py:\d+"):
        trace(lambda ref: ref[...], held)
    with pytest.raises(UnsupportedError, match=r"captured .*Ref.*mutable.*test_edges.py:\d+"):
        trace(lambda x: held[...] + x, X)


def test_captured_data_that_a_transformation_traces():
    for y in (1.0, 1):
        with pytest.raises(UnsupportedError, match=r"captured .*\[\] .*traced.*test_edges.py:\d+"):
            jax.jit(lambda y: trace(lambda x: x + y, X) and y)(y)


def test_a_captured_token():
    token = jax.lax.create_token()
    with pytest.raises(UnsupportedError, match=r"captured data of Tok.*test_edges.py:\d+"):
        trace(lambda x: (x, token), X)


def test_captured_data_of_a_type_that_we_have_not():
    data = np.array([1j], np.complex64)
    with pytest.raises(UnsupportedError, match=r"captured .*complex64\[1\] .*test_edges.py:\d+"):
        trace(lambda x: (x, data), X)


@pytest.mark.parametrize("wrong", ("abc", 2**70, np.array(["a"]), np.array([object()])))
def test_an_argument_that_is_no_array(wrong):
    with pytest.raises(ArgumentError, match=r"argument 1 is \w+ .*no array for JAX"):
        trace(lambda x, y: x, X, wrong)


def test_a_result_that_is_no_array():
    with pytest.raises(UnsupportedError, match=r"result\[1\] is str 'abc'.*test_edges.py:\d+"):
        trace(lambda x: (x, "abc"), X)


def test_what_is_no_function():
    with pytest.raises(ArgumentError, match="a function, not int 3"):
        trace(3, X)  # type: ignore[arg-type]


def test_the_line_of_a_function_without_lines():
    with pytest.raises(UnsupportedError, match=r"test_edges.py:\d+"):
        trace(jnp.fft.fft, X)
    with pytest.raises(UnsupportedError, match=r"complex64\[2\].*test_edges.py:\d+"):
        trace(jnp.logaddexp, *2 * [np.ones(2, np.complex64)])  # JAX calls its place unknown
