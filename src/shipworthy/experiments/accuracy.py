"""Score every candidate on the same test rows, with intervals from the same resamples, so that differences are paired.

This experiment does *not* know which difference is worth having; that is declared beforehand and judged elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.experiments.arms import Arm, check_metric
from shipworthy.experiments.ensembles import ensure_trained
from shipworthy.experiments.workbench import Unit, Workbench, record_rows, write_json
from shipworthy.records import QUANTITIES, Candidate, Comparison, Interval

if TYPE_CHECKING:
    import pandas as pd

N_RESAMPLES = 1000
"""Enough for a 95 % percentile interval whose ends move by less than a tenth of its width (Efron and Tibshirani 1993, 13.3)."""


def _score(
    bench: Workbench, arm: Arm, candidate: Candidate, metric: str, weights: Callable[[int], Any], confidence: float
) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        from shipworthy import training
        from shipworthy.measurement import accuracy

        predictions = training.load(bench.part(bench.fit_unit(arm, candidate.name))).predictions
        task = bench.dataset(arm).task
        records = accuracy.accuracy_records(
            predictions,
            dataset=arm.dataset,
            candidate=candidate,
            task=task,
            seed=arm.seed,
            weights=weights(len(predictions.test_y)),
            confidence=confidence,
        )
        resampled = accuracy.resampled_scores(metric, predictions.test_y, predictions.test, weights(len(predictions.test_y)))
        np.save(folder / "resampled.npy", resampled)
        scores = {
            "oof": accuracy.score(metric, predictions.oof_y, predictions.oof),
            "test": accuracy.score(metric, predictions.test_y, predictions.test),
        }
        write_json(folder / "scores.json", scores | {"n_train": len(predictions.oof_y), "n_test": len(predictions.test_y)})
        write_json(folder / "records.json", record_rows(records, arm))

    return work


def accuracy_units(
    bench: Workbench, arm: Arm, names: Sequence[str], metric: str, confidence: float, n_resamples: int = N_RESAMPLES
) -> list[Unit]:
    """The units that :func:`compare_accuracy` makes."""
    return [bench.accuracy_unit(arm, name, metric, n_resamples, confidence) for name in dict.fromkeys(names)]


def compare_accuracy(
    bench: Workbench,
    arm: Arm,
    names: Sequence[str],
    *,
    metric: str = "roc_auc",
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
) -> pd.DataFrame:
    """Score candidates by every metric of the task, and resample the deciding one for paired comparisons.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    names : sequence of str
        Candidates; what is not trained yet is trained, outside a study.
    metric : str
        The metric that decides, declared beforehand.
    confidence : float
        Of the percentile intervals.
    n_resamples : int
        Bootstrap resamples of the test rows, those that belong together drawn together. All candidates share them.

    Returns
    -------
    DataFrame
        Tidy records: one row for each candidate, metric and statistic (``test`` with an interval, ``oof`` without).
    """
    import pandas as pd

    check_metric(metric, bench.dataset(arm).task, arm.dataset)
    chosen = ensure_trained(bench, arm, names)
    drawn: dict[int, Any] = {}

    def weights(n: int) -> Any:
        from shipworthy.measurement import accuracy

        if n not in drawn:
            together = bench.dataset(arm).split.cluster
            drawn[n] = accuracy.bootstrap_weights(n, n_resamples, np.random.default_rng([arm.seed, n, n_resamples]), together)
        return drawn[n]

    units = accuracy_units(bench, arm, [c.name for c in chosen], metric, confidence, n_resamples)
    bench.make_all((u, _score(bench, arm, c, metric, weights, confidence)) for u, c in zip(units, chosen, strict=True))
    return pd.DataFrame([row for u in units for row in bench.read(u)])


def out_of_fold_scores(bench: Workbench, arm: Arm, names: Sequence[str]) -> pd.DataFrame:
    """Every metric of the task on the rows that each candidate was not trained on; the test rows are not looked at.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    names : sequence of str

    Returns
    -------
    DataFrame
        One row a candidate, one column a metric.
    """
    import pandas as pd

    from shipworthy import training
    from shipworthy.measurement import accuracy

    rows = {}
    for candidate in ensure_trained(bench, arm, names):
        said = training.load(bench.part(bench.fit_unit(arm, candidate.name))).predictions
        metrics = accuracy.metrics_for(bench.dataset(arm).task)
        rows[candidate.name] = {metric: accuracy.score(metric, said.oof_y, said.oof) for metric in metrics}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("candidate")


def paired_gains(
    bench: Workbench, arm: Arm, names: Sequence[str], *, metric: str = "roc_auc", confidence: float = 0.95
) -> list[Comparison]:
    """What each candidate gains over the one that was best out of fold, with the interval of the paired difference.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    names : sequence of str
    metric : str
    confidence : float

    Returns
    -------
    list of Comparison
        One for each candidate but the best, whose latency and memory ratios are left unknown here.
    """
    from shipworthy import feasibility

    compare_accuracy(bench, arm, names, metric=metric, confidence=confidence)
    greater = QUANTITIES[metric].greater_is_better
    scores, resampled, kinds = {}, {}, {}
    for candidate in ensure_trained(bench, arm, names):
        unit = bench.accuracy_unit(arm, candidate.name, metric, N_RESAMPLES, confidence)
        scores[candidate.name] = bench.read(unit, "scores.json")
        resampled[candidate.name] = np.load(bench.part(unit) / "resampled.npy")
        kinds[candidate.name] = candidate.kind
    best = (max if greater else min)(scores, key=lambda name: scores[name]["oof"])
    together = bench.dataset(arm).split.cluster
    n_clusters = 0 if together is None else len(np.unique(together))
    unknown = Interval(np.nan, np.nan, np.nan, confidence, "not looked at here")
    gains = []
    for name in scores:
        if name != best:
            interval = feasibility.paired_gain(
                resampled[name],
                resampled[best],
                scores[name]["test"],
                scores[best]["test"],
                greater_is_better=greater,
                confidence=confidence,
                n_clusters=n_clusters,
            )
            gains.append(Comparison(name, best, "best out of fold", metric, interval, unknown, unknown))
    return gains
