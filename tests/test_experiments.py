"""The experiments: units are done or absent and known by all that decides them, arms are checked first, verdicts come back."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from shipworthy import datasets, experiments
from shipworthy.experiments import Arm, UnitsFailedError, Workbench, arms_of, make_arm, workbench
from shipworthy.experiments.assessment import read_assessment
from shipworthy.experiments.ensembles import ensure_trained
from shipworthy.experiments.workbench import Unit, nan_for_null, outputs_folder, package_digest, record_rows, write_json
from shipworthy.measurement import machine
from shipworthy.records import Economics, InputError, MeasuringPlan, Record, Study, TrainingPlan, Verdict

SMALL = {"max_train_rows": 120, "max_test_rows": 60, "folds": 2, "search_trials": 1}
QUICK = {"queries": 20, "rounds": 1, "warm_up": 1, "batch_sizes": (8,), "batch_repeats": 1}


def bench_in(folder, said=None):
    """A workbench in a folder, which tells its sentences to a list."""
    return Workbench(folder, (said if said is not None else []).append)


def unit(name="xgboost", identity="0123456789abcdef", **facts):
    """A unit that nothing made."""
    return Unit("train", Arm("breast_cancer"), name, identity, **facts)


def in_study(folder, **plan):
    """A run folder as a study makes it."""
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    write_json(folder / "plan.json", {"package": package_digest(), "workers": 1, "notebooks": {}} | plan)
    return folder


def study_of(**facts):
    """A study by default values."""
    usual = {"name": "s", "question": "Why?", "datasets": ("breast_cancer",), "candidates": ("prior",)}
    return Study(**{**usual, "prices": experiments.feasibility.DATED_PRICES, **facts})


# Done or absent -------------------------------------------------------------------------------------------------------------


def test_a_unit_is_handed_over_whole_and_made_once(tmp_path):
    """What the work wrote is handed over with a record of how; a unit that is done is not made again."""
    said = []
    bench = bench_in(tmp_path, said)
    times = iter([100.0, 102.5])

    def work(folder):
        assert list(folder.iterdir()) == []
        assert not bench.done(unit())
        (folder / "records.json").write_text("[1]", encoding="utf-8")

    part = bench.make(unit(), work, clock=lambda: next(times))
    assert bench.done(unit())
    assert part == bench.part(unit()) == tmp_path / "parts" / unit().name
    assert bench.read(unit()) == [1]
    facts = bench.read(unit(), "unit.json")
    assert facts["seconds"] == 2.5
    assert (facts["kind"], facts["arm"], facts["candidate"]) == ("train", "breast_cancer-s0", "xgboost")
    assert (facts["identity"], facts["shared"]) == (unit().identity, False)
    assert said == ["train xgboost on breast_cancer, seed 0: 2.5 s"]
    assert bench.make(unit(), lambda _: pytest.fail("made twice")) == part
    assert [p.name for p in (tmp_path / "parts").iterdir()] == [unit().name]


def test_work_that_raises_leaves_no_part_and_a_failure(tmp_path):
    """After an error there is no part, whole or half, and one file that says what failed and where; the error goes on."""
    bench = bench_in(tmp_path)

    def work(folder):
        (folder / "half").write_text("half", encoding="utf-8")
        raise ZeroDivisionError("by nothing")

    with pytest.raises(ZeroDivisionError, match="by nothing"):
        bench.make(unit(), work)
    assert not bench.done(unit())
    assert list((tmp_path / "parts").iterdir()) == []
    (failure,) = bench.failures()
    assert failure["unit"] == "train xgboost on breast_cancer, seed 0"
    assert failure["error"] == "ZeroDivisionError: by nothing"
    assert (failure["kind"], failure["dataset"], failure["candidate"]) == ("train", "breast_cancer", "xgboost")
    assert 'raise ZeroDivisionError("by nothing")' in failure["traceback"]
    bench.make(unit(), lambda _: None)
    assert bench.failures() == []


def test_what_a_killed_predecessor_left_is_not_taken_for_done(tmp_path):
    """A folder beside the part, of another process or of this one's own id reused, is neither done nor in the way."""
    bench = bench_in(tmp_path)
    for pid in (os.getpid(), 1):
        left = tmp_path / "parts" / f".{unit().name}.{pid}"
        left.mkdir(parents=True)
        (left / "stale.json").write_text("[", encoding="utf-8")
    assert not bench.done(unit())
    bench.make(unit(), lambda folder: write_json(folder / "records.json", [2]))
    assert bench.read(unit()) == [2]
    assert sorted(p.name for p in bench.part(unit()).iterdir()) == ["records.json", "unit.json"]


