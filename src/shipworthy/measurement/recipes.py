"""The timing recipes of other systems, each as a small function of ours: what they would have told of a model.

A recipe does what the cited file does - what is inside the clock, how many calls, which statistic - and returns milliseconds a
row. Three things are ours. The clock is passed in, and is ``perf_counter`` where theirs is often ``time.time``. Rows come as a
DataFrame, as these systems are given them. And a recipe that times "the validation set" or "the test set" is given the rows
that we held out.

This module does *not* know what one query really takes, nor the process in which it runs.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.measurement.apart import Call, Fitted, Part
from shipworthy.records import RecipeKind

if TYPE_CHECKING:
    import pandas as pd

Clock = Callable[[], float]
"""Seconds; only differences count."""


class CannotReplayError(Exception):
    """The model has not the parts that a recipe times; says which, in a sentence."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What a recipe may take rows from.

    Parameters
    ----------
    held_out : DataFrame, shape (n, n_features)
        Rows that the model was not trained on.
    training : DataFrame, shape (m, n_features)
        Rows that it was trained on.
    files : sequence of Path
        Files of ``rows_in_file`` rows each, drawn with replacement from ``held_out``.
    rows_in_file : int
    read : callable, optional
        Takes one of ``files`` and returns its rows.
    """

    held_out: pd.DataFrame
    training: pd.DataFrame
    files: Sequence[Path] = ()
    rows_in_file: int = 0
    read: Callable[[Path], pd.DataFrame] | None = None


Replay = Callable[[Fitted, Rows, Clock], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one system times a model.

    Parameters
    ----------
    name : str
        Key of :data:`RECIPES`.
    system, title : str
        The system, and the recipe as a column is headed.
    kind : {"bulk", "one row"}
    cites : str
        Repository and file of what it follows.
    timed : str
        What lies between the two readings of the clock.
    sentence : str
        The recipe in one sentence.
    sums_members : bool
        Whether the time of an ensemble is put together from its members' times.
    replay : callable
        Takes the model, the rows and the clock; returns milliseconds a row.
    """

    name: str
    system: str
    title: str
    kind: RecipeKind
    cites: str
    timed: str
    sentence: str
    sums_members: bool = False
    replay: Replay = field(repr=False)


def _seconds(call: Call, rows: Any, clock: Clock) -> float:
    """Seconds of one call, with nothing before it."""
    began = clock()
    call(rows)
    return clock() - began


def _ms_a_row(seconds: float, n_rows: int) -> float:
    return 1000 * seconds / n_rows


def _built(fitted: Fitted) -> Part:
    if fitted.built is None:
        raise CannotReplayError("the model does not show its steps, so the building of the row cannot be left out")
    return fitted.built


def _bare(fitted: Fitted) -> Part:
    if fitted.bare is None:
        raise CannotReplayError("the model does not show its steps, so its preprocessing cannot be left out")
    return fitted.bare


def _sum_of_parts(fitted: Fitted, rows: pd.DataFrame, seconds: Callable[[Call, Any], float]) -> float:
    """Seconds of a pipeline from the built row on, or of all members so, and of the ensemble's own part, each on its own."""
    if not fitted.members:
        part = _built(fitted)
        return seconds(part.predict_proba, part.prepare(rows))
    if fitted.combine is None:
        raise CannotReplayError("the ensemble does more than combine what its members say, so its parts do not add up to it")
    said = [member.predict_proba(rows) for member in fitted.members]
    return sum(_sum_of_parts(member, rows, seconds) for member in fitted.members) + seconds(fitted.combine, said)


def autogluon_leaderboard(fitted: Fitted, rows: Rows, clock: Clock) -> float:
    """AutoGluon's leaderboard (``pred_time_test``), over the rows: one pass of each part over all rows, features already made.

    The time of an ensemble is the sum of those of its members and of its own part, each timed on its own.
    """
    seconds = _sum_of_parts(fitted, rows.held_out, lambda call, X: _seconds(call, X, clock))
    return _ms_a_row(seconds, len(rows.held_out))


