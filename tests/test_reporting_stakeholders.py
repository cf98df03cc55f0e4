"""Stakeholders on the page: sentences from a case worked on paper, figures that are described, and names that stay text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import asdict, replace

import pandas as pd
import pytest

from shipworthy import reporting
from shipworthy.feasibility import Reading, hear
from shipworthy.records import (
    EVERYBODY,
    QUANTITIES,
    Move,
    Prices,
    Record,
    Requirement,
    RequirementVerdict,
    Stakeholder,
    Study,
)
from shipworthy.reporting import ReportContent, build_report
from shipworthy.reporting.stakeholders import move_sentence, stakeholder_frames

NAMES = ("line", "boost", "vote")
SEEN = {
    ("line", "roc_auc"): 0.90, ("boost", "roc_auc"): 0.94, ("vote", "roc_auc"): 0.95,
    ("line", "latency_ms"): 1.0, ("boost", "latency_ms"): 3.0, ("vote", "latency_ms"): 9.0,
}  # fmt: skip
RESEARCH = Stakeholder(name="research", wants="the best score", weights={"roc_auc": 1.0})
FAST = Requirement(name="fast", quantity="latency_ms", statistic="p99", at_most=5, scenario="single_stream")
OPS = Stakeholder(name="ops", wants="sleep", weights={"latency_ms": 0.75, "roc_auc": 0.25}, vetoes=(FAST,))


def judged(owner, candidate, outcome, requirement="fast"):
    """A veto as it was judged."""
    verdict = RequirementVerdict(requirement, candidate, "adult", outcome, 9.0, 8.0, 10.0, 5.0, 700, "9 ms is over 5 ms")
    return owner, verdict


def heard(*vetoes, stakeholders=(RESEARCH, OPS), rename=None, level=""):
    """Two stakeholders on three candidates: boost costs research .2, and ops nothing (worked in the tests of feasibility)."""
    new = rename or {}
    readings = {(new.get(c, c), q): Reading(v) for (c, q), v in SEEN.items()}
    return hear("adult", stakeholders, [new.get(n, n) for n in NAMES], readings, vetoes, level=level)


def test_the_compromise_is_told_with_who_loses_most_and_what_the_next_would_cost():
    """Boost costs research 20 %; the next is vote, by which ops would lose 51 %."""
    said = reporting.compromise_sentence(heard())
    assert said.startswith("boost is the compromise: research loses most by it, 20 %.")
    assert said.endswith("the next is vote, by which ops would lose 51 %.")


def test_a_candidate_by_which_nobody_loses_more_is_not_said_to_cost_more():
    """Two candidates that are alike to everybody: the second is as good a compromise as the first."""
    found = heard()
    twin = tuple(replace(r, shipped="vote") for r in found.regrets if r.shipped == "boost")
    alike = replace(found, regrets=(*(r for r in found.regrets if r.shipped != "vote"), *twin))
    said = reporting.compromise_sentence(alike)
    assert said.endswith("By vote nobody would lose more than that either: research would lose 20 %.")
    assert "somebody would lose more" not in said


def test_the_opening_says_who_vetoes_what():
    """One sentence for each stakeholder and veto, with the candidates and the data sets; the study's own requirements too."""
    one = heard(judged("ops", "vote", "missed"), judged(EVERYBODY, "line", "missed", "good"))
    two = replace(one, dataset="flights", vetoes=one.vetoes[:1])
    assert reporting.veto_sentences([one, two]) == [
        "Ops vetoes vote on adult and flights (“fast”).",
        "The study vetoes line on adult (“good”).",
    ]
    assert reporting.veto_sentences([heard()]) == ["Nobody vetoes a candidate."]
    unsure = heard(judged("ops", "vote", "undecided"), judged("ops", "line", "undecided"))
    assert reporting.veto_sentences([unsure]) == ["No veto is shown to be missed; 2 are undecided."]
    assert reporting.veto_sentences([]) == []
    nothing_left = heard(*(judged("ops", n, "missed") for n in NAMES), level="4000")
    assert reporting.veto_sentences([nothing_left])[-1] == ("On adult (4000) every candidate is vetoed: nobody's pick survives.")


