"""The figures: accuracy against cost with the Pareto front, and how latencies are spread.

Drawn on figure objects without pyplot, so they look the same in a notebook, a report and a test.
Each carries its finding as title, and a description for those who do not see it.

This module does *not* know the page that a figure stands on.
"""

from __future__ import annotations

import html
import io
import math
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shipworthy.records import QUANTITIES, Floats, Verdict
from shipworthy.reporting.labels import Line, place_labels
from shipworthy.reporting.tables import KIND_ORDER, comparison_table, level_order
from shipworthy.reporting.wording import KIND_WORDS, bounded, label, number, score, times

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

# Okabe and Ito's palette: told apart with any colour vision; shapes tell them apart without colour.
COLOURS = {"single": "#0072B2", "tree_ensemble": "#009E73", "ensemble": "#D55E00"}
MARKERS = {"single": "o", "tree_ensemble": "s", "ensemble": "D"}
INK, QUIET = "#1a1a1a", "#6b6b6b"
FAR_BELOW = 6
"""A score this many times further from the best than the median is drawn at the edge, or it would flatten all others."""


MANY_QUERIES = 1000
"""With fewer, less than ten are slower than p99, and its third digit is chance."""


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """A figure with its finding and its description in words; a notebook shows it as SVG."""

    figure: Figure
    finding: str
    description: str

    def svg(self) -> str:
        """The figure as an SVG element: the same bytes each time, named and described for screen readers."""
        import matplotlib as mpl

        out = io.StringIO()
        settings: dict[Any, Any] = {"svg.hashsalt": "shipworthy", "svg.fonttype": "none", "text.parse_math": False}
        with mpl.rc_context(settings), _any_script():
            self.figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        body = out.getvalue()
        body = body[body.index("<svg") :]
        # Several figures share a page: names of groups, which nothing refers to, would collide.
        body = re.sub(r'<g id="[^"]*"', "<g", body)
        body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
        finding, description = html.escape(self.finding), html.escape(self.description)
        head, rest = body.split(">", 1)
        return f'{head} role="img" aria-label="{finding}">\n<title>{finding}</title>\n<desc>{description}</desc>{rest}'

    def _repr_html_(self) -> str:
        # As HTML, not as SVG: the element stays in the page, with its description, and shrinks with the column.
        return self.svg().replace("<svg ", '<svg style="max-width:100%;height:auto;background:white" ', 1)


def pareto_front(cost: Floats, value: Floats, *, greater_is_better: bool = True) -> NDArray[np.bool_]:
    """Which points no other beats: none is as cheap and better, or as good and cheaper.

    Parameters
    ----------
    cost, value : ndarray of float, shape (n,)
        A point with a ``nan`` is never on the front.
    greater_is_better : bool
        Of ``value``; a smaller cost is always better.

    Returns
    -------
    ndarray of bool, shape (n,)

    Examples
    --------
    >>> pareto_front(np.array([1.0, 2.0, 3.0]), np.array([0.8, 0.9, 0.85])).tolist()
    [True, True, False]
    """
    good = value if greater_is_better else -value
    known = np.isfinite(cost) & np.isfinite(good)
    no_worse = (cost[:, None] <= cost) & (good[:, None] >= good)
    better = no_worse & ((cost[:, None] < cost) | (good[:, None] > good)) & known[:, None]
    front: NDArray[np.bool_] = known & ~better.any(axis=0)
    return front


