"""Images decoded and changed ahead of those who read them, in worker processes.

In: items, and which of them are wanted in which order. Out: their pixels in that order, or the
`ImageError` of one that cannot be read. Always: what comes does not depend on how many processes
there are; at most `AHEAD` images a worker are on their way.

Workers import NumPy and Pillow, not JAX, and nothing of the user's: scripts need no guard.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from tilewright.frozen import frozen
from tilewright.vision import images
from tilewright.vision.augment import Augment, generator
from tilewright.vision.errors import ImageError
from tilewright.vision.preprocessing import Preprocessing
from tilewright.vision.sources import Item, name_of

AHEAD = 16
MANY = 64
"""Files that are worth processes of their own."""
_ROOT = Path(__file__).resolve().parents[2]
_COMMAND = "from tilewright.vision.inputs import serve; serve()"


@frozen
class Recipe:
    """What is done to each image; without `augment`, what answers are given on."""

    prepared: Preprocessing
    augment: Augment | None = None
    seed: int = 0

    def pixels(self, item: Item, number: int, epoch: int) -> np.ndarray | ImageError:
        """(size, size, 3) in 8 bits; an error is a value, too."""
        try:
            image = images.read(item, name_of(item, number))
        except ImageError as error:
            return error
        if self.augment is None:
            return self.prepared.pixels(image)
        return self.augment.pixels(image, self.prepared, generator(self.seed, epoch, number))


def stream(
    items: Sequence[Item],
    wanted: Iterable[tuple[int, int]],
    recipe: Recipe,
    workers: int | None = None,
) -> Iterator[np.ndarray | ImageError]:
    """Pixels of (epoch, number) after (epoch, number); None: as many workers as suit."""
    if workers is None:
        workers = usual_workers(items)
    if not workers:
        for epoch, number in wanted:
            yield recipe.pixels(items[number], number, epoch)
        return
    with _pool(workers) as submit:
        waiting: deque[Future] = deque()
        for epoch, number in wanted:
            waiting.append(submit((recipe, items[number], number, epoch)))
            if len(waiting) >= AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def usual_workers(items: Sequence[Item]) -> int:
    """A process for each CPU where there are many files to decode; none for arrays."""
    files = len(items) >= MANY and any(isinstance(item, Path) for item in items)
    return min(8, len(os.sched_getaffinity(0))) if files else 0


@contextmanager
def _pool(workers: int) -> Iterator[Any]:
    """A thread for each process writes what is wanted and waits for what comes back."""
    free: SimpleQueue[subprocess.Popen] = SimpleQueue()
    processes = [_started() for _ in range(workers)]
    for process in processes:
        free.put(process)

    def ask(job: Any) -> Any:
        process = free.get()
        try:
            pickle.dump(job, process.stdin)  # type: ignore[arg-type]
            process.stdin.flush()  # type: ignore[union-attr]
            return pickle.load(process.stdout)  # type: ignore[arg-type]
        except (OSError, EOFError):
            raise RuntimeError("A process that reads images has ended by itself.") from None
        finally:
            free.put(process)

    pool = ThreadPoolExecutor(workers)
    try:
        yield lambda job: pool.submit(ask, job)
    finally:
        pool.shutdown(cancel_futures=True)
        for process in processes:
            process.stdin.close()  # type: ignore[union-attr]
            process.stdout.close()  # type: ignore[union-attr]
            process.wait()


def _started() -> subprocess.Popen:
    paths = [str(_ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )


def serve() -> None:
    """A worker: jobs on standard input, pixels on standard output, until the input ends.

    Ctrl-C is the parent's to hear.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            recipe, item, number, epoch = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(recipe.pixels(item, number, epoch), sys.stdout.buffer, protocol=5)
        sys.stdout.buffer.flush()
