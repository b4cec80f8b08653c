"""Structures as plain data give the leaves, and the values, that JAX's own do."""

import collections
import json
import sys

import equinox
import jax
import numpy as np
import optax
import pytest
from jax.example_libraries import optimizers

from tilewright.tree import MismatchError, Tree, tree_of

Point = collections.namedtuple("Point", "x y")
Half = collections.namedtuple("Half", "x y")
jax.tree_util.register_pytree_node(Half, lambda h: ((h.x,), None), lambda _, x: Half(*x, None))
LINEAR = equinox.filter(equinox.nn.Linear(2, 3, key=jax.random.key(0)), equinox.is_array)
VALUES = {
    "a leaf": 1,
    "nothing": None,
    "containers": ({"b": 1, "a": None}, [1, (2,)], (), {}),
    "numbers as keys": {2: "two", 1: "one"},
    "named": Point(1, {"x": Point(None, 2)}),
    "ordered": collections.OrderedDict(b=1, a=2),
    "a module": LINEAR,
    "a named tuple that is registered": [Half(Point(1, 2), None)],
    "an optimiser of JAX's examples": optimizers.adam(1e-3)[0]({"w": np.ones(3, np.float32)}),
    "an optimiser": optax.adam(1e-3).init({"w": np.ones(3, np.float32)}),
}


def described(value):
    paths, structure = jax.tree_util.tree_flatten_with_path(value)
    return tree_of(structure, [path for path, _ in paths]), structure


@pytest.mark.parametrize("name", VALUES)
def test_as_jax_does(name):
    value = VALUES[name]
    tree, structure = described(value)
    leaves = jax.tree.leaves(value)
    assert all(a is b for a, b in zip(tree.flatten(value), leaves, strict=True))
    assert jax.tree.structure(tree.unflatten(leaves)) == structure
    keys = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(value)]
    assert list(tree.paths("p")) == ["p" + key for key in keys]


@pytest.mark.parametrize("name", ["a leaf", "nothing", "containers", "numbers as keys", "named"])
def test_there_and_back(name):
    tree, _ = described(VALUES[name])
    assert Tree.from_json(json.loads(json.dumps(tree.to_json()))) == tree


def test_a_saved_structure_imports_nothing(tmp_path, monkeypatch):
    """Whoever wrote a file does not decide what runs; a class of that name and fields will do."""
    (tmp_path / "never_loaded.py").write_text("raise SystemExit(7)\n")
    monkeypatch.syspath_prepend(tmp_path)
    leaf = ["leaf", [], [], ""]
    content = ["named", [leaf, leaf], ["'.x'", "'.y'"], "never_loaded:Point"]
    tree = Tree.from_json(content)
    assert "never_loaded" not in sys.modules
    assert tree.flatten(Point(1, 2)) == [1, 2]
    assert tree.flatten(tree.unflatten([3, 4])) == [3, 4]
    assert tree.to_json() == content
    for other in ((1, 2), collections.namedtuple("Point", "y x")(1, 2)):
        with pytest.raises(MismatchError, match=r"p is a .*compiled for Point\(\*, \*\)"):
            tree.flatten(other, "p")


def test_classes_of_users_cannot_be_saved():
    with pytest.raises(MismatchError, match="holds Linear, a class of pytrees"):
        described((LINEAR,))[0].to_json()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"a": 1}, r"p\['b'\] is missing"),
        ({"a": 1, "c": 1}, r"p\['b'\] is missing"),
        ({"a": 1, "b": (1, 2), "c": 1}, r"p\['c'\] is not what"),
        (
            {"a": 1, "b": [1, 2]},
            r"p\['b'\] is a list, but the function was compiled for \(\*, \*\)",
        ),
        ({"a": 1, "b": (1,)}, r"p\['b'\] has 1 entries, but the function was compiled for 2"),
        (None, "p is a NoneType"),
        (collections.OrderedDict(a=1, b=(1, 2)), "p is an OrderedDict"),
    ],
)
def test_another_structure_is_named_where_it_differs(given, words):
    tree, _ = described({"a": 1, "b": (1, 2)})
    with pytest.raises(MismatchError, match="^" + words):
        tree.flatten(given, "p")


def test_a_module_with_other_settings_is_another_structure():
    tree, _ = described(LINEAR)
    other = equinox.filter(equinox.nn.Linear(2, 4, key=jax.random.key(0)), equinox.is_array)
    with pytest.raises(MismatchError, match="p is another Linear"):
        tree.flatten(other, "p")
    with pytest.raises(
        MismatchError, match="p is a dict, but the function was compiled for Linear"
    ):
        tree.flatten({}, "p")
