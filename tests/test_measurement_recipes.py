"""Timing recipes of other systems: each returns what the procedure that it follows would, by a clock that planted models move."""

from __future__ import annotations

import gc
import json
import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipworthy.measurement import serving, summaries
from shipworthy.measurement.apart import Fitted, Part, take_apart
from shipworthy.measurement.recipes import RECIPES, CannotReplayError, Rows
from shipworthy.measurement.replaying import RecipeJob, compare_told, replay
from shipworthy.records import QUANTITIES, Conditions, InputError, Measurement, MeasuringPlan

WHOLE_SET = ("tabarena", "h2o", "flaml", "skore")
N_HELD_OUT, N_TRAINING = 1500, 40


class Clock:
    """Seconds that pass only when a planted model says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        """Seconds."""
        return self.now


class Planted:
    """Answers in ``fixed + a_row * rows`` seconds, its n-th call (from 0) ``extra[n]`` seconds later; notes what it was given."""

    def __init__(self, clock, fixed=0.0, a_row=0.0, extra=()):
        self.clock, self.fixed, self.a_row, self.extra, self.given = clock, fixed, a_row, dict(enumerate(extra)), []

    def __call__(self, X):
        """Let the clock run, and answer."""
        self.clock.now += self.fixed + self.a_row * len(X) + self.extra.get(len(self.given), 0.0)
        self.given.append(X)
        return np.zeros((len(X), 2))


@pytest.fixture
def rows():
    """1,500 rows held out and 40 trained on, each with a number of its own."""
    return Rows(pd.DataFrame({"row": range(N_HELD_OUT)}), pd.DataFrame({"row": range(10_000, 10_000 + N_TRAINING)}))


@pytest.fixture
def clock():
    """A clock that stands still."""
    return Clock()


def fitted(answer, preparing=None):
    """A pipeline whose every call is ``answer``; preparing takes what ``preparing`` takes, and belongs to no time that counts."""
    part = Part(preparing or (lambda X: X), answer, answer)
    return Fitted(answer, answer, built=part, bare=part)


def told(name, model, rows, clock):
    """What the recipe returns."""
    return RECIPES[name].replay(model, rows, clock)


@pytest.mark.parametrize("name", WHOLE_SET)
def test_a_bulk_recipe_is_one_cold_pass_divided_by_the_rows(name, rows, clock):
    """(0.3 s + 1 ms a row) over 1,500 rows, with half a second more for the first call, is 1.533 ms a row, from one call."""
    model = Planted(clock, fixed=0.3, a_row=0.001, extra=[0.5])
    assert told(name, fitted(model), rows, clock) == pytest.approx(1000 * (0.3 + 1.5 + 0.5) / 1500)
    assert [len(X) for X in model.given] == [N_HELD_OUT]


def test_deepchecks_takes_a_thousand_rows_with_the_garbage_collector_off(rows, clock):
    """One predict of 1,000 sampled rows, or of all where there are fewer; the collector is off then, and on again afterwards."""
    model, collecting = Planted(clock, fixed=0.2), []
    whole = Fitted(lambda X: collecting.append(gc.isenabled()) or model(X), predict_proba=None)
    assert told("deepchecks", whole, rows, clock) == pytest.approx(0.2)
    assert told("deepchecks", whole, replace(rows, held_out=rows.held_out.head(10)), clock) == pytest.approx(20)
    assert collecting == [False, False]
    assert gc.isenabled()
    assert [X["row"].nunique() for X in model.given] == [1000, 10]


@pytest.mark.parametrize(
    ("first", "calls", "seconds"),
    [(0.5, 1, 0.5), (0.02, 1, 0.02), (0.019, 10, (0.019 + 9 * 0.001) / 10), (0.001, 10, 0.001)],
)
def test_autogluon_calls_a_slow_model_once_and_averages_the_first_call_in(rows, clock, first, calls, seconds):
    """From 0.02 s on, the first call is all there is; below, it is one of ten in the mean."""
    model = Planted(clock, fixed=0.001, extra=[first - 0.001])
    assert told("autogluon_limit", fitted(model), rows, clock) == pytest.approx(1000 * seconds / 10_000)
    assert len(model.given) == calls


def test_autogluon_limit_draws_training_rows_again_until_there_are_ten_thousand(rows, clock):
    """40 training rows become 10,000 drawn from them; of 20,000 it takes the first 10,000. No row held out is among them."""
    model = Planted(clock, fixed=1.0)
    told("autogluon_limit", fitted(model), rows, clock)
    told("autogluon_limit", fitted(model), replace(rows, training=pd.DataFrame({"row": range(20_000)})), clock)
    few, many = model.given
    assert len(few) == len(many) == 10_000
    assert set(few["row"]) == set(rows.training["row"])
    assert many["row"].tolist() == list(range(10_000))


@pytest.mark.parametrize("name", ["autogluon_leaderboard", "autogluon_limit"])
def test_autogluon_leaves_out_the_making_of_features(name, rows, clock):
    """Three seconds of preparing are not in the figure; the pass over what was prepared is."""

    def preparing(X):
        clock.now += 3
        return X

    n = {"autogluon_leaderboard": N_HELD_OUT, "autogluon_limit": 10_000}[name]
    model = fitted(Planted(clock, fixed=0.6), preparing)
    assert told(name, model, rows, clock) == pytest.approx(1000 * 0.6 / n)


def ensemble(clock, whole=9.0, own=0.25):
    """An ensemble of two members of 1 s and 2 s whose own part takes ``own``, and which as a whole takes ``whole``."""
    members = (fitted(Planted(clock, fixed=1.0)), fitted(Planted(clock, fixed=2.0)))

    def combine(said):
        clock.now += own
        return said[0]

    answer = Planted(clock, fixed=whole)
    return Fitted(answer, answer, members=members, combine=combine), answer


@pytest.mark.parametrize(
    ("name", "seconds", "n"),
    [
        ("autogluon_leaderboard", 1 + 2 + 0.25, N_HELD_OUT),
        ("autogluon_limit", 1 + 2 + 0.25, 10_000),
        ("tabarena", 1 + 2, N_HELD_OUT),
        ("mljar_selection", 1 + 2, 1),
    ],
)
def test_who_adds_up_members_never_asks_the_ensemble(name, seconds, n, rows, clock):
    """The time of an ensemble is its members', with AutoGluon also its own part, though the whole takes three times as long."""
    model, whole = ensemble(clock)
    assert told(name, model, rows, clock) == pytest.approx(1000 * seconds / n)
    assert whole.given == []
    assert RECIPES[name].sums_members


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if not recipe.sums_members])
def test_who_measures_an_ensemble_asks_it(name, rows, clock, tmp_path):
    """All other recipes ask the ensemble itself: none of its members' times is in the figure."""
    model, whole = ensemble(clock, whole=0.05)
    model = replace(model, bare=Part(lambda X: X, whole, whole))
    told(name, model, replace(rows, files=[tmp_path], rows_in_file=20, read=lambda _: rows.held_out.head(20)), clock)
    assert whole.given
    assert clock.now == pytest.approx(0.05 * len(whole.given))


