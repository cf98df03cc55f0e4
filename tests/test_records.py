"""The records: percentiles and their bounds against theory, arrivals, raw queries, and values that nobody can change."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy.stats import binom

from shipworthy import records
from shipworthy.records import (
    QUANTITIES,
    Conditions,
    Dataset,
    Measurement,
    MeasuringPlan,
    Requirement,
    Roles,
    Scenario,
    Split,
    Study,
    TrainingPlan,
    digest,
)

HERE = Conditions("machine", "versions", 1, "single_stream", 1, 0, 30, "off", "lean", "core 0", 0.5)
SOME = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)
RECORDS = [c for c in vars(records).values() if dataclasses.is_dataclass(c) and c.__module__.startswith(records.__name__)]


def measured(values, rounds=None, **facts):
    """Latencies with these values."""
    values = tuple(float(v) for v in values)
    return Measurement("xgboost", "adult", "latency_ms", values, tuple(rounds or (0,) * len(values)), HERE, **facts)


# Percentiles ----------------------------------------------------------------------------------------------------------------


@given(SOME, st.sampled_from([0, 1, 10, 50, 90, 95, 99, 99.9, 100]))
def test_a_percentile_is_numpys_inverted_cdf(values, q):
    """The percentile by nearest rank is NumPy's ``inverted_cdf``, so it is a value that was observed."""
    found = measured(values).percentile(q)
    assert found == np.percentile(values, q, method="inverted_cdf")
    assert found in values


@pytest.mark.parametrize("q", [50, 90, 95, 99])
def test_a_published_percentile_has_its_exact_rank_for_every_count(q):
    """At the percentiles that are published, rounding never moves the rank, whatever the count up to 3000."""
    for n in range(1, 3001):
        assert measured(range(1, n + 1)).percentile(q) == math.ceil(Fraction(q, 100) * n)


def test_a_percentile_does_not_depend_on_the_order_of_the_values():
    """Values are kept as they came; a percentile sorts a copy."""
    m = measured([3, 1, 2])
    assert m.percentile(50) == 2
    assert m.values == (3, 1, 2)  # noqa: PD011 - a Measurement's values, not a DataFrame's


def test_a_measurement_that_failed_has_no_percentile_and_says_why():
    """Asking a failed measurement for a percentile gives the reason of the failure."""
    failed = measured([], failure="the child was killed")
    for ask in (failed.percentile, failed.percentile_bound):
        with pytest.raises(ValueError, match="latency_ms of xgboost on adult has no values: the child was killed"):
            ask(99)


# Bounds ---------------------------------------------------------------------------------------------------------------------


def by_brute_force(n, q, confidence):
    """Most values that may lie beyond the bound, by trying every count with exact tail sums; -1 if none."""
    held = [k for k in range(n) if math.fsum(binom.pmf(np.arange(k + 1), n, q)) <= 1 - confidence]
    return max(held, default=-1)


@given(st.integers(1, 120), st.sampled_from([5.0, 25.0, 50.0, 90.0, 95.0, 99.0]), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_bounds_are_the_tightest_order_statistics_that_hold(n, q, confidence):
    """No order statistic nearer to the percentile keeps the confidence, and the chosen one does: binomial tails, tried out."""
    bound = measured(range(1, n + 1)).percentile_bound(q, confidence)
    over, under = by_brute_force(n, 1 - q / 100, confidence), by_brute_force(n, q / 100, confidence)
    assert bound.high == (n - over if over >= 0 else math.inf)
    assert bound.low == (under + 1 if under >= 0 else -math.inf)
    assert bound.low <= bound.observed <= bound.high
    assert (bound.n, bound.confidence) == (n, confidence)


@pytest.mark.parametrize(("n", "high"), [(458, math.inf), (459, 459), (661, 661), (662, 661), (1, math.inf)])
def test_a_p99_at_99_percent_takes_459_values_or_662_with_one_above(n, high):
    """The counts of MLPerf's early stopping: below 459 nothing can be said; from 662 the largest value may lie above."""
    assert measured(range(1, n + 1)).percentile_bound(99, confidence=0.99).high == high


@pytest.mark.parametrize(("q", "n"), [(50, 40), (90, 200), (99, 700)])
def test_the_bounds_miss_as_often_as_the_binomial_says(q, n):
    """On simulated exponential waits, each side misses the true percentile at the rate that theory gives, below 5 %."""
    rng = np.random.default_rng(20)
    truth = -math.log(1 - q / 100)
    repeats = 1500
    bounds = [measured(draw).percentile_bound(q, 0.95) for draw in rng.exponential(size=(repeats, n))]
    over, under = by_brute_force(n, 1 - q / 100, 0.95), by_brute_force(n, q / 100, 0.95)
    sides = (
        (np.mean([b.high < truth for b in bounds]), binom.cdf(over, n, 1 - q / 100) if over >= 0 else 0.0),
        (np.mean([b.low > truth for b in bounds]), binom.cdf(under, n, q / 100) if under >= 0 else 0.0),
    )
    for observed, expected in sides:
        assert expected <= 0.05
        assert observed == pytest.approx(expected, abs=4 * math.sqrt(0.05 * 0.95 / repeats))


# Measurements and conditions ------------------------------------------------------------------------------------------------


def test_the_values_of_each_round_are_told_apart():
    """Interleaved values are given back by round, in order of the rounds and as they came within each."""
    m = measured([5, 1, 4, 2, 3], rounds=(2, 0, 2, 0, 1))
    assert m.rounds() == ((1.0, 2.0), (3.0,), (5.0, 4.0))
    assert measured([]).rounds() == ()


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Conditions)])
def test_only_machine_versions_threads_and_profile_forbid_a_comparison(field):
    """Two measurements may be compared unless machine, versions, threads or profile differ."""
    other = dataclasses.replace(HERE, **{field: 2 if isinstance(getattr(HERE, field), int | float) else "other"})
    assert HERE.comparable(HERE)
    assert HERE.comparable(other) == other.comparable(HERE) == (field not in {"machine", "versions", "threads", "profile"})


