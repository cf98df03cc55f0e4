"""What to do, at the top of the report: it follows from verdicts and picks that are there, with their figures and no others."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, replace
from functools import partial

import pandas as pd
import pytest

from shipworthy.records import Comparison, Interval, Prices, Record, Requirement, RequirementVerdict, Study, Verdict
from shipworthy.reporting import ReportContent, build_report
from shipworthy.reporting.brief import brief

KINDS = {"line": "single", "boost": "tree_ensemble", "vote": "ensemble", "stack": "ensemble"}
OUT_OF_FOLD = {"line": 0.900, "boost": 0.920, "vote": 0.924, "stack": 0.923}
MS = {"line": 1.0, "boost": 2.0, "vote": 9.0, "stack": 12.0}
RATIO = Interval(5.0, 4.0, 6.0, 0.95, "ratio of p99")
BELOW = Interval(0.001, -0.002, 0.004, 0.95, "paired bootstrap")
OPEN = Interval(0.004, -0.001, 0.009, 0.95, "paired bootstrap")
ENOUGH = Interval(0.012, 0.007, 0.017, 0.95, "paired bootstrap")
NEEDS = "If the gain stays as it is, about 900 more test rows (now 700) would tell over boost."


def records(dataset="adult", level=""):
    """Scores, p99, memory and prices of four candidates."""
    rows = []
    for name, kind in KINDS.items():
        facts = {"dataset": dataset, "candidate": name, "kind": kind, "seed": 0, "level": level, "unit": "", "n": 700}
        add = partial(Record, **facts)
        ms = MS[name]
        rows.append(add(quantity="roc_auc", statistic="oof", value=OUT_OF_FOLD[name]))
        # On test rows stack is ahead of vote: nobody may be named by that.
        rows.append(add(quantity="roc_auc", statistic="test", value=0.95 if name == "stack" else 0.91, low=0.9, high=0.96))
        timed = partial(add, quantity="latency_ms", scenario="single_stream", batch_size=1)
        rows.append(timed(statistic="p99", value=ms, low=0.95 * ms, high=1.05 * ms))
        rows.append(add(quantity="memory_mib", statistic="mean", value=100 + ms, low=99.5 + ms, high=100.5 + ms))
        rows.append(add(quantity="usd_per_million", statistic="estimate", value=ms / 100))
    frame = pd.DataFrame([asdict(r) for r in rows])
    frame.insert(0, "study", "s")
    return frame


def judged(candidate, answer, gain, *, dataset="adult", level="", reason="", requirements=()):
    """A verdict against boost."""
    c = Comparison(candidate, "boost", "best tree ensemble", "roc_auc", gain, RATIO, RATIO)
    said = reason or f"It gains something over boost. {NEEDS}"
    tells = (NEEDS,) if answer == "cannot tell" and not reason else ()
    return Verdict(dataset, level, candidate, answer, said, (c,), requirements, would_tell=tells)


def picked(candidate, *, dataset="adult", level="", reason=""):
    """A pick of the requirements; the benchmark-chaser takes vote."""
    said = reason or f"{candidate} is the cheapest of those shown to meet every requirement. Also near, but dearer: line."
    chaser = {"candidate": "vote", "reason": "best."}
    return {
        "dataset": dataset,
        "level": level,
        "benchmark_chaser": chaser,
        "requirements": {"candidate": candidate, "reason": said},
    }


def content(*verdicts, picks=(), money=(), **other):
    """A study of adult."""
    prices = Prices(as_of="2026-01", source="by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.005)
    fast = Requirement(name="fast", quantity="latency_ms", statistic="p99", at_most=50, scenario="single_stream")
    study = Study(
        name="s", question="?", datasets=("adult",), candidates=tuple(KINDS), requirements=(fast,), prices=prices,
        smallest_useful_gain=0.005,
    )  # fmt: skip
    held = {"study": study, "records": records(), "samples": pd.DataFrame(), "requirement_verdicts": [], "environment": {}}
    return ReportContent(**{**held, "missing": [], **other}, verdicts=list(verdicts), picks=list(picks), money=list(money))


def told(*verdicts, chosen="boost", **other):
    """The brief of adult."""
    return brief(content(*verdicts, picks=[picked(chosen)], **other), "adult", "")


def test_where_no_ensemble_ships_the_pick_of_the_requirements_is_told():
    """With the gain of the ensemble that was best out of fold, though another did better on test rows, and what it costs."""
    found = told(judged("stack", "do not ship", BELOW), judged("vote", "do not ship", BELOW))
    assert found.headline == "Ship boost, and none of the 2 ensembles."
    assert found.why == (
        "vote, of the 2 ensembles the best out of fold, gains 0.0010 ROC AUC over boost (-0.0020 to +0.0040), below the useful "
        "0.005: p99 9.0 ms against 2.0, 109 MiB against 102, an estimated 0.090 USD per million queries against 0.020."
    )
    assert found.choice == "boost is the cheapest of those shown to meet every requirement."
    assert found.find_out == ()
    assert found.counts == {"do not ship": 2}


def test_an_ensemble_that_ships_is_told_before_any_pick():
    """Whatever is cheapest: the question is whether an ensemble is worth it. Of two that ship none is called the better."""
    one = told(judged("stack", "ship", ENOUGH), judged("vote", "cannot tell", OPEN))
    assert one.headline == "Ship stack, an ensemble that is shown to be worth it."
    assert one.why.startswith(
        "stack, of those that ship the best out of fold, gains 0.0120 ROC AUC over boost (+0.0070 to +0.0170)"
    )
    assert one.choice == ""
    both = told(judged("stack", "ship", ENOUGH), judged("vote", "ship", ENOUGH))
    assert both.headline == ("Ship one of vote, stack: each is shown to be worth it; they were not held against each other.")


def test_where_nobody_can_tell_it_says_for_now_and_what_would_tell():
    """In the verdict's own words, of the one that was best out of fold; of the others it says where to look."""
    found = told(judged("stack", "cannot tell", OPEN), judged("vote", "cannot tell", OPEN))
    assert found.headline == "Ship boost for now. Cannot tell of all 2 ensembles: vote, stack."
    needed = "To tell of vote: if the gain stays as it is, about 900 more test rows (now 700) would tell over boost."
    assert found.find_out == (f"{needed} What would tell of stack stands with the verdicts.",)
    some = told(judged("stack", "cannot tell", OPEN), judged("vote", "do not ship", BELOW))
    assert some.headline == "Ship boost for now. Cannot tell of 1 of 2 ensembles: stack."
    twice = NEEDS, NEEDS.replace("900", "70").replace("boost", "line")
    alone = told(replace(judged("stack", "cannot tell", OPEN), would_tell=twice))
    assert alone.headline == "Ship boost for now. Cannot tell of the one ensemble: stack."
    assert alone.find_out[0].endswith("would tell over boost; about 70 more test rows (now 700) would tell over line.")
    silent = Verdict(
        "adult", "", "stack", "cannot tell", "It was not measured: it is left out to answer within 5 minutes.", (), ()
    )
    assert told(silent).find_out == ("stack: It was not measured: it is left out to answer within 5 minutes.",)


