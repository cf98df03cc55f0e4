"""What a swept parameter changes: score and p99 latency against its values, a line a candidate.

Only what a field can change is drawn: a field of the judging or of the load is asked of the same scores and latencies, and a
sentence says so.

This module does *not* know why a value was swept, or which is to be taken.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.records import QUANTITIES, Study
from shipworthy.reporting.figures import QUIET, ReportFigure, canvas, theme, ticks
from shipworthy.reporting.tables import KIND_ORDER, comparison_table
from shipworthy.reporting.wording import file_part, free_file, label, number, score, times

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FIELDS = {
    "max_train_rows": "training rows at most",
    "max_test_rows": "test rows at most",
    "folds": "folds",
    "search_trials": "settings that a search tries",
    "queries": "timed queries",
    "rounds": "rounds, each a fresh process",
    "warm_up": "queries before timing begins",
    "batch_repeats": "calls with each batch",
    "threads": "threads",
    "time_limit_s": "time limit of a measuring process (s)",
    "curve_calls": "calls with each batch size at least",
    "curve_rows": "rows with each batch size at least",
    "curve_rounds": "rounds under load, each a fresh process",
    "load_queries": "arrivals of each rate",
    "load_seconds": "duration of each rate at least (s)",
    "rate_trials": "rates that are tried at most",
    "latency_limit_ms": "p99 limit under load (ms)",
    "smallest_useful_gain": "smallest useful gain",
    "largest_latency_ratio": "largest tolerable p99 (times a baseline)",
    "largest_memory_ratio": "largest tolerable memory (times a baseline)",
    "traffic_queries_s": "traffic (queries/s)",
}
"""What a field is called on an axis, with its unit."""
ALL_AT_ZERO = ("max_train_rows", "max_test_rows")
"""Fields of which 0 means all that there are."""
# Okabe and Ito's, less their yellow, which is lost on white; shapes tell lines apart without colour.
LINES = (
    ("#0072B2", "o"),
    ("#D55E00", "D"),
    ("#009E73", "s"),
    ("#CC79A7", "^"),
    ("#E69F00", "v"),
    ("#56B4E9", "P"),
    ("#000000", "X"),
)
MOST_PANELS = 3
"""Values of what is swept beside the field, drawn side by side; the table has all."""


@dataclass(frozen=True, slots=True)
class _Axis:
    """A swept field as an axis: its values in order, where each stands, and how each is written."""

    field: str
    values: tuple[str, ...]
    places: tuple[float, ...]
    words: tuple[str, ...]
    log: bool

    @classmethod
    def of(cls, field: str, given: Sequence[Any]) -> _Axis:
        """Numbers where they lie, on a logarithmic scale if they are far apart; all else, and "all", one after another."""
        whole = field in ALL_AT_ZERO

        def numeric(value: Any) -> bool:
            return isinstance(value, int | float) and not isinstance(value, bool)

        if not all(map(numeric, given)):
            values, places, log = list(given), [float(i) for i in range(len(given))], False
        else:
            values = sorted(given, key=lambda v: (whole and v == 0, v))
            spread = 0 not in given
            places = [float(v) for v in values] if spread or not whole else [float(i) for i in range(len(values))]
            log = spread and min(values) > 0 and max(values) >= 8 * min(values)
        words = tuple("all" if whole and v == 0 else f"{v:,}" if numeric(v) else str(v) for v in values)
        return cls(field, tuple(str(v) for v in values), tuple(places), words, log)

    @property
    def name(self) -> str:
        """What stands beside the axis."""
        return FIELDS.get(self.field, self.field.replace("_", " ")) + (", logarithmic" if self.log else "")


def sweep_figure(
    records: pd.DataFrame, dataset: str, metric: str, sweep: Mapping[str, Sequence[Any]], field: str
) -> ReportFigure | None:
    """Score and p99 latency of a data set's candidates against the values of a swept field.

    Parameters
    ----------
    records : DataFrame
        Columns as the fields of :class:`~shipworthy.records.Record`.
    dataset, metric : str
    sweep : mapping of str to sequence
        As in the study, in its order.
    field : str
        The one of them that is drawn against; what else is swept stands side by side.

    Returns
    -------
    ReportFigure or None
        None where the field changes neither, or fewer than two of its values were scored.
    """
    axis = _Axis.of(field, sweep[field])
    panels = _panels(records, dataset, metric, sweep, axis)
    if not any(_changes(table, metric) for _, table in panels):
        return None
    first = panels[0][1]
    drawn = _that_matter(first, metric)
    others = len(set(first["candidate"])) - len(drawn)
    finding = _finding(dataset, metric, first, axis, drawn, panels[0][0])
    costs = ["p99_ms"] if any(np.isfinite(t["p99_ms"]).any() for _, t in panels) else []
    with theme():
        figure, whole = canvas(finding, 4.6 + 2.6 * len(costs), left=0.125)
        box = whole.get_position()
        whole.remove()
        rows, columns = 1 + len(costs), len(panels)
        width = (0.675 if columns == 1 else 0.86) / columns
        foot = (0.75 if columns == 1 else 1.5) / float(figure.get_size_inches()[1])
        height = (box.y1 - foot) / rows
        for j, (title, table) in enumerate(panels):
            for i, column in enumerate((metric, *costs)):
                place = (box.x0 + j * width, box.y1 - (i + 1) * height + 0.035, width - 0.03, height - 0.065)
                ax = figure.add_axes(place)
                _draw(ax, table, column, axis, drawn, metric)
                if j:
                    ax.set_yticklabels([])
                else:
                    ax.set_ylabel(f"{label(metric)}\n(test rows)" if column == metric else "p99 of one query\n(ms)")
                ax.set_title(title if i == 0 else "", fontsize=13, loc="left")
                if i < rows - 1:
                    ax.set_xticklabels([])
        middle = box.x0 + (columns * width - 0.03) / 2
        figure.text(middle, foot - 0.035, axis.name, ha="center", va="top", fontsize=14)
        for i in range(rows):
            _same_height(figure.axes[i::rows])
        _names(figure, drawn, others, beside=columns == 1)
    return ReportFigure(figure, finding, _described(panels, metric, axis, drawn))


def sweep_view(study: Study, records: pd.DataFrame, drawn: dict[str, str]) -> list[dict[str, Any]]:
    """The figures of every swept field, for the page; they are put into ``drawn``.

    Parameters
    ----------
    study : Study
    records : DataFrame
    drawn : dict of str to str
        SVG by file name.

    Returns
    -------
    list of dict
        Of each field ``field``, ``figures`` (``file`` and ``finding``), and ``said`` where it has none.
    """
    shown = []
    for field in study.sweep:
        entries = []
        for dataset in (d for d in study.datasets if len(records) and d in set(records["dataset"])):
            figure = sweep_figure(records, dataset, study.metric, study.sweep, field)
            if figure is not None:
                file = free_file(drawn, f"{file_part(dataset)}-against-{file_part(field)}.svg")
                drawn[file] = figure.svg()
                entries.append({"file": file, "finding": figure.finding})
        said = (
            f"{field} changes neither {label(study.metric)} nor the p99 latency of a single query: the tables tell what it does."
        )
        shown.append({"field": field, "figures": entries, "said": "" if entries else said})
    return shown


def _panels(
    records: pd.DataFrame, dataset: str, metric: str, sweep: Mapping[str, Sequence[Any]], axis: _Axis
) -> list[tuple[str, pd.DataFrame]]:
    """For each combination of what else is swept its title, and a table of the candidates at each value of the field."""
    import pandas as pd

    there = set(records.loc[records["dataset"] == dataset, "level"])
    others = {name: values for name, values in sweep.items() if name != axis.field}
    found = []
    for combination in itertools.product(*others.values()):
        chosen = {name: str(value) for name, value in zip(others, combination, strict=True)}
        tables = []
        for value, place in zip(axis.values, axis.places, strict=True):
            level = "; ".join({**chosen, axis.field: value}[name] for name in sweep)
            if level in there:
                table = comparison_table(records, dataset, metric, level=level)
                tables.append(table.assign(place=place, value=value))
        if len(tables) > 1:
            title = ", ".join(f"{name} = {value}" for name, value in chosen.items())
            found.append((title, pd.concat(tables, ignore_index=True)))
    if len(found) > MOST_PANELS:
        # The ends and the middle: what lies between is in the table.
        found = [found[0], found[len(found) // 2], found[-1]]
    return found or [("", pd.DataFrame({"candidate": [], metric: [], "p99_ms": []}))]


def _changes(table: pd.DataFrame, metric: str) -> bool:
    """Whether any candidate's score or p99 differs from value to value; what was judged twice on one measurement does not."""
    return any(len(set(own[c].dropna())) > 1 for _, own in table.groupby("candidate") for c in (metric, "p99_ms"))


