"""The card of a data set: true, plain, safe to show, and the same in a notebook and in the report."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from shipworthy import datasets, reporting
from shipworthy.records import DataFile, InputError
from shipworthy.study.report import read_cards

HOSTILE = "</script><script>alert(1)</script>"
SMALL = {"max_train_rows": 300, "max_test_rows": 200}


@pytest.fixture
def hostile(tmp_path):
    """Somebody's own file whose column, class and value names are attacks, with a personal column."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"who": [f"person {i}" for i in range(120)], "n": rng.normal(size=120)})
    frame[HOSTILE] = rng.choice([HOSTILE + "a", HOSTILE + "b"], 120)
    frame["late"] = rng.choice(["no", HOSTILE], 120)
    frame.to_csv(tmp_path / "mine.csv", index=False)
    return datasets.load(DataFile(file=str(tmp_path / "mine.csv"), target="late", name="mine", personal=("who",)))


@pytest.mark.parametrize("name", datasets.names())
def test_a_card_says_what_the_data_set_says(name):
    """Rows, split, provenance, licence, and every trap and check are on it; its facts survive JSON."""
    data = datasets.load(name, **SMALL)
    facts = reporting.dataset_facts(data)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["shape"].startswith(f"{len(data.split.train):,} rows train and {len(data.split.test):,} test")
    assert facts["traps"] == list(data.traps)
    assert facts["checks"] == list(data.checks)
    said = dict(facts["facts"])
    assert (said["split"], said["provenance"], said["licence"]) == (data.split.rule, data.provenance, data.licence)
    assert len(facts["columns"]) + facts["columns_left_out"] == data.X.shape[1]
    html = reporting.dataset_card(data)
    assert "The target, in training and test rows" in html


def test_the_balance_is_counted():
    """Shares of classes are those of the rows; of a number, the quantiles."""
    data = datasets.load("hmda")
    (_, granted, _), (name, denied, _) = reporting.dataset_facts(data)["balance"]
    assert name == "denied"
    assert denied == f"{data.y[data.split.train].mean():.1%}"
    assert float(granted[:-1]) + float(denied[:-1]) == pytest.approx(100, abs=0.11)
    words = [row[0] for row in reporting.dataset_facts(datasets.load("diamonds"))["balance"]]
    assert words == ["5 % are below", "half are below", "95 % are below"]


def test_names_and_values_never_execute(hostile):
    """No script of a column, a class or a value reaches the page as one."""
    html = reporting.dataset_card(hostile)
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_personal_values_are_never_shown(hostile):
    """The column is named, with its role; not one of its values is on the card or among its facts."""
    html = reporting.dataset_card(hostile)
    assert "who" in dict(reporting.dataset_facts(hostile)["facts"])["personal: no feature, never shown"]
    assert "person 1" not in html + json.dumps(reporting.dataset_facts(hostile))


def test_a_value_that_few_rows_share_is_not_shown(tmp_path):
    """Texts that fewer than ten rows share may tell who somebody is: only how many there are is said."""
    frame = pd.DataFrame(
        {"name": [f"person {i}" for i in range(100)], "common": ["x", "y"] * 50, "late": ["a", "a", "b", "b"] * 25}
    )
    frame.to_csv(tmp_path / "mine.csv", index=False)
    data = datasets.load(DataFile(file=str(tmp_path / "mine.csv"), target="late", name="mine"))
    values = {c["name"]: c["values"] for c in reporting.dataset_facts(data)["columns"]}
    assert values == {"name": "100 different ...", "common": "2 different: x 50%, y 50%"}


def test_a_damaged_file_of_cards_is_refused(tmp_path):
    """A run of before there were cards has none; a damaged file is named, with the remedy."""
    assert read_cards(tmp_path) == []
    for content in ("{", "[1]", '[{"name": "x"}]'):
        (tmp_path / "datasets.json").write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=r"datasets\.json .*run the study again"):
            read_cards(tmp_path)