def test_what_is_not_shown_to_be_met_is_said_beside_the_compromise():
    """Boost rests on an undecided veto; of those that are shown to meet it, vote costs the worst-off least."""
    said = reporting.compromise_sentence(heard(judged("ops", "boost", "undecided")))
    assert (
        "It is not shown to meet ops: fast; of those that are shown to meet every veto it would be vote (ops loses 50 %)." in said
    )
    said = reporting.compromise_sentence(heard(*(judged("ops", n, "undecided") for n in NAMES)))
    assert said.endswith("It is not shown to meet ops: fast, and no candidate is shown to meet every veto.")


def test_no_choice_and_no_loss_are_told_as_such():
    """One candidate left, one that all prefer, and none at all."""
    alone = heard(judged("ops", "vote", "missed"), judged("ops", "line", "missed"))
    assert reporting.compromise_sentence(alone) == "boost is the only candidate that nobody vetoes."
    agreed = heard(stakeholders=(RESEARCH, replace(RESEARCH, name="sales")))
    assert reporting.compromise_sentence(agreed) == "vote is everybody's pick: nobody loses anything by it."
    none = heard(*(judged("ops", n, "missed") for n in NAMES))
    assert reporting.compromise_sentence(none) == "There is no compromise: no candidate is left."
    silent = heard(stakeholders=(Stakeholder(name="legal", vetoes=(FAST,)),))
    assert reporting.compromise_sentence(silent) == "There is no compromise: nobody ranks the candidates."


def test_money_is_told_in_dollars():
    """At 50 USD a ms boost costs ops 100; at 100 USD a ms and 20,000 an AUC it costs sales nothing."""
    sales = Stakeholder(name="sales", usd_month_per_unit={"latency_ms": 100, "roc_auc": 20_000})
    found = heard(stakeholders=(sales, Stakeholder(name="ops", usd_month_per_unit={"latency_ms": 50})))
    assert "boost is the compromise: ops loses most by it, 100 USD a month." in reporting.compromise_sentence(found)
    assert reporting.regret_table(found).loc["sales", "line"] == "600 USD a month"
    assert "(USD a month)" in reporting.regret_heatmap(found).figure.texts[-1].get_text()
    assert reporting.wish_table([sales])["values"][0] == "latency 100 USD a month a unit, ROC AUC 20000 USD a month a unit"


@pytest.mark.parametrize(
    ("move", "said"),
    [
        (Move("veto", "ops", "fast", 0.0, 0.0, 0.0, "vote"), "If ops lifted “fast”, the compromise would be vote."),
        (
            Move("value", "vote", "size_mib", 9.0, 4.5, 0.5, "vote"),
            "If size on disk of vote were 4.500 instead of 9.000, the compromise would be vote.",
        ),
    ],
)
def test_moves_are_whole_sentences(move, said):
    """What changes, from what to what, and what the compromise becomes; that it is in doubt where the change may be chance."""
    assert move_sentence(move) == said
    doubted = move_sentence(replace(move, kind="value", doubtful=True))
    assert doubted.endswith("the compromise would be vote; that is within its interval, so it is in doubt.")


def test_no_weight_that_moves_it_is_worth_a_sentence():
    """Two stakeholders with the same list: whatever either weighs differently, the other holds on."""
    agreed = heard(stakeholders=(RESEARCH, replace(RESEARCH, name="sales")))
    assert reporting.move_sentences(agreed)[0] == "No change of one weight alone would make another candidate the compromise."


def test_tables_hold_what_was_worked_on_paper():
    """Ranks with the vetoes, losses with the worst of all, picks, and tau."""
    found = heard(judged("ops", "vote", "missed"))
    assert reporting.ranking_table(found).loc["vote"].tolist() == ["1", "3 ✗"]
    assert list(reporting.ranking_table(found).index) == ["boost", "line", "vote"]
    regrets = reporting.regret_table(heard())
    assert list(regrets.columns) == ["boost", "vote"]
    assert regrets.loc["the worst of all"].tolist() == ["20 %", "51 %"]
    choices = reporting.choice_table(found, [RESEARCH, OPS]).set_index("stakeholder")
    assert choices.loc["research"].tolist() == ["the best score", "vote", "ops", "boost", "0 %"]
    assert "wants" not in reporting.choice_table(found)
    assert reporting.agreement_table(heard()).loc["research", "ops"] == "-0.33"
    assert reporting.wish_table([OPS])["vetoes what misses"][0] == "fast: p99 latency at most 5 ms, single stream"


