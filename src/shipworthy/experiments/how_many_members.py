"""How many trees, how many members: accuracy with intervals, latency, memory and training cost against size.

Trees are measured: one large forest or booster is fitted, every smaller one is its first trees, each is saved, loaded into fresh
processes and asked. Members are simulated: the best subset of each size, chosen out of fold, with what the law of costs says that
it would take.

This experiment does *not* know why averaging helps, or how anything is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shipworthy.experiments.arms import Arm, check_candidate, check_metric, make_arm, task_of
from shipworthy.experiments.latency_and_memory import draw_queries, measurement_from
from shipworthy.experiments.money import DATED_PRICES, answers_of
from shipworthy.experiments.single_models import cost_records
from shipworthy.experiments.workbench import Unit, Workbench, as_json, write_atomically, write_json
from shipworthy.records import (
    QUANTITIES,
    Economics,
    Floats,
    InputError,
    Interval,
    Measurement,
    Predictions,
    Prices,
    Record,
    Trained,
)

if TYPE_CHECKING:
    from shipworthy.experiments.simulate import Simulation
    from shipworthy.feasibility import Case, Enough, SizePrice, SizeStep

LADDERS = {1: (1,), 2: (1, 3), 3: (1, 2, 5)}
"""Numbers of trees that are looked at, of each ten, by how many there are of them; and so on in the tens, the hundreds, ..."""
N_RESAMPLES = 1000
"""As for the accuracies."""
KNEES = 200
"""Resamples of which the knee is found again."""
N_TREES = "n_trees"
"""The factor under which the sizes of a forest stand on record; the level is the number of trees."""
MEMBERS_FILE = "members.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SizePlan:
    """How far sizes go, how deeply each is measured, and what a gain is worth.

    Parameters
    ----------
    max_trees : int
    sizes_in_ten : int
        Sizes in each tenfold of trees: 3 is each about twice the one before, 2 three times, 1 ten times.
    queries, rounds : int
        Of each size: queries over all rounds, each round a fresh process.
    metric : str
        Empty means the Brier score; of a regression, RMSE. One tree is often sure and wrong, which log loss never forgives.
    smallest_useful_gain : float
        In the metric.
    usd_per_thousandth : float
        What a thousandth of the metric is worth in a month; 0 where nobody says.
    traffic_queries_s : float
    prices : Prices
    economics : Economics or None
        With values of answers, these say what a gain is worth, unless ``usd_per_thousandth`` does.
    confidence : float
    """

    max_trees: int = 500
    sizes_in_ten: int = 3
    queries: int = 100
    rounds: int = 1
    metric: str = ""
    smallest_useful_gain: float = 0.001
    usd_per_thousandth: float = 0.0
    traffic_queries_s: float = 10.0
    prices: Prices = DATED_PRICES
    economics: Economics | None = None
    confidence: float = 0.95

    def sizes(self) -> tuple[int, ...]:
        """The numbers of trees, ascending; the largest is always there.

        Examples
        --------
        >>> SizePlan(max_trees=30).sizes()
        (1, 2, 5, 10, 20, 30)
        >>> SizePlan(max_trees=100, sizes_in_ten=2).sizes()
        (1, 3, 10, 30, 100)
        """
        if self.sizes_in_ten not in LADDERS:
            raise InputError(f"parameters: sizes_in_ten must be 1, 2 or 3, not {self.sizes_in_ten}")
        ladder = (first * 10**tens for tens in range(len(str(self.max_trees))) for first in LADDERS[self.sizes_in_ten])
        return (*(n for n in ladder if n < self.max_trees), self.max_trees)


@dataclass(frozen=True, slots=True)
class Sizes:
    """One thing in every size: how good, how dear, where the knee is, and where to stop.

    Parameters
    ----------
    dataset, candidate, metric : str
    what : str
        What is counted, in the plural.
    how : {"measured", "simulated"}
        Where latency and memory come from.
    rows : tuple of mapping
        One a size: ``size``, ``members``, ``oof``, ``test`` with ``low`` and ``high``, ``p50_ms``, ``p99_ms`` with its ends,
        ``memory_mib``, ``size_mib``, ``fit_cpu_s``.
    n_test : int
    knee, knee_low, knee_high : int
        Where the out-of-fold loss against the size bends most; and within which sizes the bend of the test rows' resamples lies.
    steps, prices : tuple
        From one size to the next.
    enough : Enough
    sentences : tuple of str
        The findings: knee, smallest useful gain, money.
    """

    dataset: str
    candidate: str
    metric: str
    what: str
    how: Literal["measured", "simulated"]
    rows: tuple[Mapping[str, Any], ...]
    n_test: int
    knee: int
    knee_low: int
    knee_high: int
    steps: tuple[SizeStep, ...]
    prices: tuple[SizePrice, ...]
    enough: Enough
    sentences: tuple[str, ...]


def open_sizes(
    bench: Workbench,
    dataset: str,
    seed: int,
    *,
    candidates: Sequence[str],
    forest: str,
    booster: str,
    training: Mapping[str, Any],
    plan: SizePlan,
    roles: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Arm, SizePlan]:
    """The arm and the plan of a notebook, checked before anything is fitted; what the study of the run folder declares holds.

    Parameters
    ----------
    bench : Workbench
    dataset, seed, candidates, training, roles
        As for :func:`~shipworthy.experiments.make_arm`. The candidates are the library that members are taken from.
    forest, booster : str
        Candidates that are grown to every size.
    plan : SizePlan

    Returns
    -------
    tuple of Arm and SizePlan

    Raises
    ------
    InputError
        In one sentence, for the first name that does not exist or value that cannot be.
    """
    from shipworthy import candidates as catalogue
    from shipworthy import simulation

    study = bench.study()
    # Outside a study each member is asked as often as each size is.
    measuring = asdict(study.measuring) if study else {"queries": plan.queries, "rounds": plan.rounds, "batch_sizes": (64,)}
    arm = make_arm(
        dataset,
        seed,
        candidates=candidates,
        training=training,
        measuring=measuring,
        roles=roles,
        run_folder=str(bench.folder),
    )
    task = task_of(arm)
    metric = plan.metric or ("rmse" if task == "regression" else "brier")
    check_metric(metric, task, arm.dataset)
    simulation.check_metric(metric, task)
    for name in (*candidates, forest, booster):
        check_candidate(name, task, arm.dataset)
    for field, name in (("forest", forest), ("booster", booster)):
        if catalogue.get(name).kind != "tree_ensemble":
            raise InputError(f"parameters: {field} names {name}, which is no ensemble of trees; random_forest and xgboost are")
    if study:
        plan = replace(plan, traffic_queries_s=study.traffic_queries_s, prices=study.prices, economics=study.economics)
    return arm, replace(plan, metric=metric)


# Trees, measured ------------------------------------------------------------------------------------------------------------


def grow_unit(bench: Workbench, arm: Arm, name: str, plan: SizePlan) -> Unit:
    """The unit that grows a forest or a booster to every size."""
    return bench.grow_unit(arm, name, plan.sizes(), plan.confidence)


def grow_trees(bench: Workbench, arm: Arm, names: Sequence[str], plan: SizePlan) -> None:
    """Fit every named forest or booster in all sizes, unless it is done.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    names : sequence of str
    plan : SizePlan

    Raises
    ------
    UnitsFailedError
        After all, naming those that failed.
    """
    bench.make_all((grow_unit(bench, arm, name, plan), _grow(bench, arm, name, plan)) for name in names)


def _grow(bench: Workbench, arm: Arm, name: str, plan: SizePlan) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        from shipworthy import candidates, measurement, training

        candidate, dataset = candidates.get(name), bench.dataset(arm)
        weights = resampling_weights(bench, arm)
        rows: list[dict[str, Any]] = []
        grown = training.grow(
            candidate, dataset, plan.sizes(), folder=folder, random_state=arm.seed, meter=measurement.measure_costs
        )
        for n, trained in zip(plan.sizes(), grown, strict=True):
            training.save(trained, folder / trained.candidate)
            scored = measurement.accuracy_records(
                trained.predictions,
                dataset=arm.dataset,
                candidate=candidate,
                task=dataset.task,
                seed=arm.seed,
                weights=weights,
                confidence=plan.confidence,
            )
            rows += _on_record([*cost_records(candidate, arm, trained.costs, shared=bench.shared), *scored], arm, name, n)
        write_json(folder / "records.json", rows)

    return work


def _on_record(records: Iterable[Record], arm: Arm, name: str, n: int) -> list[dict[str, Any]]:
    """Records of one size, as plain rows: the candidate's name, the number of trees as the level of what is varied."""
    factor = "; ".join(f for f in (arm.factor, N_TREES) if f)
    level = "; ".join(v for v in (arm.level, str(n)) if v)
    return [asdict(replace(r, candidate=name, factor=factor, level=level)) for r in records]


