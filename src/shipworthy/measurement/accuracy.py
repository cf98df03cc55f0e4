"""How good predictions are: metrics, and the same metrics on bootstrap resamples, all resamples at once.

Whatever scikit-learn has is scikit-learn's. Resampled values equal scikit-learn's with ``sample_weight`` set to how often each
row was drawn.

It does *not* know how the predictions were made, nor what difference is worth having.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shipworthy.records import QUANTITIES, Candidate, Floats, InputError, Predictions, Record, Task, few_clusters

Truth = NDArray[Any]
Weights = NDArray[np.int16]

_BY_TASK: dict[Task, tuple[str, ...]] = {
    "binary": ("log_loss", "brier", "roc_auc", "average_precision", "accuracy", "calibration_error"),
    "multiclass": ("log_loss", "brier", "roc_auc", "accuracy", "calibration_error"),
    "regression": ("rmse", "mae", "r2"),
}

UP_TO_ONE = frozenset({"roc_auc", "average_precision", "accuracy", "calibration_error"})
N_BINS = 10
CHUNK_CELLS = 4_000_000
"""Cells of one float64 block of weights: 32 MB, so that the few blocks alive at once stay below 200 MB."""


def metrics_for(task: Task) -> tuple[str, ...]:
    """Names of the metrics that a task has, proper scores first.

    Raises
    ------
    InputError
        If the task is unknown.

    Examples
    --------
    >>> metrics_for("regression")
    ('rmse', 'mae', 'r2')
    """
    if task not in _BY_TASK:
        msg = f"there is no task {task!r}: choose one of {', '.join(_BY_TASK)}"
        raise InputError(msg)
    return _BY_TASK[task]


def _checked(metric: str, y: Truth, predicted: Floats) -> tuple[Truth, Floats]:
    """Truth and predictions as arrays of one length, finite, or an InputError."""
    if metric not in {m for metrics in _BY_TASK.values() for m in metrics}:
        known = ", ".join(sorted({m for metrics in _BY_TASK.values() for m in metrics}))
        msg = f"there is no metric {metric!r}: choose one of {known}"
        raise InputError(msg)
    y, predicted = np.asarray(y), np.asarray(predicted, dtype=np.float64)
    predicted = predicted[:, None] if predicted.ndim == 1 else predicted
    if len(y) != len(predicted) or len(y) == 0:
        msg = f"{metric} needs one prediction for each row and at least one row: {len(y)} rows, {len(predicted)} predictions"
        raise InputError(msg)
    if (metric in _BY_TASK["regression"]) != (predicted.shape[1] == 1):
        columns = predicted.shape[1]
        msg = f"{metric} does not fit predictions with {columns} column(s): each class needs its own, a regression has one"
        raise InputError(msg)
    if not np.isfinite(predicted).all():
        bad = int((~np.isfinite(predicted)).any(axis=1).sum())
        msg = f"{metric} cannot be computed: {bad} of {len(y)} rows have a prediction that is not finite"
        raise InputError(msg)
    return y, predicted


def _equal_mass_bins(stated: Floats) -> NDArray[np.intp]:
    """For each row, which of at most ten bins of equal count its stated probability is in; equal values share a bin."""
    edges = np.unique(np.quantile(stated, np.arange(1, N_BINS) / N_BINS, method="inverted_cdf"))
    return np.searchsorted(edges, stated, side="left")


def _calibration_terms(y: Truth, predicted: Floats) -> tuple[NDArray[np.intp], Floats]:
    """The bin of each row, and stated less observed frequency."""
    if predicted.shape[1] == 2:
        stated, right = predicted[:, 1], y == 1
    else:
        stated, right = predicted.max(axis=1), predicted.argmax(axis=1) == y
    return _equal_mass_bins(stated), stated - right


def score(metric: str, y: Truth, predicted: Floats) -> float:
    """One metric on all rows, by scikit-learn where it has the metric.

    Parameters
    ----------
    metric : str
        One of :func:`metrics_for` the task.
    y : ndarray, shape (n,)
        Class codes 0..n_classes-1, or targets.
    predicted : ndarray of float64, shape (n, n_classes), or (n, 1) for regression
        Probabilities, or predicted values.

    Returns
    -------
    float
        ``nan`` where the rows cannot say: ``roc_auc`` and ``average_precision`` without both (all) classes, ``r2`` of one row.

    Raises
    ------
    InputError
        If the metric is unknown, or the predictions do not fit it or are not finite.

    Notes
    -----
    ``calibration_error`` is the expected calibration error over ten bins of equal count: the mean, weighted by rows, of the
    distance between mean stated probability and observed frequency in each bin; of the positive class for two classes, of the
    most likely class for more. Equal values share a bin. Binning by count: Nixon, Dusenberry, Zhang, Jerfel and Tran (2019),
    "Measuring calibration in deep learning". It is biased upwards on few rows.

    ``brier`` runs from 0 to 1 for two classes and from 0 to 2 for more, as scikit-learn has it by default. ``roc_auc`` of more
    than two classes is the plain mean of one class against the rest.

    Examples
    --------
    >>> y = np.array([0, 1, 1])
    >>> p = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    >>> score("roc_auc", y, p), round(score("brier", y, p), 3)
    (1.0, 0.07)
    """
    y, predicted = _checked(metric, y, predicted)
    return _computed(metric, y, predicted)


def _computed(metric: str, y: Truth, predicted: Floats) -> float:
    from sklearn import metrics

    labels = list(range(predicted.shape[1]))
    binary = predicted.shape[1] == 2
    column = predicted[:, 1] if binary else predicted[:, 0]
    if metric in {"roc_auc", "average_precision"} and len(np.unique(y)) < len(labels):
        return math.nan
    if metric == "r2" and len(y) < 2:
        return math.nan
    if metric == "calibration_error":
        return float(_resampled_calibration_error(y, predicted, np.ones((1, len(y))))[0])
    compute: dict[str, Callable[[], Any]] = {
        "log_loss": lambda: metrics.log_loss(y, predicted, labels=labels),
        "brier": lambda: metrics.brier_score_loss(y, column if binary else predicted, labels=labels),
        "roc_auc": lambda: metrics.roc_auc_score(y, column if binary else predicted, multi_class="ovr", labels=labels),
        "average_precision": lambda: metrics.average_precision_score(y, column),
        "accuracy": lambda: metrics.accuracy_score(y, predicted.argmax(axis=1)),
        "rmse": lambda: metrics.root_mean_squared_error(y, column),
        "mae": lambda: metrics.mean_absolute_error(y, column),
        "r2": lambda: metrics.r2_score(y, column),
    }
    with warnings.catch_warnings():
        # Rows that miss 1 by float32 rounding, as XGBoost's do: the value is what we would report either way.
        warnings.filterwarnings("ignore", message="The y_prob values do not sum to one", category=UserWarning)
        return float(compute[metric]())


def bootstrap_weights(n: int, n_resamples: int, rng: np.random.Generator, cluster: NDArray[np.int64] | None = None) -> Weights:
    """How often each of ``n`` rows is drawn in each of ``n_resamples`` resamples with replacement.

    Share one array between all candidates: comparisons are then paired.

    Parameters
    ----------
    n, n_resamples : int
    rng : numpy.random.Generator
    cluster : ndarray of int, shape (n,), optional
        What each row belongs to. Whole clusters are drawn then, as many as there are (Davison and Hinkley 1997, section 3.8):
        flights of one day are late together, and drawing them one by one would make every interval too narrow.

    Returns
    -------
    ndarray of int16, shape (n_resamples, n)
        Without clusters every row of it sums to ``n``. Small on purpose: convert before multiplying by anything but floats.

    Raises
    ------
    ValueError
        If there is not one cluster a row.

    Examples
    --------
    >>> weights = bootstrap_weights(5, 3, np.random.default_rng(0))
    >>> weights.shape, weights.sum(axis=1).tolist()
    ((3, 5), [5, 5, 5])
    """
    if cluster is not None and cluster.shape != (n,):
        raise ValueError(f"cluster of shape {cluster.shape} does not fit {n} rows")
    _, member = np.unique(np.arange(n) if cluster is None else cluster, return_inverse=True)
    k = int(member.max()) + 1 if n else 0
    weights = np.empty((n_resamples, n), dtype=np.int16)
    for row in weights:
        row[:] = np.bincount(rng.integers(0, k, size=k), minlength=k)[member]
    return weights


def _chunks(weights: NDArray[Any]) -> Iterator[slice]:
    """Slices over the resamples whose blocks stay below :data:`CHUNK_CELLS`."""
    step = max(1, CHUNK_CELLS // max(1, weights.shape[1]))
    for start in range(0, len(weights), step):
        yield slice(start, min(start + step, len(weights)))


def _weighted_means(terms: Floats, weights: NDArray[Any]) -> Floats:
    """Weighted mean over rows of each column of ``terms``, shape (n, k) -> (n_resamples, k)."""
    out = np.empty((len(weights), terms.shape[1]))
    for part in _chunks(weights):
        block = weights[part].astype(np.float64)
        out[part] = (block @ terms) / block.sum(axis=1, keepdims=True)
    return out


def _resampled_calibration_error(y: Truth, predicted: Floats, weights: NDArray[Any]) -> Floats:
    """Bins are those of the unweighted rows, so that all resamples and all thresholds are the same question."""
    bins, gap = _calibration_terms(y, predicted)
    terms = np.zeros((len(y), int(bins.max()) + 1))
    terms[np.arange(len(y)), bins] = gap
    return np.asarray(np.abs(_weighted_means(terms, weights)).sum(axis=1))


def _resampled_roc_auc(positive: NDArray[np.bool_], stated: Floats, weights: NDArray[Any]) -> Floats:
    """Area under the ROC curve as the chance that a positive row outranks a negative one, ties counting half.

    Source: Hanley and McNeil (1982), "The meaning and use of the area under a ROC curve". With integer weights every sum
    here is a whole number below 2**53, so nothing is rounded before the one division.
    """
    negative = np.flatnonzero(~positive)
    negative = negative[np.argsort(stated[negative], kind="stable")]
    chosen = np.flatnonzero(positive)
    chosen = chosen[np.argsort(stated[chosen], kind="stable")]
    below = np.searchsorted(stated[negative], stated[chosen], side="left")
    up_to = np.searchsorted(stated[negative], stated[chosen], side="right")
    out = np.empty(len(weights))
    for part in _chunks(weights):
        block = weights[part]
        seen = np.zeros((len(block), len(negative) + 1))
        np.cumsum(block[:, negative], axis=1, dtype=np.float64, out=seen[:, 1:])
        drawn = block[:, chosen].astype(np.float64)
        wins = np.einsum("ij,ij->i", drawn, seen[:, below]) + np.einsum("ij,ij->i", drawn, seen[:, up_to])
        pairs = drawn.sum(axis=1) * seen[:, -1]
        out[part] = np.divide(wins / 2, pairs, out=np.full(len(block), np.nan), where=pairs > 0)
    return out


def _resampled_average_precision(positive: NDArray[np.bool_], stated: Floats, weights: NDArray[Any]) -> Floats:
    """Precision at each distinct threshold, weighted by the recall gained there; not interpolated, as scikit-learn's."""
    order = np.argsort(-stated, kind="stable")
    hits = order[positive[order]]
    # For every positive row: how many rows, and how many positive rows, are stated at least as high as it is.
    rows = np.searchsorted(-stated[order], -stated[hits], side="right") - 1
    hit_rows = np.searchsorted(-stated[hits], -stated[hits], side="right") - 1
    out = np.empty(len(weights))
    for part in _chunks(weights):
        block = weights[part]
        drawn = block[:, hits].astype(np.float64)
        true_positives = np.cumsum(drawn, axis=1)
        total = true_positives[:, -1].copy() if len(hits) else np.zeros(len(block))
        predicted_positives = np.cumsum(block[:, order], axis=1, dtype=np.float64)
        lacking = (total == 0) | (total == predicted_positives[:, -1])
        # A positive row that was drawn is itself among the predicted positives; one that was not has weight 0 over at least 1.
        precision = true_positives[:, hit_rows] / np.maximum(predicted_positives[:, rows], 1)
        gained = np.einsum("ij,ij->i", drawn, precision)
        out[part] = np.divide(gained, total, out=np.full(len(block), np.nan), where=~lacking)
    return out


