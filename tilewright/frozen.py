"""Frozen dataclasses that cost little to define and little to make.

In: a class with annotated fields, as `dataclasses.dataclass(frozen=True)` takes it. Out: the same
class, with the fields, `replace`, equality, hash and repr that it would have there.

The standard library compiles text for six methods of each class, which takes half a millisecond:
for the two hundred classes of this package that was more than half of what the first program of a
process waited for. Here methods are closures over the names of fields, and only `__init__` is text,
compiled when it is first asked for: a process makes objects of few of the classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from types import MethodType
from typing import Any, NoReturn, TypeVar, dataclass_transform, overload

C = TypeVar("C", bound=type)


@overload
def frozen(cls: C, /) -> C: ...
@overload
def frozen(*, eq: bool = True, repr: bool = True) -> Callable[[C], C]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type | None = None, /, *, eq: bool = True, repr: bool = True) -> Any:
    """A class as a frozen dataclass; without `eq`, objects are equal to themselves alone.

    Methods that the class defines itself are left as they are. Its `__init__` is described to
    `inspect` as `dataclasses` would.
    """
    if cls is None:
        return lambda cls: _made(cls, eq, repr)
    return _made(cls, eq, repr)


def _made(cls: type, eq: bool, repr: bool) -> type:
    cls.__doc__ = cls.__doc__ or cls.__name__  # else a signature is made up, the dearest of all
    dataclass(init=False, repr=False, eq=False)(cls)
    compared = tuple(f.name for f in fields(cls) if f.compare)
    shown = tuple(f.name for f in fields(cls) if f.repr)
    methods = {"__init__": _Initialiser(cls), "__setattr__": _refuse, "__delattr__": _refuse}
    if repr:
        methods["__repr__"] = _representation(shown)
    if eq:
        values = _tuple_of(compared)
        methods |= {"__eq__": _equality(values), "__hash__": lambda self: hash(values(self))}
    for name, method in methods.items():
        if cls.__dict__.get(name) is None:  # Python says None for the hash where there is an `eq`
            setattr(cls, name, method)
    return cls


def _refuse(self: object, name: str, *value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _tuple_of(names: tuple[str, ...]) -> Callable[[Any], tuple]:
    """What gives the values of those fields. Tuples are equal where their elements are the same."""
    if len(names) < 2:
        return lambda self: tuple(getattr(self, name) for name in names)
    return attrgetter(*names)


def _equality(values: Callable[[Any], tuple]) -> Callable[[Any, Any], Any]:
    def equal(self: object, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return equal


def _representation(names: tuple[str, ...]) -> Callable[[Any], str]:
    def shown(self: object) -> str:
        inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({inside})"

    return shown


class _Initialiser:
    """Stands for a class's `__init__` until somebody asks for it."""

    def __init__(self, cls: type):
        self.cls = cls

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        made = initialiser(self.cls)
        self.cls.__init__ = made
        return made if instance is None else MethodType(made, instance)


def initialiser(cls: type) -> Callable[..., None]:
    """The `__init__` of a dataclass, which writes past `__setattr__`."""
    names: dict[str, Any] = {"_missing": MISSING}
    taken: dict[bool, list[str]] = {False: [], True: []}
    lines = []
    for f in fields(cls):
        default = _default(f, names)
        if f.init:
            taken[f.kw_only is True].append(f.name + (f"={default}" if default else ""))
            made = f"_make_{f.name}() if {f.name} is _missing else {f.name}"
            value = f.name if f.default_factory is MISSING else made
        elif f.default_factory is not MISSING:
            value = f"_make_{f.name}()"
        else:
            continue
        lines.append(f"_fields[{f.name!r}] = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    keywords = ["*", *taken[True]] if taken[True] else []
    head = ", ".join(["self", *taken[False], *keywords])
    body = "\n ".join(["_fields = self.__dict__", *lines])
    exec(f"def __init__({head}):\n {body}", names)
    made = names["__init__"]
    made.__qualname__, made.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    made.__annotations__ = {f.name: f.type for f in fields(cls) if f.init} | {"return": None}
    return made


def _default(field: Field, names: dict[str, Any]) -> str:
    """What an argument's default is called, if it has one; it is put among the names."""
    if field.default_factory is not MISSING:
        names[f"_make_{field.name}"] = field.default_factory
        return "_missing"
    if field.default is MISSING:
        return ""
    names[f"_default_{field.name}"] = field.default
    return f"_default_{field.name}"
