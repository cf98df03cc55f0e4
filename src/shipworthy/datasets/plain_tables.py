"""Reads a CSV or Parquet file into plain columns, and refuses in one sentence what is no plain table.

A CSV file is read as text first, so that what a column holds is decided here, by all of its rows, and can be said. Parquet
files carry their types.

This module does *not* know which column is to be predicted, or what any of them means.
"""

from __future__ import annotations

import csv
import io
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shipworthy.datasets.written_numbers import read_numbers
from shipworthy.records import InputError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

MOST_COLUMNS = 2_000
PIECE = 65_536
"""Rows of a Parquet file that are in memory beside the sample."""
LONGEST_NAME = 200
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "?")
"""Cells of a CSV file that hold no value."""
NEARLY_ALL = 0.9
"""A column of which so many values are numbers, but not all, is refused: the others are slips, and would make it text."""
MIXED = 0.5
"""A column of which more values than this share are numbers, but not nearly all, is read as text, and that is said."""
LARGEST = 3.4e38
"""Larger numbers are infinities to the many models that reckon in single precision."""
DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ]\d\d?:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
Kind = Literal["number", "text", "date"]


@dataclass(frozen=True, slots=True, eq=False)
class PlainTable:
    """Columns of numbers (int64 or float64), text (missing is NaN) or dates, in the order of the file, and what was guessed.

    ``names`` are those of all columns, also of those that were left unread.
    """

    frame: pd.DataFrame
    kinds: dict[str, Kind]
    guesses: tuple[str, ...]
    names: tuple[str, ...]


def read_table(
    path: Path,
    *,
    text: Sequence[str] = (),
    secret: Sequence[str] = (),
    missing: Sequence[str] = (),
    unread: Sequence[str] = (),
    max_rows: int = 0,
) -> PlainTable:
    """Read a file.

    Parameters
    ----------
    path : Path
        Ends in ``.csv``, ``.tsv`` or ``.parquet``.
    text : sequence of str
        Columns to be left as text.
    secret : sequence of str
        Columns of which no message may show a value.
    missing : sequence of str
        What a cell without a value may hold, beside :data:`MISSING`; of a Parquet file this alone.
    unread : sequence of str
        Columns that nobody needs: they are not looked into, so that they may hold what no table of ours may.
    max_rows : int
        Of a file with more rows a sample of so many is drawn by chance, always the same; 0 means that all are read. A Parquet
        file is then read a piece at a time, so that its other rows are never in memory together.

    Returns
    -------
    PlainTable
        Its rows in the order of the file.

    Raises
    ------
    InputError
        In one sentence that names file, line or column, and remedy.
    """
    if path.suffix.lower() not in {".csv", ".tsv", ".parquet"}:
        raise InputError(f"{path}: a data file must end in .csv, .tsv or .parquet; save it as one of these")
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path, which is relative to the study's folder")
    if path.suffix.lower() == ".parquet":
        return _from_parquet(path, text, missing, unread, max_rows)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    return _from_text(path, raw, text, secret, (*MISSING, *(m.strip() for m in missing)), unread, max_rows)


def _from_text(
    path: Path,
    raw: bytes,
    text: Sequence[str],
    secret: Sequence[str],
    missing: Sequence[str],
    unread: Sequence[str],
    max_rows: int,
) -> PlainTable:
    import pandas as pd

    decoded = _decoded(path, raw)
    separator = "\t" if path.suffix.lower() == ".tsv" else separator_of(decoded)
    names, cells, lines, n_rows = _cells(path, decoded, separator, max_rows)
    columns: dict[str, Any] = {}
    kinds: dict[str, Kind] = {}
    marks: set[str] = set()
    said: list[str] = []
    for place, name in enumerate(names):
        if name in unread:
            continue
        column = pd.Series([row[place].strip() for row in cells], dtype=object)
        gone = column.isin(missing)
        marks |= set(column[gone].unique()) - {""}
        column = column.where(~gone)
        columns[name], kinds[name], how = _typed(path, name, column, lines, name in text, name in secret, separator == ";")
        said += [how] if how else []
    guesses = [] if separator == "," else [f"{path.name} is read with {separator!r} between its cells."]
    guesses += _sampled(path, n_rows, len(cells))
    if marks:
        guesses.append(f"Cells that hold {', '.join(sorted(marks))} are read as missing.")
    return PlainTable(pd.DataFrame(columns, index=range(len(cells))), kinds, (*guesses, *said), tuple(names))


