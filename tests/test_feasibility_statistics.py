"""Intervals on gains and ratios, against theory and simulation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from shipworthy.feasibility import Overlap, corrected_resampled_t, gain_interval, overlap_of, paired_gain, ratio_interval
from shipworthy.feasibility.seeds import SeedError
from shipworthy.records import Conditions, Measurement

HERE = Conditions("m", "v", 1, "single_stream", 1, 0, 30, "off", "lean", "0", 0.1)


def latency(candidate, rounds, **conditions):
    """A latency measurement from one list of values a round."""
    values = tuple(float(v) for r in rounds for v in r)
    index = tuple(i for i, r in enumerate(rounds) for _ in r)
    return Measurement(candidate, "adult", "latency_ms", values, index, replace(HERE, **conditions))


def resampled_means(values, weights):
    """Mean of each resample."""
    return weights @ values / weights.sum(axis=1)


def test_paired_bootstrap_covers_the_true_gain_about_as_often_as_it_says():
    """A 90 % paired interval holds the true gain in 90 % of 400 simulated studies, within what chance allows."""
    rng = np.random.default_rng(1)
    hits, n = 0, 200
    for _ in range(400):
        shared = rng.normal(size=n)
        challenger, baseline = shared + 0.1 + 0.3 * rng.normal(size=n), shared
        weights = rng.multinomial(n, np.full(n, 1 / n), size=300)
        gain = paired_gain(
            resampled_means(challenger, weights),
            resampled_means(baseline, weights),
            challenger.mean(),
            baseline.mean(),
            greater_is_better=True,
            confidence=0.9,
        )
        hits += gain.low <= 0.1 <= gain.high
    assert 0.85 < hits / 400 < 0.94


def test_pairing_cancels_what_both_sides_share():
    """Against a twin that is better by a constant on every resample, the interval has no width."""
    baseline = np.random.default_rng(0).normal(0.8, 0.05, 500)
    gain = paired_gain(baseline + 0.01, baseline, 0.81, 0.8, greater_is_better=True, confidence=0.95)
    assert (gain.low, gain.high) == pytest.approx((0.01, 0.01))


def test_a_smaller_loss_is_a_positive_gain():
    """Where smaller is better the sign is turned, and the interval with it."""
    baseline = np.random.default_rng(0).normal(0.5, 0.05, 500)
    gain = paired_gain(baseline - 0.02, baseline, 0.48, 0.5, greater_is_better=False, confidence=0.95)
    assert gain.value == pytest.approx(0.02)
    assert gain.low == pytest.approx(0.02)


def test_resamples_without_a_score_are_left_out_and_counted():
    """A resample that holds one class only has no score; the interval says how many there were."""
    gain = paired_gain(
        np.array([0.8, np.nan, 0.9]), np.array([0.7, 0.7, 0.8]), 0.85, 0.75, greater_is_better=True, confidence=0.95, n_rows=40
    )
    assert gain.how.startswith("paired bootstrap of 40 test rows, 2 resamples (1 without a score left out)")
    assert math.isfinite(gain.low)


def test_different_resamples_are_refused():
    """Scores on other resamples are not paired."""
    with pytest.raises(ValueError, match="same resamples"):
        paired_gain(np.zeros(3), np.zeros(4), 0, 0, greater_is_better=True, confidence=0.95)


def test_corrected_t_is_the_textbook_t_when_nothing_is_shared():
    """With a vanishing test share the interval is SciPy's one-sample t interval."""
    differences = np.random.default_rng(0).normal(0.01, 0.02, 7)
    ours = corrected_resampled_t(differences, 1e-12, 0.95)
    theirs = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_corrected_t_by_hand():
    """Three seeds, a quarter tested: half-width t(2) * sqrt((1/3 + 1/4) * s^2)."""
    interval = corrected_resampled_t(np.array([0.01, 0.02, 0.03]), 0.25, 0.95)
    half = 4.302652729911275 * math.sqrt((1 / 3 + 0.25) * 0.0001)
    assert (interval.value, interval.high) == pytest.approx((0.02, 0.02 + half))