def _resampled_r2(y: Floats, column: Floats, weights: NDArray[Any]) -> Floats:
    """1 less squared error over variance; of equal targets 1 if all are met and else 0, as scikit-learn has it."""
    centred = y - y.mean()
    means = _weighted_means(np.column_stack([(y - column) ** 2, centred, centred**2]), weights)
    variance = means[:, 2] - means[:, 1] ** 2
    # Where the difference of the two lost digits, the variance is taken again, around the resample's own mean.
    close = np.flatnonzero(variance <= 1e-3 * means[:, 2])
    for i in close:
        drawn = weights[i] > 0
        own = y[drawn] - y[drawn][0]
        variance[i] = np.average((own - np.average(own, weights=weights[i][drawn])) ** 2, weights=weights[i][drawn])
    flat = variance == 0
    out = 1 - np.divide(means[:, 0], variance, out=np.zeros(len(weights)), where=~flat)
    out[flat] = np.where(means[flat, 0] == 0, 1.0, 0.0)
    return np.asarray(out)


def _row_losses(metric: str, y: Truth, predicted: Floats) -> Floats:
    """The loss of each row, for the metrics that are a mean over rows; shape (n,)."""
    if metric == "log_loss":
        # scikit-learn's own clip, which is that of the type of the predictions.
        tiny = np.finfo(np.float64).eps
        return np.asarray(-np.log(np.clip(predicted, tiny, 1 - tiny)[np.arange(len(y)), y]))
    if metric == "brier":
        if predicted.shape[1] == 2:
            return np.asarray((predicted[:, 1] - y) ** 2)
        return np.asarray(((predicted - np.eye(predicted.shape[1])[y]) ** 2).sum(axis=1))
    if metric == "accuracy":
        return np.asarray(predicted.argmax(axis=1) == y, dtype=np.float64)
    return np.asarray(np.abs(y - predicted[:, 0]) if metric == "mae" else (y - predicted[:, 0]) ** 2)


