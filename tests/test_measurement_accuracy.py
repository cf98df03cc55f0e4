"""Accuracy: what scikit-learn says, on all rows and on resamples, and intervals that hold what they promise."""

from __future__ import annotations

import math
import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from shipworthy.measurement import accuracy
from shipworthy.records import QUANTITIES, Candidate, InputError, Predictions

BINARY = accuracy.metrics_for("binary")
MULTICLASS = accuracy.metrics_for("multiclass")
REGRESSION = accuracy.metrics_for("regression")


def binary(n, rng, *, share=0.3, ties=0):
    """Truth and calibrated-looking probabilities; ``ties`` rounds them to that many distinct values."""
    y = (rng.random(n) < share).astype(np.int64)
    p = 1 / (1 + np.exp(-(2 * y - 1 + rng.normal(size=n))))
    p = np.round(p * ties) / ties if ties else p
    return y, np.column_stack([1 - p, p])


def multiclass(n, rng, k=4):
    """Truth with rare classes, and probabilities that lean towards it."""
    y = rng.choice(k, size=n, p=np.arange(1, k + 1) / np.arange(1, k + 1).sum())
    raw = rng.random((n, k)) + np.eye(k)[y] * 0.6
    return y, raw / raw.sum(axis=1, keepdims=True)


def by_sklearn(metric, y, predicted, weights):
    """One metric of scikit-learn with sample weights, written apart from the code under test."""
    labels, w = list(range(predicted.shape[1])), weights.astype(float)
    p = predicted[:, 1] if predicted.shape[1] == 2 else predicted
    return {
        "log_loss": lambda: metrics.log_loss(y, predicted, labels=labels, sample_weight=w),
        "brier": lambda: metrics.brier_score_loss(y, p, labels=labels, sample_weight=w),
        "roc_auc": lambda: metrics.roc_auc_score(y, p, labels=labels, multi_class="ovr", sample_weight=w),
        "average_precision": lambda: metrics.average_precision_score(y, p, sample_weight=w),
        "accuracy": lambda: metrics.accuracy_score(y, predicted.argmax(axis=1), sample_weight=w),
        "rmse": lambda: metrics.mean_squared_error(y, predicted[:, 0], sample_weight=w) ** 0.5,
        "mae": lambda: metrics.mean_absolute_error(y, predicted[:, 0], sample_weight=w),
        "r2": lambda: metrics.r2_score(y, predicted[:, 0], sample_weight=w),
    }[metric]()


def assert_equals_sklearn(metric, y, predicted, weights):
    """Every resample has scikit-learn's value, or nan where a ranking lacks a class."""
    got = accuracy.resampled_scores(metric, y, predicted, weights)
    for value, w in zip(got, weights, strict=True):
        lacking = len(np.unique(y[w > 0])) < predicted.shape[1]
        if metric in {"roc_auc", "average_precision"} and lacking:
            assert math.isnan(value)
        else:
            assert value == pytest.approx(by_sklearn(metric, y, predicted, w), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("ties", [0, 5])
@pytest.mark.parametrize("share", [0.5, 0.02])
@pytest.mark.parametrize("metric", [m for m in BINARY if m != "calibration_error"])
def test_resampled_binary_scores_equal_sklearn(metric, share, ties):
    """With ties and rare positives, every resample scores as scikit-learn does with its counts as weights."""
    rng = np.random.default_rng(1)
    y, predicted = binary(300, rng, share=share, ties=ties)
    if metric == "log_loss" and ties:
        assert (predicted == 0).any()
    assert_equals_sklearn(metric, y, predicted, accuracy.bootstrap_weights(300, 40, rng))


@pytest.mark.parametrize("metric", [m for m in MULTICLASS if m != "calibration_error"])
def test_resampled_multiclass_scores_equal_sklearn(metric):
    """With four uneven classes, every resample scores as scikit-learn does, one against the rest for the ROC."""
    rng = np.random.default_rng(2)
    y, predicted = multiclass(200, rng)
    assert_equals_sklearn(metric, y, predicted, accuracy.bootstrap_weights(200, 40, rng))


@pytest.mark.parametrize("metric", REGRESSION)
def test_resampled_regression_scores_equal_sklearn(metric):
    """With a target far from zero, every resample scores as scikit-learn does."""
    rng = np.random.default_rng(3)
    y = 1e4 + rng.normal(size=250)
    assert_equals_sklearn(metric, y, (y + rng.normal(size=250))[:, None], accuracy.bootstrap_weights(250, 40, rng))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 3)), min_size=2, max_size=25),
    st.sampled_from(["roc_auc", "average_precision"]),
)
def test_rank_metrics_equal_sklearn_on_any_small_table(rows, metric):
    """Any mixture of ties, zero weights and missing classes gives scikit-learn's value, or nan where a class was not drawn."""
    y, level, weight = (np.array(column) for column in zip(*rows, strict=True))
    predicted = np.column_stack([1 - level / 6, level / 6])
    if weight.sum() == 0:
        weight[0] = 1
    assert_equals_sklearn(metric, y, predicted, weight[None, :])


