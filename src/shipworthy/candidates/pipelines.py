"""The preprocessing that families share: it is part of every candidate, so that a query's latency holds it.

Columns are numeric ones first, then the others, and are addressed by their place in the array: names would need pandas.
A data set without text skips what it does not need.

This module does *not* know which model comes last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipworthy.records import Estimator, Ingredients

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

RARE = 10
"""A category met in fewer training rows than this is pooled with the other rare and the unknown ones."""


def _pipeline(ingredients: Ingredients, prepare: Estimator | None, model: Estimator, fill: Estimator | None = None) -> Pipeline:
    from sklearn.pipeline import Pipeline

    from shipworthy.deployables import QueryEncoder

    query = QueryEncoder(columns=(*ingredients.numeric, *ingredients.categorical), numeric=ingredients.numeric)
    steps = [("query", query), ("prepare", prepare), ("fill", fill), ("model", model)]
    return Pipeline([(name, step) for name, step in steps if step is not None])


def category_places(ingredients: Ingredients) -> tuple[int, ...]:
    """Where :func:`for_trees` puts the codes of categories: after all numbers."""
    return tuple(_places(ingredients)[1])


def _places(ingredients: Ingredients) -> tuple[list[int], list[int]]:
    """Places of the numeric and of the other columns in the encoded array."""
    n_numeric = len(ingredients.numeric)
    return list(range(n_numeric)), list(range(n_numeric, n_numeric + len(ingredients.categorical)))


def bare(ingredients: Ingredients, model: Estimator) -> Pipeline:
    """A model that looks at no feature: the query is decoded and nothing is prepared."""
    return _pipeline(ingredients, None, model)


def whole_table(ingredients: Ingredients, model: Estimator) -> Pipeline:
    """A model that is given the rows as a DataFrame, categories as text and missing values missing."""
    from sklearn.pipeline import Pipeline

    from shipworthy.deployables import TableBuilder

    columns = (*ingredients.numeric, *ingredients.categorical)
    return Pipeline([("table", TableBuilder(columns=columns, numeric=ingredients.numeric)), ("model", model)])


def for_linear(ingredients: Ingredients, model: Estimator, *, dense: bool = False) -> Pipeline:
    """Medians for what is missing (and a column that says so), unit variance, one column a category.

    ``dense`` is for models that take no sparse matrix; others are given what scikit-learn finds smaller.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numeric, categorical = _places(ingredients)
    numbers = Pipeline(
        [("impute", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)), ("scale", StandardScaler())]
    )
    if not categorical:
        return _pipeline(ingredients, numbers, model)
    # A missing category is a category of its own; an unknown one is treated like the rare ones.
    categories = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=RARE, sparse_output=not dense)
    return _pipeline(
        ingredients, ColumnTransformer([("numbers", numbers, numeric), ("categories", categories, categorical)]), model
    )


def for_trees(ingredients: Ingredients, model: Estimator, *, fill_empty: bool = False) -> Pipeline:
    """Numbers as they come, missing ones included, and a whole number for each category.

    ``fill_empty`` is for models that a column without any value stops.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OrdinalEncoder

    from shipworthy.deployables import EmptyColumnFiller, NumberCaster

    numeric, categorical = _places(ingredients)
    fill = EmptyColumnFiller() if fill_empty else None
    if not categorical:
        return _pipeline(ingredients, None, model, fill)
    categories = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2, dtype="float32")
    prepare = ColumnTransformer([("numbers", NumberCaster("float32"), numeric), ("categories", categories, categorical)])
    return _pipeline(ingredients, prepare, model, fill)
