"""What the estimators of sequences have in common: settings, training, answers.

In: what `given.py` reads, with targets in most rows. Out: trained nets, one for each seed, and what
they say.
"""

from __future__ import annotations

import hashlib
import warnings
from abc import abstractmethod
from itertools import pairwise
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from tilewright.checks import one_of, whole
from tilewright.errors import ArgumentError
from tilewright.models import forecaster
from tilewright.models.forecaster import Forecaster
from tilewright.models.recurrent import Layer, Recurrent
from tilewright.sequence import doubts, saved, sequences
from tilewright.sequence.checkpoint import Checkpoint
from tilewright.sequence.code_mark import mark_of
from tilewright.sequence.fitting import Task, answered, example, fitted
from tilewright.sequence.given import SequenceReader
from tilewright.sequence.live_stream import live_stream
from tilewright.sequence.moved import moved
from tilewright.sequence.pieces import Table
from tilewright.sequence.precision import PRECISIONS, in_precision, law_of
from tilewright.sequence.sequences import Sequences
from tilewright.sequence.stream import Stream
from tilewright.sequence.training import MOST_RETREATS, Hyper, Recipe, Rows

HISTORY = 64
"""Epochs for which there is room, a multiple of this."""
TURN = 128
"""Rows of a sequence that are read in one turn when it is only answered."""
ENDLESS = 2**31 - 1
UNSEEN = ("checkpoint", "checkpoint_seconds", "precision")
"""Settings that a checkpoint does not hold: where it lies, how trained nets are asked."""


