"""The halves of a step with a state, ready to run: see `graph/tick.py`.

In: the Images of its parts, and the arrays of one state. Out: calls that answer a tick, settle the
state after it, and prepare for the next. What they leave for each other lies in arrays that are
made once, here: only answers are made anew.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tilewright.image import Image, Interface, Parts
from tilewright.runtime.direct import Direct
from tilewright.runtime.made import Made
from tilewright.runtime.memory import aligned
from tilewright.runtime.signature import Signature


class Split:
    """`prepared`: for the next tick; `unsettled`: the last one is not yet all in the state.

    Where it `settles`, each leaves it so. `next` holds the array that the next tick's answer is
    written to by its `way`, once that is `expected`.
    """

    def __init__(self, parts: Parts, signature: Signature, interface: Interface):
        self._carried = [aligned(kind.shape, kind.numpy, kind.nbytes)[0] for kind in parts.carried]
        self.prepared = self.unsettled = False
        answering = self._program(parts.answer, interface, signature)
        self.answer, self.way = answering.caller(), answering.way()
        self.next: tuple[np.ndarray, ...] = ()
        silent = replace(interface, outputs=(), out_tree=None, forms_out={}, state=())
        everything = _everything(signature, silent)
        self._settle = self._prepare = None
        if parts.settle.overwrites:
            self._settle = self._program(parts.settle, silent, everything).caller()
        if parts.prepare.overwrites:
            self._prepare = self._program(parts.prepare, silent, everything).caller()
        self.settles = self._settle is not None

    def settle(self) -> None:
        if self._settle is not None:
            self._settle()
        self.unsettled = False

    def prepare(self) -> None:
        """Of a settled state."""
        if self._prepare is not None:
            self._prepare()
        if self.next:
            self.next = self._memory()
        self.prepared = True

    def expected(self) -> None:
        """From now on whoever prepares also makes the array of the answer: what is to be done when
        that has been computed waits for all that the weights have pushed out of the caches."""
        self.next = self.next or self._memory()

    def _memory(self) -> tuple[np.ndarray]:
        assert self.way is not None
        return (self.way[1](),)

    def forget(self) -> None:
        """The state has been written from outside."""
        self.prepared = self.unsettled = False

    def _program(self, image: Image, interface: Interface, signature: Signature) -> Direct:
        made = replace(image.given(self._carried), interface=interface)
        return Direct(Made(made), signature=replace(signature, interface=interface))


def _everything(signature: Signature, interface: Interface) -> Signature:
    """No argument is left to be given: a tick's, which neither reads, stands for nothing."""
    blank = {
        number: [
            np.zeros(kind.shape, kind.numpy)
            for kind in interface.inputs[signature.first(number) :][: len(list(tree.paths()))]
        ]
        for number, tree in enumerate(signature.arguments)
        if number not in signature.bound
    }
    return replace(signature, interface=interface, held=blank | dict(signature.held))
