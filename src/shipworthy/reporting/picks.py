"""What to build with a budget, the sliders that move it, the lines that build picks, and prediction beside reality.

Whatever the budget, its pick lies on the front, so the front is all that a slider needs.

This module does *not* know how anything was simulated, or whether a pick was built.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.records import QUANTITIES, InputError
from shipworthy.reporting import simulation
from shipworthy.reporting.figures import ReportFigure
from shipworthy.reporting.wording import free_file, label, number, percent, place_part, score

if TYPE_CHECKING:
    import ipywidgets
    import pandas as pd

STEPS = 100
"""Places of a slider."""
TIED = "\N{NO-BREAK SPACE}"
"""Within a cell of a table, lines break where a thing ends."""
TIE = 1e-12
"""Losses that differ by a smaller share are the same: simulation, which picks among all subsets, takes the faster of them too."""
ROUNDING = 1e-9
"""Scores nearer than this, of numbers about 1, are the same but for the order in which they were added up."""
UNSURE = "Scores on paper have no intervals: which of two is better can be told only of what is built, and then a verdict does."
AS_BUILT = "Those are predicted as they were built, one member after another; the build that is assumed here has met no reality."
FIGURES = {
    "frontier": simulation.ensemble_frontier,
    "members": simulation.diminishing_return,
    "greed": simulation.price_of_greed,
    "cascades": simulation.cascade_curves,
    "worth": simulation.worth_bars,
}


def pick_within(
    found: Mapping[str, Any], *, latency_ms: float = math.inf, memory_mib: float = math.inf
) -> Mapping[str, Any] | None:
    """The ensemble of the front that is best out of fold among those that are predicted to keep a budget; None if none does.

    Parameters
    ----------
    found : mapping
        What was simulated of a data set, with the fields of ``experiments.Simulated``.
    latency_ms, memory_mib : float
        The budget: p99 latency of one query, and memory.

    Returns
    -------
    mapping or None
        A row of the front.

    Examples
    --------
    >>> front = [{"members": "a", "size": 1, "oof": 0.5, "latency_ms": 1, "memory_mib": 9},
    ...          {"members": "b", "size": 1, "oof": 0.4, "latency_ms": 2, "memory_mib": 9}]
    >>> pick_within({"metric": "log_loss", "front": front}, latency_ms=1.5)["members"]
    'a'
    """
    sign = -1 if QUANTITIES[found["metric"]].greater_is_better else 1
    fits = [row for row in found["front"] if row["latency_ms"] <= latency_ms and row["memory_mib"] <= memory_mib]
    least = min((sign * row["oof"] for row in fits), default=0.0)
    equal = [row for row in fits if sign * row["oof"] <= least + TIE * abs(least)]
    return min(equal, key=lambda row: (row["latency_ms"], row["size"]), default=None)


def budget_sentence(found: Mapping[str, Any], *, latency_ms: float, memory_mib: float, examples: Sequence[str] = ()) -> str:
    """What to build with a budget, in a sentence.

    Parameters
    ----------
    found : mapping
    latency_ms, memory_mib : float
    examples : sequence of str
        Of ``latency_ms`` and ``memory_mib``, those that nobody declared.

    Returns
    -------
    str
        It says that all of it is simulated, and of what nobody declared that it is an example.
    """
    limits = {"latency_ms": f"{number(latency_ms)} ms", "memory_mib": f"{number(memory_mib)} MiB"}
    declared, shown = (" and ".join(limits[k] for k in limits if (k in examples) == told) for told in (False, True))
    if declared:
        budget = f"With a budget of {declared}" + (f" and, for example, {shown}" if shown else "")
    else:
        budget = f"For example, with a budget of {shown}"
    row = pick_within(found, latency_ms=latency_ms, memory_mib=memory_mib)
    if row is None:
        fastest, smallest = (min(r[k] for r in found["front"]) for k in ("latency_ms", "memory_mib"))
        least = f"the fastest takes {number(fastest)} ms, the smallest {number(smallest)} MiB"
        return f"{budget}, nothing that was simulated can be built: {least}."
    interval = ""
    if row["size"] > 1 and math.isfinite(row["latency_low_ms"]):
        interval = f" ({number(row['latency_low_ms'])} to {number(row['latency_high_ms'])})"
    return (
        f"{budget}, build {row['members']}: {label(found['metric'])} {score(row['test'])} on test rows, p99"
        f" {number(row['latency_ms'])}{interval} ms, {number(row['memory_mib'])} MiB. Simulated, not measured."
    )


def budget_figure(found: Mapping[str, Any], *, latency_ms: float, memory_mib: float) -> ReportFigure:
    """The front with the pick of a budget marked on it; where nothing fits, its knee."""
    return simulation.ensemble_frontier(found, marked=pick_within(found, latency_ms=latency_ms, memory_mib=memory_mib))


def pick_with_sliders(found: Mapping[str, Any], *, latency_ms: float, memory_mib: float) -> ipywidgets.VBox:
    """A slider for each limit of the budget; moving one moves the pick, its sentence and its point at once.

    Parameters
    ----------
    found : mapping
    latency_ms, memory_mib : float
        Where the sliders stand at first.

    Returns
    -------
    VBox
        Two sliders, the sentence and the figure. Without a kernel it stays as it was; show :func:`budget_figure` beside it.

    Raises
    ------
    InputError
        If ipywidgets is not installed.
    """
    try:
        import ipywidgets
    except ImportError:
        raise InputError("sliders need ipywidgets: install shipworthy[notebooks], or show budget_figure") from None
    sliders = []
    for key, words, start in (("latency_ms", "p99 (ms)", latency_ms), ("memory_mib", "memory (MiB)", memory_mib)):
        values = [row[key] for row in found["front"]]
        # At its left end nothing can be built; at its right end anything can.
        low, high = min(min(values) * 0.9, start), max(*values, start) * 1.1
        slider = ipywidgets.FloatLogSlider(
            value=start,
            base=10,
            min=math.log10(low),
            max=math.log10(high),
            step=(math.log10(high) - math.log10(low)) / STEPS,
            description=words,
            readout_format=".3g",
            continuous_update=True,
            layout=ipywidgets.Layout(width="32em"),
            style={"description_width": "8em"},
        )
        sliders.append(slider)
    sentence, figure = ipywidgets.HTML(), ipywidgets.HTML()
    shown: list[str] = []

    def move(_: object = None) -> None:
        ms, mib = (float(slider.value) for slider in sliders)
        sentence.value = f"<p><b>{_escaped(budget_sentence(found, latency_ms=ms, memory_mib=mib))}</b></p>"
        chosen = pick_within(found, latency_ms=ms, memory_mib=mib)
        # Drawing takes a fifth of a second: only where the pick is another.
        if shown != [name := str(chosen["members"]) if chosen else ""]:
            shown[:] = [name]
            figure.value = budget_figure(found, latency_ms=ms, memory_mib=mib)._repr_html_()

    for slider in sliders:
        slider.observe(move, names="value")
    move()
    return ipywidgets.VBox([*sliders, sentence, figure])


def _escaped(text: str) -> str:
    import html

    return html.escape(text)


def pick_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """The picks, what is predicted of each, and the line that builds it in a study; those that are the same share a row.

    Parameters
    ----------
    found : mapping

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    metric = label(found["metric"])
    same: dict[tuple[object, ...], list[Mapping[str, Any]]] = {}
    for p in found["picks"]:
        how = ("weights", "thresholds", "confidence")
        same.setdefault((tuple(p["members"]), *(str(p.get(k)) for k in how)), []).append(p)
    rows = []
    for p, *others in same.values():
        what = f"{'accuracy' if p.get('confidence') else metric} {score(p['test'])}; {score(p['oof'])} out of fold"
        mean = f", mean {number(p['mean_ms'])} ms" if "mean_ms" in p else ""
        cost = f"p99 {number(p['latency_ms'])} ms{mean}, {number(p['memory_mib'])} MiB"
        rows.append(
            {
                "pick": ", ".join(q["name"] for q in (p, *others)),
                "which": "; ".join(q["why"] for q in (p, *others)),
                "predicted on test rows": what,
                "predicted cost": cost,
                "to build it": p["line"],
            }
        )
    return pd.DataFrame(rows)