def accuracy_against_cost(
    records: pd.DataFrame,
    dataset: str,
    cost: Literal["latency_ms", "memory_mib"] = "latency_ms",
    metric: str = "roc_auc",
    *,
    level: str | None = None,
    limit: float | None = None,
    verdicts: Sequence[Verdict] = (),
) -> ReportFigure:
    """Every candidate's accuracy against its p99 latency or its memory, with the Pareto front.

    Parameters
    ----------
    records : DataFrame
        Columns as the fields of :class:`~shipworthy.records.Record`.
    dataset : str
    cost : {"latency_ms", "memory_mib"}
    metric : str
    level : str, optional
        One level of what was swept; left out, the first.
    limit : float, optional
        A required limit, drawn where it is in sight.
    verdicts : sequence of Verdict
        The title takes its gain, with the interval, from one of that data set and level. Without them it tells of these test rows
        alone.

    Returns
    -------
    ReportFigure

    Raises
    ------
    ValueError
        If there are no records of the data set.
    """
    column = {"latency_ms": "p99_ms", "memory_mib": "memory_mib"}[cost]
    what = {"latency_ms": "p99", "memory_mib": "memory"}[cost]
    words = {"latency_ms": "p99 latency of one query (ms)", "memory_mib": "memory above an idle interpreter (MiB)"}[cost]
    table = comparison_table(records, dataset, metric, level=level)
    greater = QUANTITIES[metric].greater_is_better
    if level is None:
        level = min(records.loc[records["dataset"] == dataset, "level"], key=level_order)
    here = [v for v in verdicts if (v.dataset, v.level) == (dataset, level)]
    finding = _finding(table, dataset, metric, column, what, here)
    table = table[np.isfinite(table[column]) & np.isfinite(table[metric])].reset_index(drop=True)
    with theme():
        figure, ax = canvas(finding, 6.2)
        if table.empty:
            return _nothing(figure, ax, finding, f"no candidate has both {label(metric)} and {words}")
        x, y = table[column].to_numpy(float), table[metric].to_numpy(float)
        below = _far_below(y, greater)
        log = bool((x > 0).all()) and (cost == "latency_ms" or x.max() / x.min() > 10)
        if log:
            ax.set_xscale("log")
        _limits(ax, table, column, metric, below, log=log, greater=greater)
        front = pareto_front(x, y, greater_is_better=greater)
        lines = _draw_front(ax, x, y, front)
        edge = ax.get_ylim()[0]
        span = abs(ax.get_ylim()[1] - edge)
        shown = np.where(below, edge + (0.04 * span if greater else -0.04 * span), y)
        lines += _draw_points(ax, table, column, metric, shown, below)
        if limit is not None and ax.get_xlim()[0] < limit < ax.get_xlim()[1]:
            ax.axvline(limit, color=QUIET, linestyle=(0, (4, 3)), linewidth=1.5, zorder=1)
            lines.append(((limit, ax.get_ylim()[0]), (limit, ax.get_ylim()[1])))
            unit = QUANTITIES[cost].unit
            ax.text(
                limit,
                0.02,
                f" limit {limit:g} {unit}",
                transform=ax.get_xaxis_transform(),
                color=QUIET,
                ha="right",
                rotation=90,
            )
        ax.set_xlabel(words + (", logarithmic" if log else ""))
        ax.set_ylabel(f"{label(metric)} on test rows ({'higher' if greater else 'lower'} is better)")
        ticks(ax, log=log)
        legend(figure, table["kind"].tolist(), front=True, below=bool(below.any()))
        texts = [f"{name} {score(v)} ↓" if low else name for name, v, low in zip(table["candidate"], y, below, strict=True)]
        place_labels(ax, x, shown, texts, [COLOURS[k] for k in table["kind"]], lines)
    described = "; ".join(
        f"{r['candidate']}: {label(metric)} {score(r[metric])}, "
        f"{words} {bounded(r[column], r[f'{column}_low'], r[f'{column}_high'])[0]}"
        for r in table.to_dict("records")
    )
    on_front = ", ".join(table["candidate"][front])
    return ReportFigure(figure, finding, f"{described}. On the Pareto front: {on_front}.")


