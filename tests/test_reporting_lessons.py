"""The notebooks' figures and tables: findings are computed from the numbers, descriptions hold them, names are escaped."""

from __future__ import annotations

import html
import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from shipworthy import reporting
from shipworthy.records import Comparison, Interval, RequirementVerdict

NAN = math.nan
HOSTILE = '<script>alert("1")</script>&amp;'


def scores(*rows, metric="roc_auc", dataset="d"):
    """Test records of ``(candidate, kind, value, low, high)``."""
    facts = {"dataset": dataset, "quantity": metric, "statistic": "test", "n": 1234}
    return pd.DataFrame([{**facts, **dict(zip(("candidate", "kind", "value", "low", "high"), row, strict=True))} for row in rows])


def gain(name, value, low, high, baseline="base"):
    """A candidate's gain over the baseline."""
    interval, unknown = Interval(value, low, high, 0.95, "by hand"), Interval(NAN, NAN, NAN, 0.95, "unknown")
    return Comparison(name, baseline, "best out of fold", "roc_auc", interval, unknown, unknown)


def latencies(*rows, dataset="d", quantity="latency_ms"):
    """Raw values of ``(candidate, batch_size, values)``."""
    columns = ["dataset", "quantity", "candidate", "batch_size", "value"]
    return pd.DataFrame([(dataset, quantity, c, b, float(v)) for c, b, values in rows for v in values], columns=columns)


def served(*rows):
    """Records of ``(candidate, quantity, statistic, scenario, batch_size, value)``."""
    return pd.DataFrame(rows, columns=["candidate", "quantity", "statistic", "scenario", "batch_size", "value"])


def kept(requirement, candidate, outcome, observed, *, dataset="d", level=""):
    """Whether a candidate keeps a requirement."""
    return RequirementVerdict(requirement, candidate, dataset, outcome, observed, 0.0, 1.0, 50.0, 700, "by hand", level)


THREE = (
    ("tree", "tree_ensemble", 0.9, 0.85, 0.94),
    ("vote", "ensemble", 0.95, 0.92, 0.97),
    ("line", "single", 0.8, 0.75, 0.84),
)


def shown(figure):
    """The element that a notebook shows, parsed; and every text in it."""
    markup = figure._repr_html_()
    root = ET.fromstring(markup)
    return root, html.unescape(re.sub(r"<[^>]+>", " ", markup))


