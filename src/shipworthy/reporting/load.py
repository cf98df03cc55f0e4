"""What happens under load, drawn: why a mean lies, latency by batch size, latency by arrival rate.

This module does *not* know how anything was measured or fitted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.records import InputError
from shipworthy.reporting.figures import INK, QUIET, ReportFigure, canvas, nearest_rank, theme, ticks
from shipworthy.reporting.wording import cost, free_file, number, place_part

if TYPE_CHECKING:
    import pandas as pd

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8a8a8a")
SHAPES = "osD^vPX*"
HIGHEST = "highest rate kept (queries/s)"
OUTCOMES = {"met": ("o", "shown to keep the limit"), "undecided": ("D", "too close to say"), "missed": ("X", "misses it")}


def why_a_mean_lies(requests_ms: Sequence[float]) -> ReportFigure:
    """The latencies of a few requests, their mean, their median and their slowest.

    Parameters
    ----------
    requests_ms : sequence of float
        At least two, above 0.

    Returns
    -------
    ReportFigure

    Raises
    ------
    InputError
        If there are fewer than two, or one is not above 0.

    Examples
    --------
    >>> why_a_mean_lies([100, 102, 100, 100, 99, 104, 110, 90, 3000, 95]).finding
    'The mean says 390 ms, which none of the 10 requests took: half took 100 ms or less, one 3,000 ms'
    """
    values = np.asarray(requests_ms, dtype=float)
    if values.size < 2 or not (np.isfinite(values) & (values > 0)).all():
        raise InputError("requests_ms must be at least two numbers above 0, the milliseconds of single requests")
    mean, median, slowest = float(values.mean()), nearest_rank(values, 50), float(values.max())
    near = int((np.abs(values / mean - 1) < 0.1).sum())
    how_many = "none" if near == 0 else f"{near}"
    finding = (
        f"The mean says {number(mean)} ms, which {how_many} of the {values.size} requests took: "
        f"half took {number(median)} ms or less, one {number(slowest)} ms"
    )
    with theme():
        figure, ax = canvas(finding, 4.8)
        positions = np.arange(1, values.size + 1)
        ax.bar(positions, values, color=["#D55E00" if v == slowest else "#0072B2" for v in values], width=0.7)
        for at, colour, name in ((mean, INK, "mean"), (median, "#009E73", "median (p50)")):
            ax.axhline(at, color=colour, linewidth=2, linestyle="--" if name == "mean" else "-")
            ax.annotate(
                f"{name}: {number(at)} ms",
                (0.45, at),
                xytext=(0, 4),
                textcoords="offset points",
                ha="left",
                va="bottom",
                color=colour,
            )
        ax.set_yscale("log")
        ax.set_xticks(positions)
        ax.set_xlim(0.4, values.size + 0.6)
        ax.set_xlabel("request")
        ax.set_ylabel("latency (ms), logarithmic")
        ticks(ax, log=False, log_y=True)
        ax.grid(visible=False, axis="x")
    listed = ", ".join(number(v) for v in values)
    return ReportFigure(figure, finding, f"Latencies in ms, in order: {listed}.")


def batch_curve(curve: Sequence[Mapping[str, Any]], dataset: str, ranking: str) -> ReportFigure:
    """Median and p99 of a call by the number of its rows, a line for each candidate, on logarithmic scales.

    Parameters
    ----------
    curve : sequence of mapping
        Rows with ``candidate``, ``batch_size``, ``p50_ms``, ``p99_ms``.
    dataset : str
    ranking : str
        The finding: whether the order at one row is that in bulk.

    Returns
    -------
    ReportFigure
    """
    finding = f"{dataset}: {ranking}"
    names = list(dict.fromkeys(row["candidate"] for row in curve))
    said = []
    with theme():
        figure, ax = canvas(finding, 6.0)
        for i, name in enumerate(names):
            own = sorted((row for row in curve if row["candidate"] == name), key=lambda row: row["batch_size"])
            rows = [row["batch_size"] for row in own]
            p50, p99 = ([row[key] for row in own] for key in ("p50_ms", "p99_ms"))
            colour = PALETTE[i % len(PALETTE)]
            ax.fill_between(rows, p50, p99, color=colour, alpha=0.18, linewidth=0)
            ax.plot(rows, p50, marker=SHAPES[i % len(SHAPES)], markersize=8, linewidth=2, color=colour, label=name)
            said.append(f"{name} {number(p50[0])} ms for {rows[0]:,} and {number(p50[-1])} ms for {rows[-1]:,}")
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        sizes = sorted({row["batch_size"] for row in curve})
        shown = sizes[:: max(1, math.ceil(len(sizes) / 7))]
        ax.set_xticks(shown, [f"{size:,}" for size in shown])
        ax.minorticks_off()
        ax.set_xlabel("rows in one call, logarithmic (line: median; shade: up to p99)")
        ax.set_ylabel("time of the call (ms), logarithmic")
        ticks(ax, log=False, log_y=True)
        figure.legend(
            loc="lower left", bbox_to_anchor=(0.01, 0.005), ncols=min(4, max(1, len(names))), frameon=False, fontsize=12
        )
    return ReportFigure(figure, finding, "; ".join(said) + ".")


def latency_by_rate(
    trials: Sequence[Mapping[str, Any]], highest: Sequence[Mapping[str, Any]], dataset: str, *, limit_ms: float
) -> ReportFigure:
    """p99 of latency at every arrival rate that was tried, a line for each candidate, with the limit.

    Parameters
    ----------
    trials : sequence of mapping
        Rows with ``candidate``, ``rate_per_s``, ``p99_ms``, ``outcome``.
    highest : sequence of mapping
        Rows with ``candidate`` and ``met``, the highest rate that was met.
    dataset : str
    limit_ms : float

    Returns
    -------
    ReportFigure
    """
    finding = f"{dataset}: {_rates_shown(highest, limit_ms)}"
    said = []
    with theme():
        figure, ax = canvas(finding, 6.0)
        for i, name in enumerate(row["candidate"] for row in highest):
            own = sorted((t for t in trials if t["candidate"] == name), key=lambda t: t["rate_per_s"])
            colour = PALETTE[i % len(PALETTE)]
            ax.plot([t["rate_per_s"] for t in own], [t["p99_ms"] for t in own], color=colour, linewidth=2, label=name)
            for t in own:
                ax.plot([t["rate_per_s"]], [t["p99_ms"]], marker=OUTCOMES[t["outcome"]][0], markersize=11, color=colour)
            said += [f"{name} at {number(t['rate_per_s'])}/s: p99 {number(t['p99_ms'])} ms, {t['outcome']}" for t in own]
        for marker, words in OUTCOMES.values():
            ax.plot([], [], marker=marker, markersize=10, linewidth=0, color=QUIET, label=words)
        ax.axhline(limit_ms, color=INK, linewidth=1.5, linestyle="--")
        ax.annotate(f"limit {number(limit_ms)} ms", (0.01, limit_ms), xycoords=("axes fraction", "data"), xytext=(0, 4),
                    textcoords="offset points", va="bottom")  # fmt: skip
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("arrivals per second (Poisson), logarithmic")
        ax.set_ylabel("p99 latency from when due (ms), logarithmic")
        ticks(ax, log=True, log_y=True)
        figure.legend(loc="lower left", bbox_to_anchor=(0.01, 0.005), ncols=3, frameon=False, fontsize=12)
    return ReportFigure(figure, finding, "; ".join(said) + ".")


def _rates_shown(highest: Sequence[Mapping[str, Any]], limit_ms: float) -> str:
    """What each candidate was shown to carry: no more may be possible than was tried, and what was not shown is not refuted."""
    kept = sorted((row for row in highest if row["met"] > 0), key=lambda row: -row["met"])
    silent = ", ".join(row["candidate"] for row in highest if not row["met"] > 0)
    limit = f"p99 is shown to stay under {number(limit_ms)} ms"
    if not kept:
        return f"{limit} at no rate that was tried"
    rates = [f"{row['met']:,.0f}" + (" queries/s" if i == 0 else "") for i, row in enumerate(kept)]
    rates = [f"at {rate} with {row['candidate']}" for rate, row in zip(rates, kept, strict=True)]
    return f"{limit} {', '.join(rates)}" + (f"; at no rate tried with {silent}" if silent else "")


def load_table(
    *,
    rate_per_s: float,
    highest: Sequence[Mapping[str, Any]],
    rates: Sequence[Mapping[str, Any]],
    laws: Sequence[Mapping[str, Any]],
    imports: Sequence[Mapping[str, Any]],
) -> pd.DataFrame:
    """What each candidate carries: highest rate, latency at the traffic, what a call costs, memory with all imports.

    Parameters
    ----------
    rate_per_s : float
        The traffic.
    highest, rates, laws, imports : sequence of mapping
        Rows, as from ``experiments.under_load``.

    Returns
    -------
    DataFrame
        One row a candidate.
    """
    import pandas as pd

    rows: dict[str, dict[str, float]] = {}
    for row in highest:
        rows.setdefault(row["candidate"], {})[HIGHEST] = row["met"]
    for row in rates:
        if row["rate_per_s"] == rate_per_s:
            rows.setdefault(row["candidate"], {})[f"p99 at {rate_per_s:,.0f}/s (ms)"] = row["p99_ms"]
    for row in laws:
        own = rows.setdefault(row["candidate"], {})
        own["a call costs (ms)"], own["and a row (microseconds)"] = row["fixed_ms"], 1000 * row["per_row_ms"]
    for row in imports:
        rows.setdefault(row["candidate"], {})["memory with all imports (MiB)"] = row["full_memory_mib"]
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index.name = "candidate"
    return frame.map(lambda v: float(f"{v:.4g}") if np.isfinite(v) else math.nan)


def load_view(loads: Sequence[Mapping[str, Any]], drawn: dict[str, str]) -> list[dict[str, Any]]:
    """What the page shows of each data set that was put under load; the figures are put into ``drawn``.

    Parameters
    ----------
    loads : sequence of mapping
        As from ``experiments.under_load``, as plain values.
    drawn : dict of str to str
        SVG by file name.

    Returns
    -------
    list of dict
    """
    from shipworthy.reporting.recipes import recipe_sentence, told_figure

    views = []
    for found in loads:
        place = place_part(found["dataset"], found["level"])
        shown: list[tuple[str, ReportFigure]] = []
        if found["curve"]:
            shown.append(("batches", batch_curve(found["curve"], found["dataset"], found["ranking"])))
        if found["rates"]:
            rates = latency_by_rate(found["rates"], found["highest"], found["dataset"], limit_ms=found["limit_ms"])
            shown.append(("rates", rates))
        if found["told"]:
            shown.append(("told", told_figure(found["told"], found["findings"])))
        figures = []
        for name, figure in shown:
            file = free_file(drawn, f"{place}-{name}.svg")
            drawn[file] = figure.svg()
            figures.append({"file": file, "finding": figure.finding})
        silent = {row["candidate"] for row in found["highest"] if not row["met"] > 0}
        rows = {key: found[key] for key in ("highest", "rates", "laws", "imports")}
        table = load_table(rate_per_s=found["rate_per_s"], **rows)
        views.append(
            {
                "title": found["dataset"] + (f" ({found['level']})" if found["level"] else ""),
                "columns": list(table.columns),
                "rows": [
                    {
                        "candidate": name,
                        "cells": [
                            "none shown" if column == HIGHEST and name in silent else cost(value)
                            for column, value in table.loc[name].items()
                        ],
                    }
                    for name in table.index
                ],
                "figures": figures,
                "sentences": [
                    *(row["sentence"] for row in found["highest"]),
                    *found["threads"],
                    *(row["sentence"] for row in found["laws"]),
                    *found["overtakings"],
                    found["portability_sentence"],
                ],
                "told": [recipe_sentence(finding) for finding in found["findings"]],
            }
        )
    return views


def curve_table(loads: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Every batch size of every curve: percentiles and rows a second.

    Parameters
    ----------
    loads : sequence of mapping

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    columns = ["dataset", "level", "seed", "candidate", "batch_size", "calls", "p50_ms", "p95_ms", "p99_ms", "rows_s"]
    rows = [{**{k: found[k] for k in columns[:3]}, **row} for found in loads for row in found["curve"]]
    return pd.DataFrame(rows, columns=columns)


def rate_table(loads: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Every rate that was tried, and what came of it.

    Parameters
    ----------
    loads : sequence of mapping

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    columns = ["dataset", "level", "seed", "candidate", "rate_per_s", "n", "over", "p50_ms", "p99_ms", "at_most_ms"]
    columns += ["utilisation", "outcome"]
    rows = [{**{k: found[k] for k in columns[:3]}, **row} for found in loads for row in found["rates"]]
    return pd.DataFrame(rows, columns=columns)