def resampled_scores(metric: str, y: Truth, predicted: Floats, weights: NDArray[Any]) -> Floats:
    """One metric on every resample; each value is what scikit-learn gives with that resample's counts as weights.

    Parameters
    ----------
    metric, y, predicted
        As in :func:`score`.
    weights : ndarray of int, shape (n_resamples, n)
        As from :func:`bootstrap_weights`.

    Returns
    -------
    ndarray of float64, shape (n_resamples,)
        ``nan`` for ``roc_auc`` and ``average_precision`` where a resample lacks a class.
        The bins of ``calibration_error`` are those of all rows, in every resample.

    Raises
    ------
    InputError
        As :func:`score`, or if the weights have another number of rows.
    """
    y, predicted = _checked(metric, y, predicted)
    if weights.ndim != 2 or weights.shape[1] != len(y):
        msg = f"weights of shape {weights.shape} do not fit {len(y)} rows: draw them with bootstrap_weights({len(y)}, ...)"
        raise InputError(msg)
    if metric == "calibration_error":
        return _resampled_calibration_error(y, predicted, weights)
    if metric == "roc_auc":
        if predicted.shape[1] == 2:
            return _resampled_roc_auc(y == 1, predicted[:, 1], weights)
        each = [_resampled_roc_auc(y == k, predicted[:, k], weights) for k in range(predicted.shape[1])]
        return np.asarray(np.mean(each, axis=0))
    if metric == "average_precision":
        return _resampled_average_precision(y == 1, predicted[:, 1], weights)
    if metric == "r2":
        return _resampled_r2(y.astype(np.float64), predicted[:, 0], weights)
    means = _weighted_means(_row_losses(metric, y, predicted)[:, None], weights)[:, 0]
    return np.sqrt(means) if metric == "rmse" else means


