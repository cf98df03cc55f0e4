"""How many members, drawn: accuracy and cost against size, strength against diversity, and trees alone and together.

This module does *not* know how anything was counted, measured or simulated.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.records import QUANTITIES, Floats
from shipworthy.reporting.figures import INK, QUIET, ReportFigure, canvas, theme, ticks
from shipworthy.reporting.labels import place_labels
from shipworthy.reporting.wording import label, number, score, times

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = (("#009E73", "s"), ("#D55E00", "D"), ("#0072B2", "o"), ("#CC79A7", "^"))
"""Colour and shape of each thing that is counted, from Okabe and Ito's palette."""
HELPS, HURTS = "#0072B2", "#D55E00"
PANELS = (
    ("p50_ms", "one query\n(ms)", 1.55),
    ("memory_mib", "memory\n(MiB)", 1.2),
    ("fit_cpu_s", "fit\n(CPU s)", 1.2),
)
"""Below the accuracy: what is drawn, its words, and its height in inches."""


def accuracy_by_size(views: Sequence[Mapping[str, Any]]) -> ReportFigure:
    """Accuracy with its interval over latency, memory and training cost, all against size on one logarithmic scale.

    Parameters
    ----------
    views : sequence of mapping
        As from ``experiments.size_view``, all of one data set, metric and kind of size; at most four.

    Returns
    -------
    ReportFigure
        The knee is marked, and the sizes within which resamples put it.
    """
    first = views[0]
    metric, what = first["metric"], first["what"]
    finding = f"{first['dataset']}: {'; '.join(_bend(view) for view in views)}"
    said = []
    with theme():
        figure, axes = _panels(finding, (3.0, *(height for _, _, height in PANELS)))
        for (colour, shape), view in zip(LINES, views, strict=False):
            rows = view["rows"]
            sizes = [row["size"] for row in rows]
            test, low, high = (np.array([row[key] for row in rows]) for key in ("test", "low", "high"))
            axes[0].fill_between(sizes, low, high, color=colour, alpha=0.18, linewidth=0)
            axes[0].plot(sizes, test, color=colour, marker=shape, markersize=8, linewidth=2, label=view["candidate"])
            at = sizes.index(view["knee"])
            axes[0].axvspan(view["knee_low"], view["knee_high"], ymax=0.045, color=colour, alpha=0.5, linewidth=0)
            axes[0].plot([view["knee"]], [test[at]], marker="o", markersize=19, markerfacecolor="none", markeredgecolor=INK,
                         markeredgewidth=2, linestyle="none", zorder=5)  # fmt: skip
            _costs(axes[1:], rows, sizes, colour, shape)
            said += [f"{view['candidate']} with {row['size']:,} {what}: {_described(row, metric)}" for row in rows]
        better = "higher" if QUANTITIES[metric].greater_is_better else "lower"
        axes[0].set_ylabel(f"{label(metric)}\n({better} is better)")
        for ax, (_, words, _) in zip(axes[1:], PANELS, strict=True):
            ax.set_ylabel(words)
        simulated = any(view["how"] == "simulated" for view in views)
        words = f"{what} (latency and memory are simulated)" if simulated else what
        _size_axis(axes, sorted({row["size"] for view in views for row in view["rows"]}), words)
        _size_legend(figure, views)
    return ReportFigure(figure, finding, "; ".join(said) + ".")


def size_columns(view: Mapping[str, Any]) -> pd.DataFrame:
    """Every size in one table: accuracy, what it takes, and what the next step gains and costs.

    Parameters
    ----------
    view : mapping
        As from ``experiments.size_view``.

    Returns
    -------
    DataFrame
        Columns of nothing but gaps are left out.
    """
    import pandas as pd

    metric, simulated = label(view["metric"]), " (simulated)" if view["how"] == "simulated" else ""
    rows = []
    for row in view["rows"]:
        own = {view["what"]: row["size"], "which": row["members"]}
        own[f"{metric}"] = f"{score(row['test'])} ({score(row['low'])} to {score(row['high'])})"
        own[f"p50 (ms){simulated}"], own[f"p99 (ms){simulated}"] = number(row["p50_ms"]), number(row["p99_ms"])
        own[f"memory (MiB){simulated}"], own["on disk (MiB)"] = number(row["memory_mib"], 4), number(row["size_mib"])
        own["fit (CPU s)"] = number(row["fit_cpu_s"])
        own["the next step gains"] = _ends(row, "next_gain", 4)
        own["and costs more a month (USD)"] = _money(row["extra_usd_month"])
        own["for each 0.001, at least (USD)"] = _money(row["at_least_usd"])
        own["left over a month (USD)"] = _ends(row, "net_usd_month", 2)
        rows.append(own)
    table = pd.DataFrame(rows)
    nothing = {"", number(None)}
    return table[[c for c in table.columns if not set(map(str, table[c])) <= nothing]]