FIGURES = {
    "accuracy": lambda: reporting.accuracy_intervals(scores(*THREE), "d"),
    "one candidate": lambda: reporting.accuracy_intervals(scores(THREE[0]), "d"),
    "gains": lambda: reporting.gain_intervals([gain("a", 0.01, -0.01, 0.03), gain("b", -0.2, -0.3, -0.1)], metric="roc_auc"),
    "no gains": lambda: reporting.gain_intervals([], metric="roc_auc"),
    "cost": lambda: reporting.cost_per_row(latencies(("a", 1, [1, 2, 3]), ("a", 64, [8])), "d"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_notebook_shows_one_image_with_its_finding_and_description(name):
    """In a notebook a figure is one SVG with the role of an image, named by its finding, described, without a script."""
    figure = FIGURES[name]()
    root, _ = shown(figure)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.findtext("{*}title") == figure.finding
    assert root.findtext("{*}desc") == figure.description
    assert figure._repr_html_().count("<svg") == 1
    assert not root.findall(".//{*}script")


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_numbers_give_the_same_bytes(name):
    """A figure that is drawn twice from the same frame is the same file."""
    assert FIGURES[name]().svg() == FIGURES[name]().svg()


# Accuracy -------------------------------------------------------------------------------------------------------------------


def test_the_best_is_named_and_whether_its_interval_overlaps_the_second():
    """The finding names the best by score, however the frame is ordered, and compares the two intervals that matter."""
    figure = reporting.accuracy_intervals(scores(*THREE), "d")
    assert figure.finding == "d: vote scores highest, 0.9500 ROC AUC; its interval overlaps that of tree"
    apart = scores(("tree", "tree_ensemble", 0.9, 0.85, 0.91), *THREE[1:])
    assert reporting.accuracy_intervals(apart, "d").finding.endswith("; its interval does not overlap that of tree")


def test_every_interval_that_the_best_one_overlaps_counts_not_the_second_alone():
    """The second is known well and apart; a third, that few rows told, may be as good as the best."""
    vague = ("vague", "single", 0.6, 0.3, 0.96)
    apart = ("tree", "tree_ensemble", 0.9, 0.85, 0.91)
    assert reporting.accuracy_intervals(scores(apart, *THREE[1:], vague), "d").finding.endswith("overlaps that of vague")
    assert reporting.accuracy_intervals(scores(*THREE, vague), "d").finding.endswith("overlaps those of 2 others")


def test_a_loss_is_best_where_it_is_lowest():
    """For a metric that is better when lower, the lowest is best and the axis says so."""
    table = scores(("a", "single", 0.3, 0.28, 0.32), ("b", "ensemble", 0.2, 0.15, 0.25), metric="log_loss")
    figure = reporting.accuracy_intervals(table, "d", metric="log_loss")
    assert ": b scores" in figure.finding
    assert "0.2000 log loss; its interval does not overlap that of a" in figure.finding
    assert "lower is better" in figure.figure.axes[0].get_xlabel()


def test_a_description_holds_every_number_that_is_drawn():
    """Who cannot see the figure reads each candidate's score and interval, best first; the rest of the frame is left out."""
    other = scores(("tree", "tree_ensemble", 0.1, 0.1, 0.1), dataset="elsewhere")
    oof = scores(("tree", "tree_ensemble", 0.2, NAN, NAN)).assign(statistic="oof")
    figure = reporting.accuracy_intervals(pd.concat([scores(*THREE), other, oof]), "d")
    assert figure.description == (
        "vote 0.9500 (0.9200 to 0.9700); tree 0.9000 (0.8500 to 0.9400); line 0.8000 (0.7500 to 0.8400)."
    )
    axes = figure.figure.axes[0]
    drawn = {(tuple(line.get_xdata()), float(line.get_ydata()[0])) for line in axes.lines}
    assert drawn == {((v,), float(y)) for y, v in enumerate((0.8, 0.9, 0.95))} | {
        ((0.75, 0.84), 0.0),
        ((0.85, 0.94), 1.0),
        ((0.92, 0.97), 2.0),
    }
    assert [t.get_text() for t in axes.get_yticklabels()] == ["line", "tree", "vote"]
    assert "1,234 test rows" in axes.get_xlabel()


def test_a_single_candidate_is_compared_with_nobody():
    """With one candidate the finding is its score, and nothing is said of an interval that overlaps its own."""
    assert reporting.accuracy_intervals(scores(THREE[0]), "d").finding == "d: tree scores highest, 0.9000 ROC AUC"


def test_a_hopeless_candidate_leaves_the_scale_and_the_figure_says_so():
    """A score far below all others is written at the edge, so that the others can be told apart; it stays described."""
    good = [("a", "single", 0.90, 0.88, 0.92), ("b", "tree_ensemble", 0.91, 0.89, 0.93), ("c", "ensemble", 0.915, 0.9, 0.93)]
    figure = reporting.accuracy_intervals(scores(*good, ("prior", "single", 0.5, 0.5, 0.5)), "d")
    axes = figure.figure.axes[0]
    assert axes.get_xlim() == pytest.approx((0.88 - 0.15 * 0.05, 0.93 + 0.15 * 0.05))
    assert [t.get_text() for t in axes.texts] == ["0.5000, off the scale"]
    assert "prior 0.5000 (0.5000 to 0.5000)" in figure.description
    near = reporting.accuracy_intervals(scores(*good, ("prior", "single", 0.85, 0.84, 0.86)), "d")
    assert not near.figure.axes[0].texts


def test_a_candidate_that_could_not_be_scored_is_never_the_best():
    """A NaN is no score: the best is the best of those that have one."""
    table = scores(*THREE, ("broken", "single", NAN, NAN, NAN))
    assert reporting.accuracy_intervals(table, "d").finding.startswith("d: vote scores highest, 0.9500 ROC AUC")


def test_the_accuracy_table_holds_every_metric_with_its_interval():
    """One row a candidate in the order of the records, one column a metric, out-of-fold scores left out, a dash for NaN."""
    loss = scores(("line", "single", 0.4321, NAN, NAN), metric="log_loss")
    oof = scores(("line", "single", 0.1, NAN, NAN)).assign(statistic="oof")
    table = reporting.accuracy_table(pd.concat([scores(*THREE), loss, oof]))
    assert table.index.tolist() == ["tree", "vote", "line"]
    assert table.columns.tolist() == ["roc_auc", "log_loss"]
    assert table.loc["vote", "roc_auc"] == "0.9500 (0.9200 to 0.9700)"
    assert table.loc["line", "log_loss"] == "0.4321 (– to –)"  # noqa: RUF001 - the dash for what was not measured
    assert pd.isna(table.loc["vote", "log_loss"])


# Gains ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gains", "finding"),
    [
        ([], "There is only one candidate, so nothing to compare"),
        ([gain("a", 0.1, 0.05, 0.2)], "Every candidate can be told apart from base"),
        ([gain("a", 0.1, 0.0, 0.2)], "1 of 1 candidates cannot be told apart from base"),
        ([gain("a", 0.1, -0.1, 0.2), gain("b", -0.2, -0.3, -0.1)], "1 of 2 candidates cannot be told apart from base"),
        ([gain("a", 0.0, -0.1, 0.1), gain("b", -0.01, -0.3, 0.1)], "2 of 2 candidates cannot be told apart from base"),
    ],
)
def test_gains_whose_interval_holds_zero_are_counted(gains, finding):
    """A candidate cannot be told apart from the baseline when zero lies in its interval, its ends included."""
    assert reporting.gain_intervals(gains, metric="roc_auc").finding == finding


def test_gains_are_drawn_and_described_best_first():
    """The description gives each gain with its sign and interval; the figure has the best on top and a line at zero."""
    figure = reporting.gain_intervals([gain("a", -0.2, -0.3, -0.1), gain("b", 0.01234, -0.01, 0.03)], metric="roc_auc")
    assert figure.description == "b +0.0123 (-0.0100 to +0.0300); a -0.2000 (-0.3000 to -0.1000)."
    axes = figure.figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "b"]
    assert [t.get_text() for t in axes.texts] == ["-0.2000", "+0.0123"]
    assert any(list(line.get_xdata()) == [0, 0] for line in axes.lines)


