"""Calling an Executable: arguments, results, bind, threads, speed."""

import threading
import time
import timeit

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from tests.runtime.programs import add, barriers, executable, pointers, program, squares
from tilewright.errors import ArgumentError
from tilewright.graph.ir import Type
from tilewright.tree import tree_of

X = np.arange(4, dtype=np.float32)


def tree(value):
    return tree_of(jax.tree_util.tree_structure(value))


def copy(kind: Type, **fields):
    """The identity on one array."""
    body = f"""{pointers(1, 1)}
  call void @llvm.memcpy.p0.p0.i64(ptr %out0, ptr %in0, i64 {kind.nbytes}, i1 false)
  ret i32 0"""
    text = program(body) + "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)\n"
    return executable(text, inputs=(kind,), outputs=(kind,), **fields)


def test_results_are_fresh_and_aligned():
    call = add()
    first, second = call(X, X), call(X, 2 * X)
    np.testing.assert_array_equal(first, 2 * X)
    np.testing.assert_array_equal(second, 3 * X)
    assert first.ctypes.data % 64 == second.ctypes.data % 64 == 0
    assert type(first) is np.ndarray
    assert first.flags.writeable


@pytest.mark.parametrize(
    "given",
    [
        jnp.arange(4, dtype=jnp.float32),
        (np.arange(8, dtype=np.float32) / 2)[::2],
        np.arange(4, dtype=np.float64),
        np.frombuffer(X.tobytes(), np.float32),
        np.frombuffer(b"\0" + X.tobytes(), np.uint8)[1:].view(np.float32),
        X.astype(">f4"),
    ],
    ids=["jax", "strided", "float64", "read-only", "unaligned", "big-endian"],
)
def test_arrays_of_other_kinds(given):
    np.testing.assert_array_equal(add()(given, X), np.asarray(given, np.float32) + X)


def test_float64_is_refused_under_x64():
    with jax.enable_x64(True), pytest.raises(ArgumentError, match="dtype float64"):
        add()(np.zeros(4), X)


@pytest.mark.parametrize("dtype", ["bool", "bfloat16", "float16", "int8", "uint64", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 5)])
def test_every_dtype_and_shape(dtype, shape):
    kind = Type(dtype, shape)
    given = np.ones(shape, kind.numpy)
    result = copy(kind)(given)
    assert result.dtype == kind.numpy
    assert result.shape == shape
    np.testing.assert_array_equal(result, given)


def test_scalars():
    assert copy(Type("float32", ()))(2.5) == np.float32(2.5)
    assert copy(Type("float32", ()))(2) == 2
    assert copy(Type("int8", ()))(-3) == -3
    assert copy(Type("bool", ()))(True)
    assert copy(Type("bfloat16", ()))(1.5) == ml_dtypes.bfloat16(1.5)
    assert copy(Type("int32", ()))(np.int64(7)) == 7


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros(5, np.float32), "y has shape (5,), but the function was compiled for (4,)."),
        (np.zeros(4, np.int32), "y has dtype int32, but the function was compiled for float32."),
        ("text", "y is a str, but the function was compiled for float32[4]."),
        ([1.0] * 4, "y is a list, but the function was compiled for float32[4]."),
        (None, "y is a NoneType, but the function was compiled for float32[4]."),
        (1.0, "y has shape (), but the function was compiled for (4,)."),
    ],
)
def test_wrong_arguments(given, words):
    with pytest.raises(ArgumentError) as caught:
        add(argument_names=("x", "y"))(X, given)
    assert str(caught.value) == words


def test_wrong_scalars():
    with pytest.raises(ArgumentError, match="300"):
        copy(Type("int8", ()))(300)
    with pytest.raises(ArgumentError, match="a float"):
        copy(Type("int8", ()))(1.5)


def test_wrong_number_of_arguments():
    with pytest.raises(ArgumentError, match=r"^The argument y is missing\.$"):
        add(argument_names=("x", "y"))(X)
    with pytest.raises(ArgumentError, match="The arguments argument 0 and argument 1 are missing"):
        add()()
    with pytest.raises(ArgumentError, match=r"got 3 arguments by position, but only 2 are free"):
        add()(X, X, X)


def test_arguments_by_name():
    call = add(argument_names=("x", "y"))
    np.testing.assert_array_equal(call(X, y=2 * X), 3 * X)
    np.testing.assert_array_equal(call(y=2 * X, x=X), 3 * X)
    np.testing.assert_array_equal(call.bind(y=X)(x=2 * X), 3 * X)
    np.testing.assert_array_equal(call.start(X, y=X).result(), 2 * X)
    with pytest.raises(ArgumentError, match="got y twice"):
        call(X, X, y=X)
    with pytest.raises(ArgumentError, match="'z', which is no free argument"):
        call(X, z=X)


def test_some_arguments_are_given_by_name_only():
    call = add(argument_names=("x", "y"), positional=1)
    np.testing.assert_array_equal(call(X, y=2 * X), 3 * X)
    with pytest.raises(ArgumentError, match="got 2 arguments by position, but only 1"):
        call(X, X)