def _that_matter(table: pd.DataFrame, metric: str) -> list[str]:
    """The best of each kind, the two whose score and whose p99 change most, and the best of the others; seven at most."""
    sign = 1 if QUANTITIES[metric].greater_is_better else -1
    each = table.dropna(subset=[metric]).groupby("candidate", sort=True)
    good = (sign * each[metric].max()).sort_values(ascending=False, kind="stable")
    kinds = dict(zip(table["candidate"], table["kind"], strict=True))
    wanted = [next((n for n in good.index if kinds[n] == kind), "") for kind in reversed(KIND_ORDER)]
    p99 = table[table["p99_ms"] > 0].groupby("candidate", sort=True)["p99_ms"]
    for moved in (each[metric].max() - each[metric].min(), p99.max() / p99.min()):
        wanted += list(moved.sort_values(ascending=False, kind="stable").index[:1])
    wanted += list(good.index)
    return [str(n) for n in dict.fromkeys(wanted) if n][: len(LINES)]


def _draw(ax: Axes, table: pd.DataFrame, column: str, axis: _Axis, drawn: Sequence[str], metric: str) -> None:
    """One panel: grey lines for those that matter less, then the others with their intervals."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if axis.log:
        ax.set_xscale("log")
    if column != metric:
        ax.set_yscale("log")
    for name, own in table.groupby("candidate", sort=True):
        if name not in drawn:
            ax.plot(own["place"], own[column], color="#c4c4c4", linewidth=1.2, zorder=1)
    span = (max(axis.places) - min(axis.places)) or 1.0
    for i, name in enumerate(drawn):
        own = table[table["candidate"] == name]
        colour, marker = LINES[i]
        # Set a little apart, or intervals at one value would hide each other.
        shift = (i - (len(drawn) - 1) / 2) * 0.006
        x = own["place"].to_numpy(float)
        x = x * (max(axis.places) / min(axis.places)) ** shift if axis.log else x + span * shift
        ax.plot(x, own[column], color=colour, marker=marker, markersize=8, linewidth=2, zorder=4)
        low, high = own[f"{column}_low"].to_numpy(float), own[f"{column}_high"].to_numpy(float)
        known = np.isfinite(low) & np.isfinite(high) & ((low > 0) | (column == metric))
        ax.vlines(x[known], low[known], high[known], color=colour, linewidth=1.5, alpha=0.5, zorder=3)
    matter = table[table["candidate"].isin(drawn)]
    ends = matter[[column, f"{column}_low", f"{column}_high"]].to_numpy(float)
    ends = ends[np.isfinite(ends) & ((ends > 0) | (column == metric))]
    if ends.size:
        ax.set_ylim(*_room(float(ends.min()), float(ends.max()), log=column != metric))
    ax.set_xticks(axis.places, axis.words)
    ax.minorticks_off()
    ticks(ax, log=False, log_y=column != metric)


def _room(low: float, high: float, *, log: bool) -> tuple[float, float]:
    if log:
        part = max(high / low, 2.0) ** 0.08
        return low / part, high * part
    part = 0.08 * ((high - low) or abs(high) or 1.0)
    return low - part, high + part


def _same_height(panels: Sequence[Axes]) -> None:
    """Panels of one row share one scale."""
    ends = [ax.get_ylim() for ax in panels]
    for ax in panels:
        ax.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))


def _names(figure: Any, drawn: Sequence[str], others: int, *, beside: bool) -> None:
    """Which line is whose: beside a lone panel, below several."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=8, linewidth=2, label=name)
        for name, (colour, marker) in zip(drawn, LINES, strict=False)
    ]
    if others > 0:
        handles.append(Line2D([], [], color="#c4c4c4", linewidth=1.2, label=f"{others} other{'s' if others > 1 else ''}"))
    if beside:
        figure.legend(handles=handles, loc="center left", bbox_to_anchor=(0.775, 0.5), frameon=False, labelcolor=QUIET)
    else:
        figure.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 0.0), ncols=4, frameon=False, labelcolor=QUIET)