def test_everything_is_written_as_csv():
    """Six tables, one row a finding, with the data set; none without a hearing."""
    frames = stakeholder_frames([heard(judged("ops", "vote", "missed"))])
    assert {name: len(frame) for name, frame in frames.items()} == {
        "stakeholder_ratings.csv": 6,
        "stakeholder_vetoes.csv": 1,
        "stakeholder_picks.csv": 2,
        "stakeholder_regrets.csv": 4,
        "stakeholder_agreement.csv": 1,
        "stakeholder_moves.csv": len(heard(judged("ops", "vote", "missed")).moves),
    }
    assert all(frame.columns[:2].tolist() == ["dataset", "level"] for frame in frames.values())
    assert stakeholder_frames([]) == {}


# Figures --------------------------------------------------------------------------------------------------------------------


def test_figures_tell_their_finding_and_are_described_in_full():
    """The title is what was found; the description holds every cell, for those who do not see them."""
    ranks, regrets = reporting.rank_heatmap(heard()), reporting.regret_heatmap(heard())
    assert ranks.finding == (
        "adult: 2 stakeholders would ship 2 different candidates; research and ops agree least (Kendall's tau -0.33)"
    )
    assert "boost: research 2, ops 1; " in ranks.description
    assert regrets.finding == "adult: with boost nobody loses more than 20 % (research); with vote, ops would lose 51 %"
    assert "if vote ships: research 0 %, ops 51 %, the worst of all 51 %." in regrets.description
    for figure in (ranks, regrets):
        root = ET.fromstring(figure.svg())
        assert root.get("role") == "img"
        assert root.find("{http://www.w3.org/2000/svg}desc").text == figure.description


def test_text_in_figures_can_be_read_on_a_projector_and_stays_inside():
    """No text is smaller than 13 points, none leaves the figure, and the labels below do not run into the note."""
    from matplotlib.text import Text

    seven = [replace(OPS, name=n) for n in ("research", "ML engineering", "sales", "product", "platform", "legal", "the manager")]
    long = {"line": "logistic_regression", "boost": "xgboost_tuned", "vote": "random_forest"}
    found = heard(judged("ops", "random_forest", "missed"), stakeholders=seven, rename=long)
    for shown in (reporting.rank_heatmap(found), reporting.regret_heatmap(found)):
        figure = shown.figure
        renderer = figure.canvas.get_renderer()
        texts = [t for t in figure.findobj(Text) if t.get_text() and t.get_visible()]
        assert min(t.get_fontsize() for t in texts) >= 13
        boxes = [t.get_window_extent(renderer) for t in texts]
        assert all(b.x0 >= -1 and b.x1 <= figure.bbox.x1 + 1 and b.y0 >= -1 for b in boxes)
        note = figure.texts[-1].get_window_extent(renderer)
        labels = [t.get_window_extent(renderer) for t in figure.axes[0].get_xticklabels()]
        assert min(b.y0 for b in labels) > note.y1
        assert not any(a.overlaps(b) for i, a in enumerate(labels) for b in labels[:i])


def test_figures_with_nothing_to_show_say_so():
    """Nobody who ranks, and nothing left to pick, are sentences and not errors."""
    silent = heard(stakeholders=(Stakeholder(name="legal", vetoes=(FAST,)),))
    assert "Nothing to draw: nobody ranks" in reporting.rank_heatmap(silent).description
    none = heard(*(judged("ops", n, "missed") for n in NAMES))
    assert "Nothing to draw: no candidate is left" in reporting.regret_heatmap(none).description


# On the page ----------------------------------------------------------------------------------------------------------------