def test_a_missed_requirement_is_told_beside_the_gain():
    """The reason comes first, then the gain that would be lost, with its interval."""
    missed = RequirementVerdict(
        "fast", "vote", "adult", "missed", 80.0, 70.0, 90.0, 50.0, 700, "p99 of 80 ms over 700 queries", times_off=1.6
    )
    found = told(judged("vote", "do not ship", OPEN, requirements=(missed,)))
    assert found.headline == "Ship boost, and no ensemble."
    assert found.why.startswith(
        "vote misses 'fast': p99 of 80 ms over 700 queries; it gains 0.0040 ROC AUC over boost (-0.0010 to +0.0090): p99 9.0 ms"
    )


def test_money_is_a_months_difference_with_its_interval_where_answers_have_a_value():
    """It is that of the same two candidates, and called an estimate."""
    even = {"challenger": "vote", "baseline": "boost", "gain_usd_month": -1230.4, "gain_low": -3675.0, "gain_high": 1194.0}
    other = {**even, "baseline": "line", "gain_usd_month": 99.0}
    money = [{"dataset": "adult", "level": "", "declared": True, "break_even": [other, even]}]
    found = told(judged("vote", "do not ship", BELOW), money=money)
    assert found.why.endswith(", an estimated -1,230 USD a month beside it (-3,675 to +1,194).")
    assert "per million" not in found.why


