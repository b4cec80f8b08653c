"""Prices from files and frames, and what is said of bad ones."""

import numpy as np
import pandas as pd
import pytest

from tests.alpha.market import prices
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.tables import prices_of, read_prices, sp500


def frame(days: int = 5) -> pd.DataFrame:
    table = prices(days)
    return pd.DataFrame(
        table.values, columns=list(table.names), index=pd.DatetimeIndex(table.days, name="date")
    )


def test_sp500_needs_no_network():
    found = sp500()
    assert found.values.shape == (8313, 20)
    assert found.days[0] == "1990-01-02"
    assert "AAPL" in found.names


def test_csv(tmp_path):
    frame().to_csv(tmp_path / "t.csv")
    found = read_prices(tmp_path / "t.csv")
    assert found.days[0] == "2015-01-01"
    assert found.names == ("S0", "S1", "S2")
    np.testing.assert_allclose(found.values, frame().to_numpy())


def test_without_dates(tmp_path):
    frame().to_csv(tmp_path / "t.csv", index=False)
    assert read_prices(tmp_path / "t.csv").days == ("1", "2", "3", "4", "5")


@pytest.mark.parametrize("kind", [pytest.param("polars", marks=pytest.mark.peers), "pyarrow"])
def test_other_frames(kind):
    module = pytest.importorskip(kind)
    plain = frame().reset_index()
    if kind == "polars":
        table = module.DataFrame({name: plain[name].to_numpy() for name in plain.columns})
    else:
        table = module.Table.from_pandas(plain)
    found = prices_of(table)
    assert (found.days, found.names) == (prices_of(frame()).days, ("S0", "S1", "S2"))
    assert found.fingerprint() == prices_of(frame()).fingerprint()


@pytest.mark.peers
def test_frames_that_wait_to_be_read():
    plain, expected = frame().reset_index(), prices_of(frame()).fingerprint()
    polars = pytest.importorskip("polars")
    table = polars.DataFrame({name: plain[name].to_numpy() for name in plain.columns})
    assert prices_of(table.lazy()).fingerprint() == expected


@pytest.mark.peers
def test_a_relation():
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    with duckdb.connect() as connection:
        connection.register("prices", frame().reset_index())
        found = prices_of(connection.sql("select * from prices order by date"))
    assert found.fingerprint() == prices_of(frame()).fingerprint()


def test_parquet_in_parts(tmp_path):
    """What parts are sorted by is no stock, but in a long table it is the instrument."""
    pytest.importorskip("pyarrow")
    plain, expected = frame(500).reset_index(), prices_of(frame(500)).fingerprint()
    wide = plain.assign(year=plain["date"].dt.year)
    wide.to_parquet(tmp_path / "wide", partition_cols=["year"])
    assert read_prices(tmp_path / "wide").fingerprint() == expected
    long = plain.melt("date", var_name="instrument", value_name="price")
    long.to_parquet(tmp_path / "long", partition_cols=["instrument"])
    assert read_prices(tmp_path / "long").fingerprint() == expected


@pytest.mark.parametrize("named", [True, False])
def test_parts_of_parquet_in_any_order(named, tmp_path):
    """`month=10` comes before `month=9`, `p10` before `p2`; S2 is in no part before the ninth."""
    days, values = pd.date_range("2020-01-30", periods=300), np.arange(1.0, 901).reshape(300, 3)
    table = pd.DataFrame(values, columns=["S0", "S1", "S2"]).assign(date=days)
    for month in range(1, 13):
        part = table[days.month == month]
        kept = part.drop(columns=["S2"] * (month < 9))
        folder = tmp_path / (f"month={month}" if named else ".")
        folder.mkdir(exist_ok=True)
        frame = kept[["date", *kept.columns[:-1]]]
        frame.to_parquet(folder / f"p{month}.parquet", index=False)
    found = read_prices(tmp_path, gaps=True)
    assert found.days == tuple(days.strftime("%Y-%m-%d"))
    assert found.names == ("S0", "S1", "S2")
    late = days.month >= 9
    np.testing.assert_array_equal(found.values[:, :2], values[:, :2])
    np.testing.assert_array_equal(found.values[late, 2], values[late, 2])
    assert np.isnan(found.values[~late, 2]).all()