def test_amlb_takes_the_median_of_a_hundred_single_rows(rows, clock):
    """The figure is the median of the rows' own times, one call each: a first call of a minute does not move it."""
    model = Planted(clock, fixed=0.002, extra=[60.0])
    whole = Fitted(predict=None, predict_proba=lambda X: setattr(clock, "now", clock.now + X["row"].iloc[0] / 1e6) or model(X))
    drawn = [rows.held_out.sample(1, random_state=i)["row"].iloc[0] for i in range(100)]
    assert told("amlb_row", whole, rows, clock) == pytest.approx(2 + np.median([*drawn[1:], math.inf]) / 1000)
    assert [X["row"].tolist() for X in model.given] == [[row] for row in drawn]


def test_amlb_counts_the_reading_of_the_file(rows, clock, tmp_path):
    """Reading takes 0.4 s and predicting 0.1: half a second a file, divided by its 50 rows; the median forgives one slow file."""

    def read(path):
        clock.now += 30.0 if path.name == "2" else 0.4
        return rows.held_out.head(50)

    files = [tmp_path / str(i) for i in range(5)]
    model = Planted(clock, fixed=0.1)
    assert told("amlb_batch", fitted(model), replace(rows, files=files, rows_in_file=50, read=read), clock) == pytest.approx(10)
    assert len(model.given) == 5


