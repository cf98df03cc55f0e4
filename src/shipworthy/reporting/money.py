"""The money on the page: tables, the verdict-flip map, and an ensemble among public ones. All of it is estimated.

This module does *not* know how an amount was computed, or what the page looks like around it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.reporting.figures import COLOURS, INK, QUIET, ReportFigure, canvas, theme, ticks
from shipworthy.reporting.wording import TOO_SMALL, cost, file_part, free_file, label, number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MONEY = ("net_value_usd_month", "answers_usd_month", "delay_usd_month", "usd_per_month", "training_usd_month", "upkeep_usd_month")
EVEN = (
    *("challenger", "baseline", "traffic_queries_s", "gain_usd_month", "gain_low", "gain_high", "pays_from"),
    *("pays_for_good_from", "pays_until", "margin_from_usd", "margin_until_usd", "points", "usd_per_point_month"),
)
PUBLIC = (
    *("candidate", "baseline", "sample", "n", "task_type", "metric", "error_cut", "time_multiple"),
    *("error_cut_rank", "time_multiple_rank", "sentence"),
)
COLUMNS = (*MONEY, "usd_per_million")
HELD_PRICE = "a million queries, idle and spare copies included"
"""Not the price that a requirement or the comparison names: that one pays for busy time alone."""
DOUBT = (
    "Of each pair the first sentence has the interval. Break-evens are reckoned from expected amounts and measured means alone: "
    "where it cannot be told whether an ensemble pays, they say where it would if all of these were true."
)
WINNERS = ("ensemble", "baseline", "cannot tell", "nothing meets the limit")
FILL = {"ensemble": "#f2b48a", "baseline": "#9cc9e6", "cannot tell": "#dddddd", "nothing meets the limit": "#6b6b6b"}
"""Lighter than the inks of Okabe and Ito, so that borders and words stand out on them."""
WORDS = {"ensemble": "the ensemble wins", "baseline": "the baseline wins", "cannot tell": "cannot tell"}


def money_table(records: pd.DataFrame, dataset: str, level: str = "") -> pd.DataFrame:
    """What each candidate earns and costs in a month, the best first: means over the seeds, the widest ends of the intervals.

    Parameters
    ----------
    records : DataFrame
        Columns as the fields of :class:`~shipworthy.records.Record`.
    dataset, level : str

    Returns
    -------
    DataFrame
        ``candidate``, ``kind``; of each quantity of :data:`MONEY`, and of ``usd_per_million`` of the held copies, the value,
        ``_low`` and ``_high``. Empty where nothing was priced.
    """
    import pandas as pd

    here = records[(records["dataset"] == dataset) & (records["level"] == level) & (records["group"] == "")]
    held = (here["quantity"] == "usd_per_million") & (here["statistic"] == "held")
    here = here[(here["quantity"].isin(MONEY) & (here["statistic"] == "estimate")) | held]
    parts = []
    for (name, kind), own in here.groupby(["candidate", "kind"], sort=True):
        row: dict[str, Any] = {"candidate": name, "kind": kind}
        for quantity in (*MONEY, "usd_per_million"):
            found = own[own["quantity"] == quantity]
            row |= {
                quantity: found["value"].mean(),
                f"{quantity}_low": found["low"].min(),
                f"{quantity}_high": found["high"].max(),
            }
        parts.append(row)
    if not parts:
        return pd.DataFrame()
    table = pd.DataFrame(parts)
    by = ["net_value_usd_month"] if table["net_value_usd_month"].notna().any() else ["usd_per_month"]
    return table.sort_values([*by, "candidate"], ascending=[by[0] == "usd_per_month", True], ignore_index=True)


def map_table(money: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Every cell of every map, one row each, for ``tables/verdict_map.csv``."""
    import pandas as pd

    columns = [
        "dataset",
        "level",
        "limit_ms",
        "price_factor",
        "ensemble",
        "baseline",
        "traffic_queries_s",
        "margin_usd",
        "winner",
    ]
    rows = [
        (m["dataset"], m["level"], p["limit_ms"], p["price_factor"], p["ensemble"], p["baseline"], t, v, WINNERS[w])
        for m in money
        if m.get("map")
        for p in m["map"]["panels"]
        for t, line in zip(p["traffic_queries_s"], p["winners"], strict=True)
        for v, w in zip(p["margin_usd"], line, strict=True)
    ]
    return pd.DataFrame(rows, columns=columns)