def resampling_weights(bench: Workbench, arm: Arm) -> Any:
    """The resamples of the test rows, those that belong together drawn together; the same for whatever is compared."""
    from shipworthy import measurement

    split = bench.dataset(arm).split
    rng = np.random.default_rng([arm.seed, len(split.test), N_RESAMPLES])
    return measurement.bootstrap_weights(len(split.test), N_RESAMPLES, rng, split.cluster)


def grown(bench: Workbench, arm: Arm, name: str, plan: SizePlan) -> tuple[Trained, ...]:
    """Every size of a forest or booster that :func:`grow_trees` fitted, ascending."""
    from shipworthy import training

    part = bench.part(grow_unit(bench, arm, name, plan))
    return tuple(training.load(part / training.sized(name, n)) for n in plan.sizes())


def _size_units(bench: Workbench, arm: Arm, name: str, n: int, plan: SizePlan) -> list[Unit]:
    """The measuring units of one size, one a round."""
    from shipworthy import training

    how = (grow_unit(bench, arm, name, plan).identity, n, plan.queries, plan.rounds)
    units = [bench.load_unit("size", arm, name, how, r) for r in range(plan.rounds)]
    return [replace(unit, candidate=training.sized(name, n)) for unit in units]


def measure_sizes(bench: Workbench, arm: Arm, names: Sequence[str], plan: SizePlan) -> None:
    """Measure how every size is served, in fresh processes that take turns, alone on the machine.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    names : sequence of str
        Forests and boosters that were grown.
    plan : SizePlan

    Raises
    ------
    UnitsFailedError
        After the last unit, if any failed.
    """
    from shipworthy.measurement import exclusive

    bench.make(bench.queries_unit(arm), draw_queries(bench, arm))
    paths = {t.candidate: t.artefact for name in names for t in grown(bench, arm, name, plan)}
    units = [u for name in names for n in plan.sizes() for u in _size_units(bench, arm, name, n, plan)]
    # Every size once a round, so that what slows the machine hits all alike.
    waiting = sorted((u for u in units if not bench.done(u)), key=lambda u: u.round_index)
    if waiting:
        with exclusive(bench.notify):
            bench.make_all((u, _measure(bench, arm, u, Path(paths[u.candidate]), plan)) for u in waiting)


