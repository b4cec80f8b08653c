"""What the pages say can be followed: links lead somewhere, code is Python, commands exist."""

import ast
import re
from pathlib import Path

import pytest
from typer.main import get_command

from tilewright.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "fidelity/README.md"]


@pytest.fixture(params=PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def page(request):
    return request.param


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link


def test_files_that_are_named_exist(page):
    for name in re.findall(
        r"`((?:examples|tilewright|bench|fidelity|docs)/[^`\s]*)`", page.read_text()
    ):
        assert list(ROOT.glob(name.rstrip("/") + "*")), name


def test_code_is_python(page):
    for block in blocks(page, "python"):
        ast.parse(block)


def options(*commands):
    return {name for command in commands for given in command.params for name in given.opts}


def test_commands_and_their_options_exist(page):
    for block in blocks(page, "sh"):
        for line in re.findall(r"^tilewright ([^#\n]*)", block, flags=re.MULTILINE):
            command = get_command(app)
            for word in line.split():
                inner = getattr(command, "commands", {})
                if word.startswith("--"):
                    assert word in options(command, *inner.values()), line
                elif inner:
                    assert word in inner, line
                    command = inner[word]
