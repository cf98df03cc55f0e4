"""Money: hand-worked months and break-evens, the properties of a bill, and what cannot be added up."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipworthy.feasibility import (
    Answers,
    Case,
    best_threshold,
    break_even,
    check_economics,
    draw_terms,
    expected_terms,
    make_case,
    money_of,
    resample_means,
    resample_shares,
)
from shipworthy.feasibility.breakeven import pays_at
from shipworthy.feasibility.economics import copies, serving_usd_month
from shipworthy.feasibility.value import draw, month
from shipworthy.records import Economics, InputError, Interval, Prices, Record

PRICES = Prices(as_of="2026-01", source="worked by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.0)
PLAIN = Economics(
    correct_usd=(0.001,),
    false_positive_usd=(0.002,),
    false_negative_usd=(0.003,),
    per_100_ms_usd=(0.0001,),
    upkeep_hours_per_part=(2.0,),
    person_hour_usd=(50.0,),
    peak_over_mean=2.0,
    copy_memory_mib=0.0,
)
QUERIES = 2_628_000
"""Seconds of a month: 730 hours."""


def exactly(value):
    """A measured value without doubt."""
    return Interval(value, value, value, math.nan, "by hand")


def answers(correct, positive=0.0, negative=0.0, n=10_000):
    """Answers by their shares, with one resample that is the sample."""
    shares = np.array([correct, positive, negative])
    return Answers(("correct", "false positive", "false negative"), shares, shares[None, :], shares, n, "by hand")


def case(name="a", correct=0.9, positive=0.06, negative=0.04, *, ms=10.0, rate=50.0, fit=3600.0, parts=1, kind="single"):
    """A candidate whose numbers divide well."""
    return Case(name, kind, exactly(ms), exactly(rate), 1.0, 0.0, fit, parts, answers(correct, positive, negative))


def test_a_month_worked_by_hand():
    """10 queries a second, term by term: 2 copies at 4 cents, an hour of training, two of a person."""
    found = month(expected_terms(case(), PLAIN, PRICES), 10.0, PLAIN, PRICES)
    queries = 10 * QUERIES
    assert found.answers == pytest.approx(queries * (0.9 * 0.001 - 0.06 * 0.002 - 0.04 * 0.003))
    assert found.delay == pytest.approx(queries * 0.0001 * 10 / 100)
    assert found.serving == pytest.approx(2 * 730 * 0.04)
    assert found.training == pytest.approx(0.04)
    assert found.upkeep == pytest.approx(100.0)
    assert found.net == pytest.approx(17344.8 - 262.8 - 58.4 - 0.04 - 100)


def test_copies_are_held_for_the_peak_and_one_in_case():
    """100 queries a second with a peak of twice that need exactly four copies of 50, and a hair more needs five."""
    assert copies(100.0, 50.0, PLAIN) == 4 + 1
    assert copies(100.001, 50.0, PLAIN) == 5 + 1
    assert copies(0.1, 0.2, PLAIN) == 1 + 1
    assert serving_usd_month(100.0, 50.0, 0.04, replace(PRICES, request_usd=1e-6), PLAIN) == pytest.approx(
        5 * 29.2 + 100 * QUERIES * 1e-6
    )


def test_break_even_worked_by_hand():
    """One point more right answers for one part more: 100 USD of upkeep over 26,280 answers a month and query a second."""
    economics = replace(PLAIN, false_positive_usd=(0.0,), false_negative_usd=(0.0,), per_100_ms_usd=(0.0,))
    better, base = case("e", 0.91, parts=2, rate=1e6, fit=0), case("b", 0.90, rate=1e6, fit=0)
    found = break_even(
        expected_terms(better, economics, PRICES), expected_terms(base, economics, PRICES), 10.0, economics, PRICES
    )
    # The value of an answer is .001 USD, so each query a second is worth 2,628,000 * .01 * .001 = 26.28 USD a month.
    assert found.pays_from == pytest.approx(100 / 26.28)
    assert found.pays_for_good_from == pytest.approx(100 / 26.28)
    assert found.margin_from_usd == pytest.approx(100 / (10 * QUERIES * 0.01))
    assert found.points == pytest.approx(1.0)
    assert found.usd_per_point_month == pytest.approx(100.0)
    assert found.gain_usd_month == pytest.approx(262.8 - 100)
    assert "pays from 3.8 queries a second on" in found.sentences[0]


def test_an_ensemble_that_is_no_better_and_dearer_never_pays():
    """No traffic, no margin and no value of a point make it pay, and the sentences say so."""
    worse, base = case("e", 0.89, 0.07, 0.04, parts=3), case("b")
    found = break_even(expected_terms(worse, PLAIN, PRICES), expected_terms(base, PLAIN, PRICES), 10.0, PLAIN, PRICES)
    assert found.pays_from == found.margin_from_usd == found.usd_per_point_month == math.inf
    assert "At no traffic" in found.sentences[0]
    assert "never pays" in found.sentences[1]
    assert "no value of a point" in found.sentences[2]


def test_a_gain_that_machines_eat_up_pays_only_at_little_traffic():
    """Where one copy serves both, the gain counts; where the ensemble needs fifty times the copies, it does not."""
    economics = replace(PLAIN, correct_usd=(1e-6,), false_positive_usd=(0.0,), false_negative_usd=(0.0,), per_100_ms_usd=(0.0,))
    economics = replace(economics, upkeep_hours_per_part=(0.0,))
    slow, fast = case("e", 0.95, rate=1.0, fit=0), case("b", 0.85, rate=50.0, fit=0)
    terms = [expected_terms(c, economics, PRICES) for c in (slow, fast)]
    first, good, until = pays_at(*terms, economics)
    assert (first, good) == (0.0, math.inf)
    assert until == pytest.approx(0.5)  # a peak of 1 a second is what one slow copy serves


@settings(max_examples=60, deadline=None)
@given(st.floats(0.5, 500), st.floats(0.5, 500), st.floats(0.0, 0.03), st.floats(0, 5), st.integers(1, 6), st.floats(0.1, 2000))
def test_break_even_traffic_agrees_with_trying_it(rate_e, rate_b, more, ms, parts, traffic):
    """Below the first traffic it never pays; from the traffic for good on it always does; after the last it never does."""
    e = case("e", 0.9 + more, 0.06 - more, ms=10 + ms, rate=rate_e, parts=parts)
    b = case("b", rate=rate_b)
    one, other = (expected_terms(c, PLAIN, PRICES) for c in (e, b))
    first, good, until = pays_at(one, other, PLAIN)
    gain = float((month(one, traffic, PLAIN, PRICES).net - month(other, traffic, PLAIN, PRICES).net)[0])
    if traffic < first * (1 - 1e-6):
        assert gain <= 1e-6
    if traffic > good * (1 + 1e-6):
        assert gain >= -1e-6
    if traffic > until * (1 + 1e-6):
        assert gain <= 1e-6


@settings(max_examples=100, deadline=None)
@given(st.floats(0.01, 1e4), st.floats(1, 100), st.floats(0.1, 1e4), st.floats(0, 1), st.floats(1, 10))
def test_more_traffic_and_dearer_machines_never_lower_a_bill(traffic, times, capacity, price, dearer):
    """A month's serving rises with traffic and with the price of a copy, or stays."""
    bill = serving_usd_month(traffic, capacity, price, PRICES, PLAIN)
    assert serving_usd_month(traffic * times, capacity, price, PRICES, PLAIN) >= bill
    assert serving_usd_month(traffic, capacity, price * dearer, PRICES, PLAIN) >= bill