def test_a_predecessor_that_is_faster_wins(tmp_path):
    """If the part appears while it is being made, the one that is there stays, and nothing is left beside it."""
    bench = bench_in(tmp_path)

    def work(folder):
        bench.part(unit()).mkdir()
        write_json(bench.part(unit()) / "records.json", ["theirs"])
        write_json(folder / "records.json", ["ours"])

    bench.make(unit(), work)
    assert bench.read(unit()) == ["theirs"]
    assert [p.name for p in (tmp_path / "parts").iterdir()] == [unit().name]


def test_an_interruption_is_no_failure_of_the_unit(tmp_path):
    """Ctrl-C goes through without a failure on record: the unit is merely absent."""
    bench = bench_in(tmp_path)

    def work(_folder):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.make(unit(), work)
    assert bench.failures() == []
    assert not bench.done(unit())


def test_all_units_are_tried_before_the_failed_ones_are_named(tmp_path):
    """One candidate's failure does not cost the others; at the end the error names every unit that failed, and only those."""
    bench = bench_in(tmp_path)

    def bad(_folder):
        raise ValueError("no good")

    units = [unit(name, digits) for name, digits in (("prior", "a" * 16), ("stack", "b" * 16), ("xgboost", "c" * 16))]
    with pytest.raises(UnitsFailedError) as failed:
        bench.make_all(zip(units, (bad, lambda _: None, bad), strict=True))
    assert str(failed.value) == (
        "train prior on breast_cancer, seed 0: ValueError: no good; train xgboost on breast_cancer, seed 0: ValueError: no good"
    )
    assert [bench.done(u) for u in units] == [False, True, False]
    assert {f["candidate"] for f in bench.failures()} == {"prior", "xgboost"}
    bench.make_all((u, lambda _: None) for u in units)
    assert all(bench.done(u) for u in units)


# Identities -----------------------------------------------------------------------------------------------------------------


def test_an_identity_is_the_same_for_the_same_work(tmp_path):
    """Another workbench, elsewhere and later, gives the same work the same identity, of 16 hex digits."""
    one = bench_in(tmp_path).fit_unit(make_arm("breast_cancer"), "stack")
    two = bench_in(in_study(tmp_path / "b")).fit_unit(make_arm("breast_cancer"), "stack")
    assert one == two
    assert re.fullmatch("[0-9a-f]{16}", one.identity)


def test_whatever_decides_a_training_changes_its_identity(tmp_path):
    """Seed, rows, folds, trials, data set and candidate each give a training an identity of its own."""
    bench = bench_in(tmp_path)
    plans = [{}, {"max_train_rows": 100}, {"max_test_rows": 100}, {"folds": 3}, {"search_trials": 3}]
    arms = [make_arm("breast_cancer", training=p) for p in plans] + [make_arm("breast_cancer", 1), make_arm("adult")]
    units = [bench.fit_unit(arm, name) for arm in arms for name in ("xgboost", "prior", "soft_vote")]
    assert len({u.identity for u in units}) == len(units)
    assert len({u.name for u in units}) == len(units)


def test_how_deeply_serving_is_measured_does_not_change_a_training(tmp_path):
    """A training is shared by arms that differ in nothing but how they are measured or what a study calls them."""
    bench = bench_in(tmp_path)
    arm = make_arm("breast_cancer")
    others = (make_arm("breast_cancer", measuring={"queries": 50}), make_arm("breast_cancer", factor="queries", level="50"))
    assert {bench.fit_unit(other, "xgboost").identity for other in others} == {bench.fit_unit(arm, "xgboost").identity}


def everything(bench, arm):
    """The identity of a unit of every kind."""
    units = {
        "train": bench.fit_unit(arm, "xgboost"),
        "assemble": bench.fit_unit(arm, "soft_vote"),
        "accuracy": bench.accuracy_unit(arm, "xgboost", "roc_auc", 1000, 0.95),
        "queries": bench.queries_unit(arm),
        "measure": bench.measure_unit(arm, "xgboost", 0),
    }
    assert {kind: u.kind for kind, u in units.items()} == {kind: kind for kind in units}
    return {kind: u.identity for kind, u in units.items()}


def changed(before, after):
    """The kinds of units whose identity is another."""
    return {kind for kind in before if before[kind] != after[kind]}


