"""Out-of-fold predictions of a second layer whose first layer had not seen the held-out rows either.

The plain way learns a second layer from what the first said out of fold, on the other folds' rows. Those rows were answered by
models that *had* learnt from the held-out ones, and that is no small leak. Of rows alike, which differ by chance alone, let
the sum of the targets be ``S``: with ``k`` folds a first layer that memorises says ``(S - y) / (k - 1)`` of each. So a second
layer that sees the columns too learns ``S`` from them, and ``y = S - (k - 1) * said`` of the row that was held out. It scored .76
ROC AUC on 2,000 flights (five folds), and .65 on test rows; of pure noise it scored .7.

So for each held-out fold, rows of every other fold are answered by first layers fitted without both. Two folds share their
model, so ``k`` folds take ``k (k - 1) / 2`` fits, each on ``(k - 2) / k`` of the rows. More than :data:`MOST_PARTS` folds are put
together into so many parts: five take 10 fits on three fifths, about what the first layer's own out-of-fold fits cost. As
that layer learnt from fewer rows than the one that is shipped, the score errs on the side of caution.

This module does *not* know how the second layer that is shipped is fitted, or what fitting costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.records import Dataset, Estimator, Floats, Ints
from shipworthy.training.fitting import predict, with_inner_folds

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_PARTS = 5
"""More would cost the square of their number in fits, and make the held-out parts smaller, not more honest."""


def held_out_answers(ensemble: Any, first_layer: Sequence[Estimator], said: Sequence[Floats], dataset: Dataset) -> Floats:
    """What a stack of two layers says of each training row when the row took no part in any fit of either layer.

    Parameters
    ----------
    ensemble : LayeredClassifier or LayeredRegressor
        For its ``extend`` and its unfitted ``final_estimator``.
    first_layer : sequence of estimator
        Unfitted, in the order of the ensemble's; a search among them searches anew in every fit.
    said : sequence of ndarray, shape (n_train, n_classes) or (n_train, 1)
        Their out-of-fold predictions: what the second layer is asked with. They owe nothing to a row's own fold.
    dataset : Dataset

    Returns
    -------
    ndarray of float64, shape (n_train, n_classes), or (n_train, 1) for regression

    Notes
    -----
    Where too few rows are left without two parts to hold every class, the first layer that answers one of them has seen it,
    and never the held-out one: the second layer trusts it too much then, and scores lower for it.
    """
    from sklearn.base import clone

    X, y = dataset.X.iloc[dataset.split.train], dataset.y[dataset.split.train]
    held_out, inner = _parts(dataset)
    answered: dict[bytes, list[Floats]] = {}
    out = np.full((len(y), max(1, len(dataset.classes))), np.nan)
    for part in range(int(held_out.max()) + 1):
        others = held_out != part
        told = [np.array(p) for p in said]
        for other in np.unique(inner[others]):
            rows = others & (inner == other)
            seen = others & ~rows
            if not _holds_every_class(y[seen], dataset):
                seen = others
            if (key := seen.tobytes()) not in answered:
                asked = ~seen if not seen[rows].any() else np.ones_like(seen)
                answered[key] = [_answers(template, dataset, seen, asked) for template in first_layer]
            for mine, theirs in zip(told, answered[key], strict=True):
                mine[rows] = theirs[rows]
        second = clone(ensemble.final_estimator).fit(ensemble.extend(X, told)[others], y[others])
        asked_with = ensemble.extend(X, said)[~others]
        out[~others] = second.predict_proba(asked_with) if dataset.classes else second.predict(asked_with)[:, None]
    return out


def _parts(dataset: Dataset) -> tuple[Ints, Ints]:
    """Which rows are held out together, and which are answered together by a first layer without them.

    Both are the data set's folds, which keep together what belongs together. Two folds leave none beside a pair, so each is
    halved on the inside, classes in balance.
    """
    fold, y = dataset.split.fold, dataset.y[dataset.split.train]
    held_out = fold % MOST_PARTS
    if any(not _holds_every_class(y[held_out != part], dataset) for part in np.unique(held_out)):
        held_out = fold
    if dataset.split.n_folds > 2:
        return held_out, held_out
    order = np.lexsort((y, held_out))
    half = np.empty(len(y), dtype=np.int64)
    half[order] = np.arange(len(y)) % 2
    return held_out, 2 * held_out + half


def _holds_every_class(y: NDArray[Any], dataset: Dataset) -> bool:
    return len(np.unique(y)) == len(dataset.classes) if dataset.classes else len(y) > 0


def _answers(template: Estimator, dataset: Dataset, seen: NDArray[np.bool_], asked: NDArray[np.bool_]) -> Floats:
    """What a copy that was fitted on some of the training rows says of others; ``nan`` of the rest."""
    train = dataset.split.train
    copy, _ = with_inner_folds(template, dataset, np.flatnonzero(seen))
    fitted = copy.fit(dataset.X.iloc[train[seen]], dataset.y[train[seen]])
    out = np.full((len(train), max(1, len(dataset.classes))), np.nan)
    out[asked] = predict(fitted, dataset, train[asked])
    return out
