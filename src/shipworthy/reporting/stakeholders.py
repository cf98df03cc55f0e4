"""What came of hearing the stakeholders, as tables, sentences and two figures: who ranks what where, and who loses how much.

This module does *not* know how a compromise is found, or the rest of the report.
"""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.records import EVERYBODY, Floats, Hearing, Move, Rating, Regret, Stakeholder, Veto
from shipworthy.reporting.figures import INK, QUIET, ReportFigure, canvas, theme
from shipworthy.reporting.wording import free_file, label, number, place_part, requirement_sentence

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

BLUE, VERMILION = "#0072B2", "#D55E00"
"""Of Okabe and Ito's palette; a tint says how much, and each cell also says it in words."""
MOVES_SHOWN = 3
"""Of each kind in the text; all are in the table beside the report."""


def place(hearing: Hearing) -> str:
    """Data set and level in words."""
    return f"{hearing.dataset} ({hearing.level})" if hearing.level else hearing.dataset


def _amount(hearing: Hearing, regret: float) -> str:
    """A regret in the unit in which it is compared."""
    if hearing.in_money:
        return f"{number(regret)} USD a month" if regret else "0 USD"
    return f"{100 * regret:.0f} %"


def _chosen(hearing: Hearing) -> str:
    return hearing.compromise.candidate if hearing.compromise else ""


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


# Sentences ------------------------------------------------------------------------------------------------------------------


def veto_sentences(hearings: Sequence[Hearing]) -> list[str]:
    """Who vetoes what, for the opening of the report.

    Parameters
    ----------
    hearings : sequence of Hearing

    Returns
    -------
    list of str
        One sentence for each stakeholder and veto that bars somebody, and one for each place at which nothing is left.
    """
    barred: dict[tuple[str, str], dict[str, list[str]]] = {}
    for hearing in hearings:
        for v in hearing.vetoes:
            if v.outcome == "missed":
                barred.setdefault((v.stakeholder, v.requirement), {}).setdefault(v.candidate, []).append(place(hearing))
    sentences = []
    for (who, what), candidates in barred.items():
        of = _joined([f"{candidate} on {_joined(places)}" for candidate, places in candidates.items()])
        sentences.append(f"{who[0].upper()}{who[1:]} vetoes {of} (“{what}”).")
    sentences += [f"On {place(h)} every candidate is vetoed: nobody's pick survives." for h in hearings if not h.survivors]
    undecided = sum(v.outcome == "undecided" for hearing in hearings for v in hearing.vetoes)
    if not sentences and undecided:
        return [f"No veto is shown to be missed; {undecided} {'is' if undecided == 1 else 'are'} undecided."]
    return sentences or (["Nobody vetoes a candidate."] if hearings else [])


def compromise_sentence(hearing: Hearing) -> str:
    """The compromise, who loses most by it, and what it is not shown to meet.

    Parameters
    ----------
    hearing : Hearing

    Returns
    -------
    str
    """
    found = hearing.compromise
    if found is None:
        return "There is no compromise: " + ("nobody ranks the candidates." if hearing.survivors else "no candidate is left.")
    lost = _amount(hearing, found.regret)
    if len(hearing.survivors) == 1:
        text = f"{found.candidate} is the only candidate that nobody vetoes."
    elif found.regret == 0:
        text = f"{found.candidate} is everybody's pick: nobody loses anything by it."
    else:
        text = f"{found.candidate} is the compromise: {found.worst_off} loses most by it, {lost}."
        second = min((c for c in hearing.survivors if c != found.candidate), key=lambda c: (_worst(hearing, c), c))
        sufferer = max(hearing.stakeholders, key=lambda s: hearing.regret(s, second))
        more = _amount(hearing, hearing.regret(sufferer, second))
        if more == lost:
            text += f" By {second} nobody would lose more than that either: {sufferer} would lose {more}."
        else:
            text += f" By any other somebody would lose more: the next is {second}, by which {sufferer} would lose {more}."
    if found.unproven:
        text += f" It is not shown to meet {_joined(found.unproven)}"
        others = hearing.proven
        if others is None:
            text += ", and no candidate is shown to meet every veto."
        else:
            more = _amount(hearing, others.regret)
            text += (
                f"; of those that are shown to meet every veto it would be {others.candidate} ({others.worst_off} loses {more})."
            )
    return text