@pytest.mark.parametrize(
    ("module", "function"), [(workbench, "package_digest"), (datasets, "fingerprint")], ids=["the package", "the rows"]
)
def test_other_sources_or_rows_make_every_unit_another(tmp_path, monkeypatch, module, function):
    """When the package's sources or the data set's rows change, nothing that was made before is taken for done."""
    arm = make_arm("breast_cancer")
    before = everything(bench_in(tmp_path), arm)
    monkeypatch.setattr(module, function, lambda *_: "f" * 16)
    assert changed(before, everything(bench_in(tmp_path), arm)) == set(before)


def test_only_measurements_know_the_machine(tmp_path, monkeypatch):
    """On another machine what was trained and scored still holds; what was measured does not."""
    arm = make_arm("breast_cancer")
    before = everything(bench_in(tmp_path), arm)
    monkeypatch.setattr(machine, "machine_fingerprint", lambda: "f" * 16)
    assert changed(before, everything(bench_in(tmp_path), arm)) == {"measure"}


@pytest.mark.parametrize(
    ("notebook", "kinds"),
    [
        ("01_train_single_models", {"train", "assemble", "accuracy", "measure"}),
        ("02_build_ensembles", {"assemble"}),
        ("03_compare_accuracy", {"accuracy"}),
        ("04_measure_latency_and_memory", {"queries", "measure"}),
        ("00_tour", set()),
    ],
)
def test_a_notebook_that_changed_makes_its_units_and_what_builds_on_them_anew(tmp_path, notebook, kinds):
    """The digest of a notebook in ``plan.json`` is part of the identity of its units, and through them of those that follow."""
    arm = make_arm("breast_cancer")
    before = everything(bench_in(in_study(tmp_path / "a")), arm)
    after = everything(bench_in(in_study(tmp_path / "b", notebooks={notebook: "another"})), arm)
    assert changed(before, after) == kinds


def test_what_decides_a_score_or_a_measurement_is_in_its_identity(tmp_path):
    """Metric, resamples and confidence belong to a score; the measuring plan and the round to a measurement."""
    bench, arm = bench_in(tmp_path), make_arm("breast_cancer")
    asked = [("roc_auc", 1000, 0.95), ("brier", 1000, 0.95), ("roc_auc", 999, 0.95), ("roc_auc", 1000, 0.9)]
    assert len({bench.accuracy_unit(arm, "prior", *a).identity for a in asked}) == len(asked)
    plan = {"queries": 50, "rounds": 3, "warm_up": 1, "batch_sizes": (7,), "batch_repeats": 2, "threads": 2, "time_limit_s": 9.0}
    arms = [arm, *(replace(arm, measuring=replace(arm.measuring, **{k: v})) for k, v in plan.items())]
    identities = [bench.measure_unit(a, "prior", r).identity for a in arms for r in (0, 1)]
    assert len(set(identities)) == len(identities)


def test_rounds_are_interleaved(tmp_path):
    """Every candidate is measured once before any is measured again."""
    arm = make_arm("breast_cancer", measuring={"rounds": 2})
    units = bench_in(tmp_path).measure_units(arm, ["prior", "xgboost"])
    assert [(u.round_index, u.candidate) for u in units] == [(0, "prior"), (0, "xgboost"), (1, "prior"), (1, "xgboost")]


def test_a_run_whose_package_changed_is_refused(tmp_path):
    """A notebook of a study that finds other sources than those it was planned with says so and stops."""
    with pytest.raises(InputError, match="the package's sources changed while the study ran; run the study again"):
        Workbench(in_study(tmp_path, package="another"))


# Folders --------------------------------------------------------------------------------------------------------------------


def test_outputs_go_where_they_are_sent_or_to_the_checkout_or_here(tmp_path, monkeypatch):
    """``SHIPWORTHY_OUTPUTS`` first; else ``outputs`` of the checkout that we stand in, however deep; else of this folder."""
    monkeypatch.delenv("SHIPWORTHY_OUTPUTS", raising=False)
    deep = tmp_path / "checkout" / "notebooks" / "workshop"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert outputs_folder() == deep / "outputs"
    (tmp_path / "checkout" / "pyproject.toml").touch()
    assert outputs_folder() == tmp_path / "checkout" / "outputs"
    monkeypatch.setenv("SHIPWORTHY_OUTPUTS", str(tmp_path / "elsewhere"))
    assert outputs_folder() == tmp_path / "elsewhere"
    assert Workbench.open().folder == tmp_path / "elsewhere" / "lab"
    assert (tmp_path / "elsewhere" / "lab" / "parts").is_dir()


