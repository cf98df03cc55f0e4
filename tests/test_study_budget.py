"""Time budgets, subsets and sweeps: what is planned, what is left out, and that it is said."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import pytest

from shipworthy import candidates, datasets
from shipworthy.experiments import Workbench, feasibility
from shipworthy.experiments.arms import arms_of, study_at
from shipworthy.experiments.left_out import left_out_sentences, read_left_out
from shipworthy.experiments.simulated import asked_of, simulate_unit
from shipworthy.experiments.workbench import TIME_LEFT_FILE
from shipworthy.records import InputError, OwnEstimator, OwnVote, Verdict
from shipworthy.study import plan as planning
from shipworthy.study import read_study, run_study
from shipworthy.study.budget import USED, _Units, by_worth, fit_into
from shipworthy.study.ledger import Ledger
from shipworthy.study.plan import LOAD, MEASURE, SIMULATE, expected_wall_seconds, plan_study
from shipworthy.study.runner import Runner, executed_copy, step_identity
from shipworthy.study.schema import study_digest
from shipworthy.study.subset import subset_of

FEWER_ROUNDS = (
    "Left out to answer within 5 minutes were further rounds of prior on adult: measured, in fewer processes than the study "
    "asks for."
)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """The plan of the study `full` on three data sets, two seeds."""
    bench = Workbench(tmp_path_factory.mktemp("full"))
    return plan_study(bench, subset_of(read_study("full"), datasets=["breast_cancer", "adult", "flights"], seeds=[0, 1]))


def names_of(plan):
    """The units of a plan."""
    return {u.name for step in plan.steps for u in step.units}


@pytest.mark.parametrize("minutes", [1, 2, 5, 15, 60, 240])
def test_a_plan_fits_its_budget_and_stays_whole(full, minutes):
    """What is planned should end in time; whoever is measured is trained and scored, with all that it is made of."""
    fitted = fit_into(full, 60 * minutes, 2)
    units = [u for step in fitted.steps for u in step.units]
    if units:
        assert expected_wall_seconds(fitted, 2) <= USED * 60 * minutes
    there = {(u.kind, u.arm.as_trained().key, u.candidate) for u in units}
    for unit in (u for u in units if u.kind == "measure"):
        key = unit.arm.as_trained().key
        assert ("accuracy", key, unit.candidate) in there
        made_of = (unit.candidate, *candidates.get(unit.candidate).members)
        assert {n for n in made_of if {("train", key, n), ("assemble", key, n)} & there} == set(made_of)
    for step in fitted.steps:
        listed = step.values.get("candidates") or step.values.get("ensembles")
        # A step that looks at a whole arm has one unit, of no candidate, and is of those that are measured there.
        about = {u.candidate for u in step.units} - {""} or {
            u.candidate for u in units if u.kind == "measure" and u.arm == step.arm
        }
        assert listed is None or set(listed) == about


def test_more_time_leaves_less_out(full):
    """Every budget that is larger plans for at least as many seconds, and a large one for all of the study."""
    planned = [expected_wall_seconds(fit_into(full, 60 * m, 2), 2) for m in (1, 3, 5, 10, 30, 60, 120, 1000)]
    assert planned == sorted(planned)
    assert names_of(fit_into(full, 60 * 1000, 2)) == names_of(full)


def test_each_data_set_has_its_baselines_before_any_goes_deeper(full):
    """In five minutes every data set has a single model and a tree ensemble, nobody a second seed, and nothing is under load."""
    units = [u for step in fit_into(full, 300, 2).steps for u in step.units]
    scored = {(u.arm.dataset, candidates.get(u.candidate).kind) for u in units if u.kind == "accuracy"}
    assert {(d, k) for d in ("breast_cancer", "adult", "flights") for k in ("single", "tree_ensemble")} <= scored
    assert {u.arm.seed for u in units} == {0}
    assert not {u.kind for u in units} & {"curve", "rates"}


def test_what_is_done_costs_nothing(full):
    """With everything done but one candidate's measuring, little time is enough for all of it."""
    first = next(u for step in full.exclusive for u in step.units if u.kind == "measure")
    done = (names_of(full) - {first.name}) | {s.name for s in full.steps if s.arm and first not in s.units}
    seconds = 2 * full.judging_s + 30
    assert names_of(fit_into(full, seconds, 2, done)) == names_of(full)
    assert first.name not in names_of(fit_into(full, full.judging_s, 2, done))


