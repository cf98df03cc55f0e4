"""Every estimator of ours that an artefact may hold: small, scikit-learn-shaped, and light on one row.

A service that holds an artefact needs this module, NumPy and scikit-learn, and nothing else of shipworthy; pandas may be
absent. What is here is named in :data:`shipworthy.artefacts.TRUSTED`, because only named types are ever loaded.

This module does *not* know which candidates exist, how they are trained, or how an artefact is stored.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin, clone

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

Rows = Any
"""Queries: a DataFrame or a list of dicts."""
_MISSING = float("nan")


# scikit-learn publishes no types, and its wrapper around `transform` (set_output) would cost microseconds on every query.
class QueryEncoder(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[misc,call-arg]
    """Turn raw queries, or rows of a DataFrame, into the array that the rest of a pipeline takes.

    The first step of every candidate: whatever a service is sent is what the model was trained on, cell by cell.

    Parameters
    ----------
    columns : tuple of str
        Names of the feature columns, in the order of the array.
    numeric : tuple of str
        Those of them that hold numbers; all others hold text.

    Examples
    --------
    >>> encoder = QueryEncoder(columns=("age", "job"), numeric=("age",))
    >>> encoder.transform([{"job": "clerk", "age": 41, "unknown key": 1}, {"age": None}])
    array([[41.0, 'clerk'],
           [nan, nan]], dtype=object)
    """

    def __init__(self, columns: tuple[str, ...], numeric: tuple[str, ...]) -> None:
        self.columns = columns
        self.numeric = numeric

    def fit(self, X: pd.DataFrame | Sequence[Mapping[str, Any]], y: object = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Check that ``X`` can be encoded; nothing is learnt.

        Parameters
        ----------
        X : DataFrame or sequence of dict
        y : ignored

        Returns
        -------
        QueryEncoder

        Raises
        ------
        ValueError
            If ``numeric`` names a column that ``columns`` lacks, or as from :meth:`transform`.
        """
        if strays := [c for c in self.numeric if c not in self.columns]:
            raise ValueError(f"numeric names {strays[0]!r}, which is not among the columns {list(self.columns)}")
        self.transform(X)
        self.n_features_in_ = len(self.columns)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Always: there is nothing to learn."""
        return True

    def transform(self, X: pd.DataFrame | Sequence[Mapping[str, Any]]) -> NDArray[Any]:
        """Encode queries.

        Parameters
        ----------
        X : DataFrame or sequence of dict
            In a dict a missing value is ``None``, not a number, or an absent key; a key that is no column is passed over.

        Returns
        -------
        ndarray, shape (n, n_columns)
            float64 if every column is numeric; else object, with floats in numeric and text in all other columns.
            A missing value is ``nan`` in both.

        Raises
        ------
        TypeError
            If ``X`` is neither a DataFrame nor a sequence of dicts.
        ValueError
            If ``X`` has no row, a DataFrame lacks a column, or a numeric column holds something that is no number.
        """
        table: Any = X if hasattr(X, "columns") else None
        if table is None and (isinstance(X, str | Mapping) or not isinstance(X, Sequence)):
            raise TypeError(f"queries must be a DataFrame or a list of dicts, not {type(X).__name__}")
        if len(X) == 0:
            raise ValueError("QueryEncoder needs at least one row, got none")
        return self._from_queries(X) if table is None else self._from_frame(table)  # type: ignore[arg-type]  # told apart above

    def _from_frame(self, X: Any) -> NDArray[Any]:
        if absent := [c for c in self.columns if c not in X.columns]:
            raise ValueError(f"the table lacks the column {absent[0]!r}; it needs {list(self.columns)}")
        numeric = frozenset(self.numeric)
        whole = len(numeric) == len(self.columns)
        encoded: NDArray[Any] = np.empty((len(X), len(self.columns)), dtype=np.float64 if whole else object)
        for place, name in enumerate(self.columns):
            column = X[name]
            if name in numeric:
                try:
                    encoded[:, place] = column.to_numpy(dtype=np.float64, na_value=_MISSING)
                except (TypeError, ValueError) as error:
                    raise ValueError(f"the numeric column {name!r} holds something that is no number: {error}") from error
            else:
                gone = column.isna().to_numpy()
                cells = [_MISSING if g else (v if type(v) is str else str(v)) for v, g in zip(column.tolist(), gone, strict=True)]
                encoded[:, place] = cells
        return encoded

    def _from_queries(self, queries: Sequence[Mapping[str, Any]]) -> NDArray[Any]:
        numeric = frozenset(self.numeric)
        whole = len(numeric) == len(self.columns)
        kinds = [(name, name in numeric) for name in self.columns]
        rows: list[list[Any]] = []
        for query in queries:
            if not isinstance(query, Mapping):
                raise TypeError(f"each query must be a dict of values by column name, not {type(query).__name__}")
            row: list[Any] = []
            for name, is_number in kinds:
                value = query.get(name)
                # NaN is the only value that differs from itself.
                if value is None or value != value:  # noqa: PLR0124
                    row.append(_MISSING)
                elif is_number:
                    try:
                        row.append(float(value))
                    except (TypeError, ValueError) as error:
                        raise ValueError(f"the numeric column {name!r} holds {value!r:.60}, which is no number") from error
                else:
                    row.append(value if type(value) is str else str(value))
            rows.append(row)
        return np.array(rows, dtype=np.float64 if whole else object)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:  # noqa: ARG002 - scikit-learn's signature
        """Names of the columns of the array, as scikit-learn asks for them."""
        return np.array(self.columns, dtype=object)


class TableBuilder(QueryEncoder, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # as above
    """Turn raw queries, or rows of a DataFrame, into a DataFrame of the same types: floats, and text as ``object``.

    The first step of an estimator of somebody's own that prepares its columns itself. It alone needs pandas.

    Parameters
    ----------
    columns, numeric
        As of :class:`QueryEncoder`.

    Examples
    --------
    >>> TableBuilder(columns=("age", "job"), numeric=("age",)).transform([{"age": 41}]).dtypes.astype(str).to_dict()
    {'age': 'float64', 'job': 'object'}
    """

    def transform(self, X: pd.DataFrame | Sequence[Mapping[str, Any]]) -> Any:
        """Build the table.

        Parameters
        ----------
        X : DataFrame or sequence of dict

        Returns
        -------
        DataFrame, shape (n, n_columns)
            A missing value is ``nan``.

        Raises
        ------
        TypeError, ValueError
            As from :meth:`QueryEncoder.transform`.
        """
        import pandas as pd

        cells = super().transform(X)
        types = {name: "float64" if name in self.numeric else "object" for name in self.columns}
        return pd.DataFrame({name: pd.Series(cells[:, i], dtype=types[name]) for i, name in enumerate(self.columns)})


class NumberCaster(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[misc,call-arg]  # as above
    """Cast the numeric cells of an object array to a float type; nothing else.

    Trees compare in single precision whatever they are given, so casting once, here, changes no answer and halves the copy.

    Parameters
    ----------
    dtype : str
        Name of the NumPy type of the result.

    Examples
    --------
    >>> import numpy as np
    >>> NumberCaster("float32").transform(np.array([[1.5, float("nan")]], dtype=object))
    array([[1.5, nan]], dtype=float32)
    """

    def __init__(self, dtype: str = "float32") -> None:
        self.dtype = dtype

    def fit(self, X: NDArray[Any], y: object = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Learn nothing."""
        self.n_features_in_ = X.shape[1]
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Always: there is nothing to learn."""
        return True

    def transform(self, X: NDArray[Any]) -> NDArray[Any]:
        """Cast the cells.

        Parameters
        ----------
        X : ndarray, shape (n, n_columns)

        Returns
        -------
        ndarray of ``dtype``, shape (n, n_columns)
        """
        return X.astype(self.dtype)

    def get_feature_names_out(self, input_features: Sequence[str]) -> NDArray[Any]:
        """Names of the columns, as they came."""
        return np.array(input_features, dtype=object)


class EmptyColumnFiller(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[misc,call-arg]  # as above
    """Put zeros into columns that held no value at all when it was fitted; all other cells stay as they are.

    For models that find no bins in a column of nothing. They learn nothing of such a column, whatever it holds later.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, float("nan")], [float("nan"), float("nan")]])
    >>> EmptyColumnFiller().fit(X).transform(X)
    array([[ 1.,  0.],
           [nan,  0.]])
    """

    def fit(self, X: NDArray[Any], y: object = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Note the columns without a value."""
        self.n_features_in_ = X.shape[1]
        self.empty_ = np.flatnonzero(np.isnan(X).all(axis=0))
        return self

    def transform(self, X: NDArray[Any]) -> NDArray[Any]:
        """Fill them; without any, the array itself is handed on.

        Parameters
        ----------
        X : ndarray of float, shape (n, n_columns)

        Returns
        -------
        ndarray of float, shape (n, n_columns)
        """
        if not len(self.empty_):
            return X
        filled = X.copy()
        filled[:, self.empty_] = 0
        return filled

    def get_feature_names_out(self, input_features: Sequence[str]) -> NDArray[Any]:
        """Names of the columns, as they came."""
        return np.array(input_features, dtype=object)


