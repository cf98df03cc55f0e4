"""What other systems' timing recipes would have told, beside what one query takes: a sentence, a table, a figure.

This module does *not* know how a recipe was replayed, or which pairs may be told apart.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from shipworthy.records import InputError, RecipeFinding, Told
from shipworthy.reporting.figures import INK, QUIET, ReportFigure, canvas, theme, ticks
from shipworthy.reporting.wording import number, times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = {"bulk": ("#0072B2", "o", "time of many rows ÷ rows"), "one row": ("#D55E00", "D", "calls of one row")}
"""Colour, marker and meaning of each kind of recipe; Okabe and Ito's colours, as in the other figures."""

CAPTION = (
    "In brackets: how many times as long as told the median query takes. Bold: the fastest of the row. ↑: put before a candidate"
    " that is really faster. Recipes that call with one row hand over a DataFrame of one row, which takes longer to read than the"
    " dict that is a query of ours."
)


def recipe_sentence(finding: RecipeFinding) -> str:
    """What one recipe would have told, and how far that is from what is so, in a sentence.

    Parameters
    ----------
    finding : RecipeFinding

    Returns
    -------
    str

    Examples
    --------
    >>> worst = Told("adult", "stack", "h2o", "H2O's leaderboard", "bulk", told_ms=0.033, p50_ms=21.0, p99_ms=30.0)
    >>> flips = (("xgboost", "linear"), ("forest", "tree"))
    >>> recipe_sentence(RecipeFinding("adult", "h2o", "H2O's leaderboard", "bulk", worst, 6, flips, "xgboost", "linear", 1.1))
    "H2O's leaderboard says that stack takes 0.0330 ms a row; one query takes 21.0 ms at p50, 640 times as long. It puts xgboost \
before linear, which is the other way round, as it does with 1 more of the 6 pairs that can be told apart. Its fastest is \
xgboost; really it is linear."
    """
    row = finding.worst
    text = (
        f"{finding.title} says that {row.candidate} takes {number(row.told_ms)} ms a row; one query takes {number(row.p50_ms)} ms"
    )
    text += f" at p50, {_as_long(row.factor)}. {_order(finding)}"
    # Where the noise floor does not tell the two apart, nobody knows which is really the fastest.
    if (finding.told_fastest, finding.fastest) in finding.flips:
        text += f" Its fastest is {finding.told_fastest}; really it is {finding.fastest}."
    return text


def _as_long(factor: float) -> str:
    return f"{times(factor)} as long" if factor >= 1 else f"only {times(factor)} as long"


def _order(finding: RecipeFinding) -> str:
    if not finding.pairs:
        return "No two candidates can be told apart, so there is no order to get wrong."
    apart = f"{finding.pairs} pair{'s' if finding.pairs > 1 else ''} that can be told apart"
    if not finding.flips:
        return f"It orders the {apart} as {'they are' if finding.pairs > 1 else 'it is'}."
    slower, faster = finding.flips[0]
    more = f", as it does with {len(finding.flips) - 1} more of the {apart}" if len(finding.flips) > 1 else ""
    return f"It puts {slower} before {faster}, which is the other way round{more}."


def told_table(told: Sequence[Told], findings: Sequence[RecipeFinding]) -> str:
    """Every recipe's figure for every candidate under the truth, as HTML for a notebook.

    Parameters
    ----------
    told : sequence of Told
        Of one data set.
    findings : sequence of RecipeFinding
        As they came with ``told``.

    Returns
    -------
    str
        One row a recipe, one column a candidate, fastest first: milliseconds a row, and in brackets how many times as long the
        median query takes. Bold: the fastest by that row; an arrow: put before a candidate that is really faster. The last
        column names the pairs that the recipe orders the other way. Names are escaped.
    """
    order = _fastest_first(told)
    by_key = {(row.recipe, row.candidate): row for row in told}
    by_recipe = {finding.recipe: finding for finding in findings}
    text, right = (f"text-align:{side};vertical-align:top;padding:2px 8px" for side in ("left", "right"))
    right += ";font-variant-numeric:tabular-nums"
    titles = [(text, "milliseconds a row"), *((right, row.candidate) for row in order), (text, "puts first, though slower")]
    head = "".join(f"<th scope='col' style='{style}'>{html.escape(title)}</th>" for style, title in titles)
    floor = findings[0].noise_floor if findings else math.inf
    note = f"of pairs more than {number(100 * (floor - 1), 2)} % apart" if math.isfinite(floor) else "no pair can be told apart"
    body = _row("one query, p50", [_mark(number(r.p50_ms), fastest=r is order[0]) for r in order], note, text, right)
    body += _row("one query, p99", [number(r.p99_ms) for r in order], "", text, right)
    for recipe, title in dict.fromkeys((row.recipe, row.title) for row in told):
        found = by_recipe.get(recipe)
        cells = []
        for row in (by_key.get((recipe, r.candidate)) for r in order):
            if row is None or math.isnan(row.told_ms):
                why = html.escape(row.reason if row else "not replayed", quote=True)
                cells.append(f"<span title='{why}'>{number(None)}</span>")
                continue
            fastest = found is not None and found.told_fastest == row.candidate
            ahead = " ↑" if found is not None and any(row.candidate == slower for slower, _ in found.flips) else ""
            cells.append(_mark(number(row.told_ms), fastest=fastest) + f" ({number(row.factor, 2)}×){ahead}")  # noqa: RUF001 - "times"
        flips = "; ".join(f"{slower} before {faster}" for slower, faster in found.flips) if found else ""
        body += _row(html.escape(title), cells, html.escape(flips or "none"), text, right)
    return (
        "<div style='overflow-x:auto'><table><thead><tr>" + head + "</tr></thead><tbody>" + body + "</tbody></table>"
        f"<p>{CAPTION}</p></div>"
    )


