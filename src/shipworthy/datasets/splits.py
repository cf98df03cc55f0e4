"""Which rows train, which test, and in which fold each is held out: by chance, or by time.

Both rules keep rows together that would tell on each other: identical rows, or flights of one day.

This module does *not* know what the columns mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.records import InputError, Ints, Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEST_SHARE = 0.3


def random_split(
    y: NDArray[Any], group: Ints, *, seed: int, max_train_rows: int, max_test_rows: int, folds: int, rule: str
) -> Split:
    """Split by chance, stratified by class, rows of one group always together.

    Parameters
    ----------
    y : ndarray of int, shape (n_rows,)
    group : ndarray of int, shape (n_rows,)
        Rows of the same number stay on one side, and in one fold.
    seed, max_train_rows, max_test_rows, folds
        As in :func:`shipworthy.datasets.load`.
    rule : str
        The rule in words.

    Returns
    -------
    Split
    """
    from sklearn.model_selection import StratifiedKFold, train_test_split

    _, first, member_of = np.unique(group, return_index=True, return_inverse=True)
    # Rows of a group may differ in class; its first row stands for it, which moves the shares by far less than a row in 100.
    _, test_groups = train_test_split(np.arange(len(first)), test_size=TEST_SHARE, stratify=y[first], random_state=seed)
    in_test = np.isin(member_of, test_groups)
    train = _sample(np.flatnonzero(~in_test), max_train_rows, y, seed, "max_train_rows")
    test = _sample(np.flatnonzero(in_test), max_test_rows, y, seed + 1, "max_test_rows")
    groups, first, member_of = np.unique(group[train], return_index=True, return_inverse=True)
    counts = np.bincount(y[train][first])
    if len(counts) < 2 or counts.min() < folds:
        raise InputError(f"max_train_rows: {len(train)} rows cannot hold every class in each of {folds} folds; ask for more rows")
    fold_of = np.empty(len(groups), dtype=np.int64)
    shuffled = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for index, (_, held_out) in enumerate(shuffled.split(first, y[train][first])):
        fold_of[held_out] = index
    return Split(train=train, test=test, fold=fold_of[member_of], rule=rule, cluster=group[test])


def time_split(
    y: NDArray[Any],
    day: Ints,
    in_test: NDArray[np.bool_],
    *,
    seed: int,
    max_train_rows: int,
    max_test_rows: int,
    folds: int,
    rule: str,
) -> Split:
    """Split by time: the past trains, the future tests, and folds are groups of whole days.

    The seed draws the samples and nothing else: time has only one order.

    Parameters
    ----------
    y : ndarray of int, shape (n_rows,)
    day : ndarray of int, shape (n_rows,)
        Ascending.
    in_test : ndarray of bool, shape (n_rows,)
        True from some row on.
    seed, max_train_rows, max_test_rows, folds
        As in :func:`shipworthy.datasets.load`.
    rule : str
        The rule in words.

    Returns
    -------
    Split
    """
    from sklearn.model_selection import GroupKFold

    train = _sample(np.flatnonzero(~in_test), max_train_rows, None, seed, "max_train_rows")
    test = _sample(np.flatnonzero(in_test), max_test_rows, None, seed + 1, "max_test_rows")
    if len(np.unique(day[train])) < folds:
        raise InputError(f"max_train_rows: {len(train)} rows do not come from {folds} days, one a fold; ask for more rows")
    fold = np.empty(len(train), dtype=np.int64)
    for index, (_, held_out) in enumerate(GroupKFold(folds).split(train, groups=day[train])):
        fold[held_out] = index
    n_classes = int(y.max()) + 1
    for where, field in (*[(train[fold != f], "max_train_rows") for f in range(folds)], (test, "max_test_rows")):
        if len(np.unique(y[where])) < n_classes:
            raise InputError(f"{field}: {len(where)} rows do not hold every class; ask for more rows")
    return Split(train=train, test=test, fold=fold, rule=rule, cluster=day[test])


def _sample(positions: Ints, at_most: int, y: NDArray[Any] | None, seed: int, field: str) -> Ints:
    """At most so many of the positions, ascending; with ``y``, in the proportions of the classes."""
    from sklearn.model_selection import train_test_split

    if at_most == 0 or at_most >= len(positions):
        return positions
    if y is None:
        return np.sort(np.random.default_rng(seed).choice(positions, at_most, replace=False))
    n_classes = len(np.unique(y[positions]))
    left_out = len(positions) - at_most
    if at_most < n_classes:
        raise InputError(f"{field}: {at_most} rows cannot hold {n_classes} classes; ask for at least {n_classes}")
    # Both sides of a stratified draw need a row of each class: where only a row or two stay out, they are drawn plainly.
    strata = y[positions] if left_out >= n_classes else None
    drawn, _ = train_test_split(positions, train_size=at_most, stratify=strata, random_state=seed)
    if len(np.unique(y[drawn])) < n_classes:
        raise InputError(f"{field}: {at_most} rows do not hold all {n_classes} classes; ask for more rows")
    return np.sort(drawn)