def _measure(bench: Workbench, arm: Arm, unit: Unit, artefact: Path, plan: SizePlan) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        from shipworthy import artefacts
        from shipworthy.measurement import ServingJob, measure_round

        job = ServingJob(
            candidate=unit.candidate,
            dataset=arm.dataset,
            artefact=artefact,
            queries=bench.part(bench.queries_unit(arm)) / "queries.json",
            # Single queries are what is asked about; the one batch there must be is one row.
            plan=replace(arm.measuring, queries=plan.queries, rounds=plan.rounds, batch_sizes=(1,), batch_repeats=1),
            seed=arm.seed,
            round_index=unit.round_index,
        )
        loaded = artefacts.fingerprint(artefact)
        measured = [replace(m, conditions=replace(m.conditions, artefact=loaded)) for m in measure_round(job)]
        write_json(folder / "measurements.json", [asdict(m) for m in measured])
        write_json(folder / "records.json", [])

    return work


def _served(bench: Workbench, arm: Arm, name: str, n: int, plan: SizePlan) -> tuple[Measurement, ...]:
    from shipworthy.measurement import combine

    units = _size_units(bench, arm, name, n, plan)
    return combine([[measurement_from(row) for row in bench.read(u, "measurements.json")] for u in units])


def count_trees(bench: Workbench, arm: Arm, name: str, plan: SizePlan) -> Sizes:
    """One forest or booster in every size: its accuracy, what serving it takes, the knee, and where to stop.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    name : str
        It is grown and measured where that is not done.
    plan : SizePlan
        As from :func:`open_sizes`.

    Returns
    -------
    Sizes
    """
    from shipworthy import candidates
    from shipworthy.measurement import serving_records

    grow_trees(bench, arm, [name], plan)
    measure_sizes(bench, arm, [name], plan)
    candidate, said = candidates.get(name), grown(bench, arm, name, plan)
    rows, records = [], []
    for n, trained in zip(plan.sizes(), said, strict=True):
        served = serving_records(
            _served(bench, arm, name, n, plan), kind=candidate.kind, route=candidate.route, confidence=plan.confidence
        )
        own = [*served, *cost_records(candidate, arm, trained.costs, shared=bench.shared)]
        records.append(own)
        found = {(r.quantity, r.statistic): r for r in own if r.scenario in ("none", "single_stream")}
        p99 = found["latency_ms", "p99"]
        costs = {"p50_ms": found["latency_ms", "p50"].value, "p99_ms": p99.value, "p99_low_ms": p99.low, "p99_high_ms": p99.high}
        costs |= {q: found[q, "mean"].value for q in ("memory_mib", "size_mib")}
        rows.append({"size": n, "members": "", **costs, "fit_cpu_s": trained.costs.cpu_s})
    what = str(said[0].notes["what"])
    return _sizes(bench, arm, plan, name, what, "measured", rows, [t.predictions for t in said], records)


