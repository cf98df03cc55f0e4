"""The money on the page: what was computed is shown, named and escaped, and a study without it has a report all the same."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import asdict

import pandas as pd
import pytest

from shipworthy.records import Prices, Record, Study
from shipworthy.reporting import ReportContent, build_report
from shipworthy.reporting.money import break_even_table, flip_table, map_table, money_table, public_scatter, verdict_map

PRICES = Prices(as_of="2026-01", source="by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.005)
PANEL = {
    "limit_ms": 50.0,
    "price_factor": 1.0,
    "ensemble": "vote",
    "baseline": "boost",
    "traffic_queries_s": [1.0, 10.0, 100.0],
    "margin_usd": [0.0001, 0.001, 0.01],
    "winners": [[1, 1, 2], [1, 2, 0], [2, 0, 3]],
    "border_traffic_queries_s": [1.0, 10.0, 100.0],
    "pays_from": [math.nan, 0.005, 0.0005],
    "baseline_until": [0.005, 0.0005, 0.00005],
}
FLIP = {"axis": "margin", "now": 0.001, "at": 0.005, "factor": 5.0, "winner": "ensemble"}
MONEY = {
    "dataset": "adult",
    "level": "",
    "declared": True,
    "capacity": {"vote": "1 / mean latency"},
    "answers": {"vote": "positive from .3"},
    "break_even": [{"challenger": "vote", "baseline": "boost", "pays_from": math.inf, "sentences": ["vote <never> pays."]}],
    "map": {
        "here": {"traffic_queries_s": 10.0, "limit_ms": 50.0, "price_factor": 1.0, "margin_usd": 0.001},
        "now": "cannot tell",
        "flips": [FLIP],
        "panels": [PANEL, {**PANEL, "limit_ms": math.inf}],
        "sides": ["vote", "boost"],
        "margin_of": "right answer",
        "sentence": "The nearest flip is in the margin.",
    },
    "public": [
        {
            "candidate": "vote",
            "baseline": "boost",
            "sample": "2 public tasks",
            "error_cut": 0.02,
            "time_multiple": 5.0,
            "error_cut_rank": 50.0,
        }
        | {"sentence": "vote cuts 2.0 % off the error of boost."}
    ],
    "public_sample": {"sample": "2 public tasks", "points": [[4.0, 0.01], [400.0, 0.08]]},
    "bought": "There, 48 times the training budget.",
}


def frame():
    """Money records of two candidates and seeds."""
    rows = []
    for name, kind, net in (("boost", "tree_ensemble", 900.0), ("vote", "ensemble", 1000.0)):
        for seed in (0, 1):
            facts = {"dataset": "adult", "candidate": name, "kind": kind, "seed": seed, "unit": "USD"}
            for quantity, value in (("net_value_usd_month", net + seed), ("usd_per_month", 50.0)):
                rows.append(
                    Record(**facts, quantity=quantity, statistic="estimate", value=value, low=value - 10, high=value + 10)
                )
            rows.append(Record(**facts, quantity="usd_per_million", statistic="held", value=0.2))
            rows.append(Record(**facts, quantity="usd_per_million", statistic="estimate", value=0.1))
            rows.append(Record(**facts, quantity="roc_auc", statistic="test", value=0.9, low=0.8, high=0.95))
    made = pd.DataFrame([asdict(r) for r in rows])
    made.insert(0, "study", "s")
    return made


def content(money):
    """A report's content with this money."""
    study = Study(name="s", question="?", datasets=("adult",), candidates=("boost", "vote"), prices=PRICES)
    return ReportContent(study, frame(), pd.DataFrame(), [], [], [], {}, [], money=money)


def test_the_table_has_the_best_first_with_means_and_the_widest_ends():
    """Two seeds become one row: the mean, the lowest low and the highest high; the price a million is that of held copies."""
    table = money_table(frame(), "adult")
    assert table["candidate"].tolist() == ["vote", "boost"]
    row = table.iloc[0]
    assert (row["net_value_usd_month"], row["net_value_usd_month_low"], row["net_value_usd_month_high"]) == (1000.5, 990, 1011)
    assert row["usd_per_million"] == pytest.approx(0.2)


def test_the_report_shows_money_flips_and_public_ensembles():
    """Each section is there with its figure and its sentences, escaped; the tables hold every cell and flip."""
    report = build_report(content([MONEY]))
    for heading in ("Money", "Where the verdict flips", "Among public ensembles"):
        assert f">{heading}</h2>" in report.html
        assert f"## {heading}\n" in report.markdown
    assert "vote &lt;never&gt; pays." in report.html
    assert "vote <never>" not in report.html
    assert {"adult-verdict_map.svg", "among_public_ensembles.svg"} <= set(report.figures)
    for svg in report.figures.values():
        ET.fromstring(svg)
    assert len(report.tables["verdict_map.csv"]) == 18
    assert report.tables["flips.csv"]["factor"].tolist() == [5.0]
    assert build_report(content([MONEY])).html == report.html


def test_a_report_without_money_has_no_section_of_it():
    """A run folder that was made before there was money is reported as before."""
    report = build_report(content([]))
    assert ">Money</h2>" not in report.html
    assert "## Money" not in report.markdown
    assert "flips.csv" not in report.tables


def test_break_evens_are_said_to_be_reckoned_without_their_doubt():
    """Page and Markdown say so above them, and nothing where there are none."""
    said = "Break-evens are reckoned from expected amounts and measured means alone"
    report = build_report(content([MONEY]))
    for text in (report.html, report.markdown):
        assert text.index(said) < text.index("&lt;never&gt; pays.")
    assert said not in build_report(content([{**MONEY, "break_even": []}])).html


def test_without_declared_economics_only_machines_are_shown_and_it_is_said():
    """No map, no break-even; the page says that the study declares no economics."""
    bare = {"dataset": "adult", "level": "", "declared": False, "capacity": {}, "public": [], "public_sample": None, "bought": ""}
    html = build_report(content([bare])).html
    assert "machines alone are priced" in html
    assert "a million queries, idle and spare copies included" in html
    # Nobody is paid for delay here: a column of dashes would say so once a candidate.
    assert ">delay" not in html
    assert ">upkeep" not in html
    assert "Where the verdict flips</h2>" not in html


def test_figures_say_their_finding_and_tables_are_empty_where_there_is_nothing():
    """The title of the map names who wins and the nearest flip; the scatter names the place; nothing is drawn of nothing."""
    figure = verdict_map(MONEY)
    assert (
        figure.finding
        == "adult: as declared it cannot be told who wins; the nearest flip is in the margin, at 5.0 times what it is"
    )
    scatter = public_scatter([MONEY])
    assert scatter.finding == (
        "Of the study's ensembles vote, adult, cuts most off the error of boost, 2.0 %: more than on 50 % of the public tasks, "
        "at 5.0 times the bulk time"
    )
    worse = {**MONEY["public"][0], "error_cut": -0.031, "error_cut_rank": 0.0}
    assert public_scatter([{**MONEY, "public": [worse]}]).finding == (
        "None of the study's ensembles cuts the error of its baseline; vote, adult, adds least, 3.1 %, at 5.0 times the bulk time"
    )
    assert verdict_map({"map": None}) is None
    assert public_scatter([{"dataset": "a", "level": "", "public": []}]) is None
    assert all(len(table([]).columns) for table in (map_table, flip_table, break_even_table))
    assert len(map_table([])) == len(flip_table([])) == len(break_even_table([])) == 0
