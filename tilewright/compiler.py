"""`compile`: a JAX function becomes one native program.

JAX function -trace-> Graph, and from there on `stages.py`: every pass, in order, on one screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tilewright.collector import held_off
from tilewright.compilation import Source, compiled
from tilewright.dump import Dump
from tilewright.errors import ArgumentError
from tilewright.graph.by_law import by_law
from tilewright.graph.text import to_text
from tilewright.image import Interface
from tilewright.machine.catalogue import machine as named
from tilewright.machine.host import host_machine, with_memory
from tilewright.machine.machine import Machine
from tilewright.runtime.executable import Executable
from tilewright.runtime.parameters import Parameters, parameters
from tilewright.runtime.stateful import Stateful
from tilewright.stages import Stages
from tilewright.state import initial_state, state_arguments, with_state
from tilewright.tree import tree_of

if TYPE_CHECKING:
    from tilewright.runtime.modelled import Modelled
    from tilewright.runtime.xla import XlaExecutable
    from tilewright.trace import Traced


@held_off()
def compile(
    fn: Callable,
    *example_args: Any,
    machine: str | Path | Machine | None = None,
    tiles: int | None = None,
    state: str | Sequence[str] | None = None,
    law: str | None = None,
    stages: int | None = None,
    memory_limit: int | None = None,
    **example_named: Any,
) -> Executable:
    """Compile `fn` for the shapes and dtypes of its example arguments, given as in a call of it.

    They are pytrees of arrays or `jax.ShapeDtypeStruct`s. `machine` None or "native" is this host;
    "xla" runs `fn` through `jax.jit` on JAX's default device; "ipu:gc200", or any other machine
    whose tiles share no memory, gives a `Modelled`: what it would take there. `tiles` is the number
    of tiles at most (default and limit: one for each CPU that the process may use); results do not
    depend on it. They are those of `jax.jit` but for rounding, and for the signs of eigenvectors
    and singular vectors, which are not LAPACK's.

    `state` names arguments that the program keeps, and overwrites at each call: `fn` returns a
    tuple that begins with their new values; the rest of it is what a call returns. The result is
    then a `Stateful`. Its state begins with the example's values, or zeros where that has none.

    `law` names the order of sums (`graph/law.py`): "host"; "fine", whose short leaves keep more
    tiles of a modelled machine at work, and cost hosts time; or "pairs", in which processors with
    AVX512-BF16 multiply bfloat16 twice as fast. Bits depend on it, and on no machine.

    `stages`, on a modelled machine of several chips, cuts `fn` into so many parts, each on a chip
    of its own; if `fn` is a `tile_map`, its instances go from chip to chip, one behind the other.

    `memory_limit`, in bytes, is what a call may take on this host, arguments and results included
    (None: all there is). Where the fastest program takes more, as much is computed anew, rather
    than stored, as can be: the same bits, later. What a tile works in counts once for each of
    `tiles`, and for each CPU at least. `report()` says what is taken.

    Raises `UnsupportedError` for what cannot be expressed, `ArgumentError` for a bad argument,
    `CapacityError` for what fits neither this host, or its limit, nor a modelled machine.
    """
    called = parameters(fn, example_args, example_named)
    return compiled_as(called, machine, tiles, state, law, stages, memory_limit)


def compiled_as(
    called: Parameters,
    machine: str | Path | Machine | None = None,
    tiles: int | None = None,
    state: str | Sequence[str] | None = None,
    law: str | None = None,
    stages: int | None = None,
    memory_limit: int | None = None,
) -> Executable:
    """`compile` for a call whose arguments have names already."""
    elsewhere = None if machine in (None, "native", "xla") else _elsewhere(machine)
    if tiles is not None and (type(tiles) is not int or tiles < 1):
        raise ArgumentError(f"tiles must be a positive whole number, not {tiles!r}.")
    if memory_limit is not None:
        _check_limit(memory_limit, machine)
    kept = state_arguments(state, called)
    if elsewhere is not None:
        if kept:
            raise ArgumentError("A modelled machine keeps no state: compile for this host instead.")
        return _modelled(called, elsewhere, tiles, law, stages)  # type: ignore[return-value]
    if stages is not None:
        raise ArgumentError("stages are chips of a modelled machine: machine must be one of those.")
    if machine == "xla":
        return _by_xla(called, kept, law)  # type: ignore[return-value]
    return _native(called, kept, tiles, law, memory_limit)


def _check_limit(limit: object, machine: object) -> None:
    """Raises `ArgumentError` for what is no number of bytes, or not of this host."""
    if type(limit) is not int or limit < 1:
        raise ArgumentError(f"memory_limit must be a positive whole number, not {limit!r}.")
    if machine not in (None, "native"):
        raise ArgumentError("memory_limit is of this host: machine must be None.")


def _native(
    called: Parameters,
    kept: Sequence[int],
    tiles: int | None,
    law: str | None,
    memory_limit: int | None,
) -> Executable:
    """For this host; `kept` are the numbers of the arguments that are state."""
    from tilewright.trace import trace  # JAX takes a second to import

    traced, host = trace(called.fn, *called.values, names=called.given), host_machine()
    host = host if memory_limit is None else with_memory(host, memory_limit, tiles or 1)
    graph, interface, hidden = traced.graph, _interface(called, traced), len(traced.constants)
    if kept:
        graph, interface = with_state(traced, called, interface, kept)
    graph = by_law(graph, law)
    source = Source(
        to_text(graph, sources=False),
        tuple(traced.constants),
        interface,
        tiles,
        host,
        lambda: Stages(graph, Dump(interface.name), machine=host, hidden=hidden),
    )
    if kept:
        return Stateful(compiled(source), initial_state(called, interface))
    return Executable(compiled(source))


def _by_xla(called: Parameters, kept: Sequence[int], law: str | None) -> XlaExecutable:
    if kept:
        raise ArgumentError('machine="xla" keeps no state: compile for this host instead.')
    if law is not None:
        raise ArgumentError('machine="xla" has an order of sums of its own: law must be None.')
    from tilewright.runtime.xla import XlaExecutable

    return XlaExecutable(called)


def _elsewhere(machine: object) -> Machine:
    """A machine whose tiles share no memory."""
    if not isinstance(machine, str | Path | Machine):
        raise ArgumentError(
            f'machine must be "native", "xla", a machine by name or file, or None, not {machine!r}.'
        )
    found = named(machine)
    if not found.chip.exchange.apart:
        raise ArgumentError(
            f"{found.name} is not compiled for: tilewright.compare says what it would take; "
            'machine must be "native", "xla", an IPU or a Tenstorrent card.'
        )
    return found


def _modelled(
    called: Parameters, machine: Machine, tiles: int | None, law: str | None, parts: int | None
) -> Modelled:
    from tilewright.runtime.modelled import Modelled  # it takes rich along, and the simulator
    from tilewright.trace import trace

    if parts is not None and (type(parts) is not int or not 1 <= parts <= machine.chips):
        chips = f"{machine.chips} chip{'s' * (machine.chips > 1)} of {machine.name}"
        raise ArgumentError(f"stages must be a whole number from 1 to the {chips}, not {parts!r}.")
    traced = trace(called.fn, *called.values, names=called.given)
    name, hidden = _interface(called, traced).name, len(traced.constants)
    graph = by_law(traced.graph, law)

    stages = Stages(graph, Dump(name), machine=machine, hidden=hidden, parts=parts)

    def native() -> Executable:
        return compile(called.fn, *called.values, tiles=tiles, law=law)

    return Modelled(name, machine, lambda: stages.ways, native, graph.law)


def _interface(called: Parameters, traced: Traced) -> Interface:
    """What is known of a program before its graph is: arguments, results, names."""
    from jax.tree_util import tree_flatten_with_path

    hidden = len(traced.constants)
    paths, structure = tree_flatten_with_path(called.values)
    return Interface(
        name=getattr(called.fn, "__name__", "program"),
        inputs=tuple(value.type for value in traced.graph.inputs[hidden:]),
        outputs=tuple(value.type for value in traced.graph.outputs),
        in_tree=tree_of(structure, [path for path, _ in paths]),
        out_tree=tree_of(traced.out_tree),
        argument_names=called.names,
        positional=called.positional,
        forms_in=MappingProxyType(traced.in_forms),
        forms_out=MappingProxyType(traced.out_forms),
    )