def test_conditions_survive_json():
    """The fields of the conditions go to JSON and come back equal."""
    assert Conditions(**json.loads(json.dumps(HERE.as_dict()))) == HERE


# Scenarios and requirements -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.5, 200.0])
def test_server_arrivals_are_a_poisson_process(rate):
    """Gaps have the mean and the variance of an exponential, are independent of each other, and none is negative."""
    n = 100_000
    due = Scenario(name="server", rate_per_s=rate).arrivals(np.random.default_rng(3), n)
    gaps = np.diff(due, prepend=0.0)
    assert due.shape == (n,)
    assert (gaps >= 0).all()
    # Standard errors of the mean, the variance (the fourth moment of an exponential gives the 8) and a correlation.
    assert gaps.mean() * rate == pytest.approx(1, abs=5 / math.sqrt(n))
    assert gaps.var() * rate**2 == pytest.approx(1, abs=5 * math.sqrt(8 / n))
    assert np.corrcoef(gaps[1:], gaps[:-1])[0, 1] == pytest.approx(0, abs=5 / math.sqrt(n))


@pytest.mark.parametrize("name", ["single_stream", "multi_stream", "offline"])
def test_other_scenarios_have_no_schedule(name):
    """Outside the server scenario every query is due at once, or when the last is answered."""
    assert Scenario(name=name).arrivals(np.random.default_rng(0), 3).tolist() == [0, 0, 0]


def test_the_same_generator_gives_the_same_arrivals_and_a_server_needs_a_rate():
    """Arrivals come from the generator alone, and a rate of zero is refused."""
    server = Scenario(name="server", rate_per_s=10)
    one, two = (server.arrivals(np.random.default_rng(7), 50) for _ in range(2))
    assert (one == two).all()
    with pytest.raises(ValueError, match="rate_per_s above 0"):
        Scenario(name="server").arrivals(np.random.default_rng(0), 1)


@pytest.mark.parametrize(
    ("facts", "limit", "sentence"),
    [
        (
            {"quantity": "latency_ms", "statistic": "p99", "at_most": 50, "scenario": "single_stream"},
            50,
            "p99 latency_ms at most 50 ms (single_stream)",
        ),
        ({"quantity": "throughput_rows_s", "at_least": 100.5}, 100.5, "mean throughput_rows_s at least 100.5 rows/s"),
        ({"quantity": "roc_auc", "at_least": 0}, 0, "mean roc_auc at least 0"),
        ({"quantity": "brier", "at_most": 0.0}, 0, "mean brier at most 0"),
        ({"quantity": "unheard_of", "at_most": 1}, 1, "mean unheard_of at most 1"),
    ],
)
def test_a_requirement_says_what_it_limits(facts, limit, sentence):
    """A requirement gives its limit, zero included, and reads as a phrase with its unit."""
    requirement = Requirement(name="r", **facts)
    assert requirement.limit == limit
    assert requirement.sentence() == sentence