def _finding(dataset: str, metric: str, table: pd.DataFrame, axis: _Axis, drawn: Sequence[str], title: str) -> str:
    """What the field does to the candidate that reaches the best score, as far as intervals tell."""
    words = dict(zip(axis.values, axis.words, strict=True))
    sign = 1 if QUANTITIES[metric].greater_is_better else -1
    there = table[table["candidate"].isin(drawn) & np.isfinite(table[metric])]
    best = there.loc[(sign * there[metric]).idxmax(), "candidate"]
    own = table[(table["candidate"] == best) & np.isfinite(table[metric])].sort_values("place")
    first, last = own.iloc[0], own.iloc[-1]
    span = f"from {words[first['value']]} to {words[last['value']]} {axis.name.removesuffix(', logarithmic')}"
    where = f"{dataset} ({title})" if title else dataset
    if _apart(first, last, metric):
        what = f"{best} goes from {score(first[metric])} to {score(last[metric])} {label(metric)}"
    else:
        ends = own[metric].min(), own[metric].max()
        what = f"the {label(metric)} of {best} stays within its intervals ({score(ends[0])} to {score(ends[1])})"
    known = all(math.isfinite(row["p99_ms"]) and row["p99_ms"] > 0 for row in (first, last))
    if not known:
        cost = ""
    elif _apart(first, last, "p99_ms"):
        cost = f", at {times(last['p99_ms'] / first['p99_ms'])} the p99"
    else:
        cost = f", at a p99 that is not told apart ({number(first['p99_ms'])} and {number(last['p99_ms'])} ms)"
    return f"{where}: {span}, {what}{cost}"


def _apart(first: pd.Series[Any], last: pd.Series[Any], column: str) -> bool:
    """Whether the intervals of a candidate at two values do not meet; false where there are none."""
    ends = [row[f"{column}{end}"] for row in (first, last) for end in ("_low", "_high")]
    return all(map(math.isfinite, ends)) and bool(ends[0] > ends[3] or ends[2] > ends[1])


def _described(panels: Sequence[tuple[str, pd.DataFrame]], metric: str, axis: _Axis, drawn: Sequence[str]) -> str:
    """The values of every line, for those who do not see it."""
    words = dict(zip(axis.values, axis.words, strict=True))
    parts = []
    for title, table in panels:
        for name in drawn:
            own = table[table["candidate"] == name].sort_values("place")
            points = [f"{words[r['value']]}: {score(r[metric])} and {number(r['p99_ms'])} ms" for r in own.to_dict("records")]
            parts.append(f"{name}{f' at {title}' if title else ''}, {'; '.join(points)}")
    return f"{label(metric)} and p99 latency of one query against {axis.name}. " + ". ".join(parts) + "."
