"""Feeds the command two thousand bad inputs, and holds it to one sentence, exit code 2, and nothing written.

    python tests/fuzz.py --inputs 2000

Study files are made from the schema of a study with values that do not fit, and from the text of one with bytes that do not;
tables from what spreadsheets, exports and strangers write; and command lines. What turns out to be fine is stopped where a run
would begin to write, and counted apart: of such a table, models are fitted too. Exits with 1 and shows each input that failed.
It does not know what a right sentence would say; ``test_study_schema.py`` and ``test_datasets_own.py`` do.
"""
# ruff: noqa: T201, E501, ARG005 - a script speaks by printing; a table of ways to be odd reads best with one a line

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import yaml

LIMIT_S = 10.0
"""For one input; more is a hang."""
LONGEST_SENTENCE = 1500
SHARES = {"study values": 30, "study text": 25, "CSV files": 32, "Parquet files": 8, "command lines": 5}
"""Percent of the inputs."""

STUDY: dict[str, Any] = {
    "name": "fuzz",
    "question": "Does it hold?",
    "datasets": ["breast_cancer"],
    "candidates": ["prior", "logistic_regression", "xgboost"],
    "seeds": [0],
    "metric": "roc_auc",
    "smallest_useful_gain": 0.005,
    "requirements": [
        {"name": "in time", "quantity": "latency_ms", "statistic": "p99", "at_most": 50, "scenario": "single_stream"},
        {"name": "small", "quantity": "peak_memory_mib", "statistic": "max", "at_most": 512, "weight": 0.5},
    ],
    "prices": {"as_of": "2026-03", "source": "a test", "vcpu_hour_usd": 0.04, "gib_hour_usd": 0.004},
    "economics": {"correct_usd": [0.1, 0.2], "false_negative_usd": [0.1], "person_hour_usd": [60, 90], "draws": 100},
    "training": {"max_train_rows": 200, "folds": 3, "search_trials": 1},
    "measuring": {"queries": 60, "rounds": 1, "batch_sizes": [16]},
    "load": {"candidates": ["xgboost"], "curve_batch_sizes": [1, 2, 4]},
    "sweep": {"max_train_rows": [100, 200]},
    "stakeholders": [{"name": "product", "wants": "speed", "weights": {"latency_ms": 0.5, "roc_auc": 0.5}}],
}

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    "{0.__class__}",
    "%(x)s %s %n",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "'; drop table units; --",
    "../../etc/passwd",
    "$(touch owned)",
    "`touch owned`",
    "__import__('os').system('true')",
    "a\nb",
    "a\rb",
    "a\tb",
    "\x1b[31mred",
    "\u202egnp.exe",
    "\u0000",
    "\ufeff",
    "\u200b",
    "é\u0301\u0301\u0301",
    "💥",
    "ﬁ",
    "İ",
    " ",
    "",
    "nan",
    "None",
    "x" * 300,
    "a,b",
    'a"b',
    "a|b",
    "a[0]<b>",
    "index",
    "0",
)


class AcceptedError(BaseException):
    """The command was about to make the run folder: it found nothing wrong."""


class HangError(BaseException):
    """An input took longer than its limit."""


@dataclass
class Case:
    """One input: what it is, the arguments of the command, and which name its refusal must hold."""

    kind: str
    what: str
    arguments: list[str]
    names: tuple[str, ...] = ()
    fits: bool = False


@dataclass
class Tally:
    """How the inputs of one kind were answered."""

    tried: int = 0
    refused: int = 0
    accepted: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    whats: Counter[str] = field(default_factory=Counter)


# -- study files -------------------------------------------------------------------------------------------------------


def wrong_value(rng: random.Random) -> Any:
    """Something that hardly any field takes."""
    deep: Any = 1
    for _ in range(rng.choice([3, 40])):
        deep = [deep] if rng.random() < 0.5 else {"a": deep}
    makers: list[Callable[[], Any]] = [
        lambda: rng.choice(HOSTILE),
        lambda: rng.choice([None, True, False, [], {}, "", [[]], [None], {"": None}, {"a": 1}]),
        lambda: rng.choice([0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**64), 10**40, 10**400]),
        lambda: rng.choice([0.0, -0.0, 1e-320, 1e308, -1e308, float("inf"), float("-inf"), float("nan"), 0.5, 1.5]),
        lambda: "".join(
            chr(rng.choice([rng.randrange(32, 127), rng.randrange(160, 0xD7FF)])) for _ in range(rng.randrange(1, 90))
        ),
        lambda: [rng.choice(HOSTILE) for _ in range(rng.choice([1, 3, 400]))],
        lambda: [rng.choice([1, -1, 0, "x", None, 2.5, True]) for _ in range(rng.choice([1, 2, 5]))],
        lambda: {rng.choice(HOSTILE): rng.choice([1, "x", None]) for _ in range(rng.choice([1, 3]))},
        lambda: rng.choice(["2026-03-01", "50 ms", "1e3", "0x10", "1_000", "~", "yes", "NO", "!!python/none", "quick"]),
        lambda: deep,
    ]
    return rng.choice(makers)()


