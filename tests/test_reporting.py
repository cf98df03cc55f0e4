"""The report: complete, offline, escaped, and the same bytes from the same data."""

from __future__ import annotations

import csv
import itertools
import re
import xml.etree.ElementTree as ET
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipworthy import reporting
from shipworthy.records import (
    Comparison,
    Equivalence,
    Interval,
    Prices,
    Record,
    Requirement,
    RequirementVerdict,
    Study,
    Verdict,
)
from shipworthy.reporting import (
    ReportContent,
    accuracy_against_cost,
    build_report,
    comparison_table,
    latency_distribution,
    pareto_front,
)
from shipworthy.reporting.sweeps import sweep_figure
from shipworthy.reporting.wording import free_file, place_part

KINDS = {"prior": "single", "logistic": "single", "forest": "tree_ensemble", "boost": "tree_ensemble", "vote": "ensemble"}
SCORES = {"prior": 0.5, "logistic": 0.9, "forest": 0.915, "boost": 0.92, "vote": 0.925}
MS = {"prior": 0.1, "logistic": 0.4, "forest": 9.0, "boost": 1.0, "vote": 5.0}
PRICES = Prices(as_of="2026-01", source="by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.005)


def _add(rows, who, quantity, statistic, value, low=np.nan, high=np.nan, scenario="none", batch=0):
    facts = {"unit": "", "n": 700, "scenario": scenario, "batch_size": batch, "conditions": '{"threads": 1, "pinned": "core 1"}'}
    rows.append(Record(**who, quantity=quantity, statistic=statistic, value=value, low=low, high=high, **facts))


def make_records(dataset="adult", names=None, seeds=(0,), level=""):
    """Records of five candidates, as the measurement room makes them."""
    names = names or {n: n for n in KINDS}
    factor = "max_train_rows" if level else ""
    rows = []
    for seed in seeds:
        for key, name in names.items():
            add = partial(
                _add,
                rows,
                {"dataset": dataset, "candidate": name, "kind": KINDS[key], "seed": seed, "factor": factor, "level": level},
            )
            value = SCORES[key] + 0.001 * seed
            add("roc_auc", "test", value, value - 0.01, value + 0.01)
            add("roc_auc", "oof", value - 0.001)
            for q, factor_q in (("p50", 1.0), ("p95", 1.5), ("p99", 2.0)):
                add("latency_ms", q, MS[key] * factor_q, MS[key] * factor_q * 0.9, MS[key] * factor_q * 1.2, "single_stream", 1)
            add("latency_ms", "p99", MS[key] * 50, scenario="multi_stream", batch=4096)
            add("throughput_rows_s", "mean", 1e4 / MS[key], scenario="offline", batch=4096)
            add("memory_mib", "mean", 20 + 10 * MS[key], 20 + 9 * MS[key], 20 + 11 * MS[key])
            add("peak_memory_mib", "max", 30 + 10 * MS[key], batch=1)
            add("peak_memory_mib", "max", 90 + 10 * MS[key], batch=4096)
            add("fit_cpu_s", "value", MS[key])
            add("usd_per_million", "estimate", MS[key] / 100)
    frame = pd.DataFrame([asdict(r) for r in rows])
    frame.insert(0, "study", "quick")
    return frame


def make_samples(dataset="adult", names=None):
    """Raw latencies of two rounds."""
    rng = np.random.default_rng(0)
    parts = []
    for key, name in (names or {n: n for n in KINDS}).items():
        for r in (0, 1):
            facts = {
                "dataset": dataset,
                "candidate": name,
                "seed": 0,
                "level": "",
                "quantity": "latency_ms",
                "scenario": "single_stream",
            }
            parts.append(pd.DataFrame({**facts, "batch_size": 1, "round": r, "value": MS[key] * rng.lognormal(0, 0.2, 60)}))
    return pd.concat(parts, ignore_index=True)


def make_content(dataset="adult", vote="vote"):
    """A study of one data set in which ``vote`` is not worth it."""
    names = {n: vote if n == "vote" else n for n in KINDS}
    gain = Interval(0.005, 0.001, 0.009, 0.95, "paired bootstrap")
    ratio = Interval(5.0, 4.0, 6.0, 0.95, "ratio of p99")
    required = RequirementVerdict(
        "fast", vote, dataset, "undecided", 10.0, 9.0, np.inf, 50.0, 100, "359 more queries would be enough"
    )
    reason = f"{vote} cannot be told from boost"
    verdict = Verdict(
        dataset,
        "",
        vote,
        "cannot tell",
        reason,
        (Comparison(vote, "boost", "best tree ensemble", "roc_auc", gain, ratio, ratio),),
        (required,),
    )
    study = Study(
        name="quick",
        question="Is it worth it?",
        datasets=(dataset,),
        candidates=tuple(names.values()),
        requirements=(Requirement(name="fast", quantity="latency_ms", statistic="p99", at_most=50, scenario="single_stream"),),
        prices=PRICES,
    )
    pick = {"dataset": dataset, "level": ""}
    pick |= {
        "benchmark_chaser": {"candidate": vote, "reason": "best."},
        "requirements": {"candidate": None, "reason": "none is near."},
    }
    return ReportContent(
        study=study,
        records=make_records(dataset, names),
        samples=make_samples(dataset, names),
        verdicts=[verdict],
        requirement_verdicts=[required],
        picks=[pick],
        environment={"machine": {"processor": "a processor", "cannot": []}, "commit": "abc"},
        missing=["stack was not trained."],
        timings={"training": 60.0, "measuring": 40.0},
    )


@pytest.fixture(scope="module")
def report():
    """One report, made once."""
    return build_report(make_content())


def test_what_to_do_comes_first_then_the_verdicts_and_everything_else_follows(report):
    """The order of the page is the order of a reader's questions."""
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", report.html)
    assert headings == [
        "What to do",
        "Verdicts",
        "What a benchmark-chaser would ship, and what the requirements would",
        "Who wants what, and what all can live with",
        "Requirements",
        "adult",
        "One table across data sets, seeds and swept parameters",
        "How it was measured",
        "What is missing, and what to doubt",
        "The machine",
        "The study as declared",
    ]
    assert [h.removeprefix("## ") for h in report.markdown.splitlines() if h.startswith("## ")] == headings


def test_the_page_asks_the_network_for_nothing_and_needs_no_script(report):
    """No address is fetched: the only ones are XML name spaces."""
    assert "<script" not in report.html
    assert not re.findall(r"(?:src|href)=\"(?!#)[^\"]*\"", re.sub(r"xlink:href=\"#[^\"]*\"", "", report.html))
    assert set(re.findall(r"https?://[^\"'\s<]+", report.html)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "@import" not in report.html


def test_the_same_content_gives_the_same_bytes(report):
    """Page, Markdown, tables and figures; no time and no random name is in them."""
    again = build_report(make_content())
    assert (again.html, again.markdown, again.figures) == (report.html, report.markdown, report.figures)
    assert {n: t.to_csv(index=False) for n, t in again.tables.items()} == {
        n: t.to_csv(index=False) for n, t in report.tables.items()
    }


def test_tables_do_not_depend_on_the_order_of_the_records(report):
    """Shuffled records give the same tables, byte for byte."""
    content = make_content()
    shuffled = build_report(replace(content, records=content.records.sample(frac=1, random_state=3)))
    assert shuffled.html == report.html
    for name, table in report.tables.items():
        assert shuffled.tables[name].to_csv(index=False) == table.to_csv(index=False), name


def test_every_promised_table_is_there(report):
    """Eight tables, none of them empty."""
    names = {"accuracy.csv", "serving.csv", "training.csv", "comparison.csv", "verdicts.csv", "requirements.csv", "results.csv"}
    names.add("scores.csv")
    assert set(report.tables) == names
    assert all(len(t) for t in report.tables.values())


def test_accuracy_survives_being_written_and_read(tmp_path, report):
    """Floats come back to the last bit."""
    path = tmp_path / "accuracy.csv"
    report.tables["accuracy.csv"].to_csv(path, index=False)
    with path.open(encoding="utf-8", newline="") as lines:
        back = [float(row["value"]) for row in csv.DictReader(lines)]
    assert back == report.tables["accuracy.csv"]["value"].tolist()


HOSTILE = [
    "</script><script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "a|b`c*",
    "$x_{y$",
    "ünï—çødé 名前",
    "</svg><style>*{display:none}</style>",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_everywhere(name):
    """A candidate and a data set with a hostile name are shown, not executed: in page, figures, cards and Markdown."""
    content = make_content(dataset=name, vote=name)
    report = build_report(content)
    # An indented line of Markdown is code, in which nothing is a tag.
    markdown = "\n".join(line for line in report.markdown.splitlines() if not line.startswith("    "))
    whole = report.html + markdown + "".join(report.figures.values()) + reporting.verdict_cards(content.verdicts, content.study)
    for tag in ("<script", "<img", "</svg><", "<style>*{display"):
        assert tag not in whole.replace("</svg></figure>", "")
    for svg in report.figures.values():
        ET.fromstring(svg)
    assert all(re.fullmatch(r"[\w.-]+\.svg", file) for file in report.figures)


def test_figures_are_named_and_described_for_those_who_do_not_see_them(report):
    """Each is an image with a label, a title and a description that holds the numbers."""
    assert len(report.figures) == 3
    for svg in report.figures.values():
        root = ET.fromstring(svg)
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert root.find("{http://www.w3.org/2000/svg}title").text == root.get("aria-label")
        assert "boost" in root.find("{http://www.w3.org/2000/svg}desc").text


def test_the_title_of_a_figure_is_its_finding():
    """Gain and cost are computed from the records; without a verdict they are said to be of these test rows."""
    found = accuracy_against_cost(make_records(), "adult")
    assert found.finding == "adult: vote scores 0.0050 ROC AUC better than boost on these test rows at 5.0 times the p99"


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        ((0.005, 0.001, 0.009), "vote gains 0.0050 ROC AUC over boost (+0.0010 to +0.0090) at 5.0 times"),
        ((-0.005, -0.009, -0.001), "vote loses 0.0050 ROC AUC to boost (-0.0090 to -0.0010) at 5.0 times"),
        ((0.005, -0.001, 0.011), "vote is not told apart from boost by ROC AUC, +0.0050 (-0.0010 to +0.0110), at 5.0 times"),
        ((0.0, 0.0, 0.0), "vote scores as boost does, at 5.0 times"),
        ((0.005, np.nan, np.nan), "vote scores 0.0050 ROC AUC better than boost on these test rows at 5.0 times"),
    ],
)
def test_a_title_calls_a_gain_one_only_where_its_interval_does(gain, said):
    """The verdict's own interval is in the title; one that holds 0 tells nobody apart. Another place's verdict says nothing."""
    verdict = make_content().verdicts[0]
    judged = replace(verdict, comparisons=(replace(verdict.comparisons[0], gain=Interval(*gain, 0.95, "")),))
    others = [replace(judged, dataset="flights"), replace(judged, level="4000")]
    assert accuracy_against_cost(make_records(), "adult", verdicts=[*others, judged]).finding == f"adult: {said} the p99"
    assert "on these test rows" in accuracy_against_cost(make_records(), "adult", verdicts=others).finding


def test_the_best_out_of_fold_is_not_called_the_best_on_test_rows():
    """Without an ensemble the title names who was best where it was chosen, with the score where it was not."""
    records = make_records()
    records = records[records["kind"] == "single"]
    ahead = (records["candidate"] == "prior") & (records["statistic"] == "test") & (records["quantity"] == "roc_auc")
    records.loc[ahead, "value"] = 0.99
    assert (
        accuracy_against_cost(records, "adult").finding
        == "adult: logistic is the best out of fold, with 0.9000 ROC AUC on test rows"
    )


def test_a_p99_has_no_digit_that_its_queries_do_not_allow():
    """Of 120 queries two digits; in the tables those that its interval allows, which stands beside it."""
    drawn = latency_distribution(make_samples(), "adult")
    assert drawn.finding.endswith(", seen in 120 queries")
    shown = re.findall(r"p99 ([\d.]+) ms", drawn.description)
    assert len(shown) == 5
    assert all(len(text.replace(".", "").lstrip("0")) <= 2 for text in shown)
    content = make_content()
    wide = (
        (content.records["statistic"] == "p99") & (content.records["batch_size"] == 1) & (content.records["candidate"] == "vote")
    )
    records = content.records.copy()
    records.loc[wide, ["value", "low", "high"]] = [12.914, 12.23, 16.51]
    report = build_report(replace(content, records=records))
    assert "<td>13 <small>12 to 17</small></td>" in report.html
    assert "| 13 (12 to 17) |" in report.markdown
    assert "; 13 ms; cannot tell" in report.tables["scores.csv"]["adult"].tolist()[-1]
    assert "12.9" not in report.html


def test_the_finding_is_the_comparison_that_decides_the_verdict():
    """The verdict needs a gain over both baselines, so the title tells the smaller one, whichever scored better out of fold."""
    records = make_records()
    tested = (records["candidate"] == "logistic") & (records["statistic"] == "test") & (records["quantity"] == "roc_auc")
    records.loc[tested, ["value", "low", "high"]] = [0.93, 0.92, 0.94]
    assert accuracy_against_cost(records, "adult").finding == (
        "adult: vote scores 0.0050 ROC AUC worse than logistic on these test rows at 12 times the p99"
    )
    # Only test rows that the choice may not see made prior the better single: it stays unchosen.
    tested = (records["candidate"] == "prior") & (records["statistic"] == "test") & (records["quantity"] == "roc_auc")
    records.loc[tested, "value"] = 0.99
    assert "than logistic" in accuracy_against_cost(records, "adult").finding


@pytest.mark.parametrize(
    ("p99", "words"),
    [
        ((2.1, 1.9, 3.0), " test rows at about the same p99"),
        ((3.0, 1.0, 9.0), " test rows at a p99 that is not told apart"),
        ((3.0, 1.0, np.inf), " test rows at a p99 that is not told apart"),
        ((30.0, np.nan, np.nan), " than boost on these test rows"),
        ((9.0, 8.0, 10.0), " test rows at 4.5 times the p99"),
    ],
)
def test_a_ratio_of_costs_is_told_only_where_the_intervals_tell_them_apart(p99, words):
    """Boost has a p99 of 2 ms, from 1.8 to 2.4."""
    records = make_records()
    vote = (records["candidate"] == "vote") & (records["statistic"] == "p99") & (records["scenario"] == "single_stream")
    records.loc[vote, ["value", "low", "high"]] = p99
    assert accuracy_against_cost(records, "adult").finding.endswith(words)


def test_a_loss_is_called_a_loss():
    """An ensemble that scores worse is not said to gain."""
    records = make_records()
    records.loc[(records["candidate"] == "vote") & (records["quantity"] == "roc_auc"), ["value", "low", "high"]] = [
        0.91,
        0.9,
        0.92,
    ]
    assert "vote scores 0.0100 ROC AUC worse than boost" in accuracy_against_cost(records, "adult", "memory_mib").finding


def test_labels_do_not_cover_each_other_or_leave_the_axes():
    """Five candidates, five names, no two boxes overlap."""
    figure = accuracy_against_cost(make_records(), "adult").figure
    renderer = figure.canvas.get_renderer()
    ax = figure.axes[0]
    boxes = [t.get_window_extent(renderer) for t in ax.texts if any(t.get_text().startswith(n) for n in KINDS)]
    frame = ax.get_window_extent(renderer)
    assert len(boxes) == 5
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(b.x0 >= frame.x0 - 1 and b.x1 <= frame.x1 + 1 for b in boxes)


def test_text_in_figures_can_be_read_on_a_projector():
    """No text is smaller than 13 points."""
    from matplotlib.text import Text

    for figure in (accuracy_against_cost(make_records(), "adult"), latency_distribution(make_samples(), "adult", kinds=KINDS)):
        sizes = [t.get_fontsize() for t in figure.figure.findobj(Text) if t.get_text()]
        assert min(sizes) >= 13


def test_drawing_leaves_matplotlib_as_it_was():
    """The theme ends with the figure, and pyplot holds none."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    before = dict(mpl.rcParams)
    accuracy_against_cost(make_records(), "adult").svg()
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def test_a_notebook_shows_a_figure_as_svg():
    """What IPython asks for is there."""
    assert latency_distribution(make_samples(), "adult")._repr_html_().startswith("<svg")


def test_figures_without_measurements_say_so():
    """An empty figure is a sentence, not an error."""
    records = make_records()
    only_accuracy = records[records["quantity"] == "roc_auc"]
    assert "Nothing to draw" in accuracy_against_cost(only_accuracy, "adult").description
    assert "Nothing to draw" in latency_distribution(pd.DataFrame(), "adult").description


def test_the_comparison_shows_single_queries_and_the_worst_memory():
    """Batches do not leak into the latency; the peak is the highest of any batch."""
    table = comparison_table(make_records(), "adult", "roc_auc").set_index("candidate")
    assert table.loc["vote", "p99_ms"] == pytest.approx(10.0)
    assert table.loc["vote", "peak_memory_mib"] == pytest.approx(140.0)
    assert list(table.index) == ["logistic", "prior", "boost", "forest", "vote"]


def test_the_comparison_takes_the_mean_over_seeds_and_the_widest_ends():
    """Two seeds, 0.001 apart."""
    row = comparison_table(make_records(seeds=(0, 1)), "adult", "roc_auc").set_index("candidate").loc["vote"]
    assert (row["roc_auc"], row["roc_auc_low"], row["roc_auc_high"]) == pytest.approx((0.9255, 0.915, 0.936))


def test_the_comparison_of_an_unknown_data_set_names_those_that_exist():
    """One sentence."""
    with pytest.raises(ValueError, match="there are records of adult"):
        comparison_table(make_records(), "iris", "roc_auc")


def test_scores_stand_side_by_side_for_every_data_set_and_level():
    """One row a candidate and one column a data set and level, with score, p99 and answer of that place; a dash where none is."""
    content = make_content()
    flights = make_records("flights", level="1000")
    flights = flights[flights["candidate"] != "boost"]
    records = pd.concat([make_records(level="1000"), make_records(level="4000"), flights])
    study = replace(content.study, datasets=("adult", "flights"), sweep={"max_train_rows": (1000, 4000)})
    verdict = replace(content.verdicts[0], dataset="adult", level="4000")
    report = build_report(replace(content, records=records, study=study, verdicts=[verdict]))
    table = report.tables["scores.csv"].set_index("candidate")
    assert list(table.columns) == ["adult, 1000", "adult, 4000", "flights, 1000"]
    assert table.loc["boost", "flights, 1000"] == "-"
    shown = table.loc[verdict.candidate, "adult, 4000"]
    held = records[
        (records["dataset"] == "adult")
        & (records["level"] == "4000")
        & (records["candidate"] == verdict.candidate)
        & (records["quantity"] == "roc_auc")
        & (records["statistic"] == "test")
    ]
    assert float(shown.split(";")[0]) == pytest.approx(held["value"].mean(), abs=1e-4)
    assert shown.endswith(f"; {verdict.answer}")
    assert not table.loc[verdict.candidate, "adult, 1000"].endswith(verdict.answer)
    assert "Every candidate on every data set and level of max_train_rows" in report.html
    assert shown in report.html


def test_what_there_was_no_time_for_stands_at_the_top():
    """What a time budget left out is said before the first verdict, in the page and in the Markdown."""
    said = "Left out to answer within 5 minutes: stack on adult."
    report = build_report(replace(make_content(), left_out=[said]))
    for page, verdicts in ((report.html, '<h2 id="verdicts">'), (report.markdown, "## Verdicts")):
        assert 0 < page.index(said) < page.index(verdicts)


def test_swept_levels_get_a_section_and_rows_each():
    """One table across data sets, seeds and levels."""
    content = make_content()
    records = pd.concat([make_records(level="1000", seeds=(0, 1)), make_records(level="4000", seeds=(0, 1))])
    study = replace(content.study, sweep={"max_train_rows": (1000, 4000)})
    report = build_report(replace(content, records=records, study=study))
    assert "adult (max_train_rows = 4000)" in report.html
    assert len(report.tables["results.csv"]) == 2 * 2 * 5
    assert len(report.figures) == 6


def test_a_sweep_is_drawn_against_its_values_and_says_what_it_changes():
    """A line a candidate through its scores and p99 at each value, "all" last; a field that changes nothing says so instead."""
    sweep = {"max_train_rows": (1000, 4000, 0), "smallest_useful_gain": (0.001, 0.01)}
    parts = []
    for rows, gain in itertools.product(*sweep.values()):
        part = make_records(level=f"{rows}; {gain}").assign(factor="; ".join(sweep))
        boost, more = part["candidate"] == "boost", (1000, 4000, 0).index(rows)
        for end in ("value", "low", "high"):
            part.loc[boost & (part["quantity"] == "roc_auc"), end] += 0.03 * more
            part.loc[boost & (part["quantity"] == "latency_ms"), end] *= 2**more
        parts.append(part)
    content = make_content()
    report = build_report(replace(content, records=pd.concat(parts), study=replace(content.study, sweep=sweep)))
    shown = report.figures["adult-against-max_train_rows.svg"]
    finding = "from 1,000 to all training rows at most, boost goes from 0.9200 to 0.9800 ROC AUC, at 4.0 times the p99"
    assert re.search(r"<title>(.*)</title>", shown)[1] == f"adult (smallest_useful_gain = 0.001): {finding}"
    said = re.search(r"<desc>(.*)</desc>", shown)[1]
    assert (
        "boost at smallest_useful_gain = 0.01, 1,000: 0.9200 and 2.00 ms; 4,000: 0.9500 and 4.00 ms; all: 0.9800 and 8.00" in said
    )
    assert "adult-against-smallest_useful_gain.svg" not in report.figures
    assert "smallest_useful_gain changes neither ROC AUC nor the p99 latency of a single query" in report.html
    assert "![adult (smallest_useful_gain = 0.001): from 1,000" in report.markdown
    drawn = sweep_figure(pd.concat(parts), "adult", "roc_auc", sweep, "max_train_rows").figure
    line = next(line for line in drawn.axes[0].lines if np.allclose(line.get_ydata(), [0.92, 0.95, 0.98]))
    np.testing.assert_allclose(line.get_xdata(), [0, 1, 2], atol=0.1)
    assert [t.get_text() for t in drawn.axes[1].get_xticklabels()] == ["1,000", "4,000", "all"]


def test_everything_is_in_the_order_of_the_study():
    """Data sets as they are listed and levels as they are swept, in verdicts, picks, requirements, sections and tables."""
    content = make_content()
    order = [(d, level) for d in ("flights", "adult") for level in ("500", "4000", "1000")]
    study = replace(content.study, datasets=("flights", "adult"), sweep={"max_train_rows": (500, 4000, 1000)})
    mixed = sorted(order)
    report = build_report(
        replace(
            content,
            study=study,
            records=pd.concat([make_records(d, level=level) for d, level in mixed]),
            verdicts=[replace(content.verdicts[0], dataset=d, level=level) for d, level in mixed],
            requirement_verdicts=[replace(content.requirement_verdicts[0], dataset=d, level=level) for d, level in mixed],
            picks=[{**content.picks[0], "dataset": d, "level": level} for d, level in mixed],
        )
    )
    page = report.html
    pattern = {
        "verdicts": r"on <strong>(\w+)</strong> \((\d+)\)",
        "picks and requirements": r"<h3>(\w+) \((\d+)\)</h3>",
        "sections": r"<h2>(\w+) \(max_train_rows = (\d+)\)</h2>",
    }
    assert re.findall(pattern["verdicts"], page) == order
    assert re.findall(pattern["picks and requirements"], page) == order * 2
    assert re.findall(pattern["sections"], page) == order
    for name in ("results.csv", "comparison.csv", "verdicts.csv"):
        table = report.tables[name]
        assert list(dict.fromkeys(zip(table["dataset"], table["level"], strict=True))) == order, name


def test_one_name_for_a_metric_wherever_people_read_it(report):
    """The page speaks of ROC AUC; only the study as it was declared, and tables for programs, say roc_auc."""
    page = report.html[: report.html.index('id="study"')]
    assert "ROC AUC" in page
    assert "roc_auc" not in page
    assert "roc_auc" in report.tables["results.csv"].columns


def judged(requirement, candidate, outcome, observed, limit):
    """Whether a candidate keeps a requirement on adult."""
    return RequirementVerdict(requirement, candidate, "adult", outcome, observed, 0.0, 1.0, limit, 700, "by hand")


def test_requirements_that_everybody_meets_are_one_line():
    """Who comes nearest to a limit is named; the whole table is folded, and what is not met stays in sight."""
    content = make_content()
    declared = (
        content.study.requirements[0],
        Requirement(name="busy", quantity="throughput_rows_s", at_least=100, scenario="single_stream"),
    )
    content = replace(content, study=replace(content.study, requirements=declared))
    met = [judged("fast", n, "met", ms, 50) for n, ms in (("vote", 10), ("boost", 2))]
    met += [judged("busy", n, "met", rows, 100) for n, rows in (("vote", 110), ("boost", 900))]
    page = build_report(replace(content, requirement_verdicts=met)).html
    assert (
        "All 2 candidates that were judged meet all 2 requirements on adult; the tightest is busy (mean throughput at least "
        "100 rows/s, single stream): vote with 110 rows/s." in page
    )
    part = page[page.index('id="requirements"') : page.index("<h2>adult")]
    assert "<table" not in part[: part.index("<details>")]
    missed = [*met[:2], judged("busy", "vote", "missed", 90, 100), met[3]]
    page = build_report(replace(content, requirement_verdicts=missed)).html
    part = page[page.index('id="requirements"') : page.index("<h2>adult")]
    assert "All 2 candidates that were judged meet 1 of 2 requirements on adult (fast)" in part
    assert "<summary>Why 1 is not shown to be met</summary>" in part
    assert '<th scope="col">busy' in part[: part.index("<details>")]
    assert '<th scope="col">fast' not in part[: part.index("<details>")]
    assert '<th scope="col">fast' in part


def test_how_it_was_measured_tells_rows_that_came_again_the_load_and_the_noise():
    """What the conditions say is told for each data set; nothing is claimed that they do not say."""
    content = make_content()
    conditions = (
        '{"scenario": "single_stream", "batch_size": 1, "load_average": 1.0986328125, '
        '"note": "700 rows asked for, 171 different ones given, so rows come again"}'
    )
    picks = [{**content.picks[0], "noise_floor": 1.0734}]
    noted = replace(content, records=content.records.assign(conditions=conditions), picks=picks)
    text = build_report(noted).markdown
    assert "On adult rows came again: 700 single queries were made of 171 different rows." in text
    assert "load average when a measurement began was 1.1;" in text
    assert "between fresh processes: adult 1.07." in text
    assert "Nothing of this study ran beside a timed window." in text
    unknown = build_report(replace(content, picks=[{**content.picks[0], "noise_floor": None}])).markdown
    assert "adult not known, as too few rounds were measured" in unknown
    assert "came again" not in unknown
    assert "load average" not in unknown


def test_how_many_queries_were_answered_is_what_the_records_say():
    """As many as were asked for only where every candidate did; nobody is said to have been measured who failed."""
    content = make_content()
    asked = content.study.measuring.queries
    text = build_report(content).markdown
    assert asked == 700
    assert "Each candidate that was measured answered 700 queries of one raw row" in text
    assert "Every candidate" not in text[text.index("## How it was") : text.index("## What is missing")]
    timed = (content.records["quantity"] == "latency_ms") & (content.records["candidate"] == "vote")
    fewer = content.records.assign(n=content.records["n"].mask(timed, 120))
    assert (
        "Candidates answered from 120 to 700 queries (700 were asked for) of one"
        in build_report(replace(content, records=fewer)).markdown
    )
    untimed = content.records[content.records["quantity"] != "latency_ms"]
    assert "Candidates were to answer 700 queries of one" in build_report(replace(content, records=untimed)).markdown


def test_numbers_of_the_machine_are_rounded_and_empty_lists_left_out():
    """No long floats, and no ``cannot: none``."""
    machine = {"memory_mib": 24105.625, "load_average": 0.1005859375, "cannot": [], "thread_pools": [{"version": None, "n": 2}]}
    text = build_report(replace(make_content(), environment={"machine": machine})).markdown
    assert "| machine: memory mib | 24,106 |" in text
    assert "| machine: load average | 0.1006 |" in text
    assert "cannot" not in text[text.index("## The machine") : text.index("## The study")]
    assert "| machine: thread pools | n 2 |" in text


def test_a_cost_below_the_timer_is_not_a_number_of_digits():
    """A preprocessing time under a microsecond reads so."""
    content = make_content()
    rows = content.records[(content.records["quantity"] == "latency_ms") & (content.records["statistic"] == "p50")]
    quick = rows.assign(quantity="preprocess_ms", value=0.00015)
    page = build_report(replace(content, records=pd.concat([content.records, quick]))).html
    assert page.count("<td>&lt; 0.001</td>") >= len(KINDS)
    assert "USD per million queries (estimate)" in page


@pytest.mark.parametrize("quantity", ["roc_auc", "latency_ms", "memory_mib"])
def test_nothing_is_said_to_be_there_that_the_records_do_not_hold(quantity):
    """That every candidate was trained, scored and measured is said of records that show it."""
    content = replace(make_content(), missing=[])
    said = "Nothing is missing: every candidate of the study was trained, scored and measured."
    assert said in build_report(content).html
    absent = (content.records["candidate"] == "vote") & (content.records["quantity"] == quantity)
    report = build_report(replace(content, records=content.records[~absent]))
    for text in (report.html, report.markdown):
        assert said not in text
        assert "Nothing was reported missing, but not every candidate" in text


def test_an_empty_study_still_has_a_report():
    """Everything failed: the page says what is missing."""
    content = make_content()
    nothing = replace(
        content, records=content.records.head(0), samples=pd.DataFrame(), verdicts=[], requirement_verdicts=[], picks=[]
    )
    report = build_report(nothing)
    assert "No ensemble was judged." in report.html
    assert "stack was not trained." in report.html


def test_verdict_cards_are_whole_in_themselves():
    """Answer, sentence and numbers, with their style."""
    content = make_content()
    cards = reporting.verdict_cards(content.verdicts, content.study)
    assert 'class="card cannot-tell"' in cards
    assert "vote cannot be told from boost" in cards
    assert "+0.0010 to +0.0090" in cards
    assert "× 5 <small>4 to 6</small>" in cards  # noqa: RUF001 - the sign for times
    assert "<style>" in cards


@pytest.mark.parametrize("high", [np.inf, np.nan])
def test_a_ratio_that_was_measured_once_has_no_ends(high):
    """An end that is not known is not a number on the card."""
    content = make_content()
    verdict = content.verdicts[0]
    once = replace(verdict.comparisons[0], latency_ratio=Interval(5.0, 0.0, high, 0.95, "once"))
    cards = reporting.verdict_cards([replace(verdict, comparisons=(once,))], content.study)
    assert "× 5.0 <small>measured once</small>" in cards  # noqa: RUF001 - the sign for times


def test_a_gain_without_an_interval_is_not_given_ends_that_are_no_numbers():
    """Of test rows that all belong together nothing is known; the card says so in words."""
    content = make_content()
    verdict = content.verdicts[0]
    unknown = replace(verdict.comparisons[0], gain=Interval(0.005, np.nan, np.nan, 0.95, "all rows belong together"))
    cards = reporting.verdict_cards([replace(verdict, comparisons=(unknown,))], content.study)
    assert "+0.0050 <small>no interval</small>" in cards
    assert "nan" not in cards


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12))
def test_the_pareto_front_is_what_nobody_beats(points):
    """Agrees with the definition, checked pair by pair."""
    cost, value = (np.array(v, dtype=float) for v in zip(*points, strict=True))
    beaten = [any(c2 <= c and v2 >= v and (c2 < c or v2 > v) for c2, v2 in points) for c, v in points]
    assert pareto_front(cost, value).tolist() == [not b for b in beaten]
    assert pareto_front(cost, -value, greater_is_better=False).tolist() == [not b for b in beaten]


def test_a_point_that_was_not_measured_is_not_on_the_front_and_hides_nobody():
    """Nan beats nothing."""
    assert pareto_front(np.array([np.nan, 2.0]), np.array([1.0, 0.5])).tolist() == [False, True]


def judged_fully():
    """A verdict with all that stands beside it, and a requirement that is missed by half."""
    content = make_content()
    beside = Equivalence(0.004, 0.27, 0.726, 0.005, "Bayesian correlated t-test over 5 seeds")
    first = content.verdicts[0]
    compared = replace(first.comparisons[0], equivalence=beside, power=0.34)
    missed = replace(
        content.requirement_verdicts[0], outcome="missed", observed=75.0, times_off=1.5, change="a batch size of 16 meets it"
    )
    verdict = replace(
        first,
        comparisons=(compared,),
        requirements=(missed,),
        deciding_test="corrected resampled t (Nadeau and Bengio 2003), at 97.5 %",
        family=2,
        power=0.34,
        weighted_score=0.75,
    )
    return replace(content, verdicts=[verdict], requirement_verdicts=[missed])


def test_what_stands_beside_a_verdict_is_on_the_page_and_in_the_tables():
    """The deciding test, the Bayesian probabilities, the power and the weighted score: card, Markdown and CSV."""
    report = build_report(judged_fully())
    bayes = "Not deciding, over boost: worse under 1 %, practically equivalent 27 %, better 73 % (Bayesian correlated t-test"
    assert bayes in report.html
    assert bayes in report.markdown
    assert "Decided by the corrected resampled t (Nadeau and Bengio 2003), at 97.5 %." in report.html
    assert "Power to show a gain of twice the smallest useful one: 34 % over boost." in report.html
    assert "Weighted requirements met: 75 % by weight." in report.html
    row = report.tables["verdicts.csv"].iloc[0]
    assert (row["family"], row["power"], row["weighted_score"], row["bayes_better"]) == (2, 0.34, 0.75, 0.726)


def test_how_far_off_a_limit_is_and_what_would_change_it_are_told():
    """In the table of requirements the factor, below it the cheapest known change; the CSV has both."""
    report = build_report(judged_fully())
    assert "<small>1.5 times the limit</small>" in report.html
    for text in (report.html, report.markdown):
        assert "That is 1.5 times the limit. Cheapest known change: a batch size of 16 meets it." in text
    row = report.tables["requirements.csv"].iloc[0]
    assert (row["times_off"], row["change"]) == (1.5, "a batch size of 16 meets it")


def test_the_largest_tolerable_costs_are_told_where_they_are_declared():
    """The rule at the head of the page is the study's own."""
    content = make_content()
    declared = replace(content.study, largest_latency_ratio=10.0, largest_memory_ratio=2.0)
    assert "at no more than 10 times the p99 latency and 2 times the memory of each, and it meets" in (
        build_report(replace(content, study=declared)).html
    )
    assert "at no more than" not in build_report(content).html


def test_figures_of_two_names_that_a_file_system_takes_for_one_are_both_kept():
    """A level is a part of the name; what is taken already gets another name."""
    assert place_part("a b", "") == place_part("a/b", "") == "a-b"
    assert place_part("adult", "folds 3") == "adult-folds-3"
    assert free_file({}, "a-b-rates.svg") == "a-b-rates.svg"
    assert free_file({"a-b-rates.svg": "", "_a-b-rates.svg": ""}, "a-b-rates.svg") == "__a-b-rates.svg"