def test_corrected_t_needs_two_seeds():
    """One difference has no spread."""
    with pytest.raises(ValueError, match="at least two seeds"):
        corrected_resampled_t(np.array([0.1]), 0.25, 0.95)


def test_one_seed_is_judged_by_the_bootstrap_and_several_by_the_corrected_t():
    """The deciding test is named."""
    tight = [np.linspace(0.79, 0.81, 50)] * 3
    several = gain_interval(
        tight,
        [t - 0.01 for t in tight],
        (0.8, 0.85, 0.9),
        (0.79, 0.82, 0.88),
        greater_is_better=True,
        test_share=0.25,
        confidence=0.95,
    )
    one = gain_interval(tight[:1], tight[:1], (0.8,), (0.79,), greater_is_better=True, test_share=0.25, confidence=0.95)
    assert several.how == "corrected resampled t over 3 seeds (Nadeau and Bengio 2003)"
    assert one.how == "paired bootstrap of the test rows, 50 resamples, ends no nearer than the normal approximation's"


def test_seeds_that_agree_do_not_hide_the_chance_in_shared_test_rows():
    """Three seeds with one gain, tested on the same rows, keep the width of the bootstrap."""
    rng = np.random.default_rng(0)
    wide = [rng.normal(0.01, 0.01, 400) for _ in range(3)]
    zero = [np.zeros(400)] * 3
    rows = {"greater_is_better": True, "test_share": 0.25, "confidence": 0.95, "overlap": Overlap(1.0, 0.8)}
    gain = gain_interval(wide, zero, (0.01,) * 3, (0.0,) * 3, **rows)
    assert gain.low == pytest.approx(0.01 - 1.96 * 0.01, abs=0.003)
    assert "the chance in the 100% of their test rows that they share, by a paired bootstrap" in gain.how
    apart = gain_interval(wide, zero, (0.01,) * 3, (0.0,) * 3, **rows | {"overlap": Overlap(0.0, 0.8)})
    assert (apart.low, apart.high) == pytest.approx((0.01, 0.01))


def test_what_seeds_share_sets_the_error_of_their_mean():
    """By hand, of gains 1, 2, 3 (variance 1) and a bootstrap's error of .5: nothing, a fifth, and all test rows in common."""
    gains, t2, z = np.array([1.0, 2.0, 3.0]), stats.t.ppf(0.975, 2), stats.norm.ppf(0.975)
    alone, some, all_of_them = (SeedError.of(gains, 0.5, 0.25, Overlap(o, 0.8)) for o in (0.0, 0.2, 1.0))
    assert float(alone.half_width(0.95)) == pytest.approx(t2 * math.sqrt(1 / 3))
    between = 1 / 3 + 0.25 * (1 - 0.8 * 0.25)
    assert float(some.half_width(0.95)) == pytest.approx(math.sqrt(t2**2 * between + z**2 * 0.2 * 0.25))
    assert (all_of_them.between, all_of_them.shared) == pytest.approx((1 / 3 + 0.25, 0.25))
    assert all_of_them.error == pytest.approx(math.sqrt(1 / 3 + 0.5))
    assert Overlap(1.0, 0.1).odds(0.25) == pytest.approx(1 / 9)


def test_what_seeds_have_in_common_is_counted_over_their_pairs():
    """Of three seeds two test the same day, and each half of another's training rows; one seed has all in common with itself."""
    tested = [np.array([7, 7, 8]), np.array([7, 9, 9]), np.array([1, 2, 3])]
    trained = [np.array([0, 1]), np.array([1, 2]), np.array([2, 0])]
    found = overlap_of(tested, trained)
    assert (found.test, found.train) == pytest.approx(((2 / 3 + 1 / 3) / 6, 0.5))
    assert overlap_of(tested[:1], trained[:1]) == Overlap(1.0, 1.0)


