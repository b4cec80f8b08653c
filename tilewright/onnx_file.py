"""What every reader of ONNX files does: open one, read a node, refuse a node by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tilewright.errors import ArgumentError, UnsupportedError


def read(path: str | Path, opsets: range | None = None) -> Any:
    """The file as ONNX's own `ModelProto`, checked by ONNX's own checker.

    Raises `ArgumentError` for what cannot be read or is no ONNX file, `UnsupportedError` for one
    whose operators are of a version outside `opsets`.
    """
    import onnx

    try:
        file = onnx.load(Path(path))
        if opsets is not None and opset(file) not in opsets:
            raise UnsupportedError(
                f"{path} is of ONNX opset {opset(file)}: {opsets[0]} to {opsets[-1]} map."
            )
        onnx.checker.check_model(file)
    except UnsupportedError:
        raise
    except OSError as error:
        raise ArgumentError(f"{path} cannot be read: {error.strerror or error}.") from None
    except Exception as error:  # protobuf, the checker and the file system have their own classes
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ArgumentError(f"{path} is not an ONNX file: {first.rstrip('.')}.") from None
    return file


def opset(file: Any) -> int:
    """The version of ONNX's own operators that a file is written in."""
    return max((o.version for o in file.opset_import if o.domain in ("", "ai.onnx")), default=1)


def attributes(node: Any) -> dict[str, Any]:
    """By name, as numbers, lists, bytes and tensors."""
    import onnx

    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def refused(node: Any, why: str = "does not map") -> UnsupportedError:
    """The error that names a node, its operator and why it is not read."""
    return UnsupportedError(f"{named(node)}: {node.op_type} {why}.")


def named(node: Any) -> str:
    """How a node is called, or what it gives."""
    return f"ONNX node {node.name or node.output[0]}"


def sizes(value: Any) -> list[int]:
    """Dimensions of an input or output, 0 where the exporter left them open."""
    return [max(0, d.dim_value) for d in value.type.tensor_type.shape.dim]