def flip_table(money: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The nearest flip along each of the four, for ``tables/flips.csv``."""
    import pandas as pd

    rows = [
        {"dataset": m["dataset"], "level": m["level"], "now": m["map"]["now"], **f}
        for m in money
        if m.get("map")
        for f in m["map"]["flips"]
    ]
    return pd.DataFrame(rows, columns=["dataset", "level", "now", "axis", "at", "factor", "winner"])


def break_even_table(money: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Every break-even, for ``tables/break_even.csv``; infinite is never."""
    import pandas as pd

    rows = [{"dataset": m["dataset"], "level": m["level"], **b} for m in money for b in m.get("break_even", ())]
    return pd.DataFrame(rows, columns=["dataset", "level", *EVEN])


def public_table(money: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Where each ensemble stands among the public ones, for ``tables/public.csv``."""
    import pandas as pd

    rows = [{"dataset": m["dataset"], "level": m["level"], **p} for m in money for p in m.get("public", ())]
    return pd.DataFrame(rows, columns=["dataset", "level", *PUBLIC])


def verdict_map(money: Mapping[str, Any]) -> ReportFigure | None:
    """Who wins at which traffic and margin: small multiples by latency limit and price, with the borders as lines.

    Parameters
    ----------
    money : mapping
        Of one data set and level, as from the experiment.

    Returns
    -------
    ReportFigure or None
        ``None`` where there is no map.
    """
    found = money.get("map")
    if not found:
        return None
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    panels = found["panels"]
    columns = len({p["limit_ms"] for p in panels})
    rows = len(panels) // columns
    who = {"ensemble": found["sides"][0], "baseline": found["sides"][1]}.get(found["now"])
    verdict = f"{who} wins" if who else "it cannot be told who wins" if found["now"] == "cannot tell" else found["now"]
    near = "; nothing alone flips that"
    if found["flips"]:
        first_flip = found["flips"][0]
        near = f"; the nearest flip is in the {first_flip['axis']}, at {number(first_flip['factor'], 2)} times what it is"
    finding = f"{money['dataset']}: as declared {verdict}{near}"
    with theme():
        figure, first = canvas(finding, 2.5 + 3.3 * rows)
        box = first.get_position()
        first.remove()
        # Two lines of words stand above each panel.
        gap_x, gap_y = 0.075, 0.55 / float(figure.get_size_inches()[1])
        width, height = (box.width - gap_x * (columns - 1)) / columns, (box.height - 0.6 * gap_y - gap_y * (rows - 1)) / rows
        for i, panel in enumerate(panels):
            row, column = divmod(i, columns)
            bottom = box.y0 + (rows - 1 - row) * (height + gap_y)
            ax = figure.add_axes((box.x0 + column * (width + gap_x), bottom, width, height))
            _panel(ax, panel, found["here"], first_column=column == 0, last_row=row == rows - 1, margin_of=found["margin_of"])
        shown = [w for i, w in enumerate(WINNERS) if any(i in line for p in panels for line in p["winners"])]
        handles: list[Any] = [Patch(color=FILL[w], label=WORDS.get(w, w)) for w in shown]
        borders = (("pays_from", "ensemble", "ensemble from here up"), ("baseline_until", "single", "baseline up to here"))
        for border, kind, words in borders:
            if any(math.isfinite(v) for p in panels for v in p[border]):
                line = Line2D([], [], color=COLOURS[kind], linewidth=2.2, label=words)
                line.set_linestyle("-" if kind == "ensemble" else "--")
                handles.append(line)
        handles.append(
            Line2D(
                [],
                [],
                color=INK,
                marker="*",
                markersize=13,
                linestyle="none",
                label="as declared (hollow: another limit or price)",
            )
        )
        figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.01, 0.0), ncols=3, frameon=False, handletextpad=0.4)
    described = "; ".join(
        f"limit {_limit(p['limit_ms'])}, prices times {p['price_factor']:.3g}: "
        + ", ".join(f"{WORDS.get(w, w)} in {sum(line.count(k) for line in p['winners'])} cells" for k, w in enumerate(WINNERS))
        for p in panels
    )
    return ReportFigure(figure, finding, f"{found['sentence']} {described}.")


def _limit(limit_ms: float) -> str:
    return "none" if math.isinf(limit_ms) else f"p99 {limit_ms:.3g} ms"


def _panel(
    ax: Axes, panel: Mapping[str, Any], here: Mapping[str, Any], *, first_column: bool, last_row: bool, margin_of: str
) -> None:
    from matplotlib.colors import BoundaryNorm, ListedColormap

    traffic, margin = np.array(panel["traffic_queries_s"]), np.array(panel["margin_usd"])
    ax.set_xscale("log")
    ax.set_yscale("log")
    palette = ListedColormap([FILL[w] for w in WINNERS])
    # pcolormesh places log-spaced cells by their edges.
    edges = [
        np.sqrt(np.concatenate([[v[0] ** 2 / v[1]], v]) * np.concatenate([v, [v[-1] ** 2 / v[-2]]])) for v in (traffic, margin)
    ]
    ax.pcolormesh(
        edges[0],
        edges[1],
        np.array(panel["winners"]).T,
        cmap=palette,
        norm=BoundaryNorm(np.arange(-0.5, 4), 4),
        edgecolors="face",
        linewidth=0.4,
    )
    along = np.array(panel["border_traffic_queries_s"])
    ax.plot(along, panel["pays_from"], color=COLOURS["ensemble"], linewidth=2.2)
    ax.plot(along, panel["baseline_until"], color=COLOURS["single"], linewidth=2.2, linestyle="--")
    if here["margin_usd"] > 0:
        declared = panel["limit_ms"] == here["limit_ms"] and panel["price_factor"] == here["price_factor"]
        fill, edge = (INK, "white") if declared else ("white", INK)
        at = [here["traffic_queries_s"]], [here["margin_usd"]]
        ax.plot(*at, marker="*", markersize=15, color=fill, markeredgecolor=edge)
    ax.set_xlim(traffic[0], traffic[-1])
    ax.set_ylim(margin[0], margin[-1])
    ax.grid(visible=False)
    sides = f"{panel['ensemble'] or 'no ensemble'} or {panel['baseline'] or 'no baseline'}"
    ax.set_title(f"limit {_limit(panel['limit_ms'])}, price factor {panel['price_factor']:.3g}\n{sides}", fontsize=12, loc="left")
    ticks(ax, log=True, log_y=True)
    if last_row:
        ax.set_xlabel("queries a second")
    else:
        ax.set_xticklabels([])
    if first_column:
        ax.set_ylabel(f"USD a {margin_of}")
    else:
        ax.set_yticklabels([])


def public_scatter(money: Sequence[Mapping[str, Any]]) -> ReportFigure | None:
    """The error cut against the multiple of the time in bulk: public ensembles as dots, those of the study named.

    Parameters
    ----------
    money : sequence of mapping
        As from the experiment, one for each data set and level, with the public sample that its ensembles are placed in.

    Returns
    -------
    ReportFigure or None
        ``None`` where no ensemble of the study has a place.
    """
    public = sorted({(t, c) for m in money if m.get("public_sample") for t, c in m["public_sample"]["points"]})
    sample = "; ".join(dict.fromkeys(m["public_sample"]["sample"] for m in money if m.get("public_sample")))
    ours = [
        (f"{p['candidate']}, {m['dataset']}" + (f" ({m['level']})" if m["level"] else ""), p)
        for m in money
        for p in m.get("public", ())
        if math.isfinite(p["error_cut"]) and math.isfinite(p["time_multiple"]) and p["time_multiple"] > 0
    ]
    if not ours or not public:
        return None
    from matplotlib.lines import Line2D

    from shipworthy.reporting.labels import place_labels

    name, best = max(ours, key=lambda o: o[1]["error_cut"])
    # Each is held against the best tree ensemble of its data set, which a single model may beat.
    cut = f"{number(100 * abs(best['error_cut']), 2)} %"
    at = f"at {number(best['time_multiple'], 2)} times the bulk time"
    if best["error_cut"] > 0:
        place = f"more than on {best['error_cut_rank']:.0f} % of the public tasks"
        finding = f"Of the study's ensembles {name}, cuts most off the error of {best['baseline']}, {cut}: {place}, {at}"
    else:
        finding = f"None of the study's ensembles cuts the error of its baseline; {name}, adds least, {cut}, {at}"
    with theme():
        figure, ax = canvas(finding, 6.4)
        x, y = (np.array(v) for v in zip(*public, strict=True))
        mine_x, mine_y = np.array([p["time_multiple"] for _, p in ours]), 100 * np.array([p["error_cut"] for _, p in ours])
        ax.set_xscale("log")
        ax.axhline(0, color=QUIET, linewidth=1, zorder=1)
        ax.plot(x, 100 * y, marker="o", markersize=6, linestyle="none", color=COLOURS["single"], alpha=0.45, zorder=2)
        ax.plot(mine_x, mine_y, marker="D", markersize=10, linestyle="none", color=COLOURS["ensemble"], zorder=4)
        every = np.concatenate([x, mine_x])
        ax.set_xlim(every.min() / 1.6, every.max() * 1.6)
        ends = min(100 * y.min(), mine_y.min()), max(100 * y.max(), mine_y.max())
        ax.set_ylim(ends[0] - 0.08 * (ends[1] - ends[0]), ends[1] + 0.08 * (ends[1] - ends[0]))
        ax.set_xlabel("prediction time in bulk, times that of the single booster, logarithmic")
        ax.set_ylabel("error cut (%), higher is better")
        ticks(ax, log=True)
        place_labels(ax, mine_x, mine_y, [n for n, _ in ours], [COLOURS["ensemble"]] * len(ours))
        handles = [
            Line2D([], [], color=COLOURS["ensemble"], marker="D", markersize=10, linestyle="none", label="this study"),
            Line2D([], [], color=COLOURS["single"], marker="o", markersize=7, alpha=0.5, linestyle="none", label=sample),
        ]
        figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.01, 0.005), ncols=2, frameon=False, handletextpad=0.4)
    described = "; ".join(f"{n}: {100 * p['error_cut']:.1f} % at {number(p['time_multiple'], 2)} times" for n, p in ours)
    return ReportFigure(figure, finding, f"{described}. Public: {sample}.")


def money_view(money: Sequence[Mapping[str, Any]], records: pd.DataFrame, drawn: dict[str, str]) -> dict[str, Any]:
    """What the sections on money, flips and public ensembles show; the figures are put into ``drawn``.

    Parameters
    ----------
    money : sequence of mapping
    records : DataFrame
    drawn : dict of str to str
        SVG by file name.

    Returns
    -------
    dict
        ``places`` (a table and sentences each), ``maps``, ``public`` and ``declared``.
    """
    places, maps = [], []
    tables = [money_table(records, m["dataset"], m["level"]) for m in money]
    # Without economics nobody is paid for answers, and a column of dashes or zeros would say so six times.
    columns = [q for q in COLUMNS if any(len(t) and (t[q].notna() & (t[q] != 0)).any() for t in tables)]
    for m, table in zip(money, tables, strict=True):
        title = f"{m['dataset']} ({m['level']})" if m["level"] else str(m["dataset"])
        rows = [{"candidate": r["candidate"], "cells": [_amount(r, q) for q in columns]} for r in table.to_dict("records")]
        how = [f"Capacity is {h}." for h in dict.fromkeys(m.get("capacity", {}).values())]
        how += [f"{name}: {h}." for name, h in m.get("answers", {}).items()]
        sentences = [" ".join(b["sentences"]) for b in m.get("break_even", ())]
        places.append({"title": title, "rows": rows, "how": how, "break_even": sentences})
        figure = verdict_map(m)
        if figure is not None:
            file = free_file(drawn, f"{file_part(title)}-verdict_map.svg")
            drawn[file] = figure.svg()
            flips = [
                {
                    "axis": f["axis"],
                    "now": number(f["now"]),
                    "at": number(f["at"]),
                    "factor": number(f["factor"]),
                    "winner": f["winner"],
                }
                for f in m["map"]["flips"]
            ]
            maps.append(
                {"title": title, "sentence": m["map"]["sentence"], "flips": flips, "file": file, "finding": figure.finding}
            )
    scatter = public_scatter(money)
    public: dict[str, Any] = {
        "sentences": [f"{m['dataset']}: {p['sentence']}" for m in money for p in m.get("public", ())],
        "file": "",
    }
    public["bought"] = next((m["bought"] for m in money if m.get("bought")), "")
    if scatter is not None:
        public |= {"file": free_file(drawn, "among_public_ensembles.svg"), "finding": scatter.finding}
        drawn[public["file"]] = scatter.svg()
    return {
        "places": places,
        "maps": maps,
        "public": public,
        "doubt": DOUBT,
        "declared": any(m["declared"] for m in money),
        "columns": [HELD_PRICE if q == "usd_per_million" else label(q) for q in columns],
    }


def _amount(row: Mapping[Any, Any], quantity: str) -> dict[str, str]:
    """A value and its interval; an amount of dollars has no use for cents beyond a hundred."""

    def usd(value: float) -> str:
        if math.isnan(value) or abs(value) < 100:
            return cost(value)
        return f"{value:,.0f}"

    ends = [row[f"{quantity}_low"], row[f"{quantity}_high"]]
    known = all(math.isfinite(e) for e in ends) and ends[0] < ends[1] and (ends[1] >= TOO_SMALL or ends[0] < 0)
    return {"value": usd(row[quantity]), "interval": f"{usd(ends[0])} to {usd(ends[1])}" if known else ""}
