"""How often the verdicts are wrong, and how often they are right, on planted data whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from shipworthy.feasibility import (
    Evidence,
    Overlap,
    Spread,
    corrected_resampled_t,
    correlated_t,
    family_confidence,
    family_size,
    gain_interval,
    judge,
    paired_gain,
    power_of_gain,
)
from shipworthy.feasibility.seeds import SeedError
from shipworthy.records import Prices, Study

ROWS, RESAMPLES, MARGIN = 300, 1000, 0.01
STUDY = Study(
    name="planted",
    question="?",
    datasets=("planted",),
    candidates=("vote",),
    metric="accuracy",
    smallest_useful_gain=MARGIN,
    prices=Prices(as_of="2026-01-01", source="by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.005),
)
# The same resamples serve every simulated study: they are drawn without looking at any.
WEIGHTS = np.random.default_rng(11).multinomial(ROWS, np.full(ROWS, 1 / ROWS), size=RESAMPLES) / ROWS


def planted(rng, gain, n_ensembles=1):
    """A tree ensemble and ensembles whose rows score ``gain`` more on average, with errors of their own."""
    shared = rng.normal(0.8, 0.1, ROWS)
    found = []
    for i in range(n_ensembles + 1):
        rows = shared + (gain if i else 0.0) + rng.normal(0, 0.05, ROWS)
        name, kind = (f"vote{i}", "ensemble") if i else ("boost", "tree_ensemble")
        found.append(Evidence(name, kind, "plain", (0.8,), (float(rows.mean()),), (WEIGHTS @ rows,), (), ()))
    return found


def answers(evidence, study=STUDY, test_share=0.25):
    """The verdicts on planted evidence."""
    rng = np.random.default_rng(0)
    return judge("planted", "", evidence, study, greater_is_better=True, test_share=test_share, noise_floor=1.0, rng=rng)


def simulate(gain, seed, n=500, study=STUDY):
    """Verdicts of ``n`` studies with one ensemble each."""
    rng = np.random.default_rng(seed)
    return [answers(planted(rng, gain), study)[0] for _ in range(n)]


def test_of_500_identical_pairs_at_most_35_ship():
    """Whatever the smallest useful gain: at one that is nearly nothing, 2.5 % and chance; at a real one, next to none."""
    tiny = Study(**{f: getattr(STUDY, f) for f in STUDY.__slots__} | {"smallest_useful_gain": 1e-9})
    assert sum(v.answer == "ship" for v in simulate(0.0, 1, study=tiny)) <= 35
    assert sum(v.answer == "ship" for v in simulate(0.0, 2)) <= 2


def test_of_500_identical_pairs_over_several_seeds_at_most_35_ship():
    """Five seeds that share training rows: gains that are correlated as Nadeau and Bengio assume."""
    rng, share, seeds = np.random.default_rng(3), 0.25, 5
    rho = share / (1 + share)
    tiny = Study(**{f: getattr(STUDY, f) for f in STUDY.__slots__} | {"smallest_useful_gain": 1e-9})
    shipped = 0
    for _ in range(500):
        gains = 0.01 * (np.sqrt(rho) * rng.normal() + np.sqrt(1 - rho) * rng.normal(size=seeds))
        sides = [("boost", "tree_ensemble", np.full(seeds, 0.8)), ("vote", "ensemble", 0.8 + gains)]
        found = [
            Evidence(n, k, "plain", (0.8,), tuple(map(float, s)), tuple(np.full(400, x) for x in s), (), ()) for n, k, s in sides
        ]
        shipped += answers(found, tiny, share)[0].answer == "ship"
    assert shipped <= 35


def test_a_gain_of_twice_the_smallest_useful_one_ships_with_the_stated_power():
    """The share that ships is the mean of the powers that the verdicts state, within its binomial interval."""
    verdicts = simulate(2 * MARGIN, 4)
    stated = float(np.mean([v.power for v in verdicts]))
    low, high = stats.binom.interval(0.99, len(verdicts), stated)
    assert 0.3 < stated < 0.95
    assert low <= sum(v.answer == "ship" for v in verdicts) <= high


def test_a_gain_that_is_real_but_too_small_ships_no_more_than_the_error_rate():
    """At nine tenths of the smallest useful gain fewer than 2.5 % ship; at half of it none."""
    assert sum(v.answer == "ship" for v in simulate(0.9 * MARGIN, 5)) <= stats.binom.ppf(0.999, 500, 0.025)
    assert not any(v.answer == "ship" for v in simulate(0.5 * MARGIN, 6, n=200))


def test_twenty_ensembles_get_no_free_lunch():
    """Of twenty ensembles whose gain is just not enough one would ship by luck in many studies; judged together, in few."""
    rng, n = np.random.default_rng(7), 150
    lucky = careless = 0
    for _ in range(n):
        evidence = planted(rng, MARGIN * 0.999, n_ensembles=20)
        verdicts = answers(evidence)
        lucky += any(v.answer == "ship" for v in verdicts)
        alone = [
            paired_gain(
                e.resampled[0],
                evidence[0].resampled[0],
                e.test_scores[0],
                evidence[0].test_scores[0],
                greater_is_better=True,
                confidence=0.95,
            )
            for e in evidence[1:]
        ]
        careless += any(g.low >= MARGIN for g in alone)
    assert verdicts[0].family == 20
    assert "99.75 %: 95 % over 20 comparisons that could ship (Bonferroni)" in verdicts[0].reason
    assert lucky <= stats.binom.ppf(0.999, n, 0.025)
    assert careless > 3 * stats.binom.ppf(0.999, n, 0.025)


def test_the_family_counts_what_could_ship():
    """Scored ensembles, times the levels of training that are swept; singles and levels of measuring add none."""
    evidence = planted(np.random.default_rng(0), 0.0, n_ensembles=3)
    swept = Study(
        **{f: getattr(STUDY, f) for f in STUDY.__slots__} | {"sweep": {"max_train_rows": (100, 200), "threads": (1, 2)}}
    )
    failed = Evidence("stack", "ensemble", "plain", (), (), (), (), ())
    assert family_size([*evidence, failed], STUDY) == 3
    assert family_size(evidence, swept) == 6
    assert family_confidence(0.95, 5) == pytest.approx(0.99)
    with pytest.raises(ValueError, match="at least one"):
        family_confidence(0.95, 0)


def test_paired_bootstrap_covers_a_planted_gain_as_often_as_it_says():
    """Of 1,000 intervals at 95 %, of a gain in accuracy on 300 rows, 930 to 970 hold the true one."""
    rng, gain = np.random.default_rng(8), 0.06
    # A row is won, lost or tied: 16 % are decided by the challenger alone, 10 % by the baseline alone.
    rows = rng.choice([1.0, -1.0, 0.0], p=[0.16, 0.10, 0.74], size=(1000, ROWS))
    drawn, nothing = rows @ WEIGHTS.T, np.zeros(RESAMPLES)
    held = 0
    for mean, resampled in zip(rows.mean(axis=1), drawn, strict=True):
        interval = paired_gain(resampled, nothing, float(mean), 0.0, greater_is_better=True, confidence=0.95)
        held += interval.low <= gain <= interval.high
    assert 930 <= held <= 970


@pytest.mark.parametrize("k", [2, 3, 6, 12, 30])
def test_few_clusters_cover_as_often_as_they_say(k):
    """Days or households whose gains differ: of 1,000 intervals at 95 % of the mean of k, 930 and more hold the truth."""
    rng, nothing = np.random.default_rng(12), np.zeros(400)
    weights = rng.multinomial(k, np.full(k, 1 / k), size=400) / k
    held = alone = 0
    for gains in rng.normal(0.02, 0.01, (1000, k)):
        of = {n: paired_gain(weights @ gains, nothing, gains.mean(), 0.0, greater_is_better=True, confidence=0.95, n_clusters=n)
              for n in (0, k)}  # fmt: skip
        alone += of[0].low <= 0.02 <= of[0].high
        held += of[k].low <= 0.02 <= of[k].high
    assert held >= 930
    assert k > 12 or alone < 930


def test_one_household_or_day_of_test_rows_ships_nothing():
    """Every resample of one cluster is the same: it would look certain, with one seed or several, and nobody can tell."""
    sides = [np.full(300, 0.80)], [np.full(300, 0.90)]
    for seeds in (1, 3):
        evidence = [
            Evidence(
                name, kind, "plain", (0.8,) * seeds, (float(side[0][0]),) * seeds, tuple(side) * seeds, (), (), test_clusters=1
            )
            for name, kind, side in (("ridge", "single", sides[0]), ("vote", "ensemble", sides[1]))
        ]
        (verdict,) = answers(evidence)
        assert verdict.answer == "cannot tell"
        assert "has no interval (all of the test rows belong together, so nothing is known of others)" in verdict.reason
        assert np.isnan(verdict.power)
        (certain,) = answers([replace(e, test_clusters=0) for e in evidence])
        assert certain.answer == "ship"


def test_nadeau_and_bengio_cover_a_planted_gain_as_often_as_they_say():
    """Real learners on real overlapping splits: the training mean against nothing, whose true gain in squared error is known.

    For targets of mean ``mu`` and variance 1 the gain of predicting the mean of ``n`` training rows over predicting 0 is
    ``mu**2 - 1/n``. Each of 1,000 data sets of 125 rows is split ten times into 100 and 25; 930 to 980 intervals hold it.
    """
    rng, n, n_test, seeds, mu = np.random.default_rng(9), 125, 25, 10, 0.5
    truth = mu**2 - 1 / (n - n_test)
    weights = rng.multinomial(n_test, np.full(n_test, 1 / n_test), size=200) / n_test
    held = 0
    for y in rng.normal(mu, 1, size=(1000, n)):
        splits = rng.permuted(np.tile(y, (seeds, 1)), axis=1)
        train, test = splits[:, n_test:], splits[:, :n_test]
        losses = (test - train.mean(axis=1, keepdims=True)) ** 2, test**2
        sides = [(list(rows @ weights.T), list(map(float, rows.mean(axis=1)))) for rows in losses]
        interval = gain_interval(
            sides[0][0],
            sides[1][0],
            sides[0][1],
            sides[1][1],
            greater_is_better=False,
            test_share=n_test / (n - n_test),
            confidence=0.95,
        )
        assert interval.how.startswith("corrected resampled t over 10 seeds")
        held += interval.low <= truth <= interval.high
    assert 930 <= held <= 980


@pytest.mark.parametrize("training", [0.0, 1.0], ids=["rows alone", "rows and training"])
@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize("shared", [0.0, 1.0], ids=["own test rows", "the same test rows"])
def test_several_seeds_cover_as_often_as_they_say(seeds, training, shared):
    """Be chance in each seed's own test rows, in the same for all, or in training: 93 to 98 % hold 0, up to 99 of three."""
    rng, times, error = np.random.default_rng(11), 3000, 0.01
    rows = rng.normal(0, error, (times, 1 if shared else seeds))
    gains = rows + training * rng.normal(0, error, (times, seeds))
    found = [SeedError.of(each, error, 1.25, Overlap(shared, 0.1)) for each in gains]
    held = sum(abs(each.mean()) <= f.half_width(0.95) for each, f in zip(gains, found, strict=True))
    assert 0.93 * times <= held <= (0.99 if seeds == 3 else 0.98) * times