class _GlassBox(BaseEstimator):  # type: ignore[misc]  # as above
    """What the explainable boosting machines of both tasks share.

    InterpretML fits them; what is kept is their tables, because that is all the model there is: the answer is the sum of one
    cell of each. So an artefact holds plain arrays, and answering needs NumPy alone. The tables lie one after the other in flat
    arrays, since an artefact describes every array apart.
    """

    def __init__(
        self,
        nominal: tuple[int, ...] = (),
        *,
        interactions: int = 5,
        outer_bags: int = 2,
        max_rounds: int = 1000,
        n_jobs: int | None = 1,
        random_state: int = 0,
    ) -> None:
        self.nominal = nominal
        self.interactions = interactions
        self.outer_bags = outer_bags
        self.max_rounds = max_rounds
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _settings(self, n_columns: int) -> dict[str, Any]:
        nominal = frozenset(self.nominal)
        types = ["nominal" if place in nominal else "continuous" for place in range(n_columns)]
        names = ("interactions", "outer_bags", "max_rounds", "n_jobs", "random_state")
        return {"feature_types": types, **{name: getattr(self, name) for name in names}}

    def _fit(self, model: Any, X: NDArray[Any], y: NDArray[Any]) -> None:
        with warnings.catch_warnings():
            # Its plots would leave missing values out; a cell for them is kept here like any other.
            warnings.filterwarnings("ignore", message="Missing values detected", category=UserWarning)
            model.fit(EmptyColumnFiller().fit_transform(np.asarray(X, dtype=np.float64)), y)
        self._keep(model)

    def _keep(self, model: Any) -> None:
        """Copy the tables of a fitted machine of InterpretML's."""
        self.n_features_in_ = len(model.bins_)
        self.intercept_ = np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64))
        nominal = frozenset(self.nominal)
        edges: list[NDArray[Any]] = []
        cells: list[NDArray[Any]] = []
        for place, levels in enumerate(model.bins_):
            for order in (0, 1):  # bins for the column alone, and those for pairs, which may be coarser
                bins = levels[min(order, len(levels) - 1)]
                if place in nominal:
                    codes = sorted((float(name), cell) for name, cell in bins.items())
                    edges.append(np.array([code for code, _ in codes], dtype=np.float64))
                    cells.append(np.array([cell for _, cell in codes], dtype=np.int64))
                else:
                    edges.append(np.asarray(bins, dtype=np.float64))
                    cells.append(np.arange(1, len(bins) + 1, dtype=np.int64))
        self.edges_, self.cells_ = np.concatenate(edges), np.concatenate(cells)
        self.edge_ends_ = np.cumsum([0, *map(len, edges)])
        self.terms_ = np.array([(*term, -1)[:2] for term in model.term_features_], dtype=np.int64).reshape(-1, 2)
        k = len(self.intercept_)
        shapes = [
            (*scores.shape, 1, 1)[:2] if places[1] >= 0 else (scores.shape[0], 1)
            for scores, places in zip(model.term_scores_, self.terms_, strict=True)
        ]
        self.table_shapes_ = np.array(shapes, dtype=np.int64).reshape(-1, 2)
        self.tables_ = np.concatenate([np.zeros((0, k)), *(np.reshape(scores, (-1, k)) for scores in model.term_scores_)])

    def _cells(self, column: NDArray[np.float64], place: int, order: int, n_cells: int) -> NDArray[Any]:
        """The cell of each value: 0 for a missing one, the last for a category that was never met."""
        at = 2 * place + order
        edges = self.edges_[self.edge_ends_[at] : self.edge_ends_[at + 1]]
        if place not in self.nominal:
            found = np.searchsorted(edges, column, side="right") + 1
        elif len(edges):
            near = np.minimum(np.searchsorted(edges, column), len(edges) - 1)
            found = np.where(edges[near] == column, self.cells_[self.edge_ends_[at] + near], n_cells - 1)
        else:
            found = np.full(len(column), n_cells - 1)
        found[np.isnan(column)] = 0
        return found

    def _terms(self, X: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
        """What each table adds to the score: for each, an array of shape (n, n_scores)."""
        columns = np.ascontiguousarray(np.asarray(X, dtype=np.float64).T)
        if len(columns) != self.n_features_in_:
            raise ValueError(f"the glass box was fitted on {self.n_features_in_} columns and is given {len(columns)}")
        start = 0
        for (first, second), (height, width) in zip(self.terms_.tolist(), self.table_shapes_.tolist(), strict=True):
            at = self._cells(columns[first], first, int(second >= 0), height)
            if second >= 0:
                at = at * width + self._cells(columns[second], second, 1, width)
            yield self.tables_[start + at]
            start += height * width

    def _score(self, X: NDArray[Any]) -> NDArray[np.float64]:
        score = np.tile(self.intercept_, (len(X), 1))
        for added in self._terms(X):
            score += added
        return score

    def contributions(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """What each term adds to each row's score: the whole reasoning, of which the answer is the sum.

        Parameters
        ----------
        X : ndarray, shape (n, n_columns)

        Returns
        -------
        ndarray of float64, shape (n, n_terms, n_scores)
            In log-odds (one score for two classes, else one a class) or units of the target. ``terms_`` names the columns of each
            term by their place, -1 where there is no second one; ``intercept_`` is added to the sum.
        """
        return np.stack(list(self._terms(X)), axis=1)


class GlassBoxClassifier(ClassifierMixin, _GlassBox):  # type: ignore[misc]  # as above
    """An explainable boosting machine [1]_: one table a column and a few a pair of columns, whose cells are added up.

    Parameters
    ----------
    nominal : tuple of int
        Places of the columns that hold codes of categories; all others hold numbers. Missing values are welcome.
    interactions : int
        Pairs of columns, at most, that get a table of their own.
    outer_bags : int
        Fits whose tables are averaged, each of which holds out other rows to know when to stop.
    max_rounds : int
        Passes over the columns, at most.
    n_jobs : int or None
    random_state : int

    References
    ----------
    .. [1] Lou, Caruana, Gehrke and Hooker (2013), Accurate intelligible models with pairwise interactions; fitted by InterpretML.
    """

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Self:
        """Fit with InterpretML, and keep the tables.

        Parameters
        ----------
        X : ndarray of float, shape (n, n_columns)
        y : ndarray, shape (n,)

        Returns
        -------
        GlassBoxClassifier
        """
        from interpret.glassbox import ExplainableBoostingClassifier

        self.classes_, codes = np.unique(y, return_inverse=True)
        self._fit(ExplainableBoostingClassifier(**self._settings(X.shape[1])), X, codes)
        return self

    def predict_proba(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities of the classes, shape (n, n_classes)."""
        score = self._score(X)
        if score.shape[1] == 1:
            score = np.hstack([np.zeros_like(score), score])
        odds = np.exp(score - score.max(axis=1, keepdims=True))
        said: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
        return said

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        """The likeliest class of each row, shape (n,)."""
        likeliest: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return likeliest


class GlassBoxRegressor(RegressorMixin, _GlassBox):  # type: ignore[misc]  # as above
    """The same for a number: its parameters are those of :class:`GlassBoxClassifier`."""

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Self:
        """Fit with InterpretML, and keep the tables.

        Parameters
        ----------
        X : ndarray of float, shape (n, n_columns)
        y : ndarray of float, shape (n,)

        Returns
        -------
        GlassBoxRegressor
        """
        from interpret.glassbox import ExplainableBoostingRegressor

        self._fit(ExplainableBoostingRegressor(**self._settings(X.shape[1])), X, y)
        return self

    def predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """The number of each row, shape (n,)."""
        return self._score(X)[:, 0]


class _FoldBag(BaseEstimator):  # type: ignore[misc]  # scikit-learn publishes no types
    """One model a fold, each fitted without its fold; all weigh alike."""

    weights = None
    """As of a vote without weights."""

    def __init__(self, member: Any, cv: Any = 5) -> None:
        self.member = member
        self.cv = cv

    @property
    def named_estimators(self) -> dict[str, Any]:
        """The fitted models by fold, as a vote names its members."""
        return {f"fold {i}": fitted for i, fitted in enumerate(self.estimators_)}

    def fit(self, X: Rows, y: NDArray[Any]) -> Self:
        """Fit a copy of the member for each fold, on the rows of the others.

        Parameters
        ----------
        X : DataFrame or list of dict
        y : ndarray, shape (n,)

        Returns
        -------
        self
        """
        from sklearn.base import is_classifier
        from sklearn.model_selection import check_cv
        from sklearn.utils import _safe_indexing

        folds = check_cv(self.cv, y, classifier=is_classifier(self)).split(X, y)
        self.estimators_ = [clone(self.member).fit(_safe_indexing(X, seen), y[seen]) for seen, _ in folds]
        return self


class BaggedClassifier(ClassifierMixin, _FoldBag):  # type: ignore[misc]
    """The mean of the probabilities of one model a fold, each fitted without its fold.

    Parameters
    ----------
    member : estimator
        Unfitted; a copy is fitted for each fold.
    cv : int or splitter
        The folds, when it is fitted whole.
    """

    def fit(self, X: Rows, y: NDArray[Any]) -> Self:
        """As of :class:`_FoldBag`; the classes are those of all rows."""
        self.classes_ = np.unique(y)
        return super().fit(X, y)

    def predict_proba(self, X: Rows) -> NDArray[np.float64]:
        """The mean over the folds.

        Parameters
        ----------
        X : DataFrame or list of dict

        Returns
        -------
        ndarray, shape (n, n_classes)
        """
        return np.asarray(np.average(np.asarray([m.predict_proba(X) for m in self.estimators_]), axis=0))

    def predict(self, X: Rows) -> NDArray[Any]:
        """The most likely class of each row."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


class BaggedRegressor(RegressorMixin, _FoldBag):  # type: ignore[misc]
    """The mean of the numbers that one model a fold predicts, each fitted without its fold.

    Parameters
    ----------
    member : estimator
    cv : int or splitter
    """

    def predict(self, X: Rows) -> NDArray[np.float64]:
        """The mean over the folds, shape (n,)."""
        return np.asarray(np.average(np.asarray([m.predict(X) for m in self.estimators_]), axis=0))


class _InOrder(BaseEstimator):  # type: ignore[misc]
    """Has members by name, in an order."""

    @property
    def named_estimators(self) -> dict[str, Any]:
        """The fitted members by name, or those of the first layer."""
        return dict(zip([name for name, _ in self.estimators], self.estimators_, strict=True))


class _Layers(_InOrder):
    """Two layers of models: the second is given the columns of a row and what the first says of it."""

    passthrough = True
    """As of scikit-learn's stack that gives the columns on."""
    _method = "predict"

    def __init__(self, estimators: list[tuple[str, Any]], final_estimator: Any, says: tuple[str, ...], cv: Any = 5) -> None:
        self.estimators = estimators
        self.final_estimator = final_estimator
        self.says = says
        self.cv = cv

    def fit(self, X: Rows, y: NDArray[Any]) -> Self:
        """Fit the first layer on all rows, and the second on what copies of the first said of rows that they had not seen.

        Parameters
        ----------
        X : DataFrame or list of dict
        y : ndarray, shape (n,)

        Returns
        -------
        self
        """
        from sklearn.model_selection import cross_val_predict

        self.estimators_ = [clone(e).fit(X, y) for _, e in self.estimators]
        said = [cross_val_predict(clone(e), X, y, cv=self.cv, method=self._method) for _, e in self.estimators]
        self.final_estimator_ = clone(self.final_estimator).fit(self.extend(X, said), y)
        return self

    def extend(self, X: Rows, said: Sequence[NDArray[Any]]) -> Rows:
        """The rows with what the first layer said of them as further columns.

        Parameters
        ----------
        X : DataFrame or list of dict
        said : sequence of ndarray, shape (n, n_classes) or (n, 1) or (n,)
            Of each model; of two classes the second's probability is kept, for the first is the rest.

        Returns
        -------
        DataFrame or list of dict

        Raises
        ------
        ValueError
            If that makes another number of columns than ``says`` names.
        """
        columns = [p[:, None] if p.ndim == 1 else p[:, 1:] if p.shape[1] == 2 else p for p in said]
        told = np.hstack(columns).astype(np.float64)
        if told.shape[1] != len(self.says):
            raise ValueError(f"the first layer says {told.shape[1]} numbers of a row, not the {len(self.says)} it was built for")
        if hasattr(X, "columns"):
            return X.assign(**dict(zip(self.says, told.T, strict=True)))
        return [{**query, **dict(zip(self.says, row, strict=True))} for query, row in zip(X, told.tolist(), strict=True)]

    def _second(self, X: Rows) -> Rows:
        return self.extend(X, [getattr(m, self._method)(X) for m in self.estimators_])


class LayeredClassifier(ClassifierMixin, _Layers):  # type: ignore[misc]
    """A stack of two layers for classes.

    Parameters
    ----------
    estimators : list of (str, estimator)
        The first layer.
    final_estimator : estimator
        The second: it takes rows that hold the columns of :attr:`says` too.
    says : tuple of str
        Names of the columns that the first layer adds: one a model for two classes, else one a model and class.
    cv : int or splitter
        The folds of what the second layer learns from, when it is fitted whole.
    """

    _method = "predict_proba"

    def fit(self, X: Rows, y: NDArray[Any]) -> Self:
        """As of :class:`_Layers`; the classes are those of all rows."""
        self.classes_ = np.unique(y)
        return super().fit(X, y)

    def predict_proba(self, X: Rows) -> NDArray[np.float64]:
        """What the second layer says, shape (n, n_classes)."""
        return np.asarray(self.final_estimator_.predict_proba(self._second(X)))

    def predict(self, X: Rows) -> NDArray[Any]:
        """The most likely class of each row."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


class LayeredRegressor(RegressorMixin, _Layers):  # type: ignore[misc]
    """A stack of two layers for numbers; parameters as of :class:`LayeredClassifier`, one added column a model."""

    def predict(self, X: Rows) -> NDArray[np.float64]:
        """What the second layer predicts, shape (n,)."""
        return np.asarray(self.final_estimator_.predict(self._second(X)))


def sureness(said: NDArray[Any], how: str) -> NDArray[np.float64]:
    """How sure a member is of each answer, from 0 to 1.

    Parameters
    ----------
    said : ndarray, shape (n, n_classes)
    how : {"margin", "entropy"}
        The most likely class's probability less the next one's; or 1 less the entropy over its largest value.

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    ValueError
        For another way.

    Examples
    --------
    >>> import numpy as np
    >>> sureness(np.array([[0.5, 0.5], [0.9, 0.1]]), "margin")
    array([0. , 0.8])
    """
    p = np.asarray(said, dtype=np.float64)
    if how == "margin":
        top = np.partition(p, p.shape[1] - 2, axis=1)[:, -2:]
        return np.asarray(top[:, 1] - top[:, 0])
    if how == "entropy":
        entropy = np.zeros(len(p))
        for column in p.T:  # class by class: a row alone is then as sure as among others, to the bit
            entropy -= column * np.log(np.where(column > 0, column, 1.0))
        return np.asarray(1 - entropy / np.log(p.shape[1]))
    raise ValueError(f"sureness cannot be by {how!r}: choose margin or entropy")


def repeats(said: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """Where the last of some members answers what one before it answered: two of them agree, for the first time if asked in turn.

    Parameters
    ----------
    said : sequence of ndarray, shape (n, n_classes)
        Of each member that was asked, in order; of equally likely classes the first is the answer.

    Returns
    -------
    ndarray of bool, shape (n,)
        Nowhere for a member alone.

    Examples
    --------
    >>> import numpy as np
    >>> repeats([np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([[0.2, 0.8], [0.7, 0.3]])])
    array([False,  True])
    """
    *before, last = (np.asarray(p).argmax(axis=1) for p in said)
    return np.asarray(np.any([last == answers for answers in before], axis=0) if before else np.zeros(len(last), bool))


class Cascade(ClassifierMixin, _InOrder):  # type: ignore[misc]
    """Members asked in order: the answer of the first that is sure enough stands, and that of the last whatever it is.

    Parameters
    ----------
    estimators : list of (str, estimator)
        In the order in which they are asked.
    thresholds : tuple of float
        Of each member but the last; none by agreement.
    confidence : {"margin", "entropy", "agreement"}
        As of :func:`sureness`; or by agreement, where an answer stands as soon as a second member gives it: the first two are
        always asked, and a third only where they differ.
    """

    passthrough = True
    """Its parts do not add up to it: most rows never meet the later members."""

    def __init__(self, estimators: list[tuple[str, Any]], thresholds: tuple[float, ...], confidence: str = "margin") -> None:
        self.estimators = estimators
        self.thresholds = thresholds
        self.confidence = confidence

    def fit(self, X: Rows, y: NDArray[Any]) -> Self:
        """Fit every member on all rows.

        Parameters
        ----------
        X : DataFrame or list of dict
        y : ndarray, shape (n,)

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is not a threshold for every member but the last; or, by agreement, if there is any, or no third member.
        """
        if self.confidence == "agreement":
            if self.thresholds or len(self.estimators) < 3:
                raise ValueError("a cascade by agreement needs three members or more, and no thresholds")
        elif len(self.thresholds) != len(self.estimators) - 1:
            raise ValueError(f"{len(self.estimators)} members need {len(self.estimators) - 1} thresholds")
        self.classes_ = np.unique(y)
        self.estimators_ = [clone(e).fit(X, y) for _, e in self.estimators]
        return self

    def asked(self, X: Rows) -> list[Any]:
        """The fitted members that answer or are asked before who answers, where all rows of ``X`` are answered alike.

        Parameters
        ----------
        X : DataFrame or list of dict
            One row.
        """
        said: list[NDArray[Any]] = []
        for member in self.estimators_[:-1]:
            said.append(member.predict_proba(X))
            if self._stands(said).all():
                return list(self.estimators_[: len(said)])
        return list(self.estimators_)

    def _stands(self, said: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
        """Whether the answer of the last that was asked stands, row by row; it is not the last of all."""
        if self.confidence == "agreement":
            return repeats(said)
        return np.asarray(sureness(said[-1], self.confidence) >= self.thresholds[len(said) - 1])

    def combine(self, said: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """What the cascade says where it is known what every member would.

        Parameters
        ----------
        said : sequence of ndarray, shape (n, n_classes)
            Of each member, in order.

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
        """
        answer = np.array(said[-1], dtype=np.float64)
        for asked in reversed(range(1, len(said))):
            stands = self._stands(said[:asked])
            answer[stands] = said[asked - 1][stands]
        return answer

    def predict_proba(self, X: Rows) -> NDArray[np.float64]:
        """The probabilities of the member whose answer stands, of each row; later members meet only what is left.

        Parameters
        ----------
        X : DataFrame or list of dict

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
        """
        answer = np.array(self.estimators_[0].predict_proba(X), dtype=np.float64)
        left, said = np.arange(len(answer)), [answer]
        for member in self.estimators_[1:]:
            goes_on = ~self._stands(said)
            left = left[goes_on]
            if not len(left):
                break
            said = [p[goes_on] for p in said]
            said.append(np.asarray(member.predict_proba(X.iloc[left] if hasattr(X, "columns") else [X[i] for i in left])))
            answer[left] = said[-1]
        return answer

    def predict(self, X: Rows) -> NDArray[Any]:
        """The most likely class of each row."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])