def latency_distribution(
    samples: pd.DataFrame,
    dataset: str,
    *,
    kinds: Mapping[str, str] | None = None,
    level: str | None = None,
    limit: float | None = None,
) -> ReportFigure:
    """How the single-stream latencies of every candidate are spread, on one logarithmic scale.

    Parameters
    ----------
    samples : DataFrame
        Raw values: ``dataset``, ``candidate``, ``level``, ``quantity``, ``scenario``, ``batch_size``, ``round``, ``value``.
    dataset : str
    kinds : mapping of str to str, optional
        Kind of each candidate, for its colour.
    level : str, optional
        One level of what was swept; left out, the first.
    limit : float, optional
        A required p99 limit, drawn where it is in sight.

    Returns
    -------
    ReportFigure
    """
    kinds = kinds or {}
    values = _latencies(samples, dataset, level)
    order = sorted(values, key=lambda name: (float(np.median(np.concatenate(values[name]))), name))
    with theme():
        if not order:
            finding = f"{dataset}: no latencies were measured"
            figure, ax = canvas(finding, 3.0)
            return _nothing(figure, ax, finding, "there are no raw latencies")
        p99 = {name: nearest_rank(np.concatenate(values[name]), 99) for name in order}
        p50 = {name: nearest_rank(np.concatenate(values[name]), 50) for name in order}
        tailed = max(order, key=lambda name: p99[name] / p50[name])
        fewest = min(sum(map(len, values[name])) for name in order)
        finding = (
            f"{dataset}: the median query takes from {number(p50[order[0]])} ms ({order[0]}) to {number(p50[order[-1]])} ms "
            f"({order[-1]}); p99 is at most {times(p99[tailed] / p50[tailed])} the median ({tailed}), seen in {fewest:,} queries"
        )
        figure, ax = canvas(finding, 2.6 + 0.55 * len(order), left=0.235)
        ax.set_xscale("log")
        for row, name in enumerate(order):
            _draw_spread(ax, row, values[name], COLOURS[kinds.get(name, "single")])
            ax.annotate(
                f"{_tail(p99[name], sum(map(len, values[name])))} ms",
                (max(v.max() for v in values[name]), row),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                color=INK,
            )
        ax.set_yticks(range(len(order)), order)
        ax.set_ylim(-0.6, len(order) - 0.4)
        low, high = min(v.min() for r in values.values() for v in r), max(v.max() for r in values.values() for v in r)
        ax.set_xlim(low / 1.15, high * (high / low) ** 0.16)
        if limit is not None and ax.get_xlim()[0] < limit < ax.get_xlim()[1]:
            ax.axvline(limit, color=QUIET, linestyle=(0, (4, 3)), linewidth=1.5, zorder=1)
        ax.set_xlabel("latency of one query (ms), logarithmic")
        ax.grid(visible=False, axis="y")
        ticks(ax, log=True, y=False)
        legend(figure, [kinds.get(n, "single") for n in order], spread=True)
    counted = {n: sum(map(len, values[n])) for n in order}
    described = "; ".join(f"{n}: p50 {number(p50[n])} ms, p99 {_tail(p99[n], counted[n])} ms" for n in order)
    return ReportFigure(figure, finding, described + ".")


def _tail(p99_ms: float, n: int) -> str:
    """A p99 with the digits that so many queries allow: it rests on the slowest hundredth of them.

    Examples
    --------
    >>> _tail(12.345, 460), _tail(12.345, 5000)
    ('12', '12.3')
    """
    return number(p99_ms, 2 if n < MANY_QUERIES else 3)


