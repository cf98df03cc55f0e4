"""Ensembles on paper as they are told: each finding, the pick of a budget, the sliders, the tables, the lines that build."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg

from shipworthy import experiments, reporting, simulation
from shipworthy.experiments.assessment import SAMPLE_COLUMNS
from shipworthy.experiments.simulate import Built, Simulation, composites_of
from shipworthy.experiments.simulated import Asked, read_simulated, tell
from shipworthy.records import Conditions, InputError, Measurement, Predictions, Prices, Record, Study
from shipworthy.reporting.content import ReportContent
from shipworthy.reporting.picks import pick_within, simulation_frame, simulation_view

HERE = Conditions("m", "v", 1, "single_stream", 1, 0, 50, "off", "lean", "0", 0.0)
TIMES = {"m0": 1.0, "m1": 2.0, "m2": 4.0, "m3": 8.0, "both": 3.3, "three": 7.7}
MEMORIES = {"m0": 100.0, "m1": 110.0, "m2": 130.0, "m3": 105.0, "both": 111.0, "three": 142.0}


def measured(name):
    """Latency, memory, CPU time and size of a candidate, made up."""
    spread = np.linspace(0.9, 1.3, 100) * TIMES[name]
    facts = {"latency_ms": spread.tolist(), "memory_mib": [MEMORIES[name]], "cpu_ms": [TIMES[name]], "size_mib": [1.0]}
    return [
        Measurement(name, "made", quantity, tuple(values), (0,) * len(values), HERE if quantity == "latency_ms" else
                    replace(HERE, scenario="none"))
        for quantity, values in facts.items()
    ]  # fmt: skip


def simulated_of(said, task, *, built=()):
    """A simulation of made-up members."""
    votes = simulation.line_up(said, task)
    measurements = tuple(m for name in said for m in measured(name))
    costs = [simulation.member_cost(name, measurements) for name in said]
    table = simulation.every_subset(votes, costs=costs, price=lambda cpu, mib: cpu + mib)
    metric = "rmse" if task == "regression" else "log_loss"
    return Simulation(votes, table, simulation.CostModel(), metric, measurements, built), metric


@pytest.fixture(scope="module")
def found(members_that_vote):
    """What is told of four members of a task with three classes, two votes of which were built."""
    said = members_that_vote(4, 300, 3)
    first, second, third = (said[m].test for m in ("m0", "m1", "m2"))
    votes = {"both": (("m0", "m1"), (first + second) / 2), "three": (("m0", "m1", "m2"), (first + second + third) / 3)}
    built = tuple(
        Built(
            name, members, (1 / len(members),) * len(members), (), "", False, replace(said["m0"], test=p), tuple(measured(name))
        )
        for name, (members, p) in votes.items()
    )
    whole, metric = simulated_of(said, "multiclass", built=built)
    return asdict(tell(whole, experiments.make_arm("cells"), Asked(latency_budget_ms=4.0, metric=metric)))


@pytest.mark.parametrize(
    "draw",
    [
        reporting.ensemble_frontier,
        reporting.diminishing_return,
        reporting.price_of_greed,
        reporting.cascade_curves,
        reporting.worth_bars,
    ],
)
def test_each_figure_states_its_finding_and_describes_itself(found, draw):
    """The title is the finding and names the data set; the SVG holds both it and the description, the same bytes each time."""
    figure = draw(found)
    assert figure.finding.startswith("cells: ")
    assert figure.description
    assert figure.svg() == draw(found).svg()
    assert 'role="img"' in figure.svg()


@pytest.mark.parametrize(
    ("draw", "said", "claimed"),
    [
        (reporting.ensemble_frontier, "beaten by no other", "worth a look"),
        (reporting.diminishing_return, "on these test rows they score", " they gain"),
        (reporting.price_of_greed, ": out of fold, adding one member at a time", "beat the exact choice"),
        (reporting.worth_bars, "scores no worse without it", "is better without it"),
    ],
)
def test_a_score_on_paper_is_not_called_a_gain(found, draw, said, claimed):
    """It has no interval: a title says where it was scored, and that nobody is shown to be better."""
    # The member that is missed least is one without which the vote of all scores better.
    spare = {**found["worth"][-1], "without_metric": -0.01}
    told = draw({**found, "worth": (*found["worth"][:-1], spare)}).finding
    assert said in told
    assert claimed not in told


def test_the_page_says_that_scores_on_paper_have_no_intervals(found):
    """Above the first of them, in page and Markdown; a page without a simulation has nothing to say of it."""
    prices = Prices(as_of="2026-01", source="by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.005)
    study = Study(name="s", question="?", datasets=("cells",), candidates=("m0",), prices=prices)
    empty = pd.DataFrame(columns=["study", *Record.__slots__])
    page, without = (
        reporting.build_report(reporting.ReportContent(study, empty, pd.DataFrame(), [], [], [], {}, [], simulations=simulations))
        for simulations in ([found], [])
    )
    for text in (page.html, page.markdown):
        assert 0 < text.index("Scores on paper have no intervals") < text.index("are beaten by no other; the knee")
    assert "Scores on paper" not in without.html + without.markdown


def test_the_pick_of_a_budget_is_the_best_subset_that_fits(found, members_that_vote):
    """For any budget, the front alone gives the subset that a search of all subsets gives; what no budget allows is said."""
    whole, _ = simulated_of(members_that_vote(4, 300, 3), "multiclass")
    rng = np.random.default_rng(0)
    for latency, memory in zip(rng.uniform(1.3, 20, 50), rng.uniform(105, 160, 50), strict=True):
        expected = whole.within(latency_ms=latency, memory_mib=memory)
        assert pick_within(found, latency_ms=latency, memory_mib=memory)["members"] == " + ".join(expected.members)
    assert pick_within(found, latency_ms=0.1) is None
    sentence = reporting.budget_sentence(found, latency_ms=0.1, memory_mib=500)
    assert "nothing that was simulated can be built: the fastest takes 1.30 ms, the smallest 100 MiB" in sentence
    assert reporting.budget_sentence(found, latency_ms=4, memory_mib=500).endswith("Simulated, not measured.")
    declared, half, neither = (
        reporting.budget_sentence(found, latency_ms=4, memory_mib=500, examples=examples).split(", build")[0]
        for examples in ((), ("memory_mib",), ("latency_ms", "memory_mib"))
    )
    assert declared == "With a budget of 4.00 ms and 500 MiB"
    assert half == "With a budget of 4.00 ms and, for example, 500 MiB"
    assert neither == "For example, with a budget of 4.00 ms and 500 MiB"


def test_sliders_move_the_pick(found):
    """Moving the latency slider changes the sentence and the marked point at once; at its left end nothing can be built."""
    box = reporting.pick_with_sliders(found, latency_ms=30.0, memory_mib=500.0)
    latency, _, sentence, figure = box.children
    before = sentence.value, figure.value
    assert "build " in before[0]
    latency.value = 1.35
    assert sentence.value != before[0]
    assert "build m0:" in sentence.value
    assert figure.value != before[1]
    assert "your pick: m0" in figure.value
    latency.value = 10**latency.min
    assert "nothing that was simulated can be built" in sentence.value


def test_each_pick_prints_the_line_that_builds_it(found):
    """The lines are YAML: a candidate's name, a vote with weights that sum to 1, or a cascade with its threshold, if any."""
    assert {"sim_agreement", "sim_best", "sim_knee", "sim_budget", "sim_weighted"} <= {p["name"] for p in found["picks"]}
    for pick in found["picks"]:
        (entry,) = yaml.safe_load(pick["line"])
        if len(pick["members"]) == 1:
            assert entry == pick["members"][0]
        elif "thresholds" in pick:
            assert entry["cascade"] == pick["members"]
            assert entry["confidence"] == pick["confidence"]
            limits = [entry["threshold"]] if "threshold" in entry else []
            assert limits == pick["thresholds"]
        else:
            assert list(entry["weights"]) == pick["members"]
            assert sum(entry["weights"].values()) == pytest.approx(1, abs=1e-3)
        assert pick["kind"] == "simulated"