def test_it_shows_what_it_takes_and_gives():
    call = add(argument_names=("x", "y"), name="plus")
    assert repr(call) == "<Executable plus(x: float32[4], y: float32[4]) -> float32[4], 1 thread>"
    assert repr(call.bind(X)) == "<Executable plus(y: float32[4]) -> float32[4], 1 thread>"


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap, lambda f: jax.grad(lambda x: f(x).sum())])
def test_inside_of_a_transformation_it_says_what_to_do(transform):
    call = add().bind(X)
    with pytest.raises(ArgumentError, match=r"call the function itself there, or .*tilewright.jit"):
        transform(call)(X[None] if transform is jax.vmap else X)


class TestTrees:
    IN = tree(({"a": 0, "b": 0},))

    def call(self, **fields):
        return add(in_tree=self.IN, out_tree=tree({"sum": 0}), **fields)

    def test_in_and_out(self):
        result = self.call()({"a": X, "b": X})
        np.testing.assert_array_equal(result["sum"], 2 * X)

    def test_wrong_tree(self):
        call = self.call(argument_names=("params",))
        for given, words in (
            ({"a": X}, "params['b'] is missing."),
            ({"a": X, "b": X, "c": X}, "params['c'] is not what the function was compiled for."),
            ([X, X], "params is a list, but the function was compiled for {'a': *, 'b': *}."),
        ):
            with pytest.raises(ArgumentError) as caught:
                call(given)
            assert str(caught.value) == words

    def test_a_wrong_leaf_is_named_by_its_path(self):
        with pytest.raises(ArgumentError, match=r"^params\['b'\] has shape \(3,\)"):
            self.call(argument_names=("params",))({"a": X, "b": X[:3]})
        with pytest.raises(ArgumentError, match=r"^argument 0\['b'\] has shape \(3,\)"):
            self.call()({"a": X, "b": X[:3]})

    def test_bound_tree_is_copied(self):
        mine = {"a": X.copy(), "b": X}
        bound = self.call(argument_names=("params",)).bind(params=mine)
        mine["a"][:] = 100
        np.testing.assert_array_equal(bound()["sum"], 2 * X)


class TestBind:
    def call(self):
        flat = tree((0, 0))
        return add(in_tree=flat, out_tree=tree(0), argument_names=("x", "y"))

    def test_leading(self):
        np.testing.assert_array_equal(self.call().bind(X)(10 * X), 11 * X)
        np.testing.assert_array_equal(add().bind(X)(10 * X), 11 * X)

    def test_by_name_then_the_rest(self):
        once = self.call().bind(y=X)
        np.testing.assert_array_equal(once(10 * X), 11 * X)
        np.testing.assert_array_equal(once.bind(5 * X)(), 6 * X)

    def test_mistakes(self):
        with pytest.raises(ArgumentError, match="no free argument"):
            self.call().bind(z=X)
        with pytest.raises(ArgumentError, match="no free argument"):
            self.call().bind(X).bind(x=X)
        with pytest.raises(ArgumentError, match="twice"):
            self.call().bind(X, x=X)
        with pytest.raises(ArgumentError, match="only 2"):
            self.call().bind(X, X, X)
        with pytest.raises(ArgumentError, match="shape"):
            self.call().bind(np.zeros(3, np.float32))


def test_keys():
    kind = Type("uint32", (2,))
    key = jax.random.key(7)
    call = copy(kind, forms_in={0: "threefry2x32"}, forms_out={0: "threefry2x32"})
    assert jnp.array_equal(jax.random.key_data(call(key)), jax.random.key_data(key))
    raw = copy(kind, forms_in={0: "threefry2x32"})(jax.random.key_data(key))
    np.testing.assert_array_equal(raw, jax.random.key_data(key))


def test_hidden_constants_come_first():
    constants = (10 * X,)
    call = add(inputs=(Type("float32", (4,)),), constants=constants)
    np.testing.assert_array_equal(call(X), 11 * X)


def test_threads_and_executables_at_once():
    """Four Python threads, three kinds of program each: nothing deadlocks, nothing mixes."""
    short, long, mapped = add(), barriers(50, 2), squares(50)
    start = np.ones((2, 8), np.int64)
    expected = long(start)
    rows = np.arange(200, dtype=np.float32).reshape(50, 4)
    wrong = []

    def work(number):
        for _ in range(30):
            good = (short(X, number * X) == (number + 1) * X).all()
            good &= (long(start) == expected)[:, 0].all()
            good &= (mapped(rows) == rows * rows).all()
            if not good:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert not wrong


def test_a_short_call_costs_little():
    """About 6 µs on a quiet machine; the bound allows for noise but not for a mistake.

    Time of this thread, so that other processes count for little.
    """
    call = add()
    call(X, X)
    repeats = timeit.repeat(lambda: call(X, X), time.thread_time, number=500, repeat=20)
    best = min(repeats) / 500
    assert best < 30e-6


def test_many_arguments_cost_little_more():
    """Each is checked and handed over in native code: some 20 ns, where Python took 700."""
    kind = Type("float32", (4,))
    one, many = (
        executable(program("\n  ret i32 0"), inputs=(kind,) * n, outputs=(kind,)) for n in (1, 33)
    )

    def best(call, *args):
        call(*args)
        return min(timeit.repeat(lambda: call(*args), time.thread_time, number=200, repeat=30))

    assert best(many, *[X] * 33) < 2 * best(one, X) + 200 * 1e-6


def test_looking_inside():
    call = add()
    assert "@tilewright_run" in call.llvm
    assert "tilewright_run" in call.assembly