@pytest.mark.parametrize("metric", sorted({*BINARY, *MULTICLASS, *REGRESSION}))
def test_score_equals_a_resample_that_draws_each_row_once(metric):
    """All rows once is no resampling: both functions give the same number."""
    rng = np.random.default_rng(4)
    if metric in REGRESSION:
        y = rng.normal(size=100)
        tables = [(y, (y + rng.normal(size=100))[:, None])]
    else:
        tables = [binary(100, rng)] + ([multiclass(100, rng)] if metric in MULTICLASS else [])
    for y, predicted in tables:
        once = accuracy.resampled_scores(metric, y, predicted, np.ones((1, 100), dtype=np.int16))[0]
        assert accuracy.score(metric, y, predicted) == pytest.approx(once, rel=1e-12)


def test_a_resample_of_one_class_has_no_ranking():
    """Where a resample lacks a class, ranking metrics are nan and no warning is raised."""
    y, predicted = np.array([0, 0, 1]), np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    weights = np.array([[2, 1, 0], [0, 0, 3], [1, 1, 1]])
    for metric in ("roc_auc", "average_precision"):
        drawn = accuracy.resampled_scores(metric, y, predicted, weights)
        assert np.isnan(drawn).tolist() == [True, True, False]
        assert math.isnan(accuracy.score(metric, y[:2], predicted[:2]))


def test_r2_of_a_constant_resample_follows_sklearn():
    """A resample whose targets are all equal has scikit-learn's value: 1 when all are met, else 0; a lone row has no score."""
    y, predicted = np.array([0.5, 0.5, 5.0]), np.array([[0.5], [0.25], [5.0]])
    weights = np.array([[2, 1, 0], [0, 0, 3], [1, 1, 1]])
    drawn = accuracy.resampled_scores("r2", y, predicted, weights)
    assert drawn[0] == metrics.r2_score(y[[0, 0, 1]], predicted[[0, 0, 1], 0]) == 0.0
    assert drawn[1] == metrics.r2_score(y[[2, 2, 2]], predicted[[2, 2, 2], 0]) == 1.0
    assert drawn[2] == pytest.approx(metrics.r2_score(y, predicted[:, 0]))
    assert math.isnan(accuracy.score("r2", y[:1], predicted[:1]))


def test_r2_keeps_its_digits_far_from_the_mean():
    """A resample of targets that lie close together, and far from all others, scores as scikit-learn does."""
    y = np.array([1.0, 1.001, 1.002, 1e4])
    assert_equals_sklearn("r2", y, (y + np.array([0.001, -0.001, 0.0, 3.0]))[:, None], np.array([[2, 1, 1, 0], [1, 1, 1, 1]]))


def test_rows_that_miss_one_by_float32_rounding_are_scored_in_silence():
    """XGBoost's float32 probabilities are scored without a warning."""
    rng = np.random.default_rng(5)
    y, predicted = multiclass(200, rng)
    rounded = predicted.astype(np.float32).astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for metric in MULTICLASS:
            assert accuracy.score(metric, y, rounded) == pytest.approx(accuracy.score(metric, y, predicted), abs=1e-5)


def test_calibration_error_of_planted_bins():
    """Ten levels, each stated 0.05 too high, have a calibration error of 0.05; stated as observed, of 0."""
    observed = np.repeat(np.arange(1, 10) / 10, 100)
    y = np.concatenate([np.arange(100) < 10 * k for k in range(1, 10)]).astype(np.int64)
    for shift in (0.0, 0.05):
        p = observed + shift
        assert accuracy.score("calibration_error", y, np.column_stack([1 - p, p])) == pytest.approx(shift, abs=1e-12)


def test_calibration_error_ignores_the_order_of_rows():
    """Equal probabilities share a bin, so shuffling the rows changes nothing."""
    rng = np.random.default_rng(6)
    y, predicted = binary(500, rng, ties=7)
    order = rng.permutation(500)
    first = accuracy.score("calibration_error", y, predicted)
    assert accuracy.score("calibration_error", y[order], predicted[order]) == pytest.approx(first, rel=1e-12)


def test_calibration_error_of_many_calibrated_rows_is_small():
    """When classes are drawn from the stated probabilities, the error is what chance leaves: below 0.01 at 100,000 rows."""
    rng = np.random.default_rng(7)
    p = rng.random(100_000)
    y = (rng.random(100_000) < p).astype(np.int64)
    assert accuracy.score("calibration_error", y, np.column_stack([1 - p, p])) < 0.01


