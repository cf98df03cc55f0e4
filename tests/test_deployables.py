"""The estimators that artefacts hold: what a service is sent is what the model was trained on."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor
from sklearn.base import clone

from shipworthy import datasets, deployables
from shipworthy.candidates.pipelines import for_trees
from shipworthy.deployables import NumberCaster, QueryEncoder
from shipworthy.records import Ingredients

MIXED = QueryEncoder(columns=("age", "hours", "job"), numeric=("age", "hours"))
ALL_NUMERIC = QueryEncoder(columns=("a", "b"), numeric=("a", "b"))
CELLS = {
    "age": st.none() | st.integers(-(10**6), 10**6),
    "hours": st.none() | st.floats(allow_nan=True, allow_infinity=False),
    "job": st.none() | st.text(max_size=8),
}


TEXT = pd.StringDtype(na_value=np.nan)


def told(array):
    """The cells as plain values with their types; NaN, which equals nothing, as a word."""
    return [(type(v).__name__, "missing" if v != v else v) for v in array.ravel().tolist()]  # noqa: PLR0124 - NaN differs from itself


@given(st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=6))
def test_a_table_and_its_queries_are_encoded_alike(queries):
    """A DataFrame and the list of dicts that it was made of give the same array, cell by cell and type by type."""
    types = {"age": "float64", "hours": "float64", "job": TEXT}
    table = pd.DataFrame(queries, columns=list(CELLS)).astype(types)
    from_queries, from_table = MIXED.transform(queries), MIXED.transform(table)
    assert from_queries.dtype == from_table.dtype == object
    assert told(from_queries) == told(from_table)


def test_text_kept_as_objects_is_encoded_like_text():
    """How pandas stores text does not matter, nor whether a missing one is None or NaN."""
    modern = pd.DataFrame({"age": [1, 2], "hours": [0.5, math.nan], "job": pd.array(["clerk", None], dtype=TEXT)})
    old = modern.astype({"job": object}).replace({"job": {math.nan: None}})
    assert told(MIXED.transform(modern)) == told(MIXED.transform(old))


def test_all_numeric_queries_become_floats():
    """Without text the array is float64, and a missing value is NaN however it is said."""
    expected = np.array([[1.0, np.nan], [np.nan, 2.5], [np.nan, np.nan]])
    np.testing.assert_array_equal(
        expected, ALL_NUMERIC.transform([{"b": None, "a": 1}, {"b": 2.5}, {"a": math.nan}]), strict=True
    )


def test_order_of_keys_and_unknown_keys_do_not_matter():
    """A query is a dict: its order says nothing, and what is no column is passed over."""
    plain = MIXED.transform([{"age": 1, "hours": 2.0, "job": "clerk"}])
    np.testing.assert_array_equal(plain, MIXED.transform([{"job": "clerk", "shoe": 43, "hours": 2, "age": 1.0}]))


@pytest.mark.parametrize("nothing", [[], pd.DataFrame({"a": [], "b": []})], ids=["list", "table"])
def test_no_row_is_refused(nothing):
    """Without rows there is nothing to answer, and the error says so."""
    with pytest.raises(ValueError, match="at least one row"):
        ALL_NUMERIC.transform(nothing)


@pytest.mark.parametrize("odd", [{"a": 1}, "a", 3, np.ones((1, 2)), ["a"], [[1, 2]]], ids=repr)
def test_what_is_no_query_is_refused(odd):
    """A single dict, text, an array or a list of lists is refused with what was expected."""
    with pytest.raises(TypeError, match=r"dict"):
        ALL_NUMERIC.transform(odd)


@pytest.mark.parametrize("encoder", [ALL_NUMERIC, QueryEncoder(columns=("a", "c"), numeric=("a",))], ids=["numeric", "mixed"])
@pytest.mark.parametrize("as_table", [False, True], ids=["queries", "table"])
def test_text_in_a_numeric_column_is_refused_by_name(encoder, as_table):
    """Text where a number belongs is refused, naming the column."""
    queries = [{"a": "many", "b": 1, "c": "x"}]
    with pytest.raises(ValueError, match="numeric column 'a'"):
        encoder.transform(pd.DataFrame(queries) if as_table else queries)


def test_a_table_without_a_column_is_refused_by_name():
    """A table lacks a column as a whole only by mistake; a query may leave out any key."""
    with pytest.raises(ValueError, match="lacks the column 'b'"):
        ALL_NUMERIC.transform(pd.DataFrame({"a": [1.0]}))


def test_a_numeric_name_that_is_no_column_is_refused():
    """Names are checked when the encoder is fitted."""
    with pytest.raises(ValueError, match="'z'"):
        QueryEncoder(columns=("a",), numeric=("z",)).fit([{"a": 1}])


def test_estimators_can_be_cloned_and_need_no_fit():
    """They hold their parameters and nothing else."""
    for estimator in (MIXED, NumberCaster("float64")):
        assert clone(estimator).get_params() == estimator.get_params()
    assert MIXED.get_feature_names_out().tolist() == ["age", "hours", "job"]


def test_numbers_are_cast_and_nothing_else():
    """Casting keeps missing values missing."""
    cast = NumberCaster("float32").fit_transform(np.array([[1, math.nan], [0.1, 2]], dtype=object))
    np.testing.assert_array_equal(np.array([[1, np.nan], [np.float32(0.1), 2]], dtype=np.float32), cast, strict=True)


@pytest.mark.filterwarnings("ignore:Missing values detected:UserWarning")  # InterpretML's plots would leave them out
@pytest.mark.parametrize("dataset", ["hmda", "catsup", "diamonds"])
def test_the_glass_box_answers_like_the_machine_that_it_was_taken_from(dataset):
    """Its tables alone say what InterpretML's own model says, to 1e-9, of missing values and unknown categories too."""
    data = datasets.load(dataset, max_train_rows=300, max_test_rows=60)
    regression, n_numeric = data.task == "regression", len(data.numeric)
    columns = n_numeric + len(data.categorical)
    box = (deployables.GlassBoxRegressor if regression else deployables.GlassBoxClassifier)(
        tuple(range(n_numeric, columns)), interactions=0 if data.task == "multiclass" else 4, max_rounds=60, random_state=3
    )
    prepare = for_trees(Ingredients(data.task, data.numeric, data.categorical), None)
    X = np.asarray(prepare.fit_transform(data.X.iloc[data.split.train]), dtype=float)
    y = data.y[data.split.train]
    box.fit(X, y)
    theirs = (ExplainableBoostingRegressor if regression else ExplainableBoostingClassifier)(**box._settings(columns))
    theirs.fit(X, y)
    queries = data.queries(data.split.test)
    for i, query in enumerate(queries):
        for name in list(query)[i % 3 :: 3]:
            query[name] = None if i % 2 or name in data.numeric else "never seen"
    asked = np.asarray(prepare.transform([*queries, {}]), dtype=float)
    how = "predict" if regression else "predict_proba"
    np.testing.assert_allclose(getattr(box, how)(asked), getattr(theirs, how)(asked), rtol=1e-9, atol=1e-9)
    score = box.contributions(asked).sum(axis=1) + box.intercept_
    if regression:
        np.testing.assert_allclose(score[:, 0], box.predict(asked), rtol=1e-9)
    assert box.contributions(asked).shape == (len(asked), len(box.terms_), len(box.intercept_))
    with pytest.raises(ValueError, match=f"fitted on {columns} columns and is given {columns - 1}"):
        getattr(box, how)(asked[:, :-1])


def test_a_column_of_nothing_is_filled_and_no_other_cell_changes():
    """Zeros in the column that was empty when it was fitted, whatever it holds later; without one, the very array comes back."""
    gone = np.nan
    filler = deployables.EmptyColumnFiller().fit(np.array([[1, gone, gone], [gone, gone, 2]]))
    np.testing.assert_array_equal(filler.transform(np.array([[gone, 5, 7.0]])), [[gone, 0, 7]])
    whole = np.array([[1.0, gone], [gone, 2.0]])
    assert deployables.EmptyColumnFiller().fit(whole).transform(whole) is whole


def test_a_table_has_the_same_types_whatever_it_is_made_from():
    """Floats and text, from a DataFrame, from dicts and from JSON: equal frames."""
    data = datasets.load("hmda", max_train_rows=300, max_test_rows=60)
    builder = deployables.TableBuilder(columns=(*data.numeric, *data.categorical), numeric=data.numeric)
    rows = data.split.test[:30]
    table = builder.fit(data.X).transform(data.X.iloc[rows])
    pd.testing.assert_frame_equal(table, builder.transform(data.queries(rows)))
    assert {str(t) for t in table.dtypes} == {"float64", "object"}