def test_the_corrected_t_alone_covers_under_the_correlation_that_it_assumes():
    """Without the guard of the bootstrap, on gains correlated by the share of test rows: 930 of 1,000 and more."""
    rng, share, seeds = np.random.default_rng(10), 0.25, 10
    rho = share / (1 + share)
    gains = 0.02 + 0.01 * (np.sqrt(rho) * rng.normal(size=(1000, 1)) + np.sqrt(1 - rho) * rng.normal(size=(1000, seeds)))
    held = sum(i.low <= 0.02 <= i.high for i in (corrected_resampled_t(g, share, 0.95) for g in gains))
    assert 930 <= held <= 970


# Power, and the Bayesian test ---------------------------------------------------------------------------------------------


def test_the_power_over_seeds_is_that_of_the_non_central_t():
    """Worked by SciPy: error sqrt((1/5 + 1/4) * s^2), four degrees of freedom."""
    gains = np.array([0.008, 0.010, 0.012, 0.011, 0.009])
    spread = Spread(gains, 1e-9, 500, 0.25)
    error = np.sqrt((1 / 5 + 0.25) * gains.var(ddof=1))
    expected = stats.nct.sf(stats.t.ppf(0.975, 4), 4, 0.005 / error)
    assert power_of_gain(spread, 0.015, 0.01, 0.95) == pytest.approx(expected, abs=1e-3)


