"""Tables out of DuckDB files, wide and long; and what is wrong, in one sentence."""

import numpy as np
import pytest

from tests.alpha.market import prices
from tilewright.alpha.duck import read_sql
from tilewright.alpha.errors import AlphaError

duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed (the extra duckdb has it)")
pytestmark = pytest.mark.peers
TABLE = prices(40)


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "prices.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table long (day date, symbol varchar, close double)")
        rows = [
            (day, name, float(TABLE.values[i, j]))
            for i, day in enumerate(TABLE.days)
            for j, name in enumerate(TABLE.names)
            if (i, j) != (3, 1)
        ]
        connection.executemany("insert into long values (?, ?, ?)", rows)
    return path


def test_a_long_table_with_a_gap(database):
    found = read_sql(database, "select day, symbol, close from long")
    assert (found.days, found.names) == (TABLE.days, TABLE.names)
    assert np.isnan(found.values[3, 1])
    known = np.isfinite(found.values)
    np.testing.assert_array_equal(found.values[known], TABLE.values[known])


def test_a_wide_table(database):
    found = read_sql(
        database,
        "pivot (select * from long) on symbol using first(close) group by day order by day",
    )
    assert found.names == TABLE.names


def test_mistakes(database, tmp_path):
    with pytest.raises(AlphaError, match=r"prices\.duckdb: .*nothing"):
        read_sql(database, "select * from nothing")
    with pytest.raises(AlphaError, match="the query '' asks for nothing"):
        read_sql(database, "")
    with pytest.raises(AlphaError, match="There is no file"):
        read_sql(tmp_path / "no.duckdb", "select 1")
    (tmp_path / "bad.duckdb").write_text("this is no database, and long enough not to be one")
    with pytest.raises(AlphaError, match=r"bad\.duckdb"):
        read_sql(tmp_path / "bad.duckdb", "select 1")