def test_what_was_built_stands_beside_what_was_predicted(found):
    """Scores on paper are those of the built votes; each is predicted by its members' plain sum, as only one other was built."""
    both, three = found["reality"]
    for row in (both, three):
        assert row["metric_predicted"] == pytest.approx(row["metric_measured"], abs=1e-9)
        assert row["law"] == 0
    half = simulation.member_cost("m0", measured("m0"), percentile=50).latency_ms
    assert both["p50_predicted"] == pytest.approx(3 * half)
    assert both["p50_measured"] == pytest.approx(3.3 * half)
    assert both["memory_predicted"] == pytest.approx(110)
    assert "each predicted by the plain sum of its members, as too few others" in reporting.reality_sentence(found)
    learnt = [{**row, "law": 2} for row in (both, three)]
    assert "each predicted from the others alone." in reporting.reality_sentence({**found, "reality": learnt})
    assert "Of 2 built for real, the score was the same, the median latency was off by" in reporting.reality_sentence(found)
    far = tuple({**row, "metric_predicted": row["metric_measured"] + 0.02} for row in (both, three))
    assert "the score was off by at most 0.02, the median" in reporting.reality_sentence({**found, "reality": far})
    assert "-9\N{NO-BREAK SPACE}%" in reporting.reality_table(found)["p50 (ms)"][0]
    assert "nothing shows how far" in reporting.reality_sentence({**found, "reality": ()})


