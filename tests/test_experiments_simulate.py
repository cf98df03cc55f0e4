"""Simulation of an arm: members trained and measured once, their ensembles on paper, the real ones beside them."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from sklearn.metrics import log_loss

from shipworthy import experiments, reporting, simulation, training
from shipworthy.experiments.assessment import read_simulations
from shipworthy.experiments.latency_and_memory import measurements_of
from shipworthy.experiments.own_ensembles import Declared
from shipworthy.experiments.pick_lines import pick_line
from shipworthy.experiments.simulated import Asked, asked_of, nothing_to_simulate, simulate_unit, tell
from shipworthy.records import InputError, OwnCascade, Prices, Requirement, SimulationPlan, Study
from shipworthy.simulation import member_cost
from shipworthy.study.plan import SIMULATE, plan_study
from shipworthy.study.schema import parse_study

MEMBERS = ["logistic_regression", "random_forest", "xgboost"]
STUDY = """\
name: picked
question: Is what was picked on paper as good when it is built?
datasets: [breast_cancer]
prices: {as_of: "2026-03", source: a test, vcpu_hour_usd: 0.04, gib_hour_usd: 0.004}
candidates:
  - logistic_regression
  - random_forest
  - xgboost
"""
CASCADES = (
    OwnCascade(name="in_turn", members=("logistic_regression", "xgboost"), thresholds=(0.9,)),
    OwnCascade(name="agreed", members=("xgboost", "logistic_regression", "random_forest"), confidence="agreement"),
)


@pytest.fixture(scope="module")
def arm():
    """A small arm."""
    plan = {"queries": 20, "rounds": 1, "warm_up": 5, "batch_sizes": [16], "batch_repeats": 1}
    own = Declared(ensembles=CASCADES)
    return experiments.make_arm("breast_cancer", training={"folds": 3, "max_train_rows": 150}, measuring=plan, declared=own)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A bench of its own."""
    return experiments.Workbench(tmp_path_factory.mktemp("simulate"), notify=[].append)


@pytest.fixture(scope="module")
def simulated(bench, arm):
    """Three members, and the two ensembles and two cascades that are built of them."""
    prices = Prices(as_of="2026-01", source="a test", vcpu_hour_usd=0.04, gib_hour_usd=0.005)
    return experiments.simulate_ensembles(bench, arm, [*MEMBERS, "soft_vote", "stack", "in_turn", "agreed"], prices=prices)


def test_the_vote_on_paper_is_the_vote_that_was_built(simulated, bench, arm):
    """The subset of the real vote's members has exactly its out-of-fold and test scores; members keep their measured latency."""
    built = training.load(bench.part(bench.fit_unit(arm, "soft_vote"))).predictions
    whole = simulated.table.subset(MEMBERS)
    right = (built.test.argmax(axis=1) == built.test_y).mean()
    assert simulated.table.names == tuple(MEMBERS)
    assert simulated.table.test["accuracy"][whole] == right
    for i, name in enumerate(MEMBERS):
        alone = member_cost(name, measurements_of(bench, arm, name))
        assert simulated.table.costs().latency_ms[1 << i] == pytest.approx(alone.latency_ms)
    assert simulated.model.n_composites == 2
    assert simulated.table.usd[whole] > simulated.table.usd[1] > 0


def test_of_more_members_than_are_tried_the_best_alone_are_taken(simulated, bench, arm):
    """Of three, the two whose own out-of-fold log loss, as scikit-learn counts it, is least; short cuts still choose of all."""
    said = {m: training.load(bench.part(bench.fit_unit(arm, m))).predictions for m in MEMBERS}
    alone = {m: log_loss(p.oof_y, p.oof / p.oof.sum(axis=1, keepdims=True, dtype=float)) for m, p in said.items()}
    found = experiments.simulate_ensembles(bench, arm, [*MEMBERS, "soft_vote"], most_members=2)
    two, ways = found.table, found.short_cuts().set_index("way")
    assert set(ways.loc["top 3", "members"].split(" + ")) == set(MEMBERS)
    every = simulated.short_cuts().set_index("way")
    for way in set(ways.index) - {"every subset", "greedy, charged for costs"}:
        assert ways.loc[way, ["members", "oof", "test"]].tolist() == every.loc[way, ["members", "oof", "test"]].tolist()
    best = two.oof["log_loss"][1:].min()
    assert ways.loc["greedy", "gap_oof"] == pytest.approx(ways.loc["greedy", "oof"] - best)
    (vote,) = found.reality().to_dict("records")
    assert vote["metric_predicted"] == pytest.approx(vote["metric_measured"], abs=1e-9)
    told = asdict(tell(found, arm, Asked()))
    assert (told["members"], told["everyone"]) == (two.names, tuple(MEMBERS))
    assert ", the 2 best of 3 members: of 3 ensembles" in reporting.ensemble_frontier(told).finding
    assert "of all 3" in (greed := reporting.price_of_greed(told).finding)
    assert "trying all 3 votes of the 2 best" in greed
    assert set(two.names) == set(sorted(alone, key=alone.get)[:2])
    both = simulated.table.subset(two.names)
    assert two.oof["log_loss"][two.subset(two.names)] == pytest.approx(simulated.table.oof["log_loss"][both])