def test_a_gain_that_is_not_known_is_not_told_apart():
    """An interval of NaN says nothing, so it cannot tell a candidate from the baseline."""
    gains = [gain("a", NAN, NAN, NAN), gain("b", 0.1, 0.05, 0.2)]
    assert reporting.gain_intervals(gains, metric="roc_auc").finding == "1 of 2 candidates cannot be told apart from base"


# Cost of a row --------------------------------------------------------------------------------------------------------------


def test_the_largest_saving_by_batching_is_the_finding():
    """Medians by nearest rank, divided by the batch; the finding names who saves most between one row and the largest batch."""
    table = latencies(
        ("slow", 1, [9, 10, 30]),
        ("slow", 64, [64, 64]),
        ("slow", 1000, [100, 100, 900]),
        ("fast", 1, [1]),
        ("fast", 64, [6.4]),
        ("fast", 1000, [50]),
    )
    figure = reporting.cost_per_row(table, "d")
    assert figure.finding == "d: a row of slow takes 10.0 ms alone and 0.100 ms in a batch of 1,000, 100 times less"
    assert figure.description == (
        "fast: 1.00 ms in batches of 1, 0.100 ms in batches of 64, 0.0500 ms in batches of 1,000; "
        "slow: 10.0 ms in batches of 1, 1.00 ms in batches of 64, 0.100 ms in batches of 1,000."
    )


def test_other_data_sets_and_quantities_do_not_count():
    """Only latencies of the data set that is asked for are looked at."""
    table = latencies(("a", 1, [1]), ("a", 10, [5]))
    noise = [latencies(("a", 1, [99]), ("a", 10, [1]), **other) for other in ({"dataset": "e"}, {"quantity": "build_ms"})]
    assert reporting.cost_per_row(pd.concat([table, *noise]), "d").finding == reporting.cost_per_row(table, "d").finding


def test_a_candidate_whose_batches_failed_is_drawn_as_far_as_it_was_measured():
    """A missing batch costs one point, not the figure."""
    figure = reporting.cost_per_row(latencies(("a", 1, [1]), ("a", 64, [3.2]), ("b", 1, [2])), "d")
    assert figure.description == "a: 1.00 ms in batches of 1, 0.0500 ms in batches of 64; b: 2.00 ms in batches of 1."
    assert "a row of a takes 1.00 ms alone" in figure.finding