def test_a_machine_that_turns_out_slow_leaves_more_out(full):
    """Corrected by what units really took, the same minutes hold fewer units."""
    quick, slow = fit_into(full, 600, 2), fit_into(full, 600, 2, (), {"measure": 4.0}, 1.0)
    assert names_of(slow) < names_of(quick)


def test_a_budget_is_no_part_of_the_name_of_a_run():
    """The same study with and without a time budget has one digest, so the same run folder."""
    study = read_study("quick")
    assert study_digest(replace(study, within_minutes=5.0)) == study_digest(study)


def test_a_unit_that_would_end_too_late_is_not_begun(tmp_path, write_study):
    """Where a notebook is told when it must have ended, a unit that would not is left out, and a shorter one is made."""
    said = []
    bench = Workbench(tmp_path, notify=said.append)
    arm = arms_of(read_study(str(write_study(tmp_path))))[0]
    long, short = bench.measure_units(arm, ["prior", "logistic_regression"])
    told = {"ends": 4e9, "seconds": {long.name: 1e10, short.name: 1.0}}
    (tmp_path / TIME_LEFT_FILE).write_text(json.dumps(told), encoding="utf-8")
    bench.make_all((u, lambda folder: (folder / "made").touch()) for u in (long, short))
    assert (bench.done(long), bench.done(short)) == (False, True)
    assert [s for s in said if "left out" in s and "prior" in s]


@pytest.mark.parametrize(
    ("answer", "without", "then"),
    [
        ("ship", ("xgboost_tuned",), "cannot tell"),
        ("ship", ("stack",), "ship"),
        ("ship", (), "ship"),
        ("do not ship", ("xgboost_tuned",), "do not ship"),
    ],
)
def test_nothing_ships_while_a_baseline_was_left_out(tmp_path, answer, without, then):
    """To ship, an ensemble must beat what there was no time for too; that it does not ship is known already."""
    (tmp_path / "left_out.json").write_text('{"minutes": 5, "units": [], "sentences": []}', encoding="utf-8")
    verdict = Verdict("adult", "", "soft_vote", answer, "It gains.", (), ())
    found = feasibility.hold_back(Workbench(tmp_path), verdict, without)
    assert found.answer == then
    assert ("xgboost_tuned, which it must beat too" in found.reason) == (then != answer)


def test_money_without_a_map_is_read_back_as_that(tmp_path):
    """Where no ensemble could be set beside a baseline there is no map, also after it was written and read."""
    from shipworthy.experiments.assessment import read_money
    from shipworthy.reporting.money import map_table

    (tmp_path / "money.json").write_text('[{"dataset": "a", "level": "", "declared": {}, "map": null}]', encoding="utf-8")
    held = read_money(tmp_path)
    assert held[0]["map"] is None
    assert map_table(held).empty


def test_what_a_sceptic_asks_for_comes_first(tmp_path):
    """The prior, the linear model, a booster, the ensemble that the study describes, the glass box; then what else is its own."""
    vote = OwnVote(name="mine", weights={"xgboost": 1.0, "knn": 1.0})
    own = OwnEstimator(estimator="sklearn.gaussian_process:GaussianProcessClassifier", name="own")
    names = ("stack", "mine", "knn", "glass_box", "decision_tree", "own", "xgboost", "logistic_regression", "prior")
    quick = subset_of(read_study("quick"), datasets=["breast_cancer"])
    study = replace(quick, votes=(vote,), estimators=(own,), candidates=names)
    plan = plan_study(Workbench(tmp_path), study)
    order = by_worth(plan, _Units.of(plan), arms_of(study)[0])
    assert order[:6] == ["prior", "logistic_regression", "xgboost", "mine", "glass_box", "own"]
    assert sorted(order) == sorted(names)


def test_what_an_executed_step_left_out_takes_its_time(full):
    """That its notebook went through does not make a unit free that it did not hand over."""
    step = next(s for s in full.exclusive if s.notebook == MEASURE)
    gone = {u.name for u in step.units if u.kind == "measure"}
    done = (names_of(full) - gone) | {s.name for s in full.steps if s.arm}
    assert not gone <= names_of(fit_into(full, full.judging_s / USED + 1, 2, done))
    assert gone <= names_of(fit_into(full, full.judging_s / USED + 3600, 2, done))