def test_the_frames_are_about_the_same_table(simulated):
    """Frontier, sizes, short cuts, worth and cascades agree with each other where they speak of the same ensemble."""
    front, sizes, ways = simulated.frontier(), simulated.by_size(), simulated.short_cuts(steps=10)
    assert front["knee"].sum() == 1
    assert front["latency_ms"].is_monotonic_increasing
    assert sizes["size"].tolist() == [1, 2, 3]
    best = sizes.loc[sizes["oof"].idxmin()]
    assert ways.loc[0, "members"] == best["members"]
    assert best["oof"] == pytest.approx(front["oof"].min())
    assert (ways.loc[ways["way"].isin(["top 3", "greedy", "beam"]), "gap_oof"] >= -1e-12).all()
    loss = simulated.table.test["log_loss"]
    worth, right = simulated.worth(), simulated.table.test["accuracy"]
    assert worth["gain"].sum() == pytest.approx(loss[0] - loss[-1])
    assert worth["accuracy_gain"].sum() == pytest.approx(right[-1] - right[0])
    assert worth["sentence"].str.contains("ROC AUC, ").all()
    cascades = simulated.cascades()
    assert len(cascades) == 6
    assert cascades["accuracy"].is_monotonic_decreasing
    assert simulated.cascades(percentile_ms=0).empty
    chosen = simulated.within(latency_ms=1e6, memory_mib=1e6)
    assert " + ".join(chosen.members) == best["members"]


def test_a_cascade_that_was_built_stands_beside_its_prediction(simulated, bench, arm):
    """Accuracy on paper is that of the built one to 1e-6; its mean latency is its members' at the shares that each answers."""
    rows = {row["candidate"]: row for row in simulated.reality().to_dict("records")}
    assert set(rows) == {"soft_vote", "stack", "in_turn", "agreed"}
    mean = {m.candidate: np.mean(m.values) for m in simulated.measurements if m.quantity == "latency_ms"
            and m.conditions.scenario == "single_stream"}  # fmt: skip
    for cascade in CASCADES:
        row, made = rows[cascade.name], training.load(bench.part(bench.fit_unit(arm, cascade.name)))
        right = made.predictions.test.argmax(axis=1) == made.predictions.test_y
        assert (row["metric"], row["confidence"]) == ("accuracy", cascade.confidence)
        assert row["metric_measured"] == right.mean() == pytest.approx(row["metric_predicted"], abs=1e-6)
        # Who was asked out of fold: of the member whose answer stands, all before it too.
        said = [training.load(bench.part(bench.fit_unit(arm, m))).predictions.oof for m in cascade.members]
        if cascade.confidence == "agreement":
            goes_on = np.mean(said[0].argmax(axis=1) != said[1].argmax(axis=1))
            expected = mean["xgboost"] + mean["logistic_regression"] + goes_on * mean["random_forest"]
        else:
            goes_on = np.mean(np.abs(said[0][:, 1] - said[0][:, 0]) < 0.9)
            expected = mean["logistic_regression"] + goes_on * mean["xgboost"]
        # Latencies are drawn anew, 2,000 of each.
        assert row["mean_predicted"] == pytest.approx(expected, rel=0.2)
        (measured,) = [m for m in measurements_of(bench, arm, cascade.name) if m.quantity == "latency_ms"
                       and m.conditions.scenario == "single_stream"]  # fmt: skip
        assert row["mean_measured"] == pytest.approx(np.mean(measured.values))
        assert row["memory_predicted"] > 0
    # The law of costs is of votes and stacks: two others of a cascade, too few of each of the two.
    assert simulated.model.n_composites == 2
    assert {name: row["law"] for name, row in rows.items()} == {"soft_vote": 0, "stack": 0, "in_turn": 2, "agreed": 2}