@settings(max_examples=60)
@given(st.floats(1e-4, 0.1), st.floats(1e-4, 0.1), st.floats(1.0, 5.0), st.floats(0.6, 0.999))
def test_more_noise_or_more_confidence_never_gives_more_power(error, gain, factor, confidence):
    """Power falls with the spread and with the confidence, and rises with the gain."""
    spread, noisier = (Spread(np.array([0.0]), e, 100, 0.25) for e in (error, error * factor))
    before = power_of_gain(spread, gain, 0.0, confidence)
    assert power_of_gain(noisier, gain, 0.0, confidence) <= before
    assert power_of_gain(spread, gain, 0.0, (1 + confidence) / 2) <= before
    assert power_of_gain(spread, gain * factor, 0.0, confidence) >= before


def test_the_bayesian_test_by_hand():
    """Three seeds, a fifth of all rows tested: Student's t with two degrees of freedom, whose distribution is elementary."""
    found = correlated_t(np.array([0.01, 0.02, 0.03]), 0.25, 0.005)
    scale = np.sqrt((1 / 3 + 0.25) * 0.0001)

    def below(x):
        return 0.5 + x / (2 * np.sqrt(2 + x**2))

    assert found.worse == pytest.approx(below((-0.005 - 0.02) / scale))
    assert found.better == pytest.approx(1 - below((0.005 - 0.02) / scale))
    assert found.worse + found.equivalent + found.better == pytest.approx(1)


def test_the_bayesian_test_and_the_deciding_one_have_the_same_quantiles():
    """An end of the 95 % interval leaves 2.5 % of the posterior beyond it (Benavoli and others 2017, section 4.1)."""
    gains = np.random.default_rng(1).normal(0.02, 0.01, 6)
    interval = corrected_resampled_t(gains, 0.3, 0.95)
    assert correlated_t(gains, 0.3, interval.low).better == pytest.approx(0.975)


def test_with_one_seed_there_is_no_bayesian_test_and_it_says_why():
    """One seed has no spread between training sets."""
    found = correlated_t(np.array([0.02]), 0.25, 0.005)
    assert np.isnan([found.worse, found.equivalent, found.better]).all()
    assert "one seed" in found.how


def test_gains_without_any_spread_are_certain():
    """Seeds that agree to the last digit leave the posterior at one point."""
    found = [correlated_t(np.full(4, g), 0.25, 0.005) for g in (-0.01, 0.0, 0.01)]
    assert [(f.worse, f.equivalent, f.better) for f in found] == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