@pytest.mark.parametrize("name", ["mljar", "mljar_selection"])
def test_mljar_keeps_the_second_of_two_calls_on_the_same_training_row(name, rows, clock):
    """The first call takes 5 s and the second 1: MLJAR says 1,000 ms, both times of the first training row."""
    model = Planted(clock, fixed=1.0, extra=[4.0])
    assert told(name, fitted(model), rows, clock) == pytest.approx(1000)
    assert [X["row"].tolist() for X in model.given] == [[10_000], [10_000]]


def test_the_example_of_scikit_learn_leaves_preprocessing_out(rows, clock):
    """Preparing takes 7 s a call and none of it is in the figures, whose rows are the first hundred."""

    def preparing(X):
        clock.now += 7
        return X

    model = Planted(clock, fixed=0.02, a_row=0.01)
    assert told("sklearn_atomic", fitted(model, preparing), rows, clock) == pytest.approx(30)
    assert [X["row"].tolist() for X in model.given] == [[i] for i in range(100)]
    model.given.clear()
    assert told("sklearn_bulk", fitted(model, preparing), rows, clock) == pytest.approx(1000 * 1.02 / 100)
    assert [len(X) for X in model.given] == [100] * 30
    model.given.clear()
    # Calls begin at 0, 30, 60 and 90 ms; the last ends after 120, yet the four are divided by 100.
    assert told("sklearn_throughput", fitted(model, preparing), rows, clock) == pytest.approx(25)
    assert [X["row"].tolist() for X in model.given] == [[0]] * 4


@pytest.mark.parametrize("name", ["autogluon_leaderboard", "autogluon_limit", "sklearn_atomic", "sklearn_bulk", "amlb_batch"])
def test_a_recipe_that_lacks_a_part_says_which(name, rows, clock):
    """A model that shows no steps, or rows without files, give a sentence and no figure."""
    whole = Fitted(Planted(clock), Planted(clock))
    with pytest.raises(CannotReplayError, match=r"does not show its steps|no files of rows"):
        told(name, whole, rows, clock)
    strange = Fitted(Planted(clock), Planted(clock), members=(fitted(Planted(clock)),))
    with pytest.raises(CannotReplayError):
        told(name, strange, rows, clock)


def test_every_recipe_says_whom_it_follows():
    """Each names a repository and a file, what lies between the readings of the clock, and itself in one sentence."""
    assert len({recipe.title for recipe in RECIPES.values()}) == len(RECIPES)
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert "/" in recipe.cites.split(":")[0]
        assert ".py" in recipe.cites or ".java" in recipe.cites
        assert recipe.timed
        assert recipe.sentence.endswith(".")
        assert recipe.replay.__doc__