def strength_and_diversity(votes: pd.DataFrame, dataset: str, error: str, sentence: str) -> ReportFigure:
    """Every vote by how far its average member is behind its best, and by how much its members differ.

    Parameters
    ----------
    votes : DataFrame
        ``members``, ``size``, ``ambiguity``, ``behind``, ``gain``: the most useful vote first.
    dataset, error : str
        What the error is called.
    sentence : str
        The finding.

    Returns
    -------
    ReportFigure
        Above the diagonal the vote beats its best member, below it does not.
    """
    finding = f"{dataset}: {sentence}"
    x, y, gain = (votes[c].to_numpy(dtype=float) for c in ("behind", "ambiguity", "gain"))
    log = bool((x > 0).all() and (y > 0).all())
    with theme():
        figure, ax = canvas(finding, 6.4, left=0.135)
        if log:
            ax.set_xscale("log")
            ax.set_yscale("log")
        low, high = (min(x.min(), y.min()) / 1.6, max(x.max(), y.max()) * 1.8) if log else (0.0, 1.1 * max(x.max(), y.max()))
        ax.set_xlim(low, high)
        ax.set_ylim(low, high)
        ax.plot([low, high], [low, high], color=INK, linewidth=1.5, linestyle="--", zorder=1)
        ax.fill_between([low, high], [low, high], [high, high], color=HELPS, alpha=0.07, linewidth=0)
        ax.fill_between([low, high], [low, low], [low, high], color=HURTS, alpha=0.07, linewidth=0)
        for helps, colour in ((True, HELPS), (False, HURTS)):
            for pair, shape in ((True, "o"), (False, "s")):
                here = ((gain > 0) == helps) & ((votes["size"].to_numpy() == 2) == pair)
                ax.plot(x[here], y[here], marker=shape, markersize=9, color=colour, alpha=0.75, linestyle="none", zorder=3)
        ax.text(0.03, 0.97, "averaging beats the best member", transform=ax.transAxes, va="top", color=HELPS)
        ax.text(0.97, 0.03, "averaging hurts", transform=ax.transAxes, ha="right", color=HURTS)
        ax.set_xlabel(f"weakness: how far the average member is behind the best ({error})")
        ax.set_ylabel(f"diversity: how far members lie\nfrom their mean ({error})")
        ticks(ax, log=log, log_y=log)
        told = {0, len(votes) - 1}
        texts = [_vote_words(row) if i in told else "" for i, row in enumerate(votes.to_dict("records"))]
        steps = (np.geomspace if log else np.linspace)(low, high, 60).tolist()
        diagonal = [((a, a), (b, b)) for a, b in itertools.pairwise(steps)]
        place_labels(ax, x, y, texts, [HELPS if g > 0 else HURTS for g in gain], diagonal)
        _kinds_of_votes(figure)
    listed = (f"{m}: weakness {number(a)}, diversity {number(b)}" for m, a, b in zip(votes["members"], x, y, strict=True))
    return ReportFigure(figure, finding, "; ".join(listed) + ".")


def pair_columns(pairs: pd.DataFrame) -> pd.DataFrame:
    """Every two members, how alike they err and what their vote is worth, under names that people read.

    Parameters
    ----------
    pairs : DataFrame
        Columns as the fields of a pair, as from ``experiments.why_averaging``.

    Returns
    -------
    DataFrame
    """
    names = {
        "one": "one",
        "other": "other",
        "error_correlation": "error correlation",
        "disagreement": "disagreement",
        "q_statistic": "Q",
        "ambiguity": "diversity",
        "behind": "weakness",
        "gain": "gain over the better one",
    }
    digits = {"error_correlation": 2, "disagreement": 3, "q_statistic": 2, "ambiguity": 4, "behind": 4, "gain": 4}
    shown = {
        words: pairs[key]
        if key not in digits
        else [number(None) if math.isnan(v) else f"{v:.{digits[key]}f}" for v in pairs[key]]
        for key, words in names.items()
    }
    return type(pairs)(shown)


