"""Tidy records turned into the tables that people read and the CSV files that programs read.

Order and content depend on the records alone, never on the order in which they were made.

This module does *not* know how a table is typeset, or what is good.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Literal

from shipworthy.records import QUANTITIES, Interval, RequirementVerdict, Study, Verdict
from shipworthy.reporting.deciding import deciding_reason
from shipworthy.reporting.makeup import QUANTITIES_OF_MEMBERS

if TYPE_CHECKING:
    import pandas as pd

KEYS = ["dataset", "factor", "level", "seed", "candidate", "kind", "route"]
KIND_ORDER = ("single", "tree_ensemble", "ensemble")
ACCURACIES = ("log_loss", "brier", "roc_auc", "average_precision", "accuracy", "calibration_error", "rmse", "mae", "r2")
TRAINING = ("fit_s", "fit_cpu_s", "fit_memory_mib")
PLAIN = ("mean", "value", "estimate", "max")
"""Statistics that stand for a quantity without percentiles, the preferred first."""
FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d.][\w\s.,%:-]*$|inf$|$)")
"""How a cell begins that a spreadsheet would compute; a number with its sign and unit is none."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the comparison: which records it shows, and how its name reads."""

    name: str
    label: str
    quantity: str
    statistics: tuple[str, ...] = PLAIN
    scenario: str = ""
    over_batches: Literal["", "largest", "worst"] = ""
    interval: bool = False

    @property
    def unit(self) -> str:
        """Unit of the quantity, where the label does not name it."""
        unit = QUANTITIES[self.quantity].unit
        return "" if unit in self.label.split() else unit


COSTS = (
    Column("p50_ms", "p50", "latency_ms", ("p50",), "single_stream"),
    Column("p95_ms", "p95", "latency_ms", ("p95",), "single_stream"),
    Column("p99_ms", "p99", "latency_ms", ("p99",), "single_stream", interval=True),
    Column("preprocess_ms", "preprocess (p50)", "preprocess_ms", ("p50", *PLAIN), "single_stream"),
    Column("throughput_rows_s", "largest batch", "throughput_rows_s", PLAIN, "offline", "largest"),
    Column("memory_mib", "memory", "memory_mib", interval=True),
    Column("peak_memory_mib", "peak memory", "peak_memory_mib", ("max", *PLAIN), over_batches="worst"),
    Column("size_mib", "on disk", "size_mib"),
    Column("import_ms", "import", "import_ms"),
    Column("load_ms", "load", "load_ms"),
    Column("first_call_ms", "first call", "first_call_ms"),
    Column("fit_cpu_s", "fit (CPU)", "fit_cpu_s"),
    Column("usd_per_million", "USD per million queries (estimate)", "usd_per_million"),
)