def _mean_unless_slow(call: Call, rows: Any, clock: Clock, limit_s: float = 0.2, repeats: int = 10) -> float:
    """Mean seconds of ten calls, the first with them; but of the first alone if it took a tenth of the limit or longer."""
    first = _seconds(call, rows, clock)
    if first >= limit_s / repeats:
        return first
    began = clock()
    for _ in range(repeats - 1):
        call(rows)
    return (first + clock() - began) / repeats


def autogluon_limit(fitted: Fitted, rows: Rows, clock: Clock) -> float:
    """AutoGluon's ``predict_1_time``, by which ``infer_limit`` is kept: a batch of up to 10,000 *training* rows.

    Features are already made. With fewer training rows than the batch they are drawn with replacement. A model whose first call
    takes 0.02 s or longer is called once; any other ten times, and the mean holds the first call.
    """
    batch = 10_000
    few = len(rows.training) < batch
    X = rows.training.sample(batch, replace=True, random_state=0) if few else rows.training.head(batch)
    return _ms_a_row(_sum_of_parts(fitted, X, lambda call, part: _mean_unless_slow(call, part, clock)), len(X))


def tabarena(fitted: Fitted, rows: Rows, clock: Clock) -> float:
    """TabArena's time: one ``predict_proba`` over the whole test split; a simulated ensemble's is the sum of its members'.

    Preprocessing is inside. Combining what the members say takes no time.
    """

    def seconds(part: Fitted) -> float:
        if part.members:
            return sum(map(seconds, part.members))
        return _seconds(part.predict_proba, rows.held_out, clock)

    return _ms_a_row(seconds(fitted), len(rows.held_out))


def amlb_row(fitted: Fitted, rows: Rows, clock: Clock) -> float:
    """AMLB's one-row time: the median of 100 rows, one call each, every row drawn anew from the test rows; in memory."""
    drawn = [rows.held_out.sample(1, random_state=i) for i in range(100)]
    return 1000 * float(np.median([_seconds(fitted.predict_proba, X, clock) for X in drawn]))


def amlb_batch(fitted: Fitted, rows: Rows, clock: Clock) -> float:
    """AMLB's batch time: from a file to its predictions, reading included; the median over files, divided by their rows."""
    read = rows.read
    if read is None or not rows.files:
        raise CannotReplayError("no files of rows were given")
    taken = [_seconds(lambda path: fitted.predict_proba(read(path)), path, clock) for path in rows.files]
    return _ms_a_row(float(np.median(taken)), rows.rows_in_file)


def _second_of_two(fitted: Fitted, rows: Rows, clock: Clock) -> float:
    one = rows.training.iloc[:1]
    return [_seconds(fitted.predict_proba, one, clock) for _ in range(2)][1]


def mljar(fitted: Fitted, rows: Rows, clock: Clock) -> float:
    """MLJAR's leaderboard (``single_prediction_time``): the second of two calls with the first training row, always that one."""
    return 1000 * _second_of_two(fitted, rows, clock)


def mljar_selection(fitted: Fitted, rows: Rows, clock: Clock) -> float:
    """MLJAR's estimate while it selects members under ``max_single_prediction_time``: the sum of the members' times."""

    def seconds(part: Fitted) -> float:
        return sum(map(seconds, part.members)) if part.members else _second_of_two(part, rows, clock)

    return 1000 * seconds(fitted)


def h2o(fitted: Fitted, rows: Rows, clock: Clock) -> float:
    """H2O's ``predict_time_per_row_ms``: one cold pass over the whole frame, divided by its rows.

    H2O also computes metrics inside the clock where the frame holds the response; ours holds none.
    """
    return _ms_a_row(_seconds(fitted.predict_proba, rows.held_out, clock), len(rows.held_out))


def flaml(fitted: Fitted, rows: Rows, clock: Clock) -> float:
    """FLAML's ``pred_time``: one pass over the validation rows, with the check of what type came back, divided by the rows."""

    def predict_and_check(X: pd.DataFrame) -> bool:
        return np.issubdtype(np.asarray(fitted.predict_proba(X)).dtype, np.number)

    return _ms_a_row(_seconds(predict_and_check, rows.held_out, clock), len(rows.held_out))


