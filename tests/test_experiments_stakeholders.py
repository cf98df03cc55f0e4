"""Guesses, and hearing stakeholders from notebook parameters to the file in the run folder; then in a whole small study."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shipworthy
from shipworthy import experiments
from shipworthy.experiments.guesses import furthest, make_guess, score_compromise, score_furthest, score_ships
from shipworthy.experiments.stakeholders import HEARINGS_FILE
from shipworthy.feasibility import Reading, hear
from shipworthy.records import EVERYBODY, Agreement, InputError, RequirementVerdict, Stakeholder, Verdict

ENSEMBLES = ["vote", "stack", "bag"]
NAMES = ("line", "boost", "vote")
SEEN = {
    ("line", "roc_auc"): 0.90, ("boost", "roc_auc"): 0.94, ("vote", "roc_auc"): 0.95,
    ("line", "latency_ms"): 1.0, ("boost", "latency_ms"): 3.0, ("vote", "latency_ms"): 9.0,
}  # fmt: skip
PEOPLE = (
    Stakeholder(name="research", weights={"roc_auc": 1.0}),
    Stakeholder(name="ops", weights={"latency_ms": 0.75, "roc_auc": 0.25}),
    Stakeholder(name="sales", weights={"roc_auc": 0.9, "latency_ms": 0.1}),
)


def heard(vetoed=(), dataset="adult"):
    """The case on paper of the tests of feasibility, with a third who thinks nearly as research does."""
    verdicts = [
        ("ops", RequirementVerdict("fast", n, dataset, "missed", 9.0, -math.inf, math.inf, 5.0, 700, "too slow")) for n in vetoed
    ]
    return hear(dataset, PEOPLE, NAMES, {key: Reading(value) for key, value in SEEN.items()}, verdicts)


# Guesses --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guess", "answer", "said"),
    [
        (["vote"], ["vote"], "You guessed vote; the answer is vote. Right: 3 of 3."),
        (["vote"], [], "You guessed vote; the answer is nothing. Right: 2 of 3. Guessed but not so: vote."),
        (["nothing"], [], "You guessed nothing; the answer is nothing. Right: 3 of 3."),
        (["nothing"], ["bag"], "You guessed nothing; the answer is bag. Right: 2 of 3. Missed: bag."),
        (["bag", "vote"], ["stack", "bag"], "Right: 1 of 3. Guessed but not so: vote. Missed: stack."),
        ([], ["vote"], "No guess was made, so none is scored."),
    ],
)
def test_a_guess_is_scored_by_what_was_right_wrong_and_missed(guess, answer, said):
    """Counted by hand: for each of three ensembles, whether it was rightly in or rightly out."""
    assert make_guess("guess_ships", guess, ENSEMBLES).against(answer).endswith(said)


@pytest.mark.parametrize(
    ("guess", "words"),
    [
        (["vot"], "parameters: guess_ships names 'vot', which is none of vote, stack, bag or 'nothing'"),
        (["vote", "nothing"], "parameters: guess_ships names 'nothing' beside others; keep one or the other"),
        ("nobody", "guess_ships names 'nobody'"),
    ],
)
def test_a_guess_that_could_never_be_right_is_refused(guess, words):
    """One sentence, before anything is measured."""
    with pytest.raises(InputError, match=re.escape(words)):
        make_guess("guess_ships", guess, ENSEMBLES)


@settings(max_examples=100)
@given(st.sets(st.sampled_from(ENSEMBLES)), st.sets(st.sampled_from(ENSEMBLES)))
def test_only_the_whole_truth_scores_in_full(guess, answer):
    """The count of what is right is the size of the list less what differs, and full only where nothing does."""
    said = make_guess("guess_ships", sorted(guess) or ["nothing"], ENSEMBLES).against(sorted(answer))
    right = int(re.search(r"Right: (\d) of 3", said).group(1))
    assert right == 3 - len(guess ^ answer)
    assert ("Guessed but not so" in said, "Missed" in said) == (bool(guess - answer), bool(answer - guess))


def verdict(candidate, answer, dataset="adult", level=""):
    """A verdict without what it rests on."""
    return Verdict(dataset, level, candidate, answer, "because", (), ())


def test_a_guess_of_what_ships_is_scored_on_every_data_set():
    """A candidate that is not judged, being no ensemble, never ships."""
    verdicts = [verdict("vote", "ship"), verdict("stack", "cannot tell"), verdict("vote", "do not ship", "flights", "4000")]
    guess = make_guess("guess_ships", ["vote", "xgboost"], ["vote", "stack", "xgboost"])
    assert score_ships(guess, verdicts).splitlines() == [
        "adult: You guessed vote and xgboost; the answer is vote. Right: 2 of 3. Guessed but not so: xgboost.",
        "flights, 4000: You guessed vote and xgboost; the answer is nothing. Right: 0 of 2. Guessed but not so: vote, xgboost.",
    ]
    assert score_ships(guess, []) == "No ensemble was judged, so no guess is scored."
    assert score_ships(make_guess("guess_ships", [], ["vote"]), verdicts) == "No guess was made, so none is scored."


def test_guesses_of_compromise_and_distance_are_scored():
    """Boost is the compromise; ops is further from research than sales, whose order of the candidates is the same."""
    found = heard()
    assert found.compromise.candidate == "boost"
    assert furthest(found, "research") == ["ops"]
    assert furthest(found, "sales") == ["ops"]
    right, wrong = make_guess("guess_compromise", "boost", NAMES), make_guess("guess_compromise", "vote", NAMES)
    assert score_compromise(right, [found]) == "adult: You guessed boost, and you were right."
    assert score_compromise(wrong, [found]) == "adult: You guessed vote; the answer is boost."
    assert score_compromise(make_guess("x", "nothing", NAMES), [heard(NAMES)]).endswith(
        "You guessed nothing, and you were right."
    )
    assert score_furthest(make_guess("x", "sales", ["ops", "sales"]), [found], "research").endswith("the answer is ops.")
    assert score_furthest(make_guess("x", "", ["ops", "sales"]), [found], "research").startswith("No guess was made")


def test_of_equally_far_ones_either_is_right_and_what_is_undefined_is_none():
    """Where two are as far away, both are the answer; a tau that is undefined is no distance."""
    tied = replace(heard(), agreements=(Agreement("research", "ops", -0.5), Agreement("sales", "research", -0.5)))
    assert furthest(tied, "research") == ["ops", "sales"]
    assert furthest(replace(tied, agreements=(Agreement("research", "ops", math.nan),)), "research") == []


# From parameters, and back from the file ------------------------------------------------------------------------------------

GIVEN = {"datasets": ["breast_cancer"], "candidates": ["prior"], "seeds": [0]}
LIMITS = {"p99_limit_ms": 100.0, "memory_limit_mib": 512.0, "worst_roc_auc": 0.6}


def test_a_notebooks_parameters_become_a_study_whose_limits_are_vetoes():
    """Nothing is required of everybody: each limit is somebody's."""
    weights = {"research": {"roc_auc": 1.0}, "product": {"latency_ms": 1}, "platform": {"size_mib": 1}, "ML engineering": {}}
    study = experiments.stakeholder_study(**GIVEN, weights=weights, **LIMITS)
    assert study.requirements == ()
    vetoes = {s.name: [v.sentence() for v in s.vetoes] for s in study.stakeholders}
    assert vetoes == {
        "research": [],
        "product": ["p99 latency_ms at most 100 ms (single_stream)"],
        "platform": ["max peak_memory_mib at most 512 MiB"],
        "ML engineering": ["mean roc_auc at least 0.6"],
    }
    assert all(s.wants for s in study.stakeholders)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": {"research": {"roc_auc": 0.9}}}, "stakeholder 'research': the weights sum to 0.9, not to 1"),
        ({"weights": {}}, "names no stakeholders"),
        ({"datasets": ["adlt"]}, "there is no data set 'adlt'"),
        ({"memory_limit_mib": -1.0}, "peak_memory_mib is never below 0"),
    ],
)
def test_parameters_that_cannot_be_are_refused_before_any_work(change, words):
    """In one sentence each."""
    given = {**GIVEN, **LIMITS, "weights": {"research": {"roc_auc": 1.0}, "platform": {"size_mib": 1.0}}, **change}
    with pytest.raises(InputError, match=re.escape(words)) as refused:
        experiments.stakeholder_study(**given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("vetoed", [(), ("vote",), NAMES])
def test_a_hearing_survives_being_written_and_read(tmp_path, vetoed):
    """All of it, numbers to the last bit; what is nan comes back as nan, and no compromise as none."""
    experiments.save_hearings(tmp_path, [heard(vetoed), heard(dataset="flights")])
    assert repr(experiments.read_hearings(tmp_path)) == repr((heard(vetoed), heard(dataset="flights")))
    assert [p.name for p in tmp_path.iterdir()] == [HEARINGS_FILE]


@pytest.mark.parametrize(
    "held", [None, "", "[]", "{", '{"hearings": 3}', '{"hearings": [{"dataset": "adult"}]}', '{"hearings": [null]}']
)
def test_a_damaged_file_is_named(tmp_path, held):
    """Missing, empty, half written or of another shape: one sentence with the file and the remedy."""
    if held is not None:
        (tmp_path / HEARINGS_FILE).write_text(held, encoding="utf-8")
    with pytest.raises(InputError, match=HEARINGS_FILE) as refused:
        experiments.read_hearings(tmp_path)
    assert "run the study again" in str(refused.value)


def test_a_hearing_with_a_field_of_another_type_is_refused(tmp_path):
    """A rank that is a word is no rank."""
    experiments.save_hearings(tmp_path, [heard()])
    held = json.loads((tmp_path / HEARINGS_FILE).read_text(encoding="utf-8"))
    held["hearings"][0]["ratings"][0]["rank"] = "first"
    (tmp_path / HEARINGS_FILE).write_text(json.dumps(held), encoding="utf-8")
    with pytest.raises(InputError, match="rank"):
        experiments.read_hearings(tmp_path)


# In a study -----------------------------------------------------------------------------------------------------------------

PEOPLE_OF_STUDY = """\
stakeholders:
  - {name: research, wants: the best score, weights: {roc_auc: 1}}
  - {name: platform, wants: small models, weights: {size_mib: 1}}
  - name: ML engineering
    vetoes: [{name: better than guessing, quantity: roc_auc, at_least: 0.6}]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, write_study):
    """A small study of two candidates in which three have a say, run once for all tests."""
    place = tmp_path_factory.mktemp("heard")
    path = write_study(place)
    path.write_text(path.read_text(encoding="utf-8") + PEOPLE_OF_STUDY, encoding="utf-8")
    return path, shipworthy.run(str(path), outputs=place / "out")


@pytest.mark.study
def test_a_study_hears_its_stakeholders_before_the_verdicts(run):
    """The notebook was executed, its result lies in the folder, and the report names the veto before the verdicts."""
    _, done = run
    kept = sorted(p.name for p in (done.folder / "notebooks").glob("*.ipynb"))
    assert kept == ["06_stakeholders.ipynb", "feasibility_report.ipynb"]
    (found,) = experiments.read_hearings(done.folder)
    assert found.survivors == ("logistic_regression",)
    assert found.vetoers("prior") == ("ML engineering",)
    assert [(c.stakeholder, c.first, c.pick) for c in found.choices] == [
        ("research", "logistic_regression", "logistic_regression"),
        ("platform", "prior", "logistic_regression"),
    ]
    # Twenty queries are too few to call a p99 met: the study's own requirement is an undecided veto of everybody's.
    assert f"{EVERYBODY}: answers in time" in found.compromise.unproven
    page = (done.folder / "report.html").read_text(encoding="utf-8")
    assert "ML engineering vetoes prior on breast_cancer" in page[: page.index('id="verdicts"')]
    assert (done.folder / "tables" / "stakeholder_regrets.csv").is_file()
    assert (done.folder / "figures" / "breast_cancer-stakeholder_ranks.svg").is_file()


@pytest.mark.study
def test_in_a_study_no_guess_is_made_and_none_is_scored(run):
    """Neither notebook is given a guess, and both say that none is scored."""
    for name in ("06_stakeholders", "feasibility_report"):
        notebook = nbformat.read(run[1].folder / "notebooks" / f"{name}.ipynb", as_version=4)
        said = "".join(str(o.get("data", o.get("text", ""))) for c in notebook.cells for o in c.get("outputs", []))
        assert "No guess was made, so none is scored." in said
        assert "You guessed" not in said


@pytest.mark.study
def test_a_hearing_that_is_lost_is_held_again(run):
    """Run again after its file was damaged, the study has the same hearing as before."""
    path, done = run
    before = experiments.read_hearings(done.folder)
    (done.folder / HEARINGS_FILE).write_text("{", encoding="utf-8")
    again = shipworthy.run(str(path), outputs=done.folder.parents[1])
    assert again.folder == done.folder
    assert repr(experiments.read_hearings(done.folder)) == repr(before)


@pytest.mark.study
def test_a_study_that_names_nobody_cannot_hear_anybody(run):
    """Asked to hear where nobody is named, it says so in one sentence."""
    assessment = run[1].assessment()
    bench = experiments.Workbench(run[1].folder)
    with pytest.raises(InputError, match="the study names no stakeholders"):
        experiments.hear_stakeholders(bench, replace(assessment, study=replace(assessment.study, stakeholders=())))