def test_a_requirement_without_a_limit_is_refused():
    """A requirement that gives neither side has no limit."""
    with pytest.raises(ValueError, match="'vague' gives neither at_most nor at_least"):
        _ = Requirement(name="vague", quantity="latency_ms").limit


@pytest.mark.parametrize("kind", [Requirement, TrainingPlan, MeasuringPlan, Study, Scenario, records.Prices])
def test_a_misspelt_field_of_a_study_is_an_error(kind):
    """No record that a user writes takes a field that it does not know."""
    with pytest.raises(ValidationError, match=r"unexpected_keyword_argument|extra_forbidden"):
        TypeAdapter(kind).validate_python({"misspelt": 1})


# Data sets ------------------------------------------------------------------------------------------------------------------


def tiny():
    """Three rows with every type of column and a missing value in each that can have one."""
    frame = pd.DataFrame(
        {
            "age": np.array([30, 40, 50], dtype=np.int64),
            "height": [1.5, math.nan, 1.75],
            "town": np.array(["Oslo", None, math.nan], dtype=object),
            "kind": pd.Categorical(["a", None, "b"]),
        }
    )
    split = Split(np.array([0, 1]), np.array([2]), np.array([0, 1]), "by hand")
    target, ids = np.array([0, 1, 0]), np.arange(3)
    return Dataset("tiny", frame, target, "binary", ("no", "yes"), Roles(), "made", "none", (), "0" * 16, ids, split)


def test_raw_queries_hold_plain_values_and_none_for_what_is_missing():
    """A query is what a service would get: Python's own types, a missing value as ``None``, in the order asked for."""
    rows = tiny().queries(np.array([2, 0, 1, 2]))
    assert rows[1] == {"age": 30, "height": 1.5, "town": "Oslo", "kind": "a"}
    assert rows[2] == {"age": 40, "height": None, "town": None, "kind": None}
    assert rows[0] == rows[3] == {"age": 50, "height": 1.75, "town": None, "kind": "b"}
    assert {type(v) for row in rows for v in row.values()} == {int, float, str, type(None)}
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert tiny().queries(np.array([], dtype=np.int64)) == []


def test_columns_are_numeric_or_categorical_by_their_type():
    """Every column is in exactly one of the two lists, in its order; folds are counted from the assignment."""
    dataset = tiny()
    assert (dataset.numeric, dataset.categorical) == (("age", "height"), ("town", "kind"))
    assert dataset.split.n_folds == 2


# The house's own rules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", RECORDS, ids=lambda c: c.__name__)
def test_no_record_can_be_changed(kind):
    """Every record is frozen and holds its fields in slots, so no room can write into another's result."""
    assert kind.__dataclass_params__.frozen
    assert set(kind.__slots__) == {f.name for f in dataclasses.fields(kind)}
    blank = object.__new__(kind)
    assert not hasattr(blank, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(blank, dataclasses.fields(kind)[0].name, 1)


def test_there_are_records():
    """The records are found, all of them: the test before this one looked at something."""
    assert {"Study", "Measurement", "Verdict", "Dataset", "Quantity"} < {c.__name__ for c in RECORDS}
    assert len(RECORDS) >= 22


@given(st.lists(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none()), max_size=4), st.integers(1, 64))
def test_a_digest_is_the_start_of_a_sha256(parts, length):
    """The identity function is SHA-256 over the parts' ``repr``, cut to length; it depends on nothing else."""
    whole = hashlib.sha256("\x1f".join(map(repr, parts)).encode()).hexdigest()
    assert digest(*parts, length=length) == whole[:length]


def test_a_digest_tells_types_order_and_boundaries_apart():
    """Parts that look alike in print have identities of their own."""
    lots = [("a", 1), ("a", "1"), (1, "a"), ("a1",), ("a", 1.0), ("a", True), (("a", 1),), ("a", 1, None), ("a\x1f1",), ("a", -1)]
    assert len({digest(*parts) for parts in lots}) == len(lots)
    assert {len(digest(*parts)) for parts in lots} == {16}


def test_every_quantity_is_known_by_its_name_and_explained():
    """The table of quantities is keyed by name; each has a sentence for the report, and all sentences differ."""
    assert all(key == q.name for key, q in QUANTITIES.items())
    assert all(q.meaning.endswith(".") and q.meaning[0].isupper() for q in QUANTITIES.values())
    assert len({q.meaning for q in QUANTITIES.values()}) == len(QUANTITIES)
    assert {name for name, q in QUANTITIES.items() if q.proper} == {"log_loss", "brier", "rmse"}