def _decoded(path: Path, raw: bytes) -> str:
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise InputError(f"{path}: is UTF-16 text; save it as UTF-8")
    if (place := raw.find(b"\0")) >= 0:
        line = raw[:place].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: holds a NUL byte, so it is no text; save it as CSV in UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: byte {raw[error.start]:#04x} is not UTF-8; save the file as UTF-8") from None


def separator_of(text: str) -> str:
    """The one of comma, semicolon, tab and bar that parts the header into most cells; a comma where none does.

    Parameters
    ----------
    text : str
        A file, or as much of it as holds its header, which is the first line that is not empty.

    Returns
    -------
    str
        One character.

    Examples
    --------
    >>> separator_of("age;income, in USD;city")
    ';'
    """
    header = re.split(r"[\r\n]", text.lstrip(), maxsplit=1)[0]

    def parts(mark: str) -> int:
        try:
            return len(next(csv.reader([header], delimiter=mark), []))
        except csv.Error:  # told with its line when the rows are read
            return 0

    return max(",;\t|", key=lambda mark: (parts(mark), mark == ","))


def _sampled(path: Path, n_rows: int, kept: int) -> list[str]:
    """What is said of a file of which a sample was drawn."""
    if kept == n_rows:
        return []
    return [f"{path.name} holds {n_rows:,} rows; a sample of {kept:,}, drawn by chance, is read (max_rows: 0 reads all)."]


@dataclass(slots=True)
class _Sample:
    """Rows of which each has the same chance to be kept, however many will follow: algorithm R (Vitter, ACM TOMS 11:37, 1985)."""

    max_rows: int
    n_rows: int = 0
    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - a sample, no secret

    def add(self, row: list[str], line: int) -> None:
        """Keep a row, or not."""
        self.n_rows += 1
        if not self.max_rows or len(self.rows) < self.max_rows:
            self.rows.append(row)
            self.lines.append(line)
        elif (place := self.chance.randrange(self.n_rows)) < self.max_rows:
            self.rows[place], self.lines[place] = row, line

    def in_order(self) -> tuple[list[list[str]], list[int]]:
        """The rows in the order of the file, and the line on which each ends."""
        placed = sorted(range(len(self.rows)), key=self.lines.__getitem__)
        return [self.rows[i] for i in placed], [self.lines[i] for i in placed]


def _cells(path: Path, text: str, separator: str, max_rows: int) -> tuple[list[str], list[list[str]], list[int], int]:
    """Column names, cells, the line on which each row ends, and how many rows there are; empty lines are passed over."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    sample = _Sample(max_rows)
    names: list[str] = []
    try:
        for row in reader:
            if not any(cell.strip() for cell in row) and len(row) <= 1:
                continue
            if not names:
                names = _checked_names(path, [cell.strip() for cell in row])
            elif len(row) != len(names):
                raise InputError(
                    f"{path}, line {reader.line_num}: has {len(row)} cells, the header {len(names)}; mend that line, and quote "
                    "cells that hold the separator"
                )
            else:
                sample.add(row, reader.line_num)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: is not CSV ({error}); mend that line") from None
    if not names:
        raise InputError(f"{path}: is empty; it needs a line of column names and rows below it")
    if not sample.rows:
        raise InputError(f"{path}: has column names and no rows; give a file with rows")
    return names, *sample.in_order(), sample.n_rows


def _checked_names(path: Path, names: list[str]) -> list[str]:
    if len(names) > MOST_COLUMNS:
        raise InputError(f"{path}: has {len(names):,} columns, more than {MOST_COLUMNS:,}; keep those that a service could send")
    if not names:
        raise InputError(f"{path}: has no columns; it needs a target and at least one feature")
    if len(names) < 2:
        raise InputError(f"{path}: has one column, {names[0]!r:.60}; it needs a target and at least one feature")
    seen: set[str] = set()
    for place, name in enumerate(names, start=1):
        if not name:
            numbers = ", or save without row numbers (pandas: index=False)" if place == 1 else ""
            raise InputError(f"{path}, line 1: column {place} has no name; give it one{numbers}")
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise InputError(f"{path}, line 1: the name of column {place} ({name!r:.40}) is too long or unprintable; rename it")
        if name in seen:
            raise InputError(f"{path}, line 1: two columns are called {name!r:.60}; rename one")
        seen.add(name)
    return names


def _typed(
    path: Path, name: str, column: pd.Series[Any], lines: list[int], as_text: bool, secret: bool, decimal_comma: bool
) -> tuple[Any, Kind, str]:
    """A column of text as what it holds; and, where somebody might have meant it otherwise, how it was read."""
    import pandas as pd

    held = column.dropna()
    written = pd.Series(held.unique(), dtype=object)
    if as_text or not len(written):
        return _as_text(column), "text" if len(written) else "number", ""
    numbers, how = read_numbers(written, decimal_comma=decimal_comma)
    value_of = dict(zip(written, numbers, strict=True))
    values = column.map(value_of, na_action="ignore").astype("float64")
    if (endless := np.flatnonzero(values.abs() > LARGEST)).size:
        raise InputError(
            f"{path}, line {lines[endless[0]]}: column {name!r} holds an infinity, or a number beyond {LARGEST:g}; mend it, "
            "leave the cell empty, or name the column under drop"
        )
    slips = np.flatnonzero(column.notna().to_numpy() & values.isna().to_numpy())
    if not slips.size:
        # Codes such as 00123, and whole numbers that no float holds, would lose digits.
        if written.str.fullmatch(r"0\d+").any() or (written.str.fullmatch(r"[-+]?\d+") & (numbers.abs() > 2**53)).any():
            return _as_text(column), "text", ""
        whole = not column.isna().any() and bool(written.str.fullmatch(r"[-+]?\d+").all())
        how = f"{name} is read as numbers, {how} (if they are names, name the column under text)." if how else ""
        return (values.astype("int64") if whole else values), "number", how
    if slips.size <= (1 - NEARLY_ALL) * len(held):
        what = "something else" if secret else repr(column.iloc[slips[0]])[:60]
        raise InputError(
            f"{path}, line {lines[slips[0]]}: column {name!r} holds numbers in {len(held) - slips.size:,} of {len(held):,} rows "
            f"and {what} here; mend it, leave it empty, or name the column under text or drop"
        )
    if written.str.fullmatch(DATE).all():
        return _as_text(column), "date", ""
    n_numbers = len(held) - slips.size
    mixed = f"{name} holds numbers in {n_numbers:,} of {len(held):,} rows and something else in the others: it is read as text."
    return _as_text(column), "text", mixed if n_numbers > MIXED * len(held) else ""


def _as_text(column: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    return column.astype(pd.StringDtype(na_value=np.nan))


def _parquet_names(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    return _checked_names(path, names)


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: cannot be read as Parquet ({str(error).splitlines()[0][:120]}); write it again")


def _drawn(path: Path, columns: list[str], max_rows: int) -> tuple[pa.Table, NDArray[np.int64], int]:
    """These columns of a Parquet file, or of a sample of its rows in order; their places in the file, and how many it has."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        n_rows = file.metadata.num_rows
        if not max_rows or n_rows <= max_rows:
            return file.read(columns), np.arange(n_rows, dtype=np.int64), n_rows
        chosen = np.sort(np.random.default_rng(0).choice(n_rows, max_rows, replace=False))
        pieces, begins = [], 0
        for batch in file.iter_batches(PIECE, columns=columns):
            here = chosen[np.searchsorted(chosen, begins) : np.searchsorted(chosen, begins + batch.num_rows)]
            pieces.append(batch.take(pa.array(here - begins)))
            begins += batch.num_rows
        return pa.Table.from_batches(pieces), chosen, n_rows


def _from_parquet(path: Path, text: Sequence[str], missing: Sequence[str], unread: Sequence[str], max_rows: int) -> PlainTable:
    import pandas as pd
    import pyarrow as pa

    names = _parquet_names(path)
    try:
        table, places, n_rows = _drawn(path, [name for name in names if name not in unread], max_rows)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if not n_rows:
        raise InputError(f"{path}: has columns and no rows; give a file with rows")
    columns: dict[str, Any] = {}
    kinds: dict[str, Kind] = {}
    said: list[str] = []
    marks = pd.to_numeric(pd.Series(missing, dtype=object), errors="coerce").dropna().to_list()
    for held in table.schema:
        kind = held.type.value_type if pa.types.is_dictionary(held.type) else held.type
        column = table.column(held.name).to_pandas()
        if pa.types.is_duration(kind):
            columns[held.name], kinds[held.name] = column.dt.total_seconds(), "number"
            said.append(f"{held.name} is read as seconds.")
        elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            columns[held.name], kinds[held.name] = _as_text(column.astype(str).where(column.notna())), "date"
        elif _is_written(kind) or held.name in text:
            written = column.astype(object).map(str, na_action="ignore")
            columns[held.name] = _as_text(written.where(~written.isin(missing)))
            kinds[held.name] = "text"
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
            values = pd.to_numeric(column).astype("float64")
            values = values.where(~values.isin(marks))
            if (endless := np.flatnonzero(values.abs() > LARGEST)).size:
                raise InputError(
                    f"{path}, row {int(places[endless[0]]) + 1}: column {held.name!r} holds an infinity, or a number beyond "
                    f"{LARGEST:g}; mend it, or name the column under drop"
                )
            if pa.types.is_integer(kind) and (values.abs() > 2**53).any():
                # As of a CSV file: no float holds them, and numbers so long are names.
                digits = table.column(held.name).cast(pa.string()).to_pandas()
                columns[held.name], kinds[held.name] = _as_text(digits.where(~digits.isin(missing))), "text"
                continue
            whole = pa.types.is_integer(kind) and not values.isna().any()
            columns[held.name], kinds[held.name] = (values.astype("int64") if whole else values), "number"
        else:
            raise InputError(
                f"{path}: column {held.name!r} is of type {kind}, which is neither number, text nor date; name it under drop"
            )
    frame = pd.DataFrame(columns, index=range(table.num_rows))
    return PlainTable(frame, kinds, (*_sampled(path, n_rows, len(places)), *said), tuple(names))


def _is_written(kind: pa.DataType) -> bool:
    """Whether a column of a Parquet file holds what is read as text: words, yes and no, or a time of day."""
    import pyarrow as pa

    spelled = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return bool(spelled or pa.types.is_boolean(kind) or pa.types.is_time(kind))