# -- taking a model apart ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def models():
    """A pipeline, a vote of two and a stack of two, fitted on the breast cancer data."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    from shipworthy.deployables import QueryEncoder

    data = load_breast_cancer(as_frame=True)
    names = tuple(data.data.columns)

    def linear():
        steps = [("query", QueryEncoder(names, names)), ("scale", StandardScaler()), ("model", LogisticRegression())]
        return Pipeline(steps)

    def forest():
        return Pipeline([("query", QueryEncoder(names, names)), ("model", RandomForestClassifier(100, random_state=0))])

    made = {
        "linear": linear(),
        "vote": VotingClassifier([("linear", linear()), ("forest", forest())], voting="soft", weights=[1, 3]),
        "stack": StackingClassifier([("linear", linear()), ("forest", forest())], stack_method="predict_proba", cv=3),
    }
    train, test = data.data.iloc[:400], data.data.iloc[400:]
    return {name: model.fit(train, data.target[:400].to_numpy()) for name, model in made.items()}, train, test


@pytest.mark.parametrize("name", ["linear", "vote", "stack"])
def test_the_parts_of_a_model_say_what_the_model_says(models, name):
    """Whatever is left out of a part was done before: labels and probabilities are those of the whole, to the last bit."""
    model, X = models[0][name], models[2]
    apart = take_apart(model)
    for part in filter(None, (apart.built, apart.bare)):
        np.testing.assert_array_equal(part.predict(part.prepare(X)), model.predict(X))
        np.testing.assert_array_equal(part.predict_proba(part.prepare(X)), model.predict_proba(X))
    assert apart.bare is not None
    assert len(apart.members) == (0 if name == "linear" else 2)
    if apart.members:
        assert apart.built is None
        np.testing.assert_array_equal(apart.combine([m.predict_proba(X) for m in apart.members]), model.predict_proba(X))


def test_what_cannot_be_taken_apart_stays_whole(models):
    """A stack that also sees the rows, and a hard vote, have members but cannot be combined from them; a forest has none."""
    from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier

    model, train = models[0]["linear"], models[1]
    y = model.predict(train)
    forest = RandomForestClassifier(2, random_state=0)
    stack = StackingClassifier([("a", model)], forest, passthrough=True, stack_method="predict_proba", cv=2)
    for ensemble_of_one in (stack, VotingClassifier([("a", model)], voting="hard")):
        apart = take_apart(ensemble_of_one.fit(train, y))
        assert apart.combine is None
        assert apart.bare is None
        assert len(apart.members) == 1
        assert apart.members[0].built is not None
    apart = take_apart(forest.fit(train, y))
    assert (apart.members, apart.built, apart.bare) == ((), None, None)
    np.testing.assert_array_equal(apart.predict_proba(train), forest.predict_proba(train))


# -- in a child --------------------------------------------------------------------------------------------------------------

PLANTED = """
import os, sys, time
import numpy as np

class Model:
    def __init__(self):
        self.asked = []
    def predict_proba(self, X):
        self.asked.append(len(X))
        return np.zeros((len(X), 2))
    predict = predict_proba

class Exits(Model):
    def predict(self, X):
        os._exit(7)

class Hangs(Model):
    def predict_proba(self, X):
        time.sleep(600)

class Raises(Model):
    def predict(self, X):
        raise ValueError("no such leaf")

def whole(path):
    return Model()

def exits(path):
    return Exits()

def hangs(path):
    return Hangs()

def raises(path):
    return Raises()