def deepchecks(fitted: Fitted, rows: Rows, clock: Clock) -> float:
    """Deepchecks' "average inference time for one sample": one cold ``predict`` of up to 1,000 rows, divided by them.

    As ``timeit`` has it, the garbage collector is off meanwhile.
    """
    X = rows.held_out.sample(min(1000, len(rows.held_out)), random_state=0)
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _ms_a_row(_seconds(fitted.predict, X, clock), len(X))
    finally:
        if collecting:
            gc.enable()


def skore(fitted: Fitted, rows: Rows, clock: Clock) -> float:
    """Skore's ``predict_time``: the first ``predict`` of the whole test set.

    Skore reports the total, since it withdrew its time per row; the division is ours, to set it beside the others.
    """
    return _ms_a_row(_seconds(fitted.predict, rows.held_out, clock), len(rows.held_out))


def _prepared(fitted: Fitted, rows: Rows) -> tuple[Part, list[Any], Any]:
    """The bare estimator, and 100 rows that were preprocessed before: one by one, and together."""
    part, X = _bare(fitted), rows.held_out.head(100)
    return part, [part.prepare(X.iloc[i : i + 1]) for i in range(len(X))], part.prepare(X)


def sklearn_atomic(fitted: Fitted, rows: Rows, clock: Clock) -> float:
    """scikit-learn's example, "atomic": 100 preprocessed rows, one ``predict`` each; the median is the line of its box."""
    part, one_by_one, _ = _prepared(fitted, rows)
    return 1000 * float(np.median([_seconds(part.predict, X, clock) for X in one_by_one]))


def sklearn_bulk(fitted: Fitted, rows: Rows, clock: Clock) -> float:
    """scikit-learn's example, "bulk": 100 preprocessed rows in one ``predict``, 30 times, each divided by 100; the median."""
    part, one_by_one, together = _prepared(fitted, rows)
    taken = [_seconds(part.predict, together, clock) for _ in range(30)]
    return _ms_a_row(float(np.median(taken)), len(one_by_one))


def sklearn_throughput(fitted: Fitted, rows: Rows, clock: Clock) -> float:
    """scikit-learn's example, throughput: the same preprocessed row again and again until 0.1 s have passed.

    Calls are counted, the last included, and divided by 0.1 s, however long they really took.
    """
    duration_s, calls = 0.1, 0
    part, one_by_one, _ = _prepared(fitted, rows)
    began = clock()
    while clock() - began < duration_s:
        part.predict(one_by_one[0])
        calls += 1
    return 1000 * duration_s / calls