class SequenceEstimator(SequenceReader):
    """Not for use by itself. Sub-classes say what the net is (`_form`) and what y must be.

    X is (samples, steps, inputs), or (samples, columns), the columns cut into `steps` parts, with
    y (samples,) or (samples, targets); or a `Panel`, one answer a row, without y. Samples must be
    in order of time: fits are stopped by the later ones. Inputs are standardised by what is learned
    from.

    Parameters that all have
    ------------------------
    cell : "lstm" or "gru"; hidden : units a layer; layers : one upon the other.
    steps : parts into which columns are cut.
    steps_back, warm_up, carry : of a Panel. Pieces of `steps_back` rows are learned from, the
        gradient goes no further back. A shorter sequence is one piece; none may be longer than the
        longest sequence. `warm_up` rows before them are read without loss. With `carry` pieces
        follow each other, and the state is kept from one to the next.
    seeds : nets, from different random starts; answers are their mean, or mixture. Each is on one
        core; a single one has all cores.
    epochs, batch_size, learning_rate, weight_decay, clip : of AdamW behind a gradient whose norm is
        at most `clip`. optimizer : any transformation of optax's in its place.
    average : the share that averaged weights keep a step; 0 for the newest weights.
    validation : share of the targets, the last in time, that fits are stopped by; 0 for all epochs.
    patience : epochs without a better score on them. horizon : ranks of time until a target is
        known; targets not known when the later part begins are not learned from.
    refit : "steps" trains again, on everything, for the number of steps that was best.
    warm_start : another `fit` goes on from the nets of the one before, on whatever data.
    density : share of the blocks of the cells' matrices that are left when `prune_epochs` are over,
        each of `block_rows` (1, 4 or 16) rows and 16 columns, the least in magnitude gone first;
        streams and libraries for C skip what is gone. Nets of that density are judged alone.
    checkpoint : path of a file; a fit that was killed goes on from it, and ends with the same bits.
    checkpoint_seconds : between two writings of it.
    machine : "native", or "xla" for JAX's default device. random_state : a whole number for the
        same bits every time.
    precision : of the cells' products in all that the nets say, `to_stream` included (see
        `sequence/precision.py`). They are trained in float32, and can be asked in another
        precision by `set_params`.

    Attributes: `nets_` (parameters, with a leading axis of seeds), `scores_` (seeds, epochs, 2:
    mean loss while learning and on later data), `best_step_` (seeds,), `retreats_` (seeds,: times
    that a fit went back from a loss that was not finite, with half the rate), `failure_` (empty, or
    why the nets should not be trusted).
    """

    def __init__(
        self,
        cell: str = "lstm",
        hidden: int = 32,
        layers: int = 1,
        steps: int = 1,
        steps_back: int = 64,
        warm_up: int = 64,
        carry: bool = False,
        seeds: int = 1,
        epochs: int = 100,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-4,
        clip: float = 1.0,
        average: float = 0.98,
        validation: float = 0.2,
        patience: int = 10,
        horizon: int = 1,
        refit: str | None = None,
        warm_start: bool = False,
        optimizer: Any = None,
        density: float = 1.0,
        block_rows: int = 4,
        prune_epochs: int = 20,
        checkpoint: str | Path | None = None,
        checkpoint_seconds: float = 30.0,
        machine: str = "native",
        precision: str = "float32",
        random_state: Any = 0,
    ):
        self.cell = cell
        self.hidden = hidden
        self.layers = layers
        self.steps = steps
        self.steps_back = steps_back
        self.warm_up = warm_up
        self.carry = carry
        self.seeds = seeds
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clip = clip
        self.average = average
        self.validation = validation
        self.patience = patience
        self.horizon = horizon
        self.refit = refit
        self.warm_start = warm_start
        self.optimizer = optimizer
        self.density = density
        self.block_rows = block_rows
        self.prune_epochs = prune_epochs
        self.checkpoint = checkpoint
        self.checkpoint_seconds = checkpoint_seconds
        self.machine = machine
        self.precision = precision
        self.random_state = random_state

    @abstractmethod
    def _form(self, inputs: int, targets: int) -> Forecaster:
        """What is trained, for so many inputs and targets."""

    @abstractmethod
    def _checked(self, X: Any, y: Any) -> Sequences:
        """What `fit` is given, once settings and data are found to be in order."""

    def _train(self, given: Sequences) -> Self:
        """All fits, on the earlier part; and again on everything, if asked for."""
        task = self._task(given)
        fit = self._fitted(task, "")
        again = self._ended(given, task, fit)
        return self._kept(fit, None if again is None else self._fitted(again, ".again"))

    def _task(self, given: Sequences) -> Task:
        """What is learned and what it is stopped by; scalers are those of the former."""
        if self._of_panel:
            doubts.check_lengths(given, self.steps_back)
        last, first = sequences.divided(given, self.validation, self.horizon)
        self._doubt(given, last)
        before = (self.nets_, *self._scalers()) if self._goes_on() else None
        self._scale(given, last)
        rows = Rows(*self._scaled(given), self._weights(given))
        reading = self._reading()
        form = self._form(rows.x.shape[1], rows.y.shape[1])
        room = -(-(self.epochs + MOST_RETREATS) // HISTORY) * HISTORY
        tall = self.block_rows if self.density < 1 else 0
        self._recipe = Recipe(form, self.batch_size, reading.steps, room, self.optimizer, tall)
        return Task(
            self._keys(),
            self._hyper(),
            rows,
            sequences.learned(given, last, reading),
            sequences.later(given, first, reading),
            None if before is None else moved(form, *before, *self._scalers()),
        )

    def _doubt(self, given: Sequences, last: int) -> None:
        """Refuse, or say, what may not have been meant."""
        doubts.notice_inputs(given, last, self.inputs_ if self._of_panel else None)

    def _ended(self, given: Sequences, task: Task, fit: Any) -> Task | None:
        """If asked for, on all data as many steps as were best; nothing is left to stop by.

        None, too, where no net has learned anything: nobody knows how many.
        """
        self.scores_, self.best_step_ = fit.scores[:, : int(fit.epoch.max())], fit.best_step
        self.nets_ = fit.best
        self._stopped(given)
        found = fit.best_step[fit.best_step > 0]
        if self.refit != "steps" or not len(found):
            return None
        reading, steps = self._reading(), int(np.median(found))
        everything = sequences.learned(given, int(given.when.max()), reading)
        none = sequences.later(given, int(given.when.max()) + 1, reading)
        # Of more data, as many steps are fewer epochs: pruning is over with as many steps.
        faster = self._turns(task.learned) / max(1, self._turns(everything))
        hyper = task.hyper._replace(
            steps=np.int32(steps),
            epochs=np.int32(self._recipe.epochs),
            ramp=np.float32(self.prune_epochs * faster),
        )
        return task._replace(learned=everything, later=none, hyper=hyper)

    def _stopped(self, given: Sequences) -> None:
        """What is found by nets that have not learned from the later data, if anything is."""

    def _turns(self, table: Table) -> int:
        """Steps of an epoch."""
        return int(-(-table.count // self.batch_size) * table.turns)

    def _kept(self, fit: Any, again: Any | None = None) -> Self:
        """The nets of a fit that is over, or of one on all data; what went wrong in either."""
        fits = [fit] if again is None else [fit, again]
        self.nets_ = fits[-1].best
        self._notice(*fits)
        return self

    def _fitted(self, task: Task, suffix: str) -> Any:
        """To the end, from a checkpoint on if there is one; its name has that suffix."""
        if self.checkpoint is None:
            return fitted(self._recipe, task, self.machine)
        data = (jax.random.key_data(task.keys), *task[1:])
        file = Checkpoint(f"{self.checkpoint}{suffix}", self._settings(), data)
        begun = file.read(example(self._recipe, task))
        fit = fitted(
            self._recipe, task, self.machine, begun, file.write, float(self.checkpoint_seconds)
        )
        if begun is None or not np.all(begun.over):
            file.write(fit)
        return fit

    def _settings(self) -> dict[str, Any]:
        """All that bits depend on, but for the data; of an optimiser, what it computes."""
        found = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in UNSEEN and (name != "random_state" or isinstance(value, Integral))
        }
        if self.optimizer is not None:
            found["optimizer"] = mark_of(self.optimizer, self._recipe.form)
        return found

    def _goes_on(self) -> bool:
        """Whether there are nets to go on from. Raises `ArgumentError` where they are others."""
        if not self.warm_start or not hasattr(self, "nets_"):
            return False
        form = self._form(self.n_features_in_, len(self.target_centre_))
        wanted = jax.eval_shape(lambda: forecaster.initial(form, jax.random.key(0)))
        shapes = [(self.seeds, *leaf.shape) for leaf in jax.tree.leaves(wanted)]
        if [leaf.shape for leaf in jax.tree.leaves(self.nets_)] != shapes:
            raise ArgumentError("warm_start needs as many nets as before, of the same sizes.")
        return True

    def _scalers(self) -> tuple[np.ndarray, ...]:
        return self.centre_, self.unit_, self.target_centre_, self.target_unit_

    def _weights(self, given: Sequences) -> np.ndarray:
        """Of each row's loss, (rows, 1)."""
        return np.ones((len(given.x), 1), np.float32)

    def to_stream(
        self, streams: int = 1, *, nan: str = "refuse", tiles: int | None = None
    ) -> Stream:
        """Answers to ticks (streams, inputs) as they come, for streams that have a state each.

        Ticks are inputs as they were given, scaling is part of the program. An answer is what
        `_live` of the estimator says: see there. Of targets with a base scale it is in its units.

        Raises `ArgumentError` as `sequence.Model.stream` does.
        """
        check_is_fitted(self, "nets_")
        whole("streams", streams, 1)
        scaling = np.array([self.centre_, 1 / self.unit_], np.float32)
        return live_stream(
            self._recipe.form,
            self._asked(),
            scaling,
            self._live,
            streams,
            precision=self.precision,
            pruned=self.density < 1,
            nan=nan,
            tiles=tiles,
        )

    @abstractmethod
    def _live(self, z: Any, hidden: Any) -> Any:
        """From z (streams, nets, width) and h (streams, nets, hidden), a tick's answer."""

    def save(self, path: str | Path) -> None:
        """Write the fitted estimator into a safetensors file, which `load` reads; no pickle.

        An `optimizer` is code and is not kept. Raises `ArgumentError` where it cannot be written.
        """
        check_is_fitted(self, "nets_")
        saved.save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The fitted estimator that `save` wrote; it says the same to the bit.

        Raises `ArgumentError` for a file that holds none, or one of another class.
        """
        return saved.load(cls, path)

    def _found(self) -> dict[str, Any]:
        """What `fit` found, but for the nets: all that `load` needs; in the same order however
        often it was called."""
        return {
            name: value
            for name, value in sorted(vars(self).items())
            if name not in (*self.get_params(deep=False), "nets_", "_recipe")
        }

    def _remake(self) -> Forecaster:
        """The recipe of answers, from what `load` has read."""
        form = self._form(len(self.centre_), len(self.target_centre_))
        self._recipe = Recipe(form, self.batch_size, self.steps_, 0)
        return form

    def _said(self, given: Sequences, hidden: bool = False) -> np.ndarray:
        """What each net says: (nets, answers, width or hidden)."""
        x, _ = self._scaled(given)
        steps = self.steps_
        if not given.at_end:
            steps = min(TURN, -(-int((given.end - given.begin).max()) // 8) * 8)
        batch = min(self.batch_size, 1 << (len(given.begin) - 1).bit_length())
        recipe = Recipe(self._recipe.form, batch, steps, 0)
        table = sequences.everything(given, steps)
        nets = self._asked()
        law = None if self.machine == "xla" else law_of(self.precision)
        return given.answers(answered(recipe, nets, x, table, self.machine, hidden, law))

    def _asked(self) -> Any:
        """The nets in the precision in which they answer."""
        one_of("precision", self.precision, PRECISIONS)
        if self.precision == "float32":
            return self.nets_
        nets = [jax.tree.map(lambda a, i=i: a[i], self.nets_) for i in range(self.seeds)]
        found = [net._replace(net=in_precision(net.net, self.precision)) for net in nets]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *found)

    def _hyper(self) -> Hyper:
        numbers = (self.learning_rate, self.weight_decay, self.clip, self.average)
        counts = (self.patience, self.epochs, ENDLESS)
        pruning = (self.density, self.prune_epochs)
        return Hyper(*map(np.float32, numbers), *map(np.int32, counts), *map(np.float32, pruning))

    def _keys(self) -> Any:
        """One for each seed; the first is the same however many there are."""
        state = self.random_state
        if not isinstance(state, Integral):
            state = check_random_state(state).randint(2**63, dtype=np.int64)
        digest = hashlib.sha256(str(int(state)).encode()).digest()
        base = jax.random.key(int.from_bytes(digest[:8], "little") >> 1)
        return jax.vmap(lambda i: jax.random.fold_in(base, i))(np.arange(self.seeds))

    def _notice(self, *fits: Any) -> None:
        """Say how often they went back, one training or two, and whether any seed has failed."""
        retreats = np.stack([fit.retreats for fit in fits])
        failed = np.flatnonzero((retreats > MOST_RETREATS).any(axis=0))
        self.retreats_, self.failure_ = retreats.sum(axis=0), ""
        if len(failed):
            self.failure_ = (
                f"the loss of {len(failed)} of {self.seeds} fits was not finite, also at "
                f"{2.0**-MOST_RETREATS:g} of the learning rate"
            )
            warnings.warn(f"Training failed: {self.failure_}.", ConvergenceWarning, stacklevel=4)
        elif self.retreats_.any():
            warnings.warn(
                f"The loss of {np.count_nonzero(self.retreats_)} of {self.seeds} fits was not "
                "finite: they went back, with half the rate, at most "
                f"{self.retreats_.max()} times.",
                ConvergenceWarning, stacklevel=4,
            )  # fmt: skip

    def _net(self, inputs: int) -> Recurrent:
        sizes = [inputs] + [self.hidden] * self.layers
        return Recurrent(
            tuple(Layer(self.cell, *pair) for pair in pairwise(sizes)),
            reads="every step",
        )
