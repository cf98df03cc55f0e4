"""The frozen records that the rooms exchange, with the few statistics that belong to them.

Every number that shipworthy prints was carried by one of these.
They hold plain types, arrays and tuples, and import nothing heavier than NumPy.
Units are in the names: ``_ms`` milliseconds, ``_mib`` mebibytes (2**20 bytes), ``_s`` seconds.

This module does *not* know how anything is loaded, fitted, timed, judged or drawn.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt, MinLen
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Task = Literal["binary", "multiclass", "regression"]
Kind = Literal["single", "tree_ensemble", "ensemble"]
ScenarioName = Literal["single_stream", "multi_stream", "server", "offline"]
Statistic = Literal["mean", "p50", "p95", "p99", "max"]
RequirementOutcome = Literal["met", "missed", "undecided"]
Answer = Literal["ship", "do not ship", "cannot tell"]
Estimator = Any  # A scikit-learn estimator: the library publishes no type for one.
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class InputError(ValueError):
    """What the user gave cannot be used. Its message is one sentence that names the file or field and the remedy.

    The command prints it without a traceback and exits with 2; a notebook shows the sentence alone.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


FORBID_UNKNOWN = {"extra": "forbid"}
"""Read by pydantic when a study file is validated: a misspelt field is an error, never ignored."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What can be measured: its unit, which direction is better, and what it means.

    Parameters
    ----------
    name, unit : str
        ``unit`` is ``""`` for a pure number.
    greater_is_better : bool
    meaning : str
        One plain sentence for the report.
    proper : bool
        For accuracy metrics: a proper scoring rule, which cannot be improved by reporting other than what one believes.
    label : str
        The one name that people read; left out, the name without its unit, its underscores as spaces.

    Examples
    --------
    >>> QUANTITIES["roc_auc"].label, QUANTITIES["peak_memory_mib"].label
    ('ROC AUC', 'peak memory')
    """

    name: str
    unit: str
    greater_is_better: bool
    meaning: str
    proper: bool = False
    label: str = ""

    def __post_init__(self) -> None:
        """Fill in the label that is left out."""
        if not self.label:
            suffix = f"_{self.unit.lower().replace('/', '_')}"
            object.__setattr__(self, "label", self.name.removesuffix(suffix).replace("_", " "))