def move_sentence(move: Move, *, in_money: bool = False) -> str:
    """A change that would make another candidate the compromise, in words.

    Parameters
    ----------
    move : Move
    in_money : bool
        Whether a weight is a rate in US dollars a month.

    Returns
    -------
    str

    Examples
    --------
    >>> move_sentence(Move("weight", "sales", "latency_ms", 0.0, 0.256, 0.256, "xgboost"))
    'If sales gave latency a weight of 0.26 instead of 0, the compromise would be xgboost.'
    """
    if move.kind == "veto":
        return f"If {move.whose} lifted “{move.what}”, the compromise would be {move.becomes}."
    if move.kind == "weight":
        of = " USD a month a unit" if in_money else ""
        before, after = f"{move.before:.2g}", f"{move.after:.2g}"
        text = f"If {move.whose} gave {label(move.what)} a weight of {after}{of} instead of {before}"
        return f"{text}, the compromise would be {move.becomes}."
    doubt = "; that is within its interval, so it is in doubt" if move.doubtful else ""
    text = f"If {label(move.what)} of {move.whose} were {number(move.after, 4)} instead of {number(move.before, 4)}"
    return f"{text}, the compromise would be {move.becomes}{doubt}."


def move_sentences(hearing: Hearing, most: int = MOVES_SHOWN) -> list[str]:
    """The smallest changes of a weight and of a value, and the vetoes, that would make another candidate the compromise.

    Parameters
    ----------
    hearing : Hearing
    most : int
        Of each kind.

    Returns
    -------
    list of str
    """
    kinds = [[m for m in hearing.moves if m.kind == kind] for kind in ("weight", "value", "veto")]
    said = [move_sentence(m, in_money=hearing.in_money) for found in kinds for m in found[:most]]
    if not kinds[0] and hearing.compromise is not None and len(hearing.survivors) > 1:
        said.insert(0, "No change of one weight alone would make another candidate the compromise.")
    return said


def sentence_list(sentences: Sequence[str]) -> str:
    """Sentences below each other as HTML for a notebook, where a printed line would break within a word.

    Parameters
    ----------
    sentences : sequence of str

    Returns
    -------
    str
        Names in them are escaped.

    Examples
    --------
    >>> sentence_list(["vote < stack."])
    '<p>vote &lt; stack.</p>'
    """
    return "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)


# Tables ---------------------------------------------------------------------------------------------------------------------


def ranking_table(hearing: Hearing) -> pd.DataFrame:
    """The rank that each stakeholder gives each candidate, as text; who vetoes it says so.

    Parameters
    ----------
    hearing : Hearing

    Returns
    -------
    DataFrame
        One row a candidate, in the order of :func:`rank_heatmap`, one column a stakeholder.
    """
    import pandas as pd

    rows = {c: {s: _rank_text(hearing, hearing.rating(s, c)) for s in hearing.stakeholders} for c in _by_mean_rank(hearing)}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(hearing.stakeholders)).rename_axis("candidate")


def _rank_text(hearing: Hearing, rating: Rating) -> str:
    rank = str(rating.rank) if rating.rank else number(None)
    return f"{rank} ✗" if rating.stakeholder in hearing.vetoers(rating.candidate) else rank


def _by_mean_rank(hearing: Hearing) -> list[str]:
    """Candidates that nobody vetoes first, then by their mean rank."""

    def key(name: str) -> tuple[bool, float, str]:
        ranks = [r.rank for r in hearing.ratings if r.candidate == name and r.rank]
        return name not in hearing.survivors, float(np.mean(ranks)) if ranks else math.inf, name

    return sorted(hearing.candidates, key=key)


def wish_table(stakeholders: Sequence[Stakeholder]) -> pd.DataFrame:
    """What each stakeholder wants, values and vetoes, in words.

    Parameters
    ----------
    stakeholders : sequence of Stakeholder

    Returns
    -------
    DataFrame
        One row a stakeholder.
    """
    import pandas as pd

    rows = []
    for s in stakeholders:
        money = " USD a month a unit" if s.usd_month_per_unit else ""
        values = ", ".join(f"{label(q)} {worth:g}{money}" for q, worth in s.worth.items())
        vetoes = "; ".join(f"{v.name}: {requirement_sentence(v)}" for v in s.vetoes)
        rows.append({"stakeholder": s.name, "wants": s.wants, "values": values, "vetoes what misses": vetoes})
    return pd.DataFrame(rows, columns=["stakeholder", "wants", "values", "vetoes what misses"])


