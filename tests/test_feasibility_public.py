"""A place among public ensembles: the facts that ship, ranks against counting, and bulk against bulk only."""

from __future__ import annotations

import math
from importlib import resources

import numpy as np
import pytest

from shipworthy.feasibility import bought_by_compute, place_among_public, public_ensembles, sample_of
from shipworthy.records import InputError


def test_the_public_facts_ship_with_their_source():
    """102 tasks, every row whole, and the file that says where they are from and under which licence."""
    rows = public_ensembles()
    assert len(rows) == 910
    assert len({r.task for r in rows}) == 102
    assert {r.type for r in rows} == {"binary", "multiclass", "regression"}
    assert all(math.isfinite(x) for r in rows for x in (r.error_cut, r.time_multiple, r.p_value, r.train_s))
    source = (resources.files("shipworthy.feasibility") / "data" / "SOURCE.md").read_text(encoding="utf-8")
    assert "Innixma/autogluon-benchmark" in source
    assert "Apache-2.0" in source


def test_a_rank_is_a_count():
    """The median of a sample has half of it below, and a place is the count of smaller ones."""
    rows = sample_of(task_type="binary")
    cuts, multiples = np.array([r.error_cut for r in rows]), np.array([r.time_multiple for r in rows])
    place = place_among_public("e", "b", 0.01, 9.0, bulk=True, task_type="binary")
    assert place.n == len(rows) == 41
    assert place.error_cut_rank == pytest.approx(100 * (cuts < 0.01).mean())
    assert place.time_multiple_rank == pytest.approx(100 * (multiples < 9.0).mean())
    assert "41 public binary tasks (AutoGluon 1.0, best_quality, 240 minutes of training)" in place.sentence
    middle = place_among_public("e", "b", float(np.median(cuts)), 1.0, bulk=True, task_type="binary")
    assert middle.error_cut_rank == pytest.approx(50)


def test_an_error_that_grows_is_not_said_to_be_cut_by_more():
    """Of an ensemble that adds to the error the rank counts those that did worse, and the sentence says so."""
    place = place_among_public("e", "b", -0.5, 9.0, bulk=True, task_type="binary")
    assert place.error_cut_rank == 0
    assert place.sentence.startswith("e adds 50.0 % to the error of b, which is better than on 0 % of 41 public")
    assert "more than on 0 % of 41" not in place.sentence


def test_single_queries_are_not_ranked_against_bulk():
    """A ratio of single-stream latencies gets no rank, and the sentence says why."""
    place = place_among_public("e", "b", 0.01, 9.0, bulk=False)
    assert math.isnan(place.time_multiple_rank)
    assert math.isnan(place.time_multiple)
    assert "only single queries were timed here" in place.sentence


def test_what_compute_bought_is_computed_on_the_tasks_that_both_budgets_finished():
    """48 times the budget: medians from the file, over common tasks alone."""
    bought = bought_by_compute()
    short = {r.task: r for r in sample_of(budget_min=5)}
    both = [r for r in sample_of() if r.task in short]
    assert bought.n == len(both) < 102
    assert bought.error_cut_long == pytest.approx(float(np.median([r.error_cut for r in both])))
    assert bought.error_cut_short == pytest.approx(float(np.median([short[r.task].error_cut for r in both])))
    assert bought.error_cut_long > bought.error_cut_short
    assert "48 times the training budget (240 instead of 5 minutes)" in bought.sentence


def test_a_sample_that_does_not_exist_is_refused_in_a_sentence():
    """The presets and budgets that there are are named."""
    with pytest.raises(InputError, match="there are best_quality with 5 min"):
        sample_of(budget_min=7)
