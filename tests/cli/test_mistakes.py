"""Whatever goes wrong in a command is one sentence and an exit code, never a traceback."""

import pytest
import typer

from tilewright.cli import STOPPED, WRONG
from tilewright.cli.mistakes import command
from tilewright.errors import ArgumentError


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ArgumentError("steps must be positive, not 0."), WRONG, "Error: steps must be positive"),
        (OSError(28, "No space left on device", "out/page"), WRONG, "out/page: No space left on"),
        (OSError("gone"), WRONG, "The system: gone."),
        (MemoryError(), WRONG, "not enough memory"),
        (KeyboardInterrupt(), STOPPED, ""),
    ],
    ids=["argument", "full disk", "no file", "memory", "ctrl-c"],
)
def test_a_mistake_is_a_sentence_and_a_code(error, code, said, capsys):
    def goes_wrong():
        raise error

    with pytest.raises(typer.Exit) as left:
        command(goes_wrong)()
    assert left.value.exit_code == code
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") <= 1


def test_our_own_faults_keep_their_traceback():
    def goes_wrong():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command(goes_wrong)()
