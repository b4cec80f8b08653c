"""The house's own rules: who may import whom, and who may touch what is fragile."""

import ast
import re
from pathlib import Path

from tests.conftest import OF_ONE_KIND

HOME = Path(__file__).parent.parent / "tilewright"

ORDER: list[str] = list(
    (
        "frozen collector env errors checks doubts files onnx_file tree machine models graph image "
        "checksum saved trace codelets plan simulate report codegen runtime state record c_export "
        "compilation dump elsewhere stages compiler loading compare jitted calibrate mcmc alpha "
        "sequence vision serve bench talk cli"
    ).split()
)
"""Each imports only those before it."""

ONLY_IN = {"llvmlite": "codegen", "jax.extend": "trace", "jax._src": "trace"}


COMMON = {"emit", "scalar_math"}
"""Folders of `codelets/` that every family may import."""


def imports(path: Path) -> set[str]:
    """Modules that a file imports, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part(module: str) -> str:
    """`tilewright.graph.ir` belongs to "graph"."""
    return module.split(".")[1]


def violations(home: Path) -> list[str]:
    """Imports that point downwards, or at what belongs to another part."""
    found = []
    for path in sorted(home.rglob("*.py")):
        name = path.relative_to(home).with_suffix("").parts[0]
        if name == "__init__":
            continue
        for module in imports(path):
            for fragile, owner in ONLY_IN.items():
                if (module + ".").startswith(fragile + ".") and name != owner:
                    found.append(f"{path}: {module} belongs to {owner}/")
            if module.startswith("tilewright.") and part(module) in ORDER:
                other = part(module)
                if ORDER.index(other) > ORDER.index(name):
                    found.append(f"{path}: {name} imports {other}, which comes after it")
    return found


def test_imports_point_upwards():
    assert violations(HOME) == []


def joined_families(home: Path) -> list[str]:
    """Imports by which one family of codelets hangs on another, or what all write with on one."""
    families = {path.name for path in home.iterdir() if path.is_dir()} - COMMON
    found = []
    for path in sorted(home.rglob("*.py")):
        own = path.relative_to(home).parts[0]
        if own == "small":  # a few elements of any family
            continue
        for module in imports(path):
            name = module.removeprefix("tilewright.codelets.").split(".")[0]
            if module.startswith("tilewright.codelets.") and name in families - {own}:
                found.append(f"{path}: {own} imports {name}")
    return found


def test_families_of_codelets_stand_alone(tmp_path):
    assert joined_families(HOME / "codelets") == []
    for family in ("emit", "contract", "reduce"):
        (tmp_path / family).mkdir()
    (tmp_path / "contract" / "bad.py").write_text("import tilewright.codelets.reduce.row\n")
    (tmp_path / "emit" / "bad.py").write_text("from tilewright.codelets import contract\n")
    assert len(joined_families(tmp_path)) == 2


def test_a_planted_violation_is_found(tmp_path):
    folder = tmp_path / "graph"
    folder.mkdir()
    (folder / "bad.py").write_text("def late():\n    from tilewright.plan.ir import Call\n")
    (folder / "worse.py").write_text("import llvmlite.binding\n")
    assert len(violations(tmp_path)) >= 2


def test_every_part_is_in_the_order():
    names = {path.stem if path.is_file() else path.name for path in HOME.iterdir()}
    names = {name for name in names if not name.startswith(("_", "."))}
    assert names <= set(ORDER), names - set(ORDER)


def test_a_library_that_a_whole_file_of_tests_waits_for_is_a_peer():
    """So that other runs need not import it to leave those tests out."""
    files = {path: path.read_text() for path in HOME.with_name("tests").rglob("test_*.py")}
    waiting = {path for path, text in files.items() if re.search(r"(?m)^\w.*importorskip", text)}
    kinds = {path: OF_ONE_KIND.search(text) for path, text in files.items()}
    assert waiting == {path for path, kind in kinds.items() if kind and kind[1] == "peers"} != set()