@contextmanager
def _any_script() -> Iterator[None]:
    """No complaint of characters that matplotlib's font lacks: an SVG holds text, and the reader's fonts show it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


@contextmanager
def theme() -> Iterator[None]:
    """Seaborn's theme for as long as a figure is made; nobody else's figures change."""
    import matplotlib as mpl
    import seaborn as sns

    # A name may hold a dollar sign: nothing here is mathematics.
    style: dict[Any, Any] = {
        "text.parse_math": False,
        "axes.edgecolor": "#9a9a9a",
        "text.color": INK,
        "axes.labelcolor": INK,
        "grid.color": "#e4e4e4",
    }
    sizes: dict[Any, Any] = {
        "font.size": 14,
        "axes.labelsize": 14,
        "xtick.labelsize": 13,
        "ytick.labelsize": 13,
        "legend.fontsize": 13,
    }
    with (
        sns.axes_style("whitegrid"),
        mpl.rc_context({**style, **sizes, "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"]}),
        _any_script(),
    ):
        yield


def canvas(title: str, height: float, left: float = 0.11) -> tuple[Figure, Axes]:
    """A figure with its finding as title and one pair of axes; ``height`` in inches, without the title."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Two lines of like length read better than one and a word.
    width = 72 if len(title) <= 72 else min(72, len(title) // math.ceil(len(title) / 68) + 8)
    lines = textwrap.wrap(title, width) or [""]
    figure = Figure(figsize=(10.5, height + 0.3 * len(lines)), facecolor="white")
    FigureCanvasAgg(figure)
    tall = float(figure.get_size_inches()[1])
    ax = figure.add_axes((left, 1.3 / tall, 0.97 - left, 1 - (1.3 + 0.25 + 0.3 * len(lines)) / tall))
    figure.text(0.02, 1 - 0.12 / tall, "\n".join(lines), fontsize=15, fontweight="bold", va="top", linespacing=1.25)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return figure, ax


def _nothing(figure: Figure, ax: Axes, finding: str, why: str) -> ReportFigure:
    ax.set_axis_off()
    ax.text(0.5, 0.5, f"Nothing to draw: {why}.", ha="center", va="center", wrap=True)
    return ReportFigure(figure, finding, f"Nothing to draw: {why}.")


def _finding(table: pd.DataFrame, dataset: str, metric: str, column: str, what: str, verdicts: Sequence[Verdict] = ()) -> str:
    """What the best ensemble gains over the baseline that decides, all by out-of-fold score, and what that costs."""
    sign = 1 if QUANTITIES[metric].greater_is_better else -1
    ranked = table.assign(_good=sign * table[f"{metric}_oof"].fillna(table[metric])).dropna(subset=[metric])
    ranked = ranked.sort_values(["_good", "candidate"], ascending=[False, True])
    ensembles = ranked[ranked["kind"] == "ensemble"]
    baselines = [ranked[ranked["kind"] == kind].iloc[0] for kind in KIND_ORDER[:2] if (ranked["kind"] == kind).any()]
    if ranked.empty:
        return f"{dataset}: nothing was scored"
    if ensembles.empty or not baselines:
        best = ranked.iloc[0]
        # It was chosen out of fold, so on test rows another may be ahead.
        return f"{dataset}: {best['candidate']} is the best out of fold, with {score(best[metric])} {label(metric)} on test rows"
    ours = ensembles.iloc[0]
    # The verdict needs both baselines, so the one over which less is gained decides.
    theirs = min(baselines, key=lambda row: sign * (ours[metric] - row[metric]))
    gain = sign * (ours[metric] - theirs[metric])
    shown = _shown_gain(ours["candidate"], theirs["candidate"], verdicts)
    if not shown:
        side = "better" if gain >= 0 else "worse"
        shown = f"scores {abs(gain):.4f} {label(metric)} {side} than {theirs['candidate']} on these test rows"
    return f"{dataset}: {ours['candidate']} {shown}{_cost_words(ours, theirs, column, what)}"


def _shown_gain(ours: str, theirs: str, verdicts: Sequence[Verdict]) -> str:
    """A gain as it was judged, which is called one only where its interval leaves no doubt; empty where it was not judged."""
    compared = [c for v in verdicts if v.candidate == ours for c in v.comparisons if c.baseline == theirs]
    if not compared or math.isnan(compared[0].gain.low):
        return ""
    gain, metric = compared[0].gain, label(compared[0].metric)
    ends = f"({gain.low:+.4f} to {gain.high:+.4f})"
    if gain.low > 0 or gain.high < 0:
        verb, joint = ("gains", "over") if gain.value >= 0 else ("loses", "to")
        return f"{verb} {abs(gain.value):.4f} {metric} {joint} {theirs} {ends}"
    if gain.low == gain.high == 0:
        return f"scores as {theirs} does,"
    return f"is not told apart from {theirs} by {metric}, {gain.value:+.4f} {ends},"


def _cost_words(ours: pd.Series[Any], theirs: pd.Series[Any], column: str, what: str) -> str:
    """The ratio of two costs, where their intervals tell them apart; nothing where a cost or its interval is not known."""
    if not (math.isfinite(ours[column]) and math.isfinite(theirs[column]) and min(ours[column], theirs[column]) > 0):
        return ""
    low, high = f"{column}_low", f"{column}_high"
    ends = [ours[low], ours[high], theirs[low], theirs[high]]
    if any(map(math.isnan, ends)):
        return ""
    if ours[low] > theirs[high] or theirs[low] > ours[high]:
        return f" at {times(ours[column] / theirs[column])} the {what}"
    return f" at about the same {what}" if 2 / 3 < ours[column] / theirs[column] < 1.5 else f" at a {what} that is not told apart"


def _far_below(y: Floats, greater: bool) -> NDArray[np.bool_]:
    good = y if greater else -y
    away = good.max() - good
    far: NDArray[np.bool_] = (away > FAR_BELOW * np.median(away)) & (np.median(away) > 0) & (len(y) > 3)
    return far


def _limits(
    ax: Axes, table: pd.DataFrame, column: str, metric: str, below: NDArray[np.bool_], *, log: bool, greater: bool
) -> None:
    seen = table[~below]
    low = np.nanmin(np.r_[seen[metric], seen[f"{metric}_low"]])
    high = np.nanmax(np.r_[seen[metric], seen[f"{metric}_high"]])
    pad = (high - low) or abs(high) * 0.01 or 1.0
    ends = (low - (0.22 if below.any() and greater else 0.1) * pad, high + (0.22 if below.any() and not greater else 0.1) * pad)
    ax.set_ylim(ends if greater else ends[::-1])
    x = table[column].to_numpy(float)
    if log:
        room = max(x.max() / x.min(), 4) ** 0.12
        ax.set_xlim(x.min() / room, x.max() * room**1.6)
    else:
        span = (x.max() - x.min()) or abs(x.max()) or 1.0
        ax.set_xlim(x.min() - 0.1 * span, x.max() + 0.2 * span)


def _draw_front(ax: Axes, x: Floats, y: Floats, front: NDArray[np.bool_]) -> list[Line]:
    order = np.argsort(x[front], kind="stable")
    along, up = x[front][order].tolist(), y[front][order].tolist()
    ax.step(along, up, where="post", color="#8a8a8a", linewidth=2, zorder=2)
    flat = [((a, v), (b, v)) for a, b, v in zip(along, along[1:], up, strict=False)]
    return flat + [((b, v), (b, w)) for b, v, w in zip(along[1:], up, up[1:], strict=False)]


def _draw_points(ax: Axes, table: pd.DataFrame, column: str, metric: str, shown: Floats, below: NDArray[np.bool_]) -> list[Line]:
    bars: list[Line] = []
    for i, row in enumerate(table.to_dict("records")):
        colour = COLOURS[row["kind"]]
        own = [] if below[i] else _bars(row, column, metric)
        bars += own
        marker = ("v" if below[i] else MARKERS[row["kind"]], "white" if below[i] else colour)
        ax.plot(
            [row[column]],
            [shown[i]],
            marker=marker[0],
            markersize=11,
            markerfacecolor=marker[1],
            markeredgecolor=colour,
            zorder=4,
        )
        for start, end in own:
            ax.plot([start[0], end[0]], [start[1], end[1]], color=colour, linewidth=1.6, alpha=0.55, zorder=3)
    return bars


def _bars(row: dict[Any, Any], column: str, metric: str) -> list[Line]:
    """Error bars, each only where both ends are known."""
    bars: list[Line] = []
    low, high = row[f"{metric}_low"], row[f"{metric}_high"]
    if math.isfinite(low) and math.isfinite(high):
        bars.append(((row[column], low), (row[column], high)))
    low, high = row[f"{column}_low"], row[f"{column}_high"]
    if math.isfinite(low) and math.isfinite(high) and low > 0:
        bars.append(((low, row[metric]), (high, row[metric])))
    return bars


def _draw_spread(ax: Axes, row: int, rounds: list[Floats], colour: str) -> None:
    """One strip a round, so that rounds that disagree are seen to."""
    height = 0.72 / len(rounds)
    for i, values in enumerate(rounds):
        y = row + (i - (len(rounds) - 1) / 2) * height
        ax.plot([values.min(), values.max()], [y, y], color=colour, linewidth=1, alpha=0.7, zorder=2)
        for (low, high), alpha in (((5, 95), 0.3), ((25, 75), 0.75)):
            left, right = (nearest_rank(values, q) for q in (low, high))
            ax.barh(y, right - left, left=left, height=height * 0.8, color=colour, alpha=alpha, linewidth=0, zorder=3)
        ax.plot([nearest_rank(values, 50)], [y], marker="|", markersize=9, color="white", markeredgewidth=2, zorder=4)
        ax.plot([nearest_rank(values, 99)], [y], marker="d", markersize=7, color=INK, linestyle="none", zorder=5)


def _latencies(samples: pd.DataFrame, dataset: str, level: str | None) -> dict[str, list[Floats]]:
    if samples.empty:
        return {}
    here = samples[
        (samples["dataset"] == dataset) & (samples["quantity"] == "latency_ms") & (samples["scenario"] == "single_stream")
    ]
    here = here[(here["batch_size"] == 1) & (here["value"] > 0)]
    if level is None and len(here):
        level = min(here["level"], key=level_order)
    here = here[here["level"] == level]
    out: dict[str, list[Floats]] = {}
    for (name, _, _), part in here.groupby(["candidate", "seed", "round"]):
        out.setdefault(str(name), []).append(part["value"].to_numpy(float))
    return out


def nearest_rank(values: Floats, q: float) -> float:
    """As ``Measurement.percentile``."""
    return float(np.sort(values)[max(0, math.ceil(q * values.size / 100) - 1)])


def ticks(ax: Axes, *, log: bool, y: bool = True, log_y: bool = False) -> None:
    """Ticks as plain numbers, few enough to read; ``log`` speaks of the horizontal axis, ``log_y`` of the upright one."""
    from matplotlib.ticker import MaxNLocator

    if log:
        _log_ticks(ax.xaxis, *ax.get_xlim(), 1e3)
    if log_y:
        _log_ticks(ax.yaxis, *ax.get_ylim(), 1e4)
    elif y:
        ax.yaxis.set_major_locator(MaxNLocator(6))


def _log_ticks(axis: Axis, low: float, high: float, most: float) -> None:
    """1, 2, 5 in each power of ten, or the powers alone where the ends are ``most`` times apart."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    def plain(value: float, _: int) -> str:
        return f"{value:,.10g}" if value >= 1e-4 else f"{value:.10f}".rstrip("0")

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < most else (1.0,)))
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(plain))


def legend(figure: Figure, kinds: list[str], *, front: bool = False, spread: bool = False, below: bool = False) -> None:
    """What colours and shapes mean, in one line below the axes."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    for kind in (k for k in KIND_ORDER if k in kinds):
        if spread:
            handles.append(Patch(color=COLOURS[kind], label=KIND_WORDS[kind]))
        else:
            handles.append(
                Line2D([], [], color=COLOURS[kind], marker=MARKERS[kind], markersize=10, linestyle="none", label=KIND_WORDS[kind])
            )
    if front:
        handles.append(Line2D([], [], color="#8a8a8a", linewidth=2, label="Pareto front"))
    if below:
        handles.append(
            Line2D(
                [], [], color=QUIET, marker="v", markersize=10, markerfacecolor="white", linestyle="none", label="off the scale"
            )
        )
    if spread:
        handles.append(Line2D([], [], color=INK, marker="d", markersize=7, linestyle="none", label="p99 (in ms at the right)"))
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.01, 0.005), ncols=len(handles), frameon=False, handletextpad=0.4
    )