# Members, simulated ---------------------------------------------------------------------------------------------------------


def count_members(bench: Workbench, arm: Arm, simulated: Simulation, plan: SizePlan) -> Sizes:
    """The best vote of every number of members, chosen out of fold: its accuracy on test rows, and what it is predicted to take.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    simulated : Simulation
        As from :func:`~shipworthy.experiments.simulate_ensembles`, by the metric of the plan.
    plan : SizePlan

    Returns
    -------
    Sizes
        Latency and memory are those of the law of costs; of one member alone, what was measured.
    """
    from shipworthy import simulation, training

    table, served = simulated.table, simulated.table.costs()
    of_size = np.array([s.bit_count() for s in range(1 << table.n_members)])
    fit_cpu_s = {n: training.load(bench.part(bench.fit_unit(arm, n))).costs.cpu_s for n in table.names}
    reference = training.load(bench.part(bench.fit_unit(arm, table.names[0]))).predictions
    rows, said, records = [], [], []
    for size in range(1, table.n_members + 1):
        s = simulation.pick(table, plan.metric, of_size == size).subset
        members = table.members(s)
        places = simulated.votes.positions(members)
        oof, test = (simulated.votes.rows(which).said[places].mean(axis=0).T for which in ("oof", "test"))
        said.append(replace(reference, oof=oof, test=test))
        ends = (served.latency_ms[s], served.latency_low_ms[s], served.latency_high_ms[s])
        costs = dict(zip(("p99_ms", "p99_low_ms", "p99_high_ms"), map(float, ends), strict=True))
        costs |= {"p50_ms": np.nan, "memory_mib": float(served.memory_mib[s]), "size_mib": float(served.size_mib[s])}
        fit = sum(fit_cpu_s[m] for m in members)
        rows.append({"size": size, "members": " + ".join(members), **costs, "fit_cpu_s": fit})
        # One member after another on one core: the processor's time is the mean latency, or near it.
        busy = float(served.cpu_ms[s])
        records.append(
            [
                _simulated(arm, "latency_ms", "mean", busy, "single_stream", 1),
                _simulated(arm, "memory_mib", "mean", costs["memory_mib"], "none", 0),
                _simulated(arm, "fit_cpu_s", "value", fit, "none", 0),
            ]
        )
    return _sizes(bench, arm, plan, "vote of members", "members", "simulated", rows, said, records)


def _simulated(
    arm: Arm, quantity: str, statistic: str, value: float, scenario: Literal["single_stream", "none"], batch_size: int
) -> Record:
    """What nobody measured, as the prices read it."""
    return Record(
        dataset=arm.dataset,
        candidate="vote of members",
        kind="ensemble",
        quantity=quantity,
        statistic=statistic,
        value=value,
        unit=QUANTITIES[quantity].unit,
        seed=arm.seed,
        scenario=scenario,
        batch_size=batch_size,
    )


# Either way -----------------------------------------------------------------------------------------------------------------


