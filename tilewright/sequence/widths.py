"""Whether the layers of a net follow each other: each takes what the one before it gives.

In: a net as a source has it. Out: nothing, or an error that names the layer: here, rather than
where a program is compiled.
"""

from __future__ import annotations

from tilewright.errors import UnsupportedError
from tilewright.models.recurrent import Recurrent


def check_chain(net: Recurrent) -> None:
    """Raises `UnsupportedError` for widths that do not meet, and for layers of none."""
    given, kinds = net.inputs, (("Recurrent", net.layers), ("Dense", net.head))
    for kind, layers in kinds:
        for number, layer in enumerate(layers):
            name = f"{kind} layer {number}"
            if layer.inputs != given:
                raise UnsupportedError(
                    f"{name} takes {layer.inputs} features, but what comes before it gives {given}."
                )
            given = layer.outputs
            if not layer.inputs or not given:
                raise UnsupportedError(f"{name} has no features.")
