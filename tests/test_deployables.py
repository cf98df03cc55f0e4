"""The estimators that artefacts hold: what a service is sent is what the model was trained on."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from shipworthy.deployables import NumberCaster, QueryEncoder

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