def reality_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """Every ensemble that was built, predicted beside measured; the last columns say how far off the prediction was.

    Parameters
    ----------
    found : mapping

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    rows = []
    for r in found["reality"]:
        row: dict[str, Any] = {"candidate": r["candidate"], "members": r["members"]}
        row["law from"] = "shares of rows" if r.get("confidence") else f"{r['law']} others" if r["law"] else "a plain sum"
        # Of a cascade it is the accuracy, of a vote the metric that subsets are chosen by: the name stands beside each.
        on_paper, as_built = score(r["metric_predicted"]), score(r["metric_measured"])
        row["score"] = f"{label(r['metric'])} {on_paper}{TIED}/{TIED}{as_built}"
        for key, words in (("mean", "mean (ms)"), ("p50", "p50 (ms)"), ("p99", "p99 (ms)"), ("memory", "memory (MiB)")):
            if f"{key}_measured" not in r:  # a run from before means were kept
                continue
            said, was = r[f"{key}_predicted"], r[f"{key}_measured"]
            row[words] = f"{number(said)}{TIED}/{TIED}{number(was)}, {_off(said, was)}"
        rows.append(row)
    return pd.DataFrame(rows)


def _off(said: float, was: float) -> str:
    return f"{100 * (said / was - 1):+.0f}{TIED}%" if math.isfinite(said) and was > 0 else "not known"


def reality_sentence(found: Mapping[str, Any]) -> str:
    """How far the simulation was from what was measured, where both exist, in a sentence.

    Parameters
    ----------
    found : mapping

    Returns
    -------
    str
    """
    rows = found["reality"]
    if not rows:
        return "No ensemble of these members was built, so nothing shows how far the simulation is from reality."
    off = {k: [abs(r[f"{k}_predicted"] / r[f"{k}_measured"] - 1) for r in rows] for k in ("p50", "p99", "memory")}
    gaps = [abs(r["metric_predicted"] - r["metric_measured"]) for r in rows if math.isfinite(r["metric_predicted"])]
    furthest = f"off by at most {max(gaps):.1g}" if gaps and max(gaps) > ROUNDING else "the same"
    score_words = f"the score was {furthest}, the" if gaps else "the"
    middle = {k: percent(float(np.median(v))) for k, v in off.items()}
    summed = any(not r["law"] and not r.get("confidence") for r in rows)
    how = "by the plain sum of its members, as too few others were built to learn from" if summed else "from the others alone"
    return (
        f"Of {len(rows)} built for real, {score_words} median latency was off by {middle['p50']}, p99 by {middle['p99']} and the"
        f" memory by {middle['memory']} (medians), each predicted {how}."
        + ("" if found.get("as_built", True) else f" {AS_BUILT}")
    )


def worth_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """What each member is worth (Shapley) and what leaving it out of the vote of all does.

    Parameters
    ----------
    found : mapping

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    keys = {
        "gain": f"{label(found['metric'])} gained",
        **({} if found["metric"] == "accuracy" else {"accuracy_gain": "accuracy gained"}),
        "latency_ms": "ms",
        "memory_mib": "MiB",
        "usd": "USD a million (estimate)",
    }
    rows = [
        {"member": r["name"], **{words: number(r[k]) for k, words in keys.items() if k in r}, "alone": r["sentence"]}
        for r in found["worth"]
    ]
    return pd.DataFrame(rows).rename(columns={"alone": "left out of the vote of all"})