def test_the_simulated_interval_covers_the_analytic_one_of_a_linear_case():
    """Only the margin is uncertain, uniform on [a, b]: the 95 % interval is the net value at its 2.5 and 97.5 % points."""
    economics = replace(PLAIN, correct_usd=(0.001, 0.003), draws=50_000)
    (money,) = money_of([case()], economics, PRICES, 10.0, 0.95, np.random.default_rng(0))
    net = money["net_value_usd_month"]

    def at(margin):
        return float(month(expected_terms(case(), replace(PLAIN, correct_usd=(margin,)), PRICES), 10.0, PLAIN, PRICES).net[0])

    width = at(0.003) - at(0.001)
    assert net.value == pytest.approx(at(0.002))
    assert net.low == pytest.approx(at(0.001 + 0.025 * 0.002), abs=0.005 * width)
    assert net.high == pytest.approx(at(0.001 + 0.975 * 0.002), abs=0.005 * width)


def test_draws_follow_the_declared_distributions():
    """Quantiles of the draws are SciPy's, of the triangular and the uniform distribution."""
    from scipy.stats import triang, uniform

    u = np.linspace(0.01, 0.99, 50)
    assert draw(2.0, 3.0, 7.0, u) == pytest.approx(triang(0.2, 2, 5).ppf(u))
    assert draw(2.0, None, 7.0, u) == pytest.approx(uniform(2, 5).ppf(u))