@pytest.mark.parametrize(
    "types",
    [
        (np.float32, np.float64),
        (np.float64, np.float32),
        (np.int64, np.float64),
        (np.float32, np.int32),
    ],
)
@pytest.mark.parametrize("days", ["dates", "text", "stamps"])
def test_parts_of_other_types(types, days, tmp_path):
    pytest.importorskip("pyarrow")
    plain = frame().round(0).reset_index()
    parts = [plain[:3], plain[3:]]
    for i, (part, kind) in enumerate(zip(parts, types, strict=True)):
        other = part.astype(dict.fromkeys(plain.columns[1:], kind))
        if i:
            as_days = {"dates": lambda d: d.dt.date, "text": lambda d: d.dt.strftime("%Y-%m-%d")}
            other["date"] = as_days.get(days, lambda d: d)(other["date"])
        other.to_parquet(tmp_path / f"{i}.parquet", index=False)
    assert read_prices(tmp_path).fingerprint() == prices_of(frame().round(0)).fingerprint()


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    frame().to_parquet(tmp_path / "t.parquet")
    assert read_prices(tmp_path / "t.parquet").fingerprint() == prices_of(frame()).fingerprint()


BAD_FILES = {
    "empty.csv": (b"", "empty"),
    "header.csv": (b"date,A,B\n", "no rows"),
    "picture.png": (b"\x89PNG", "not a table"),
    "picture.csv": (bytes(range(256)) * 20, "."),
    "torn.parquet": (b"PAR1 and no more", "is not a table"),
    "one.csv": (b"date,A\n2020-01-01,1\n", "two stocks or more"),
    "words.csv": (b"date,A,B\n2020-01-01,1,x\n2020-01-02,1,y\n", "'B', row 1: 'x' is not a price"),
    "nodate.csv": (b"a,A,B\nfoo,1,2\nbar,1,2\n", "neither numbers nor dates"),
    "twice.csv": (b"d,A,B,A\n2020-01-01,1,2,3\n", "two columns of the same name: 'A'"),
    "nat.csv": (b"d,A,B\n2020-01-01,1,2\n,1,2\n", "row 2: the date is missing"),
    "order.csv": (
        b"d,A,B\n2020-01-03,1,2\n2020-01-01,1,2\n2020-01-02,1,2\n",
        "row 2: 2020-01-01 does not come after 2020-01-03.$",
    ),
    "newest.csv": (
        b"d,A,B\n2020-01-03,1,2\n2020-01-02,1,2\n2020-01-01,1,2\n",
        "row 2: 2020-01-02 does not come after 2020-01-03: the newest day comes first",
    ),
    "gap.csv": (b"d,A,B\n2020-01-01,1,2\n2020-01-02,,\n", "column 'A', row 2: a price is missing"),
    "zero.csv": (b"d,A,B\n2020-01-01,1,2\n2020-01-02,1,0\n", "'B', row 2: .* not above zero"),
    "inf.csv": (b"d,A,B\n2020-01-01,1,inf\n2020-01-02,1,1\n", "'B', row 1: .* infinite"),
}


