"""The metrics of simulation, of one vote at a time: what the compiled loops compute for many at once, and the ROC AUC.

They equal scikit-learn's; tests compare them. A vote of nothing is given the value of the constant prediction that a person
without a model would make: the base rates, or the mean, of the out-of-fold rows.

This module does *not* know who voted, or which value is good enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.records import QUANTITIES, Floats, InputError, Task
from shipworthy.simulation.votes import Votes

if TYPE_CHECKING:
    from numpy.typing import NDArray

EPS = 2.0**-52
"""Where scikit-learn's log loss cuts off probabilities in double precision."""

TIE = 1e-12
"""Losses that differ by a smaller share are the same but for rounding, such as those of a member and of a vote of its copies."""

METRICS: Mapping[Task, tuple[str, ...]] = {
    "binary": ("log_loss", "accuracy", "brier"),
    "multiclass": ("log_loss", "accuracy", "brier"),
    "regression": ("rmse",),
}
"""What is computed of every subset. ROC AUC needs a sort for each vote, and is computed of the votes that are asked for."""


def check_metric(metric: str, task: Task, *, ranking: bool = False) -> str:
    """The metric, if the task has it; ``ranking`` admits ROC AUC.

    Raises
    ------
    InputError
        Naming those that the task has.
    """
    known = METRICS[task] + (("roc_auc",) if ranking and task != "regression" else ())
    if metric not in known:
        raise InputError(f"{metric!r} cannot be simulated for a {task} task here: choose one of {', '.join(known)}")
    return metric


def as_loss(metric: str, values: Any) -> Any:
    """The values turned so that smaller is better."""
    return -values if QUANTITIES[metric].greater_is_better else values


def without_rounding(losses: Floats) -> Floats:
    """Losses that rounding alone tells apart made equal, to the least of them; ``nan`` stays.

    Parameters
    ----------
    losses : ndarray of float64, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,)

    Examples
    --------
    >>> without_rounding(np.array([0.3, 0.1 + 0.2, 0.25]))
    array([0.3 , 0.3 , 0.25])
    """
    order = np.argsort(losses, kind="stable")
    rising = losses[order]
    first = np.append(True, ~(np.diff(rising) <= TIE * np.abs(rising[1:])))
    out = np.empty(len(losses))
    out[order] = rising[np.maximum.accumulate(np.where(first, np.arange(len(losses)), 0))]
    return out


def score(metric: str, y: NDArray[Any], said: Floats) -> float:
    """One metric of one vote.

    Parameters
    ----------
    metric : {"log_loss", "accuracy", "brier", "roc_auc", "rmse"}
    y : ndarray, shape (n_rows,)
    said : ndarray of float64, shape (n_classes, n_rows), or (1, n_rows) for regression

    Returns
    -------
    float

    Examples
    --------
    >>> y, said = np.array([0, 1, 1]), np.array([[0.9, 0.4, 0.2], [0.1, 0.6, 0.8]])
    >>> score("roc_auc", y, said), round(score("brier", y, said), 3)
    (1.0, 0.07)
    """
    compute = {"rmse": _rmse, "log_loss": _log_loss, "accuracy": _accuracy, "brier": _brier, "roc_auc": _roc_auc}
    return float(compute[metric](y, said))


def _rmse(y: NDArray[Any], said: Floats) -> Any:
    return np.sqrt(np.mean((said[0] - y) ** 2))


def _log_loss(y: NDArray[Any], said: Floats) -> Any:
    return -np.log(np.clip(said[y, np.arange(len(y))], EPS, 1 - EPS)).mean()


def _accuracy(y: NDArray[Any], said: Floats) -> Any:
    return np.mean(said.argmax(axis=0) == y)


def _brier(y: NDArray[Any], said: Floats) -> Any:
    """From 0 to 1 of two classes, and to 2 of more, as scikit-learn has it."""
    if len(said) == 2:
        return np.mean((said[1] - (y == 1)) ** 2)
    return np.mean(sum((p - (y == c)) ** 2 for c, p in enumerate(said)))


def _roc_auc(y: NDArray[Any], said: Floats) -> Any:
    if len(said) == 2:
        return rank_auc(said[1], y == 1)
    return np.mean([rank_auc(p, y == c) for c, p in enumerate(said)])


def rank_auc(stated: Floats, positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: how often a positive row outranks a negative one, ties counting half.

    Source: Hanley and McNeil (1982), "The meaning and use of the area under a ROC curve".

    Parameters
    ----------
    stated : ndarray of float64, shape (n_rows,)
    positive : ndarray of bool, shape (n_rows,)

    Returns
    -------
    float
        ``nan`` without rows of both kinds.
    """
    above, below = np.sort(stated[positive]), np.sort(stated[~positive])
    if not (len(above) and len(below)):
        return float("nan")
    wins = np.searchsorted(below, above, side="left").sum() + np.searchsorted(below, above, side="right").sum()
    return float(wins / 2 / len(above) / len(below))


def scores(votes: Votes, weights: Floats) -> tuple[dict[str, float], dict[str, float]]:
    """Every metric of a weighted vote, ROC AUC too, on out-of-fold rows and on test rows.

    Parameters
    ----------
    votes : Votes
    weights : ndarray of float64, shape (n_members,)
        They sum to 1.

    Returns
    -------
    tuple of two dicts
    """
    metrics = METRICS[votes.task] + (("roc_auc",) if votes.task != "regression" else ())
    chosen = weights[weights > 0]
    # In the steps of scikit-learn's votes, so that a tie here is a tie there; equal weights are the plain mean, as when built.
    steps = None if len(set(chosen.tolist())) == 1 else chosen
    found = []
    for rows in (votes.oof, votes.test):
        mean = np.average(rows.said[weights > 0], axis=0, weights=steps)
        found.append({m: score(m, rows.y, mean) for m in metrics})
    return found[0], found[1]


def of_nothing(votes: Votes, metric: str) -> tuple[float, float]:
    """A metric of the best constant prediction that the out-of-fold rows know of: out-of-fold, and on test rows."""
    y = votes.oof.y
    constant = np.array([y.mean()]) if votes.task == "regression" else np.bincount(y, minlength=votes.oof.said.shape[1]) / len(y)
    said = [np.broadcast_to(constant[:, None], (len(constant), len(rows.y))) for rows in (votes.oof, votes.test)]
    return score(metric, y, said[0]), score(metric, votes.test.y, said[1])
