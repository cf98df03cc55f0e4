"""Every estimator of ours that an artefact may hold: small, scikit-learn-shaped, and light on one row.

A service that holds an artefact needs this module, NumPy and scikit-learn, and nothing else of shipworthy; pandas may be
absent. What is here is named in :data:`shipworthy.artefacts.TRUSTED`, because only named types are ever loaded.

This module does *not* know which candidates exist, how they are trained, or how an artefact is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_MISSING = float("nan")
Rows = Any
"""Queries: a DataFrame or a list of dicts."""


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


class Cascade(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Members asked in order: the answer of the first that is sure enough stands, and that of the last whatever it is.

    Parameters
    ----------
    estimators : list of (str, estimator)
        In the order in which they are asked.
    thresholds : tuple of float
        Of each member but the last.
    confidence : {"margin", "entropy"}
        As of :func:`sureness`.
    """

    passthrough = True
    """Its parts do not add up to it: most rows never meet the later members."""

    def __init__(self, estimators: list[tuple[str, Any]], thresholds: tuple[float, ...], confidence: str = "margin") -> None:
        self.estimators = estimators
        self.thresholds = thresholds
        self.confidence = confidence

    @property
    def named_estimators(self) -> dict[str, Any]:
        """The fitted members by name."""
        return dict(zip([name for name, _ in self.estimators], self.estimators_, strict=True))

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
            If there is not a threshold for every member but the last.
        """
        if len(self.thresholds) != len(self.estimators) - 1:
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
        for place, (member, threshold) in enumerate(zip(self.estimators_, self.thresholds, strict=False), start=1):
            if (sureness(member.predict_proba(X), self.confidence) >= threshold).all():
                return list(self.estimators_[:place])
        return list(self.estimators_)

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
        for p, threshold in reversed(list(zip(said, self.thresholds, strict=False))):
            sure = sureness(p, self.confidence) >= threshold
            answer[sure] = p[sure]
        return answer

    def predict_proba(self, X: Rows) -> NDArray[np.float64]:
        """The probabilities of the first member that is sure enough of each row; later members meet only what is left.

        Parameters
        ----------
        X : DataFrame or list of dict

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
        """
        answer = np.array(self.estimators_[0].predict_proba(X), dtype=np.float64)
        left = np.arange(len(answer))
        said = answer
        for member, threshold in zip(self.estimators_[1:], self.thresholds, strict=True):
            left = left[sureness(said, self.confidence) < threshold]
            if not len(left):
                break
            said = np.asarray(member.predict_proba(X.iloc[left] if hasattr(X, "columns") else [X[i] for i in left]))
            answer[left] = said
        return answer

    def predict(self, X: Rows) -> NDArray[Any]:
        """The most likely class of each row."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])