@pytest.mark.filterwarnings("ignore:Could not infer format")
@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_one_sentence(tmp_path, name):
    content, words = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AlphaError, match=words) as caught:
        read_prices(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_damaged_files_are_one_sentence(tmp_path):
    """Bytes changed at random places, at the ends above all, where tables describe themselves."""
    rng = np.random.default_rng(0)
    frame(60).to_parquet(tmp_path / "t.parquet")
    frame(60).reset_index().to_feather(tmp_path / "t.feather")
    frame(60).to_csv(tmp_path / "t.csv.gz")
    for number in range(300):
        path = tmp_path / ("t.parquet", "t.feather", "t.csv.gz")[number % 3]
        content = bytearray(path.read_bytes())
        ends = np.r_[: min(400, len(content)), max(0, len(content) - 1200) : len(content)]
        for place in rng.choice(ends, 3):
            content[place] = rng.integers(256)
        damaged = path.with_stem("damaged")
        damaged.write_bytes(
            content[: rng.integers(1, len(content))] if number % 7 == 0 else content
        )
        said = sentence(damaged)
        assert "\n" not in said
        assert said.endswith(".")


def sentence(path) -> str:
    """What is said of a file; nothing else may be raised."""
    try:
        read_prices(path)
    except AlphaError as error:
        return str(error)
    return "It can be read."


def test_whatever_a_reader_raises(tmp_path, monkeypatch):
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    for error in (
        MemoryError("malloc of size 2^62 failed"),
        KeyError("index_columns"),
        RuntimeError(),
    ):

        def damaged(path, error=error):
            raise error

        monkeypatch.setattr("pandas.read_parquet", damaged)
        with pytest.raises(AlphaError, match=r"t\.parquet is not a table that can be read: "):
            read_prices(tmp_path / "t.parquet")


def test_missing_file(tmp_path):
    with pytest.raises(AlphaError, match="There is no file"):
        read_prices(tmp_path / "nothing.csv")


def test_two_columns_of_one_name():
    doubled = frame()
    doubled.columns = ["A"] * len(doubled.columns)
    with pytest.raises(AlphaError, match="two columns of the same name"):
        prices_of(doubled)


def test_names_are_texts():
    numbered = pd.DataFrame(prices(5).values)
    assert prices_of(numbered).names == ("0", "1", "2")
    clash = numbered.set_axis([1, "1", 2], axis=1)
    with pytest.raises(AlphaError, match="two columns of the same name: '1'"):
        prices_of(clash)


def test_several_levels():
    tickers = pd.MultiIndex.from_product([["Close"], ["A", "B", "C"]])
    with pytest.raises(AlphaError, match=r"several levels, such as \('Close', 'A'\): choose"):
        prices_of(frame().set_axis(tickers, axis=1))
    with pytest.raises(AlphaError, match="The index of table has 2 levels"):
        prices_of(frame().set_axis(pd.MultiIndex.from_product([["x"], range(5)])))


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "int64[pyarrow]", "object"])
def test_other_types_of_numbers(dtype):
    table = frame().round().astype(dtype)
    if dtype == "object":
        with pytest.raises(AlphaError, match="'S0', no prices: it is of type Object"):
            prices_of(table)
        return
    np.testing.assert_array_equal(prices_of(table).values, frame().round().to_numpy())
    table.iloc[2, 1] = None
    with pytest.raises(AlphaError, match="column 'S1', row 3: a price is missing"):
        prices_of(table)


def test_not_a_frame():
    with pytest.raises(AlphaError, match="not a table: it is of type list"):
        prices_of([[1.0, 2.0]])


@pytest.mark.parametrize("decimal", [",", "."])
@pytest.mark.parametrize("mark", [";", "\t"])
def test_columns_parted_by_other_marks(mark, decimal, tmp_path):
    text = f"Date{mark}A{mark}B\n03.02.2020{mark}1.5{mark}2.25\n14.02.2020{mark}1.25{mark}2.5\n"
    (tmp_path / "t.csv").write_text(
        "\n".join(line.split(mark, 1)[0] + mark + line.split(mark, 1)[1].replace(".", decimal)
                  for line in text.splitlines())
    )  # fmt: skip
    found = read_prices(tmp_path / "t.csv")
    assert found.days == ("2020-02-03", "2020-02-14")
    assert found.values.tolist() == [[1.5, 2.25], [1.25, 2.5]]


def test_names_are_without_blanks(tmp_path):
    (tmp_path / "t.csv").write_text("date, A, B\n2019-09-10, 1.5, 2\n")
    assert read_prices(tmp_path / "t.csv").names == ("A", "B")


@pytest.mark.parametrize("rows", ["2019-09-10,1.5,2,7\n", "2019-09-10,1.5,2,\n"])
def test_rows_longer_than_the_header_move_no_names(rows, tmp_path):
    (tmp_path / "t.csv").write_text(f"date,A,B\n{rows}")
    with pytest.raises(AlphaError, match="more cells than the header"):
        read_prices(tmp_path / "t.csv")


@pytest.mark.parametrize("mark", [",", ";"])
def test_a_file_that_is_still_being_written(mark, tmp_path):
    """Half of a number is no price."""
    text = "date,A,B\n2019-09-10,15.5,2\n2019-09-11,15.5,2".replace(",", mark)
    path = tmp_path / "t.csv"
    path.write_text(text)
    assert read_prices(path, gaps=True).values[1].tolist() == [15.5, 2]
    path.write_text(text[:-4])
    with pytest.raises(AlphaError, match="in the middle of row 2"):
        read_prices(path, gaps=True)