def choice_table(hearing: Hearing, stakeholders: Sequence[Stakeholder] = ()) -> pd.DataFrame:
    """What each stakeholder wants, would ship, may ship, and loses by the compromise.

    Parameters
    ----------
    hearing : Hearing
    stakeholders : sequence of Stakeholder
        For what they want; may be empty.

    Returns
    -------
    DataFrame
        One row a stakeholder.
    """
    import pandas as pd

    wants = {s.name: s.wants for s in stakeholders}
    rows = []
    for c in hearing.choices:
        loses = ""
        if hearing.compromise is not None:
            loses = _amount(hearing, hearing.regret(c.stakeholder, hearing.compromise.candidate))
        row = {"stakeholder": c.stakeholder, "wants": wants.get(c.stakeholder, ""), "would ship": c.first or "nothing"}
        row |= {"vetoed by": ", ".join(c.vetoed_by), "picks of what is left": c.pick or "nothing"}
        rows.append({**row, "loses by the compromise": loses})
    columns = ["stakeholder", "wants", "would ship", "vetoed by", "picks of what is left", "loses by the compromise"]
    return pd.DataFrame(rows, columns=columns if wants else [c for c in columns if c != "wants"])


def regret_table(hearing: Hearing) -> pd.DataFrame:
    """What each stakeholder loses if a pick ships, as text; the compromise first.

    Parameters
    ----------
    hearing : Hearing

    Returns
    -------
    DataFrame
        One row a stakeholder and one for the worst of all, one column a candidate that somebody picks.
    """
    import pandas as pd

    shipped = _picks(hearing)
    rows = {s: {c: _amount(hearing, hearing.regret(s, c)) for c in shipped} for s in hearing.stakeholders}
    if shipped:
        rows["the worst of all"] = {c: _amount(hearing, _worst(hearing, c)) for c in shipped}
    return pd.DataFrame.from_dict(rows, orient="index", columns=shipped).rename_axis("who loses")


def _worst(hearing: Hearing, candidate: str) -> float:
    return max(hearing.regret(s, candidate) for s in hearing.stakeholders)


def _picks(hearing: Hearing) -> list[str]:
    """What anybody picks, and the compromise, by the worst regret: the compromise is first."""
    chosen = _chosen(hearing)
    picks = {c.pick for c in hearing.choices if c.pick} | ({chosen} if chosen else set())
    return sorted(picks, key=lambda c: (c != chosen, _worst(hearing, c), c))


def agreement_table(hearing: Hearing) -> pd.DataFrame:
    """Kendall's tau between every two stakeholders, as text.

    Parameters
    ----------
    hearing : Hearing

    Returns
    -------
    DataFrame
        Square, with the stakeholders on both sides.
    """
    import pandas as pd

    names = list(hearing.stakeholders)
    table = pd.DataFrame([["1" if a == b else "" for b in names] for a in names], index=names, columns=names)
    for a in hearing.agreements:
        table.loc[a.one, a.other] = table.loc[a.other, a.one] = number(None) if math.isnan(a.tau) else _signed(a.tau)
    return table.rename_axis("Kendall's tau")


def _signed(tau: float) -> str:
    return f"{tau:+.2f}" if abs(tau) >= 0.005 else "0.00"


def stakeholder_frames(hearings: Sequence[Hearing]) -> dict[str, pd.DataFrame]:
    """Everything that was found, by the name of the file that it is written to.

    Parameters
    ----------
    hearings : sequence of Hearing

    Returns
    -------
    dict of str to DataFrame
        Empty without a hearing.
    """
    import pandas as pd

    if not hearings:
        return {}

    def frame(kind: type, found: str) -> pd.DataFrame:
        rows = [(h.dataset, h.level, *astuple(thing)) for h in hearings for thing in getattr(h, found)]
        return pd.DataFrame(rows, columns=["dataset", "level", *kind.__slots__])  # type: ignore[attr-defined]

    taus = [(h.dataset, h.level, a.one, a.other, a.tau) for h in hearings for a in h.agreements]
    chosen = [
        (
            h.dataset,
            h.level,
            c.stakeholder,
            c.first,
            ", ".join(c.vetoed_by),
            c.pick,
            _chosen(h),
        )
        for h in hearings
        for c in h.choices
    ]
    columns = ["dataset", "level", "stakeholder", "first", "vetoed_by", "pick", "compromise"]
    return {
        "stakeholder_ratings.csv": frame(Rating, "ratings"),
        "stakeholder_vetoes.csv": frame(Veto, "vetoes"),
        "stakeholder_picks.csv": pd.DataFrame(chosen, columns=columns),
        "stakeholder_regrets.csv": frame(Regret, "regrets"),
        "stakeholder_agreement.csv": pd.DataFrame(taus, columns=["dataset", "level", "one", "other", "kendall_tau"]),
        "stakeholder_moves.csv": frame(Move, "moves"),
    }