@pytest.mark.study
def test_a_study_with_a_budget_answers_and_is_completed_later(tmp_path, write_study, monkeypatch):
    """What will not fit is left out of a run that ends well and says so; the same study without a budget adds it."""
    study = str(write_study(tmp_path, candidates="prior, logistic_regression, xgboost, random_forest, soft_vote"))
    monkeypatch.setitem(planning.FIT_S, "random_forest", 1e6)
    first = run_study(study, outputs=tmp_path / "out", within_minutes=600)
    assert first.failed == ()
    assert first.left_out == ("Left out to answer within 600 minutes: random_forest and soft_vote on breast_cancer.",)
    verdicts = first.run.verdicts()
    assert list(verdicts["candidate"]) == ["soft_vote"]
    assert list(verdicts["answer"]) == ["cannot tell"]
    assert "left out to answer within 600 minutes" in verdicts["reason"][0]
    assert set(first.run.records()["candidate"]) == {"prior", "logistic_regression", "xgboost"}
    assert first.left_out[0] in first.run.report.read_text(encoding="utf-8")
    assert not [s for s in first.run.assessment().missing if s not in first.left_out]
    # A plan that is too cautious at first: by the end of it there is time, and what was left out is taken in.
    monkeypatch.setitem(planning.FIT_S, "random_forest", 0.6)
    asked = []

    def cautious(plan, seconds, workers, done, *pace):
        planned = fit_into(plan, seconds, workers, done, *pace)
        asked.append(seconds)
        without = {u.name for s in planned.steps for u in s.units if u.candidate in {"random_forest", "soft_vote"}}
        return planned.only(names_of(planned) - without) if len(asked) < 3 else planned

    monkeypatch.setattr("shipworthy.study.runner.fit_into", cautious)
    second = run_study(study, outputs=tmp_path / "out", within_minutes=600)
    assert (second.run.folder, second.failed, second.left_out) == (first.run.folder, (), ())
    assert "soft_vote" in set(second.run.records()["candidate"])
    assert second.run.verdicts()["reason"].str.contains("ROC AUC").all()


def test_a_budget_in_which_nothing_fits_is_refused(tmp_path, write_study):
    """A second is enough for nothing: one sentence says so, and about what would do; no folder is left behind."""
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=r"within_minutes: no part .* about .* minutes? would do"):
        run_study(str(write_study(tmp_path)), outputs=tmp_path / "out", within_minutes=1 / 60)
    with pytest.raises(InputError, match="above 0, not 0"):
        run_study(str(write_study(tmp_path)), outputs=tmp_path / "out", within_minutes=0)
    assert not list((tmp_path / "out").iterdir())


def test_a_share_once_said_is_never_taken_back(tmp_path, write_study, monkeypatch):
    """Where more turns out to be left than was thought, the share that is told stays where it was."""
    study = read_study(str(write_study(tmp_path)))
    bench = Workbench(tmp_path / "run")
    bench.folder.mkdir()
    now, said = [0.0], []
    left = iter((90.0, 10.0, 200.0, 30.0))
    with Ledger(bench.folder / "ledger.sqlite") as ledger:
        show = lambda share, _left, _doing: said.append(share)  # noqa: E731
        runner = Runner(plan_study(bench, study), bench, ledger, 1, show, clock=lambda: now[0])
        monkeypatch.setattr(type(runner.works), "left_s", lambda _self: next(left))
        for now[0] in (10.0, 40.0, 50.0, 90.0):
            runner._tick("training")
    assert said == [0.1, 0.8, 0.8, 0.8]


