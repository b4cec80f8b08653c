"""Simplification keeps every bit, of special values and denormals too, and does what it should."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from tests.graph.cases import CASES
from tests.graph.same import assert_same, ops
from tilewright.graph.eliminate import eliminate
from tilewright.graph.ir import Builder, Graph, Type, Value
from tilewright.graph.simplify import LITTLE, LONG, simplify
from tilewright.trace import trace

SPECIAL = np.array([0, -0.0, 1, -1, np.nan, np.inf, -np.inf, 1e-40, -1e-40, 3.5, 1e-38, 7], "f")


def tidy(graph: Graph) -> Graph:
    return eliminate(simplify(graph))


@pytest.mark.parametrize("case", CASES)
def test_traced_functions(case):
    function, *arguments = CASES[case]
    traced = trace(function, *arguments)
    assert_same(tidy, traced.graph, [*traced.constants, *arguments])


class Row(Builder):
    """A builder for rules on one float32[12] or int32[12] operand."""

    def __init__(self, dtype: str = "float32"):
        super().__init__([Type(dtype, (12,))])
        self.x = self.inputs[0]

    def full(self, number, dtype: str | None = None) -> Value:
        scalar = self.constant(np.asarray(number).astype(dtype or self.x.dtype))
        return self.op("broadcast", scalar, shape=(12,), dimensions=())

    def simplified(self, *outputs: Value) -> list[str]:
        """The operations that are left."""
        inputs = SPECIAL if self.x.dtype == "float32" else np.arange(-6, 6, dtype=self.x.dtype)
        return ops(assert_same(tidy, self.graph(outputs), [inputs]))


@pytest.mark.parametrize(
    ("op", "number", "left"),
    [
        ("add", 0, []),
        ("sub", 0, []),
        ("mul", 1, []),
        ("mul", 0, ["constant", "broadcast"]),
        ("mul", -1, ["neg"]),
        ("div", 1, []),
        ("or", 0, []),
        ("xor", 0, []),
        ("and", -1, []),
        ("and", 0, ["constant", "broadcast"]),
        ("shift_left", 0, []),
    ],
)
def test_integer_identities(op, number, left):
    row = Row("int32")
    assert row.simplified(row.op(op, row.x, row.full(number))) == left


@pytest.mark.parametrize(
    ("op", "number", "goes"),
    [
        ("add", -0.0, True),
        ("add", 0.0, False),  # -0 + 0 is 0
        ("sub", 0.0, True),
        ("sub", -0.0, False),
        ("mul", 1.0, True),
        ("mul", 0.0, False),  # NaN * 0 is NaN
        ("div", 1.0, True),
    ],
)
def test_float_identities(op, number, goes):
    row = Row()
    assert op in row.simplified(row.op(op, row.x, row.full(number))), "x may hold denormals"
    row = Row()
    sine = row.op("sqrt", row.x)
    assert (op not in row.simplified(row.op(op, sine, row.full(number)))) == goes


def test_choices_inside_of_choices_may_hold_denormals():
    """However deep they lie."""
    row = Row()
    test = row.op("lt", row.x, row.full(0))
    inner = row.op("neg", row.op("select", test, row.x, row.full(3)))
    outer = row.op("select", test, inner, row.op("add", row.x, row.x))
    assert "mul" in row.simplified(row.op("mul", outer, row.full(1)))


def test_signs():
    row = Row()
    minus = row.op("neg", row.x)
    assert row.simplified(row.op("neg", minus)) == []
    assert row.simplified(row.op("abs", minus)) == ["abs"]
    assert row.simplified(row.op("abs", row.op("abs", row.x))) == ["abs"]
    assert row.simplified(row.op("add", row.x, minus)) == ["sub"]
    assert row.simplified(row.op("sub", row.x, minus)) == ["add"]


def test_what_is_no_number_either_way_is_not_asked_for():
    row = Row()
    test, plain = row.op("ne", row.x, row.x), row.op("add", row.x, row.full(0))
    soft = row.op("add", row.op("max", row.x, row.full(0)), row.op("exp", row.op("abs", row.x)))
    assert "select" not in row.simplified(row.op("select", test, soft, plain))
    assert "select" in row.simplified(row.op("select", test, soft, row.full(0)))
    assert "select" in row.simplified(row.op("select", test, row.full(3), plain))
    other = row.op("ne", row.x, row.full(0))
    assert "select" in row.simplified(row.op("select", other, soft, plain))


def test_select():
    row = Row()
    other = row.op("neg", row.x)
    test = row.op("lt", row.x, other)
    assert row.simplified(row.op("select", row.full(True, "bool"), row.x, other)) == ["neg"]
    assert row.simplified(row.op("select", row.full(9, "int32"), other, row.x)) == []
    assert row.simplified(row.op("select", test, row.x, row.x)) == []
    opposite = row.op("select", row.op("not", test), row.x, other)
    assert row.simplified(opposite) == ["neg", "lt", "select"]
    again = row.op("select", test, row.op("select", test, row.x, other), other)
    assert row.simplified(again) == ["neg", "lt", "select"]
    flags = row.op("select", test, row.full(False, "bool"), row.full(True, "bool"))
    assert row.simplified(flags) == ["neg", "lt"]


def test_bools():
    row = Row()
    test = row.op("lt", row.x, row.op("neg", row.x))
    assert row.simplified(row.op("ne", test, row.full(False, "bool"))) == ["neg", "lt"]
    assert row.simplified(row.op("eq", test, row.full(False, "bool"))) == ["neg", "lt", "not"]
    assert row.simplified(row.op("and", test, row.full(True, "bool"))) == ["neg", "lt"]
    nothing = row.op("and", test, row.full(False, "bool"))
    assert row.simplified(nothing) == ["constant", "broadcast"]
    assert row.simplified(row.op("not", row.op("not", test))) == ["neg", "lt"]


def test_conversions():
    row = Row("int8")
    wide = row.op("convert", row.x, dtype="int32")
    assert row.simplified(row.op("convert", wide, dtype="int8")) == []
    assert row.simplified(row.op("convert", wide, dtype="int64")) == ["convert"]
    row = Row("int32")
    lossy = row.op("convert", row.op("convert", row.x, dtype="float32"), dtype="int32")
    assert row.simplified(lossy) == ["convert", "convert"]
    row = Row()
    half = row.op("convert", row.x, dtype="bfloat16")
    again = row.op("convert", row.op("convert", half, dtype="float32"), dtype="bfloat16")
    assert row.simplified(again) == ["convert"] * 3, "denormals are flushed on the way"
    bits = row.op("bitcast", row.op("bitcast", row.x, dtype="int32"), dtype="float32")
    assert row.simplified(bits) == []


def matrix(*shape: int) -> tuple[Builder, Value, np.ndarray]:
    builder = Builder([Type("float32", shape)])
    return builder, builder.inputs[0], np.arange(np.prod(shape), dtype="f").reshape(shape)


def left(builder: Builder, array: np.ndarray, *outputs: Value) -> list[str]:
    return ops(assert_same(tidy, builder.graph(outputs), [array]))


def test_movements_compose():
    b, x, array = matrix(4, 6)
    turned = b.op("transpose", x, permutation=(1, 0))
    assert left(b, array, b.op("transpose", turned, permutation=(1, 0))) == []
    assert left(b, array, b.op("reshape", b.op("reshape", x, shape=(24,)), shape=(4, 6))) == []
    wide = b.op("broadcast", x, shape=(2, 4, 6), dimensions=(1, 2))
    wider = b.op("broadcast", wide, shape=(2, 4, 3, 6), dimensions=(0, 1, 3))
    assert left(b, array, wider) == ["broadcast"]
    assert left(b, array, b.op("transpose", wide, permutation=(2, 0, 1))) == ["broadcast"]
    unit = b.op("reshape", x, shape=(4, 1, 6))
    assert left(b, array, b.op("broadcast", unit, shape=(4, 5, 6), dimensions=(0, 1, 2))) == [
        "broadcast"
    ]
    assert left(b, array, b.op("broadcast", x, shape=(1, 4, 6), dimensions=(1, 2))) == ["reshape"]
    assert left(b, array, b.op("transpose", unit, permutation=(1, 0, 2))) == ["reshape"]
    assert (
        left(b, array, b.op("reverse", b.op("reverse", x, dimensions=(0, 1)), dimensions=(1, 0)))
        == []
    )


def test_turning_twice_is_turning_once():
    b, x, array = matrix(2, 3, 4)
    turned = b.op("transpose", x, permutation=(1, 2, 0))
    assert left(b, array, b.op("transpose", turned, permutation=(1, 0, 2))) == ["transpose"]


def test_slices():
    b, x, array = matrix(10, 6)
    first = b.op("slice", x, start=(1, 0), limit=(9, 6), stride=(2, 1))
    second = b.op("slice", first, start=(1, 2), limit=(4, 6), stride=(2, 3))
    assert left(b, array, second) == ["slice"]
    assert left(b, array, b.op("slice", x, start=(0, 0), limit=(10, 6), stride=(1, 1))) == []
    both = b.op("concatenate", x, b.op("neg", x), dimension=0)
    assert left(b, array, b.op("slice", both, start=(2, 1), limit=(9, 4), stride=(3, 1))) == [
        "slice"
    ]
    late = b.op("slice", both, start=(12, 0), limit=(20, 6), stride=(1, 1))
    assert left(b, array, late) == ["neg", "slice"]
    across = b.op("slice", both, start=(5, 0), limit=(15, 6), stride=(1, 1))
    assert "concatenate" in left(b, array, across)
    by_one = b.op("slice", both, start=(5, 0), limit=(11, 6), stride=(1, 1))
    assert "concatenate" in left(b, array, by_one)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_last_row_of_a_scan_is_its_carry(reverse):
    """Where the body gives both alike: else all rows would be kept for one."""

    def states(xs, place, part):
        def step(c, x):
            return c * 0.5 + x, c * 0.5 + x if part == "same" else c

        return lax.scan(step, jnp.zeros(3), xs, reverse=reverse)[1][place, 1:]

    xs = np.arange(15, dtype=np.float32).reshape(5, 3)
    for place, part in [(0, "same"), (-1, "same"), (0, "old"), (-1, "old"), (2, "same")]:
        traced = trace(partial(states, place=place, part=part), xs).graph
        graph = assert_same(lambda graph: tidy(tidy(graph)), traced, [xs])
        (scan,) = [node for node in graph.nodes if node.op == "scan"]
        last = place == (0 if reverse else -1)
        assert (len(scan.outputs) == 1) == (last and part == "same"), place


def test_concatenations():
    b, x, array = matrix(10, 6)
    parts = [
        b.op("slice", x, start=(0, i), limit=(10, j), stride=(1, 1))
        for i, j in ((0, 2), (2, 5), (5, 6))
    ]
    assert left(b, array, b.op("concatenate", *parts, dimension=1)) == []
    nested = b.op(
        "concatenate", b.op("concatenate", x, b.op("neg", x), dimension=1), x, dimension=1
    )
    assert left(b, array, nested) == ["neg", "concatenate"]
    swapped = b.op("concatenate", parts[1], parts[0], dimension=1)
    assert left(b, array, swapped) == ["slice", "slice", "concatenate"]
    of_two = b.op("neg", x)
    halves = [
        b.op("slice", y, start=(0, i), limit=(10, i + 3), stride=(1, 1))
        for i, y in ((0, x), (3, of_two))
    ]
    assert "neg" in left(b, array, b.op("concatenate", *halves, dimension=1))


def test_pads_and_dynamic_slices():
    b, x, array = matrix(10, 6)
    zero = b.constant(np.float32(0))
    assert left(b, array, b.op("pad", x, zero, low=(0, 0), high=(0, 0), interior=(0, 0))) == []
    assert "pad" in left(b, array, b.op("pad", x, zero, low=(0, 0), high=(0, 0), interior=(0, 1)))
    far = b.constant(np.int32(99))
    assert left(b, array, b.op("dynamic_slice", x, far, far, sizes=(3, 2))) == ["slice"]
    assert left(b, array, b.op("dynamic_slice", x, far, far, sizes=(10, 6))) == []
    assert left(b, array, b.op("dynamic_update_slice", x, b.op("neg", x), far, far)) == ["neg"]


def test_constants_fold():
    b = Builder()
    counted = b.op("iota", dimension=0, shape=(5,), dtype="int32")
    doubled = b.op(
        "mul", counted, b.op("broadcast", b.constant(np.int32(2)), shape=(5,), dimensions=())
    )
    graph = assert_same(tidy, b.graph([doubled]), [])
    assert ops(graph) == ["constant"]
    total = b.op("reduce", doubled, kind="sum", axes=(0,))
    assert ops(assert_same(tidy, b.graph([total]), [])) == ["constant"]


def test_arithmetic_before_broadcast():
    b, x, array = matrix(6)
    rows = [b.op("broadcast", v, shape=(100, 6), dimensions=(1,)) for v in (x, b.op("neg", x))]
    two = b.op("broadcast", b.constant(np.float32(2)), shape=(100, 6), dimensions=())
    result = b.op("mul", b.op("exp", b.op("sub", *rows)), two)
    graph = assert_same(tidy, b.graph([result]), [array])
    big = [n.op for n in graph.nodes if n.outputs[0].type.size > 6]
    assert big == ["broadcast"]
    columns = b.op("broadcast", x, shape=(6, 6), dimensions=(0,))
    crossed = b.op("mul", columns, b.op("broadcast", x, shape=(6, 6), dimensions=(1,)))
    assert left(b, array, crossed) == ["broadcast", "broadcast", "mul"]


def test_branches_and_single_trips_open():
    body = Builder([Type("float32", (6,)), Type("float32", ())])
    carry = body.op(
        "add", body.inputs[0], body.op("broadcast", body.inputs[1], shape=(6,), dimensions=())
    )
    step = body.graph([carry, body.inputs[1]])
    b = Builder([Type("float32", (6,)), Type("float32", (1,))])
    types = [Type("float32", (6,)), Type("float32", (1,))]
    arrays = [np.arange(6, dtype="f"), np.ones(1, "f")]
    out = b.add("scan", b.inputs, types, bodies=[step], consts=0, carry=1, length=1, reverse=False)
    assert "scan" not in ops(assert_same(tidy, b.graph(out), arrays))
    cases = []
    for op in ("neg", "abs"):
        case = Builder([Type("float32", (6,))])
        cases.append(case.graph([case.op(op, *case.inputs)]))
    b = Builder(types[:1])
    out = b.add("branch", [b.constant(np.int32(7)), *b.inputs], types[:1], bodies=cases)
    assert ops(assert_same(tidy, b.graph(out), arrays[:1])) == ["abs"]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_few_trips_of_little_on_long_arrays_open(reverse):
    x = np.linspace(-2, 2, LONG, dtype=np.float32)
    terms = np.array([0.5, -1, 3, 1e-40], np.float32)

    def horner(x, terms, trips=4):
        step = lambda c, term: (c * x + term, None)  # noqa: E731
        return lax.scan(step, jnp.zeros_like(x), terms[:trips], reverse=reverse)[0]

    def both(x, terms):
        return lax.scan(lambda c, t: ((c[1] + t, c[0] * x), None), (x, -x), terms, reverse=reverse)

    for function in (horner, both):
        assert "scan" not in ops(assert_same(tidy, trace(function, x, terms).graph, [x, terms]))
    for part, count in ((x[1:], 4), (x, 4 * LITTLE)):
        many = np.resize(terms, count)
        graph = trace(lambda x, t: horner(x, t, len(t)), part, many).graph
        assert "scan" in ops(assert_same(tidy, graph, [part, many]))
    stacked = trace(lambda x, t: lax.scan(lambda c, t: (c * t, c), x, t), x, terms).graph
    assert "scan" in ops(assert_same(tidy, stacked, [x, terms]))


def test_trips_that_move_or_sum_stay():
    x = np.linspace(-2, 2, LONG, dtype=np.float32)
    for step in (jnp.cumsum, lambda c: c / jnp.sum(c), lambda c: c[::-1] + 1):

        def thrice(x, step=step):
            return lax.scan(lambda c, _: (step(c), None), x, None, length=3)[0]

        assert "scan" in ops(tidy(trace(thrice, x).graph))


def test_trips_that_take_functions_stay():
    x = np.linspace(-2, 2, LONG, dtype=np.float32)
    for step in (jnp.exp, lambda c: c * jnp.sin(c) + 1, lambda c: jnp.arctan2(c, c + 1)):

        def thrice(x, step=step):
            return lax.scan(lambda c, _: (step(c), None), x, None, length=3)[0]

        assert "scan" in ops(assert_same(tidy, trace(thrice, x).graph, [x]))


def test_many_trips_that_compute_nothing_stay():
    x = np.linspace(-2, 2, LONG, dtype=np.float32)

    def exchanged(x, y):
        return lax.scan(lambda c, _: ((c[1], c[0]), None), (x, y), None, length=LITTLE + 1)[0]

    def last(x, rows):
        return lax.scan(lambda _, row: (row, None), x, rows)[0]

    rows = np.resize(x, (LITTLE + 1, LONG))
    for function, y in ((exchanged, -x), (last, rows)):
        assert "scan" in ops(assert_same(tidy, trace(function, x, y).graph, [x, y]))


def test_constants_enter_bodies():
    scalar = Type("float32", ())
    body = Builder([scalar, scalar])
    step = body.graph([body.op("mul", *body.inputs)])
    b = Builder([Type("float32", (4,))])
    two = b.constant(np.float32(2))
    out = b.add("map", [two, *b.inputs], [Type("float32", (4,))], bodies=[step], consts=1, length=4)
    graph = assert_same(tidy, b.graph(out), [np.arange(4, dtype="f")])
    assert ops(graph) == ["map", "constant", "mul"]


UNARY = ["neg", "abs", "sqrt", "floor", "sign"]
BINARY = ["add", "sub", "mul", "max", "min", "div"]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 2.0, np.nan, np.inf, 1e-40]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_small_program(data):
    """Random straight lines over special values; folds and identities may not change a bit."""
    b = Builder([Type("float32", (3, 4))])
    values: list[Value] = list(b.inputs)

    def pick(shape=None) -> Value:
        return data.draw(st.sampled_from([v for v in values if shape in (None, v.shape)]))

    for _ in range(data.draw(st.integers(1, 14))):
        kind = data.draw(st.sampled_from(["unary", "binary", "full", "move", "select"]))
        x = pick()
        if kind == "unary":
            x = b.op(data.draw(st.sampled_from(UNARY)), x)
        elif kind == "binary":
            x = b.op(data.draw(st.sampled_from(BINARY)), x, pick(x.shape))
        elif kind == "full":
            number = b.constant(np.float32(data.draw(st.sampled_from(NUMBERS))))
            x = b.op("broadcast", number, shape=x.shape, dimensions=())
        elif kind == "select":
            test = b.op(data.draw(st.sampled_from(["lt", "eq"])), x, pick(x.shape))
            x = b.op("select", test, pick(x.shape), pick(x.shape))
        else:
            x = move(b, data, x)
        values.append(x)
    array = np.roll(SPECIAL, data.draw(st.integers(0, 11))).reshape(3, 4)
    assert_same(tidy, b.graph(values[-3:]), [array])


def move(b: Builder, data: st.DataObject, x: Value) -> Value:
    rank = len(x.shape)
    match data.draw(
        st.sampled_from(["transpose", "slice", "reverse", "concatenate", "flat", "wide"])
    ):
        case "transpose":
            return b.op("transpose", x, permutation=tuple(data.draw(st.permutations(range(rank)))))
        case "slice":
            start = tuple(data.draw(st.integers(0, n // 2)) for n in x.shape)
            stride = tuple(data.draw(st.integers(1, 2)) for _ in x.shape)
            return b.op("slice", x, start=start, limit=x.shape, stride=stride)
        case "reverse":
            return b.op("reverse", x, dimensions=(0,)) if rank else x
        case "concatenate":
            return b.op("concatenate", x, x, dimension=0) if rank else x
        case "flat":
            return b.op("reshape", x, shape=(x.type.size,))
        case _:
            shape = (2, *x.shape)
            return b.op("broadcast", x, shape=shape, dimensions=tuple(range(1, rank + 1)))


@pytest.mark.parametrize(
    ("kind", "dtype", "before", "left"),
    [
        ("sum", "float32", "exp", ["exp", "constant", "broadcast", "add"]),
        ("sum", "int32", "neg", ["neg"]),
        ("max", "float32", "exp", ["exp"]),
        ("max", "float32", "neg", ["neg", "reshape", "reduce"]),
        ("prod", "int32", "neg", ["neg"]),
    ],
)
def test_reductions_of_one_element(kind, dtype, before, left):
    """They are elementwise, unless they alone flush denormals."""
    row = Row(dtype)
    column = row.op("reshape", row.op(before, row.x), shape=(12, 1))
    assert row.simplified(row.op("reduce", column, kind=kind, axes=(1,))) == left
