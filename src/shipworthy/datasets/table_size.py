"""Estimates what a data file will take in memory from a sample of its rows, and refuses one for which there is no room.

A study reads its files before any memory limit holds: without this, all rows of a large file would take the machine down.

This module does *not* know how much memory is free, or what the columns mean.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from shipworthy.datasets.plain_tables import separator_of
from shipworthy.records import InputError

MIB = 2**20
SAMPLE = 1_000
"""Rows that are looked at."""
HEAD = MIB
"""Bytes of a text file that the sample is taken from."""
NUMBER_COPIES, TEXT_COLUMN_COPIES = 6, 3
"""Times that columns of numbers and of text are in memory at the worst moment, from the file to the split. Measured on 150,000
rows of Parquet: 1.43 KiB a row of 31 numbers, where this gives 1.45; 1.56 of 21 numbers and 10 texts, where it gives 1.62."""
TEXT_COPIES = 6
"""Bytes for each byte of a text file: as it lies there, decoded, and four where it is read a line at a time."""


def check_room(path: Path, *, max_rows: int, free_mib: float) -> None:
    """Refuse a file that would take more memory than is free.

    Parameters
    ----------
    path : Path
        As for :func:`~shipworthy.datasets.plain_tables.read_table`, which says what is wrong with one that is no table.
    max_rows : int
        Rows that are read at most; 0 means all.
    free_mib : float
        Memory that may be taken.

    Raises
    ------
    InputError
        If the file would take more.
    """
    if not path.is_file():
        return
    parquet = path.suffix.lower() == ".parquet"
    n_rows, needs = _of_parquet(path, max_rows) if parquet else _of_text(path, max_rows)
    if needs <= free_mib:
        return
    kept = min(max_rows or n_rows, n_rows)
    remedy = "a smaller max_rows, of which a sample is drawn by chance" if max_rows else "max_rows, for a sample drawn by chance"
    what = f"{kept:,} of" if kept < n_rows else "all"
    there = f"{n_rows:,}" if parquet else f"about {float(f'{n_rows:.2g}'):,.0f}"
    raise InputError(
        f"{path}: to read {what} {there} rows takes about {_words(needs)} of memory, and {_words(free_mib)} are free; "
        f"name {remedy}{'' if parquet else ', or write it as Parquet'}"
    )


def _words(mib: float) -> str:
    return f"{mib / 1024:.1f} GiB" if mib >= 1024 else f"{mib:.0f} MiB"


def _of_parquet(path: Path, max_rows: int) -> tuple[int, float]:
    """How many rows there are, and what reading them takes in MiB, by the first rows of the first, middle and last group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            n_rows, n_groups = file.metadata.num_rows, file.metadata.num_row_groups
            groups = sorted({0, n_groups // 2, n_groups - 1}) if n_rows else []
            sample = [next(file.iter_batches(SAMPLE // len(groups), row_groups=[group])) for group in groups]
            if not sample:
                return 0, 0.0
            # By place: two columns may have one name, which is told when the file is read.
            columns = [column.to_pylist() for column in pa.Table.from_batches(sample).columns]
    except (pa.ArrowException, OSError, OverflowError, ValueError, StopIteration):
        return 0, 0.0  # told when it is read
    return n_rows, min(max_rows or n_rows, n_rows) * _row_bytes(columns) / MIB


def _of_text(path: Path, max_rows: int) -> tuple[int, float]:
    """The same of a text file, by its first lines; how many rows there are is reckoned from its length."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
        size = path.stat().st_size
    except OSError:
        return 0, 0.0  # told when it is read
    lines = head.decode("utf-8", errors="replace").splitlines(keepends=True)
    lines = lines[1:] if len(head) == size else lines[1:-1]
    separator = "\t" if path.suffix.lower() == ".tsv" else separator_of(head.decode("utf-8", errors="replace"))
    try:
        rows = [row for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error:
        return 0, 0.0  # told when it is read
    if not rows:
        return 0, TEXT_COPIES * size / MIB
    n_rows = round(size * len(rows) / sum(len(line.encode()) for line in lines))
    seen = rows[:SAMPLE]
    cells = sum(sys.getsizeof(row) + sum(sys.getsizeof(cell) for cell in row) for row in seen) / len(seen)
    held = _row_bytes([list(column) for column in zip(*seen, strict=False)])
    kept = min(max_rows or n_rows, n_rows)
    return n_rows, max(TEXT_COPIES * size + kept * (cells + held / 3), kept * held) / MIB


def _row_bytes(columns: Sequence[Sequence[object]]) -> float:
    """Bytes of a row at the worst moment, by a sample of each column.

    A number has eight in pandas. A text has the mean of those in the sample, as pandas holds them; a cell without a value counts
    as much. Both are multiplied by how often such a column is in memory at once.
    """
    import numpy as np
    import pandas as pd

    total = 0.0
    for column in columns:
        there = [str(value) for value in column if value is not None and value != ""]
        if pd.to_numeric(pd.Series(there, dtype=object), errors="coerce").notna().all():
            total += NUMBER_COPIES * 8
        else:
            series = pd.Series(there, dtype=pd.StringDtype(na_value=np.nan))
            total += TEXT_COLUMN_COPIES * float(series.memory_usage(index=False, deep=True)) / len(there)
    return total