def test_a_folder_that_is_none_or_cannot_be_written_is_refused(tmp_path, monkeypatch):
    """A run folder that is not there, and outputs that cannot be made, are each one sentence with a remedy."""
    with pytest.raises(InputError, match=r"run_folder: '.*nowhere' is not a folder; leave it empty"):
        Workbench.open(str(tmp_path / "nowhere"))
    (tmp_path / "file").touch()
    monkeypatch.setenv("SHIPWORTHY_OUTPUTS", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot be written \(.+\); set SHIPWORTHY_OUTPUTS to a folder that can"):
        Workbench.open()


def test_a_folder_of_a_study_knows_its_study_and_whether_it_is_shared(tmp_path):
    """The study is read back as it was declared; wall times are shared as soon as two workers train."""
    lab = bench_in(tmp_path)
    assert (lab.in_study, lab.shared, lab.study()) == (False, False, None)
    folder = in_study(tmp_path / "run", workers=2)
    declared = {"name": "s", "question": "Why?", "datasets": ["adult"], "candidates": ["prior"], "seeds": [3, 4]}
    prices = {"as_of": "2026-03", "source": "by hand", "vcpu_hour_usd": 0.04, "gib_hour_usd": 0.004}
    (folder / "study.yaml").write_text(yaml.safe_dump({**declared, "prices": prices}), encoding="utf-8")
    run = bench_in(folder)
    assert (run.in_study, run.shared) == (True, True)
    assert run.study().seeds == (3, 4)


# JSON -----------------------------------------------------------------------------------------------------------------------


def test_nan_goes_to_json_and_comes_back(tmp_path):
    """At any depth NaN becomes null and infinities become text; both come back, and everything else stays itself."""
    value = {"a": [1, math.nan, {"b": math.inf, "c": (-math.inf, "x", True)}], "d": None, "e": 0.1 + 0.2}
    write_json(tmp_path / "v.json", value)
    text = (tmp_path / "v.json").read_text(encoding="utf-8")
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert read == {"a": [1, None, {"b": "Infinity", "c": ["-Infinity", "x", True]}], "d": None, "e": 0.1 + 0.2}
    back = nan_for_null(read)
    assert back["a"][0] == 1
    assert all(math.isnan(v) for v in (back["a"][1], back["d"]))
    assert back["a"][2] == {"b": math.inf, "c": [-math.inf, "x", True]}
    assert list(read) == ["a", "d", "e"]


def test_records_become_rows_of_their_arm(tmp_path):
    """A record's row has all its fields and the arm's factor and level; through JSON it comes back as the same record."""
    record = Record("adult", "prior", "single", "brier", "oof", 0.25, "", 0)
    arm = Arm("adult", factor="folds", level="3")
    write_json(tmp_path / "r.json", record_rows([record], arm))
    (row,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert row["low"] is None
    again = Record(**nan_for_null(row))
    assert math.isnan(again.low)
    assert replace(again, low=0, high=0) == replace(record, low=0, high=0, factor="folds", level="3")


# Arms -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dataset": "breast"}, r"there is no data set 'breast'.*choose from breast_cancer, digits"),
        ({"candidates": ["xgbost"]}, r"there is no candidate 'xgbost'; did you mean xgboost\? choose from prior, .*stack"),
        ({"seed": -1}, r"seed must be a whole number from 0 to 2147483647, not -1"),
        ({"seed": 2**31}, r"seed must be a whole number"),
        ({"seed": 1.0}, r"seed must be a whole number .* not 1\.0"),
        ({"seed": True}, r"seed must be a whole number .* not True"),
        ({"seed": "1"}, r"seed must be a whole number .* not '1'"),
        ({"training": {"folds": 1}}, r"parameters: folds .*greater than or equal to 2, not 1"),
        ({"training": {"folds": 2.5}}, r"parameters: folds .*(integer|whole number).* not 2\.5"),
        ({"training": {"max_train_rows": -1}}, r"parameters: max_train_rows .*greater than or equal to 0, not -1"),
        ({"training": {"search_trials": None}}, r"parameters: search_trials .*not None"),
        ({"training": {"fold": 3}}, r"parameters: fold is not a field that exists; remove it or mend its name"),
        ({"measuring": {"queries": 19}}, r"parameters: queries .*greater than or equal to 20, not 19"),
        ({"measuring": {"batch_sizes": []}}, r"parameters: batch_sizes .*(at least 1|not be empty)"),
        ({"measuring": {"batch_sizes": [0]}}, r"parameters: batch_sizes\.0 .*greater than or equal to 1, not 0"),
        ({"measuring": {"batch_sizes": 64}}, r"parameters: batch_sizes .*(list|tuple).* not 64"),
        ({"measuring": {"time_limit_s": math.nan}}, r"parameters: time_limit_s .*not nan"),
        ({"measuring": {"time_limit_s": math.inf}}, r"parameters: time_limit_s .*not inf"),
        ({"measuring": {"threads": 0, "rounds": 0}}, r"parameters: (threads|rounds) .*not 0 \(and 1 more\)"),
    ],
)
def test_a_bad_parameter_is_one_sentence_before_any_work(monkeypatch, given, said):
    """Every name that does not exist and every impossible value is refused in one line, before a row is read."""
    monkeypatch.setattr(datasets, "load", lambda *_a, **_k: pytest.fail("rows were read"))
    with pytest.raises(InputError, match=said) as refused:
        make_arm(**{"dataset": "breast_cancer", **given})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("given", [{"dataset": 5}, {"candidates": [3]}])
