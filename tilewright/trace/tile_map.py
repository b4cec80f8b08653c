"""`tile_map`: independent instances of a function, each whole on one tile.

It is a scan that carries nothing, which traces to a `map`; so `jit`, `vmap` and `grad` work on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp

from tilewright.errors import ArgumentError


def tile_map(fn: Callable | None = None, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
    """Apply `fn` to each slice of its arguments, as `jax.vmap` does, but one by one (MIMD).

    Under `tilewright.compile`, instances are taken from a queue by whichever tile is free, and a
    loop inside `fn` stops when its own instance is done. `in_axes` is an axis, None, or a pytree of
    them that is a prefix of the positional arguments, as for `vmap`; what has None is shared by all
    instances and not copied. Arguments by name are mapped over their first axis. Results are
    stacked along `out_axes`: an axis, or a pytree of axes that is a prefix of the result.

    Without `fn`, a decorator: `@tile_map(in_axes=(None, 0))`.

    Raises ArgumentError when axes do not fit arguments or result, or the arguments' sizes differ.
    """
    if fn is None:
        return partial(tile_map, in_axes=in_axes, out_axes=out_axes)

    @wraps(fn)
    def mapped(*args: Any, **named: Any) -> Any:
        leaves, tree = jax.tree.flatten((args, named))
        axes = [*_axes_of_leaves(in_axes, args), *([0] * len(jax.tree.leaves(named)))]
        names = _names_of_leaves(args, named)
        length = _common_size(leaves, axes, names)
        stacked = [
            jnp.moveaxis(leaf, axis, 0)
            for leaf, axis in zip(leaves, axes, strict=True)
            if axis is not None
        ]

        def instance(_: None, slices: Sequence[Any]) -> tuple[None, Any]:
            remaining = iter(slices)
            mixed = [
                leaf if axis is None else next(remaining)
                for leaf, axis in zip(leaves, axes, strict=True)
            ]
            own_args, own_named = jax.tree.unflatten(tree, mixed)
            return None, fn(*own_args, **own_named)

        return _placed(jax.lax.scan(instance, None, stacked, length=length)[1], out_axes)

    return mapped


def _axes_of_leaves(in_axes: Any, args: tuple[Any, ...]) -> list[int | None]:
    """The axis of every leaf of the arguments."""
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if isinstance(in_axes, tuple) and len(in_axes) != len(args):
        raise ArgumentError(
            f"tile_map got {len(args)} arguments for in_axes of {len(in_axes)} entries."
        )
    prefix = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
    return _prefixed("in_axes", prefix, args, shown=in_axes)


def _placed(results: Any, out_axes: Any) -> Any:
    """Instances along the axes that the caller wants them on, not the first."""
    if isinstance(out_axes, int) and out_axes == 0:
        return results
    leaves, tree = jax.tree.flatten(results)
    placed = []
    for leaf, axis in zip(leaves, _prefixed("out_axes", out_axes, results), strict=True):
        if axis is None or not -leaf.ndim <= axis < leaf.ndim:
            raise ArgumentError(
                f"tile_map cannot stack results of shape {leaf.shape[1:]} along axis {axis}."
            )
        placed.append(jnp.moveaxis(leaf, 0, axis))
    return tree.unflatten(placed)


def _prefixed(what: str, prefix: Any, tree: Any, shown: Any = None) -> list[int | None]:
    """The axis of every leaf of `tree`."""
    axes: list[int | None] = []

    def collect(axis: Any, part: Any) -> None:
        if axis is not None and (isinstance(axis, bool) or not isinstance(axis, int)):
            raise ArgumentError(f"tile_map's {what} may hold integers and None, not {axis!r}.")
        axes.extend([axis] * len(jax.tree.leaves(part)))

    try:
        jax.tree.map(collect, prefix, tree, is_leaf=lambda x: x is None)
    except (ValueError, TypeError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(
            f"tile_map's {what} {shown or prefix!r} is not a prefix of the structure it is for."
        ) from None
    return axes


def _names_of_leaves(args: tuple[Any, ...], named: dict[str, Any]) -> list[str]:
    """`args[0]['x']`, for messages."""
    paths, _ = jax.tree_util.tree_flatten_with_path(args)
    by_name, _ = jax.tree_util.tree_flatten_with_path(named)
    return [
        *(f"args{jax.tree_util.keystr(path)}" for path, _ in paths),
        *(path[0].key + jax.tree_util.keystr(path[1:]) for path, _ in by_name),
    ]


def _common_size(leaves: Sequence[Any], axes: Sequence[int | None], names: Sequence[str]) -> int:
    """How many instances there are."""
    sizes: dict[int, str] = {}
    for leaf, axis, name in zip(leaves, axes, names, strict=True):
        if axis is None:
            continue
        shape = jnp.shape(leaf)
        if not -len(shape) <= axis < len(shape):
            raise ArgumentError(f"tile_map cannot map {name} of shape {shape} over axis {axis}.")
        sizes.setdefault(shape[axis], name)
    if not sizes:
        raise ArgumentError("tile_map needs an argument with an axis to map over.")
    if len(sizes) > 1:
        found = ", ".join(f"{size} ({name})" for size, name in sizes.items())
        raise ArgumentError(f"tile_map got arguments of different sizes along their axes: {found}.")
    return next(iter(sizes))
