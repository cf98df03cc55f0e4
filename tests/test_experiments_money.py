"""How answers are counted from predictions, and handed on as plain numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shipworthy.experiments.money import answers_of
from shipworthy.records import Economics, Predictions


def said(test, test_y, oof=None, oof_y=None):
    """Predictions from lists of what was said; of two classes, of the positive one."""
    test = np.array(test, dtype=float)
    oof = test if oof is None else np.array(oof, dtype=float)
    wide = [np.stack([1 - p, p], axis=1) if p.ndim == 1 else p for p in (oof, test)]
    oof_y = np.array(test_y if oof_y is None else oof_y)
    rows = np.arange(len(wide[0])), np.arange(len(wide[1]))
    return Predictions(rows[0], oof_y, wide[0], rows[1], np.array(test_y), wide[1])


def test_right_answers_and_both_kinds_of_wrong_ones_are_counted_at_one_half():
    """Ten answers by hand: six right, three false alarms, one miss."""
    p = [0.9, 0.8, 0.5, 0.2, 0.1, 0.1, 0.6, 0.7, 0.9, 0.4]
    y = [1, 1, 1, 0, 0, 0, 0, 0, 0, 1]
    found = answers_of({"a": said(p, y)}, ("no", "yes"), Economics(threshold="half"), np.random.default_rng(0))["a"]
    assert found.outcomes == ("correct", "false positive", "false negative")
    assert found.shares.tolist() == pytest.approx([0.6, 0.3, 0.1])
    assert found.resampled.sum(axis=1) == pytest.approx(np.ones(1000))
    assert "0.5, as declared" in found.how


def test_the_threshold_is_chosen_out_of_fold_and_never_on_test_rows():
    """Out of fold, .3 divides the classes; on test rows .7 would, and it is .3 that decides."""
    p = said([0.4, 0.6, 0.8], [0, 0, 1], [0.1, 0.2, 0.4, 0.6], [0, 0, 1, 1])
    economics = Economics(false_positive_usd=(1.0,), false_negative_usd=(1.0,))
    found = answers_of({"a": p}, ("no", "yes"), economics, np.random.default_rng(0))["a"]
    assert found.shares.tolist() == pytest.approx([1 / 3, 2 / 3, 0])
    assert found.oof_shares.tolist() == [1, 0, 0]
    assert "0.3, where out-of-fold answers earn most" in found.how


def test_of_more_classes_wrong_answers_are_counted_by_the_true_class():
    """The likeliest class answers; a wrong answer is held against the class that the row was."""
    p = said([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]], [0, 1, 2, 2])
    found = answers_of({"a": p}, ("x", "y", "z"), Economics(), np.random.default_rng(0))["a"]
    assert found.outcomes == ("correct", "wrong: x", "wrong: y", "wrong: z")
    assert found.shares.tolist() == [0.5, 0, 0.25, 0.25]


def test_a_regression_is_counted_by_its_absolute_error():
    """Errors of 1 and 3 are 2 in the mean, and their resamples lie between."""
    p = said([[2.0], [5.0]], [1.0, 2.0])
    found = answers_of({"a": p}, (), Economics(), np.random.default_rng(0))["a"]
    assert found.outcomes == ("absolute error",)
    assert found.shares.tolist() == [2.0]
    assert set(np.unique(found.resampled)) == {1.0, 2.0, 3.0}


@pytest.mark.parametrize("classes", [("no", "yes"), ("x", "y", "z"), ()])
def test_test_rows_that_belong_together_are_drawn_together(classes):
    """Ten days of 16 flights that are all late or none: money is as unsure as ten rows make it, four times what 160 would."""
    y = np.repeat(np.arange(10) % 2, 16)
    p = {2: np.zeros(160), 3: np.tile([1.0, 0, 0], (160, 1)), 0: np.zeros((160, 1))}[len(classes)]
    alone = said(p, y)
    days = replace(alone, test_cluster=np.repeat(np.arange(10), 16))
    spread = [
        answers_of({"a": each}, classes, Economics(threshold="half"), np.random.default_rng(0))["a"] for each in (alone, days)
    ]
    one, other = (each.resampled[:, 0].std() for each in spread)
    assert other == pytest.approx(np.sqrt(0.25 / 10), rel=0.08)
    assert other / one == pytest.approx(4, rel=0.1)
