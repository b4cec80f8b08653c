"""Planted faults: is each of them seen by the tests of its folder? `make mutants` says.

A fault is a table in one of the files `tests/mutants/*.toml`, one file for each folder of the
package or for what goes through several of them:

    [[mutant]]
    name = "controls are sampled with the real targets"      one line, unlike any other's
    file = "tilewright/alpha/program.py"      where it is planted; if the text has moved on, it is
                                              looked for in all of tilewright/alpha; or that folder
    tests = "tests/alpha"          what must catch it: a folder, files, or pytest's node names
    old = "corner = series, first"            occurs exactly once, in the file or else the folder
    new = "corner = 0 * series, first"        stands there instead
    equivalent = "why"             only if no test can see it, as nothing that is promised changes

Texts of several lines stand between triple single quotes, whose first newline is not part of them.
`tests` is a string or a list of strings, as narrow as is honest: it is run with `pytest -x`.

Every patch is applied before anything runs: one whose `old` is not found exactly once, whose result
is not Python, or whose tests are not there, ends the whole with a sentence, as files move on and
the list must follow (a test of the default suite says so, too). Then the tests named are run once
without any fault, and must pass; then each fault is planted in a copy of the tree, alone, with an
empty cache of compiled objects. A failure, a crash, or a run of `LIMIT` times its usual length
means that it was caught. The exit code is 1 when one survived that is not explained, or one was
caught that is said to be equivalent.

    python -m tests.mutants.run [--check] [--only WORDS] [--jobs N]

What it said when these lists were run last, folder by folder (AMD EPYC, Zen 4, two busy cores: an
hour and a half; faults that came since then are not in it):

| folder | faults | caught | equivalent |
| --- | --- | --- | --- |
| alpha | 53 | 53 | 0 |
| codegen | 20 | 20 | 0 |
| codelets | 28 | 28 | 0 |
| graph | 33 | 33 | 0 |
| machine, calibrate | 7 | 7 | 0 |
| others | 5 | 5 | 0 |
| plan | 47 | 47 | 0 |
| runtime | 24 | 24 | 0 |
| trace | 32 | 32 | 0 |

Some forty of these survived when they were planted first: each got a test (a few had one that could
not fail), but for three in lines that no function of JAX's reaches, which are gone.

Of 586 faults, 368 taken at random were planted once more since then: 362 were caught, and six had
slipped through as tests or sources moved on (halves of a step that were made beforehand, keys'
fields, chunks' memory, what an answer overwrites). They are caught again.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("tilewright", "tests", "examples", "bench", "docs", "pyproject.toml", "README.md")
KEYS = {"name", "file", "tests", "old", "new"}
LIMIT, AT_LEAST = 5.0, 60.0
"""Times the usual length of a run, and seconds that are always given."""
CAUGHT, SURVIVED, EQUIVALENT, WRONG = (
    "caught",
    "SURVIVED",
    "equivalent",
    "CAUGHT, though equivalent",
)


@dataclass(frozen=True)
class Mutant:
    """One fault."""

    name: str
    file: str
    tests: tuple[str, ...]
    old: str
    new: str
    equivalent: str = ""

    def planted(self, root: Path) -> tuple[Path, str]:
        """Which file of a tree it is in, and what that file holds with the fault.

        Exits with a sentence when it cannot be planted, or its tests are not there.
        """
        for test in self.tests:
            name, _, function = test.partition("::")
            there = (root / name).exists()
            if not there or (function and f"def {function}(" not in (root / name).read_text()):
                sys.exit(f"{self.name!r}: there is no {test}.")
        path = self._place(root)
        after = path.read_text().replace(self.old, self.new)
        try:
            compile(after, str(path), "exec")
        except SyntaxError as error:
            name = path.relative_to(root)
            sys.exit(f"{self.name!r}: {name} is no longer Python with it: {error}.")
        return path, after

    def _place(self, root: Path) -> Path:
        """The file with its old text: the one named, or the only one beside it or below."""
        named = root / self.file
        counts = self._counts([named] if named.is_file() else [])
        if not counts:
            folder = root.joinpath(*Path(self.file).parts[:2])
            counts = self._counts(folder.rglob("*.py") if folder.is_dir() else [])
        if sum(counts.values()) != 1:
            sys.exit(
                f"{self.name!r}: its old text must occur once in {self.file} or its folder, and "
                f"occurs {sum(counts.values())} times:\n{self.old}"
            )
        return next(iter(counts))

    def _counts(self, files: Iterable[Path]) -> dict[Path, int]:
        """How often the old text occurs in those files that have it."""
        counts = {file: file.read_text().count(self.old) for file in files}
        return {file: count for file, count in counts.items() if count}


def load(folder: Path) -> list[Mutant]:
    """All faults of a folder's lists, in order. Exits with a sentence when one is not well said."""
    found: list[Mutant] = []
    for path in sorted(folder.glob("*.toml")):
        for entry in tomllib.loads(path.read_text())["mutant"]:
            name = f"{path.name}: {entry.get('name', entry)!r}"
            if not KEYS <= set(entry) <= {*KEYS, "equivalent"}:
                sys.exit(f"{name} has {sorted(entry)}, and must have {sorted(KEYS)}.")
            tests = entry["tests"]
            entry["tests"] = (tests,) if isinstance(tests, str) else tuple(tests)
            found.append(Mutant(**entry))
            if found[-1].old == found[-1].new:
                sys.exit(f"{name} changes nothing.")
    names = [mutant.name for mutant in found]
    for name in names:
        if names.count(name) > 1:
            sys.exit(f"Two faults are called {name!r}.")
    return found


