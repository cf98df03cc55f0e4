"""Figures and tables that the notebooks show one at a time, each for one idea.

This module does *not* know the report, which shows everything at once.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.records import QUANTITIES, Comparison, RequirementVerdict
from shipworthy.reporting.figures import COLOURS, INK, MARKERS, QUIET, ReportFigure, canvas, legend, nearest_rank, theme, ticks
from shipworthy.reporting.wording import cell, label, number, score, times, times_the_limit

if TYPE_CHECKING:
    import pandas as pd

SERVING_COLUMNS = {
    ("latency_ms", "p50", "single_stream"): "p50 (ms)",
    ("latency_ms", "p95", "single_stream"): "p95 (ms)",
    ("latency_ms", "p99", "single_stream"): "p99 (ms)",
    ("build_ms", "p50", "single_stream"): "of it building the row (ms)",
    ("preprocess_ms", "p50", "single_stream"): "of it preprocessing (ms)",
    ("model_ms", "p50", "single_stream"): "of it the model (ms)",
    ("rest_ms", "p50", "single_stream"): "of it the rest (ms)",
    ("import_ms", "mean", "none"): "import (ms)",
    ("load_ms", "mean", "none"): "load (ms)",
    ("first_call_ms", "mean", "none"): "first call (ms)",
    ("memory_mib", "mean", "none"): "memory (MiB)",
    ("size_mib", "mean", "none"): "on disk (MiB)",
}


def accuracy_intervals(records: pd.DataFrame, dataset: str, *, metric: str = "roc_auc") -> ReportFigure:
    """Each candidate's score on test rows with its interval, best on top.

    Parameters
    ----------
    records : DataFrame
        Columns as the fields of :class:`~shipworthy.records.Record`.
    dataset : str
    metric : str

    Returns
    -------
    ReportFigure
    """
    greater = QUANTITIES[metric].greater_is_better
    here = (records["dataset"] == dataset) & (records["quantity"] == metric) & (records["statistic"] == "test")
    table = records[here].sort_values("value", ascending=greater, ignore_index=True, na_position="first")
    best, second = table.iloc[-1], table.iloc[-2] if len(table) > 1 else table.iloc[-1]
    others = table.iloc[:-1]
    meet = others[~((others["low"] > best["high"]) | (others["high"] < best["low"]))]["candidate"].tolist()
    finding = f"{dataset}: {best['candidate']} scores highest, {score(best['value'])} {label(metric)}"
    if len(table) > 1:
        whose = f"that of {meet[0]}" if len(meet) == 1 else f"those of {len(meet)} others"
        finding += (
            f"; its interval overlaps {whose}" if meet else f"; its interval does not overlap that of {second['candidate']}"
        )
    with theme():
        figure, ax = canvas(finding, 2.6 + 0.5 * len(table), left=0.235)
        for row, r in enumerate(table.to_dict("records")):
            ax.plot([r["low"], r["high"]], [row, row], color=COLOURS[r["kind"]], linewidth=3, alpha=0.6)
            ax.plot([r["value"]], [row], marker=MARKERS[r["kind"]], markersize=11, color=COLOURS[r["kind"]])
        ax.set_yticks(range(len(table)), table["candidate"])
        ax.set_ylim(-0.6, len(table) - 0.4)
        worst = table.iloc[0]
        others = table.iloc[1:]
        if len(others) > 2 and abs(worst["value"] - others["value"].median()) > 8 * np.ptp(others["value"]) > 0:
            # One hopeless candidate would squeeze the others into a line.
            ends = (others["low"].min(), others["high"].max())
            pad = 0.15 * (ends[1] - ends[0])
            ax.set_xlim(ends[0] - pad, ends[1] + pad)
            ax.annotate(
                f"{score(worst['value'])}, off the scale",
                (0.02 if greater else 0.98, 0),
                xycoords=("axes fraction", "data"),
                va="center",
                ha="left" if greater else "right",
                color=QUIET,
            )
        better = "higher" if greater else "lower"
        ax.set_xlabel(f"{label(metric)} on {int(best['n']):,} test rows, with its interval ({better} is better)")
        ax.grid(visible=False, axis="y")
        legend(figure, table["kind"].tolist())
    described = "; ".join(
        f"{r['candidate']} {score(r['value'])} ({score(r['low'])} to {score(r['high'])})" for r in table[::-1].to_dict("records")
    )
    return ReportFigure(figure, finding, described + ".")


def gain_intervals(gains: Sequence[Comparison], *, metric: str) -> ReportFigure:
    """What each candidate gains over the baseline on the same test rows, with the interval of the difference.

    Parameters
    ----------
    gains : sequence of Comparison
        All against one baseline.
    metric : str

    Returns
    -------
    ReportFigure
    """
    ordered = sorted(gains, key=lambda c: c.gain.value)
    with theme():
        if not ordered:
            figure, ax = canvas("There is only one candidate, so nothing to compare", 2.0)
            ax.set_axis_off()
            return ReportFigure(figure, "There is only one candidate, so nothing to compare", "Nothing to draw.")
        unsure = [c.challenger for c in ordered if not (c.gain.low > 0 or c.gain.high < 0)]
        baseline = ordered[0].baseline
        finding = f"{len(unsure)} of {len(ordered)} candidates cannot be told apart from {baseline}"
        if len(unsure) == 0:
            finding = f"Every candidate can be told apart from {baseline}"
        figure, ax = canvas(finding, 2.6 + 0.5 * len(ordered), left=0.235)
        for row, c in enumerate(ordered):
            colour = QUIET if c.challenger in unsure else "#009E73" if c.gain.value > 0 else "#D55E00"
            ax.plot([c.gain.low, c.gain.high], [row, row], color=colour, linewidth=3, alpha=0.6)
            ax.plot([c.gain.value], [row], marker="o", markersize=11, color=colour)
            ax.annotate(f"{c.gain.value:+.4f}", (c.gain.value, row), xytext=(0, 10), textcoords="offset points", ha="center")
        ax.axvline(0, color=INK, linewidth=1.5)
        ax.set_yticks(range(len(ordered)), [c.challenger for c in ordered])
        ax.set_ylim(-0.6, len(ordered) - 0.2)
        ax.set_xlabel(f"gain in {label(metric)} over {baseline}, on the same test rows (right is better)")
        ax.grid(visible=False, axis="y")
    described = "; ".join(f"{c.challenger} {c.gain.value:+.4f} ({c.gain.low:+.4f} to {c.gain.high:+.4f})" for c in ordered[::-1])
    return ReportFigure(figure, finding, described + ".")


def cost_per_row(samples: pd.DataFrame, dataset: str) -> ReportFigure:
    """The median time of one row, alone and in batches, for every candidate, on logarithmic scales.

    Parameters
    ----------
    samples : DataFrame
        As from ``experiments.samples_of``.
    dataset : str

    Returns
    -------
    ReportFigure
    """
    here = samples[(samples["dataset"] == dataset) & (samples["quantity"] == "latency_ms")]
    medians = (
        here.groupby(["candidate", "batch_size"])["value"].apply(lambda v: nearest_rank(v.to_numpy(float), 50)).reset_index()
    )
    medians["per_row"] = medians["value"] / medians["batch_size"]
    wide = medians.pivot_table(index="candidate", columns="batch_size", values="per_row")
    largest = max((int(size) for size in wide.columns), default=1)
    if largest == 1 or 1 not in wide or (wide[1] / wide[largest]).isna().all():
        finding = f"{dataset}: no candidate was measured both alone and in batches"
        with theme():
            figure, ax = canvas(finding, 2.0)
            ax.set_axis_off()
        return ReportFigure(figure, finding, "Nothing to draw.")
    alone, bulk = wide[1], wide[largest]
    factor = alone / bulk
    most = str(factor.idxmax())
    finding = (
        f"{dataset}: a row of {most} takes {number(float(alone[most]))} ms alone and {number(float(bulk[most]))} ms "
        f"in a batch of {largest:,}, {times(float(factor.max()))} less"
    )
    palette = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8a8a8a")
    with theme():
        figure, ax = canvas(finding, 5.6)
        ends = []
        for i, name in enumerate(wide.index):
            line = wide.loc[name].dropna()
            colour = palette[i % len(palette)]
            ax.plot(line.index, line.to_numpy(), marker="osD^vPX*"[i % 8], markersize=9, linewidth=2, color=colour, label=name)
            ends.append(f"{name}: {', '.join(f'{number(v)} ms in batches of {b:,}' for b, v in line.items())}")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(list(wide.columns), [f"{b:,}" for b in wide.columns])
        ax.minorticks_off()
        ax.set_xlabel("rows in one call, logarithmic")
        ax.set_ylabel("median time of a row (ms), logarithmic")
        ticks(ax, log=False, log_y=True)
        figure.legend(loc="lower left", bbox_to_anchor=(0.01, 0.005), ncols=min(4, len(wide)), frameon=False, fontsize=12)
    return ReportFigure(figure, finding, "; ".join(ends) + ".")


def accuracy_table(records: pd.DataFrame) -> pd.DataFrame:
    """Every metric of every candidate on the test rows, each with its interval, as text.

    Parameters
    ----------
    records : DataFrame

    Returns
    -------
    DataFrame
        One row a candidate, one column a metric.
    """
    test = records[records["statistic"] == "test"]
    cells = test.assign(cell=[f"{score(v)} ({score(a)} to {score(b)})" for v, a, b in zip(*_ends(test), strict=True)])
    return cells.pivot_table(index="candidate", columns="quantity", values="cell", aggfunc="first", sort=False)


def facts_table(facts: pd.Series[Any]) -> str:
    """Names and values below each other, as HTML for a notebook: nothing is cut off, long values wrap.

    Parameters
    ----------
    facts : Series
        Its index are the names.

    Returns
    -------
    str
        A table; names and values are escaped.

    Examples
    --------
    >>> import pandas as pd
    >>> facts_table(pd.Series({"rows": 569, "licence": "CC BY <4.0>"})).count("&lt;4.0&gt;")
    1
    """
    style = "text-align:left;vertical-align:top;white-space:normal;overflow-wrap:anywhere"
    rows = "".join(
        f"<tr><th scope='row' style='{style};min-width:8em'>{html.escape(str(name))}</th>"
        f"<td style='{style};max-width:70ch'>{html.escape(cell(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table><tbody>{rows}</tbody></table>"


def wide_table(frame: pd.DataFrame) -> str:
    """A table as HTML for a notebook: text wraps to the left and is never cut off, numbers stand right and are rounded.

    Parameters
    ----------
    frame : DataFrame
        Its index is shown where it has a name, or holds anything but row numbers.

    Returns
    -------
    str
        A table; names and values are escaped.

    Examples
    --------
    >>> import pandas as pd
    >>> "1,235" in wide_table(pd.DataFrame({"candidate": ["vote"], "memory (MiB)": [1234.5678]}))
    True
    """
    import pandas as pd

    numbered = isinstance(frame.index, pd.RangeIndex) and frame.index.name is None
    shown = frame if numbered else frame.reset_index()
    text = "text-align:left;vertical-align:top;white-space:normal;overflow-wrap:break-word;max-width:48ch"
    right = "text-align:right;vertical-align:top;font-variant-numeric:tabular-nums"
    columns = list(shown.columns)
    styles = [right if shown.dtypes.iloc[i].kind in "iuf" else text for i in range(len(columns))]
    cells = zip(*(shown.iloc[:, i] for i in range(len(columns))), strict=True)
    head = "".join(f"<th scope='col' style='{s}'>{html.escape(str(c))}</th>" for c, s in zip(columns, styles, strict=True))
    rows = "".join(
        "<tr>" + "".join(f"<td style='{s}'>{html.escape(cell(v))}</td>" for v, s in zip(row, styles, strict=True)) + "</tr>"
        for row in cells
    )
    # The table scrolls by itself where it is wider than the notebook.
    return f"<div style='overflow-x:auto'><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"


def _ends(records: pd.DataFrame) -> tuple[list[float], list[float], list[float]]:
    return records["value"].tolist(), records["low"].tolist(), records["high"].tolist()


def serving_table(records: pd.DataFrame) -> pd.DataFrame:
    """What serving each candidate costs: percentiles, the parts of a query, the cold start, memory.

    Parameters
    ----------
    records : DataFrame

    Returns
    -------
    DataFrame
        One row a candidate, fastest first.
    """
    keys = list(zip(records["quantity"], records["statistic"], records["scenario"], strict=True))
    shown = records.assign(column=[SERVING_COLUMNS.get(k, "") for k in keys])
    shown = shown[(shown["column"] != "") & (shown["batch_size"] <= 1)]
    table = shown.pivot_table(index="candidate", columns="column", values="value")
    present = [c for c in SERVING_COLUMNS.values() if c in table.columns]
    return table[present].sort_values(present[:1]).map(lambda v: math.nan if math.isnan(v) else float(f"{v:.4g}"))


def requirement_matrix(verdicts: Sequence[RequirementVerdict]) -> pd.DataFrame:
    """Who keeps which limit: met, missed or undecided, with what was observed.

    Parameters
    ----------
    verdicts : sequence of RequirementVerdict

    Returns
    -------
    DataFrame
        One row a data set and candidate, one column a requirement.
    """
    import pandas as pd

    rows = [
        {
            "dataset": v.dataset,
            "candidate": v.candidate,
            "level": v.level,
            "requirement": v.requirement,
            "cell": f"{v.outcome} ({number(v.observed)}{f', {times_the_limit(v.times_off)}' if v.times_off > 1 else ''})",
        }
        for v in verdicts
    ]
    frame = pd.DataFrame(rows, columns=["dataset", "candidate", "level", "requirement", "cell"])
    keys = ["dataset", "candidate", *(["level"] if frame["level"].any() else [])]
    return frame.pivot_table(index=keys, columns="requirement", values="cell", aggfunc="first", sort=False)


def pick_cards(picks: Sequence[Mapping[str, Any]]) -> str:
    """What a benchmark-chaser would ship and what the requirements would, as HTML for a notebook.

    Parameters
    ----------
    picks : sequence of mapping
        As from ``feasibility.picks``.

    Returns
    -------
    str
        A table; names are escaped.
    """
    rows = []
    style = "text-align:left;vertical-align:top"
    for pick in picks:
        where = f"{pick['dataset']}{', ' + pick['level'] if pick['level'] else ''}"
        chosen = [pick[who] for who in ("benchmark_chaser", "requirements")]
        cells = [where, *(f"{p['candidate'] or 'nothing'}. {p['reason']}" for p in chosen)]
        rows.append("<tr>" + "".join(f"<td style='{style}'>{html.escape(c)}</td>" for c in cells) + "</tr>")
    titles = ("data set", "a benchmark-chaser would ship", "the requirements would ship")
    head = "".join(f"<th style='text-align:left'>{t}</th>" for t in titles)
    beside = [b["sentence"] for pick in picks for b in pick.get("bigger_single", ())]
    more = f"<p>A bigger single model instead? {' '.join(html.escape(b) for b in beside)}</p>" if beside else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{more}"