def _sizes(
    bench: Workbench,
    arm: Arm,
    plan: SizePlan,
    candidate: str,
    what: str,
    how: Literal["measured", "simulated"],
    rows: Sequence[Mapping[str, Any]],
    said: Sequence[Predictions],
    records: Sequence[Sequence[Record]],
) -> Sizes:
    """Scores with intervals, the knee, the steps and the findings, from what each size said and was measured to take."""
    from shipworthy import feasibility, measurement

    metric, greater = plan.metric, QUANTITIES[plan.metric].greater_is_better
    weights = resampling_weights(bench, arm)
    resampled = np.array([measurement.resampled_scores(metric, p.test_y, p.test, weights) for p in said])
    tail = (1 - plan.confidence) / 2
    ends = np.quantile(resampled, [tail, 1 - tail], axis=1)
    oof = [measurement.score(metric, p.oof_y, p.oof) for p in said]
    test = [measurement.score(metric, p.test_y, p.test) for p in said]
    scores = [{"oof": oof[i], "test": test[i], "low": float(ends[0][i]), "high": float(ends[1][i])} for i in range(len(rows))]
    sizes = [int(row["size"]) for row in rows]
    loss = np.array(oof) * (-1 if greater else 1)
    bend = _knee(sizes, loss)
    drawn_bends = [_knee(sizes, own * (-1 if greater else 1)) for own in resampled.T[:KNEES]]
    low, high = (int(x) for x in np.quantile(drawn_bends, [tail, 1 - tail], method="inverted_cdf"))
    n_test = len(said[0].test_y)
    steps = feasibility.size_steps(
        sizes, oof, test, resampled, greater_is_better=greater, confidence=plan.confidence, n_rows=n_test
    )
    stop = feasibility.enough(steps, plan.smallest_useful_gain, metric=metric, what=what)
    width = said[0].test.shape[1]
    classes = {1: (), 2: ("negative", "positive")}.get(width) or bench.dataset(arm).classes
    cases = _cases(arm, plan, candidate, what, records, said, () if width == 1 else classes)
    worth, prices = _prices(arm, plan, cases, steps, np.array(test), resampled)
    label = QUANTITIES[metric].label
    at = sizes.index(bend)
    knee_said = (
        f"The knee of {candidate} is at {feasibility.counted(bend, what)}: {label} out of fold is {oof[0]:.4g} at {sizes[0]:,}, "
        f"{oof[at]:.4g} there, {oof[-1]:.4g} at {sizes[-1]:,}. Resamples of the test rows put it between {low:,} and {high:,}."
    )
    money = (feasibility.price_sentence(prices, metric=metric, what=what, at=bend, worth=worth),) if prices else ()
    return Sizes(
        dataset=arm.dataset,
        candidate=candidate,
        metric=metric,
        what=what,
        how=how,
        rows=tuple({**row, **own} for row, own in zip(rows, scores, strict=True)),
        n_test=n_test,
        knee=bend,
        knee_low=min(low, bend),
        knee_high=max(high, bend),
        steps=steps,
        prices=prices,
        enough=stop,
        sentences=(knee_said, stop.sentence, *money),
    )


def _knee(sizes: Sequence[int], loss: Floats) -> int:
    """The size at which the front of loss against size bends most; a size that is no better than a smaller one is not on it."""
    from shipworthy import simulation

    points = np.column_stack([np.array(sizes, dtype=float), loss])
    front = simulation.pareto_front(points)
    return sizes[int(front[simulation.knee(points[front])])] if len(front) else sizes[0]


def _cases(
    arm: Arm,
    plan: SizePlan,
    candidate: str,
    what: str,
    records: Sequence[Sequence[Record]],
    said: Sequence[Predictions],
    classes: Sequence[str],
) -> list[Case]:
    """Each size as the money sees it; nothing where one of them could not be measured."""
    from shipworthy import feasibility

    economics = plan.economics or Economics()
    answers: Mapping[str, Any] = {}
    if plan.economics is not None and not plan.usd_per_thousandth:
        answers = answers_of({str(i): p for i, p in enumerate(said)}, classes, economics, np.random.default_rng([arm.seed, 7]))
    cases = []
    for i, own in enumerate(records):
        # A forest is one part that can fail; a vote of models is its members and what asks them.
        parts = 1 if what != "members" or i == 0 else i + 2
        case = feasibility.make_case(f"{candidate}-{i}", "", parts, own, economics, answers.get(str(i)))
        if case is None:
            return []
        cases.append(case)
    return cases