# Figures --------------------------------------------------------------------------------------------------------------------


def rank_heatmap(hearing: Hearing) -> ReportFigure:
    """Who ranks which candidate where: the darker, the better; a cross where a stakeholder vetoes.

    Parameters
    ----------
    hearing : Hearing

    Returns
    -------
    ReportFigure
    """
    who, order = list(hearing.stakeholders), _by_mean_rank(hearing)
    finding = _rank_finding(hearing)
    if not who:
        return _empty(finding, "nobody ranks the candidates")
    ranks = np.array([[hearing.rating(s, c).rank for s in who] for c in order], dtype=float)
    shade = np.where(ranks > 0, 1 - (ranks - 1) / max(1.0, len(order) - 1.0), 0.0)
    texts = [[_rank_text(hearing, hearing.rating(s, c)) for s in who] for c in order]
    with theme():
        figure, ax = canvas(finding, 2.5 + 0.5 * len(order), left=0.26)
        _cells(ax, shade, texts, BLUE)
        chosen = _chosen(hearing)
        names = [f"▸ {c}" if c == chosen else c if c in hearing.survivors else f"{c} ✗" for c in order]
        ax.set_yticks(np.arange(len(order)) + 0.5, names)
        _columns(ax, who)
        said = "rank (1 is best)"
        said += "; ✗ vetoed" if any(v.outcome == "missed" for v in hearing.vetoes) else ""
        figure.text(0.02, 0.01, said + ("; ▸ the compromise" if chosen else ""), color=QUIET, fontsize=13)
    described = "; ".join(
        f"{c}: {', '.join(f'{s} {t}' for s, t in zip(who, row, strict=True))}" for c, row in zip(order, texts, strict=True)
    )
    return ReportFigure(figure, finding, f"Ranks by stakeholder. {described}.")


def _rank_finding(hearing: Hearing) -> str:
    picks = {c.first for c in hearing.choices if c.first}
    if not hearing.choices:
        return f"{place(hearing)}: nobody ranks the candidates"
    n = len(hearing.choices)
    text = f"{place(hearing)}: {n} stakeholder{'s' if n > 1 else ''} would ship {len(picks)} different candidates"
    if len(picks) == 1:
        text = f"{place(hearing)}: all {n} stakeholders would ship {next(iter(picks))}" if n > 1 else f"{text[:-1]}"
    known = [a for a in hearing.agreements if not math.isnan(a.tau)]
    if known:
        least = min(known, key=lambda a: a.tau)
        text += f"; {least.one} and {least.other} agree least (Kendall's tau {_signed(least.tau)})"
    return text


def regret_heatmap(hearing: Hearing) -> ReportFigure:
    """Who loses how much if whose pick ships: the darker, the more; the compromise stands first.

    Parameters
    ----------
    hearing : Hearing

    Returns
    -------
    ReportFigure
    """
    shipped, who = _picks(hearing), list(hearing.stakeholders)
    finding = _regret_finding(hearing, shipped)
    if not shipped:
        return _empty(finding, "no candidate is left that anybody could pick")
    regrets = np.array([*([hearing.regret(s, c) for c in shipped] for s in who), [_worst(hearing, c) for c in shipped]])
    most = float(regrets.max()) or 1.0
    unit = "USD a month" if hearing.in_money else "% of what is at stake for them"
    texts = [[number(v) if hearing.in_money else f"{100 * v:.0f} %" for v in row] for row in regrets.tolist()]
    with theme():
        figure, ax = canvas(finding, 3.3 + 0.5 * len(regrets), left=0.2)
        _cells(ax, regrets / (most if hearing.in_money else max(1.0, most)), texts, VERMILION)
        ax.axhline(len(who), color="white", linewidth=8)
        ax.set_yticks(np.arange(len(regrets)) + 0.5, [*who, "the worst of all"])
        pickers = {c: [x.stakeholder for x in hearing.choices if x.pick == c] for c in shipped}
        names = [f"▸\u00a0{c}" if c == _chosen(hearing) else c for c in shipped]
        _columns(ax, names, [f"picked by {', '.join(p) if p else 'nobody'}" for p in pickers.values()])
        said = f"loss of each stakeholder if the candidate ships ({unit}); ▸ the compromise"
        figure.text(0.02, 0.01, said, color=QUIET, fontsize=13)
    described = "; ".join(
        f"if {c} ships: {', '.join(f'{s} {row[i]}' for s, row in zip([*who, 'the worst of all'], texts, strict=True))}"
        for i, c in enumerate(shipped)
    )
    return ReportFigure(figure, finding, f"Regrets in {unit}: {described}.")