def test_a_pick_that_is_an_ensemble_and_does_not_ship_is_no_advice():
    """Pick and verdict go by different scores: where they part, the brief says so and ships nothing."""
    found = told(judged("vote", "do not ship", BELOW), chosen="vote")
    assert found.headline == "Cannot tell: the requirements would ship vote, an ensemble whose verdict is “do not ship”."


def test_where_nothing_meets_the_requirements_nothing_is_told_to_ship():
    """What is undecided says what would tell; who misses a limit anyway is passed over."""
    few = partial(RequirementVerdict, "fast", dataset="adult", observed=9.0, low=8.0, high=math.inf, limit=50.0, n=100)
    requirements = [
        few(candidate="line", outcome="undecided", reason="too few to say; 359 more with none over it would be enough"),
        few(candidate="boost", outcome="missed", reason="over the limit"),
        replace(few(candidate="boost", outcome="undecided", reason="too few"), requirement="small"),
    ]
    nothing = picked(None, reason="No candidate was shown to meet every requirement. Missing a requirement: boost.")
    held = content(judged("vote", "do not ship", BELOW), picks=[nothing], requirement_verdicts=requirements)
    found = brief(held, "adult", "")
    assert found.headline == "Nothing can be told to ship. No candidate was shown to meet every requirement."
    assert found.find_out == ("line on “fast”: too few to say; 359 more with none over it would be enough.",)


def test_a_study_without_ensembles_or_records_has_a_brief_all_the_same():
    """No ensemble was judged; or nothing was measured at all."""
    assert told().headline == "Ship boost. No ensemble was judged."
    assert told().why == ""
    unmeasured = Verdict("adult", "", "vote", "cannot tell", "It was not measured.", (), ())
    found = brief(content(unmeasured, records=records().head(0)), "adult", "")
    assert found.headline == "Nothing can be told to ship. No candidate was trained, scored and measured."
    assert found.why == "vote: It was not measured."


@pytest.mark.parametrize("name", ["vote", "</p><script>alert(1)</script>"])
def test_the_page_begins_with_it_for_each_data_set_and_level_apart(name):
    """Before any verdict, in the order of the study, in page and Markdown; names stay text, and no figure is averaged."""
    places = [(d, level) for d in ("flights", "adult") for level in ("500", "4000")]
    verdicts = [
        judged(name, "do not ship", replace(BELOW, value=0.001 * i), dataset=d, level=at) for i, (d, at) in enumerate(places)
    ]
    held = content(*verdicts, picks=[picked("boost", dataset=d, level=at) for d, at in sorted(places)])
    study = replace(held.study, datasets=("flights", "adult"), sweep={"max_train_rows": (500, 4000)})
    frames = [records(d, at).replace({"candidate": {"vote": name}}) for d, at in places]
    report = build_report(replace(held, study=study, records=pd.concat(frames)))
    html = report.html[report.html.index('id="brief"') : report.html.index('id="verdicts"')]
    assert re.findall(r'class="where">(\w+) \((\d+)\)<', html) == places
    assert html.count("<strong>Ship boost, and no ensemble.</strong>") == 4
    assert [f"gains 0.00{i}0 ROC AUC" in html for i in range(4)] == [True] * 4
    assert "<script" not in report.html
    text = report.markdown[report.markdown.index("## What to do") : report.markdown.index("## Verdicts")]
    assert re.findall(r"- (\w+) \((\d+)\): \*\*Ship boost, and no ensemble.\*\*", text) == places