def test_candidates_are_drawn_together():
    """Two candidates that are the same differ by nothing in any draw, however uncertain the amounts and the answers."""
    economics = replace(PLAIN, correct_usd=(0.0, 0.01), price_factor=(0.5, 1.0, 3.0), draws=200)
    codes = np.random.default_rng(0).integers(0, 3, 500)
    resampled = resample_shares([codes, codes], 3, 100, np.random.default_rng(1))
    cases = [replace(case(n), answers=replace(answers(0.9), resampled=r)) for n, r in zip("ab", resampled, strict=True)]
    one, other = (month(t, 10.0, economics, PRICES).net for t in draw_terms(cases, economics, PRICES, np.random.default_rng(2)))
    assert one == pytest.approx(other)
    assert one.std() > 0


def test_resampled_shares_are_the_bootstrap_of_rows():
    """Mean and spread of a share are those of a binomial share, and a difference is paired: its spread is McNemar's."""
    rng = np.random.default_rng(3)
    a = rng.integers(0, 2, 400)
    b = np.where(rng.random(400) < 0.1, 1 - a, a)
    one, other = (r[:, 0] for r in resample_shares([a, b], 2, 20_000, np.random.default_rng(4)))
    p = (a == 0).mean()
    assert one.mean() == pytest.approx(p, abs=0.001)
    assert one.std() == pytest.approx(math.sqrt(p * (1 - p) / 400), rel=0.03)
    d = (a == 0).astype(float) - (b == 0)
    assert (one - other).std() == pytest.approx(d.std() / 20, rel=0.03)


@pytest.mark.parametrize("size", [1, 4, 9])
def test_clusters_of_identical_rows_widen_what_is_resampled_by_the_root_of_their_size(size):
    """Of 400 things said ``size`` times each, a share has the spread of 400 rows, as have a mean and a paired difference."""
    rng = np.random.default_rng(3)
    a = rng.integers(0, 2, 400)
    b = np.where(rng.random(400) < 0.1, 1 - a, a)
    rows = rng.permutation(np.repeat(np.arange(400), size))
    cluster = 7 * rows + 3  # any number names a cluster
    codes = [a[rows], b[rows]]
    one, other = (r[:, 0] for r in resample_shares(codes, 2, 4000, np.random.default_rng(4), cluster))
    p, d = (a == 0).mean(), (a == 0).astype(float) - (b == 0)
    alone = resample_shares(codes, 2, 4000, np.random.default_rng(4))[0][:, 0].std()
    assert one.std() == pytest.approx(math.sqrt(p * (1 - p) / 400), rel=0.05)
    assert one.std() / alone == pytest.approx(math.sqrt(size), rel=0.05)
    assert (one - other).std() == pytest.approx(d.std() / 20, rel=0.05)
    means = resample_means([c.astype(float) for c in codes], 4000, np.random.default_rng(4), cluster)
    assert means[0][:, 0] == pytest.approx(1 - one)
    assert [m.shape for m in means] == [(4000, 1)] * 2


def test_a_resample_of_unlike_clusters_is_a_mean_over_its_rows():
    """Of a cluster of three rows and one of one, drawn twice: by hand, the share is 0, 3/4 or 1."""
    shares = resample_shares([np.array([0, 0, 0, 1])], 2, 400, np.random.default_rng(0), np.array([5, 5, 5, 9]))[0]
    found, counts = np.unique(shares[:, 0], return_counts=True)
    assert found.tolist() == [0, 0.75, 1]
    assert counts / 400 == pytest.approx([0.25, 0.5, 0.25], abs=0.08)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 1)), min_size=2, max_size=12), st.floats(0.1, 9), st.floats(0.1, 9))