def _regret_finding(hearing: Hearing, shipped: Sequence[str]) -> str:
    found = hearing.compromise
    if found is None:
        return f"{place(hearing)}: there is no compromise"
    lost = _amount(hearing, found.regret)
    text = f"{place(hearing)}: with {found.candidate} nobody loses more than {lost} ({found.worst_off})"
    if found.regret == 0:
        text = f"{place(hearing)}: with {found.candidate} nobody loses anything"
    others = [c for c in shipped if c != found.candidate]
    if others:
        worst = max(others, key=lambda c: _worst(hearing, c))
        sufferer = max(hearing.stakeholders, key=lambda s: hearing.regret(s, worst))
        text += f"; with {worst}, {sufferer} would lose {_amount(hearing, _worst(hearing, worst))}"
    return text


def _empty(finding: str, why: str) -> ReportFigure:
    with theme():
        figure, ax = canvas(finding, 2.0)
        ax.set_axis_off()
        ax.text(0.5, 0.5, f"Nothing to draw: {why}.", ha="center", va="center", fontsize=13)
    return ReportFigure(figure, finding, f"Nothing to draw: {why}.")


def _cells(ax: Axes, shade: Floats, texts: Sequence[Sequence[str]], colour: str) -> None:
    """A grid of tinted cells with a text in each; the first row on top."""
    from matplotlib.colors import LinearSegmentedColormap

    tints = LinearSegmentedColormap.from_list("tint", ["#f4f4f2", colour])
    ax.pcolormesh(shade, cmap=tints, vmin=0, vmax=1, edgecolors="white", linewidth=2)
    ax.invert_yaxis()
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            ink = "white" if _luminance(tints(float(shade[row, column]))) < 0.2 else INK
            ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=ink, fontsize=14)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _luminance(colour: Sequence[float]) -> float:
    """WCAG's relative luminance of red, green and blue from 0 to 1."""
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _columns(ax: Axes, names: Sequence[str], below: Sequence[str] = ()) -> None:
    """Names below the columns, broken where they are wider than a column, each with what is said below it."""
    wide = max(8, int(78 / max(1, len(names))))
    # A long name may break behind an underscore.
    broken = [textwrap.wrap(name.replace("_", "_ "), wide, break_long_words=False) for name in names]
    lines = [[part.replace("_ ", "_") for part in parts] for parts in broken]
    if below:
        lines = [[*parts, *textwrap.wrap(said, wide)] for parts, said in zip(lines, below, strict=True)]
    ax.set_xticks(np.arange(len(names)) + 0.5, ["\n".join(parts) for parts in lines])
    # The canvas leaves room for one line: the axes move up for the others.
    box, tall = ax.get_position(), ax.get_figure(root=True).get_size_inches()[1]  # type: ignore[union-attr]
    bottom = (0.55 + 0.225 * max(map(len, lines), default=1)) / tall
    ax.set_position((box.x0, bottom, box.width, box.y1 - bottom))


# The section of the report --------------------------------------------------------------------------------------------------


def hearing_sections(
    hearings: Sequence[Hearing], stakeholders: Sequence[Stakeholder], drawn: dict[str, str]
) -> list[dict[str, Any]]:
    """What the template shows of each hearing; its figures are put into ``drawn``.

    Parameters
    ----------
    hearings : sequence of Hearing
    stakeholders : sequence of Stakeholder
    drawn : dict of str to str
        SVG by file name.

    Returns
    -------
    list of dict
    """
    sections = []
    for hearing in hearings:
        entries = []
        for name, figure in (("stakeholder_ranks", rank_heatmap(hearing)), ("stakeholder_regrets", regret_heatmap(hearing))):
            file = free_file(drawn, f"{place_part(hearing.dataset, hearing.level)}-{name}.svg")
            drawn[file] = figure.svg()
            entries.append({"file": file, "finding": figure.finding})
        sections.append(
            {
                "title": place(hearing),
                "compromise": compromise_sentence(hearing),
                "choices": choice_table(hearing, stakeholders).to_dict("split"),
                "regrets": regret_table(hearing).reset_index().to_dict("split"),
                "agreement": agreement_table(hearing).reset_index().to_dict("split"),
                "moves": move_sentences(hearing),
                "undecided": [v for v in hearing.vetoes if v.outcome == "undecided" and v.stakeholder != EVERYBODY],
                "missed": [v for v in hearing.vetoes if v.outcome == "missed"],
                "notes": hearing.notes,
                "figures": entries,
            }
        )
    return sections