def _prices(
    arm: Arm, plan: SizePlan, cases: Sequence[Case], steps: Sequence[SizeStep], test: Floats, resampled: Floats
) -> tuple[str, tuple[SizePrice, ...]]:
    """How the worth of a gain was said, if it was, and what each step costs and is worth in a month."""
    from shipworthy import feasibility

    if not cases:
        return "", ()
    economics, traffic = plan.economics or Economics(), plan.traffic_queries_s
    point = [
        feasibility.month(feasibility.expected_terms(c, economics, plan.prices), traffic, economics, plan.prices) for c in cases
    ]
    terms = feasibility.draw_terms(cases, economics, plan.prices, np.random.default_rng([arm.seed, 9]))
    drawn = [feasibility.month(t, traffic, economics, plan.prices) for t in terms]
    costs, drawn_costs = (
        np.array([np.broadcast_to(m.delay + m.serving + m.training + m.upkeep, n) for m in months])
        for months, n in ((point, 1), (drawn, economics.draws))
    )
    said, worth, drawn_worth = "", None, None
    if plan.usd_per_thousandth:
        label = QUANTITIES[plan.metric].label
        said = f"If 0.001 of {label} is worth {plan.usd_per_thousandth:,.2f} USD a month"
        each = (1 if QUANTITIES[plan.metric].greater_is_better else -1) * plan.usd_per_thousandth / feasibility.THOUSANDTH
        which = np.random.default_rng([arm.seed, 10]).integers(0, resampled.shape[1], economics.draws)
        worth, drawn_worth = each * test, each * resampled[:, which]
    elif all(c.answers is not None for c in cases):
        said = "By what right and wrong answers are declared to be worth"
        worth, drawn_worth = np.array([m.answers[0] for m in point]), np.array([m.answers for m in drawn])
    found = feasibility.size_prices(
        steps, costs[:, 0], drawn_costs, worth=worth, drawn_worth=drawn_worth, confidence=plan.confidence
    )
    return said, found


def size_table(found: Sizes) -> list[dict[str, Any]]:
    """Every size as a row of plain values, with what the next step gains and costs.

    Parameters
    ----------
    found : Sizes

    Returns
    -------
    list of dict
        The fields of ``Sizes.rows``, and of the step to the next size ``next_gain`` with its ends, ``extra_usd_month``,
        ``usd_per_thousandth``, ``at_least_usd`` and ``net_usd_month`` with its ends; ``nan`` at the last.
    """
    nothing = Interval(np.nan, np.nan, np.nan, np.nan, "")
    steps, prices = {s.start: s for s in found.steps}, {p.start: p for p in found.prices}
    out = []
    for row in found.rows:
        step, price = steps.get(row["size"]), prices.get(row["size"])
        gain, net = step.gain if step else nothing, price.net_usd_month if price else nothing
        more = {"next_gain": gain.value, "next_gain_low": gain.low, "next_gain_high": gain.high}
        more |= {"extra_usd_month": price.extra_usd_month.value if price else np.nan}
        more |= {"usd_per_thousandth": price.usd_per_thousandth if price else np.nan}
        more |= {"at_least_usd": price.at_least_usd if price else np.nan}
        more |= {"net_usd_month": net.value, "net_usd_month_low": net.low, "net_usd_month_high": net.high}
        out.append({**row, **more})
    return out


def size_view(found: Sizes) -> dict[str, Any]:
    """What was counted as plain values, as the reporting room draws it: the facts, the findings, and :func:`size_table`.

    Parameters
    ----------
    found : Sizes

    Returns
    -------
    dict
    """
    facts = ("dataset", "candidate", "metric", "what", "how", "n_test", "knee", "knee_low", "knee_high", "sentences")
    return {**{name: getattr(found, name) for name in facts}, "rows": size_table(found)}


def save_sizes(folder: Path, found: Sequence[Sizes]) -> None:
    """Write ``members.json``, whole or not at all: every size of everything that was counted, and the findings.

    Parameters
    ----------
    folder : Path
        A run folder.
    found : sequence of Sizes
    """
    write_atomically(folder / MEMBERS_FILE, as_json([size_view(s) for s in found]))