def accuracy_records(
    predictions: Predictions,
    *,
    dataset: str,
    candidate: Candidate,
    task: Task,
    seed: int,
    weights: NDArray[Any],
    confidence: float,
) -> list[Record]:
    """Every metric of the task: on test rows with a percentile bootstrap interval, and on out-of-fold rows without one.

    Parameters
    ----------
    predictions : Predictions
    dataset : str
    candidate : Candidate
    task : {"binary", "multiclass", "regression"}
    seed : int
        Of the run that made the predictions, for the record.
    weights : ndarray of int, shape (n_resamples, n_test)
        As from :func:`bootstrap_weights`; the same for all candidates.
    confidence : float
        Of the interval, such as 0.95.

    Returns
    -------
    list of Record
        Two for each metric: statistic ``"test"`` and statistic ``"oof"``; ``n`` is the number of rows. Test rows are drawn, the
        fitted model stays: the interval does not hold what another training set would change. It is ``nan`` when more than half
        of the resamples have no value, and where all test rows belong to one thing: resamples of it are all alike. Of few
        things it is as wide as :func:`~shipworthy.records.few_clusters` says.
    """
    records = []
    for metric in metrics_for(task):
        drawn = resampled_scores(metric, predictions.test_y, predictions.test, weights)
        known = drawn[~np.isnan(drawn)]
        low = high = math.nan
        stated = score(metric, predictions.test_y, predictions.test)
        if 2 * len(known) > len(drawn) and predictions.n_test_clusters > 1:
            low, high = (float(v) for v in np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2]))
            factor = few_clusters(predictions.n_test_clusters, confidence)
            if factor > 1:
                half = NormalDist().inv_cdf((1 + confidence) / 2) * float(known.std(ddof=1)) * factor
                least, most = -math.inf if metric == "r2" else 0.0, 1.0 if metric in UP_TO_ONE else math.inf
                low, high = max(least, min(low, stated - half)), min(most, max(high, stated + half))
        for statistic, y, said in (
            ("test", predictions.test_y, predictions.test),
            ("oof", predictions.oof_y, predictions.oof),
        ):
            records.append(
                Record(
                    dataset=dataset,
                    candidate=candidate.name,
                    kind=candidate.kind,
                    quantity=metric,
                    statistic=statistic,
                    value=stated if statistic == "test" else score(metric, y, said),
                    unit=QUANTITIES[metric].unit,
                    seed=seed,
                    low=low if statistic == "test" else math.nan,
                    high=high if statistic == "test" else math.nan,
                    n=len(y),
                    route=candidate.route,
                )
            )
    return records