def make_content():
    """A study of three candidates of which the accuracy alone is known."""
    facts = {"dataset": "adult", "unit": "", "seed": 0, "n": 100}
    rows = [
        Record(candidate=name, kind="single", quantity="roc_auc", statistic=statistic, value=SEEN[name, "roc_auc"], **facts)
        for name in NAMES
        for statistic in ("test", "oof")
    ]
    records = pd.DataFrame([asdict(r) for r in rows])
    records.insert(0, "study", "small")
    prices = Prices(as_of="2026-01", source="by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.005)
    study = Study(name="small", question="Is it worth it?", datasets=("adult",), candidates=NAMES, prices=prices)
    return ReportContent(study, records, pd.DataFrame(), [], [], [], {}, [])


def report_of(*hearings, stakeholders=(RESEARCH, OPS)):
    """The report of a study in which these hearings were held."""
    content = make_content()
    return build_report(replace(content, study=replace(content.study, stakeholders=stakeholders), hearings=hearings))


def test_the_page_opens_with_the_vetoes_and_has_a_section_for_the_stakeholders():
    """Before the verdicts it says who vetoes what; the section has compromise, picks, both figures and what would move it."""
    report = report_of(heard(judged("ops", "vote", "missed")))
    opening = report.html[: report.html.index('id="verdicts"')]
    assert "Ops vetoes vote on adult (“fast”)." in opening
    assert report.markdown.index("Ops vetoes vote on adult") < report.markdown.index("## Verdicts")
    for text in (report.html, report.markdown):
        assert "boost is the compromise" in text
        assert "the best score" in text
        assert "the compromise would be" in text
    assert {"adult-stakeholder_ranks.svg", "adult-stakeholder_regrets.svg"} <= set(report.figures)
    assert len(report.tables["stakeholder_regrets.csv"]) == 4
    assert report_of(heard(judged("ops", "vote", "missed"))).html == report.html


def test_a_study_without_stakeholders_says_so_in_a_sentence():
    """The section is there, with one sentence; nothing about vetoes stands in the opening."""
    report = build_report(make_content())
    assert "The study names no stakeholders." in report.html
    assert "The study names no stakeholders." in report.markdown
    unheard = report_of()
    assert "Nothing was measured that the stakeholders could be heard on." in unheard.html
    assert "names no stakeholders" not in unheard.html + unheard.markdown
    assert "vetoes" not in report.html[report.html.index("<header>") : report.html.index('id="verdicts"')]


def test_when_everything_is_vetoed_the_opening_says_so():
    """Nobody's pick survives, and why each is vetoed can be read."""
    report = report_of(heard(*(judged("ops", n, "missed") for n in NAMES)))
    opening = report.html[: report.html.index('id="verdicts"')]
    assert "On adult every candidate is vetoed: nobody&#39;s pick survives." in opening
    assert "Why 3 vetoes are missed" in report.html


@pytest.mark.parametrize(
    "name", ["</script><script>alert(1)</script>", '<img src=x onerror="alert(1)">', "a|b`c*", "$x_{y$", "名前 ç"]
)
def test_names_of_stakeholders_and_candidates_are_text(name):
    """Shown, not executed: on the page, in the figures, in the notebook and in Markdown."""
    people = (replace(RESEARCH, name=name, wants=name), OPS)
    found = heard(judged(name, name, "missed", name), stakeholders=people, rename={"vote": name})
    report = report_of(found, stakeholders=people)
    markdown = "\n".join(line for line in report.markdown.splitlines() if not line.startswith("    "))
    listed = reporting.sentence_list([*reporting.veto_sentences([found]), *reporting.move_sentences(found)])
    whole = report.html + markdown + "".join(report.figures.values()) + listed
    assert not re.findall("<script|<img", whole)
    for svg in report.figures.values():
        ET.fromstring(svg)


def test_every_quantity_that_the_builtin_studies_weigh_exists():
    """Both studies name seven stakeholders, and all of them can be heard."""
    from shipworthy.study.schema import read_study

    for name in ("quick", "full"):
        people = read_study(name).stakeholders
        assert [s.name for s in people] == ["research", "ML engineering", "sales", "product", "platform", "legal", "the manager"]
        assert {q for s in people for q in s.worth} <= set(QUANTITIES)
        assert all(s.wants for s in people)
