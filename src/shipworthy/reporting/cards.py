"""A data set's card: what a reader should know before believing a number from it.

The facts are plain values, so that a run can keep them and its report needs no rows. A value of a column is shown only where
at least ten rows share it, and of a personal column never: such columns are no features, and the card counts features alone.

This module does *not* know where rows come from or whether they are any good.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.records import Dataset
from shipworthy.reporting.wording import number

if TYPE_CHECKING:
    import pandas as pd

SHOWN_COLUMNS = 30
SHOWN_CLASSES = 12
FEWEST_ROWS = 10
"""Rows that must share a value before the card shows it."""


def dataset_facts(dataset: Dataset) -> dict[str, Any]:
    """What a card says, as plain values that JSON can hold.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    dict
        ``name``, ``task``, ``shape``, ``balance`` (class or quantile, its share or value in training and test rows), ``columns``
        (the first thirty features, with role, share missing and usual values), ``columns_left_out``, ``facts`` (name and
        sentence), ``guesses``, ``checks`` and ``traps``.
    """
    split, roles = dataset.split, dataset.roles
    sides = {"train": dataset.y[split.train], "test": dataset.y[split.test]}
    named = {
        "orders the rows (time), no feature": [roles.time] if roles.time else [],
        "keeps rows together (group), no feature": [roles.group] if roles.group else [],
        "sensitive: may be reported by group": list(roles.sensitive),
        "personal: no feature, never shown": list(roles.personal),
        "price": list(roles.price),
        "cost": list(roles.cost),
    }
    facts = [
        ("split", split.rule),
        ("folds", f"{split.n_folds}, for what a model says of rows that it did not train on"),
        *[(role, ", ".join(columns)) for role, columns in named.items() if columns],
        ("provenance", dataset.provenance),
        ("licence", dataset.licence),
        ("fingerprint of all rows", dataset.fingerprint),
    ]
    columns = [_column(dataset, str(c)) for c in list(dataset.X.columns)[:SHOWN_COLUMNS]]
    n_features = len(dataset.X.columns)
    return {
        "name": dataset.name,
        "task": dataset.task,
        "shape": (
            f"{len(split.train):,} rows train and {len(split.test):,} test; {n_features:,} features, of which "
            f"{len(dataset.numeric):,} hold numbers; {dataset.X.isna().to_numpy().mean():.1%} of their cells are missing."
        ),
        "balance": _balance(dataset, sides),
        "columns": columns,
        "columns_left_out": n_features - len(columns),
        "facts": [list(fact) for fact in facts],
        "guesses": list(dataset.guesses),
        "checks": list(dataset.checks),
        "traps": list(dataset.traps),
    }


def _balance(dataset: Dataset, sides: Mapping[str, Any]) -> list[list[str]]:
    if not dataset.classes:
        parts = ((0.05, "5 % are below"), (0.5, "half are below"), (0.95, "95 % are below"))
        return [[words, *(number(float(np.quantile(y, q))) for y in sides.values())] for q, words in parts]
    shares = [[name, *(f"{np.mean(y == k):.1%}" for y in sides.values())] for k, name in enumerate(dataset.classes)]
    more = len(shares) - SHOWN_CLASSES
    return shares if more <= 0 else [*shares[:SHOWN_CLASSES], [f"and {more} more classes", "", ""]]


def _column(dataset: Dataset, name: str) -> dict[str, str]:
    column, roles = dataset.X[name], dataset.roles
    held = (("sensitive", roles.sensitive), ("price", roles.price), ("cost", roles.cost))
    missing = float(column.isna().mean())
    return {
        "name": name,
        "type": "number" if name in dataset.numeric else "text",
        "role": ", ".join(role for role, columns in held if name in columns),
        "missing": f"{missing:.1%}" if missing else "",
        "values": _values(column, numeric=name in dataset.numeric),
    }


def _values(column: pd.Series[Any], *, numeric: bool) -> str:
    """The usual values of a column: where most numbers lie, or which texts are common."""
    if numeric:
        low, middle, high = (number(float(column.quantile(q))) for q in (0.05, 0.5, 0.95))
        return f"half below {middle}; nine in ten from {low} to {high}"
    counts = column.value_counts()
    common = [f"{value} {count / len(column):.0%}" for value, count in counts.head(3).items() if count >= FEWEST_ROWS]
    return f"{len(counts):,} different" + (f": {', '.join(common)}" if common else "") + (" ..." if len(counts) > 3 else "")


def dataset_card(dataset: Dataset) -> str:
    """A data set's card as HTML for a notebook.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    str
        Whole in itself, its style included; names and values are escaped.
    """
    from shipworthy.reporting.page import template_environment

    source = '<style>{{ style }}</style><div class="shipworthy">{% include "dataset.html.j2" %}</div>'
    style = (resources.files("shipworthy.reporting") / "templates" / "report.css").read_text(encoding="utf-8")
    return template_environment(autoescape=True).from_string(source).render(data=dataset_facts(dataset), style=style)