def test_no_threshold_earns_more_than_the_best(rows, alarm, miss):
    """Every other threshold costs as much or more, tried one by one."""
    p, y = np.array([r[0] for r in rows]) / 10, np.array([r[1] for r in rows])
    economics = Economics(false_positive_usd=(alarm,), false_negative_usd=(miss,))

    def costs(at):
        return alarm * ((p >= at) & (y == 0)).sum() + miss * ((p < at) & (y == 1)).sum()

    best = costs(best_threshold(p, y, economics))
    assert all(best <= costs(at) + 1e-9 for at in np.linspace(-0.05, 1.1, 47))


def record(quantity, value, scenario="none", batch=0, statistic="mean", low=math.nan, high=math.nan):
    """A record of one candidate."""
    facts = {"scenario": scenario, "batch_size": batch, "low": low, "high": high}
    return Record("adult", "a", "single", quantity, statistic, value, "", 0, **facts)


def test_capacity_is_the_measured_rate_where_there_is_one_and_says_which():
    """A sustainable rate goes before the mean latency, which stands for it at the declared utilisation."""
    records = [
        record("latency_ms", 20.0, "single_stream", 1, low=10.0, high=40.0),
        record("cpu_ms", 30.2, "single_stream", 1),
        record("memory_mib", 100.0),
        record("fit_cpu_s", 7.0, statistic="value"),
    ]
    without = make_case("a", "single", 1, records, PLAIN)
    assert without.capacity_queries_s.value == pytest.approx(0.7 * 50)
    assert (without.capacity_queries_s.low, without.capacity_queries_s.high) == pytest.approx((17.5, 70))
    assert "70 % busy" in without.capacity_queries_s.how
    assert (without.vcpus, without.fit_cpu_s) == (1.5, 7.0)
    measured = [*records, record("throughput_rows_s", 33.0, "server", 1, "value", 30.0, 35.0)]
    found = make_case("a", "single", 1, measured, PLAIN)
    assert found.capacity_queries_s.value == 33.0
    assert "was measured" in found.capacity_queries_s.how
    assert make_case("a", "single", 1, records[1:], PLAIN) is None


@pytest.mark.parametrize(
    ("economics", "prices", "message"),
    [
        (Economics(currency="EUR"), PRICES, "economics.currency: all money of a study is in USD, not 'EUR'"),
        (None, replace(PRICES, currency="GBP"), "prices.currency: all money of a study is in USD, not 'GBP'"),
        (Economics(correct_usd=(2.0, 1.0)), PRICES, "economics.correct_usd: a range runs from low to high"),
        (Economics(wrong_class_usd={"x": (2.0, 1.0)}), PRICES, "economics.wrong_class_usd.x: a range runs"),
    ],
)
def test_money_that_cannot_be_added_up_is_refused_in_a_sentence(economics, prices, message):
    """A foreign currency and a range upside down are named, with the remedy."""
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        check_economics(economics, prices)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("vcpu_hour_usd: 0.04048", "vcpu_hour_usd: -1", r"line \d+: prices.vcpu_hour_usd .*greater than or equal to 0, not -1"),
        (
            "currency: USD                 # default USD, and no other\n",
            "currency: EUR\n",
            r"line \d+: economics.currency: .*not 'EUR'",
        ),
        ("[0.0002, 0.0005, 0.001]", "[3, 2, 1]", r"line \d+: economics.correct_usd: a range runs from low to high"),
        ("[0.0002, 0.0005, 0.001]", "0.1", r"line \d+: economics.correct_usd must be a list, such as \[a, b\], not 0.1"),
        ("[0.0002, 0.0005, 0.001]", "[1, -2]", r"line \d+: economics.correct_usd.1 .*not -2"),
    ],
)
def test_a_study_file_with_wrong_money_is_refused_with_its_line(before, after, message):
    """One sentence that names file, line, field and remedy."""
    from shipworthy.study.schema import parse_study, template

    text = template("my.yaml")
    assert before in text
    with pytest.raises(InputError, match=message) as raised:
        parse_study(text.replace(before, after, 1), "my.yaml")
    assert "\n" not in str(raised.value)