"""


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A small job over planted models, with a lock of its own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "planted_recipes.py").write_text(PLANTED, encoding="utf-8")
    queries = [{"row": i, "text": None if i % 3 else "a"} for i in range(30)]
    for name in ("queries.json", "training.json"):
        (tmp_path / name).write_text(json.dumps(queries), encoding="utf-8")
    return RecipeJob(
        candidate="planted",
        dataset="rows",
        artefact=tmp_path / "none.skops",
        queries=tmp_path / "queries.json",
        training=tmp_path / "training.json",
        recipes=("h2o", "skore", "amlb_batch", "autogluon_limit"),
        factory="planted_recipes:whole",
        sys_path=(str(tmp_path),),
        time_limit_s=60,
    )


def raw(measurement):
    """The values of a measurement, which is no DataFrame."""
    return measurement.values  # noqa: PD011


def test_each_recipe_is_a_measurement_under_its_name(job):
    """What was told carries the recipe; what this model has no parts for is a sentence; every value is a positive time."""
    measured = replay(replace(job, round_index=2))
    assert [m.conditions.recipe for m in measured] == list(job.recipes)
    assert {m.quantity for m in measured} == {"told_ms"} <= set(QUANTITIES)
    assert {m.conditions.profile for m in measured} == {"full"}
    assert measured[-1].failure == "the model does not show its steps, so the building of the row cannot be left out"
    for m in measured[:-1]:
        assert m.failure == ""
        assert raw(m)[0] > 0
        assert m.round_index == (2,)


def test_rounds_of_recipes_are_put_together_by_recipe(job):
    """Combining two rounds gives one measurement a recipe with both values: no two recipes are mixed."""
    rounds = [replay(replace(job, recipes=("h2o", "skore"), round_index=r)) for r in range(2)]
    combined = summaries.combine(rounds)
    assert [(m.conditions.recipe, len(raw(m))) for m in combined] == [("h2o", 2), ("skore", 2)]
    assert raw(combined[0]) == raw(rounds[0][0]) + raw(rounds[1][0])


@pytest.mark.parametrize(
    ("factory", "limit_s", "said"),
    [
        ("exits", 60, "ended with status 7 while replaying skore"),
        ("hangs", 4, ", at its limit of 4 s"),
        ("absent", 60, "has no attribute 'absent'"),
    ],
)
def test_a_child_that_ends_or_hangs_is_a_reason(job, factory, limit_s, said):
    """What was told before stands; for the rest there is one sentence."""
    measured = replay(replace(job, factory=f"planted_recipes:{factory}", time_limit_s=limit_s))
    assert len(measured) == len(job.recipes)
    assert bool(raw(measured[0])) == (factory == "exits")
    assert said in measured[1].failure
    assert measured[1].failure == measured[2].failure


def test_a_recipe_that_the_model_fails_costs_no_other(job):
    """A model that raises at ``predict`` fails the recipe that asks for labels, and is timed by those that do not."""
    measured = replay(replace(job, factory="planted_recipes:raises"))
    assert measured[1].failure == "ValueError: no such leaf"
    assert all(raw(m) for m in (measured[0], measured[2]))


def test_an_unknown_recipe_is_refused(job):
    """The sentence names it and those that are known."""
    with pytest.raises(InputError, match="'stopwatch' is no timing recipe; the known ones are autogluon_leaderboard"):
        replay(replace(job, recipes=("stopwatch",)))


@pytest.mark.alone
def test_dividing_by_the_rows_hides_what_one_query_takes(models, tmp_path, monkeypatch):
    """Of real artefacts in real children every bulk recipe tells far less than one query takes, and all tell something."""
    from shipworthy import artefacts

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made, train, test = models
    for name, frame in (("queries", test), ("training", train)):
        (tmp_path / f"{name}.json").write_text(json.dumps(frame.to_dict("records")), encoding="utf-8")
    said, truth = [], []
    plan = MeasuringPlan(queries=40, rounds=1, warm_up=5, batch_sizes=(2,), batch_repeats=1)
    for name, model in made.items():
        if hasattr(model, "named_estimators_"):
            del model.named_estimators_  # as training leaves it out: it would describe every member twice
        artefacts.save(model, tmp_path / f"{name}.skops")
        files = {"artefact": tmp_path / f"{name}.skops", "queries": tmp_path / "queries.json"}
        said += replay(RecipeJob(candidate=name, dataset="d", training=tmp_path / "training.json", **files))
        truth += serving.measure_round(serving.ServingJob(candidate=name, dataset="d", plan=plan, **files))
    assert [m.failure for m in said if m.failure] == []
    rows, findings = compare_told(said, truth, noise_floor=1.3)
    assert len(rows) == len(RECIPES) * len(made)
    assert len(findings) == len(RECIPES)
    factors = [row.factor for row in rows if row.kind == "bulk" and row.candidate != "linear"]
    assert min(factors) > 1
    assert np.median(factors) > 10


# -- the comparison ------------------------------------------------------------------------------------------------------------

HERE = Conditions("m", "v", 1, "single_stream", 1, 0, 50, "off", "lean", "core 0", 0.5)


def single(candidate, *values):
    """Latencies of single queries."""
    return Measurement(candidate, "d", "latency_ms", values, (0,) * len(values), HERE)


def said(candidate, recipe, *values, failure=""):
    """What a recipe told of a candidate."""
    conditions = replace(HERE, scenario="none", batch_size=0, profile="full", recipe=recipe)
    return Measurement(candidate, "d", "told_ms", values, (0,) * len(values), conditions, failure)


def test_the_comparison_is_that_of_a_case_worked_by_hand():
    """Of four candidates at 1, 2, 2.1 and 8 ms and a floor of 1.1, five pairs are told apart; H2O orders two of them wrongly."""
    truth = [single("linear", 1, 1, 5), single("tree", 2, 2, 3), single("boost", 2.1, 2.1, 2.1), single("forest", 8, 8, 9)]
    truth += [replace(truth[0], quantity="cpu_ms"), replace(truth[0], dataset="other", values=(99.0,) * 3)]
    told = [said("linear", "h2o", 0.04, 0.05, 0.9), said("tree", "h2o", 0.01), said("boost", "h2o", 0.02)]
    told += [said("forest", "h2o", 0.08), said("stranger", "h2o", 1.0)]
    told += [said("linear", "mljar", 2.0), said("tree", "mljar", failure="it hung"), said("forest", "mljar", 2.0)]
    rows, (h2o, mljar) = compare_told(told, truth, noise_floor=1.1)
    assert [(r.candidate, r.recipe, r.told_ms, r.p50_ms, r.p99_ms) for r in rows[:2]] == [
        ("linear", "h2o", 0.05, 1, 5),
        ("tree", "h2o", 0.01, 2, 3),
    ]
    assert {r.candidate for r in rows} == {"linear", "tree", "boost", "forest"}
    assert rows[1].factor == pytest.approx(200)
    assert (h2o.pairs, h2o.flips) == (5, (("boost", "linear"), ("tree", "linear")))
    assert (h2o.told_fastest, h2o.fastest, h2o.worst) == ("tree", "linear", rows[1])
    assert h2o.title == "H2O's leaderboard"
    assert (mljar.pairs, mljar.flips, mljar.fastest) == (1, (), "linear")
    assert [r.reason for r in rows if r.recipe == "mljar"] == ["", "it hung", ""]


TIMES = st.lists(st.floats(0.01, 1000), min_size=2, max_size=6, unique=True)


@given(TIMES, st.floats(0.001, 10), st.floats(1, 3))
def test_a_recipe_that_is_wrong_by_one_factor_flips_nothing(times, factor, floor):
    """Told figures in proportion to the truth order every pair as it is; reversed, they order every pair the other way."""
    truth = [single(f"c{i}", t) for i, t in enumerate(times)]
    apart = sum(max(a, b) > floor * min(a, b) for a, b in combinations(times, 2))
    _, (same,) = compare_told([said(f"c{i}", "h2o", t * factor) for i, t in enumerate(times)], truth, floor)
    assert (same.pairs, same.flips, same.told_fastest) == (apart, (), same.fastest)
    _, (other,) = compare_told([said(f"c{i}", "h2o", factor / t) for i, t in enumerate(times)], truth, floor)
    assert len(other.flips) == other.pairs == apart


def test_without_a_noise_floor_no_pair_is_told_apart():
    """When nothing was measured twice the floor is infinite, and no order is called wrong."""
    truth = [single("a", 1), single("b", 100)]
    _, (finding,) = compare_told([said("a", "h2o", 2.0), said("b", "h2o", 1.0)], truth, math.inf)
    assert (finding.pairs, finding.flips) == (0, ())
    assert compare_told([said("a", "h2o", failure="it hung")], truth, 1.1)[1] == ()


def test_data_sets_are_not_mixed():
    """Recipes of two data sets in one comparison are refused."""
    told = [said("a", "h2o", 1.0), replace(said("a", "h2o", 1.0), dataset="e")]
    with pytest.raises(InputError, match="several data sets"):
        compare_told(told, [], 1.1)