def simulation_view(simulations: Sequence[Mapping[str, Any]], drawn: dict[str, str]) -> list[dict[str, Any]]:
    """What the page shows of each simulation; the figures are put into ``drawn``.

    Parameters
    ----------
    simulations : sequence of mapping
    drawn : dict of str to str
        SVG by file name.

    Returns
    -------
    list of dict
    """
    views = []
    for found in simulations:
        place = place_part(found["dataset"], found["level"])
        figures = []
        for name, draw in FIGURES.items():
            if name == "cascades" and not found["curves"]:
                continue
            figure, file = draw(found), free_file(drawn, f"{place}-ensembles-{name}.svg")
            drawn[file] = figure.svg()
            figures.append({"file": file, "finding": figure.finding})
        budget = {"latency_ms": found["latency_budget_ms"], "memory_mib": found["memory_budget_mib"]}
        sentences = [budget_sentence(found, **budget, examples=found.get("examples", ())), found["law"], reality_sentence(found)]
        sentences += [found["charge"]] if found.get("charge") else []
        sentences.append(
            f"The hypervolume of the front is {100 * found['hypervolume']:.0f} %: so much of the room between the worst and"
            " the best score, latency and memory of all subsets is beaten by an ensemble of the front. One that is best in all"
            " three would have 100 %."
        )
        tables = {"Picks": pick_table(found), "What each member is worth": worth_table(found)}
        if found["reality"]:
            tables["Predicted / measured, of those that were built"] = reality_table(found)
        shown = [
            {"title": title, "columns": list(t.columns), "rows": [list(map(str, row)) for row in t.itertuples(index=False)]}
            for title, t in tables.items()
        ]
        views.append({"title": simulation.title_of(found), "figures": figures, "sentences": sentences, "tables": shown})
    return views