_RECIPES = (
    Recipe(
        name="autogluon_leaderboard",
        system="AutoGluon",
        title="AutoGluon's leaderboard",
        kind="bulk",
        cites="autogluon/autogluon: core/.../models/abstract/abstract_model.py; tabular/.../predictor/predictor.py, leaderboard",
        timed="predict_proba of all rows at once, features already made",
        sentence="One pass over all rows, features already made; an ensemble is the sum of its parts; divided here by the rows.",
        sums_members=True,
        replay=autogluon_leaderboard,
    ),
    Recipe(
        name="autogluon_limit",
        system="AutoGluon",
        title="AutoGluon's infer_limit",
        kind="bulk",
        cites="autogluon/autogluon: core/.../utils/time.py, time_func; abstract_model.py, predict_1_time",
        timed="a batch of up to 10,000 training rows, features already made",
        sentence="The mean of ten passes over 10,000 training rows, or the first alone if it was slow; divided by the rows.",
        sums_members=True,
        replay=autogluon_limit,
    ),
    Recipe(
        name="tabarena",
        system="TabArena",
        title="TabArena",
        kind="bulk",
        cites="autogluon/tabarena: .../benchmark/exec_models/base.py; .../repository/ensemble_mixin.py",
        timed="one predict_proba of the whole test split",
        sentence="One pass over the test rows, divided by them; an ensemble is the sum of its members.",
        sums_members=True,
        replay=tabarena,
    ),
    Recipe(
        name="amlb_row",
        system="AMLB",
        title="AMLB (one row)",
        kind="one row",
        cites="openml/automlbenchmark: frameworks/shared/callee.py, measure_inference_times; frameworks/AutoGluon/exec.py",
        timed="predict_proba of a DataFrame of one row",
        sentence="The median of 100 calls of one row, each drawn anew.",
        replay=amlb_row,
    ),
    Recipe(
        name="amlb_batch",
        system="AMLB",
        title="AMLB (1,000 rows)",
        kind="bulk",
        cites="openml/automlbenchmark: frameworks/shared/callee.py, measure_inference_times; amlb/results.py",
        timed="reading a Parquet file of 1,000 rows, and predict_proba of them",
        sentence="The median of ten files of 1,000 rows, from the file to the predictions, divided by the rows.",
        replay=amlb_batch,
    ),
    Recipe(
        name="mljar",
        system="MLJAR",
        title="MLJAR's leaderboard",
        kind="one row",
        cites="mljar/mljar-supervised: supervised/base_automl.py, keep_model",
        timed="the second of two predictions of one and the same training row",
        sentence="The second of two calls with the first training row.",
        replay=mljar,
    ),
    Recipe(
        name="mljar_selection",
        system="MLJAR",
        title="MLJAR's selection",
        kind="one row",
        cites="mljar/mljar-supervised: supervised/ensemble.py, fit",
        timed="as MLJAR's leaderboard, each member on its own",
        sentence="The second of two calls with the first training row; an ensemble is the sum of its members.",
        sums_members=True,
        replay=mljar_selection,
    ),
    Recipe(
        name="h2o",
        system="H2O",
        title="H2O's leaderboard",
        kind="bulk",
        cites="h2oai/h2o-3: h2o-core/src/main/java/hex/leaderboard/ScoringTimePerRow.java",
        timed="one cold score of the whole frame",
        sentence="One cold pass over all rows, divided by them.",
        replay=h2o,
    ),
    Recipe(
        name="flaml",
        system="FLAML",
        title="FLAML",
        kind="bulk",
        cites="microsoft/FLAML: flaml/automl/ml.py, _eval_estimator",
        timed="one predict_proba of the validation rows, and the check of its type",
        sentence="One pass over the validation rows, divided by them.",
        replay=flaml,
    ),
    Recipe(
        name="deepchecks",
        system="deepchecks",
        title="deepchecks",
        kind="bulk",
        cites="deepchecks/deepchecks: tabular/checks/model_evaluation/model_inference_time.py",
        timed="one cold predict of up to 1,000 rows, garbage collector off",
        sentence="One cold pass over up to 1,000 rows, divided by them: below 1 ms it passes.",
        replay=deepchecks,
    ),
    Recipe(
        name="skore",
        system="skore",
        title="skore",
        kind="bulk",
        cites="probabl-ai/skore: skore/src/skore/_utils/_measure_time.py; .../_estimator/metrics_accessor.py",
        timed="the first predict of the whole test set",
        sentence="The first pass over the test rows, in all; divided here by the rows, which skore no longer does.",
        replay=skore,
    ),
    Recipe(
        name="sklearn_atomic",
        system="scikit-learn's example",
        title="scikit-learn's example (one row)",
        kind="one row",
        cites="scikit-learn/scikit-learn: examples/applications/plot_prediction_latency.py, atomic_benchmark_estimator",
        timed="predict of one preprocessed row; no preprocessing",
        sentence="The median of 100 different rows, one call each, preprocessed before the clock starts.",
        replay=sklearn_atomic,
    ),
    Recipe(
        name="sklearn_bulk",
        system="scikit-learn's example",
        title="scikit-learn's example (bulk)",
        kind="bulk",
        cites="scikit-learn/scikit-learn: examples/applications/plot_prediction_latency.py, bulk_benchmark_estimator",
        timed="predict of 100 preprocessed rows; no preprocessing",
        sentence="The median of 30 passes over 100 rows, preprocessed before the clock starts, divided by 100.",
        replay=sklearn_bulk,
    ),
    Recipe(
        name="sklearn_throughput",
        system="scikit-learn's example",
        title="scikit-learn's example (throughput)",
        kind="one row",
        cites="scikit-learn/scikit-learn: examples/applications/plot_prediction_latency.py, benchmark_throughputs",
        timed="predict of one and the same preprocessed row, for 0.1 s",
        sentence="0.1 s divided by the calls that began in it, all with the same preprocessed row.",
        replay=sklearn_throughput,
    ),
)
RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in _RECIPES}
"""Every recipe by its name."""