def test_another_vote_of_the_same_members_does_not_foretell_one(members_that_vote):
    """Votes of the same members take as long, so neither teaches the law that predicts the other; those of others teach both."""
    said = members_that_vote(4, 100, 2)

    def vote(name, members, weights, like):
        mean = np.average([said[m].test for m in members], axis=0, weights=weights)
        times = tuple(replace(m, candidate=name) for m in measured(like))
        return Built(name, members, weights, (), "", False, replace(said["m0"], test=mean), times)

    twice = vote("even", ("m0", "m1"), (0.5, 0.5), "both"), vote("uneven", ("m1", "m0"), (0.8, 0.2), "both")
    others = vote("of_three", ("m0", "m1", "m2"), (0.2, 0.4, 0.4), "three"), vote("last", ("m2", "m3"), (0.5, 0.5), "three")
    laws = {}
    for built in (twice, (*twice, *others)):
        whole, _ = simulated_of(said, "binary", built=built)
        laws |= {(len(built), row["candidate"]): row["law"] for row in whole.reality().to_dict("records")}
    assert laws == {
        (2, "even"): 0,
        (2, "uneven"): 0,
        (4, "even"): 2,
        (4, "uneven"): 2,
        (4, "of_three"): 2,
        (4, "last"): 2,
    }


def test_votes_of_the_same_members_teach_the_law_once(members_that_vote):
    """Three votes of two members are one ensemble measured three times: alone they calibrate nothing, and no interval shrinks."""
    said = members_that_vote(3, 60, 2)

    def vote(name, members, milliseconds):
        like = [replace(m, candidate=name) for m in measured("m0")]
        times = [replace(m, **({"values": (milliseconds,) * 100} if m.quantity == "latency_ms" else {})) for m in like]
        return Built(name, members, (0.5, 0.5), (), "", False, said["m0"], tuple(times))

    again = [vote(f"again_{i}", ("m0", "m1"), 3.0 + i) for i in range(3)]
    (taught,) = composites_of(again)
    assert (set(taught.members), taught.latency_ms) == ({"m0", "m1"}, 4.0)
    two = composites_of([*again, vote("other", ("m1", "m2"), 6.0)])
    assert [c.latency_ms for c in two] == [4.0, 6.0]