def test_a_name_that_is_no_text_is_refused_too(given):
    """Plain papermill turns ``-p dataset 5`` into a number; it is refused like any other name that does not exist."""
    with pytest.raises(InputError):
        make_arm(**{"dataset": "breast_cancer", **given})


@pytest.mark.parametrize("value", [True, "5"])
def test_a_count_of_the_wrong_type_is_refused(value):
    """A bool or a text is no number of rows, whatever it could be turned into."""
    with pytest.raises(InputError):
        make_arm("breast_cancer", training={"max_train_rows": value})


def test_the_arms_of_a_study_come_in_the_declared_order():
    """Data sets, then seeds, then every combination of what is swept, the last factor fastest."""
    study = study_of(
        datasets=("flights", "adult"),
        seeds=(1, 0),
        sweep={"max_train_rows": (500, 50), "queries": (20, 30)},
        training=TrainingPlan(folds=3),
    )
    arms = arms_of(study)
    assert [(a.dataset, a.seed, a.training.max_train_rows, a.measuring.queries) for a in arms] == [
        (d, s, r, q) for d in ("flights", "adult") for s in (1, 0) for r in (500, 50) for q in (20, 30)
    ]
    assert {a.factor for a in arms} == {"max_train_rows; queries"}
    assert arms[1].level == "500; 30"
    assert {a.training.folds for a in arms} == {3}
    assert len({a.key for a in arms}) == len(arms)
    assert all(re.fullmatch(r"[a-z_]+-s\d+-[0-9a-f]{6}", a.key) for a in arms)
    assert arms[0].title == "flights, seed 1, max_train_rows; queries = 500; 20"


def test_without_a_sweep_there_is_one_arm_a_data_set_and_seed():
    """A study that sweeps nothing has arms without factor or level."""
    arms = arms_of(study_of(seeds=(0, 1)))
    assert [(a.key, a.factor, a.level) for a in arms] == [("breast_cancer-s0", "", ""), ("breast_cancer-s1", "", "")]


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ({"seed": (1,)}, "sweep: seed is a list already; name all its values under seeds"),
        ({"batch_sizes": (1,)}, "sweep: batch_sizes is a list already"),
        ({"folds": (2, 1)}, r"folds .*greater than or equal to 2, not 1"),
        ({"folds": (2.5,)}, r"folds .*(integer|whole number)"),
    ],
)
def test_a_sweep_of_what_cannot_be_swept_is_refused(sweep, said):
    """What is swept must be a field that holds one number, and every level must be one that it admits."""
    with pytest.raises(InputError, match=said):
        arms_of(study_of(sweep=sweep))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"smallest_useful_gain": 0.0}, "smallest_useful_gain"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [-1]}, "seeds"),
        ({"datasets": []}, "datasets"),
    ],
)
def test_a_study_from_a_notebook_is_checked(given, field):
    """The parameters of a notebook that is run alone make a checked study, or one sentence that names the field."""
    usual = {"datasets": ["adult"], "candidates": ["prior"], "seeds": [0], "smallest_useful_gain": 0.01, "p99_limit_ms": 5.0}
    usual |= {"memory_limit_mib": 100.0, "queries_per_s": 10.0, "training": TrainingPlan(), "measuring": MeasuringPlan()}
    study = experiments.lab_study(**usual)
    assert [(r.name, r.limit) for r in study.requirements] == [("latency", 5.0), ("memory", 100.0), ("throughput", 10.0)]
    with pytest.raises(InputError, match=f"parameters: {field}"):
        experiments.lab_study(**{**usual, **given})


# Training, scoring, judging -------------------------------------------------------------------------------------------------