def test_bootstrap_weights_are_counts_of_draws_with_replacement():
    """Rows sum to n, and a count is Poisson-like: a row is left out of a resample with chance (1 - 1/n) ** n."""
    weights = accuracy.bootstrap_weights(400, 500, np.random.default_rng(8))
    assert weights.shape == (500, 400)
    assert (weights.sum(axis=1, dtype=int) == 400).all()
    assert (weights == 0).mean() == pytest.approx((1 - 1 / 400) ** 400, abs=0.005)
    again = accuracy.bootstrap_weights(400, 500, np.random.default_rng(8))
    assert np.array_equal(weights, again)


def candidate():
    """A candidate that is only a name."""
    return Candidate("planted", "single", "A planted candidate.", build=lambda _: None)


def predictions(y, predicted):
    """The same rows as out-of-fold and as test rows."""
    rows = np.arange(len(y))
    return Predictions(rows, y, predicted, rows, y, predicted)


def test_records_carry_every_metric_twice():
    """Each metric of the task has a test record with an interval around it and an out-of-fold record without."""
    rng = np.random.default_rng(9)
    y, predicted = binary(400, rng)
    records = accuracy.accuracy_records(
        predictions(y, predicted),
        dataset="d",
        candidate=candidate(),
        task="binary",
        seed=3,
        weights=accuracy.bootstrap_weights(400, 300, rng),
        confidence=0.9,
    )
    assert [(r.quantity, r.statistic) for r in records] == [(m, s) for m in BINARY for s in ("test", "oof")]
    for r in records:
        assert (r.n, r.seed, r.kind, r.route, r.unit) == (400, 3, "single", "plain", QUANTITIES[r.quantity].unit)
        if r.statistic == "oof":
            assert math.isnan(r.low)
            assert math.isnan(r.high)
        elif r.quantity != "calibration_error":  # biased upwards by resampling, as its docstring says
            assert r.low < r.value < r.high