def test_the_page_and_the_table_say_what_was_simulated(found):
    """A view holds every figure and table; the frame marks each row as simulated or measured."""
    drawn = {}
    (view,) = simulation_view([found], drawn)
    assert {f["file"] for f in view["figures"]} == set(drawn)
    assert len(drawn) == 5
    assert [t["title"] for t in view["tables"]][:2] == ["Picks", "What each member is worth"]
    frame = simulation_frame([found])
    assert (frame["kind"] == "measured").sum() == 2
    assert set(frame["kind"]) == {"measured", "simulated"}
    assert len(frame) == len(found["front"]) + len(found["picks"]) + 4
    front = frame[frame["what"] == "front"]
    assert front["roc_auc"].between(0.5, 1).all()
    assert front["usd_per_million"].tolist() == [row["usd_per_million"] for row in found["front"]]
    table = reporting.pick_table(found)
    for pick in found["picks"]:
        (words,) = (w for names, w in zip(table["pick"], table["predicted on test rows"], strict=True) if pick["name"] in names)
        assert f"{pick['test']:.4f}; {pick['oof']:.4f} out of fold" in words


def test_a_line_is_copied_from_the_report_as_it_was_printed(found):
    """In Markdown, as in HTML, the line that builds a cascade is code: no bracket of it is escaped, and YAML reads it."""
    prices = Prices(as_of="2026-01", source="a test", vcpu_hour_usd=0.04, gib_hour_usd=0.005)
    study = Study(name="paper", question="Which?", datasets=("cells",), candidates=("m0",), prices=prices)
    content = ReportContent(
        study=study,
        records=pd.DataFrame(columns=list(Record.__slots__)),
        samples=pd.DataFrame(columns=list(SAMPLE_COLUMNS)),
        verdicts=[],
        requirement_verdicts=[],
        picks=[],
        environment={"machine": {"processor": "a processor", "cannot": []}, "commit": "abc"},
        missing=[],
        timings={},
        simulations=[found],
    )
    report = reporting.build_report(content)
    (agreed,) = (p for p in found["picks"] if p["name"] == "sim_agreement")
    assert f"| `{agreed['line']}` |" in report.markdown
    assert f"<code>{agreed['line']}</code>" in report.html
    beside = "\N{NO-BREAK SPACE}/\N{NO-BREAK SPACE}".join([f"{found['reality'][0]['metric_measured']:.4f}"] * 2)
    assert f"log loss {beside}" in reporting.reality_table(found)["score"][0]


def test_members_that_are_all_alike_are_drawn_and_told(members_that_vote, recwarn):
    """Of copies one is beaten by no other, no figure warns of a scale without height, and what is tiny is not told as 0.0000."""
    same = members_that_vote(1, 80)["m0"]
    whole, metric = simulated_of({"m0": same, "m1": same}, "binary")
    told = asdict(tell(whole, experiments.make_arm("adult"), Asked(metric=metric)))
    findings = [reporting.ensemble_frontier(told).finding, reporting.cascade_curves(told).finding]
    assert findings[0] == "adult: of 3 ensembles on paper one is beaten by no other; the knee is m0"
    assert not [str(w.message) for w in recwarn if "identical" in str(w.message)]
    ways = tuple({**way, "gap_oof": 2e-6} if way["way"] == "greedy" else way for way in told["ways"])
    assert "costs under 0.0001 log loss beside trying all" in reporting.price_of_greed({**told, "ways": ways}).finding


def test_picks_that_are_the_same_share_a_row(found):
    """One member chosen three times is one row with three names; other weights of the same members are another pick."""
    facts = found["picks"][0] | {"members": ["m0"], "weights": [1.0], "line": "- m0"}
    votes = [{**facts, "name": f"vote_{w}", "members": ["m0", "m1"], "weights": [w, 1 - w], "line": "-"} for w in (0.5, 0.7)]
    picks = [{**facts, "name": name, "why": f"is {name}"} for name in ("sim_best", "sim_knee")]
    picks += [votes[0], {**facts, "name": "sim_budget", "why": "is sim_budget"}, votes[1]]
    table = reporting.pick_table({**found, "picks": picks})
    assert table["pick"].tolist() == ["sim_best, sim_knee, sim_budget", "vote_0.5", "vote_0.7"]
    assert table["which"][0] == "is sim_best; is sim_knee; is sim_budget"
    assert table["to build it"].tolist() == ["- m0", "-", "-"]


