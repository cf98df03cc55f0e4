"""Met, missed or undecided, and money, against hand-worked cases."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipworthy.feasibility import assess, check_requirement, queries_needed, usd_per_million
from shipworthy.records import Conditions, InputError, Measurement, Prices, Record, Requirement

HERE = Conditions("m", "v", 1, "single_stream", 1, 0, 30, "off", "lean", "0", 0.1)
P99 = Requirement(name="fast", quantity="latency_ms", statistic="p99", at_most=50, scenario="single_stream")
MEMORY = Requirement(name="small", quantity="memory_mib", at_most=512)
PRICES = Prices(as_of="2026-01-01", source="worked by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.005, request_usd=2e-7)


def measured(values, quantity="latency_ms", rounds=1, failure="", **conditions):
    """A measurement of candidate ``vote`` on ``adult``, dealt into rounds."""
    index = tuple(i % rounds for i in range(len(values)))
    return Measurement("vote", "adult", quantity, tuple(map(float, values)), index, replace(HERE, **conditions), failure)


def test_seven_hundred_fast_queries_meet_the_limit_and_say_so_in_numbers():
    """The reason carries the percentile, the count, the bound and the limit."""
    verdict = assess(P99, "vote", "adult", [measured(np.linspace(1, 10, 700))], [])
    assert verdict.outcome == "met"
    assert verdict.reason == "p99 of 9.91 ms over 700 queries; at 99 % confidence at most 9.987 ms, under the limit of 50 ms"


@pytest.mark.parametrize(
    ("n", "over", "outcome"),
    [(458, 0, "undecided"), (459, 0, "met"), (661, 1, "undecided"), (662, 1, "met"), (100, 20, "missed")],
)
def test_the_rule_of_459_and_662(n, over, outcome):
    """MLPerf's early stopping decides how many queries are enough."""
    values = [100.0] * over + [1.0] * (n - over)
    assert assess(P99, "vote", "adult", [measured(values)], []).outcome == outcome


def test_undecided_says_how_many_more_queries_would_be_enough():
    """One hundred queries with none over need 359 more."""
    verdict = assess(P99, "vote", "adult", [measured([1.0] * 100)], [])
    assert "359 more with none over it would be enough" in verdict.reason


def test_queries_needed_is_the_least_number():
    """It meets the binomial rule and one query fewer does not."""
    from scipy.stats import binom

    for over in range(12):
        n = queries_needed(over, 95)
        assert binom.cdf(over, n, 0.05) <= 0.01 < binom.cdf(over, n - 1, 0.05)


def test_a_failure_is_undecided_with_its_reason():
    """What was not measured is never met."""
    verdict = assess(P99, "vote", "adult", [measured([], failure="the child was killed for memory")], [])
    assert (verdict.outcome, verdict.n) == ("undecided", 0)
    assert "the child was killed for memory" in verdict.reason


def test_nothing_measured_is_undecided():
    """Another candidate's numbers are not this one's."""
    verdict = assess(P99, "other", "adult", [measured([1.0] * 700)], [])
    assert verdict.reason == "latency was not measured under single_stream"


def test_memory_within_half_a_percent_of_the_limit_is_undecided():
    """Memory of fresh children repeats to 0.5 %."""
    outcomes = [assess(MEMORY, "vote", "adult", [measured([v, v], "memory_mib", 2)], []).outcome for v in (500, 511, 513, 520)]
    assert outcomes == ["met", "undecided", "undecided", "missed"]


def test_a_record_with_an_interval_decides_a_mean():
    """The interval, not the value, has to keep the limit."""
    throughput = Requirement(name="busy", quantity="throughput_rows_s", at_least=100, scenario="offline")
    record = Record(
        "adult", "vote", "ensemble", "throughput_rows_s", "mean", 130, "rows/s", 0, 90, 170, 5, scenario="offline", batch_size=64
    )
    assert assess(throughput, "vote", "adult", [], [record]).outcome == "undecided"
    assert assess(throughput, "vote", "adult", [], [replace(record, low=100.0)]).outcome == "met"
    assert assess(throughput, "vote", "adult", [], [replace(record, high=99.0)]).outcome == "missed"