def trees_together(running: Floats, single: float, limit: float, error: str, sentence: str) -> ReportFigure:
    """The error of means of more and more trees, between that of one tree and what no number of them gets below.

    Parameters
    ----------
    running : ndarray of float64, shape (n_trees,)
        Error of the mean of the first 1, 2, ... trees.
    single, limit : float
    error, sentence : str
        What the error is called, and the finding.

    Returns
    -------
    ReportFigure
    """
    n = np.arange(1, len(running) + 1)
    with theme():
        figure, ax = canvas(sentence, 5.4)
        ax.set_xscale("log", base=2)
        ax.plot(n, running, color="#009E73", linewidth=2.5, label="the first trees of this forest")
        law = limit + (single - limit) / n
        ax.plot(n, law, color=INK, linewidth=1.8, linestyle=":", label="any so many of its trees, on average: limit + gap / n")
        # Each at the end that the line is far from.
        ends = ((n[-1], single, f"one tree alone: {number(single)}", "right"), (n[0], limit, f"limit: {number(limit)}", "left"))
        for end, at, words, side in ends:
            ax.axhline(at, color=QUIET, linewidth=1.5, linestyle="--", zorder=1)
            up = side == "right"
            ax.annotate(words, (end, at), xytext=(0, 4 if up else -4), textcoords="offset points", ha=side,
                        va="bottom" if up else "top", color=INK)  # fmt: skip
        gap = max(single, float(running.max())) - limit
        ax.set_ylim(limit - 0.16 * gap, max(single, float(running.max())) + 0.14 * gap)
        ax.set_ylabel(f"{error} on test rows\n(lower is better)")
        _size_axis([ax], [int(2**k) for k in range(int(math.log2(len(running))) + 1)], "trees")
        ticks(ax, log=False)
        figure.legend(loc="lower left", bbox_to_anchor=(0.01, 0.005), ncols=2, frameon=False, fontsize=12)
    shown = sorted({1, 2, 10, 100, len(running)} & set(n.tolist()))
    told = "; ".join(f"{k:,} trees {number(float(running[k - 1]))}" for k in shown)
    return ReportFigure(figure, sentence, f"{error}: {told}; one tree on average {number(single)}, limit {number(limit)}.")


def _bend(view: Mapping[str, Any]) -> str:
    """What going on from the knee gains, and what it takes."""
    rows = view["rows"]
    at, last = next(r for r in rows if r["size"] == view["knee"]), rows[-1]
    sign = 1 if QUANTITIES[view["metric"]].greater_is_better else -1
    gain = sign * (last["test"] - at["test"])
    one = view["what"].removesuffix("s")
    text = f"{view['candidate']} bends at {at['size']:,} {view['what'] if at['size'] > 1 else one}"
    if at is rows[0]:
        text = f"the knee of {view['candidate']} is its start, {at['size']:,} {one if at['size'] == 1 else view['what']}"
    if at is last:
        return text
    # A difference of two means on the same rows: the table beside has the interval of each step.
    moved = f"scores {abs(gain):.4f} {label(view['metric'])} {'better' if gain >= 0 else 'worse'} on these test rows"
    key = "p50_ms" if math.isfinite(at["p50_ms"]) else "p99_ms"
    return f"{text}; going on to {last['size']:,} {moved}, at {times(last[key] / at[key])} the {key[:3]}"


def _costs(axes: Sequence[Axes], rows: Sequence[Mapping[str, Any]], sizes: Sequence[int], colour: str, shape: str) -> None:
    """Latency, memory and training cost of one thing; of latency also the p99."""
    for ax, (key, _, _) in zip(axes, PANELS, strict=True):
        values = np.array([row[key] for row in rows], dtype=float)
        if np.isfinite(values).any():
            ax.plot(sizes, values, color=colour, marker=shape, markersize=6, linewidth=2)
        if key == "p50_ms":
            p99 = [row["p99_ms"] for row in rows]
            # What is simulated has no median: the p99 is then all there is.
            line = "-" if np.isnan(values).all() else ":"
            ax.plot(sizes, p99, color=colour, marker="_", markersize=13, markeredgewidth=2.5, linewidth=1.3, linestyle=line)


