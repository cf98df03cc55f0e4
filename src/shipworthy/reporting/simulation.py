"""Ensembles that nobody has built, drawn: the front, one member more, the price of greed, cascades, what each member is worth.

Each figure takes what was simulated of one data set as a mapping of plain values, with the fields of ``experiments.Simulated``.

This module does *not* know how anything was simulated or measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.records import QUANTITIES, Floats
from shipworthy.reporting.figures import INK, QUIET, ReportFigure, canvas, theme, ticks
from shipworthy.reporting.labels import Dot, place_labels
from shipworthy.reporting.wording import label, number, percent, score, times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
PALE = "#b9b9b9"
OF_LINES = (BLUE, ORANGE, GREEN)
SHAPES = "osD"
OF_WAYS = {"every subset": "*", "top 3": "^", "greedy": "v", "greedy, weighted": "P", "greedy, charged for costs": "X"}
OF_WAYS |= {"beam": "d", "convex weights": "h"}
WORTH = {
    "gain": "{metric} gained",
    "latency_ms": "p99 latency (ms)",
    "memory_mib": "memory (MiB)",
    "usd": "USD a million queries\n(estimate)",
}
FAR = 6
"""A score this many times further from the best than the median is drawn at the edge."""
FRONT_POINT, PALE_POINT, WAY_POINT, RING = 9.0, 3.0, 7.0, 13.0
"""Half the width in points, about: of the front, of all others, of what a way chose, and of the ring: better not covered."""
CURVE, NUMBER, STAR = 1.5, 13.0, 11.0
"""Likewise, in the figure of cascades: of a line, of a share in numbers, and of the pick."""
APART = 8
"""A member that takes this many times as long as another makes an axis logarithmic."""
TIE = 1e-6
"""Two scores nearer than this are the same."""


def title_of(found: Mapping[str, Any]) -> str:
    """The data set, and the level of what was swept.

    Examples
    --------
    >>> title_of({"dataset": "adult", "level": "100"})
    'adult (100)'
    """
    return str(found["dataset"]) + (f" ({found['level']})" if found["level"] else "")


def more_than_tried(found: Mapping[str, Any]) -> int:
    """How many members there are, where not every subset of them could be tried; else 0."""
    everyone = len(found.get("everyone", ()))
    return everyone if everyone > len(found["members"]) else 0


def _whose(found: Mapping[str, Any]) -> str:
    """What a finding begins with: the data set, and of which members it speaks where there are more.

    Examples
    --------
    >>> _whose({"dataset": "adult", "level": "", "members": ["a", "b"], "everyone": ["a", "b", "c"]})
    'adult, the 2 best of 3 members'
    """
    more = more_than_tried(found)
    return title_of(found) + (f", the {len(found['members'])} best of {more} members" if more else "")


def _greater(found: Mapping[str, Any]) -> bool:
    return QUANTITIES[found["metric"]].greater_is_better


def _better_by(found: Mapping[str, Any], ours: float, theirs: float) -> float:
    """How much better a value of the metric is than another; below 0 it is worse."""
    return ours - theirs if _greater(found) else theirs - ours


def _margin(difference: float) -> str:
    """How far apart two scores are, never nothing: that is for who asks to say.

    Examples
    --------
    >>> _margin(-0.00934), _margin(0.00002)
    ('0.0093', 'under 0.0001')
    """
    return f"{abs(difference):.4f}" if abs(difference) >= 0.00005 else "under 0.0001"


def short(members: str | Sequence[str]) -> str:
    """The members of an ensemble, or how many they are where their names would fill the figure.

    Examples
    --------
    >>> short("a + b"), short(["a", "b", "c", "d"])
    ('a + b', '4 members')
    """
    names = members.split(" + ") if isinstance(members, str) else list(members)
    return " + ".join(names) if len(names) < 3 else f"{len(names)} members"


def _up(ax: Axes, found: Mapping[str, Any], which: str) -> None:
    """Better is up."""
    if not _greater(found):
        ax.invert_yaxis()
    ax.set_ylabel(f"{label(found['metric'])} {which} ({'higher' if _greater(found) else 'lower'} is better)")


def ensemble_frontier(found: Mapping[str, Any], *, marked: Mapping[str, Any] | None = None) -> ReportFigure:
    """Every ensemble on paper, those that no other beats, the knee, and what each short cut would have taken.

    Parameters
    ----------
    found : mapping
    marked : mapping, optional
        A row of the front to point at instead of the knee, such as the pick of a budget.

    Returns
    -------
    ReportFigure
        The size of a point is the memory, its colour the number of members.
    """
    front = found["front"]
    bend = next(row for row in front if row["knee"])
    best = min(front, key=lambda row: -_better_by(found, row["oof"], 0.0))
    n = 2 ** len(found["members"]) - 1
    beaten = "one is" if len(front) == 1 else f"{len(front)} are"
    finding = f"{_whose(found)}: of {n:,} ensembles on paper {beaten} beaten by no other; the knee is {short(bend['members'])}"
    gain = _better_by(found, best["test"], bend["test"])
    if best["members"] != bend["members"]:
        more = "better" if gain >= 0 else "worse"
        finding += f", and the best out of fold scores {_margin(gain)} {label(found['metric'])} {more} on these test rows"
        finding += f" at {times(best['latency_ms'] / bend['latency_ms'])} its latency"
    with theme():
        figure, ax = canvas(finding, 6.4)
        edge = _cloud(figure, ax, found)
        told = {"your pick": marked} if marked else {"knee": bend}
        named = {row["members"] for row in told.values()}
        told |= {word: row for word, row in (("best", best), ("fastest", front[0])) if row["members"] not in named}
        x, y = (np.array([row[k] for row in told.values()]) for k in ("latency_ms", "test"))
        low = _worse_than(found, y, edge)
        shown = np.where(low, edge, y)
        texts = [
            f"{word}: {short(row['members'])}" + (f" {score(row['test'])} ↓" if far else "")
            for (word, row), far in zip(told.items(), low, strict=True)
        ]
        ax.plot(x[:1], shown[:1], marker="o", markersize=25, color="none", markeredgecolor=ORANGE, markeredgewidth=3, zorder=6)
        ax.set_xlabel("p99 latency of one query, predicted (ms), logarithmic")
        _up(ax, found, "on test rows")
        ticks(ax, log=True)
        # After the axis has been turned: they say where they stand on it.
        stacks = _way_points(ax, found)
        _way_legend(figure, found)
        # The ring around the first, and what each way chose.
        dots = [(float(x[0]), float(shown[0]), RING), *stacks]
        for rows, half in ((front, FRONT_POINT), (found["subsets"], PALE_POINT)):
            heights = np.array([row["test"] for row in rows])
            heights = np.where(_worse_than(found, heights, edge), edge, heights)
            dots += [(row["latency_ms"], height, half) for row, height in zip(rows, heights.tolist(), strict=True)]
        place_labels(ax, x, shown, texts, [ORANGE, *[INK] * (len(x) - 1)], dots=dots)
    said = "; ".join(
        f"{row['members']}: {score(row['test'])} at {number(row['latency_ms'])} ms, {number(row['memory_mib'])} MiB"
        for row in front
    )
    return ReportFigure(figure, finding, f"The front, all simulated: {said}.")


def _worse_than(found: Mapping[str, Any], values: Floats, edge: float) -> NDArray[np.bool_]:
    return np.asarray(values < edge if _greater(found) else values > edge)


def _cloud(figure: Figure, ax: Axes, found: Mapping[str, Any]) -> float:
    """All subsets, pale, and the front; returns the score at which those are drawn that are too bad to be on the scale."""
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm

    front, cloud = found["front"], found["subsets"]
    ax.set_xscale("log")
    sizes = len(found["members"])
    colours = mpl.colormaps["viridis_r"].resampled(sizes + 1)
    # The first colour of the scale is too pale to be seen on white.
    norm = BoundaryNorm(np.arange(-0.5, sizes + 1.5), sizes + 1)
    # What short cuts chose among more members may be better and slower than any subset that could be tried.
    every = np.array([row["test"] for row in (*front, *cloud, *found["ways"])])
    best = every.max() if _greater(found) else every.min()
    away = np.abs(every - best)
    # What is hopeless would press all else into a line.
    reach = float(away[away <= FAR * np.median(away)].max()) or 1e-4
    sign = 1 if _greater(found) else -1
    edge = float(best - sign * 1.06 * reach)
    ax.set_ylim(*sorted((float(best + sign * 0.15 * reach), float(best - sign * 1.16 * reach))))
    memory = [row["memory_mib"] for row in (*front, *cloud)]
    least, span = min(memory), (max(memory) - min(memory)) or 1.0
    for rows, colour, size in ((cloud, PALE, None), (front, None, 90.0)):
        values = np.array([row["test"] for row in rows])
        low = _worse_than(found, values, edge)
        x, y = np.array([row["latency_ms"] for row in rows]), np.where(low, edge, values)
        scale = np.array([(size or 0.0) + 260 * (row["memory_mib"] - least) / span for row in rows])
        for off, marker in ((False, "o"), (True, "v")):
            here = low == off
            shade: dict[str, Any] = {"color": colour, "linewidths": 0, "s": 26, "zorder": 2}
            if size:
                shade = {"c": np.array([row["size"] for row in rows])[here], "cmap": colours, "norm": norm, "s": scale[here]}
                shade |= {"edgecolors": INK, "linewidths": 1, "zorder": 4}
            ax.scatter(x[here], y[here], marker=marker, **shade)
    x = np.array([row["latency_ms"] for row in (*cloud, *front, *found["ways"])])
    ax.set_xlim(x.min() / 1.35, x.max() * 1.5)
    box = ax.get_position()
    ax.set_position((box.x0, box.y0, box.width - 0.06, box.height))
    bar = figure.colorbar(
        ScalarMappable(norm, colours),
        cax=figure.add_axes((box.x1 - 0.045, box.y0, 0.02, box.height * 0.86)),
        ticks=range(1, sizes + 1),
    )
    bar.ax.set_ylim(0.5, sizes + 0.5)
    figure.text(box.x1 - 0.055, box.y0 + box.height * 0.89, "members", fontsize=12)
    figure.text(
        0.98,
        0.012,
        f"size of a point: memory,\n{number(least)} to {number(max(memory))} MiB",
        fontsize=11,
        ha="right",
        linespacing=1.3,
    )
    return edge


def _way_points(ax: Axes, found: Mapping[str, Any]) -> list[Dot]:
    """What each way chose, those that chose nearly the same above each other; returns where they stand."""
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None
    scale = figure.dpi / 72
    stacked: list[tuple[Mapping[str, Any], float]] = []
    taken: list[tuple[float, float]] = []
    for way in sorted(found["ways"], key=lambda way: -_better_by(found, 0.0, way["test"])):
        x, y = ax.transData.transform((way["latency_ms"], way["test"]))
        above = 14.0
        while any(math.hypot(x - a, y + above * scale - b) < 10.5 * scale for a, b in taken):
            above += 1
        taken.append((x, y + above * scale))
        stacked.append((way, above))
    low, high = ax.get_ylim()
    tall = ax.bbox.height
    # The highest must not be cut off: what a point lies above the bottom shrinks, what its mark lies above it does not.
    room = [(way["test"] - low) / (high - low) * tall / (tall - (above + 9) * scale) for way, above in stacked]
    ax.set_ylim(low, low + max(1.0, *room) * (high - low))
    stacks: list[Dot] = []
    for way, above in stacked:
        moved = ax.transData + ScaledTranslation(0, above / 72, figure.dpi_scale_trans)
        ax.plot([way["latency_ms"]], [way["test"]], marker=OF_WAYS.get(way["way"], "+"), markersize=8, color="white",
                markeredgecolor=INK, markeredgewidth=1.3, transform=moved, zorder=7)  # fmt: skip
        middle = ax.transData.inverted().transform(moved.transform((way["latency_ms"], way["test"])))
        stacks.append((float(middle[0]), float(middle[1]), WAY_POINT))
    return stacks


def _way_legend(figure: Figure, found: Mapping[str, Any]) -> None:
    from matplotlib.lines import Line2D

    more = more_than_tried(found)
    of_all = f", of {more}" if more else ""
    handles = [Line2D([], [], linestyle="none", label=f"chosen by{of_all}")]
    handles += [
        Line2D([], [], marker=OF_WAYS.get(row["way"], "+"), markersize=9, color="white", markeredgecolor=INK, linestyle="none",
               label=row["way"]) for row in found["ways"]
    ]  # fmt: skip
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.0, 0.0), ncols=4, frameon=False, fontsize=11.5, handletextpad=0.1,
        columnspacing=1.0,
    )  # fmt: skip


def diminishing_return(found: Mapping[str, Any]) -> ReportFigure:
    """The best ensemble of each size, on the rows it was chosen on and on test rows.

    Parameters
    ----------
    found : mapping

    Returns
    -------
    ReportFigure
    """
    sizes = found["sizes"]
    best = min(sizes, key=lambda row: -_better_by(found, row["oof"], 0.0))
    first = sizes[0]
    gain = _better_by(found, best["test"], first["test"])
    metric = label(found["metric"])
    if best["size"] == 1:
        finding = f"{_whose(found)}: one member alone, {first['members']}, is as good out of fold as any vote"
    else:
        more = "better" if gain >= 0 else "worse"
        finding = f"{_whose(found)}: {best['size']} members are best out of fold; on these test rows they score {_margin(gain)}"
        finding += f" {metric} {more} than the best one, at {times(best['latency_ms'] / first['latency_ms'])} its latency"
    with theme():
        figure, ax = canvas(finding, 5.8)
        x = [row["size"] for row in sizes]
        oof, test = ([row[k] for row in sizes] for k in ("oof", "test"))
        ax.fill_between(x, oof, test, color=PALE, alpha=0.35, linewidth=0)
        ax.plot(x, oof, color=BLUE, marker="o", markersize=9, linewidth=2.5, label="out of fold, where it was chosen")
        ax.plot(x, test, color=ORANGE, marker="D", markersize=9, linewidth=2.5, label="on test rows")
        ax.plot([best["size"]], [best["oof"]], marker="o", markersize=20, markerfacecolor="none", markeredgecolor=INK,
                markeredgewidth=2, linestyle="none", label="best out of fold")  # fmt: skip
        ax.set_xticks(x, [f"{row['size']}\n{number(row['latency_ms'])}" for row in sizes])
        ax.set_xlim(0.6, len(x) + 0.4)
        ax.set_xlabel("members of the best vote of that size, and its predicted p99 latency (ms)")
        _up(ax, found, "of the vote")
        ax.set_ylabel(f"{metric} ({'higher' if _greater(found) else 'lower'} is better)")
        ticks(ax, log=False)
        figure.legend(loc="lower left", bbox_to_anchor=(0.01, 0.0), ncols=3, frameon=False, fontsize=12)
    said = "; ".join(
        f"{r['size']}: {r['members']}, {score(r['oof'])} out of fold and {score(r['test'])} on test rows" for r in sizes
    )
    return ReportFigure(figure, finding, said + ".")


def price_of_greed(found: Mapping[str, Any]) -> ReportFigure:
    """What each way to choose loses against the best of all subsets, where it chose and on test rows.

    Parameters
    ----------
    found : mapping

    Returns
    -------
    ReportFigure
    """
    ways = [row for row in found["ways"] if row["way"] != "every subset"]
    metric = label(found["metric"])
    greedy = next(row for row in ways if row["way"] == "greedy")
    price = "nothing" if abs(greedy["gap_oof"]) <= TIE else f"{_margin(greedy['gap_oof'])} {metric}"
    verb, more = "gains" if greedy["gap_oof"] < -TIE else "costs", more_than_tried(found)
    finding = (
        f"{title_of(found)}: out of fold, adding one member at a time{f' of all {more}' if more else ''} {verb} {price} "
        "beside trying all"
    )
    finding += f" {2 ** len(found['members']) - 1:,}" + (f" votes of the {len(found['members'])} best" if more else "")
    gained = [row for row in ways if row["gap_test"] < -TIE]
    finding += f"; on these test rows {len(gained)} of {len(ways)} short cuts score better" if gained else ""
    with theme():
        figure, ax = canvas(finding, 2.6 + 0.62 * len(ways), left=0.3)
        for y, row in enumerate(reversed(ways)):
            ax.plot([row["gap_oof"], row["gap_test"]], [y, y], color=PALE, linewidth=3, zorder=2)
            ax.plot([row["gap_oof"]], [y], marker="o", markersize=12, color=BLUE, linestyle="none", zorder=4,
                    label="out of fold, where it was chosen" if y == 0 else None)  # fmt: skip
            ax.plot([row["gap_test"]], [y], marker="D", markersize=10, color=ORANGE, linestyle="none", zorder=3,
                    label="on test rows" if y == 0 else None)  # fmt: skip
        ax.axvline(0, color=INK, linewidth=1.5)
        names = [f"{row['way']}\n{_how_many(row['members'])}, {number(row['latency_ms'])} ms" for row in reversed(ways)]
        ax.set_yticks(range(len(ways)), names, fontsize=12)
        ax.set_ylim(-0.6, len(ways) - 0.4)
        gaps = [row[k] for row in ways for k in ("gap_oof", "gap_test")]
        room = max(max(map(abs, gaps)) * 0.12, 1e-5)
        ax.set_xlim(min(0.0, *gaps) - room, max(0.0, *gaps) + room)
        whose = f" of the {len(found['members'])} best; left of 0 is better" if more else "; left of 0 is better than it"
        ax.set_xlabel(f"{metric} lost against the best of all subsets{whose}")
        ax.grid(visible=False, axis="y")
        ax.xaxis.set_major_locator(_few())
        figure.legend(loc="lower left", bbox_to_anchor=(0.01, 0.0), ncols=2, frameon=False, fontsize=12)
    said = "; ".join(
        f"{r['way']}: {r['gap_oof']:+.5f} out of fold, {r['gap_test']:+.5f} on test rows, {r['members']}" for r in ways
    )
    return ReportFigure(figure, finding, f"{said}. {found.get('charge', '')}".strip())


def _how_many(members: str) -> str:
    count = len(members.split(" + "))
    return "1 member" if count == 1 else f"{count} members"


def _few() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(5)


def cascade_curves(found: Mapping[str, Any]) -> ReportFigure:
    """Accuracy against mean latency of the best pairs, over all their thresholds, beside each member alone.

    Parameters
    ----------
    found : mapping
        Of a classification.

    Returns
    -------
    ReportFigure
    """
    curves, alone = found["curves"], found["alone"]
    chosen = next((p for p in found["picks"] if p["name"] == "sim_cascade"), None)
    best = max(alone, key=lambda row: row["accuracy"])
    if chosen:
        first, then = chosen["members"][0], chosen["members"][-1]
        finding = f"{_whose(found)}: {first} answers {percent(chosen['early'])} at once and {then} the rest: accuracy"
        finding += f" {score(chosen['test'])} in {number(chosen['mean_ms'])} ms on average; {best['name']} alone, the most"
        finding += f" accurate, {score(best['accuracy'])} in {number(best['mean_ms'])} ms"
    else:
        finding = f"{_whose(found)}: no cascade of two is as accurate out of fold as the most accurate member alone"
        finding += ", and faster"
    with theme():
        figure, ax = canvas(finding, 6.2)
        log = _see(ax, found)
        for curve, colour, shape in zip(curves, OF_LINES, SHAPES, strict=False):
            ax.plot(curve["mean_ms"], curve["accuracy_test"], color=colour, linewidth=2.2, zorder=3)
            ax.plot([], [], color=colour, marker=shape, linewidth=2.2, label=" then ".join(curve["members"]))
        dots = [
            (x, y, CURVE) for c in curves for x, y in _between(list(zip(c["mean_ms"], c["accuracy_test"], strict=True)))
        ]  # fmt: skip
        dots += _shares(ax, curves, (chosen["mean_ms"], chosen["test"]) if chosen else None)
        xs, ys = [row["mean_ms"] for row in alone], [row["accuracy"] for row in alone]
        texts, colours = [row["name"] for row in alone], [QUIET] * len(alone)
        ax.plot(xs, ys, marker="s", markersize=9, color=QUIET, linestyle="none", zorder=5)
        if chosen:
            ax.plot([chosen["mean_ms"]], [chosen["test"]], marker="*", markersize=20, color="white", markeredgecolor=INK,
                    markeredgewidth=1.5, linestyle="none", zorder=7, label="the fastest as accurate out of fold")  # fmt: skip
            dots.append((chosen["mean_ms"], chosen["test"], STAR))
        unit = "(ms), logarithmic" if log else "(ms)"
        ax.set_xlabel(f"mean latency of one query {unit}; on a line: the share that its first member answers")
        ax.set_ylabel("accuracy on test rows (higher is better)")
        ticks(ax, log=log)
        figure.legend(loc="lower left", bbox_to_anchor=(0.01, 0.0), ncols=2, frameon=False, fontsize=12)
        low, high = sorted(ax.get_ylim())
        shown = [i for i, y in enumerate(ys) if low <= y <= high]
        place_labels(
            ax,
            np.array([xs[i] for i in shown]),
            np.array([ys[i] for i in shown]),
            [texts[i] for i in shown],
            [colours[i] for i in shown],
            dots=dots,
        )
    said = "; ".join(cascade_words(c) for c in found["cascades"][:5])
    return ReportFigure(figure, finding, f"The most accurate out of fold: {said}.")


def cascade_words(cascade: Mapping[str, Any]) -> str:
    """A cascade in words.

    Examples
    --------
    >>> cascade_words({"members": ["a", "b"], "confidence": "margin", "thresholds": [0.5], "early": 0.8, "accuracy_test": 0.9,
    ...                "mean_ms": 1.0, "percentile_ms": 4.0})
    'a then b by margin (0.5): 80 % early, accuracy 0.9000, mean 1.00 ms, p99 4.00 ms'
    """
    limits = ", ".join(f"{t:.3g}" for t in cascade["thresholds"])
    how = f"{cascade['confidence']} ({limits})" if limits else cascade["confidence"]
    return (
        f"{' then '.join(cascade['members'])} by {how}: {percent(cascade['early'])} early, "
        f"accuracy {score(cascade['accuracy_test'])}, mean {number(cascade['mean_ms'])} ms, "
        f"p99 {number(cascade['percentile_ms'])} ms"
    )


def _see(ax: Axes, found: Mapping[str, Any]) -> bool:
    """Limits that show what matters: a hopeless member would press the curves into a line. Whether the axis is logarithmic.

    It is where one member takes so much longer than another that most would stand at the edge of a straight one.
    """
    lines = np.concatenate([np.array(c["accuracy_test"]) for c in found["curves"]])
    good = [row["accuracy"] for row in found["alone"]]
    top = max(float(lines.max()), *good)
    bottom = max(min(float(lines.min()), *good), top - 3 * (top - float(np.median(lines)) + 0.002))
    # Of members that are all alike there is one accuracy, and a scale must have two ends.
    room = 0.08 * max(top - bottom, 0.01)
    ax.set_ylim(bottom - 1.5 * room, top + room)
    x = np.concatenate([*(np.array(c["mean_ms"]) for c in found["curves"]), [row["mean_ms"] for row in found["alone"]]])
    low, high = float(x.min()), float(x.max())
    log = low > 0 and high > APART * low
    if log:
        ax.set_xscale("log")
    ax.set_xlim(*((low / 1.25, high * 1.25) if log else (0, high * 1.08)))
    return log


def _shares(ax: Axes, curves: Sequence[Mapping[str, Any]], star: tuple[float, float] | None) -> list[Dot]:
    """Mark on each line where its first member answers three quarters, half and a quarter; in numbers on the first line.

    A number keeps clear of the star of the pick.

    Returns what a name had better not cover.
    """
    dots: list[Dot] = []
    per_point = ax.get_figure(root=True).dpi / 72  # type: ignore[union-attr]  # axes on a canvas have a figure
    for curve, colour, shape in zip(curves, OF_LINES, SHAPES, strict=False):
        x, y, early = (np.array(curve[k]) for k in ("mean_ms", "accuracy_test", "early"))
        last = (-math.inf, -math.inf)
        for share in (0.75, 0.5, 0.25):
            at = int(np.abs(early - share).argmin())
            ax.plot([x[at]], [y[at]], marker=shape, markersize=7, color=colour, zorder=4)
            seen_x, seen_y = map(float, ax.transData.transform((x[at], y[at])))
            if curve is curves[0] and math.dist(last, (seen_x, seen_y)) > 40 * per_point:
                last = seen_x, seen_y
                near = star is not None and math.dist(ax.transData.transform(star), last) < 2 * STAR * per_point
                down = 26 if near else 17
                ax.annotate(f"{100 * early[at]:.0f} %", (x[at], y[at]), xytext=(0, -down),
                            textcoords="offset points", ha="center", color=colour, fontsize=11)  # fmt: skip
                below = ax.transData.inverted().transform((seen_x, seen_y - (down - 5) * per_point))
                dots.append((float(below[0]), float(below[1]), NUMBER))
    return dots


def _between(points: Sequence[tuple[float, float]], steps: int = 8) -> list[tuple[float, float]]:
    """Points along a line, near enough to each other that none of it lies free of them."""
    ends = np.array(points)
    shares = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    return [(x, y) for x, y in (ends[:-1] * (1 - shares) + ends[1:] * shares).reshape(-1, 2).tolist()]


def worth_bars(found: Mapping[str, Any]) -> ReportFigure:
    """What each member is worth and costs: its Shapley values in the metric, milliseconds, mebibytes and money, side by side.

    Parameters
    ----------
    found : mapping

    Returns
    -------
    ReportFigure
    """
    rows = list(reversed(found["worth"]))
    metric = label(found["metric"])
    panels = [(k, words.format(metric=metric)) for k, words in WORTH.items() if any(math.isfinite(r[k]) for r in rows)]
    spare = min(rows, key=lambda r: _better_by(found, 0.0, r["without_metric"]))
    finding = f"{_whose(found)}: {spare['sentence']}"
    harmless = _better_by(found, spare["without_metric"], 0.0) >= 0
    finding += (
        " - on these test rows the vote of all scores no worse without it" if harmless else " - nobody else would be missed less"
    )
    with theme():
        figure, first = canvas(finding, 2.4 + 0.55 * len(rows), left=0.21)
        box = first.get_position()
        first.remove()
        gap = 0.036  # so wide that the numbers at the ends of two axes stand apart
        width = (box.width - gap * (len(panels) - 1)) / len(panels)
        for i, (key, words) in enumerate(panels):
            ax = figure.add_axes((box.x0 + i * (width + gap), box.y0, width, box.height))
            values = [r[key] for r in rows]
            ax.barh(range(len(rows)), values, color=GREEN if key == "gain" else PINK, height=0.62, zorder=3)
            for y, v in enumerate(values):
                ax.annotate(number(v, 2), (max(v, 0.0), y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=12)
            ax.set_yticks(range(len(rows)), [r["name"] for r in rows] if i == 0 else [""] * len(rows))
            low, high = min(0.0, *values), max(*values, 1e-12)
            ax.set_xlim(low - 0.05 * (high - low), high + 0.5 * (high - low))  # room for the numbers beside the bars
            ax.set_xlabel(words, fontsize=12.5)
            ax.grid(visible=False, axis="y")
            ax.xaxis.set_major_locator(_three())
            ax.tick_params(axis="x", labelsize=11)
            for side in ("top", "right"):
                ax.spines[side].set_visible(False)
        figure.text(
            0.02, 0.012, "Shapley values: what each adds on average over all orders in which members may join", fontsize=12
        )
    said = "; ".join(r["sentence"] for r in found["worth"])
    return ReportFigure(figure, finding, f"Left out of the vote of all: {said}.")


def _three() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(3)