def test_what_a_requirement_leaves_open_must_hold_everywhere():
    """With no batch size named, the slowest batch decides; with one named, that one."""
    busy = Requirement(name="busy", quantity="throughput_rows_s", at_least=100, scenario="offline")
    found = [
        measured([50, 51], "throughput_rows_s", scenario="offline", batch_size=1),
        measured([900, 910], "throughput_rows_s", scenario="offline", batch_size=64),
    ]
    assert assess(busy, "vote", "adult", found, []).outcome == "missed"
    assert assess(replace(busy, batch_size=64), "vote", "adult", found, []).outcome == "met"


@pytest.mark.parametrize(("alone", "batch"), [((10.0, 11.0), 90.0), ((90.0, 91.0), 10.0)])
def test_the_count_is_of_all_conditions_whichever_is_the_worst(alone, batch):
    """Which batch size reads highest is chance, and a run that is done again must count the same."""
    fits = Requirement(name="fits", quantity="peak_memory_mib", statistic="max", at_most=512)
    found = [measured(alone, "peak_memory_mib", 2), measured([batch], "peak_memory_mib", batch_size=16)]
    assert assess(fits, "vote", "adult", found, []).n == 3


def test_every_seed_must_keep_the_limit():
    """One slow seed is a miss, however fast the others are."""
    found = [measured([1.0] * 700), measured([90.0] * 700, seed=1)]
    assert assess(P99, "vote", "adult", found, []).outcome == "missed"


def test_an_accuracy_limit_is_judged_on_test_rows_never_out_of_fold():
    """Out-of-fold scores chose the baseline; they do not meet requirements."""
    auc = Requirement(name="good", quantity="roc_auc", at_least=0.9)
    oof = Record("adult", "vote", "ensemble", "roc_auc", "oof", 0.95, "", 0)
    test = Record("adult", "vote", "ensemble", "roc_auc", "test", 0.93, "", 0, 0.89, 0.96, 500)
    assert assess(auc, "vote", "adult", [], [oof]).outcome == "undecided"
    assert assess(auc, "vote", "adult", [], [oof, test]).reason.startswith("ROC AUC of 0.93 (0.89 to 0.96)")


def test_a_score_without_an_interval_meets_nothing():
    """Too few rows of a class, or one household alone: chance is not known. A size has none, and stands for itself."""
    auc = Requirement(name="good", quantity="roc_auc", at_least=0.9)
    test = Record("adult", "vote", "ensemble", "roc_auc", "test", 0.99, "", 0, np.nan, np.nan, 500)
    found = assess(auc, "vote", "adult", [], [test])
    assert found.outcome == "undecided"
    assert found.reason.startswith("ROC AUC of 0.99 has no interval")
    cheap = Requirement(name="cheap", quantity="size_mib", at_most=2)
    size = Record("adult", "vote", "ensemble", "size_mib", "value", 1.0, "MiB", 0, np.nan, np.nan, 1)
    assert assess(cheap, "vote", "adult", [], [size]).outcome == "met"


def test_a_maximum_over_the_limit_is_missed_and_one_under_it_is_no_proof():
    """No number of queries bounds the next one."""
    slowest = replace(P99, statistic="max")
    assert assess(slowest, "vote", "adult", [measured([1, 60])], []).outcome == "missed"
    assert assess(slowest, "vote", "adult", [measured([1, 40])], []).outcome == "undecided"
    peak = Requirement(name="peak", quantity="peak_memory_mib", statistic="max", at_most=512)
    assert assess(peak, "vote", "adult", [measured([100, 200], "peak_memory_mib")], []).outcome == "met"


def test_memory_that_the_platform_cannot_tell_is_undecided():
    """A missing reading is a reason, not a pass."""
    verdict = assess(MEMORY, "vote", "adult", [measured([math.nan], "memory_mib")], [])
    assert (verdict.outcome, verdict.reason) == ("undecided", "memory could not be read on this platform")