def test_unequal_seeds_are_refused():
    """A seed on one side only cannot be paired."""
    with pytest.raises(ValueError, match="same seeds"):
        gain_interval([np.zeros(2)], [], (0.1,), (), greater_is_better=True, test_share=0.2, confidence=0.95)


def test_ratio_is_that_of_the_percentiles_over_all_rounds():
    """Rounds with ratios 2 and 8: the p99 of all is 8 times, and the interval spans both rounds."""
    challenger = latency("vote", [[2.0] * 20, [8.0] * 20])
    baseline = latency("tree", [[1.0] * 20, [1.0] * 20])
    ratio = ratio_interval(challenger, baseline, 99, 1.0, 0.95, rng=np.random.default_rng(0))
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((2, 8, 8))


def test_the_noise_floor_widens_the_ratio_both_ways():
    """A floor of 1.5 divides the low end and multiplies the high end."""
    same = latency("vote", [[3.0] * 10])
    ratio = ratio_interval(same, same, 50, 1.5, 0.95, rng=np.random.default_rng(0))
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((1 / 1.5, 1, 1.5))
    assert "noise floor of 1.5" in ratio.how


def test_the_resampled_percentile_has_the_distribution_of_a_real_bootstrap():
    """The beta short cut agrees with resampling value by value (Kolmogorov-Smirnov)."""
    from shipworthy.feasibility.statistics import _resampled_percentile

    rng = np.random.default_rng(3)
    ordered = np.sort(rng.lognormal(size=120))
    shortcut = _resampled_percentile(ordered, 90, rng)
    plain = np.sort(rng.choice(ordered, (2000, 120)), axis=1)[:, math.ceil(0.9 * 120) - 1]
    assert stats.ks_2samp(shortcut, plain).pvalue > 0.001


@pytest.mark.parametrize(
    ("changed", "named"), [({"machine": "other"}, "machine"), ({"threads": 2}, "threads"), ({"batch_size": 64}, "batch_size")]
)
def test_measurements_under_other_conditions_are_refused_by_name(changed, named):
    """What differs is said."""
    with pytest.raises(ValueError, match=named):
        ratio_interval(latency("a", [[1.0]]), latency("b", [[1.0]], **changed), 50, 1.0, 0.95, rng=np.random.default_rng(0))


def test_a_failed_measurement_has_no_ratio_and_says_why():
    """A failure gives a nan interval that carries the reason."""
    failed = Measurement("vote", "adult", "latency_ms", (), (), HERE, failure="the child ran past 120 s")
    ratio = ratio_interval(failed, latency("tree", [[1.0]]), 99, 1.0, 0.95, rng=np.random.default_rng(0))
    assert math.isnan(ratio.value)
    assert "the child ran past 120 s" in ratio.how


def test_memory_at_the_idle_interpreter_has_no_ratio():
    """Nothing can be a multiple of zero."""
    ratio = ratio_interval(latency("vote", [[2.0]]), latency("tree", [[0.0]]), 50, 1.0, 0.95, rng=np.random.default_rng(0))
    assert math.isnan(ratio.low)
    assert "not above 0" in ratio.how


def test_a_noise_floor_below_one_is_refused():
    """It is a factor, not a share."""
    with pytest.raises(ValueError, match="at least 1"):
        ratio_interval(latency("a", [[1.0]]), latency("b", [[1.0]]), 50, 0.1, 0.95, rng=np.random.default_rng(0))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.1, 100), min_size=5, max_size=40), st.floats(1.0, 3.0))
def test_the_ratio_lies_in_its_interval_and_the_other_way_round_is_its_inverse(values, floor):
    """Swapping the sides inverts the value."""
    one, other = latency("a", [values, values[::-1]]), latency("b", [[v * 2 for v in values], values])
    there = ratio_interval(one, other, 95, floor, 0.95, rng=np.random.default_rng(0))
    back = ratio_interval(other, one, 95, floor, 0.95, rng=np.random.default_rng(0))
    assert there.low <= there.value * (1 + 1e-9)
    assert there.value <= there.high * (1 + 1e-9)
    assert there.value * back.value == pytest.approx(1)