def simulation_frame(simulations: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Every ensemble of every front, every pick and every ensemble that was built, one row each, for ``tables/simulated.csv``.

    Parameters
    ----------
    simulations : sequence of mapping

    Returns
    -------
    DataFrame
        ``kind`` is ``simulated``; or ``measured``, beside the same ensemble's row as it was predicted. ROC AUC (on test rows),
        size and price are of the front alone.
    """
    import pandas as pd

    columns = [
        "dataset",
        "level",
        "seed",
        "kind",
        "what",
        "members",
        "metric",
        "oof",
        "test",
        "mean_ms",
        "p50_ms",
        "p99_ms",
        "memory_mib",
        "roc_auc",
        "size_mib",
        "usd_per_million",
        "line",
    ]
    rows = []
    for found in simulations:
        place = {k: found[k] for k in ("dataset", "level", "seed")}
        for r in found["front"]:
            facts = {"oof": r["oof"], "test": r["test"], "p99_ms": r["latency_ms"], "memory_mib": r["memory_mib"]}
            facts |= {k: r.get(k) for k in ("roc_auc", "size_mib", "usd_per_million")}
            rows.append(
                {**place, "kind": "simulated", "what": "front", "members": r["members"], "metric": found["metric"], **facts}
            )
        for p in found["picks"]:
            facts = {"oof": p["oof"], "test": p["test"], "p99_ms": p["latency_ms"], "memory_mib": p["memory_mib"]}
            metric = "accuracy" if p.get("confidence") else found["metric"]
            facts |= {"members": " + ".join(p["members"]), "metric": metric, "mean_ms": p.get("mean_ms")}
            facts["line"] = p["line"].removeprefix("- ")  # a spreadsheet takes a cell that begins so for a formula
            rows.append({**place, "kind": "simulated", "what": p["name"], **facts})
        for r in found["reality"]:
            for kind, how in (("simulated", "predicted"), ("measured", "measured")):
                facts = {"test": r[f"metric_{how}"], "p50_ms": r[f"p50_{how}"], "p99_ms": r[f"p99_{how}"]}
                facts |= {"memory_mib": r[f"memory_{how}"], "members": r["members"], "metric": r["metric"]}
                facts["mean_ms"] = r.get(f"mean_{how}")
                rows.append({**place, "kind": kind, "what": r["candidate"], **facts})
    return pd.DataFrame(rows, columns=columns)