def test_one_reading_is_called_one():
    """There is no largest of one."""
    peak = Requirement(name="peak", quantity="peak_memory_mib", statistic="max", at_most=512)
    reasons = [
        assess(replace(peak, at_most=limit), "vote", "adult", [measured([100], "peak_memory_mib")], []).reason
        for limit in (50, 512)
    ]
    reasons.append(assess(MEMORY, "vote", "adult", [measured([100], "memory_mib")], []).reason)
    assert not any("of 1 readings" in r or "1 values" in r or "1 readings" in r for r in reasons)
    assert "over one reading" in reasons[1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.01, 1000), min_size=1, max_size=900),
    st.floats(0.01, 1000),
    st.floats(1.0, 5.0),
    st.sampled_from(["mean", "p50", "p95", "p99", "max"]),
)
def test_loosening_a_limit_never_makes_it_missed(values, limit, factor, statistic):
    """From met it stays met; from undecided it never turns to missed."""
    tight = Requirement(name="r", quantity="latency_ms", statistic=statistic, at_most=limit, scenario="single_stream")
    loose = replace(tight, at_most=limit * factor)
    order = ["missed", "undecided", "met"]
    before, after = (order.index(assess(r, "vote", "adult", [measured(values, rounds=2)], []).outcome) for r in (tight, loose))
    assert after >= before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quantity": "speed"}, "unknown quantity 'speed'; the quantities are log_loss"),
        ({"at_least": 5.0}, "exactly one of at_most and at_least"),
        ({"at_most": None}, "exactly one of at_most and at_least"),
        ({"at_most": None, "at_least": 5.0}, "better when it is smaller, so limit it with at_most"),
        ({"at_most": 0.0}, "at_most must be above 0"),
        ({"at_most": math.nan}, "finite number"),
        ({"scenario": "none"}, "name a scenario"),
        ({"quantity": "roc_auc", "at_most": None, "at_least": 0.9}, "one number for all test rows"),
        ({"quantity": "roc_auc", "at_most": None, "at_least": 1.2, "statistic": "mean"}, "never above 1"),
    ],
)
def test_a_requirement_that_nothing_could_decide_is_refused_in_one_sentence(change, words):
    """The sentence names the requirement and the remedy."""
    with pytest.raises(InputError, match=words) as refused:
        check_requirement(replace(P99, **change))
    assert str(refused.value).startswith("requirement 'fast': ")


def test_the_price_of_a_million_queries_by_hand():
    """3.6 ms are one CPU hour a million: 0.04; 1 GiB for 2.78 hours at 100/s: 0.01389; requests: 0.20."""
    assert usd_per_million(3.6, 1024, PRICES, 100) == pytest.approx(0.04 + 1e6 / 100 / 3600 * 0.005 + 0.2)


def test_traffic_that_one_process_cannot_carry_holds_more_copies_in_memory():
    """25 ms at 100 queries/s keep 2.5 processes busy: three hold the memory."""
    wall = 1e6 / 100 / 3600
    assert usd_per_million(25, 1024, PRICES, 100) == pytest.approx(25 / 3.6 * 0.04 + 3 * wall * 0.005 + 0.2)


@settings(max_examples=100, deadline=None)
@given(*[st.floats(0, 1e4)] * 4, st.floats(0.1, 1e4))
def test_more_time_or_memory_never_costs_less(cpu, more_cpu, memory, more_memory, traffic):
    """The price is monotone in both."""
    cheap = usd_per_million(cpu, memory, PRICES, traffic)
    assert usd_per_million(cpu + more_cpu, memory + more_memory, PRICES, traffic) >= cheap * (1 - 1e-12)


def test_an_unmeasured_cost_has_no_price_and_an_impossible_one_is_refused():
    """An unknown stays nan; a negative time is a mistake."""
    assert math.isnan(usd_per_million(math.nan, 1, PRICES, 1))
    with pytest.raises(ValueError, match="cpu_ms"):
        usd_per_million(-1, 1, PRICES, 1)
    with pytest.raises(ValueError, match="traffic"):
        usd_per_million(1, 1, PRICES, 0)