def test_a_damaged_note_of_what_was_left_out_is_refused(tmp_path):
    """One sentence names the file."""
    (tmp_path / "left_out.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"left_out\.json cannot be read"):
        read_left_out(tmp_path)


def test_what_was_left_out_is_told_by_what_it_was():
    """Candidates, measuring, further rounds, seeds and load are each told in a sentence, equal places together."""
    study = replace(read_study("quick"), seeds=(0, 1))

    def unit(kind, dataset, candidate, *, seed=0, gone=True):
        return {"kind": kind, "dataset": dataset, "seed": seed, "level": "", "candidate": candidate, "left_out": gone}

    said = left_out_sentences(
        study,
        [
            unit("accuracy", "adult", "stack"),
            unit("accuracy", "flights", "stack"),
            unit("measure", "adult", "stack"),
            unit("accuracy", "adult", "xgboost", gone=False),
            unit("measure", "adult", "xgboost"),
            unit("measure", "adult", "prior", gone=False),
            unit("measure", "adult", "prior"),
            unit("accuracy", "adult", "prior", seed=1),
            unit("rates", "adult", "xgboost"),
        ],
        5,
    )
    assert said == (
        "Left out to answer within 5 minutes: stack on adult and flights.",
        "Left out to answer within 5 minutes was measuring xgboost on adult: trained and scored, but neither timed nor weighed.",
        FEWER_ROUNDS,
        "Left out to answer within 5 minutes: seed 1 on adult. The verdicts there rest on the other seeds.",
        "Left out to answer within 5 minutes, under load: xgboost on adult.",
    )


# -- subsets -----------------------------------------------------------------------------------------------------------


def test_an_ensemble_brings_its_members():
    """A subset holds what was asked for and what that is made of, in the study's order, and load and limits follow it."""
    study = subset_of(read_study("quick"), candidates=["soft_vote"], datasets=["adult"], seeds=[0])
    assert study.candidates == ("logistic_regression", "random_forest", "xgboost", "soft_vote")
    assert (study.datasets, study.load.candidates, study.load.datasets) == (
        ("adult",),
        ("logistic_regression", "soft_vote"),
        ("adult",),
    )
    none = subset_of(read_study("quick"), datasets=["breast_cancer"])
    assert none.load.candidates == ()
    assert subset_of(read_study("quick")) == read_study("quick")
    assert study_digest(study) != study_digest(read_study("quick"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"candidates": ["xgbost"]}, "--candidate: 'xgbost' .* did you mean xgboost"),
        ({"datasets": ["adlt"]}, "--dataset: 'adlt' .* did you mean adult"),
        ({"seeds": [7]}, "--seed: '7' is not in the study quick; .*it has 0"),
    ],
)
def test_a_subset_of_what_is_not_there_is_refused(asked, said):
    """One sentence names what the study has."""
    with pytest.raises(InputError, match=said):
        subset_of(read_study("quick"), **asked)


# -- sweeps ------------------------------------------------------------------------------------------------------------


def swept(tmp_path, **sweep):
    """The plan of the study `quick` on one data set, sweeping something."""
    study = replace(subset_of(read_study("quick"), datasets=["adult"]), sweep=sweep)
    return study, plan_study(Workbench(tmp_path), study)


def count(plan, notebook):
    """How many steps of a notebook there are."""
    return sum(step.notebook == notebook for step in plan.steps)


def test_a_sweep_of_what_is_judged_measures_once(tmp_path):
    """Two smallest useful gains are two arms, judged on one training, one measuring and one load."""
    study, plan = swept(tmp_path, smallest_useful_gain=(0.001, 0.01))
    assert [study_at(study, arm).smallest_useful_gain for arm in arms_of(study)] == [0.001, 0.01]
    assert (len(plan.chains), count(plan, MEASURE), count(plan, LOAD)) == (1, 1, 1)


def test_a_sweep_of_the_load_loads_twice_and_measures_once(tmp_path):
    """Two counts of arrivals are two loads of the same trained candidates."""
    study, plan = swept(tmp_path, load_queries=(662, 1000))
    assert [study_at(study, arm).load.load_queries for arm in arms_of(study)] == [662, 1000]
    assert (len(plan.chains), count(plan, MEASURE), count(plan, LOAD)) == (1, 1, 2)


def test_folds_train_twice_and_threads_measure_twice(tmp_path):
    """What is swept in training is trained anew; what is swept in measuring is trained once."""
    _, plan = swept(tmp_path, folds=(3, 5))
    assert (len(plan.chains), count(plan, MEASURE)) == (2, 2)
    _, plan = swept(tmp_path, threads=(1, 2))
    assert (len(plan.chains), count(plan, MEASURE), count(plan, LOAD)) == (1, 2, 1)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("batch_sizes", "list already"),
        ("seed", "under seeds"),
        ("metric", "a study of its own"),
        ("p99_limit_ms", "name a requirement for each value"),
        ("rate_per_s", "traffic_queries_s"),
        ("fold", "did you mean folds"),
    ],
)
def test_what_cannot_be_swept_is_refused_with_where_it_belongs(field, said):
    """One sentence says what to do instead."""
    with pytest.raises(InputError, match=f"sweep: .*{said}"):
        arms_of(replace(read_study("quick"), sweep={field: (1, 2)}))


def test_every_parameter_of_the_notebooks_of_a_study_can_be_swept_or_says_why_not():
    """No parameter of a notebook that a study runs is forgotten: it can be swept, or the refusal says where it belongs."""
    from shipworthy import notebooks
    from shipworthy.experiments.arms import NOT_SWEPT, SWEPT

    own = {"run_folder"}
    for name in (planning.TRAIN, planning.BUILD, planning.ACCURACY, MEASURE, LOAD, planning.STAKEHOLDERS, planning.REPORT):
        for parameter in notebooks.parameters(notebooks.path(name)):
            said = getattr(parameter, "name", parameter)
            assert said in {*SWEPT, *NOT_SWEPT, *own} or said.startswith("guess_"), (name, said)