def test_in_a_study_a_candidate_whose_training_failed_is_left_out(tmp_path, monkeypatch):
    """In a study nothing is trained on the way: who is not there is left out, and if nobody is, that is said."""
    bench = bench_in(in_study(tmp_path))
    arm = make_arm("breast_cancer", training=SMALL)
    with pytest.raises(InputError, match="none of the candidates is trained on breast_cancer, seed 0: prior, xgboost"):
        ensure_trained(bench, arm, ["prior", "xgboost"])
    bench.make(bench.fit_unit(arm, "prior"), lambda _: None)
    monkeypatch.setattr("shipworthy.training.fit", lambda *_a, **_k: pytest.fail("a study trained on the way"))
    assert [c.name for c in ensure_trained(bench, arm, ["xgboost", "prior", "prior"])] == ["prior"]


def test_a_committee_whose_member_failed_says_which(tmp_path):
    """In a study an ensemble is not assembled from what is not there: its failure names the member."""
    bench = bench_in(in_study(tmp_path))
    arm = make_arm("breast_cancer", training=SMALL)
    with pytest.raises(UnitsFailedError, match=r"soft_vote cannot be assembled .*: its member \w+ is not trained"):
        experiments.build_ensembles(bench, arm, ["soft_vote"])


def test_one_candidate_that_cannot_be_fitted_does_not_cost_the_others(tmp_path, monkeypatch):
    """A training that fails is on record, the others are trained, and trying again makes only what is missing."""
    from shipworthy import training

    arm, fit, fitted = make_arm("breast_cancer", training=SMALL), training.fit, []

    def fit_or_fail(candidate, *args, **kwargs):
        fitted.append(candidate.name)
        if candidate.name == "prior" and len(fitted) == 1:
            raise MemoryError("no room")
        return fit(candidate, *args, **kwargs)

    monkeypatch.setattr(training, "fit", fit_or_fail)
    bench = bench_in(tmp_path)
    with pytest.raises(UnitsFailedError, match="train prior on breast_cancer, seed 0: MemoryError: no room"):
        experiments.train_single_models(bench, arm, ["prior", "logistic_regression"])
    assert bench.done(bench.fit_unit(arm, "logistic_regression"))
    table = experiments.train_single_models(bench, arm, ["prior", "logistic_regression", "prior"])
    assert table.index.tolist() == ["prior", "logistic_regression"]
    assert fitted == ["prior", "logistic_regression", "prior"]
    assert bench.failures() == []
    assert (table["trained on rows"] == 120).all()


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A small study that was made and judged in this process: its bench, the study and the assessment."""
    bench = bench_in(tmp_path_factory.mktemp("judged"))
    study = study_of(
        candidates=("prior", "logistic_regression", "random_forest", "xgboost", "soft_vote"),
        training=TrainingPlan(**SMALL),
        measuring=MeasuringPlan(**QUICK),
        requirements=experiments.lab_study(
            datasets=["breast_cancer"], candidates=["prior"], seeds=[0], smallest_useful_gain=0.01, p99_limit_ms=1e6,
            memory_limit_mib=1e6, queries_per_s=0.001, training=TrainingPlan(), measuring=MeasuringPlan(),
        ).requirements,
    )  # fmt: skip
    return bench, study, experiments.assess(bench, study)


def test_every_ensemble_gets_a_verdict_against_both_baselines(judged):
    """Alone, an assessment makes what is missing, and then answers for each ensemble, and for ensembles only."""
    _, study, assessment = judged
    (verdict,) = assessment.verdicts
    assert isinstance(verdict, Verdict)
    assert (verdict.dataset, verdict.candidate) == ("breast_cancer", "soft_vote")
    assert verdict.answer in {"ship", "do not ship", "cannot tell"}
    assert [c.baseline_role for c in verdict.comparisons] == ["best single", "best tree ensemble"]
    assert len(assessment.requirements) == len(study.candidates) * len(study.requirements)
    assert len(assessment.picks) == 1
    assert [m for m in assessment.missing if "failed" in m] == []


def test_the_records_of_an_assessment_are_whole(judged):
    """Every candidate has accuracy, latency, memory, size and cost; values are finite and lie in their intervals."""
    _, study, assessment = judged
    table = assessment.records
    needed = {"roc_auc", "brier", "latency_ms", "throughput_rows_s", "size_mib", "fit_cpu_s"}
    for name in study.candidates:
        assert needed <= set(table.loc[table["candidate"] == name, "quantity"])
    known = table.dropna(subset=["low", "high"])
    assert (known["low"] <= known["value"]).all()
    assert (known["value"] <= known["high"]).all()
    assert set(table["study"]) == {"s"}
    samples = assessment.samples
    alone = samples[(samples["quantity"] == "latency_ms") & (samples["batch_size"] == 1)]
    assert alone.groupby("candidate").size().to_dict() == dict.fromkeys(study.candidates, 20)


def test_scores_agree_with_scikit_learn(judged):
    """The area under the curve on record is scikit-learn's, of the predictions on file."""
    from sklearn.metrics import roc_auc_score

    from shipworthy import training

    bench, study, assessment = judged
    table = assessment.records
    for name in study.candidates:
        unit_of = bench.fit_unit(arms_of(study)[0], name)
        said = training.load(bench.part(unit_of)).predictions
        rows = table[(table["candidate"] == name) & (table["quantity"] == "roc_auc")].set_index("statistic")["value"]
        assert rows["test"] == pytest.approx(roc_auc_score(said.test_y, said.test[:, 1]))
        assert rows["oof"] == pytest.approx(roc_auc_score(said.oof_y, said.oof[:, 1]))