def test_another_build_changes_what_is_predicted_and_meets_no_reality(simulated, bench, arm, tmp_path):
    """On two cores with preprocessing shared, costs are the room's for that build; what was built is predicted as it was."""
    study = parse_study(STUDY + "simulation: {cores: 2, share_preprocessing: true}\n", "built.yaml")
    asked = asked_of(study, arm)
    assert asked.plan == SimulationPlan(cores=2, share_preprocessing=True)
    (step,) = [s for s in plan_study(experiments.Workbench(tmp_path), study).before_last if s.notebook == SIMULATE]
    assert (step.values["cores"], step.values["share_preprocessing"]) == (2, True)
    with pytest.raises(InputError, match=r"built\.yaml, line \d+: simulation\.cores"):
        parse_study(STUDY + "simulation: {cores: 0}\n", "built.yaml")
    build = simulation.Build(2, shared_preprocessing=True)
    names = [*MEMBERS, "soft_vote", "stack", "in_turn", "agreed"]
    other = experiments.simulate_ensembles(bench, arm, names, build=build)
    costs = [simulation.member_cost(name, other.measurements) for name in MEMBERS]
    everyone = np.ones((1, 3), bool)
    expected = simulation.serve(costs, everyone, model=other.model, build=build).latency_ms
    assert other.table.costs().latency_ms[-1] == pytest.approx(expected[0])
    assert expected[0] < simulated.table.costs().latency_ms[-1]
    ways = other.short_cuts(steps=3).set_index("way")
    assert ways.loc["top 3", "latency_ms"] == pytest.approx(expected[0])
    assert other.reality().equals(simulated.reality())
    told, usual = (asdict(tell(s, arm, asked)) for s in (other, simulated))
    assert "at once on 2 cores, with preprocessing that they share. No ensemble was built so" in told["law"]
    assert "one after another on one core, each with preprocessing of its own. Latencies" in usual["law"]
    assert "has met no reality" in reporting.reality_sentence(told)
    assert "has met no reality" not in reporting.reality_sentence(usual)
    assert bench.simulate_unit(arm, MEMBERS, ()) != simulate_unit(bench, arm, MEMBERS, asked)
    assert simulate_unit(bench, arm, MEMBERS, asked) != simulate_unit(bench, arm, MEMBERS, replace(asked, plan=SimulationPlan()))


def test_the_line_of_a_pick_builds_what_was_predicted(simulated, bench, arm):
    """Copied into a study, each line is a candidate whose score, once it is built, is the one on paper to 1e-6."""
    found = tell(simulated, arm, Asked(latency_budget_ms=1e6, memory_budget_mib=1e6))
    picks = list(found.picks)
    drawn = dict.fromkeys(MEMBERS, np.ones(10))
    # What is picked is up to what was measured; these three always are.
    weights = [0.5, 0.3, 0.2]
    vote = {"name": "voted", "members": MEMBERS, "weights": weights}
    vote["test"] = simulation.scores(simulated.votes, np.array(weights))[1]["log_loss"]
    picks.append({**vote, "line": pick_line(vote)})
    for name, members, limits, how in (("mine", MEMBERS[:2], [0.9], "margin"), ("ours", MEMBERS, [], "agreement")):
        said = simulation.one_cascade(simulated.votes, drawn, members, limits, how=how)
        cascade = {"name": name, "members": members, "thresholds": limits, "confidence": how, "test": said.accuracy_test}
        picks.append({**cascade, "line": pick_line(cascade)})
    lines = "\n".join(f"  {pick['line']}" for pick in picks if len(pick["members"]) > 1)
    study = parse_study(STUDY + lines, "picked.yaml")
    declared = Declared.of(study)
    picked = replace(arm, declared=declared)
    experiments.build_ensembles(bench, picked, [e.name for e in declared.ensembles])
    built = {e.name: training.load(bench.part(bench.fit_unit(picked, e.name))).predictions for e in declared.ensembles}
    assert {"voted", "mine", "ours"} <= set(built)
    for pick in picks:
        if said := built.get(pick["name"]):
            itself = simulation.line_up({"a": said, "b": said}, "binary")
            metric = "accuracy" if pick.get("confidence") else "log_loss"
            assert simulation.scores(itself, np.array([1.0, 0.0]))[1][metric] == pytest.approx(pick["test"], abs=1e-6)


def test_a_member_whose_memory_is_not_known_is_left_out(bench, arm, monkeypatch):
    """Where memory cannot be read of one member, the others are simulated and it is said; of all, nothing is, in a sentence."""
    missing, said = {"xgboost"}, []

    def without_memory(*of):
        return tuple(
            replace(m, values=(), round_index=(), failure="not read") if of[2] in missing and "memory" in m.quantity else m
            for m in measurements_of(*of)
        )

    monkeypatch.setattr("shipworthy.experiments.simulate.measurements_of", without_memory)
    monkeypatch.setattr("shipworthy.experiments.simulated.measurements_of", without_memory)
    monkeypatch.setattr(bench, "notify", said.append)
    found = experiments.simulate_ensembles(bench, arm, [*MEMBERS, "soft_vote"])
    assert found.table.names == ("logistic_regression", "random_forest")
    assert len(tell(found, arm, Asked()).front) >= 1
    assert any("xgboost is in no ensemble on paper" in line for line in said)
    assert nothing_to_simulate(bench, arm, MEMBERS) == ""
    missing |= {*MEMBERS}
    with pytest.raises(InputError, match="needs two members that are trained and measured, not 0"):
        experiments.simulate_ensembles(bench, arm, MEMBERS)
    assert "and none is" in nothing_to_simulate(bench, arm, MEMBERS)