def _mark(value: str, *, fastest: bool) -> str:
    return f"<b>{value}</b>" if fastest else value


def _row(title: str, cells: Sequence[str], note: str, text: str, right: str) -> str:
    inner = "".join(f"<td style='{right};white-space:nowrap'>{c}</td>" for c in cells)
    return f"<tr><th scope='row' style='{text}'>{title}</th>{inner}<td style='{text}'>{note}</td></tr>"


def _fastest_first(told: Sequence[Told]) -> list[Told]:
    """One row of each candidate, by its true median."""
    if len({row.dataset for row in told}) > 1:
        raise InputError("what was told of several data sets does not go into one table; give one at a time")
    return sorted({row.candidate: row for row in reversed(told)}.values(), key=lambda row: (row.p50_ms, row.candidate))


def told_figure(told: Sequence[Told], findings: Sequence[RecipeFinding]) -> ReportFigure:
    """What every recipe tells of each candidate, beside what one query takes, on one logarithmic scale.

    Parameters
    ----------
    told : sequence of Told
        Of one data set.
    findings : sequence of RecipeFinding
        As they came with ``told``.

    Returns
    -------
    ReportFigure
    """
    order = _fastest_first(told)
    known = [row for row in told if row.told_ms > 0]
    with theme():
        if not known:
            finding = "No timing recipe told anything"
            figure, ax = canvas(finding, 2.5)
            ax.set_axis_off()
            return ReportFigure(figure, finding, finding + ".")
        finding = _headline(known, findings)
        figure, ax = canvas(finding, 2.4 + 0.8 * len(order), left=0.235)
        box = ax.get_position()
        ax.set_position((box.x0, box.y0, 0.82 - box.x0, box.height))
        ax.set_xscale("log")
        for place, truth in enumerate(order):
            _draw_candidate(ax, place, truth, [row for row in known if row.candidate == truth.candidate])
        ax.set_yticks(range(len(order)), [row.candidate for row in order])
        ax.set_ylim(-0.6, len(order) - 0.4)
        low = min(row.told_ms for row in known)
        high = max(*(row.told_ms for row in known), *(row.p99_ms for row in order))
        ax.set_xlim(low / (high / low) ** 0.03, high * (high / low) ** 0.03)
        ax.set_xlabel("milliseconds a row, logarithmic")
        top = ax.get_yaxis_transform()
        ax.text(
            1.02, len(order) - 0.45, "p50, and how many\ntimes what is told", transform=top, va="center", color=QUIET, fontsize=12
        )
        ax.grid(visible=False, axis="y")
        ticks(ax, log=True, y=False)
        _legend(figure)
    described = "; ".join(
        f"{truth.candidate}: one query takes {number(truth.p50_ms)} ms at p50, {number(truth.p99_ms)} ms at p99; told are "
        + ", ".join(f"{number(r.told_ms)} ms by {r.title}" for r in known if r.candidate == truth.candidate)
        for truth in order
    )
    return ReportFigure(figure, finding, described + ".")


def _legend(figure: Figure) -> None:
    """What marks mean, below the axes."""
    from matplotlib.lines import Line2D

    handles: list[Any] = [
        Line2D([], [], color=c, marker=m, markersize=9, linestyle="none", label=f"told: {words}")
        for c, m, words in KINDS.values()
    ]
    handles.append(Line2D([], [], color=INK, linewidth=6, label="one query, p50 to p99"))
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.01, 0.005),
        ncols=3,
        frameon=False,
        handletextpad=0.4,
        columnspacing=1.2,
    )


def _headline(known: Sequence[Told], findings: Sequence[RecipeFinding]) -> str:
    """The widest gap, and how many recipes have an order wrong."""
    row = max(known, key=lambda r: r.factor)
    text = f"{row.dataset}: the median query of {row.candidate} takes {number(row.p50_ms)} ms, "
    text += f"{times(row.factor)} what {row.title} would tell"
    judged = [f for f in findings if f.pairs]
    wrong = [f for f in judged if f.flips]
    if not judged:
        return text
    if not wrong:
        many = f"all {len(judged)} recipes order" if len(judged) > 1 else "the recipe orders"
        return f"{text}; {many} the candidates that can be told apart as they are"
    return f"{text}; {len(wrong)} of {len(judged)} recipes {'has' if len(wrong) == 1 else 'have'} candidates the wrong way round"


def _draw_candidate(ax: Axes, place: int, truth: Told, rows: Sequence[Told]) -> None:
    """The truth as a bar from p50 to p99, what was told as points on levels of their own, and how far the lowest is away."""
    lowest = min((row.told_ms for row in rows), default=truth.p50_ms)
    ax.plot([lowest, truth.p50_ms], [place, place], color="#d9d9d9", linewidth=1.2, zorder=1)
    ax.plot([truth.p50_ms, truth.p99_ms], [place, place], color=INK, linewidth=6, solid_capstyle="butt", zorder=2)
    ax.plot([truth.p50_ms], [place], marker="|", markersize=30, markeredgewidth=3, color=INK, zorder=3)
    for i, row in enumerate(rows):
        colour, marker, _ = KINDS[row.kind]
        level = place + 0.5 * (i / max(1, len(rows) - 1) - 0.5)
        ax.plot([row.told_ms], [level], marker=marker, markersize=8, color=colour, markeredgecolor="white", zorder=4)
    beside = ax.get_yaxis_transform()
    ax.text(1.02, place + 0.02, f"{number(truth.p50_ms)} ms", transform=beside, va="bottom", fontweight="bold")
    if lowest < truth.p50_ms:
        ax.text(1.02, place - 0.02, f"up to {times(truth.p50_ms / lowest)}", transform=beside, va="top", fontsize=12, color=QUIET)