def test_a_committees_training_costs_include_its_members(judged):
    """The CPU seconds of a soft vote are at least the sum of its members', and its memory at least their largest."""
    _, _, assessment = judged
    costs = assessment.records.pivot_table(index="candidate", columns="quantity", values="value")
    members = costs.loc[["logistic_regression", "random_forest", "xgboost"]]
    assert costs.loc["soft_vote", "fit_cpu_s"] >= members["fit_cpu_s"].sum()
    assert costs.loc["soft_vote", "fit_memory_mib"] >= members["fit_memory_mib"].max()


def test_judging_again_gives_the_same_and_makes_nothing(judged):
    """A second assessment reads what is there: no unit is made, and the answer, to the last digit, is the same."""
    bench, study, assessment = judged
    said = []
    again = experiments.assess(Workbench(bench.folder, said.append), study)
    assert said == []
    assert repr(again.verdicts) == repr(assessment.verdicts)
    assert repr(again.picks) == repr(assessment.picks)
    pd.testing.assert_frame_equal(again.records, assessment.records)


def test_declared_economics_become_records_a_map_and_break_evens(judged, tmp_path):
    """Each candidate has a net value within its interval; map, flips and public place are there, also after saving."""
    bench, study, assessment = judged
    assert not assessment.money[0]["declared"]
    assert "net_value_usd_month" not in set(assessment.records["quantity"])
    economics = Economics(correct_usd=(0.001, 0.002), false_negative_usd=(0.01,), upkeep_hours_per_part=(1.0,), draws=200)
    found = experiments.assess(bench, replace(study, economics=economics))
    net = found.records[found.records["quantity"] == "net_value_usd_month"]
    assert set(net["candidate"]) == set(study.candidates)
    assert ((net["low"] <= net["value"]) & (net["value"] <= net["high"])).all()
    assert set(found.records.loc[found.records["statistic"] == "held", "quantity"]) == {"usd_per_million"}
    shares = found.records[found.records["quantity"].str.endswith("_share")].groupby("candidate")["value"].sum()
    assert shares.tolist() == pytest.approx([1.0] * len(study.candidates))
    (money,) = found.money
    assert {b["challenger"] for b in money["break_even"]} == {"soft_vote"}
    assert len(money["map"]["panels"]) in (2, 4)
    assert money["public"][0]["sample"].startswith("41 public binary tasks")
    found.save(tmp_path)
    assert workbench.as_json(read_assessment(tmp_path, study).money) == workbench.as_json(found.money)
    again = experiments.assess(bench, replace(study, economics=economics))
    assert workbench.as_json(again.money) == workbench.as_json(found.money)


def test_a_saved_assessment_comes_back_equal(judged, tmp_path):
    """Records, samples, verdicts, requirements, picks and what is missing survive their files, NaN included."""
    _, study, assessment = judged
    assessment.save(tmp_path)
    back = read_assessment(tmp_path, study)
    pd.testing.assert_frame_equal(back.records, assessment.records)
    pd.testing.assert_frame_equal(back.samples, assessment.samples)
    # As JSON, where NaN equals itself.
    for part in ("verdicts", "requirements"):
        assert plain(getattr(back, part)) == plain(getattr(assessment, part))
    assert back.picks == assessment.picks
    assert back.missing == assessment.missing
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "load.json",
        "money.json",
        "records.parquet",
        "samples.parquet",
        "simulation.json",
        "verdicts.json",
    ]


def nulls(value):
    """The value as JSON holds it."""
    return json.loads(json.dumps(workbench._finite(value)))