def test_what_cannot_be_simulated_is_a_sentence(bench, arm):
    """An unknown metric, before any work, and a single member are refused."""
    with pytest.raises(InputError, match="'rmse' cannot be simulated for a binary task"):
        experiments.simulate_ensembles(bench, arm, ["xgboost"], metric="rmse")
    with pytest.raises(InputError, match="a simulation needs two members that are trained and measured, not 1"):
        experiments.simulate_ensembles(bench, arm, ["xgboost"])


def test_a_simulation_is_kept_and_not_made_again(bench, arm, simulated, monkeypatch):
    """What is kept tells of the same table; asked again it is read, and the real vote stands beside its prediction."""
    asked = Asked(latency_budget_ms=1e6, memory_budget_mib=1e6)
    names = ["prior", *MEMBERS, "soft_vote", "stack", "in_turn", "agreed"]
    found = experiments.simulation_of(bench, arm, names, asked)
    assert found.members == tuple(MEMBERS)
    assert [row["members"] for row in found.front] == simulated.frontier()["members"].tolist()
    assert {row["candidate"]: row["members"] for row in found.reality}["soft_vote"] == " + ".join(MEMBERS)
    table = reporting.reality_table(asdict(found)).set_index("candidate")
    assert table.loc[["in_turn", "agreed"], "law from"].tolist() == ["shares of rows"] * 2
    assert table["mean (ms)"].str.contains("/").all()
    vote = next(row for row in found.reality if row["candidate"] == "soft_vote")
    assert vote["metric_predicted"] == pytest.approx(vote["metric_measured"], abs=1e-9)
    assert all(pick["kind"] == "simulated" for pick in found.picks)
    monkeypatch.setattr("shipworthy.experiments.simulated.simulate_ensembles", lambda *_, **__: pytest.fail("made again"))
    assert experiments.simulation_of(bench, arm, names, asked) == found


def test_a_study_plans_a_simulation_after_measuring(tmp_path):
    """Each arm of the first seed with two members is a step after all that is timed; a study with one member has none."""
    prices = Prices(as_of="2026-01", source="a test", vcpu_hour_usd=0.04, gib_hour_usd=0.005)
    limit = Requirement(name="fast", quantity="latency_ms", statistic="p99", at_most=7, scenario="single_stream")
    facts = {"name": "s", "question": "?", "datasets": ("breast_cancer", "diamonds"), "seeds": (3, 4), "prices": prices}
    study = Study(candidates=("xgboost", "random_forest", "soft_vote"), requirements=(limit,), **facts)
    bench = experiments.Workbench(tmp_path)
    plan = plan_study(bench, study)
    steps = [s for s in plan.before_last if s.notebook == SIMULATE]
    assert [(s.arm.dataset, s.arm.seed) for s in steps] == [("breast_cancer", 3), ("diamonds", 3)]
    assert [u.kind for s in steps for u in s.units] == ["simulate", "simulate"]
    assert [asked_of(study, s.arm).metric for s in steps] == ["log_loss", "rmse"]
    assert asked_of(study, steps[0].arm).latency_budget_ms == 7
    # The budget that the study does not declare is an example, and is told as one.
    assert asked_of(study, steps[0].arm).examples == ("memory_mib",)
    assert asked_of(replace(study, requirements=()), steps[0].arm).examples == ("latency_ms", "memory_mib")
    # The more members, the longer it is expected to take.
    more = plan_study(bench, replace(study, candidates=("xgboost", "random_forest", "extra_trees", "mlp", "knn", "soft_vote")))
    for before, after in zip(plan.before_last, more.before_last, strict=True):
        assert more.seconds[after.units[0].name] > plan.seconds[before.units[0].name]
    few = plan_study(bench, Study(candidates=("prior", "xgboost", "soft_vote"), **facts))
    assert not [s for s in few.before_last if s.notebook == SIMULATE]


def test_a_damaged_simulation_is_named(tmp_path):
    """A file that is no JSON, or that is not what was written, is refused by its name; none at all is no simulation."""
    assert read_simulations(tmp_path) == ()
    for text in ("{", '[{"dataset": 1}]'):
        (tmp_path / "simulation.json").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=r"simulation\.json.*run the study again"):
            read_simulations(tmp_path)
