"""ONNX's operators for images, each as a function of JAX: `RULES`, by the operator's name.

A rule takes a node's attributes (`Own`) and its inputs, and returns its output. What is known
before a run stays NumPy, so that shapes computed in the file are shapes here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

Own = dict[str, Any]
"""A node's attributes, and under "opset" the version of the operators."""


class RefusedError(Exception):
    """Why a node does not map, to follow its operator's name."""


# Images


def _pads(own: Own, sizes: Any, kernel: Any, strides: Any, dilations: Any) -> list[tuple[int, int]]:
    auto = own.get("auto_pad", b"NOTSET")
    if auto in (b"NOTSET", b""):
        pads = own.get("pads", [0] * (2 * len(kernel)))
        return list(zip(pads[: len(kernel)], pads[len(kernel) :], strict=True))
    if auto == b"VALID":
        return [(0, 0)] * len(kernel)
    found = []
    for size, taps, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + (taps - 1) * dilation + 1 - size)
        half = total // 2
        found.append((total - half, half) if auto == b"SAME_LOWER" else (half, total - half))
    return found


def _planar(x: Any) -> None:
    if x.ndim != 4:
        raise RefusedError(f"of {x.ndim - 2} spatial dimensions does not map")


def _conv(own: Own, x: Any, w: Any, b: Any = None) -> Any:
    from jax import lax

    _planar(x)
    kernel, ones = w.shape[2:], [1] * (w.ndim - 2)
    strides, dilations = own.get("strides", ones), own.get("dilations", ones)
    found = lax.conv_general_dilated(
        x, w, strides, _pads(own, x.shape[2:], kernel, strides, dilations),
        rhs_dilation=dilations, feature_group_count=own.get("group", 1),
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )  # fmt: skip
    return found if b is None else found + b[:, None, None]


def _conv_transpose(own: Own, x: Any, w: Any, b: Any = None) -> Any:
    """The gradient of a convolution for its input: kernel (in, out, kh, kw), turned around."""
    from jax import lax

    _planar(x)
    ones = [1] * (w.ndim - 2)
    if own.get("auto_pad", b"NOTSET") != b"NOTSET" or own.get("output_shape"):
        raise RefusedError("with auto_pad or output_shape does not map")
    if own.get("group", 1) != 1:
        raise RefusedError("in groups does not map")
    strides, dilations = own.get("strides", ones), own.get("dilations", ones)
    more = own.get("output_padding", [0] * len(ones))
    edges = _pads(own, x.shape[2:], w.shape[2:], strides, dilations)
    pads = [
        (reach - low, reach - high + extra)
        for (low, high), extra, reach in zip(
            edges, more,
            [(n - 1) * d for n, d in zip(w.shape[2:], dilations, strict=True)], strict=True,
        )
    ]  # fmt: skip
    found = lax.conv_general_dilated(
        x, w[:, :, ::-1, ::-1], [1, 1], pads, lhs_dilation=strides, rhs_dilation=dilations,
        dimension_numbers=("NCHW", "IOHW", "NCHW"),
    )  # fmt: skip
    return found if b is None else found + b[:, None, None]


def _norm(own: Own, x: Any, scale: Any, shift: Any, mean: Any, variance: Any) -> Any:
    import jax.numpy as jnp

    if own.get("training_mode"):
        raise RefusedError("in training mode does not map")
    factor = scale / jnp.sqrt(variance + np.float32(own.get("epsilon", 1e-5)))
    wide = (slice(None), *(None,) * (x.ndim - 2))
    return x * factor[wide] + (shift - mean * factor)[wide]


def _window(own: Own, x: Any, start: float, combine: Any) -> tuple[Any, Any]:
    """Windows of the last two dimensions, and their padding."""
    from jax import lax

    _planar(x)
    kernel = own["kernel_shape"]
    strides = own.get("strides", [1] * len(kernel))
    if own.get("ceil_mode") or set(own.get("dilations", [1])) != {1}:
        raise RefusedError("with ceil_mode or dilations does not map")
    pads = _pads(own, x.shape[2:], kernel, strides, [1] * len(kernel))
    sides = ((0, 0), (0, 0), *pads)
    found = lax.reduce_window(
        x, np.float32(start), combine, (1, 1, *kernel), (1, 1, *strides), sides
    )
    return found, pads


def _max_pool(own: Own, x: Any) -> Any:
    from jax import lax

    return _window(own, x, -np.inf, lax.max)[0]


def _average_pool(own: Own, x: Any) -> Any:
    from jax import lax

    found, pads = _window(own, x, 0.0, lax.add)
    if any(map(any, pads)) and not own.get("count_include_pad"):
        raise RefusedError("that leaves padding out of its means does not map")
    return found / np.float32(np.prod(own["kernel_shape"]))


