"""How far to go in size: steps with intervals, when enough is shown, and what the next thousandth costs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipworthy import feasibility
from shipworthy.feasibility.sizes import THOUSANDTH
from shipworthy.records import InputError, Interval

SIZES = (1, 10, 100, 1000)
NONE = Interval(math.nan, math.nan, math.nan, 0.95, "")


def steps_of(losses, noise=0.0, *, seed=0, useful_rows=1000):
    """Steps of sizes whose losses are these, on resamples that shake all sizes alike and each by ``noise`` of its own."""
    rng = np.random.default_rng(seed)
    resampled = np.array(losses)[:, None] + rng.normal(0, 0.05, 1000) + rng.normal(0, 1, (len(losses), 1000)) * noise
    how = {"greater_is_better": False, "confidence": 0.95, "n_rows": useful_rows}
    return feasibility.size_steps(SIZES[: len(losses)], losses, losses, resampled, **how), resampled


def step(start, end, gain, left=None):
    """A step with a gain that is known to a ten-thousandth."""
    interval = Interval(gain, gain - 1e-4, gain + 1e-4, 0.95, "")
    left = gain if left is None else left
    return feasibility.SizeStep(start, end, interval, end, Interval(left, left - 1e-4, left + 1e-4, 0.95, ""))


def test_a_step_is_paired_and_compares_with_the_best_size_out_of_fold():
    """What shakes all sizes alike leaves a step's interval narrow; the size to compare with is chosen by out-of-fold loss."""
    oof = [0.40, 0.20, 0.10, 0.15]
    found, resampled = steps_of(oof)
    assert [(s.start, s.end, s.best) for s in found] == [(1, 10, 100), (10, 100, 100), (100, 1000, 1000)]
    assert [s.gain.value for s in found] == pytest.approx([0.2, 0.1, -0.05])
    assert all(s.gain.high - s.gain.low < 1e-9 for s in found)
    assert found[0].left.value == pytest.approx(0.3)
    test = [0.3, 0.3, 0.3, 0.1]
    how = {"greater_is_better": False, "confidence": 0.95}
    other = feasibility.size_steps(SIZES, oof, test, resampled, **how)
    assert [s.best for s in other] == [100, 100, 1000], "test rows must not choose the size"


def test_intervals_are_wider_for_more_steps():
    """Bonferroni: six intervals at 95 % together are each at 99.17 %."""
    found, _ = steps_of([0.4, 0.3, 0.2, 0.1], 0.01)
    assert found[0].gain.confidence == pytest.approx(1 - 0.05 / 6)


def test_the_direction_of_the_metric_is_kept():
    """Of a score that should be high, a rise is a gain."""
    scores = np.array([0.7, 0.9])
    resampled = np.repeat(scores[:, None], 100, axis=1)
    (only,) = feasibility.size_steps((1, 2), scores, scores, resampled, greater_is_better=True, confidence=0.95)
    assert only.gain.value == pytest.approx(0.2)
    assert only.best == 2


def test_sizes_that_make_no_step_are_refused():
    """One size, or sizes that do not ascend, are one clear sentence."""
    for sizes in ((1,), (2, 1), (1, 1)):
        values = np.zeros((len(sizes), 10))
        with pytest.raises(InputError, match="sizes must be at least two, ascending"):
            feasibility.size_steps(sizes, values[:, 0], values[:, 0], values, greater_is_better=False, confidence=0.95)


@given(gains=st.lists(st.floats(-0.01, 0.05), min_size=1, max_size=8), useful=st.floats(0.0005, 0.02))
def test_enough_is_enough_from_there_to_the_end(gains, useful):
    """From the size that is enough on, no later step leaves a useful gain; and just before it one does, or it is the first."""
    sizes = [2**i for i in range(len(gains) + 1)]
    left = [max(sum(gains[i : j + 1]) for j in range(i, len(gains))) for i in range(len(gains))]
    steps = [step(a, b, g, rest) for a, b, g, rest in zip(sizes, sizes[1:], gains, left, strict=False)]
    found = feasibility.enough(steps, useful, metric="brier", what="trees")
    shown = [s.end for s in steps if s.gain.low >= useful]
    assert found.shown_to == (max(shown) if shown else None)
    if found.enough_from is not None:
        assert all(s.left.high < useful for s in steps if s.start >= found.enough_from)
    elif steps:
        assert steps[-1].left.high >= useful
    if found.enough_from and found.enough_from > 1:
        (before,) = (s for s in steps if s.end == found.enough_from)
        assert before.left.high >= useful
    assert found.sentence.endswith(".")
    assert found.sentence.count(".") - found.sentence.count("0.") >= 1