def _panels(title: str, heights: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """A figure with panels below each other that share the horizontal axis; heights in inches."""
    gap = 0.22
    figure, whole = canvas(title, sum(heights) + gap * (len(heights) - 1) + 1.4)
    box = whole.get_position()
    whole.remove()
    tall = float(figure.get_size_inches()[1])
    axes: list[Axes] = []
    top = box.y1
    for height in heights:
        shared = axes[0] if axes else None
        ax = figure.add_axes((0.115, top - height / tall, 0.855, height / tall), sharex=shared)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
        axes.append(ax)
        top -= (height + gap) / tall
    return figure, axes


def _size_axis(axes: Sequence[Axes], sizes: Sequence[int], what: str) -> None:
    """Sizes on a logarithmic axis, those that were looked at as ticks."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    few = max(sizes) < 20
    for ax in axes:
        if not few:
            ax.set_xscale("log", base=2)
        ax.set_xticks(list(sizes), [f"{size:,}" for size in sizes])
        ax.minorticks_off()
        ax.tick_params(labelbottom=ax is axes[-1])
        if ax is not axes[0] and (spread := _spread(ax)) > 8:
            ax.set_yscale("log")
            ticks(ax, log=False, log_y=True)
            if spread > 30:
                ax.yaxis.set_major_locator(LogLocator(subs=(1.0,)))
        else:
            ax.yaxis.set_major_locator(MaxNLocator(5 if ax is axes[0] else 3))
    axes[-1].set_xlabel(f"{what}{'' if few else ', logarithmic'}")
    figure = axes[0].get_figure(root=True)
    if figure is not None:
        figure.align_ylabels(list(axes))


def _spread(ax: Axes) -> float:
    """How many times the least of what is drawn the most is: what is drawn over orders of magnitude needs a logarithmic axis."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in ax.get_lines()] or [np.ones(1)])
    values = values[np.isfinite(values)]
    return float(values.max() / values.min()) if values.size and values.min() > 0 else 1.0


def _size_legend(figure: Figure, views: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D([], [], color=colour, marker=shape, markersize=8, linewidth=2, label=view["candidate"])
        for (colour, shape), view in zip(LINES, views, strict=False)
    ]
    handles.append(Line2D([], [], color=INK, marker="o", markersize=13, markerfacecolor="none", linestyle="none", label="knee"))
    handles.append(Patch(color=QUIET, alpha=0.5, label="where resamples put it"))
    handles.append(Line2D([], [], color=QUIET, marker="_", markersize=12, markeredgewidth=2.5, linestyle=":", label="p99"))
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.01, 0.005), ncols=len(handles), frameon=False, fontsize=12,
        handletextpad=0.4, columnspacing=1.2,
    )  # fmt: skip


def _kinds_of_votes(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    shapes = (("o", "two members"), ("s", "three or more"))
    handles = [Line2D([], [], color=QUIET, marker=m, markersize=9, linestyle="none", label=words) for m, words in shapes]
    handles.append(Line2D([], [], color=INK, linewidth=1.5, linestyle="--", label="diversity = weakness"))
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.01, 0.005), ncols=3, frameon=False)


def _vote_words(row: Mapping[Any, Any]) -> str:
    """A vote and what it is worth beside its best member."""
    who = row["members"] if row["size"] < 4 else f"{row['size']} members"
    return f"{who}: {'gains' if row['gain'] > 0 else 'loses'} {abs(row['gain']):.2g}"


def _described(row: Mapping[str, Any], metric: str) -> str:
    low, high = score(row["low"]), score(row["high"])
    text = f"{label(metric)} {score(row['test'])} ({low} to {high}), p99 {number(row['p99_ms'])} ms"
    return f"{text}, memory {number(row['memory_mib'])} MiB, fit {number(row['fit_cpu_s'])} CPU s"


def _ends(row: Mapping[str, Any], key: str, decimals: int) -> str:
    """A value with the ends of its interval; nothing where it is not known."""
    value, low, high = (row[k] for k in (key, f"{key}_low", f"{key}_high"))
    if not math.isfinite(value):
        return number(None)
    return f"{value:+,.{decimals}f} ({low:+,.{decimals}f} to {high:+,.{decimals}f})"


def _money(amount: float) -> str:
    """Dollars with cents; a cent or less is none."""
    if not math.isfinite(amount):
        return number(amount)
    return f"{amount + 0.0:,.2f}" if abs(amount) >= 0.01 else "0"
