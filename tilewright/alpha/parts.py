"""A table of prices in parts: a folder of Parquet files, read as one.

Parts are read by themselves, as each may have columns of its own (an instrument was listed later)
and other types of numbers or of days; a column takes the type that has room for all, or the first.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.long import days_in_order, long_columns


def of_parts(folder: Path) -> Any:
    """The data frame of all columns that any part has. A wide one has its days put in order, and
    not what its parts are sorted by, such as `year=2020/0.parquet`.
    """
    frame = _joined_rows(folder).to_pandas()
    if long_columns([str(name) for name in frame.columns]):
        return frame
    names = {part.name.partition("=")[0] for part in folder.rglob("*=*") if part.is_dir()}
    frame = frame.drop(columns=[name for name in names if name in frame.columns])
    dated = frame.index.dtype.kind not in "iuf"
    try:
        days = days_in_order(frame.index if dated else frame.iloc[:, 0], str(folder))
    except (AlphaError, IndexError):  # that there are no dates is said where they are looked for
        return frame
    return frame.iloc[np.argsort(days, kind="stable")]


def _joined_rows(folder: Path) -> Any:
    """The rows of all parts, an arrow table."""
    import pyarrow as pa
    from pyarrow.dataset import dataset

    found = dataset(folder, format="parquet", partitioning="hive")
    parts, whole = list(found.get_fragments()), found.schema
    for part in parts:
        whole = _joined_types(whole, part.physical_schema)
    tables = []
    for part in parts:
        own = part.physical_schema
        added = [field for field in found.schema if own.get_field_index(field.name) < 0]
        table = part.to_table(schema=pa.schema([*own, *added]))
        types = [whole.field(name).type for name in table.column_names]
        columns = [table[i].cast(kind) for i, kind in enumerate(types)]
        tables.append(pa.table(columns, names=table.column_names))
    rows = pa.concat_tables(tables, promote_options="default")
    return rows.replace_schema_metadata(found.schema.metadata)


def _joined_types(whole: Any, other: Any) -> Any:
    """The schema with another's columns: a type has room for both, or is the first one."""
    import pyarrow as pa

    for field in other:
        at = whole.get_field_index(field.name)
        if at < 0:
            whole = whole.append(field)
        elif whole.field(at).type != field.type:
            both = [pa.schema([one]) for one in (whole.field(at), field)]
            with suppress(pa.ArrowTypeError):
                whole = whole.set(at, pa.unify_schemas(both, promote_options="permissive").field(0))
    return whole