def _resize(own: Own, x: Any, _: Any = None, scales: Any = None, sizes: Any = None) -> Any:
    """By whole factors, each value repeated: what nearest says where it rounds to each in turn."""
    import jax.numpy as jnp

    _planar(x)
    first = own["opset"] < 11  # scales come second there, and nothing says how: asymmetric, floor
    scales = _ if first else scales
    mode = own.get("mode", b"nearest")
    how = own.get("coordinate_transformation_mode", b"asymmetric" if first else b"half_pixel")
    near = own.get("nearest_mode", b"floor" if first else b"round_prefer_floor")
    exact = (how, near) in _REPEATING
    if mode != b"nearest" or not exact:
        raise RefusedError(f"by {mode.decode()}, {how.decode()}, {near.decode()} does not map")
    if own.get("keep_aspect_ratio_policy", b"stretch") != b"stretch":
        raise RefusedError(f"with {own['keep_aspect_ratio_policy'].decode()} does not map")
    axes = [axis % x.ndim for axis in own.get("axes", range(x.ndim))]
    wanted = (
        np.ravel(_known(scales)) if sizes is None
        else np.ravel(_known(sizes)) / np.array([x.shape[axis] for axis in axes])
    )  # fmt: skip
    factors = np.rint(wanted).astype(int)
    if not np.allclose(factors, wanted) or (factors < 1).any():
        raise RefusedError("by factors that are not whole does not map")
    for axis, factor in zip(axes, factors, strict=True):
        x = jnp.repeat(x, int(factor), axis) if factor > 1 else x
    return x


_REPEATING = {
    (b"asymmetric", b"floor"),
    (b"half_pixel", b"round_prefer_floor"),
    (b"half_pixel", b"round_prefer_ceil"),
}
"""How places are found and rounded where whole factors repeat each value."""


def _pad(own: Own, x: Any, pads: Any = None, value: Any = None, axes: Any = None) -> Any:
    import jax.numpy as jnp

    if own.get("mode", b"constant") != b"constant":
        raise RefusedError(f"by {own['mode'].decode()} does not map")
    widths = own["pads"] if pads is None else np.ravel(_known(pads)).tolist()
    over = range(x.ndim) if axes is None else np.ravel(_known(axes)).tolist()
    if min(widths, default=0) < 0:
        raise RefusedError("that crops does not map")
    sides = [(0, 0)] * x.ndim
    for axis, low, high in zip(over, widths[: len(over)], widths[len(over) :], strict=True):
        sides[axis] = (low, high)
    filling = own.get("value", 0.0) if value is None else _known(value).item()
    return jnp.pad(x, sides, constant_values=filling)


# Elements


def _hard_sigmoid(own: Own, x: Any) -> Any:
    import jax.numpy as jnp

    return jnp.clip(np.float32(own.get("alpha", 0.2)) * x + np.float32(own.get("beta", 0.5)), 0, 1)


def _hard_swish(own: Own, x: Any) -> Any:
    return x * _hard_sigmoid({"alpha": 1 / 6, "beta": 0.5}, x)


def _clip(own: Own, x: Any, low: Any = None, high: Any = None) -> Any:
    import jax.numpy as jnp

    return jnp.clip(x, own.get("min", low), own.get("max", high))


def _with(name: str) -> Callable[..., Any]:
    """A function of `jax.numpy`, or of NumPy where all it is given is known."""

    def apply(own: Own, *given: Any) -> Any:
        import jax.numpy as jnp

        return getattr(_home(given, jnp), name)(*given)

    return apply


def _home(given: Any, jnp: Any) -> Any:
    return np if all(isinstance(x, np.ndarray | np.generic) for x in given) else jnp


def _from_jax(name: str) -> Callable[..., Any]:
    def apply(own: Own, x: Any) -> Any:
        import jax

        return getattr(jax.nn, name)(x)

    return apply


def _divide(own: Own, a: Any, b: Any) -> Any:
    whole = all(np.asarray(x).dtype.kind in "iu" for x in (a, b) if isinstance(x, np.ndarray))
    known = isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
    return a // b if known and whole else a / b


def _softmax(own: Own, x: Any) -> Any:
    import jax

    old = own["opset"] < 13  # over all dimensions from the axis on
    axis = own.get("axis", 1 if old else -1) % x.ndim
    if old and axis != x.ndim - 1:
        raise RefusedError(f"over dimensions {axis} to {x.ndim - 1} together does not map")
    return jax.nn.softmax(x, axis=axis)