def test_quick_has_time_for_every_candidate(tmp_path):
    """By the plan's own figures `quick` ends within 15 minutes on two cores, whatever candidates the catalogue has for it."""
    study = read_study("quick")
    task = {datasets.task(name) for name in study.datasets}
    able = tuple(n for n in candidates.names() if task <= set(candidates.get(n).tasks))
    everyone = replace(study, candidates=able)
    plan = plan_study(Workbench(tmp_path), everyone)
    assert expected_wall_seconds(plan, 2) < 15 * 60


def test_a_small_table_is_expected_to_take_what_its_own_rows_take(tmp_path):
    """Without a limit on rows a file of a hundred is not planned as one of thousands, and no sample as larger than its source."""
    rows = "".join(f"{i % 97},{i % 89},{'yes' if i % 5 else 'no'}\n" for i in range(100))
    (tmp_path / "mine.csv").write_text(f"a,b,late\n{rows}", encoding="utf-8")
    text = 'datasets: [{file: mine.csv, target: late, test_share: 0.25}, adult]\nname: s\nquestion: "?"\ncandidates: [xgboost]\n'
    text += 'prices: {as_of: "2026-03", source: a test, vcpu_hour_usd: 0.04, gib_hour_usd: 0.004}\n'
    (tmp_path / "s.yaml").write_text(text, encoding="utf-8")
    small, large = arms_of(read_study(str(tmp_path / "s.yaml")))
    assert planning.expected_rows(small) == (75, 25)
    assert sum(planning.expected_rows(large)) == datasets.size("adult")
    few = replace(large, training=replace(large.training, max_train_rows=500, max_test_rows=10**9))
    assert planning.expected_rows(few) == (500, planning.expected_rows(large)[1])
    plan = plan_study(Workbench(tmp_path), read_study(str(tmp_path / "s.yaml")))
    fits = {u.arm.dataset: plan.seconds[u.name] for step in plan.steps for u in step.units if u.kind == "train"}
    assert 9 * fits["mine"] < fits["adult"]


def test_what_is_simulated_without_a_member_that_failed_is_done(tmp_path, write_study, monkeypatch):
    """A simulation of the members that are left has another identity than the planned one: it is done, and not done again."""
    study = read_study(str(write_study(tmp_path, candidates="prior, logistic_regression, naive_bayes, decision_tree")))
    bench = Workbench(tmp_path / "study" / "run", notify=lambda _sentence: None)
    (bench.folder / "parts").mkdir(parents=True)
    executed = []

    def execute(bench, ledger, step, *_rest):
        executed.append(step.notebook)
        ledger.notebook_started(step.name, step_identity(step))
        units = step.units
        if step.notebook == SIMULATE:  # as its notebook does, of those that are there
            there = [n for n in study.candidates if measured(bench, step.arm, n)]
            units = (simulate_unit(bench, step.arm, there, asked_of(study, step.arm)),)
        for unit in units:
            if unit.candidate != "decision_tree":
                bench.make(unit, lambda _folder: None)
        copy = executed_copy(bench.folder, step)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.touch()
        ledger.notebook_ended(step.name, ok=True, seconds=1.0)
        return ""

    def measured(bench, arm, name):
        there = all(bench.done(u) for u in bench.measure_units(arm, [name]))
        alone = SimpleNamespace(scenario="single_stream")
        known = [SimpleNamespace(quantity=q, round_index=(0,), conditions=alone) for q in ("latency_ms", "memory_mib")]
        return known if there else []

    monkeypatch.setattr("shipworthy.study.runner._execute", execute)
    monkeypatch.setattr("shipworthy.experiments.simulated.measurements_of", measured)
    for _go in range(2):
        with Ledger(bench.folder / "ledger.sqlite") as ledger:
            Runner(plan_study(bench, study), bench, ledger, 1, lambda _share, _left, _doing: None).run()
        with closing(sqlite3.connect(bench.folder / "ledger.sqlite")) as connection:
            became = dict(connection.execute("select kind || ' ' || candidate, status from units").fetchall())
        assert became["simulate "] == "done"
        assert became["train decision_tree"] == "failed"
    assert executed.count(SIMULATE) == 1
