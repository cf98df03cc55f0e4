"""The queue of one server, against closed forms of queueing theory and against a loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipworthy.simulation import lindley, predict_highest_rate, sojourn_ms

MILLION = 1_000_000
TIMES = st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1, max_size=60)


def poisson(rng, rate, n=MILLION):
    """Arrivals of a Poisson process."""
    return np.cumsum(rng.exponential(1 / rate, n))


def loop(arrivals, services):
    """Lindley's recursion as it is written down."""
    waits = [0.0]
    for i in range(len(arrivals) - 1):
        waits.append(max(0.0, waits[-1] + services[i] - (arrivals[i + 1] - arrivals[i])))
    return waits


@given(TIMES)
def test_it_is_lindleys_recursion(times):
    """Without a loop it says what the loop says."""
    arrivals, services = np.cumsum([gap for gap, _ in times]), np.array([service for _, service in times])
    assert np.allclose(lindley(arrivals, services), loop(arrivals, services), atol=1e-9)


@given(TIMES, st.floats(0.1, 10))
def test_scaling_time_scales_waits(times, factor):
    """Milliseconds or seconds: the same queue."""
    arrivals, services = np.cumsum([gap for gap, _ in times]), np.array([service for _, service in times])
    assert np.allclose(lindley(arrivals * factor, services * factor), factor * lindley(arrivals, services), atol=1e-7)


def test_by_hand():
    """Arrivals at 0, 1, 2, 10; services of 3, 1, 1, 1: the second waits until 3, the third until 4, the fourth not at all."""
    assert lindley(np.array([0.0, 1.0, 2.0, 10.0]), np.array([3.0, 1.0, 1.0, 1.0])).tolist() == [0.0, 2.0, 2.0, 0.0]


@pytest.mark.parametrize("rho", [0.3, 0.6])
def test_a_million_customers_of_mm1_meet_the_closed_form(rho):
    """M/M/1: mean wait rho / (mu - lambda) and the exponential law of the time in the system within 1 %, its p99 within 3 %.

    Latencies in a queue come in clumps: over a million customers the p99 itself still varies by about 1 %.
    """
    rng = np.random.default_rng(11)
    arrivals, services = poisson(rng, rho), rng.exponential(1.0, MILLION)
    waits = lindley(arrivals, services)
    assert waits.mean() == pytest.approx(rho / (1 - rho), rel=0.01)
    in_system = waits + services
    for q, within in ((50, 0.01), (90, 0.01), (99, 0.03)):
        assert np.percentile(in_system, q) == pytest.approx(-np.log(1 - q / 100) / (1 - rho), rel=within)


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.75])
def test_a_million_customers_of_md1_meet_the_closed_form(rho):
    """M/D/1: mean wait rho / (2 (1 - rho)) services, within 1 %."""
    rng = np.random.default_rng(12)
    waits = lindley(poisson(rng, rho), np.ones(MILLION))
    assert waits.mean() == pytest.approx(rho / (2 * (1 - rho)), rel=0.01)


def test_a_million_customers_of_mg1_meet_pollaczek_and_khinchine():
    """M/G/1 with bimodal service: mean wait lambda E[S^2] / (2 (1 - rho)), within 1 %."""
    rng = np.random.default_rng(6)
    services = np.where(rng.random(MILLION) < 0.1, 4.0, 1.0)
    rate = 0.4
    rho, second = rate * services.mean(), float((services**2).mean())
    assert lindley(poisson(rng, rate), services).mean() == pytest.approx(rate * second / (2 * (1 - rho)), rel=0.01)


def test_the_predicted_rate_is_the_highest_that_keeps_the_limit():
    """M/M/1 keeps p99 under t up to mu - ln(100) / t, exactly; the prediction comes within 3 %."""
    rng = np.random.default_rng(3)
    services = rng.exponential(2.0, 200_000)
    found = predict_highest_rate(services, percentile=99, limit_ms=30, rng=rng, n=400_000)
    assert found == pytest.approx(1000 * (1 / 2.0 - np.log(100) / 30), rel=0.03)


def test_no_rate_keeps_a_limit_that_a_lone_query_misses():
    """Where even the service alone is too slow, the answer is 0."""
    assert predict_highest_rate(np.full(10, 60.0), percentile=99, limit_ms=50, rng=np.random.default_rng(0)) == 0.0


@settings(max_examples=20)
@given(st.floats(50, 400), st.floats(1.1, 2.0))
def test_a_higher_rate_never_answers_sooner(rate, factor):
    """On the same draws, more load is more waiting."""
    services = np.array([1.0, 2.0])
    one, other = (sojourn_ms(services, r, 2000, np.random.default_rng(5)) for r in (rate, factor * rate))
    assert other.mean() >= one.mean()


def test_arrivals_that_descend_are_refused():
    """A queue cannot be served before it has come."""
    with pytest.raises(ValueError, match="must not descend"):
        lindley(np.array([1.0, 0.0]), np.array([1.0, 1.0]))
    with pytest.raises(ValueError, match="as many"):
        lindley(np.zeros(2), np.zeros(3))
