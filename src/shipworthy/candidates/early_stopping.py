"""How many boosted trees are enough: asked of training rows that were held out, then fitted on all of them.

This module does *not* know which rows belong together: whoever does sets ``cv``, as of a search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


class StoppedEarly(BaseEstimator):  # type: ignore[misc]  # scikit-learn publishes no types
    """Searches the number of trees of a pipeline that ends in XGBoost, as scikit-learn's searches do other settings.

    Each number of trees up to the last is a setting, and one fit tries them all: boosting with fewer trees is the start of
    boosting with more. What is shipped, ``best_estimator_``, is the pipeline with the best number, fitted anew on all rows.

    Parameters
    ----------
    estimator : Pipeline
        Its last step is called ``model`` and is XGBoost's.
    cv : splitter or None
        Its fold with the fewest held-out rows is held out; ``None``: a fifth, drawn by chance, classes in balance.
    refit : bool
        Always true, as of scikit-learn's searches; whoever looks for a search knows one by it.
    most_trees : int
        Rounds of boosting, at most. With more than two classes each round is a tree a class.
    patience : int
        It ends when so many further rounds did not help.
    random_state : int

    Attributes
    ----------
    best_estimator_ : Pipeline
    best_params_ : dict
        ``model__n_estimators``: the number that was chosen.
    cv_results_ : dict
        ``params`` and ``mean_test_score`` of every tenth number that was tried, and of the best.
    scoring : str
        By what the number was chosen, in scikit-learn's words.
    n_held_out_ : int
        Rows that were held out to choose it.
    """

    def __init__(
        self,
        estimator: Any,
        cv: Any = None,
        refit: bool = True,
        most_trees: int = 2000,
        patience: int = 50,
        random_state: int = 0,
    ) -> None:
        self.estimator = estimator
        self.cv = cv
        self.refit = refit
        self.most_trees = most_trees
        self.patience = patience
        self.random_state = random_state

    def _held_out(self, y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        from sklearn.model_selection import KFold, StratifiedKFold

        classes = y.dtype.kind != "f"
        drawn = (StratifiedKFold if classes else KFold)(5, shuffle=True, random_state=self.random_state)
        cv = drawn if self.cv is None else self.cv
        rows = np.zeros((len(y), 1))
        seen, held_out = min(cv.split(rows, y), key=lambda pair: len(pair[1]))
        return seen, held_out

    def fit(self, X: pd.DataFrame | Sequence[Mapping[str, Any]], y: NDArray[Any]) -> Self:
        """Find the number, then fit on all rows.

        Parameters
        ----------
        X : DataFrame or sequence of dict
        y : ndarray, shape (n,)

        Returns
        -------
        StoppedEarly
        """
        seen, held_out = self._held_out(y)
        regression = y.dtype.kind == "f"
        probe = clone(self.estimator)
        first, unseen = _rows(X, seen), _rows(X, held_out)
        for _, step in probe.steps[:-1]:
            first = step.fit_transform(first, y[seen])
            unseen = step.transform(unseen)
        model = probe.steps[-1][1]
        metric = "rmse" if regression else "logloss" if len(np.unique(y)) == 2 else "mlogloss"
        model.set_params(n_estimators=self.most_trees, early_stopping_rounds=self.patience, eval_metric=metric)
        model.fit(first, y[seen], eval_set=[(unseen, y[held_out])], verbose=False)
        scores = -np.array(model.evals_result()["validation_0"][metric])
        best = int(scores.argmax()) + 1
        tried = sorted({best, *range(10, len(scores) + 1, 10)})
        self.scoring = "neg_root_mean_squared_error" if regression else "neg_log_loss"
        self.cv_results_ = {"params": [{"model__n_estimators": n} for n in tried], "mean_test_score": scores[np.array(tried) - 1]}
        self.best_params_ = {"model__n_estimators": best}
        self.best_estimator_ = clone(self.estimator).set_params(**self.best_params_).fit(X, y)
        self.n_held_out_ = len(held_out)
        return self

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes, where there are any."""
        return np.asarray(self.best_estimator_.classes_)

    def predict(self, X: pd.DataFrame | Sequence[Mapping[str, Any]]) -> NDArray[Any]:
        """What the best estimator predicts."""
        return np.asarray(self.best_estimator_.predict(X))

    def predict_proba(self, X: pd.DataFrame | Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """The probabilities of the best estimator."""
        return np.asarray(self.best_estimator_.predict_proba(X))


def _rows(X: Any, places: NDArray[Any]) -> Any:
    """Some rows of a table, or of a list of queries."""
    return X.iloc[places] if hasattr(X, "iloc") else [X[i] for i in places]
