"""A table out of a DuckDB file, by a query (the extra `duckdb`).

In: the file and SQL. Out: `Prices`, wide or from a long table, which may have gaps.
"""

from __future__ import annotations

from pathlib import Path

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.tables import Prices, prices_of

MAGIC, MAGIC_AT = b"DUCK", 8
"""What such a file has after its checksum."""


def read_sql(database: Path, sql: str, gone: bool = False) -> Prices:
    """The table that a query gives; the file is opened for reading alone; `gone`: `prices_of`.

    Raises `AlphaError` for a file that is missing, locked or no database, and for wrong SQL.
    """
    try:
        import duckdb
    except ImportError:
        raise AlphaError("--sql needs the package duckdb: pip install duckdb.") from None
    if not database.is_file():
        raise AlphaError(f"There is no file {database}.")
    with database.open("rb") as file:
        if file.read(len(MAGIC) + MAGIC_AT)[MAGIC_AT:] != MAGIC:
            raise AlphaError(f"{database} is not a DuckDB file, which --sql wants.")
    try:
        with duckdb.connect(str(database), read_only=True) as connection:
            found = connection.execute(sql)
            frame = found and found.df()
    except duckdb.Error as error:
        reason = (str(error).splitlines() or [""])[0].rstrip(".!")
        raise AlphaError(f"{database}: {reason}.") from None
    if frame is None:
        raise AlphaError(f"{database}: the query {sql!r} asks for nothing.")
    return prices_of(frame, f"{database.name}: {sql}", gaps=True, gone=gone)