def test_each_ending_has_its_sentence():
    """Shown and enough, a gap between them, never shown, not enough yet, and a last step that still gains: five sentences."""
    say = {"metric": "brier", "what": "trees"}
    both = [step(1, 10, 0.02, 0.02), step(10, 100, 0.0, 0.0)]
    assert feasibility.enough(both, 0.001, **say).sentence == (
        "Steps are shown to gain 0.001 Brier score up to 10 trees; "
        "from 10 trees on, all that is left to gain is shown to be less."
    )
    unsure = feasibility.SizeStep(10, 100, Interval(0.001, -0.01, 0.01, 0.95, ""), 100, Interval(0.001, -0.01, 0.01, 0.95, ""))
    gap = [step(1, 10, 0.02), unsure, step(100, 1000, 0.0)]
    assert "from 100 trees on" in feasibility.enough(gap, 0.001, **say).sentence
    assert feasibility.enough(gap, 0.001, **say).sentence.endswith("in between, the rows cannot tell.")
    assert feasibility.enough([unsure], 0.001, **say).sentence == (
        "No step is shown to gain 0.001 Brier score; beyond 10 trees these rows cannot tell whether as much is left to gain."
    )
    still = [step(1, 10, 0.02), step(10, 100, 0.02)]
    assert feasibility.enough(still, 0.001, **say).sentence == (
        "The step to 100 trees, the most that were looked at, is still shown to gain 0.001 Brier score."
    )


def test_a_thousandth_costs_what_the_step_costs_over_what_it_gains():
    """30 dollars for 0.003 is 10 dollars a thousandth, and 30 / 3.1 if the gain is as high as it may be."""
    steps = [step(1, 10, 0.003)]
    costs, drawn = np.array([5.0, 35.0]), np.array([[5.0, 5.0], [35.0, 35.0]])
    (price,) = feasibility.size_prices(steps, costs, drawn, confidence=0.95)
    assert price.extra_usd_month.value == 30
    assert price.usd_per_thousandth == pytest.approx(10)
    assert price.at_least_usd == pytest.approx(30 / 3.1)
    assert math.isnan(price.net_usd_month.value)
    (nothing,) = feasibility.size_prices([step(1, 10, -0.003)], costs, drawn, confidence=0.95)
    assert math.isinf(nothing.usd_per_thousandth)
    assert math.isinf(nothing.at_least_usd)


@pytest.mark.parametrize(("worth", "side"), [(20.0, "pays"), (5.0, "does not"), (10.0, "even")])
def test_a_step_pays_where_a_thousandth_is_worth_more_than_it_costs(worth, side):
    """What is left over is the worth of the gain less the extra cost: above 0, below 0 and nothing, as the worth has it."""
    steps = [step(1, 10, 0.003)]
    values = worth / THOUSANDTH * np.array([0.0, 0.003])
    drawn = np.repeat(values[:, None], 50, axis=1)
    costs = np.array([5.0, 35.0])
    (price,) = feasibility.size_prices(
        steps, costs, np.repeat(costs[:, None], 50, axis=1), worth=values, drawn_worth=drawn, confidence=0.95
    )
    assert price.net_usd_month.value == pytest.approx(3 * worth - 30)
    sentence = feasibility.price_sentence([price], metric="brier", what="trees", at=1, worth="If it is worth something")
    expected = {
        "pays": "If it is worth something, going on is shown to pay up to 10 trees; from where on it no longer pays cannot be",
        "does not": "no step is shown to pay, and from 1 tree on the next 0.001 costs more than it is worth: an estimate.",
        "even": "no step is shown to pay; from where on it no longer pays cannot be told: an estimate.",
    }[side]
    assert expected in sentence


def test_without_a_worth_the_first_step_that_costs_a_dollar_is_priced():
    """Steps that cost less than a dollar more a month are passed over; where none costs more, that is said."""

    def priced(start, end, extra, least):
        return feasibility.SizePrice(start, end, Interval(extra, extra, extra, 0.95, ""), least, least, NONE)

    prices = [priced(1, 10, 50.0, 9.0), priced(10, 20, 0.2, 0.1), priced(20, 50, 30.0, 4.0), priced(50, 100, 90.0, math.inf)]
    say = {"metric": "brier", "what": "trees"}
    assert feasibility.price_sentence(prices, at=10, **say) == (
        "Going from 20 to 50 trees costs an estimated 30.00 USD more a month: 4.00 USD or more for each 0.001 of Brier score."
    )
    assert feasibility.price_sentence(prices, at=50, **say) == (
        "Going from 50 to 100 trees costs an estimated 90.00 USD more a month, and gains nothing for it."
    )
    assert feasibility.price_sentence(prices[1:2], at=10, **say) == (
        "Beyond 10 trees no step costs an estimated dollar more a month, so no price stops it."
    )