def test_the_interval_agrees_with_scipy():
    """The percentile interval of accuracy is scipy's bootstrap interval, up to resampling noise."""
    rng = np.random.default_rng(10)
    y, predicted = binary(500, rng)
    drawn = accuracy.resampled_scores("accuracy", y, predicted, accuracy.bootstrap_weights(500, 4000, rng))
    right = (predicted.argmax(axis=1) == y).astype(float)
    other = stats.bootstrap((right,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(11))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert low == pytest.approx(other.confidence_interval.low, abs=0.004)
    assert high == pytest.approx(other.confidence_interval.high, abs=0.004)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Over 200 planted samples, the 90 % interval of the AUC holds the known AUC in 83 to 97 % of them."""
    rng = np.random.default_rng(12)
    truth = stats.norm.cdf(2 / math.sqrt(2))  # two unit normals two apart, each other's chance of being larger
    held = 0
    for _ in range(200):
        y = np.repeat([0, 1], 100)
        s = stats.norm.cdf(rng.normal(size=200) + 2 * y - 1)
        drawn = accuracy.resampled_scores("roc_auc", y, np.column_stack([1 - s, s]), accuracy.bootstrap_weights(200, 200, rng))
        low, high = np.quantile(drawn, [0.05, 0.95])
        held += low <= truth <= high
    assert 0.83 <= held / 200 <= 0.97


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "brier"])
def test_resampling_many_rows_stays_within_memory(metric):
    """1,000 resamples of 10,000 rows take less than 200 MB beyond the weights."""
    rng = np.random.default_rng(13)
    y, predicted = binary(10_000, rng)
    weights = accuracy.bootstrap_weights(10_000, 1000, rng)
    tracemalloc.start()
    drawn = accuracy.resampled_scores(metric, y, predicted, weights)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.isfinite(drawn).all()
    assert peak < 200e6


def test_what_cannot_be_scored_is_refused_in_a_sentence():
    """Unknown metrics and tasks, mismatched rows, predictions of the wrong width and nan are named with the remedy."""
    y, predicted = np.array([0, 1]), np.array([[0.5, 0.5], [0.2, 0.8]])
    with pytest.raises(InputError, match=r"no metric 'auc'.*roc_auc"):
        accuracy.score("auc", y, predicted)
    with pytest.raises(InputError, match=r"no task 'ranking'.*binary"):
        accuracy.metrics_for("ranking")
    with pytest.raises(InputError, match="2 rows, 1 predictions"):
        accuracy.score("brier", y, predicted[:1])
    with pytest.raises(InputError, match="at least one row"):
        accuracy.score("brier", y[:0], predicted[:0])
    with pytest.raises(InputError, match="2 column"):
        accuracy.score("rmse", y, predicted)
    with pytest.raises(InputError, match="1 of 2 rows have a prediction that is not finite"):
        accuracy.score("log_loss", y, np.array([[0.5, 0.5], [np.nan, 0.8]]))
    with pytest.raises(InputError, match="bootstrap_weights\\(2"):
        accuracy.resampled_scores("brier", y, predicted, np.ones((3, 5)))


def test_rows_that_belong_together_are_drawn_together():
    """Within each cluster all weights of a resample are equal, and as many clusters are drawn as there are."""
    cluster = np.repeat(np.arange(20), np.arange(1, 21))
    weights = accuracy.bootstrap_weights(210, 50, np.random.default_rng(4), cluster)
    firsts = np.flatnonzero(np.diff(cluster, prepend=-1))
    assert (weights == weights[:, firsts][:, cluster]).all()
    assert (weights[:, firsts].sum(axis=1) == 20).all()
    with pytest.raises(ValueError, match="does not fit"):
        accuracy.bootstrap_weights(5, 2, np.random.default_rng(0), cluster)


def test_clusters_of_one_row_are_the_plain_bootstrap():
    """Whoever has no company is drawn as before, from the same seed."""
    plain = accuracy.bootstrap_weights(30, 10, np.random.default_rng(7))
    alone = accuracy.bootstrap_weights(30, 10, np.random.default_rng(7), np.arange(30)[::-1])
    assert np.array_equal(plain[:, ::-1], alone)


def test_of_one_cluster_no_score_has_an_interval():
    """Its resamples are all alike, which would look like certainty."""
    rng = np.random.default_rng(9)
    y, predicted = binary(60, rng)
    said = replace(predictions(y, predicted), test_cluster=np.zeros(60, dtype=np.int64))
    settings = {"dataset": "d", "candidate": candidate(), "task": "binary", "seed": 0, "confidence": 0.9}
    weights = accuracy.bootstrap_weights(60, 100, rng, said.test_cluster)
    records = accuracy.accuracy_records(said, weights=weights, **settings)
    assert all(math.isnan(r.low) and math.isnan(r.high) and math.isfinite(r.value) for r in records)
    weights = accuracy.bootstrap_weights(60, 100, rng, two := np.arange(60) % 2)
    records = accuracy.accuracy_records(replace(said, test_cluster=two), weights=weights, **settings)
    assert all(0 <= r.low < r.high for r in records if r.statistic == "test")
    assert all(r.high <= 1 for r in records if r.statistic == "test" and r.quantity in accuracy.UP_TO_ONE)


def test_the_interval_of_a_score_on_few_clusters_covers_as_it_says():
    """Five households whose errors have scales of their own: of 400 intervals of the mean at 90 %, 85 % and more hold it."""
    rng, k, per = np.random.default_rng(13), 5, 40
    cluster = np.repeat(np.arange(k), per)
    weights = accuracy.bootstrap_weights(k * per, 200, rng, cluster)
    settings = {"dataset": "d", "candidate": candidate(), "task": "regression", "seed": 0, "confidence": 0.9, "weights": weights}
    held = 0
    for _ in range(400):
        y = np.repeat(rng.normal(10, 2, k), per) + rng.normal(0, 1, k * per)
        said = replace(predictions(y, np.zeros((k * per, 1))), test_cluster=cluster)
        (record,) = (r for r in accuracy.accuracy_records(said, **settings) if (r.quantity, r.statistic) == ("mae", "test"))
        held += record.low <= 10 <= record.high
    assert held >= 340


def test_the_interval_of_clustered_rows_covers_as_it_says_and_the_plain_one_does_not():
    """Days whose rows share half their luck, 1,000 draws: drawing days covers in 91 to 97 %, drawing rows in under 75 %."""
    rng = np.random.default_rng(12)
    days, per_day = 60, 20
    cluster = np.repeat(np.arange(days), per_day)
    covered = {"days": 0, "rows": 0}
    by_day = accuracy.bootstrap_weights(days * per_day, 400, rng, cluster).astype(float)
    by_row = accuracy.bootstrap_weights(days * per_day, 400, rng).astype(float)
    for _ in range(1000):
        values = np.repeat(rng.normal(0, 1, days), per_day) + rng.normal(0, 1, days * per_day)
        for name, weights in (("days", by_day), ("rows", by_row)):
            low, high = np.quantile(weights @ values / weights.sum(axis=1), [0.025, 0.975])
            covered[name] += low <= 0 <= high
    assert 910 <= covered["days"] <= 970
    assert covered["rows"] < 750
