"""Makes a data set of somebody's own file: which columns are features, what the target asks, which rows are held out.

Whatever is guessed is said. Nothing of the file is changed, and no value of a personal column goes any further.

This module does *not* know how a file is parsed, or which study asks for it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.datasets.plain_tables import LONGEST_NAME, PlainTable, read_table
from shipworthy.datasets.rows import Rows, identical_rows
from shipworthy.records import DataFile, InputError, Roles, Task

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

MOST_CLASSES = 100
FEW_VALUES = 20
"""A target of more different numbers than this is a quantity; of as many or fewer whole ones, a class."""
MANY_TEXTS = 0.5
"""A text column of more different texts than this share of its rows looks like a name."""
SPANS = (("day", "D"), ("hour", "h"), ("minute", "min"))
"""What rows of one moment are widened to: rows of one day are alike in what nobody wrote down, and tell on each other."""
FEWEST_SPANS = 10
"""Different ones that training and test rows must each have."""
ROW_NUMBERS = re.compile(r"__index_level_\d+__")
"""What pandas calls the row numbers that it writes into a Parquet file: they may tell in which order rows were collected."""


def read_own_file(source: DataFile) -> Rows:
    """Read, check and describe a file.

    Parameters
    ----------
    source : DataFile

    Returns
    -------
    Rows

    Raises
    ------
    InputError
        In one sentence that names file, line or column, and remedy.
    """
    path = Path(source.file)
    table = read_table(
        path,
        text=source.text,
        secret=source.personal,
        missing=source.missing,
        unread=tuple({*source.drop, *source.personal} - {source.target, source.time, source.group}),
        max_rows=source.max_rows,
    )
    _check_columns(source, table)
    guesses = list(table.guesses)
    kept = table.frame[source.target].notna().to_numpy()
    if not kept.any():
        raise InputError(f"{path}: the target {source.target!r} is missing in every row; give a file in which it is known")
    if not kept.all():
        guesses.append(f"{int((~kept).sum()):,} rows without a target are left out.")
    frame = table.frame[kept].reset_index(drop=True)
    y, task, classes, said = _target(path, frame[source.target], source)
    guesses.append(said)
    X = _features(path, source, table, frame, guesses)
    time = _time(path, source.time, frame) if source.time else None
    if time is not None:
        placed = np.argsort(time.to_numpy(), kind="stable")
        X, y, time, frame = X.iloc[placed].reset_index(drop=True), y[placed], time.iloc[placed], frame.iloc[placed]
    order, rule, in_test = _held_out(path, source, X, frame, time, task)
    return Rows(
        X=X,
        y=y,
        task=task,
        classes=classes,
        roles=Roles(source.time, source.group, source.sensitive, source.personal, source.price, source.cost),
        provenance=f"Your own file {path.name}.",
        licence="Yours: shipworthy knows no terms of it, and sends it nowhere.",
        traps=(),
        order=order,
        rule=rule,
        in_test=in_test,
        test_share=source.test_share,
        guesses=tuple(guesses),
    )


def _check_columns(source: DataFile, table: PlainTable) -> None:
    """Hold the named columns to those that exist, and the roles to each other."""
    named = {"target": (source.target,), "time": (source.time,), "group": (source.group,)}
    named |= {f: getattr(source, f) for f in ("sensitive", "personal", "price", "cost", "drop", "text")}
    for field, columns in named.items():
        for column in columns:
            if column and column not in table.names:
                known = ", ".join(table.names[:12]) + (", ..." if len(table.names) > 12 else "")
                raise InputError(f"{source.file}: {field} names {column!r:.60}, which is no column; its columns are {known}")
    gone = {source.target, source.time, source.group, *source.personal, *source.drop} - {""}
    for field in ("sensitive", "price", "cost"):
        if clash := [c for c in named[field] if c in gone]:
            raise InputError(
                f"{source.file}: {field} names {clash[0]!r:.60}, which is no feature by its other role; name it once"
            )
    if source.target in {source.time, source.group, *source.personal, *source.drop}:
        raise InputError(f"{source.file}: the target {source.target!r:.60} has a second role; name it once")
    if wrong := [c for c in (*source.price, *source.cost) if table.kinds[c] != "number"]:
        raise InputError(f"{source.file}: the column {wrong[0]!r:.60} is to be money and does not hold numbers; mend it")


def _target(path: Path, column: pd.Series[Any], source: DataFile) -> tuple[NDArray[Any], Task, tuple[str, ...], str]:
    """The target as codes or numbers, what it asks, its classes, and the guess in words."""
    name, values = source.target, column.unique()
    numeric = column.dtype.kind in "iuf"
    if len(values) < 2:
        shown = "one value" if name in source.personal else f"only {column.tolist()[0]!r:.60}"
        raise InputError(
            f"{path}: the target {name!r} holds {shown}, so there is nothing to predict; give other rows or a target"
        )
    whole = numeric and bool(np.all(np.asarray(values, dtype=float) % 1 == 0))
    guess: Task = "regression" if numeric and (len(values) > FEW_VALUES or (not whole and len(values) > 2)) else "multiclass"
    guess = "binary" if len(values) == 2 else guess
    task: Task = source.task or guess
    how = "declared" if source.task else "guessed"
    if task == "regression":
        if not numeric:
            raise InputError(f"{path}: the target {name!r} holds text, which no regression predicts; mend task or target")
        return column.to_numpy(np.float64), task, (), f"The target {name} is a number to predict ({task}, {how})."
    if (task == "binary") != (len(values) == 2):
        raise InputError(
            f"{path}: the target {name!r} holds {len(values):,} different values, so its task is not {task}; mend task"
        )
    if len(values) > MOST_CLASSES:
        raise InputError(
            f"{path}: the target {name!r} holds {len(values):,} different values, more than {MOST_CLASSES} classes; "
            "name another target" + (", or say task: regression" if numeric else "")
        )
    ordered = sorted(values)
    classes = tuple(f"{v:g}" if numeric else str(v) for v in ordered)
    if (longest := max(map(len, classes))) > LONGEST_NAME:
        raise InputError(
            f"{path}: a class of {name!r} has {longest:,} characters, more than {LONGEST_NAME}; give it a short name"
        )
    y = column.map({v: k for k, v in enumerate(ordered)}).to_numpy(np.int64)
    rare = int(np.bincount(y).argmin())
    if np.bincount(y)[rare] < 10:
        count = int(np.bincount(y)[rare])
        raise InputError(f"{path}: class {classes[rare]!r:.60} of {name!r} has {count} rows, and 10 are needed; merge or drop it")
    shares = f"; {classes[1]} counts as positive ({np.mean(y):.1%} of the rows)" if task == "binary" else ""
    return y, task, classes, f"The target {name} has {len(classes)} classes ({task}, {how}){shares}."


def _features(path: Path, source: DataFile, table: PlainTable, frame: pd.DataFrame, guesses: list[str]) -> pd.DataFrame:
    """The feature columns; what was left out, and as what the others are read, is said."""
    gone = {source.target, source.time, source.group, *source.personal, *source.drop}
    names = [c for c in table.kinds if c not in gone]
    empty = [c for c in names if frame[c].isna().all()]
    dates = [c for c in names if table.kinds[c] == "date" and c not in empty]
    places = [c for c in names if ROW_NUMBERS.fullmatch(c) and c not in empty]
    kept = [c for c in names if c not in {*empty, *dates, *places}]
    numbers, texts = [[c for c in kept if table.kinds[c] == kind] for kind in ("number", "text")]
    for what, columns in (
        ("Read as numbers", numbers),
        ("Read as text", texts),
        ("Left out, as every cell is missing", empty),
        ("Left out, as dates that the future will not repeat (name one under time to split by it)", dates),
        ("Left out, as row numbers that pandas wrote", places),
        ("Left out, as personal", list(source.personal)),
        ("Left out, as the study says", list(source.drop)),
    ):
        if columns:
            guesses.append(f"{what}: {', '.join(columns[:30])}{' and more' if len(columns) > 30 else ''}.")
    guesses += [
        f"{name} holds {distinct:,} different texts in {len(frame):,} rows: if it is a name, name it under drop."
        for name in texts
        if (distinct := frame[name].nunique()) > max(FEW_VALUES, MANY_TEXTS * len(frame))
    ]
    guesses += [
        f"{name} holds a different whole number in every row: if it is a name or a row number, name it under drop."
        for name in numbers
        if frame[name].dtype.kind == "i"
        and len(frame) > FEW_VALUES
        and all(c.is_unique for c in (frame[name][:1000], frame[name]))
    ]
    if not kept:
        raise InputError(f"{path}: no column is left to learn from; every one is the target, left out, or without a value")
    if lost := [c for c in (*source.sensitive, *source.price, *source.cost) if c not in kept]:
        raise InputError(f"{path}: the column {lost[0]!r:.60} has a role and holds dates or no value; take its role away")
    return frame[kept].astype({c: "float64" for c in numbers if frame[c].dtype.kind == "f"})


def _time(path: Path, name: str, frame: pd.DataFrame) -> pd.Series[Any]:
    """The moment of each row: a number, or a date with its time of day."""
    import pandas as pd

    column = frame[name]
    if column.dtype.kind in "iuf":
        moments = column
    elif column.str.fullmatch(r"\d+").all():
        moments = column.map(int)  # nanoseconds since 1970 are too long for a float, and are kept as text
    else:
        moments = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)
    if (wrong := np.flatnonzero(moments.isna())).size:
        raise InputError(
            f"{path}: the time column {name!r} holds no moment in {wrong.size:,} rows; write numbers, or dates as 2026-01-31"
        )
    return moments


def _spans(moments: pd.Series[Any], test_share: float) -> tuple[NDArray[np.int64], str]:
    """Ranks of what rows belong to together in time, and its name: the longest span of which both sides have enough.

    What a number counts is not known: of numbers it is the moment itself.
    """
    exact = np.unique(moments.to_numpy(), return_inverse=True)[1].astype(np.int64)
    for name, unit in SPANS if moments.dtype.kind == "M" else ():
        spans = np.unique(moments.dt.floor(unit).to_numpy(), return_inverse=True)[1].astype(np.int64)
        in_test = spans >= spans[int((1 - test_share) * len(spans))]
        if min(len(np.unique(spans[in_test])), len(np.unique(spans[~in_test]))) >= FEWEST_SPANS:
            return spans, name
    return exact, "moment"


def _held_out(
    path: Path, source: DataFile, X: pd.DataFrame, frame: pd.DataFrame, moments: pd.Series[Any] | None, task: Task
) -> tuple[NDArray[np.int64], str, NDArray[np.bool_] | None]:
    """What keeps rows together, the split in words, and which rows are the test where chance does not draw them."""
    import pandas as pd

    test, train = f"{100 * source.test_share:.0f} %", f"{100 * (1 - source.test_share):.0f} %"
    if source.group:
        if frame[source.group].isna().any():
            raise InputError(f"{path}: the group column {source.group!r} is missing in some rows; fill it, or drop those rows")
        group = pd.factorize(frame[source.group])[0].astype(np.int64)
    if moments is not None:
        time, span = _spans(moments, source.test_share)
        first_test = time[int((1 - source.test_share) * len(time))]
        in_test = time >= (first_test if first_test > time[0] else first_test + 1)
        if in_test.all() or not in_test.any():
            raise InputError(f"{path}: the time column {source.time!r} has one moment only; leave time out")
        what = f"whole groups of {source.group}" if source.group else f"whole {span}s of {source.time}"
        rule = f"By time: the latest {in_test.mean():.0%} of the rows test, those before train; folds are {what}."
        return (group if source.group else time), rule, in_test
    if source.group:
        return group, f"By chance, {train} of the groups of {source.group} train and {test} test; folds are whole groups.", None
    balance = "" if task == "regression" else ", stratified by class"
    rule = f"By chance, {train} train and {test} test{balance}; rows with the same features stay on one side and in one fold."
    return identical_rows(X), rule, None