QUANTITIES: Mapping[str, Quantity] = {
    q.name: q
    for q in (
        Quantity("log_loss", "nats", False, "Mean surprise at the true class under the stated probability.", True),
        Quantity("brier", "", False, "Mean squared distance of the stated probabilities from the truth.", True, "Brier score"),
        Quantity("roc_auc", "", True, "How often a positive row is ranked above a negative one.", label="ROC AUC"),
        Quantity("average_precision", "", True, "Area under the precision-recall curve."),
        Quantity("accuracy", "", True, "Share of rows whose most likely class is the true one."),
        Quantity("calibration_error", "", False, "Mean gap between stated and observed frequency, in ten equal bins."),
        Quantity("rmse", "", False, "Root of the mean squared error.", True, "RMSE"),
        Quantity("mae", "", False, "Mean absolute error.", label="MAE"),
        Quantity("r2", "", True, "Share of the variance of the target that is explained.", label="R²"),
        Quantity("latency_ms", "ms", False, "Time from a query being due to its answer being complete."),
        Quantity("cpu_ms", "ms", False, "CPU time of one query, all threads together, averaged over a round.", label="CPU time"),
        Quantity("build_ms", "ms", False, "Part of the latency spent turning the query into a row.", label="building the row"),
        Quantity(
            "preprocess_ms",
            "ms",
            False,
            "Part of the latency spent on preprocessing, the building of the row apart.",
            label="preprocessing",
        ),
        Quantity("import_ms", "ms", False, "Importing what serving this artefact needs, in a fresh process.", label="importing"),
        Quantity("load_ms", "ms", False, "Reading the artefact from disk, after the imports.", label="loading"),
        Quantity("first_call_ms", "ms", False, "The first answer after loading."),
        Quantity("throughput_rows_s", "rows/s", True, "Rows answered per second."),
        Quantity("memory_mib", "MiB", False, "Memory of a serving process above an idle interpreter, after the first call."),
        Quantity("peak_memory_mib", "MiB", False, "Highest memory above an idle interpreter while predicting."),
        Quantity("size_mib", "MiB", False, "Size of the artefact on disk.", label="size on disk"),
        Quantity(
            "fit_s",
            "s",
            False,
            "As the CPU time of the fit, but wall time; given only when nothing shared the machine.",
            label="time of the fit",
        ),
        Quantity(
            "fit_cpu_s",
            "s",
            False,
            "CPU time of the final fit; of an ensemble, its members' too; of a stack, also their out-of-fold fits.",
            label="CPU time of the fit",
        ),
        Quantity(
            "fit_memory_mib",
            "MiB",
            False,
            "Highest memory of the final fit above what the process held before.",
            label="memory of the fit",
        ),
        Quantity(
            "usd_per_million",
            "USD",
            False,
            "Price of a million queries: an estimate from the declared prices.",
            label="price of a million queries",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns of a data set mean beyond being features; empty where there is none.

    ``time`` orders the rows; ``group`` names rows that belong together; ``sensitive`` columns may be reported by group;
    ``personal`` ones never leave the data set (not in a report, a sample or an artefact's example); ``price`` and
    ``cost`` are money.
    """

    time: str = ""
    group: str = ""
    sensitive: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    price: str = ""
    cost: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Which rows train, which test, and in which fold each training row is held out.

    Parameters
    ----------
    train : ndarray of int, shape (n_train,)
        Positions in the data set, ascending.
    test : ndarray of int, shape (n_test,)
        Positions in the data set, ascending; disjoint from ``train``.
    fold : ndarray of int, shape (n_train,)
        For each entry of ``train``, the fold (0, 1, ...) in which it is predicted by a model that did not see it.
    rule : str
        How rows were assigned, in a sentence for the report.
    """

    train: Ints
    test: Ints
    fold: Ints
    rule: str

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return int(self.fold.max()) + 1


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Real rows with a target, where they come from, and how they are split. Treat as read-only.

    Parameters
    ----------
    name : str
    X : DataFrame, shape (n_rows, n_features)
        Features only, index 0..n_rows-1. Numeric columns are float64 or int64, all others hold str or missing.
    y : ndarray, shape (n_rows,)
        int64 class codes 0..n_classes-1, or float64 for regression. Not writeable.
    task : {"binary", "multiclass", "regression"}
    classes : tuple of str
        Names of the class codes, in order; empty for regression.
    roles : Roles
    provenance, licence : str
        Who collected the rows and which distribution brings them; under what terms.
    traps : tuple of str
        What goes wrong with these rows if one is careless, and what was done about it, a sentence each.
    fingerprint : str
        16 hex digits of SHA-256 over the column names, values and target of *all* rows.
    row_ids : ndarray of int, shape (n_rows,)
        Position of each row in the unsampled data set, so that a sample can be traced.
    split : Split
    """

    name: str
    X: pd.DataFrame
    y: NDArray[Any]
    task: Task
    classes: tuple[str, ...]
    roles: Roles
    provenance: str
    licence: str
    traps: tuple[str, ...]
    fingerprint: str
    row_ids: Ints
    split: Split

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the numeric columns, in order."""
        return tuple(c for c in self.X.columns if self.X[c].dtype.kind in "iuf")

    @property
    def categorical(self) -> tuple[str, ...]:
        """Names of all other columns, in order."""
        return tuple(c for c in self.X.columns if self.X[c].dtype.kind not in "iuf")

    def queries(self, positions: Ints) -> list[dict[str, float | int | str | None]]:
        """Raw rows as they would arrive at a service: plain values, a missing one is ``None``.

        Parameters
        ----------
        positions : ndarray of int, shape (n,)

        Returns
        -------
        list of dict, length n
        """
        part = self.X.iloc[positions]
        columns = [[None if gone else v for v, gone in zip(part[c].tolist(), part[c].isna(), strict=True)] for c in part.columns]
        return [dict(zip(part.columns, row, strict=True)) for row in zip(*columns, strict=True)]


@dataclass(frozen=True, slots=True)
class Ingredients:
    """All that a candidate is told when it is built.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
    numeric, categorical : tuple of str
        Names of the feature columns by type.
    random_state : int
    search_trials : int
        How many settings a tuned candidate may try.
    n_jobs : int
        Threads of one fit. More than one is never used inside a study: units are parallel instead, and results are the same.
    """

    task: Task
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    random_state: int = 0
    search_trials: int = 8
    n_jobs: int = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A named way to build something that could be shipped.

    Parameters
    ----------
    name : str
    kind : {"single", "tree_ensemble", "ensemble"}
    summary : str
        One sentence for ``shipworthy list candidates`` and the report.
    build : callable
        ``build(ingredients) -> unfitted scikit-learn estimator`` that accepts a DataFrame or a list of dicts.
    members : tuple of str
        Names of the candidates that an ensemble of models is assembled from; empty otherwise.
    route : str
        How it is deployed; ``"plain"`` is scikit-learn as it comes.
    tasks : tuple of str
    """

    name: str
    kind: Kind
    summary: str
    build: Callable[[Ingredients], Estimator]
    members: tuple[str, ...] = ()
    route: str = "plain"
    tasks: tuple[Task, ...] = ("binary", "multiclass")


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a fitted candidate said of rows that it did not train on.

    Parameters
    ----------
    oof_rows, test_rows : ndarray of int, shape (n_train,) and (n_test,)
        ``Dataset.row_ids`` of the rows.
    oof_y, test_y : ndarray, shape (n_train,) and (n_test,)
        The truth, coded as in ``Dataset.y``.
    oof, test : ndarray of float64, shape (n, n_classes) or (n, 1) for regression
        Probabilities, or predicted values. ``oof`` is out-of-fold.
    """

    oof_rows: Ints
    oof_y: NDArray[Any]
    oof: Floats
    test_rows: Ints
    test_y: NDArray[Any]
    test: Floats


@dataclass(frozen=True, slots=True)
class Costs:
    """What a piece of work cost: wall and CPU seconds, and peak memory (MiB) above the start.

    ``memory_mib`` is ``nan`` where the platform cannot say; ``memory_how`` tells how it was read.
    """

    wall_s: float
    cpu_s: float
    memory_mib: float
    memory_how: str


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A fitted candidate: what it said, where its artefact lies, and what the final fit cost."""

    candidate: str
    predictions: Predictions
    artefact: str
    costs: Costs
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a measurement holds under. Two measurements may be compared only if :meth:`comparable` says so."""

    machine: str
    """Fingerprint of processor model, cores, memory and operating system."""
    versions: str
    """Versions of Python and of the libraries that did the work."""
    threads: int
    scenario: ScenarioName | Literal["none"]
    batch_size: int
    seed: int
    warm_up: int
    """Calls made and thrown away before the first value."""
    garbage_collector: Literal["on", "off"]
    profile: str
    """``lean``: only what the artefact needs could be imported; ``full``: whatever the environment holds."""
    pinned: str
    """The processor that the process was pinned to, or why it was not."""
    load_average: float
    """One-minute load average when the measurement began; ``nan`` where the platform has none."""
    note: str = ""
    """What else a reader should know: rows used more than once, how memory was read, rounds that failed."""

    def comparable(self, other: Conditions) -> bool:
        """Whether machine, versions, threads and profile are the same."""
        return (self.machine, self.versions, self.threads, self.profile) == (
            other.machine,
            other.versions,
            other.threads,
            other.profile,
        )

    def as_dict(self) -> dict[str, Any]:
        """The fields as a plain dict, for JSON."""
        return asdict(self)


@cache
def _highest_over(n: int, q: float, confidence: float) -> int:
    """The most values that may exceed a limit while ``P(value <= limit) >= q`` still holds with ``confidence``; -1 if none."""
    from scipy.stats import binom

    # With k values over the limit, the claim fails to hold with probability at most P(Binomial(n, 1-q) <= k).
    k = int(binom.ppf(1 - confidence, n, 1 - q))
    while k >= 0 and binom.cdf(k, n, 1 - q) > 1 - confidence:
        k -= 1
    return k


@dataclass(frozen=True, slots=True)
class PercentileBound:
    """What may be said of a percentile: the observed value, and bounds that hold with the stated confidence.

    ``low`` is ``-inf`` or ``high`` is ``inf`` where there are too few values to say.
    """

    observed: float
    low: float
    high: float
    confidence: float
    n: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """Raw repeated values of one quantity, its unit, and the conditions they hold under.

    Parameters
    ----------
    candidate, dataset : str
    quantity : str
        A key of :data:`QUANTITIES`.
    values : tuple of float
        Every value, in the order in which it was taken. Empty when ``failure`` is given.
    round_index : tuple of int
        For each value, the interleaved round (one fresh child each) that it comes from.
    conditions : Conditions
    failure : str
        Why there are no values, in a sentence; empty otherwise.

    Examples
    --------
    >>> here = Conditions("m", "v", 1, "single_stream", 1, 0, 50, "off", "lean", "0", 0.0)
    >>> m = Measurement("xgboost", "adult", "latency_ms", tuple(float(i) for i in range(1, 460)), (0,) * 459, here)
    >>> m.percentile(50)
    230.0
    >>> m.percentile_bound(99, confidence=0.99).high
    459.0
    """

    candidate: str
    dataset: str
    quantity: str
    values: tuple[float, ...]
    round_index: tuple[int, ...]
    conditions: Conditions
    failure: str = ""

    def percentile(self, q: float) -> float:
        """The smallest observed value that at least ``q`` percent of the values do not exceed (nearest rank).

        Raises
        ------
        ValueError
            If there are no values.
        """
        if not self.values:
            msg = f"{self.quantity} of {self.candidate} on {self.dataset} has no values: {self.failure}"
            raise ValueError(msg)
        ordered = sorted(self.values)
        return ordered[max(0, math.ceil(q * len(ordered) / 100) - 1)]

    def percentile_bound(self, q: float, confidence: float = 0.99) -> PercentileBound:
        """Distribution-free one-sided bounds on a percentile from order statistics.

        The upper bound is the value that MLPerf LoadGen's early stopping would let us state: for p99 at 99 % it needs
        459 values (none above it) or 662 (one above it). Values are taken as independent.

        Parameters
        ----------
        q : float
            Percentile, between 0 and 100.
        confidence : float
            Of each side on its own.

        Returns
        -------
        PercentileBound
        """
        ordered = sorted(self.values)
        n = len(ordered)
        over = _highest_over(n, q / 100, confidence)
        under = _highest_over(n, 1 - q / 100, confidence)
        return PercentileBound(
            observed=self.percentile(q),
            low=ordered[under] if under >= 0 else -math.inf,
            high=ordered[n - 1 - over] if over >= 0 else math.inf,
            confidence=confidence,
            n=n,
        )

    def rounds(self) -> tuple[tuple[float, ...], ...]:
        """The values of each round apart, in order of the rounds."""
        return tuple(
            tuple(v for v, r in zip(self.values, self.round_index, strict=True) if r == index)
            for index in sorted(set(self.round_index))
        )


@dataclass(frozen=True, slots=True)
class Record:
    """One tidy row of ``records.parquet``: one statistic of one quantity, with its interval where it has one."""

    dataset: str
    candidate: str
    kind: str
    quantity: str
    statistic: str
    value: float
    unit: str
    seed: int
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    route: str = "plain"
    scenario: str = "none"
    batch_size: int = 0
    group: str = ""
    factor: str = ""
    level: str = ""
    conditions: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How queries arrive; MLPerf Inference's four.

    ``single_stream``: the next query is due when the last is answered; ``multi_stream``: ``batch_size`` rows at a time;
    ``server``: Poisson arrivals at ``rate_per_s``; ``offline``: everything at once.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    name: ScenarioName
    batch_size: Annotated[int, Ge(1)] = 1
    rate_per_s: Annotated[float, Ge(0), Lt(math.inf)] = 0.0

    def arrivals(self, rng: np.random.Generator, n: int) -> Floats:
        """Seconds after the start at which each of ``n`` queries is due.

        All zeros unless the scenario is ``server``: there, the cumulated exponential gaps of a Poisson process.

        Raises
        ------
        ValueError
            If the scenario is ``server`` and its rate is zero.
        """
        if self.name != "server":
            return np.zeros(n)
        if self.rate_per_s <= 0:
            msg = "a server scenario needs rate_per_s above 0"
            raise ValueError(msg)
        return np.cumsum(rng.exponential(1 / self.rate_per_s, n))


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A limit on one statistic of one quantity under one scenario.

    Exactly one of ``at_most`` and ``at_least`` is given.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    name: Annotated[str, MinLen(1)]
    quantity: str
    statistic: Statistic = "mean"
    at_most: Annotated[float, Lt(math.inf)] | None = None
    at_least: Annotated[float, Gt(-math.inf)] | None = None
    scenario: ScenarioName | Literal["none"] = "none"
    batch_size: Annotated[int, Ge(1)] | None = None

    @property
    def limit(self) -> float:
        """The number that must be kept."""
        limit = self.at_most if self.at_most is not None else self.at_least
        if limit is None:
            msg = f"requirement {self.name!r} gives neither at_most nor at_least"
            raise ValueError(msg)
        return limit

    def sentence(self) -> str:
        """The requirement in words.

        Examples
        --------
        >>> Requirement(name="p99", quantity="latency_ms", statistic="p99", at_most=50, scenario="single_stream").sentence()
        'p99 latency_ms at most 50 ms (single_stream)'
        """
        unit = QUANTITIES[self.quantity].unit if self.quantity in QUANTITIES else ""
        side = "at most" if self.at_most is not None else "at least"
        where = "" if self.scenario == "none" else f" ({self.scenario})"
        return f"{self.statistic} {self.quantity} {side} {self.limit:g} {unit}".rstrip() + where


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Dated prices, in US dollars. They are assumptions: everything computed from them is labelled an estimate."""

    __pydantic_config__ = FORBID_UNKNOWN
    as_of: str
    source: str
    vcpu_hour_usd: Annotated[float, Ge(0), Lt(math.inf)]
    gib_hour_usd: Annotated[float, Ge(0), Lt(math.inf)]
    request_usd: Annotated[float, Ge(0), Lt(math.inf)] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """How much is trained. ``max_train_rows`` or ``max_test_rows`` of 0 means all rows."""

    __pydantic_config__ = FORBID_UNKNOWN
    max_train_rows: Annotated[int, Ge(0)] = 0
    max_test_rows: Annotated[int, Ge(0)] = 0
    folds: Annotated[int, Ge(2), Le(20)] = 5
    search_trials: Annotated[int, Ge(1), Le(1000)] = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuringPlan:
    """How deeply serving is measured.

    ``queries`` is the count per candidate over all ``rounds``: it is fixed, not a duration, so that a repeated run has the
    same counts. Each round is a fresh child process; the rounds of all candidates are interleaved.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    queries: Annotated[int, Ge(20), Le(1_000_000)] = 700
    rounds: Annotated[int, Ge(1), Le(50)] = 2
    warm_up: Annotated[int, Ge(0), Le(10_000)] = 30
    batch_sizes: Annotated[tuple[Annotated[int, Ge(1), Le(1_000_000)], ...], MinLen(1)] = (64, 4096)
    batch_repeats: Annotated[int, Ge(1), Le(10_000)] = 5
    threads: Annotated[int, Ge(1), Le(1024)] = 1
    time_limit_s: Annotated[float, Gt(0), Le(86_400)] = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The whole question in one object.

    ``sweep`` names fields of :class:`TrainingPlan` or :class:`MeasuringPlan` and lists the values to try; every combination
    is an arm of its own, and the one table of results has a row for each.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    name: Annotated[str, MinLen(1)]
    question: str
    datasets: Annotated[tuple[str, ...], MinLen(1)]
    candidates: Annotated[tuple[str, ...], MinLen(1)]
    seeds: Annotated[tuple[Annotated[int, Ge(0), Le(2**31 - 1)], ...], MinLen(1)] = (0,)
    metric: str = "roc_auc"
    smallest_useful_gain: Annotated[float, Gt(0), Lt(math.inf)] = 0.005
    confidence: Annotated[float, Gt(0.5), Lt(1)] = 0.95
    requirements: tuple[Requirement, ...] = ()
    traffic_queries_s: Annotated[float, Gt(0), Lt(math.inf)] = 10.0
    prices: Prices
    training: TrainingPlan = TrainingPlan()
    measuring: MeasuringPlan = MeasuringPlan()
    sweep: dict[str, Annotated[tuple[int | float, ...], MinLen(1)]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the two ends of its interval at ``confidence``."""

    value: float
    low: float
    high: float
    confidence: float
    how: str
    """The method, named so that a sceptic can repeat it."""


@dataclass(frozen=True, slots=True)
class RequirementVerdict:
    """Whether one candidate keeps one requirement on one data set, with what was observed and why it may be said."""

    requirement: str
    candidate: str
    dataset: str
    outcome: RequirementOutcome
    observed: float
    low: float
    high: float
    limit: float
    n: int
    """Values that it was judged by, over all conditions that the requirement leaves open."""
    reason: str
    level: str = ""
    """Level of what is swept, as in :class:`Verdict`."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A challenger against one baseline: gain in the metric (positive is better), latency and memory ratios."""

    challenger: str
    baseline: str
    baseline_role: Literal["best single", "best tree ensemble", "best out of fold"]
    metric: str
    gain: Interval
    latency_ratio: Interval
    memory_ratio: Interval


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one candidate on one data set, with everything that it rests on."""

    dataset: str
    level: str
    candidate: str
    answer: Answer
    reason: str
    comparisons: tuple[Comparison, ...]
    requirements: tuple[RequirementVerdict, ...]


def digest(*parts: object, length: int = 16) -> str:
    """First ``length`` hex digits of SHA-256 over the ``repr`` of the parts: the one identity function of the house.

    Only values whose ``repr`` is their content may be passed: str, int, float, bool, None, tuples and lists of them.

    Examples
    --------
    >>> digest("a", 1) == digest("a", 1)
    True
    >>> digest("a", 1) == digest("a", "1")
    False
    """
    text = "\x1f".join(repr(p) for p in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