@pytest.mark.parametrize("rows", [(), (("a", 64, [3]),), (("a", 1, [1]), ("b", 64, [3]))])
def test_where_nobody_has_both_ends_there_is_a_sentence(rows):
    """Where no candidate was measured both alone and in batches, the figure says that there is nothing to compare."""
    figure = reporting.cost_per_row(latencies(*rows), "d")
    assert figure.finding.startswith("d: ")
    assert "times less" not in figure.finding


# Tables ---------------------------------------------------------------------------------------------------------------------


def test_the_serving_table_is_sorted_by_the_median_and_rounded():
    """Fastest first, columns in the order of the table, four significant digits, NaN for what was not measured."""
    rows = []
    for name, ms in (("slow", 12.34567), ("fast", 0.123456)):
        rows += [(name, "latency_ms", "p99", "single_stream", 1, 2 * ms), (name, "latency_ms", "p50", "single_stream", 1, ms)]
        rows += [(name, "latency_ms", "p50", "multi_stream", 64, 1e6), (name, "roc_auc", "test", "none", 0, 0.9)]
    rows.append(("slow", "memory_mib", "mean", "none", 0, 100.0))
    table = reporting.serving_table(served(*rows))
    assert table.index.tolist() == ["fast", "slow"]
    assert table.columns.tolist() == ["p50 (ms)", "p99 (ms)", "memory (MiB)"]
    assert table.loc["slow"].tolist() == [12.35, 24.69, 100.0]
    assert table.loc["fast"].tolist()[:2] == [0.1235, 0.2469]
    assert math.isnan(table.loc["fast", "memory (MiB)"])


def test_a_serving_table_of_nothing_is_empty():
    """When every measurement failed there is a table without rows, not an error that hides the reason."""
    assert reporting.serving_table(served()).empty


def test_the_requirement_matrix_shows_outcome_and_observation():
    """One row a candidate, one column a requirement, both in the order of the verdicts."""
    matrix = reporting.requirement_matrix(
        [
            kept("speed", "z", "met", 1.5),
            kept("memory", "z", "missed", 1234.5),
            kept("speed", "a", "undecided", NAN),
            kept("memory", "a", "met", 0.5),
        ]
    )
    assert matrix.columns.tolist() == ["speed", "memory"]
    assert matrix.index.tolist() == [("d", "z"), ("d", "a")]
    assert matrix.to_numpy().tolist() == [
        ["met (1.50)", "missed (1,234)"],
        ["undecided (–)", "met (0.500)"],  # noqa: RUF001 - the dash for what was not measured
    ]
    assert reporting.requirement_matrix([]).empty


def test_no_level_of_a_sweep_is_lost_from_the_matrix():
    """Where something is swept, each level's outcome is shown."""
    matrix = reporting.requirement_matrix([kept("speed", "a", "met", 1, level="10"), kept("speed", "a", "missed", 9, level="20")])
    assert matrix.to_numpy().ravel().tolist() == ["met (1.00)", "missed (9.00)"]


def test_facts_are_shown_whole_and_escaped():
    """Long text is not cut off, numbers are rounded, names and values stay text."""
    text = "word " * 60
    root = ET.fromstring(reporting.facts_table(pd.Series({HOSTILE: HOSTILE, "text": text, "rows": 48842, "none": None})))
    assert [e.text for e in root.iter("th")] == [HOSTILE, "text", "rows", "none"]
    assert [e.text for e in root.iter("td")] == [HOSTILE, text, "48,842", "–"]  # noqa: RUF001 - the dash for nothing
    assert not list(root.iter("script"))


def test_a_wide_table_wraps_text_and_rounds_numbers():
    """Text stands left and whole, numbers right and rounded; an index that only counts is left out, a named one is shown."""
    frame = pd.DataFrame({"candidate": [HOSTILE, "x " * 80], "mib": [1234.5678, np.nan], "n": [7, 1200]})
    root = ET.fromstring(reporting.wide_table(frame))
    assert [e.text for e in root.iter("th")] == ["candidate", "mib", "n"]
    assert [e.text for e in root.iter("td")] == [HOSTILE, "1,235", "7", "x " * 80, "–", "1,200"]  # noqa: RUF001 - as above
    assert ["text-align:right" in e.get("style") for e in root.iter("th")] == [False, True, True]
    indexed = ET.fromstring(reporting.wide_table(frame.set_index("candidate")))
    assert [e.text for e in indexed.iter("th")] == ["candidate", "mib", "n"]
    assert ET.fromstring(reporting.wide_table(frame.head(0))).tag == "div"


