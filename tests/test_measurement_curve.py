"""Batch curves and threads: planted laws are recovered, crossings are where algebra puts them, sentences say what was planted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shipworthy.measurement.calibration import REPEATS, kernel_ms
from shipworthy.measurement.curve import fit_batch_law, overtakings, ranking_sentence, thread_sentences
from shipworthy.measurement.energy import watt_hours_per_million
from shipworthy.records import Conditions, InputError, Measurement

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


def calls(candidate, fixed, per_row, *, noise=0.03, rounds=2, seed=0, sizes=SIZES, threads=1, curve=None):
    """Latencies of a planted law with lognormal noise, twenty calls a round and size."""
    rng = np.random.default_rng(seed)
    found = []
    for size in sizes:
        values = (fixed + per_row * size + (curve(size) if curve else 0.0)) * np.exp(rng.normal(0, noise, 20 * rounds))
        scenario = "single_stream" if size == 1 else "multi_stream"
        here = Conditions("m", "v", threads, scenario, size, 0, 5, "off", "lean", "core 0", 0.1)
        index = tuple(i // 20 for i in range(20 * rounds))
        found.append(Measurement(candidate, "adult", "latency_ms", tuple(values.tolist()), index, here))
    return found


def test_a_planted_law_is_recovered():
    """2 ms and 5 microseconds a row come back within their intervals, narrow ones, and the law is said to fit."""
    law = fit_batch_law("vote", calls("vote", 2.0, 0.005))
    assert law.fixed_ms.low < 2.0 < law.fixed_ms.high
    assert law.per_row_ms.low < 0.005 < law.per_row_ms.high
    assert law.fixed_ms.high / law.fixed_ms.low < 1.1
    assert law.r2 > 0.99
    assert law.fits
    assert law.latency_ms(1000) == pytest.approx(7.0, rel=0.03)


def test_the_intervals_cover_as_often_as_they_say():
    """Of 200 planted laws, between 180 and 198 of the 95 % intervals of each number hold the truth."""
    laws = [fit_batch_law("vote", calls("vote", 1.0, 0.01, seed=s, sizes=SIZES[::2])) for s in range(200)]
    assert 180 <= sum(law.fixed_ms.low < 1.0 < law.fixed_ms.high for law in laws) <= 198
    assert 180 <= sum(law.per_row_ms.low < 0.01 < law.per_row_ms.high for law in laws) <= 198


def test_what_is_no_line_is_said_to_be_none():
    """A curve that jumps tenfold at 512 rows has no such law, and the sentence says to read the curve."""
    law = fit_batch_law("vote", calls("vote", 1.0, 0.001, curve=lambda n: 20.0 if n >= 512 else 0.0))
    assert not law.fits
    assert "read the curve, not the law" in law.sentence()


@pytest.mark.parametrize(("fixed", "per_row"), [(2.0, 0.0), (0.0, 0.01)])
@pytest.mark.parametrize("sizes", [SIZES, (1, 2, 4)])
def test_a_number_that_is_not_there_has_an_interval_from_zero(fixed, per_row, sizes):
    """Calls that all take alike, or only as long as their rows, have a law too: of 100 draws 90 or more hold both numbers."""
    laws = [fit_batch_law("flat", calls("flat", fixed, per_row, seed=s, sizes=sizes)) for s in range(100)]
    for planted, found in ((fixed, [law.fixed_ms for law in laws]), (per_row, [law.per_row_ms for law in laws])):
        assert sum(i.low <= planted <= i.high for i in found) >= 90
        assert all(0 <= i.low <= i.value <= i.high < math.inf for i in found)
    assert all(law.fits and "nan" not in law.sentence() for law in laws)


def test_calls_without_any_noise_have_a_law():
    """A curve that is flat to the last digit explains no variance, for there is none; the sentence does not say so."""
    law = fit_batch_law("flat", calls("flat", 2.0, 0.0, noise=0.0))
    assert (law.fixed_ms.value, law.per_row_ms.value) == (pytest.approx(2.0), pytest.approx(0.0, abs=1e-9))
    assert law.sentence().endswith("the law is off by at most 0 %.")


def test_two_sizes_are_too_few():
    """Two numbers fit any two points."""
    with pytest.raises(InputError, match="at least three sizes"):
        fit_batch_law("vote", calls("vote", 1.0, 0.01, sizes=(1, 64)))


def test_one_candidate_overtakes_another_where_algebra_says():
    """1 + .02 n and 3 + .01 n cross at n = 200; the third, slower at every size, overtakes nobody."""
    planted = {"linear": (1.0, 0.02), "boosted": (3.0, 0.01), "stack": (9.0, 0.05)}
    laws = [fit_batch_law(name, calls(name, *law, seed=i)) for i, (name, law) in enumerate(planted.items())]
    (only,) = overtakings(laws, rng=np.random.default_rng(0))
    assert (only.small, only.large) == ("linear", "boosted")
    assert only.rows.low < 200 < only.rows.high
    assert only.rows.high / only.rows.low < 1.5
    assert only.sentence().startswith("boosted overtakes linear at ")


def test_a_crossing_beyond_what_was_measured_is_not_reported():
    """Laws that would meet at 10,000 rows say nothing of it when 4,096 is the largest."""
    laws = [fit_batch_law("a", calls("a", 1.0, 0.0101)), fit_batch_law("b", calls("b", 2.0, 0.01, seed=1))]
    assert overtakings(laws, rng=np.random.default_rng(0)) == []


def test_a_ranking_that_flips_is_said_with_its_figures():
    """The pair that flips most is named, with both ends."""
    medians = {"linear": {1: 1.0, 4096: 30.0}, "boosted": {1: 2.0, 4096: 10.0}}
    assert ranking_sentence(medians, 1.1) == (
        "The order at one row is not that in bulk: linear is faster at 1 row (1 against 2 ms), "
        "boosted at 4,096 rows (10 against 30 ms)."
    )


def test_a_flip_within_the_noise_is_not_one():
    """What lies under the noise floor at either end is no order."""
    medians = {"linear": {1: 1.0, 4096: 10.5}, "boosted": {1: 2.0, 4096: 10.0}}
    assert "is the same at 4,096 rows" in ranking_sentence(medians, 1.1)
    assert "is not that in bulk" in ranking_sentence(medians, 1.01)


def test_a_default_that_costs_latency_is_said_with_its_remedy():
    """Thirteen times at p99 with two threads: set one. In bulk two are faster: keep them."""
    slow = calls("boosted", 13.0, 0.0, sizes=(1,), threads=2) + calls("boosted", 1.0, 0.0, sizes=(1,), threads=1)
    bulk = calls("boosted", 20.0, 0.0, sizes=(4096,), threads=2) + calls("boosted", 38.0, 0.0, sizes=(4096,), threads=1)
    one, many = thread_sentences("boosted", slow + bulk, default=2)
    assert "the default of 2 threads costs 13 times at p99" in one
    assert one.endswith("set 1.")
    assert "2 threads are 1.9 times as fast as one" in many


def test_threads_that_make_no_difference_are_not_recommended():
    """Within the noise, the sentence says so."""
    alike = calls("linear", 1.0, 0.0, sizes=(1,), threads=2, seed=1) + calls("linear", 1.0, 0.0, sizes=(1,), threads=1)
    (said,) = thread_sentences("linear", alike, default=2)
    assert "makes no difference worth a setting" in said
    assert thread_sentences("linear", alike[:1], default=2) == []


def test_energy_is_cpu_hours_times_the_assumed_power():
    """By hand: 7.2 ms are two CPU hours a million; at 5 W that is 10 Wh, and the ends are those of the assumption."""
    energy = watt_hours_per_million(7.2, (2.0, 5.0, 8.0))
    assert (energy.low, energy.value, energy.high) == (4.0, 10.0, 16.0)
    assert math.isnan(energy.confidence)
    with pytest.raises(InputError, match="must ascend"):
        watt_hours_per_million(1.0, (5.0, 2.0, 8.0))


def test_the_calibration_kernel_is_the_sum_of_three_medians():
    """On a clock that moves one millisecond a reading, each part takes one, whatever it does."""
    ticks = iter(range(0, 10**12, 10**6))
    assert kernel_ms(lambda: next(ticks)) == 3.0
    assert next(ticks) == 3 * REPEATS * 2 * 10**6
