"""Frozen dataclasses are those of the standard library, but for when their methods are made."""

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import pytest

from tilewright.frozen import frozen


def both(**options) -> tuple[Any, Any]:
    """The same class twice: the standard library's, and ours."""

    def made(decorate):
        class Point:
            """A point."""

            x: float
            y: float = 2.0
            names: list = field(default_factory=list)
            note: str = field(default="", compare=False, repr=False)
            last: int = field(default=7, kw_only=True)

            def __post_init__(self):
                if self.x == -1:
                    raise ValueError("not there")

        return decorate(Point)

    return made(dataclass(frozen=True, **options)), made(frozen(**options))


CALLS = [((1.0,), {}), ((1.0, 3.0, [4]), {"last": 8}), ((), {"x": 1.0, "note": "here", "y": 5.0})]


@pytest.mark.parametrize("args, named", CALLS)
def test_objects_are_those_of_the_standard_library(args, named):
    theirs, ours = both()
    a, b = theirs(*args, **named), ours(*args, **named)
    assert repr(a) == repr(b)
    assert asdict(a) == asdict(b)
    assert [f.name for f in fields(a)] == [f.name for f in fields(b)]
    assert asdict(replace(a, x=9.0)) == asdict(replace(b, x=9.0))
    assert a.names is not theirs(*args, **named).names or "names" in named or len(args) > 2
    assert b.names is not ours(*args, **named).names or "names" in named or len(args) > 2


@pytest.mark.parametrize("args, named", [((), {}), ((1.0, 2.0, [], "", 5), {}), ((1.0,), {"z": 1})])
def test_the_same_calls_are_refused(args, named):
    for cls in both():
        with pytest.raises(TypeError):
            cls(*args, **named)


def test_what_follows_the_fields_is_run():
    for cls in both():
        with pytest.raises(ValueError, match="not there"):
            cls(-1)


def test_signatures_are_those_of_the_standard_library():
    theirs, ours = both()
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    kinds = [[p.kind for p in inspect.signature(c).parameters.values()] for c in (theirs, ours)]
    assert kinds[0] == kinds[1]


def test_nothing_can_be_assigned_or_deleted():
    point = both()[1](1.0)
    with pytest.raises(FrozenInstanceError):
        point.x = 2.0
    with pytest.raises(FrozenInstanceError):
        del point.y
    assert (point.x, point.y) == (1.0, 2.0)


@frozen
class Pair:
    first: object
    second: object = None


@frozen
class Alone:
    only: float


@frozen(eq=False)
class Node:
    name: str

    @cached_property
    def length(self):
        return len(self.name)


@frozen
class Longer(Pair):
    third: int = 3

    def __repr__(self):
        return f"longer by {self.third}"


@frozen
class Nothing:
    pass


def test_equality_and_hashes():
    assert Pair(1, 2) == Pair(1, 2)
    assert hash(Pair(1, 2)) == hash(Pair(1, 2))
    assert Pair(1, 2) != Pair(2, 1)
    assert hash(Pair(1, 2)) != hash(Pair(2, 1))
    assert Pair(1) != Longer(1)
    assert Pair(1) != (1, None)
    nan = float("nan")
    assert Alone(nan) == Alone(nan)  # the same object, as in a tuple
    assert Alone(1.0) != Alone(2.0)
    assert Nothing() == Nothing()
    assert len({Node("a"), Node("a")}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(Pair([]))


def test_what_is_not_compared_is_not_hashed():
    _, cls = both()
    a, b = cls(1.0, names=(), note="a"), cls(1.0, names=(), note="b")
    assert a == b
    assert hash(a) == hash(b)


def test_classes_may_follow_each_other():
    long = Longer(1, third=5)
    assert (long.first, long.second, long.third) == (1, None, 5)
    assert repr(long) == "longer by 5"
    assert isinstance(long, Pair)


def test_objects_may_be_copied_and_kept():
    for thing in (Pair(1, "two"), Alone(3.0), Longer(4)):
        assert copy.deepcopy(thing) == thing
        assert pickle.loads(pickle.dumps(thing)) == thing


def test_values_may_be_computed_once():
    node = Node("abc")
    assert node.length == 3
    assert "length" in vars(node)


def test_patterns_match_by_position():
    match Pair(1, 2):
        case Pair(a, b):
            assert (a, b) == (1, 2)


def test_a_field_may_have_any_name():
    @frozen
    class Held:
        held: int
        made: int = 2
        cls: int = 3

    assert repr(Held(1)).endswith("Held(held=1, made=2, cls=3)")


def test_a_class_without_a_first_object_costs_no_text():
    @frozen
    class Unused:
        x: int

    assert type(vars(Unused)["__init__"]).__name__ == "_Initialiser"
    Unused(1)
    assert inspect.isfunction(vars(Unused)["__init__"])