def complaints(mutants: Iterable[Mutant], root: Path) -> list[str]:
    """Why faults cannot be planted in a tree, a sentence for each of them."""
    found = []
    for mutant in mutants:
        try:
            mutant.planted(root)
        except SystemExit as error:
            found.append(str(error))
    return found


def copy_tree(root: Path, to: Path) -> Path:
    """What tests need of a tree, without compiled files."""
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (root / name).exists():
            shutil.copy(root / name, to / name)
    return to


def run_tests(tree: Path, tests: tuple[str, ...], limit: float | None = None) -> tuple[str, float]:
    """Why tests of a tree fail ("" if they pass), and the seconds they took."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tilewright-mutant-cache-") as cache:
        environment = os.environ | {
            "PYTHONPATH": str(tree),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # they cost more than most of the tests
            "PYTHONDONTWRITEBYTECODE": "1",  # a patch within a second would not be noticed
            "TILEWRIGHT_CACHE": cache,
        }
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        with subprocess.Popen(
            command,
            cwd=tree,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                return "it does not end", time.monotonic() - begin
    seconds = time.monotonic() - begin
    if process.returncode in (4, 5):  # nothing was run
        sys.exit(f"pytest cannot run {' '.join(tests)}:\n{output[-2000:]}")
    if process.returncode < 0:
        return f"signal {-process.returncode}", seconds
    failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return ("" if process.returncode == 0 else (failed or ["an error"])[0]), seconds


def usual(tree: Path, mutants: list[Mutant]) -> dict[tuple[str, ...], float]:
    """Seconds that each set of tests takes without a fault. Exits when one fails."""
    found = {}
    for tests in dict.fromkeys(mutant.tests for mutant in mutants):
        why, found[tests] = run_tests(tree, tests)
        if why:  # on a busy machine, some test of time may fail once
            why, found[tests] = run_tests(tree, tests)
        print(f"without a fault  {found[tests]:6.1f} s  {' '.join(tests)}", flush=True)
        if why:
            sys.exit(f"These tests fail without any fault: {why}")
    return found


def verdict(mutant: Mutant, why: str) -> str:
    """In a word."""
    if mutant.equivalent:
        return WRONG if why else EQUIVALENT
    return CAUGHT if why else SURVIVED


def judge(mutants: list[Mutant], root: Path, jobs: int) -> list[str]:
    """Plant each fault in turn; verdicts, in order. Prints a line for each."""
    with tempfile.TemporaryDirectory(prefix="tilewright-mutants-") as folder:
        trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(jobs):
            trees.put(copy_tree(root, Path(folder) / str(number)))
        seconds = usual(Path(folder) / "0", mutants)

        def one(mutant: Mutant) -> str:
            tree = trees.get()
            path, after = mutant.planted(tree)
            before = path.read_text()
            try:
                path.write_text(after)
                limit = max(AT_LEAST, LIMIT * jobs * seconds[mutant.tests])
                why, spent = run_tests(tree, mutant.tests, limit)
            finally:
                path.write_text(before)
                trees.put(tree)
            said = verdict(mutant, why)
            print(f"{said:15}  {spent:6.1f} s  {path.relative_to(tree)}: {mutant.name}", flush=True)
            detail = (mutant.equivalent or why.split(" - ")[0])[:140]
            print(f"{'':26} {detail}" if detail else "", end="\n" if detail else "", flush=True)
            return said

        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(one, mutants))


def table(mutants: list[Mutant], said: list[str]) -> str:
    """How many of each folder of the package were caught; "others" are files beside the folders."""
    rows: dict[str, list[str]] = {}
    for mutant, word in zip(mutants, said, strict=True):
        parts = Path(mutant.file).parts
        rows.setdefault("others" if parts[1].endswith(".py") else parts[1], []).append(word)
    lines = ["| folder | faults | caught | equivalent |", "| --- | --- | --- | --- |"]
    for name, words in [*sorted(rows.items()), ("all", said)]:
        real = len(words) - words.count(EQUIVALENT)
        caught = words.count(CAUGHT)
        shown = f"{caught}" if caught == real else f"{caught} of {real}"
        lines.append(f"| {name} | {len(words)} | {shown} | {words.count(EQUIVALENT)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Planted faults, and whether tests see them.")
    parser.add_argument("--check", action="store_true", help="only whether all can be planted")
    parser.add_argument("--only", default="", help="those with these words in name or file")
    parser.add_argument("--jobs", type=int, default=1)
    chosen = parser.parse_args()
    everything = load(Path(__file__).parent)
    if wrong := complaints(everything, ROOT):
        sys.exit("\n".join(wrong))
    mutants = [m for m in everything if chosen.only in m.name or chosen.only in m.file]
    print(f"{len(mutants)} of {len(everything)} faults, and all of them can be planted.")
    if chosen.check or not mutants:
        return
    said = judge(mutants, ROOT, max(1, chosen.jobs))
    print(table(mutants, said))
    sys.exit(SURVIVED in said or WRONG in said)


if __name__ == "__main__":
    main()