def _mean(own: Own, x: Any, axes: Any = None) -> Any:
    import jax.numpy as jnp

    given = own.get("axes", [] if axes is None else np.ravel(_known(axes)).tolist())
    if not given and own.get("noop_with_empty_axes"):
        return x
    over = tuple(given or range(x.ndim))
    return jnp.mean(x, over, keepdims=bool(own.get("keepdims", 1)))


def _pool(own: Own, x: Any) -> Any:
    import jax.numpy as jnp

    return jnp.mean(x, tuple(range(2, x.ndim)), keepdims=True)


def _gemm(own: Own, a: Any, b: Any, c: Any = None) -> Any:
    a = a.T if own.get("transA") else a
    b = b.T if own.get("transB") else b
    found = np.float32(own.get("alpha", 1)) * (a @ b)
    return found if c is None else found + np.float32(own.get("beta", 1)) * c


# Shapes


def _shape(own: Own, x: Any) -> np.ndarray:
    return np.array(x.shape, np.int64)


def _cast(own: Own, x: Any) -> Any:
    from onnx import helper

    kind = helper.tensor_dtype_to_np_dtype(own["to"])
    if kind in (np.int64, np.float64) and not isinstance(x, np.ndarray | np.generic):
        kind = np.dtype(kind.str.replace("8", "4"))  # JAX has no others unless it is told
    return x.astype(kind)


def _reshape(own: Own, x: Any, shape: Any) -> Any:
    wanted = [int(n) for n in np.ravel(_known(shape))]
    wanted = [
        x.shape[i] if n == 0 and not own.get("allowzero") else n for i, n in enumerate(wanted)
    ]
    return x.reshape(wanted)


def _flatten(own: Own, x: Any) -> Any:
    axis = own.get("axis", 1)
    axis += x.ndim if axis < 0 else 0
    return x.reshape(reduce(operator.mul, x.shape[:axis], 1), -1)


def _transpose(own: Own, x: Any) -> Any:
    return x.transpose(own.get("perm", range(x.ndim)[::-1]))


def _squeeze(own: Own, x: Any, axes: Any = None) -> Any:
    given = own.get("axes", None if axes is None else np.ravel(_known(axes)).tolist())
    return x.squeeze(None if given is None else tuple(given))


def _unsqueeze(own: Own, x: Any, axes: Any = None) -> Any:
    given = own["axes"] if axes is None else np.ravel(_known(axes)).tolist()
    rank = x.ndim + len(given)
    places = {axis % rank for axis in given}
    sizes = iter(x.shape)
    return x.reshape([1 if i in places else next(sizes) for i in range(rank)])


def _slice(
    own: Own, x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None
) -> Any:
    if starts is None:  # attributes before opset 10
        starts, ends = (np.array(own[name]) for name in ("starts", "ends"))
        axes = np.array(own["axes"]) if "axes" in own else None
    begin, end = (np.ravel(_known(part)).tolist() for part in (starts, ends))
    over = range(len(begin)) if axes is None else np.ravel(_known(axes)).tolist()
    by = [1] * len(begin) if steps is None else np.ravel(_known(steps)).tolist()
    index = [slice(None)] * x.ndim
    for axis, low, high, step in zip(over, begin, end, by, strict=True):
        if step < 0:
            raise RefusedError("backwards does not map")
        index[axis] = slice(low, high, step)
    return x[tuple(index)]


def _concat(own: Own, *given: Any) -> Any:
    import jax.numpy as jnp

    return _home(given, jnp).concatenate(given, own["axis"])


def _gather(own: Own, x: Any, index: Any) -> Any:
    import jax.numpy as jnp

    return _home((x,), jnp).take(x, _known(index), axis=own.get("axis", 0))


def _known(value: Any) -> np.ndarray:
    if not isinstance(value, np.ndarray | np.generic):
        raise RefusedError("by values that only a run would tell does not map")
    return np.asarray(value)


RULES: dict[str, Callable[..., Any]] = {
    "Add": _with("add"),
    "AveragePool": _average_pool,
    "BatchNormalization": _norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Div": _divide,
    "Dropout": lambda own, x, *_: x,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _pool,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Identity": lambda own, x: x,
    "MatMul": _with("matmul"),
    "MaxPool": _max_pool,
    "Mul": _with("multiply"),
    "Pad": _pad,
    "Pow": _with("power"),
    "ReduceMean": _mean,
    "Relu": _from_jax("relu"),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Sigmoid": _from_jax("sigmoid"),
    "Slice": _slice,
    "Softmax": _softmax,
    "Sqrt": _with("sqrt"),
    "Squeeze": _squeeze,
    "Sub": _with("subtract"),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
