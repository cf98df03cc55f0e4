"""Which rows train, which test, and in which fold each is held out: by chance, by time, or as the source has it.

Every rule keeps rows together that would tell on each other: identical rows, or flights of one day.

This module does *not* know what the columns mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shipworthy.records import InputError, Ints, Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEST_SHARE = 0.3


def random_split(
    strata: Ints | None,
    group: Ints,
    *,
    seed: int,
    max_train_rows: int,
    max_test_rows: int,
    folds: int,
    rule: str,
    declared: bool = False,
    test_share: float = TEST_SHARE,
) -> Split:
    """Split by chance, stratified by class, rows of one group always together.

    Parameters
    ----------
    strata : ndarray of int, shape (n_rows,), or None
        The class of each row; ``None`` for a regression, whose rows are drawn plainly.
    group : ndarray of int, shape (n_rows,)
        Rows of the same number stay on one side, and in one fold.
    seed, max_train_rows, max_test_rows, folds
        As in :func:`shipworthy.datasets.load`.
    rule : str
        The rule in words.
    declared : bool
        As in :func:`fixed_split`.
    test_share : float
        Of the groups, between 0 and 1.

    Returns
    -------
    Split

    Raises
    ------
    InputError
        If there are too few rows or groups.
    """
    from sklearn.model_selection import train_test_split

    _, first, member_of = np.unique(group, return_index=True, return_inverse=True)
    if len(first) < 2:
        raise InputError("all rows belong to one group, which cannot be split into training and test rows; name another column")
    if strata is not None and not declared:
        n_classes = int(strata.max()) + 1
        n_test_groups = int(np.ceil(test_share * len(first)))
        if np.bincount(strata[first]).min() < 2 or min(n_test_groups, len(first) - n_test_groups) < n_classes:
            raise InputError(
                f"{len(strata):,} rows have {len(first):,} different sets of features, which are kept together: too few to hold "
                "every class in training and test; give more rows or columns, or name a group"
            )
    # Identical rows may differ in class; the first stands for them, which moves the shares by far less than a row in 100.
    stratify = None if strata is None or declared else strata[first]
    n_test = min(max(1, round(test_share * len(first))), len(first) - 1) if declared or strata is None else test_share
    _, test_groups = train_test_split(np.arange(len(first)), test_size=n_test, stratify=stratify, random_state=seed)
    return fixed_split(
        strata,
        group,
        np.isin(member_of, test_groups),
        seed=seed,
        max_train_rows=max_train_rows,
        max_test_rows=max_test_rows,
        folds=folds,
        rule=rule,
        declared=declared,
    )


def fixed_split(
    strata: Ints | None,
    group: Ints,
    in_test: NDArray[np.bool_],
    *,
    seed: int,
    max_train_rows: int,
    max_test_rows: int,
    folds: int,
    rule: str,
    declared: bool = False,
) -> Split:
    """Hold out the rows that are named; the seed draws folds and samples.

    Parameters
    ----------
    strata, group
        As in :func:`random_split`; a group may have rows on both sides, but is never parted by folds.
    in_test : ndarray of bool, shape (n_rows,)
    seed, max_train_rows, max_test_rows, folds
        As in :func:`shipworthy.datasets.load`.
    rule : str
        The rule in words.
    declared : bool
        The groups are things of their own, such as households, of many rows each: folds balance the classes of their rows.
        Otherwise groups are identical rows, nearly all of one row: folds balance the classes of the groups.

    Returns
    -------
    Split

    Raises
    ------
    InputError
        If there are too few rows to hold every class in every fold.
    """
    train = _sample(np.flatnonzero(~in_test), max_train_rows, strata, seed, "max_train_rows")
    test = _sample(np.flatnonzero(in_test), max_test_rows, strata, seed + 1, "max_test_rows")
    _, first, member_of = np.unique(group[train], return_index=True, return_inverse=True)
    labels = None if strata is None else strata[train] if declared else strata[train][first]
    counts = np.bincount(labels) if labels is not None else np.array([len(first)] * 2)
    if len(counts) < 2 or min(*counts, len(first)) < folds:
        what = "hold every class in each of" if strata is not None else "fill"
        raise InputError(f"max_train_rows: {len(train)} rows cannot {what} {folds} folds; ask for more rows")
    fold = (
        _fold_of_rows(labels, member_of, folds, seed) if declared else _fold_of_groups(labels, len(first), folds, seed)[member_of]
    )
    if strata is not None:
        _hold_every_class(strata, train, test, fold)
    return Split(train=train, test=test, fold=fold, rule=rule, cluster=group[test])


def _fold_of_groups(labels: Ints | None, n_groups: int, folds: int, seed: int) -> Ints:
    """A fold for each group, by chance; the classes of the groups in balance."""
    from sklearn.model_selection import KFold, StratifiedKFold

    fold = np.empty(n_groups, dtype=np.int64)
    shuffled = (KFold if labels is None else StratifiedKFold)(folds, shuffle=True, random_state=seed)
    for index, (_, held_out) in enumerate(shuffled.split(fold, labels)):
        fold[held_out] = index
    return fold


def _fold_of_rows(labels: Ints | None, member_of: Ints, folds: int, seed: int) -> Ints:
    """A fold for each row, whole groups at a time; the classes of the rows in balance as far as that allows."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    fold = np.empty(len(member_of), dtype=np.int64)
    shuffled = (GroupKFold if labels is None else StratifiedGroupKFold)(folds, shuffle=True, random_state=seed)
    for index, (_, held_out) in enumerate(shuffled.split(fold, labels, member_of)):
        fold[held_out] = index
    return fold


def _hold_every_class(strata: Ints, train: Ints, test: Ints, fold: Ints) -> None:
    """Refuse a split in which some model would learn, or be tested, without a class."""
    n_classes = int(strata.max()) + 1
    sides = [(train[fold != f], "max_train_rows") for f in range(int(fold.max()) + 1)]
    for where, field in (*sides, (test, "max_test_rows")):
        if len(np.unique(strata[where])) < n_classes:
            raise InputError(f"{field}: {len(where)} rows do not hold every class; ask for more rows")


def time_split(
    strata: Ints | None,
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
    strata : ndarray of int, shape (n_rows,), or None
        As in :func:`random_split`; here only to see that every class is everywhere.
    day : ndarray of int, shape (n_rows,)
        Rows of one number stay in one fold: the day, or a group that the rows declare.
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
    if strata is not None:
        _hold_every_class(strata, train, test, fold)
    return Split(train=train, test=test, fold=fold, rule=rule, cluster=day[test])


def _sample(positions: Ints, at_most: int, y: Ints | None, seed: int, field: str) -> Ints:
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
