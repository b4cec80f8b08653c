"""The folder of a job of the scale net (`walking.folder`), and settings by their names."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.settings import ScaleChain, ScaleSettings
from tilewright.alpha.walking.folder import JobFolder


class ScaleFolder(JobFolder):
    """An open folder."""

    whose, mark = "the scale net", "chain"
    settings: ScaleSettings

    @classmethod
    def settings_from(cls, found: dict[str, Any]) -> ScaleSettings:
        values = dict(found)
        chain = values.pop("chain", {})
        if not isinstance(chain, dict):
            raise AlphaError(f"chain must be a table of settings by name, not {chain!r}.")
        features, first = values.get("features", ()), values.get("first")
        if not isinstance(features, list | tuple):
            raise AlphaError(f"features must be a list of names, not {features!r}.")
        values["features"] = tuple(features)
        if isinstance(first, date):  # as TOML writes one
            values["first"] = first.isoformat()
        try:
            settings = ScaleSettings(ScaleChain(**chain), **values)
        except TypeError as error:
            name = str(error).rpartition(" ")[2].strip("'")
            raise AlphaError(f"There is no setting {name!r} of the scale net.") from None
        settings.check()
        return settings


def opened(folder: Path, other_version: bool = False) -> ScaleFolder:
    """The folder of an earlier run, with its own prices and settings; raises `AlphaError`."""
    return ScaleFolder.opened(folder, other_version)


def settings_from(found: dict[str, Any]) -> ScaleSettings:
    """Settings from their names and values; raises `AlphaError` for a name that there is not."""
    return ScaleFolder.settings_from(found)