def test_a_cascade_that_a_member_alone_beats_is_not_picked(members_that_vote):
    """The cascades that are picked are faster than the fastest of the most accurate members, or more accurate out of fold."""
    picked = set()
    for seed in range(6):
        said = members_that_vote(4, 150, 2, seed=seed)
        whole, metric = simulated_of(said, "binary")
        told = asdict(tell(whole, experiments.make_arm("adult"), Asked(metric=metric)))
        right = {m: float((p.oof.argmax(axis=1) == p.oof_y).mean()) for m, p in said.items()}
        best = max(right.values())
        mean = {row["name"]: row["mean_ms"] for row in told["alone"]}
        fastest = min(mean[m] for m in said if right[m] == best)
        for pick in told["picks"]:
            if "confidence" in pick:
                picked.add(pick["name"])
                assert pick["oof"] > best or (pick["oof"] == pytest.approx(best) and pick["mean_ms"] < fastest)
    assert picked == {"sim_cascade", "sim_agreement"}


def test_a_threshold_is_written_so_that_it_lets_through_who_reached_it():
    """Six neighbours of ten are sure by 0.6 - 0.4, a little below 0.2: the line that builds the cascade answers them at once."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    # Of five rows in ten the neighbours are divided; all others they know, most of them by six to four.
    share = rng.choice([0.5, 0.6, 0.9], 400, p=[0.5, 0.4, 0.1])
    near = np.where(y == 1, share, 1 - share)
    knows = np.where(rng.random(400) < 0.97, y, 1 - y) * 0.8 + 0.1
    rows = np.arange(400)
    said = {}
    for name, p in (("m0", near), ("m3", knows)):
        stated = np.stack([1 - p, p], axis=1)
        said[name] = Predictions(rows[:200], y[:200], stated[:200], rows[200:], y[200:], stated[200:])
    whole, metric = simulated_of(said, "binary")
    told = tell(whole, experiments.make_arm("adult"), Asked(metric=metric))
    (pick,) = (p for p in told.picks if p["name"] == "sim_cascade")
    (entry,) = yaml.safe_load(pick["line"])
    margin = np.abs(said["m0"].oof[:, 1] - said["m0"].oof[:, 0])
    assert 0.1 < entry["threshold"] < 0.2
    assert pick["early"] == (margin >= entry["threshold"]).mean() == (share[:200] > 0.5).mean()
    assert pick["oof"] >= (said["m3"].oof.argmax(axis=1) == y[:200]).mean()


def test_the_weights_in_a_line_are_those_that_were_scored(members_that_vote):
    """In dollars the fourth digit of a weight is seen: what is predicted is the vote with the weights that the line holds."""
    said = members_that_vote(4, 200, 1, seed=2)
    dollars = {
        m: replace(p, oof_y=1e4 * p.oof_y, oof=1e4 * p.oof, test_y=1e4 * p.test_y, test=1e4 * p.test) for m, p in said.items()
    }
    whole, metric = simulated_of(dollars, "regression")
    told = tell(whole, experiments.make_arm("diamonds"), Asked(metric=metric))
    (pick,) = (p for p in told.picks if p["name"] == "sim_weighted")
    weights = yaml.safe_load(pick["line"])[0]["weights"]
    first = next(iter(dollars.values()))
    mean = np.average([dollars[m].test[:, 0] for m in weights], axis=0, weights=list(weights.values()))
    assert len(weights) > 1
    assert pick["test"] == pytest.approx(float(np.sqrt(np.mean((mean - first.test_y) ** 2))), rel=1e-12)


def test_what_costs_are_charged_has_the_scale_of_the_metric(members_that_vote):
    """With every number a thousand times as large, the greedy choice that pays for costs is the same and its charges follow."""
    said = members_that_vote(4, 200, 1, seed=6)
    whole, _ = simulated_of(said, "regression")
    scaled = {
        m: replace(p, oof_y=1000 * p.oof_y, oof=1000 * p.oof, test_y=1000 * p.test_y, test=1000 * p.test) for m, p in said.items()
    }
    large, _ = simulated_of(scaled, "regression")
    assert np.array(large.charges()) == pytest.approx(1000 * np.array(whole.charges()))
    best = min(float(np.sqrt(np.mean((said[m].oof[:, 0] - said[m].oof_y) ** 2))) for m in whole.table.names)
    assert whole.charges() == pytest.approx((0.005 * best, 0.0005 * best))
    ways = [s.short_cuts().set_index("way").loc["greedy, charged for costs"] for s in (whole, large)]
    assert ways[0]["members"] == ways[1]["members"]
    # Whoever pays nothing takes more.
    assert whole.short_cuts().set_index("way").loc["greedy, weighted", "latency_ms"] > ways[0]["latency_ms"]


def test_the_subsets_that_are_shown_are_of_all_members(members_that_vote):
    """Of a thousand subsets some are drawn: about half of them hold any one member, the first too, as half of all do."""
    said = members_that_vote(10, 60, 1)
    votes = simulation.line_up(said, "regression")
    # A thousand MiB for the first: who holds it is told by its memory.
    memories = {name: 1000.0 if name == "m0" else 1.0 for name in said}
    measurements = [
        replace(m, candidate=name, **({"values": (memories[name],)} if m.quantity == "memory_mib" else {}))
        for name in said
        for m in measured("m1")
    ]
    costs = [simulation.member_cost(name, measurements) for name in said]
    table = simulation.every_subset(votes, costs=costs)
    whole = Simulation(votes, table, simulation.CostModel(), "rmse", tuple(measurements))
    told = tell(whole, experiments.make_arm("diamonds"), Asked(metric="rmse"))
    assert len(told.subsets) > 300
    assert 0.4 < np.mean([row["memory_mib"] > 500 for row in told.subsets]) < 0.6


def test_a_regression_has_no_cascades(members_that_vote):
    """Numbers have no confidence: its view has no cascades, and all else is there."""
    whole, metric = simulated_of(members_that_vote(3, 200, 1), "regression")
    told = asdict(tell(whole, experiments.make_arm("diamonds"), Asked(metric=metric)))
    drawn = {}
    simulation_view([told], drawn)
    assert not told["curves"]
    assert len(drawn) == 4
    assert math.isfinite(told["hypervolume"])
    with pytest.raises(InputError, match=r"kept: .* \(and \d+ more\); run the study again"):
        read_simulated({"dataset": "x"}, "kept")


def test_no_name_covers_a_point():
    """With room around, a name is written where it covers none of the points beside its own, however crowded the other sides."""
    from matplotlib.figure import Figure

    from shipworthy.reporting.labels import place_labels

    figure = Figure(figsize=(6, 4))
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    # All to the right and above is full; the left below is free.
    dots = [(x, y, 3.0) for x in np.linspace(0.45, 1, 12) for y in np.linspace(0, 1, 14)]
    dots += [(x, y, 3.0) for x in np.linspace(0, 0.45, 10) for y in np.linspace(0.52, 1, 8)]
    place_labels(ax, np.array([0.5]), np.array([0.5]), ["the best of all"], ["black"], dots=dots)
    (text,) = ax.texts
    box = text.get_window_extent()
    for x, y, _ in dots:
        assert not box.contains(*ax.transData.transform((x, y)))


def test_no_number_of_a_members_worth_is_cut_off(found):
    """Beside a member that does harm, so that zero lies far to the right, each number still ends within its own panel."""
    rows = [{**row, "gain": gain} for row, gain in zip(found["worth"], (0.0604, 0.0595, 0.0415, -0.141), strict=True)]
    figure = reporting.worth_bars({**found, "worth": rows}).figure
    renderer = FigureCanvasAgg(figure).get_renderer()
    numbers = [(ax.get_window_extent(renderer), text) for ax in figure.axes for text in ax.texts]
    assert {"0.060", "0.059", "-0.14"} <= {text.get_text() for _, text in numbers}
    for panel, text in numbers:
        assert text.get_window_extent(renderer).x1 <= panel.x1, text.get_text()


def test_the_numbers_at_the_ends_of_two_panels_of_worth_stand_apart(found):
    """Where the last number below one panel lies at its right end, and the first of the next at its left."""
    gains, times = (0.071, 0.061, 0.053, -0.038), (0.67, 0.66, 4.4, 0.2)
    rows = [{**row, "gain": g, "latency_ms": ms} for row, g, ms in zip(found["worth"], gains, times, strict=True)]
    figure = reporting.worth_bars({**found, "worth": rows}).figure
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.canvas.draw()
    seen = [
        [
            t.get_window_extent(renderer)
            for t in ax.get_xticklabels()
            if ax.get_xlim()[0] <= t.get_position()[0] <= ax.get_xlim()[1]
        ]
        for ax in figure.axes
    ]
    assert all(len(ticks) > 1 for ticks in seen)
    for ours, theirs in pairwise(seen):
        assert min(other.x0 for other in theirs) - max(one.x1 for one in ours) > 8  # pixels: a space's width at least


def drawn_cascades(found, slowest):
    """The axes of cascades of one curve, which climbs from m0 at 1 ms to a slower m1; the slowest member takes so long."""
    climb = np.linspace(0, 1, 60)
    curve = {"members": ["m0", "m1"], "early": (1 - climb).tolist(), "mean_ms": (1 + climb).tolist()}
    curve["accuracy_test"] = (0.8 + 0.05 * climb).tolist()
    alone = [{"name": "m0", "accuracy": 0.8, "mean_ms": 1.0}, {"name": "m1", "accuracy": 0.85, "mean_ms": slowest}]
    picks = [p for p in found["picks"] if p["name"] != "sim_cascade"]
    return reporting.cascade_curves({**found, "curves": [curve], "alone": alone, "picks": picks}).figure.axes[0]


def test_members_that_are_far_apart_stand_on_a_logarithmic_axis(found):
    """Where one member takes 20 times as long as another, cascades are drawn by orders of magnitude, and the axis says so."""
    near, apart = drawn_cascades(found, 2.0), drawn_cascades(found, 20.0)
    assert (near.get_xscale(), apart.get_xscale()) == ("linear", "log")
    assert "(ms);" in near.get_xlabel()
    assert "(ms), logarithmic;" in apart.get_xlabel()


def test_no_name_covers_a_cascade_or_a_share_in_numbers(found):
    """The name of a member at the foot of a climbing line stands beside the line, and clear of the shares along it."""
    ax = drawn_cascades(found, 2.0)
    renderer = FigureCanvasAgg(ax.get_figure(root=True)).get_renderer()
    boxes = {text.get_text(): text.get_window_extent(renderer) for text in ax.texts}
    names = boxes.pop("m0"), boxes.pop("m1")
    assert set(boxes) == {"75 %", "51 %", "25 %"}
    assert not any(name.overlaps(share) for name in names for share in boxes.values())
    line = max(ax.lines, key=lambda line: len(line.get_xdata()))
    seen = ax.transData.transform(np.column_stack([line.get_xdata(), line.get_ydata()]))
    assert not any(name.contains(*point) for name in names for point in seen)


def test_the_ways_are_where_a_name_would_cover_them(found):
    """What each way chose stands above its point on the axis as it is drawn, better up, so that names can keep clear of it."""
    figure = reporting.ensemble_frontier(found).figure
    ax = figure.axes[0]
    boxes = [text.get_window_extent() for text in ax.texts]
    ways = [line for line in ax.lines if line.get_zorder() == 7]
    assert len(ways) == len(found["ways"])
    for line in ways:
        middle = line.get_transform().transform(line.get_xydata())[0]
        assert not any(box.contains(*middle) for box in boxes)


def test_no_way_hides_another_and_none_is_cut_off(found):
    """Ways that chose almost the same, as weights do, stand above each other: no mark covers another, all are on the axis."""
    ways = [{**row, "latency_ms": 3.0, "test": found["ways"][0]["test"] + 1e-5 * i} for i, row in enumerate(found["ways"])]
    figure = reporting.ensemble_frontier({**found, "ways": ways}).figure
    ax = figure.axes[0]
    at = [m.get_transform().transform(m.get_xydata())[0] for m in ax.lines if m.get_zorder() == 7]
    point = figure.dpi / 72
    assert min(math.dist(p, q) for p, q in combinations(at, 2)) > 10 * point
    box = ax.get_window_extent()
    assert all(box.y0 < y < box.y1 - 4 * point for _, y in at)