def test_the_axes_of_the_cost_of_a_row_hold_plain_numbers():
    """No mathematics in source form: 1, 2, 5 and their like."""
    svg = reporting.cost_per_row(latencies(("a", 1, [3.0]), ("a", 64, [8]), ("a", 4096, [400])), "d").svg()
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    assert not any("{" in t or "^" in t or "\\" in t for t in texts)
    assert {"0.1", "0.2", "0.5", "1", "2"} <= {t.strip() for t in texts}


# Names ----------------------------------------------------------------------------------------------------------------------


def test_hostile_names_stay_text():
    """Names of data sets and candidates, and reasons, are escaped wherever they become markup."""
    figures = [
        reporting.accuracy_intervals(scores((HOSTILE, "single", 0.9, 0.8, 0.95), THREE[2], dataset=HOSTILE), HOSTILE),
        reporting.gain_intervals([gain(HOSTILE, 0.1, 0.05, 0.2, baseline=HOSTILE)], metric="roc_auc"),
        reporting.cost_per_row(latencies((HOSTILE, 1, [1]), (HOSTILE, 64, [2]), dataset=HOSTILE), HOSTILE),
    ]
    for figure in figures:
        root, text = shown(figure)
        assert not root.findall(".//{*}script")
        assert HOSTILE in root.findtext("{*}title")
        assert HOSTILE in root.findtext("{*}desc")
        assert "<script" not in figure._repr_html_()
        assert "alert" in text


def test_the_cards_say_who_would_ship_what_and_why():
    """Both ways to choose stand side by side, nobody chosen is said, the level is named, and every name is escaped."""
    picks = [
        {
            "dataset": HOSTILE,
            "level": "max_train_rows = 500",
            "benchmark_chaser": {"candidate": HOSTILE, "reason": "Best & brightest."},
            "requirements": {"candidate": None, "reason": "None keeps p99 < 50 ms."},
        },
        {
            "dataset": "adult",
            "level": "",
            "benchmark_chaser": {"candidate": "stack", "reason": "r1."},
            "requirements": {"candidate": "xgboost", "reason": "r2."},
        },
    ]
    root = ET.fromstring(reporting.pick_cards(picks))
    assert [th.text for th in root.iter("th")] == ["data set", "a benchmark-chaser would ship", "the requirements would ship"]
    cells = [td.text for td in root.iter("td")]
    assert cells == [
        f"{HOSTILE}, max_train_rows = 500",
        f"{HOSTILE}. Best & brightest.",
        "nothing. None keeps p99 < 50 ms.",
        "adult",
        "stack. r1.",
        "xgboost. r2.",
    ]
    assert not list(root.iter("script"))


def test_frames_are_left_as_they_were():
    """No figure or table changes the frame that it is given."""
    table, raw = scores(*THREE), latencies(("a", 1, [1]), ("a", 64, [2]))
    before = table.copy(), raw.copy()
    reporting.accuracy_intervals(table, "d")
    reporting.accuracy_table(table)
    reporting.cost_per_row(raw, "d")
    for now, then in zip((table, raw), before, strict=True):
        pd.testing.assert_frame_equal(now, then)
    assert np.isfinite(table["value"]).all()


# Members --------------------------------------------------------------------------------------------------------------------


def test_going_on_from_the_knee_is_told_as_a_score_on_test_rows():
    """A difference without an interval is no gain: the title says where it was scored, and what it takes."""
    costs = {"p50_ms": 1.0, "p99_ms": 2.0, "memory_mib": 9.0, "fit_cpu_s": 1.0}
    rows = [{"size": s, "test": 0.90 + 0.0004 * s, "low": 0.88, "high": 0.95, **costs} for s in (1, 4, 16)]
    rows[-1] = {**rows[-1], "p50_ms": 3.0}
    view = {"dataset": "d", "metric": "roc_auc", "candidate": "forest", "what": "trees", "how": "measured", "rows": rows}
    figure = reporting.accuracy_by_size([{**view, "knee": 4, "knee_low": 1, "knee_high": 16}])
    assert figure.finding == (
        "d: forest bends at 4 trees; going on to 16 scores 0.0048 ROC AUC better on these test rows, at 3.0 times the p50"
    )