def level_order(level: str) -> tuple[tuple[float, ...], str]:
    """Sorts levels by the numbers in them, 500 before 4000, and then as text.

    Examples
    --------
    >>> sorted(["4000", "500", ""], key=level_order)
    ['', '500', '4000']
    """
    return tuple(float(n) for n in re.findall(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?", level, re.IGNORECASE)), level


def results_table(records: pd.DataFrame, metric: str, verdicts: Sequence[Verdict] = ()) -> pd.DataFrame:
    """One row for each data set, swept level, seed and candidate.

    Parameters
    ----------
    records : DataFrame
        Columns as the fields of :class:`~shipworthy.records.Record`.
    metric : str
    verdicts : sequence of Verdict
        Their answers become the column ``answer``; empty for candidates that are not judged.

    Returns
    -------
    DataFrame
        Sorted, with the columns of :data:`KEYS`, ``metric``, its ``_low``, ``_high`` and ``_oof``, the costs in :data:`COSTS`,
        and ``answer``. What was not measured is missing.
    """
    import pandas as pd

    plain = records[(records["group"] == "")]
    table = plain[KEYS].drop_duplicates().set_index(KEYS).sort_index()
    score = Column(metric, metric, metric, ("test",), interval=True)
    parts = [_column(plain, score), _column(plain, Column(f"{metric}_oof", metric, metric, ("oof",)))]
    parts += [_column(plain, column) for column in COSTS]
    table = pd.concat([part.reindex(table.index) for part in parts], axis=1).reset_index()
    answers = {(v.dataset, v.level, v.candidate): v.answer for v in verdicts}
    table["answer"] = [answers.get(key, "") for key in zip(table["dataset"], table["level"], table["candidate"], strict=True)]
    return table


def comparison_table(records: pd.DataFrame, dataset: str, metric: str, *, level: str | None = None) -> pd.DataFrame:
    """The candidates of one data set side by side: singles, tree ensembles, ensembles, each best first.

    Parameters
    ----------
    records : DataFrame
    dataset, metric : str
    level : str, optional
        One level of what was swept; left out, the first that there is.

    Returns
    -------
    DataFrame
        One row a candidate. Values are means over the seeds; ``_low`` and ``_high`` are the widest ends over the seeds.

    Raises
    ------
    ValueError
        If there are no records of the data set at that level.
    """
    here = records[records["dataset"] == dataset]
    if level is None and len(here):
        level = min(here["level"], key=level_order)
    here = here[here["level"] == level]
    if here.empty:
        names = ", ".join(sorted(set(records["dataset"]))) or "none"
        raise ValueError(f"there are no records of {dataset!r} at level {level!r}; there are records of {names}")
    table = results_table(here, metric).drop(columns=["answer", "dataset", "factor", "level", "seed"])
    how = {c: "min" if c.endswith("_low") else "max" if c.endswith("_high") else "mean" for c in table.columns[3:]}
    table = table.groupby(["candidate", "kind", "route"], as_index=False, sort=True).agg(how)
    rank = table["kind"].map({kind: i for i, kind in enumerate(KIND_ORDER)})
    better = -table[metric] if QUANTITIES[metric].greater_is_better else table[metric]
    return (
        table.assign(_rank=rank, _better=better)
        .sort_values(["_rank", "_better", "candidate"])
        .drop(columns=["_rank", "_better"])
        .reset_index(drop=True)
    )


def _column(records: pd.DataFrame, column: Column) -> pd.DataFrame:
    """Value, and where asked for ends, of one column, by :data:`KEYS`."""
    found = records[(records["quantity"] == column.quantity) & records["statistic"].isin(column.statistics)]
    if column.scenario:
        found = found[found["scenario"] == column.scenario]
    if column.scenario == "single_stream":
        found = found[found["batch_size"] == 1]
    preferred = found["statistic"].map({s: i for i, s in enumerate(column.statistics)})
    found = found[preferred == preferred.groupby([found[k] for k in KEYS]).transform("min")]
    if column.over_batches == "largest":
        found = found[found["batch_size"] == found.groupby(KEYS)["batch_size"].transform("max")]
    how = "max" if column.over_batches == "worst" else "mean"
    wide = found.groupby(KEYS)[["value", "low", "high"]].agg({"value": how, "low": "min", "high": "max"})
    wide = wide.rename(columns={"value": column.name, "low": f"{column.name}_low", "high": f"{column.name}_high"})
    return wide if column.interval else wide[[column.name]]


def csv_tables(
    records: pd.DataFrame, study: Study, verdicts: Sequence[Verdict], requirement_verdicts: Sequence[RequirementVerdict]
) -> dict[str, pd.DataFrame]:
    """Every table that is written beside the report, by file name.

    ``accuracy.csv`` holds nothing that varies from run to run: identical predictions give identical bytes.
    """
    import pandas as pd

    statistics = ["quantity", "scenario", "batch_size", "statistic", "value", "low", "high", "n", "unit", "conditions"]
    tidy = records[["dataset", "factor", "level", "candidate", "kind", "route", "seed", "group", *statistics]]
    # Every column is a key, so the order of the records cannot show.
    tidy = tidy.sort_values(list(tidy.columns), kind="stable", ignore_index=True)
    accuracy = tidy["quantity"].isin(ACCURACIES)
    training = tidy["quantity"].isin(TRAINING)
    members = tidy["quantity"].isin(QUANTITIES_OF_MEMBERS)  # they have a table of their own
    comparisons = []
    for dataset, level in (
        records[["dataset", "level"]].drop_duplicates().sort_values(["dataset", "level"]).itertuples(index=False)
    ):
        part = comparison_table(records, dataset, study.metric, level=level)
        part.insert(0, "dataset", dataset)
        part.insert(1, "level", level)
        comparisons.append(part)
    return {
        "accuracy.csv": tidy[accuracy].drop(columns=["scenario", "batch_size", "conditions"]).reset_index(drop=True),
        "serving.csv": tidy[~accuracy & ~training & ~members].reset_index(drop=True),
        "training.csv": tidy[training]
        .drop(columns=["scenario", "batch_size", "low", "high", "conditions"])
        .reset_index(drop=True),
        "comparison.csv": pd.concat(comparisons, ignore_index=True) if comparisons else pd.DataFrame(),
        "verdicts.csv": verdict_table(verdicts, study),
        "requirements.csv": requirement_frame(requirement_verdicts),
        "results.csv": results_table(records, study.metric, verdicts) if len(records) else pd.DataFrame(),
    }


def verdict_table(verdicts: Sequence[Verdict], study: Study) -> pd.DataFrame:
    """One row for each comparison that a verdict rests on, or one for a verdict that rests on none."""
    import pandas as pd

    nothing = Interval(math.nan, math.nan, math.nan, math.nan, "")
    # Named here, so that a study without a verdict has a table with a header.
    numbered = [f"{name}{end}" for name in ("gain", "p99_ratio", "memory_ratio") for end in ("", "_low", "_high")]
    columns = ["dataset", "level", "candidate", "answer", "deciding_reason", "baseline", "baseline_role", "metric", "confidence"]
    columns += numbered
    columns += ["gain_how", "p99_ratio_how", "reason", "deciding_test", "family", "power", "weighted_score"]
    columns += ["bayes_worse", "bayes_equivalent", "bayes_better", "bayes_how"]
    rows: list[dict[str, object]] = []
    for v in verdicts:
        row: dict[str, object] = {"dataset": v.dataset, "level": v.level, "candidate": v.candidate, "answer": v.answer}
        row |= {"deciding_reason": deciding_reason(v, study)}
        row |= {"deciding_test": v.deciding_test, "family": v.family, "power": v.power, "weighted_score": v.weighted_score}
        bayes = {c.baseline: c.equivalence for c in v.comparisons}
        powers = {c.baseline: c.power for c in v.comparisons}
        against: list[tuple[str, str, str, Interval, Interval, Interval]]
        against = [(c.baseline, c.baseline_role, c.metric, c.gain, c.latency_ratio, c.memory_ratio) for c in v.comparisons]
        for baseline, role, metric, gain, latency, memory in against or [("", "", "", nothing, nothing, nothing)]:
            numbers = {"baseline": baseline, "baseline_role": role, "metric": metric, "confidence": gain.confidence}
            for name, interval in (("gain", gain), ("p99_ratio", latency), ("memory_ratio", memory)):
                numbers |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
            if e := bayes.get(baseline):
                numbers |= {
                    "bayes_worse": e.worse,
                    "bayes_equivalent": e.equivalent,
                    "bayes_better": e.better,
                    "bayes_how": e.how,
                }
                numbers |= {"power": powers[baseline]}
            rows.append({**row, **numbers, "gain_how": gain.how, "p99_ratio_how": latency.how, "reason": v.reason})
    return pd.DataFrame(rows, columns=columns)


def requirement_frame(requirement_verdicts: Sequence[RequirementVerdict]) -> pd.DataFrame:
    """One row for each requirement and candidate."""
    import pandas as pd

    return pd.DataFrame([astuple(r) for r in requirement_verdicts], columns=list(RequirementVerdict.__slots__))


def harmless(table: pd.DataFrame) -> pd.DataFrame:
    """The table with no text that a spreadsheet would take for a formula: such a one begins with an apostrophe.

    Names of requirements and stakeholders are free text, and may come from somebody else's study (OWASP, CSV injection).

    Examples
    --------
    >>> import pandas as pd
    >>> harmless(pd.DataFrame({"name": ["=1+1", "-2+cmd|' /C calc'!A0", "-0.5 ms", "fast"]}))["name"].tolist()
    ["'=1+1", "'-2+cmd|' /C calc'!A0", '-0.5 ms', 'fast']
    """

    def told(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value

    words = [c for c in table.columns if table[c].dtype.kind not in "iufb"]
    return table.assign(**{c: table[c].map(told) for c in words}).rename(columns=told)