def plain(records):
    """Records as JSON holds them."""
    return nulls([asdict(r) for r in records])


def test_an_assessment_that_is_not_there_or_broken_is_refused(tmp_path):
    """A file that is missing or cut short is one sentence that names it and the remedy."""
    with pytest.raises(InputError, match=r"verdicts\.json cannot be read .*; run the study again to complete it"):
        read_assessment(tmp_path, study_of())
    write_json(tmp_path / "verdicts.json", {"verdicts": [], "requirements": [], "picks": [], "missing": []})
    (tmp_path / "records.parquet").write_bytes(b"PAR1 cut short")
    with pytest.raises(InputError, match=r"records\.parquet cannot be read"):
        read_assessment(tmp_path, study_of())


def test_paired_gains_are_against_the_best_out_of_fold(judged):
    """The baseline is who scored best on out-of-fold rows; each gain is the difference of the test scores."""
    bench, study, assessment = judged
    arm = arms_of(study)[0]
    table = assessment.records[assessment.records["quantity"] == "roc_auc"]
    score = table.pivot_table(index="candidate", columns="statistic", values="value")
    gains = experiments.paired_gains(bench, arm, study.candidates)
    assert {g.baseline for g in gains} == {score["oof"].idxmax()}
    assert len(gains) == len(study.candidates) - 1
    for g in gains:
        assert g.gain.value == pytest.approx(score.loc[g.challenger, "test"] - score.loc[g.baseline, "test"])
        assert g.gain.low <= g.gain.high


def test_candidates_are_scored_on_the_same_resamples(judged):
    """The resampled scores of two candidates are paired: the prior's are one half on every draw, the others' move together."""
    bench, study, _ = judged
    arm = arms_of(study)[0]
    resampled = {}
    for name in study.candidates:
        unit_of = bench.accuracy_unit(arm, name, "roc_auc", experiments.accuracy.N_RESAMPLES, 0.95)
        resampled[name] = np.load(bench.part(unit_of) / "resampled.npy")
    assert np.allclose(resampled["prior"], 0.5)
    assert np.corrcoef(resampled["xgboost"], resampled["random_forest"])[0, 1] > 0.3


def test_what_the_seeds_of_a_study_share_is_read_from_their_predictions(tmp_path):
    """Of 569 rows each seed tests some and learns from 120: it shares as many of them as sets drawn by chance do."""
    bench, study = bench_in(tmp_path), study_of(candidates=("prior",), seeds=(0, 1, 2), training=TrainingPlan(max_train_rows=120))
    arms = arms_of(study)
    for arm in arms:
        experiments.compare_accuracy(bench, arm, study.candidates)
    found = experiments.feasibility._gather(bench, study, arms).overlap
    data = [bench.dataset(arm) for arm in arms]
    tests = [set(d.row_ids[d.split.test].tolist()) for d in data]
    assert found.test == pytest.approx(np.mean([len(a & b) / len(a) for a in tests for b in tests if a is not b]), abs=0.01)
    assert found.train == pytest.approx(120 / 569, abs=0.08)
    assert experiments.feasibility._gather(bench, replace(study, seeds=(0,)), arms[:1]).overlap is None


def test_members_agree_with_themselves(judged):
    """The correlations of members are Spearman's, symmetric, and 1 on the diagonal."""
    bench, study, _ = judged
    table = experiments.member_correlations(bench, arms_of(study)[0], ["logistic_regression", "xgboost", "soft_vote"])
    assert np.allclose(np.diag(table), 1)
    assert np.allclose(table, table.T)
    assert table.loc["soft_vote", "xgboost"] > table.loc["logistic_regression", "xgboost"]


def test_an_unknown_metric_is_refused_with_those_that_exist(tmp_path):
    """A metric that the task does not have is refused before anything is trained."""
    with pytest.raises(InputError, match=r"'rmse' is no metric for binary, the task of breast_cancer; choose one of .*roc_auc"):
        experiments.compare_accuracy(bench_in(tmp_path), make_arm("breast_cancer", training=SMALL), ["prior"], metric="rmse")
    assert list(Path(tmp_path).iterdir()) == []


def test_the_rows_are_described(judged):
    """Before anything is trained, a reader can see the counts, the split, the licence and the traps."""
    bench, study, _ = judged
    told = experiments.describe_rows(bench, arms_of(study)[0])
    assert told["rows"] == "180, of which 120 train and 60 test"
    assert told["target"].count("%") == 2
    assert {"features", "missing cells", "split", "provenance", "licence", "trap 1"} <= set(told.index)