def schema_places(
    schema: dict[str, Any], node: dict[str, Any], place: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Each place that the schema of a study knows of, with what the schema says of it."""
    node = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    yield place, node
    for part in (*node.get("anyOf", ()), *node.get("allOf", ())):
        yield from schema_places(schema, part, place)
    for name, below in node.get("properties", {}).items():
        yield from schema_places(schema, below, (*place, name))
    if isinstance(node.get("items"), dict):
        yield from schema_places(schema, node["items"], (*place, 0))
    for index, below in enumerate(node.get("prefixItems", ())):
        yield from schema_places(schema, below, (*place, index))
    if isinstance(node.get("additionalProperties"), dict):
        yield from schema_places(schema, node["additionalProperties"], (*place, "roc_auc"))


def near(rng: random.Random, node: dict[str, Any]) -> Any:
    """A value at or beyond what the schema allows there."""
    edges = [node[k] for k in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") if k in node]
    if edges and rng.random() < 0.7:
        edge = rng.choice(edges)
        return rng.choice([edge, edge - 1, edge + 1, -edge, edge * 1e9, str(edge), edge + 0.5])
    if "enum" in node and rng.random() < 0.5:
        return str(rng.choice(node["enum"])) + rng.choice(["x", " ", "", "_"])
    return wrong_value(rng)


def put(values: Any, place: tuple[Any, ...], value: Any) -> None:
    """Set a value at a place, making what leads to it."""
    node = values
    for step, after in zip(place, (*place[1:], None), strict=True):
        last = after is None
        if isinstance(node, list):
            if not node:
                node.append({} if isinstance(after, str) else [])
            index = step if isinstance(step, int) and step < len(node) else 0
            if last:
                node[index] = value
            node = node[index]
        elif isinstance(node, dict):
            if last:
                node[step] = value
            elif not isinstance(node.get(step), dict | list):
                node[step] = {} if isinstance(after, str) else []
            node = node.get(step)
        else:
            return


def study_values(rng: random.Random, folder: Path, places: list[tuple[tuple[Any, ...], dict[str, Any]]]) -> Case:
    """A study in which a place or two hold what does not fit."""
    values = copy.deepcopy(STUDY)
    told = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        place, node = rng.choice(places)
        action = rng.random()
        if action < 0.75 and place:
            put(values, place, near(rng, node))
        elif action < 0.85 and place:
            put(values, (*place[:-1], rng.choice(HOSTILE)), wrong_value(rng))
        elif action < 0.95:
            values.pop(rng.choice(list(values)), None)
        else:
            values[rng.choice(list(STUDY))] = wrong_value(rng)
        told.append(".".join(map(str, place)))
    path = folder / "study.yaml"
    try:
        text = yaml.safe_dump(values, allow_unicode=rng.random() < 0.5, sort_keys=False)
    except (yaml.YAMLError, ValueError):
        text = json.dumps(values)  # a number of more digits than Python writes
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return Case("study values", " and ".join(told), ["run", str(path)], ("study.yaml",))


def study_text(rng: random.Random, folder: Path, templates: list[str]) -> Case:
    """The text of a study with bytes changed."""
    text = rng.choice(templates)
    lines = text.split("\n")
    at = rng.randrange(len(text))
    line = rng.randrange(len(lines))
    ways: dict[str, Callable[[], str | bytes]] = {
        "cut short": lambda: text[:at],
        "bits flipped": lambda: flipped(rng, text.encode()),
        "bytes put in": lambda: text.encode()[:at] + rng.randbytes(rng.randrange(1, 30)) + text.encode()[at:],
        "a control character": lambda: text[:at] + rng.choice("\x00\x07\x1b\x7f\x85\u2028\ufeff\ud7ff\ufffe") + text[at:],
        "a line gone": lambda: "\n".join(lines[:line] + lines[line + 1 :]),
        "a line twice": lambda: "\n".join([*lines[: line + 1], *lines[line:]]),
        "two lines swapped": lambda: "\n".join([*lines[:line], *lines[line : line + 2][::-1], *lines[line + 2 :]]),
        "a tab": lambda: "\n".join([*lines[:line], "\t" + lines[line], *lines[line + 1 :]]),
        "another indent": lambda: "\n".join(
            [*lines[:line], " " * rng.randrange(1, 9) + lines[line].lstrip(), *lines[line + 1 :]]
        ),
        "brackets without end": lambda: text + "\nx: " + rng.choice("[{") * rng.choice([10, 200, 3000]),
        "deeply nested": lambda: text + "\nx: " + "[" * (deep := rng.choice([50, 500, 2000])) + "]" * deep,
        "deeply indented": lambda: text + "".join("\n" + " " * i + "a:" for i in range(rng.choice([20, 300]))),
        "an anchor": lambda: text.replace(": ", ": &a ", 1) + "\nx: *a",
        "an anchor alone": lambda: text.replace(": ", ": &a ", 1),
        "an alias bomb": lambda: "a: &a [x]\n" + "".join(f"b{i}: &b{i} [*a, *a]\n" for i in range(20)),
        "a merge key": lambda: text + "\n<<: {name: other}",
        "a tag": lambda: (
            text
            + f"\nx: {rng.choice(['!!python/object/apply:os.system [true]', '!!binary aGk=', '!!set {a}', '!x y', '!!int x'])}"
        ),
        "a giant number": lambda: text.replace("0", "9" * rng.choice([30, 400, 6000]), 1),
        "a giant line": lambda: text + "\nx: " + "y" * 200_000,
        "many keys": lambda: text + "\n" + "".join(f"k{i}: {i}\n" for i in range(2000)),
        "a key twice": lambda: text + "\nname: again",
        "another document": lambda: text + "\n---\n" + text,
        "another encoding": lambda: text.replace("e", "é").encode(rng.choice(["latin-1", "utf-16", "utf-32", "cp1252"])),
        "a word replaced": lambda: replaced(rng, text),
        "a value replaced": lambda: "\n".join(
            [*lines[:line], lines[line].split(":")[0] + ": " + rng.choice(HOSTILE), *lines[line + 1 :]]
        ),
        "punctuation": lambda: text[:at] + rng.choice("{}[]:,&*#?|>-!%@`\"'\n ~=<") * rng.randrange(1, 4) + text[at:],
        "odd keys": lambda: (
            text
            + rng.choice(
                ["\n? [a, b]\n: c", "\n1: 2", "\nnull: 1", "\ntrue: 1", "\n2026-01-01: x", "\n.nan: 1", "\n? {a: b}\n: c"]
            )
        ),
        "noise": lambda: rng.randbytes(rng.randrange(300)),
        "too large": lambda: text + "#" * 1_000_001,
    }
    way = rng.choice(list(ways))
    held = ways[way]()
    path = folder / "study.yaml"
    path.write_bytes(held if isinstance(held, bytes) else held.encode("utf-8", "surrogatepass"))
    return Case("study text", way, ["run", str(path)], ("study.yaml",))


def flipped(rng: random.Random, held: bytes) -> bytes:
    """Some bits of some bytes turned."""
    changed = bytearray(held)
    for _ in range(rng.randrange(1, 6)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def replaced(rng: random.Random, text: str) -> str:
    """One word in the place of another."""
    words = text.split()
    return text.replace(rng.choice(words), rng.choice([*words, *HOSTILE]), 1)


# -- tables ------------------------------------------------------------------------------------------------------------


def table(rng: random.Random, n: int) -> dict[str, list[Any]]:
    """Columns of a plain table whose target is `y`."""
    x = [rng.gauss(0, 1) for _ in range(n)]
    return {
        "x": [f"{v:.4f}" for v in x],
        "n": [str(rng.randrange(100)) for _ in range(n)],
        "kind": [rng.choice("abc") for _ in range(n)],
        "y": ["yes" if v + rng.gauss(0, 1) > 0 else "no" for v in x],
    }


def quoted(cell: str) -> str:
    """A cell as CSV writes it."""
    return '"' + cell.replace('"', '""') + '"' if any(c in cell for c in ',"\n\r;') else cell


def as_csv(columns: dict[str, list[Any]], separator: str = ",", end: str = "\n") -> str:
    """Columns as the text of a CSV file."""
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    return end.join(separator.join(quoted(str(c)) for c in row) for row in rows) + end


def csv_file(rng: random.Random, folder: Path) -> Case:
    """A study of somebody's own CSV file that is odd in one way."""
    n = rng.choice([0, 1, 5, 30, 60, 120])
    columns = table(rng, n)
    roles: dict[str, Any] = {}
    name = "data.csv"
    names = list(columns)
    column = rng.choice(names)
    row = rng.randrange(n) if n else None

    def with_cell(*values: str) -> str:
        if row is not None:
            columns[column][row] = rng.choice(values)
        return as_csv(columns)

    def with_column(values: Callable[[int], str]) -> str:
        columns[column] = [values(i) for i in range(n)]
        return as_csv(columns)

    def with_name(new: str, *, target: bool = False) -> str:
        which = "y" if target else column
        roles["target"] = new if which == "y" else "y"
        return as_csv({new if c == which else c: v for c, v in columns.items()})

    def role(**given: Any) -> str:
        roles.update(given)
        return as_csv(columns)

    def wide(count: int) -> str:
        return as_csv({**columns, **{f"c{i}": ["1"] * n for i in range(count)}})

    lines = as_csv(columns).split("\n")
    ways: dict[str, Callable[[], str | bytes]] = {
        "as it should be": lambda: as_csv(columns),
        "another encoding": lambda: (
            as_csv(columns)
            .replace("yes", "ja é")
            .encode(rng.choice(["latin-1", "utf-16", "utf-16-le", "utf-32", "utf-8-sig", "cp1252", "cp037", "utf-7"]), "replace")
        ),
        "ragged": lambda: "\n".join([*lines[: n // 2], lines[n // 2] + rng.choice([",", ",1,2", '"', ",\n,"]), *lines[n // 2 :]]),
        "short row": lambda: "\n".join([*lines[: n // 2 + 1], "1,2", *lines[n // 2 + 1 :]]),
        "NUL": lambda: (text := as_csv(columns))[: (at := rng.randrange(len(text)))] + "\0" + text[at:],
        "infinity": lambda: with_cell("inf", "-inf", "Infinity", "1e999", "-1e400", "+INF"),
        "mixed types": lambda: with_cell(
            "abc", "1;2", "2024-01-01", "true", "-", "1,5", "0x1f", "\uff11\uff12", "1_000", "1e5", "∞"
        ),
        "mixed column": lambda: with_column(lambda i: rng.choice(["1", "a", "2.5", "", "2024-01-01", "NaN"])),
        "one column": lambda: "y\n" + "yes\nno\n" * (n // 2),
        "no rows": lambda: lines[0] + rng.choice(["", "\n", "\n\n\n", "\r\n"]),
        "nothing": lambda: rng.choice(["", "\n", "\n\n \n", "\ufeff", ",,,\n", ","]),
        "ten thousand columns": lambda: wide(rng.choice([1990, 2000, 10_000])),
        "a hostile name": lambda: with_name(rng.choice(HOSTILE)),
        "a hostile target": lambda: with_name(rng.choice(HOSTILE), target=True),
        "hostile cells": lambda: with_column(lambda i: rng.choice(HOSTILE[:-8])),
        "a hostile class": lambda: as_csv({**columns, "y": [rng.choice(HOSTILE[:3]) for _ in range(n)]}),
        "a name twice": lambda: as_csv(columns).replace("kind", rng.choice(["x", "y"]), 1),
        "a name that is a field's": lambda: with_name(
            rng.choice(["row", "index", "level_0", "target", "p_0", "class", "feature"])
        ),
        "an open quote": lambda: as_csv(columns).replace(",", ',"', 1),
        "quotes inside": lambda: as_csv(columns).replace("yes", 'y"es', 1),
        "a huge cell": lambda: with_cell("z" * rng.choice([70_000, 200_000])),
        "huge numbers": lambda: with_column(lambda i: rng.choice(["1e308", "-1e308", "1e-320", "9" * 30, "1", str(2**64)])),
        "all missing": lambda: with_column(lambda i: rng.choice(["", "NA", "?"])),
        "often missing": lambda: with_column(lambda i: rng.choice(["", "", "", "1"])),
        "one value": lambda: with_column(lambda i: "7"),
        "all different": lambda: with_column(lambda i: f"id{i}"),
        "dates": lambda: with_column(
            lambda i: rng.choice(["2024-01-01", "2024-13-45", "0000-00-00", "9999-12-31", "2024-01-01T00:00:00Z"])
        ),
        "time": lambda: role(time=column, **({"target": "x"} if column == "y" else {})),
        "odd times": lambda: (role(time="x"), with_time(columns, rng, n))[1],
        "group": lambda: role(group=rng.choice([*names, "nobody"])),
        "one group": lambda: (role(group="kind"), columns.update(kind=["a"] * n), as_csv(columns))[2],
        "roles that clash": lambda: role(drop=[column], sensitive=[rng.choice(names)], price=[rng.choice(names)]),
        "everything dropped": lambda: role(drop=["x", "n", "kind"]),
        "personal": lambda: role(personal=[column]),
        "text": lambda: role(text=names),
        "a role of nobody": lambda: role(
            **{rng.choice(["drop", "text", "cost", "sensitive", "time", "target"]): rng.choice(["nobody", ["nobody"], 5, None])}
        ),
        "an odd share": lambda: role(test_share=rng.choice([0, 0.05, 0.9, 1, -1, "half", float("nan")])),
        "another task": lambda: role(task=rng.choice(["binary", "multiclass", "regression", "ranking", 3])),
        "a numeric target": lambda: role(target=rng.choice(["x", "n"])),
        "a text target": lambda: role(target="kind"),
        "a rare class": lambda: as_csv({**columns, "y": ["yes" if i < rng.choice([1, 9, 11]) else "no" for i in range(n)]}),
        "many classes": lambda: as_csv({**columns, "y": [f"c{i % rng.choice([3, 50, 101])}" for i in range(n)]}),
        "a few known targets": lambda: as_csv({**columns, "y": [y if i % 3 else "" for i, y in enumerate(columns["y"])]}),
        "other separators": lambda: as_csv(columns, rng.choice(";\t|:")),
        "other line ends": lambda: as_csv(columns, end=rng.choice(["\r\n", "\r", "\n\r", "\u2028"])),
        "decimal commas": lambda: as_csv(columns, ";").replace(".", ","),
        "money": lambda: with_column(
            lambda i: rng.choice(
                ["$1,299.50", "-$3", "(1,000)", "7 %", "1.315,87 €", "$", "%", "$5 off", "\u22125", "1,,000", "£" * 50]
            )
        ),
        "few different rows": lambda: as_csv({"kind": columns["kind"], "y": columns["y"]}),
        "two groups": lambda: (
            role(group="kind", test_share=0.9),
            columns.update(kind=["ab"[i % 2] for i in range(n)]),
            as_csv(columns),
        )[2],
        "the same rows": lambda: "\n".join([lines[0], *(lines[1:2] * n)]),
        "bits flipped": lambda: flipped(rng, as_csv(columns).encode()),
        "cut short": lambda: as_csv(columns)[: rng.randrange(1, 40 + 10 * n)],
        "noise": lambda: rng.randbytes(rng.randrange(1, 400)),
        "a gzip file": lambda: b"\x1f\x8b\x08\x00" + rng.randbytes(50),
        "a spreadsheet": lambda: b"PK\x03\x04" + rng.randbytes(90),
        "another ending": lambda: as_csv(columns),
    }
    way = rng.choice(list(ways))
    held = ways[way]()
    if way == "another ending":
        name = rng.choice(["data.xlsx", "data", "data.csv.gz", "nowhere/data.csv", "data.tsv", "data.CSV"])
    return _file_case(rng, folder, "CSV files", way, held, name, roles)


def with_time(columns: dict[str, list[Any]], rng: random.Random, n: int) -> str:
    """The table with moments in many spellings."""
    columns["x"] = [
        rng.choice(["2024-01-01", "2024-02-30", "01/02/2024", "", "1e9", "2262-05-01", "2024-01-01T10:00+02:00", "now"])
        for _ in range(n)
    ]
    return as_csv(columns)


def _file_case(
    rng: random.Random, folder: Path, kind: str, way: str, held: str | bytes, name: str, roles: dict[str, Any]
) -> Case:
    """A study that describes a file, beside the file."""
    if not name.startswith("nowhere"):
        (folder / name).write_bytes(held if isinstance(held, bytes) else held.encode("utf-8", "surrogatepass"))
    described = {"file": name, "target": "y", "name": "mine", **roles}
    task_metric = "roc_auc" if rng.random() < 0.8 else rng.choice(["rmse", "log_loss", "accuracy"])
    values = {**STUDY, "datasets": [described], "metric": task_metric, "requirements": [], "load": {}, "stakeholders": []}
    values = {**values, "training": {"max_train_rows": 0, "folds": 3, "search_trials": 1}, "sweep": {}}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    return Case(kind, way, ["run", str(path)], (name.rpartition("/")[2], "study.yaml"), fits=True)


def parquet_file(rng: random.Random, folder: Path) -> Case:
    """A study of somebody's own Parquet file that is odd in one way."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = rng.choice([0, 1, 30, 60])
    plain = {k: pa.array(v) for k, v in table(rng, n).items()}
    plain["x"] = pa.array([float(v) for v in plain["x"].to_pylist()], pa.float64())
    roles: dict[str, Any] = {}
    odd: dict[str, Callable[[], Any]] = {
        "lists": lambda: pa.array([[1, 2]] * n, pa.list_(pa.int64())),
        "structs": lambda: pa.array([{"a": 1}] * n, pa.struct([("a", pa.int64())])),
        "maps": lambda: pa.array([[("a", 1)]] * n, pa.map_(pa.string(), pa.int64())),
        "binary": lambda: pa.array([b"\xff\x00"] * n, pa.binary()),
        "nulls": lambda: pa.nulls(n),
        "decimals": lambda: pa.array(list(range(n)), pa.decimal128(10, 2)),
        "nanoseconds": lambda: pa.array(range(n), pa.timestamp("ns")),
        "zones": lambda: pa.array([10**15 * i for i in range(n)], pa.timestamp("us", "Europe/Paris")),
        "far dates": lambda: pa.array([2_900_000] * n, pa.date32()),
        "durations": lambda: pa.array(range(n), pa.duration("s")),
        "times of day": lambda: pa.array(range(n), pa.time64("us")),
        "infinities": lambda: pa.array([float("inf")] * n),
        "large unsigned": lambda: pa.array([2**64 - 1 - i for i in range(n)], pa.uint64()),
        "half floats": lambda: pa.array(np.arange(n, dtype=np.float16)),
        "truth values": lambda: pa.array([rng.random() < 0.5 for _ in range(n)]),
        "dictionaries": lambda: pa.array([rng.choice("ab") for _ in range(n)], pa.string()).dictionary_encode(),
        "numbers in dictionaries": lambda: pa.array([i % 3 for i in range(n)], pa.int64()).dictionary_encode(),
        "large strings": lambda: pa.array([rng.choice(HOSTILE[:9]) for _ in range(n)], pa.large_string()),
        "string views": lambda: pa.array([rng.choice("ab") for _ in range(n)], pa.string_view()),
        "NaN": lambda: pa.array([float("nan") if i % 2 else 1.0 for i in range(n)]),
    }
    way = rng.choice(
        [*odd, "damaged", "cut short", "noise", "nothing", "a name twice", "a hostile name", "no column", "many columns"]
    )
    where = rng.choice(["x", "y", "z"])
    arrays, names = list(plain.values()), list(plain)
    if way in odd:
        if where in plain:
            arrays[names.index(where)] = odd[way]()
        else:
            arrays, names = [*arrays, odd[way]()], [*names, where]
        if rng.random() < 0.3:
            roles = {rng.choice(["time", "group"]): where} if where != "y" else {"text": ["y"]}
    if way == "a name twice":
        arrays, names = [*arrays, arrays[0]], [*names, names[0]]
    if way == "a hostile name":
        names = [rng.choice(HOSTILE) if name == "x" else name for name in names]
    if way == "no column":
        arrays, names = [], []
    if way == "many columns":
        arrays, names = [*arrays, *[arrays[0]] * 5000], [*names, *[f"c{i}" for i in range(5000)]]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=names), sink, compression="none")
    held = sink.getvalue()
    held = flipped(rng, held) if way == "damaged" else held[: rng.randrange(len(held))] if way == "cut short" else held
    held = rng.randbytes(200) if way == "noise" else b"" if way == "nothing" else held
    return _file_case(rng, folder, "Parquet files", way, held, "data.parquet", roles)


def command_line(rng: random.Random, folder: Path) -> Case:
    """Arguments that no command takes."""
    path = folder / "odd.yaml"
    kinds: dict[str, list[str]] = {
        "no such command": [rng.choice([h for h in HOSTILE if h])],
        "no such option": [rng.choice(["run", "report", "list", "new"]), "--" + rng.choice(["nothing", "wrokers", "x=1"])],
        "no such study": ["run", rng.choice([h for h in HOSTILE if not h.startswith("-")])],
        "no such file": ["run", str(folder / rng.choice(["a.yaml", "a/b.yaml", "\n.yaml", "é.yml", "x" * 300 + ".yaml"]))],
        "a folder": ["run", str(folder / "folder.yaml")],
        "odd workers": ["run", "quick", "--workers", rng.choice(["-1", "two", "1.5", "", "9" * 30 + "x", "nan"])],
        "too many": ["list", "datasets", rng.choice([h for h in HOSTILE if h])],
        "no such list": ["list", rng.choice(HOSTILE)],
        "no such run": ["report", rng.choice([h for h in HOSTILE if h])],
        "an odd ending": ["new", str(folder / rng.choice(["a.txt", "a", "no/where.yaml", "x" * 300 + ".yaml"]))],
    }
    what = rng.choice(list(kinds))
    if what == "a folder":
        (folder / "folder.yaml").mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    return Case("command lines", what, kinds[what])


# -- the command -------------------------------------------------------------------------------------------------------


def fit_accepted(study: Any) -> None:
    """Train on what was accepted: a table that passes the checks must not break a fit."""
    from shipworthy import candidates, datasets
    from shipworthy.experiments.arms import arms_of
    from shipworthy.records import Ingredients

    for arm in arms_of(study):
        data = datasets.load(arm.rows, seed=arm.seed, folds=arm.training.folds)
        train, test = data.split.train, data.split.test
        for name in study.candidates:
            candidate = candidates.get(name)
            if data.task not in candidate.tasks:
                continue
            made = candidate.build(Ingredients(data.task, data.numeric, data.categorical, 0, 1))
            made.fit(data.X.iloc[train], data.y[train])
            # As they come to a service: through JSON.
            queries = json.loads(json.dumps(data.queries(test[:3]), allow_nan=False))
            (made.predict_proba if data.classes else made.predict)(queries)


class Fuzz:
    """Makes inputs, gives them to the command in this process, and keeps what it answered."""

    def __init__(self, seed: int, folder: Path) -> None:
        from pydantic import TypeAdapter

        from shipworthy.records import Study
        from shipworthy.study import template

        self.rng, self.folder = random.Random(seed), folder
        schema = TypeAdapter(Study).json_schema()
        self.places = [(p, n) for p, n in schema_places(schema, schema) if p]
        self.templates = [yaml.safe_dump(STUDY, sort_keys=False)] * 6 + [template("study.yaml")]
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self.wrong: list[str] = []

    def make(self, kind: str, folder: Path) -> Case:
        """One input of a kind, in a folder of its own."""
        match kind:
            case "study values":
                return study_values(self.rng, folder, self.places)
            case "study text":
                return study_text(self.rng, folder, self.templates)
            case "CSV files":
                return csv_file(self.rng, folder)
            case "Parquet files":
                return parquet_file(self.rng, folder)
            case _:
                return command_line(self.rng, folder)

    def call(self, case: Case, outputs: Path) -> tuple[str, str]:
        """Give one input to the command; ``refused`` or ``accepted``, or what is wrong with how it answered."""
        from shipworthy import cli
        from shipworthy.study import launch

        arguments = [*case.arguments, "--outputs", str(outputs)] if case.arguments[:1] == ["run"] else case.arguments
        out, err = io.StringIO(), io.StringIO()
        code: Any = 0

        def stop(study: Any, *_arguments: Any, **_settings: Any) -> None:
            if case.fits:
                fit_accepted(study)
            raise AcceptedError

        with (
            mock.patch.object(sys, "argv", ["shipworthy", *arguments]),
            mock.patch.object(launch, "find_or_make", stop),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("always")
            try:
                cli.main()
            except AcceptedError:
                return "accepted", err.getvalue()
            except SystemExit as ended:
                code = ended.code
            except HangError:
                return f"took longer than {LIMIT_S:g} s", ""
            except BaseException:  # noqa: BLE001 - whatever comes through is what we look for
                return "traceback", traceback.format_exc()[-1800:]
        return self.judged(case, code, out.getvalue(), err.getvalue())

    def judged(self, case: Case, code: Any, out: str, err: str) -> tuple[str, str]:
        """Whether a refusal is one sentence that names what it is about."""
        said = err.removesuffix("\n")
        complaints = {
            f"exit code {code}": code != 2,
            "printed besides": bool(out),
            "not one sentence": not said.startswith("shipworthy: ") or "\n" in said,
            "unprintable": not said.replace("\n", "").isprintable(),
            "a traceback in words": "Traceback" in said,
            "too long": len(said) > LONGEST_SENTENCE,
            "does not name the file": bool(case.names) and not any(name in said for name in case.names),
        }
        found = [what for what, wrong in complaints.items() if wrong]
        return ("; ".join(found), said[:1000]) if found else ("refused", said)

    def one(self, kind: str, number: int) -> str:
        """Make an input, give it, and look at what is left of it."""
        folder = self.folder / f"{number:05d}"
        folder.mkdir()
        case = self.make(kind, folder)
        before = sorted(p for p in folder.rglob("*"))
        began = time.perf_counter()
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
        try:
            answer, said = self.call(case, folder / "out")
        except HangError:
            answer, said = f"took longer than {LIMIT_S:g} s", ""
        finally:
            if hasattr(signal, "setitimer"):
                signal.setitimer(signal.ITIMER_REAL, 0)
        took = time.perf_counter() - began
        if answer in {"accepted", "refused"} and sorted(p for p in folder.rglob("*")) != before:
            answer = "left files behind"
        tally = self.tallies[kind]
        tally.tried += 1
        tally.refused += answer == "refused"
        tally.accepted += answer == "accepted"
        tally.seconds += took
        tally.slowest_s = max(tally.slowest_s, took)
        tally.whats[f"{case.what}: {answer}" if kind in {"CSV files", "study text", "Parquet files"} else answer] += 1
        if answer not in {"accepted", "refused"}:
            self.wrong.append(f"{kind} {number} ({case.what}): {answer}: {said}")
        else:
            shutil.rmtree(folder)
        return answer

    def go(self, inputs: int) -> None:
        """All kinds, in their shares, each input from one seed."""
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, _hang)
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            kinds = [kind for kind, share in SHARES.items() for _ in range(round(inputs * share / 100))]
            for number, kind in enumerate(kinds):
                self.one(kind, number)
        finally:
            os.chdir(here)

    def table(self) -> str:
        """How the inputs were answered, a line a kind."""
        lines = [
            f"{'kind':<15}{'tried':>7}{'refused in one sentence':>26}{'accepted':>10}{'failed':>8}{'mean ms':>9}{'slowest s':>11}"
        ]
        total = Tally()
        for kind, t in self.tallies.items():
            lines.append(_line(kind, t))
            total.tried, total.refused, total.accepted = (
                total.tried + t.tried,
                total.refused + t.refused,
                total.accepted + t.accepted,
            )
            total.seconds, total.slowest_s = total.seconds + t.seconds, max(total.slowest_s, t.slowest_s)
        return "\n".join([*lines, _line("all", total)])


def _line(kind: str, t: Tally) -> str:
    failed = t.tried - t.refused - t.accepted
    return f"{kind:<15}{t.tried:>7,}{t.refused:>26,}{t.accepted:>10,}{failed:>8,}{1000 * t.seconds / max(1, t.tried):>9.0f}{t.slowest_s:>11.1f}"


def _hang(*_arguments: Any) -> None:
    raise HangError


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--details", action="store_true", help="count the answers of each way of being odd")
    asked = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as temporary:
        fuzz = Fuzz(asked.seed, Path(temporary).resolve())
        fuzz.go(asked.inputs)
    for sentence in fuzz.wrong:
        print(f"WRONG: {sentence}\n")
    if asked.details:
        for kind, tally in fuzz.tallies.items():
            print(kind, *(f"  {count:>4}  {what}" for what, count in sorted(tally.whats.items())), sep="\n")
    print(fuzz.table())
    print(
        f"{sum(t.tried for t in fuzz.tallies.values()):,} inputs in {time.perf_counter() - began:.0f} s, {len(fuzz.wrong)} failures"
    )
    sys.exit(bool(fuzz.wrong))


if __name__ == "__main__":
    main()
