"""What a simulation of an arm's ensembles found, kept with the run as plain values: the front, short cuts, worth, picks, reality.

A unit makes it once; notebook, report and tables read it. Everything in it was simulated, and says so, but the rows of
``reality``, which hold what was measured beside what had been predicted.

This experiment does *not* know how anything of it is drawn, or whether anybody builds a pick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.experiments.arms import Arm, arms_of, make_arm, task_of
from shipworthy.experiments.ensembles import ensure_trained
from shipworthy.experiments.latency_and_memory import measure_latency_and_memory, measurements_of
from shipworthy.experiments.money import DATED_PRICES
from shipworthy.experiments.pick_lines import pick_line, written_threshold
from shipworthy.experiments.simulate import Simulation, priced, simulate_ensembles
from shipworthy.experiments.workbench import Unit, Workbench, nan_for_null, write_json
from shipworthy.records import ConfidenceName, InputError, Prices, SimulationPlan, Study, Task

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from shipworthy.simulation import CascadePick, PairCascade, Pick, TripleCascade, Votes

GUESSES = ("prior",)
"""Says the same of every row: a yardstick, no member."""
SHOWN_SUBSETS = 400
"""Of all subsets, so many are kept for the eye; the front is kept whole."""
SHOWN_THRESHOLDS = 60
TRIPLES_OF = 12
"""Cascades of three are made of the most accurate members: 1,320."""
ROUNDING = 1e-9
LEAST_SHARE = 0.05
"""Each member of the cascade that is picked answers at least so many rows."""
ONE_BY_ONE = SimulationPlan()
FILE = "simulated.json"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a simulation is asked for: the budget of a pick, what its money is reckoned by, and the build that is assumed."""

    latency_budget_ms: float = 5.0
    memory_budget_mib: float = 200.0
    metric: str = "log_loss"
    prices: Prices = DATED_PRICES
    traffic_queries_s: float = 10.0
    plan: SimulationPlan = ONE_BY_ONE
    examples: tuple[str, ...] = ()
    """Of ``latency_ms`` and ``memory_mib``, those whose budget nobody declared."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """The ensembles of one arm on paper, ready for tables, figures and a page. Rows are plain dicts.

    Parameters
    ----------
    dataset, level, metric : str
    seed : int
    members : tuple of str
    latency_budget_ms, memory_budget_mib : float
    law : str
        Which build is assumed, and how far its predicted costs may be trusted, in sentences.
    front : tuple of dict
        Columns of :meth:`Simulation.frontier`; members joined by `` + ``.
    subsets : tuple of dict
        ``size``, ``test``, ``latency_ms``, ``memory_mib`` of some of all subsets.
    hypervolume : float
        Share of the box between the best and the worst of all subsets, in metric, latency and memory, that the front beats.
    sizes, ways, worth : tuple of dict
        Columns of :meth:`Simulation.by_size`, :meth:`Simulation.short_cuts` and :meth:`Simulation.worth`.
    cascades : tuple of dict
        The most accurate threshold of each pair and way of being confident, the most accurate first, and the best triples.
    curves : tuple of dict
        Of the best pairs: ``members``, and lists by threshold.
    alone : tuple of dict
        ``name``, ``accuracy`` and ``mean_ms`` of each member alone, for a classification.
    picks : tuple of dict
        ``name``, ``why``, ``members``, ``weights`` or ``confidence`` and ``thresholds``, what is predicted of each, and the
        ``line`` that builds it in a study.
    reality : tuple of dict
        Columns of :meth:`Simulation.reality`: of each as it was built.
    as_built : bool
        Whether the build that is assumed is that of the ensembles in ``reality``.
    charge : str
        What the selection that is charged for costs pays, in a sentence.
    everyone : tuple of str
        All members, among which ``ways`` chose; ``members`` are the best of them where a table of all subsets has no more room.
    examples : tuple of str
        Of ``latency_ms`` and ``memory_mib``, those whose budget nobody declared: it stands for an example.
    """

    dataset: str
    seed: int
    level: str
    metric: str
    members: tuple[str, ...]
    latency_budget_ms: float
    memory_budget_mib: float
    law: str
    front: tuple[dict[str, Any], ...]
    subsets: tuple[dict[str, Any], ...]
    hypervolume: float
    sizes: tuple[dict[str, Any], ...]
    ways: tuple[dict[str, Any], ...]
    worth: tuple[dict[str, Any], ...]
    cascades: tuple[dict[str, Any], ...] = ()
    curves: tuple[dict[str, Any], ...] = ()
    alone: tuple[dict[str, Any], ...] = ()
    picks: tuple[dict[str, Any], ...] = ()
    reality: tuple[dict[str, Any], ...] = ()
    as_built: bool = True
    charge: str = ""
    everyone: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()


def open_simulation(
    bench: Workbench,
    dataset: str,
    seed: int,
    *,
    candidates: Sequence[str],
    training: Mapping[str, Any],
    factor: str,
    level: str,
    latency_budget_ms: float,
    memory_budget_mib: float,
    cores: int = 1,
    share_preprocessing: bool = False,
    roles: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Arm, Asked]:
    """The arm and what is asked of it: as the study of the run folder declares them, else as given.

    Parameters
    ----------
    bench : Workbench
    dataset, seed, candidates, training, factor, level, roles
        As for :func:`~shipworthy.experiments.make_arm`; they say which arm of the study.
    latency_budget_ms, memory_budget_mib : float
    cores : int
        On which the members of an ensemble are assumed to run at once.
    share_preprocessing : bool
        Whether they are assumed to preprocess a row once for all.

    Returns
    -------
    tuple of Arm and Asked

    Raises
    ------
    InputError
        In one sentence, for the first name that does not exist or value that is out of range.
    """
    study = bench.study()
    if study:
        for arm in simulated_arms(study):
            if (arm.dataset, arm.seed, arm.factor, arm.level) == (dataset, seed, factor, level):
                return arm, asked_of(study, arm)
        raise InputError(f"parameters: the study has no arm of {dataset}, seed {seed}, {factor} {level} that is simulated")
    arm = make_arm(
        dataset,
        seed,
        candidates=candidates,
        training=training,
        factor=factor,
        level=level,
        roles=roles,
        run_folder=str(bench.folder),
    )
    plan = SimulationPlan(cores=cores, share_preprocessing=share_preprocessing)
    return arm, Asked(latency_budget_ms, memory_budget_mib, metric_for(task_of(arm)), plan=plan)


def metric_for(task: Task, wanted: str = "") -> str:
    """The metric that subsets are chosen by: the one that is wanted where every subset has it, else the task's proper score.

    Examples
    --------
    >>> metric_for("binary", "roc_auc"), metric_for("binary", "brier"), metric_for("regression", "r2")
    ('log_loss', 'brier', 'rmse')
    """
    from shipworthy.simulation import METRICS

    return wanted if wanted in METRICS[task] else METRICS[task][0]


def simulated_arms(study: Study) -> list[Arm]:
    """The arms of a study whose ensembles are simulated: those of its first seed, where two members at least are candidates."""
    return [arm for arm in arms_of(study) if arm.seed == study.seeds[0] and len(_members(arm, study.candidates)) > 1]


def _members(arm: Arm, names: Sequence[str]) -> list[str]:
    from shipworthy.experiments.arms import members_in

    return [n for n in names if n not in GUESSES and not members_in(arm, n)]


def asked_of(study: Study, arm: Arm) -> Asked:
    """What a study asks of its simulations: the budget is that of its requirements, or an example."""
    usual = Asked()
    limits = {"latency_ms": usual.latency_budget_ms, "memory_mib": usual.memory_budget_mib}
    declared: set[str] = set()
    for r in study.requirements:
        single = r.statistic == "p99" and r.scenario == "single_stream"
        if r.quantity in limits and r.at_most is not None and r.judges(arm.dataset) and (single or r.quantity == "memory_mib"):
            limits[r.quantity] = r.at_most
            declared.add(r.quantity)
    metric = metric_for(task_of(arm), study.metric)
    undeclared = tuple(quantity for quantity in limits if quantity not in declared)
    return Asked(
        limits["latency_ms"], limits["memory_mib"], metric, study.prices, study.traffic_queries_s, study.simulation, undeclared
    )


def simulate_unit(bench: Workbench, arm: Arm, names: Sequence[str], asked: Asked) -> Unit:
    """The unit of a simulation: of these candidates, but those that say the same of every row."""
    how = (asked.latency_budget_ms, asked.memory_budget_mib, asked.metric, astuple(asked.prices), asked.traffic_queries_s)
    how = (*how, *astuple(asked.plan))
    return bench.simulate_unit(arm, [n for n in names if n not in GUESSES], how)


def simulation_of(bench: Workbench, arm: Arm, names: Sequence[str], asked: Asked) -> Simulated:
    """Simulate an arm's ensembles, or read what was simulated of them before.

    Parameters
    ----------
    bench : Workbench
        Inside a study, candidates that were not trained or measured are left out; alone, what is missing is made first.
    arm : Arm
    names : sequence of str
        Candidates: members, and the ensembles of them that are built for real.
    asked : Asked

    Returns
    -------
    Simulated

    Raises
    ------
    InputError
        If fewer than two members are trained and measured.
    """
    if not bench.in_study:
        ensure_trained(bench, arm, names)
        measure_latency_and_memory(bench, arm, names)
    there = [n for n in names if bench.done(bench.fit_unit(arm, n)) and measurements_of(bench, arm, n)]
    unit = simulate_unit(bench, arm, there, asked)

    def work(folder: Path) -> None:
        write_json(folder / FILE, asdict(_simulate(bench, arm, there, asked)))
        write_json(folder / "records.json", [])

    bench.make(unit, work)
    return read_simulated(nan_for_null(bench.read(unit, FILE)), str(bench.part(unit) / FILE))


def read_simulated(held: Any, where: str) -> Simulated:
    """What was simulated, from plain values.

    Raises
    ------
    InputError
        If they are not as they were written.
    """
    from pydantic import TypeAdapter, ValidationError

    from shipworthy.experiments.arms import sentence

    try:
        return TypeAdapter(Simulated).validate_python(held)
    except ValidationError as error:
        raise InputError(f"{sentence(error, where)}; run the study again to complete it") from None


def nothing_to_simulate(bench: Workbench, arm: Arm, names: Sequence[str]) -> str:
    """Why there is no ensemble of these candidates on paper, in a sentence; empty where two members are trained and measured."""
    there = [n for n in _members(arm, names) if bench.done(bench.fit_unit(arm, n)) and priced(measurements_of(bench, arm, n))]
    if len(there) > 1:
        return ""
    have = f"only {there[0]} is" if there else "none is"
    return f"{arm.title}: there is nothing to simulate: an ensemble takes two members that are trained and measured, and {have}."


def simulated_unit(bench: Workbench, study: Study, arm: Arm) -> Unit:
    """The unit of what a study simulates of an arm, whether or not it is there.

    It is of the candidates that are trained and measured by now, so it is the planned one only where all of them are.
    """
    there = [n for n in study.candidates if bench.done(bench.fit_unit(arm, n)) and measurements_of(bench, arm, n)]
    return simulate_unit(bench, arm, there, asked_of(study, arm))


def simulations_in(bench: Workbench, study: Study) -> tuple[tuple[Simulated, ...], tuple[str, ...]]:
    """What was simulated in a study, and what was not, in sentences. Nothing is simulated here."""
    found, missing = [], []
    for arm in simulated_arms(study):
        unit = simulated_unit(bench, study, arm)
        if bench.done(unit):
            found.append(read_simulated(nan_for_null(bench.read(unit, FILE)), str(bench.part(unit) / FILE)))
        else:
            why = nothing_to_simulate(bench, arm, study.candidates)
            missing.append(why or f"The ensembles of {arm.title} were not simulated.")
    return tuple(found), tuple(missing)


# -- one simulation -------------------------------------------------------------------------------------------------------------


def _simulate(bench: Workbench, arm: Arm, names: Sequence[str], asked: Asked) -> Simulated:
    from shipworthy import simulation

    found = simulate_ensembles(
        bench,
        arm,
        [n for n in names if n not in GUESSES],
        metric=asked.metric,
        build=simulation.Build(asked.plan.cores, asked.plan.share_preprocessing),
        prices=asked.prices,
        traffic_queries_s=asked.traffic_queries_s,
    )
    return tell(found, arm, asked)


def tell(found: Simulation, arm: Arm, asked: Asked) -> Simulated:
    """Everything that is kept of a simulation.

    Parameters
    ----------
    found : Simulation
    arm : Arm
        The one that it is of.
    asked : Asked

    Returns
    -------
    Simulated
    """
    classes = found.votes.task != "regression"
    pairs = _pairs(found) if classes else []
    ways = found.short_cuts()
    cheap = _cheap_cascade(found, pairs) if classes else None
    agreed = _by_agreement(found) if classes else {}
    agreement = _agreed_cascade(found, agreed) if classes else None
    return Simulated(
        dataset=arm.dataset,
        seed=arm.seed,
        level=arm.level,
        metric=asked.metric,
        members=found.table.names,
        latency_budget_ms=asked.latency_budget_ms,
        memory_budget_mib=asked.memory_budget_mib,
        examples=asked.examples,
        law=found.law(),
        front=_rows(found.frontier()),
        subsets=_subsets(found),
        hypervolume=_hypervolume(found),
        sizes=_rows(found.by_size()),
        ways=_rows(ways),
        worth=_rows(found.worth()),
        cascades=tuple(_cascades(found, pairs, agreed)) if classes else (),
        curves=tuple(_curve(found, pair) for pair in _told_pairs(pairs, cheap)),
        alone=tuple(_alone(found)) if classes else (),
        picks=tuple(_picks(found, ways, [c for c in (cheap, agreement) if c], asked)),
        reality=_rows(found.reality()),
        as_built=found.assumed.as_built_here,
        charge=_charge(found),
        everyone=found.library.names,
    )


def _charge(found: Simulation) -> str:
    from shipworthy import candidates

    shares = candidates.get("greedy_cost").choosing
    assert shares is not None
    per_ms, per_mib = found.charges()
    return (
        f"The choice 'greedy, charged for costs' counts a millisecond of p99 as {per_ms:.2g}, {100 * shares.ms_share:g} % of the"
        f" best member's loss, and a MiB as {per_mib:.2g}, {100 * shares.mib_share:g} %, as the candidate greedy_cost does."
    )


def _rows(frame: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    """Rows of plain Python values."""
    return tuple(
        {str(k): v.item() if isinstance(v, np.generic) else v for k, v in row.items()} for row in frame.to_dict("records")
    )


def _subsets(found: Simulation) -> tuple[dict[str, Any], ...]:
    n = 1 << found.table.n_members
    # Odd: an even step from 1 would show none but those that hold the first member.
    step = (n - 1) // SHOWN_SUBSETS | 1
    served, test = found.table.costs(), found.table.test[found.metric]
    return tuple(
        {
            "size": s.bit_count(),
            "test": float(test[s]),
            "latency_ms": float(served.latency_ms[s]),
            "memory_mib": float(served.memory_mib[s]),
        }
        for s in range(1, n, step)
    )


def _hypervolume(found: Simulation) -> float:
    from shipworthy import simulation

    points = simulation.objectives(found.table, found.metric)[1:]
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - low) / np.where(high > low, high - low, 1.0)
    return simulation.hypervolume(scaled, np.ones(3))


@dataclass(frozen=True, slots=True)
class _Pair:
    """What is kept of a pair at all its thresholds, which are as many as there are rows: its best, and its cheapest good one."""

    how: ConfidenceName
    members: tuple[str, ...]
    best: CascadePick
    cheapest: tuple[float, float] | None
    """Mean latency (ms) and threshold, where it beats the most accurate member alone; None where it nowhere does."""


def _pairs(found: Simulation) -> list[_Pair]:
    """Every ordered pair, by margin and by entropy; with two classes they order rows alike, so margin is enough."""
    from shipworthy import simulation

    drawn, alone = _drawn(found), _most_accurate_alone(found)
    hows: tuple[ConfidenceName, ...] = ("margin", "entropy") if found.votes.task == "multiclass" else ("margin",)
    # One at a time: of a million rows, those of a dozen members would take gigabytes.
    return [
        _Pair(how, c.members, simulation.best_cascade([c]), _cheapest(c, alone))
        for how in hows
        for c in simulation.each_pair_cascade(found.votes, drawn, how=how)
    ]


def _cheapest(cascade: PairCascade, alone: tuple[float, float]) -> tuple[float, float] | None:
    # A cascade that hardly ever or nearly always asks the second is no cascade.
    good = np.flatnonzero(_beats(cascade, alone) & (cascade.early > LEAST_SHARE) & (cascade.early < 1 - LEAST_SHARE))
    if not len(good):
        return None
    place = int(good[cascade.mean_ms[good].argmin()])
    return float(cascade.mean_ms[place]), written_threshold(cascade.thresholds, place)


def _drawn(found: Simulation) -> dict[str, Any]:
    from shipworthy import simulation

    return simulation.latency_samples(found.table.names, found.measurements, np.random.default_rng(0))


def _told_pairs(pairs: Sequence[_Pair], cheap: Mapping[str, Any] | None) -> list[_Pair]:
    """The pair that is picked, and those that are the most accurate out of fold: three, each with a first member of its own."""
    picked = (cheap["confidence"], tuple(cheap["members"])) if cheap else None
    firsts: dict[str, _Pair] = {}
    for pair in sorted(pairs, key=lambda pair: ((pair.how, pair.members) != picked, -pair.best.accuracy)):
        firsts.setdefault(pair.members[0], pair)
    return list(firsts.values())[:3]


def _cascades(
    found: Simulation, pairs: Sequence[_Pair], agreed: Mapping[tuple[str, str, str], TripleCascade]
) -> list[dict[str, Any]]:
    from shipworthy import simulation

    rows = [{"confidence": pair.how, **_cascade_row(pair.best)} for pair in pairs]
    if agreed:
        best = _most_accurate(found)
        hows: tuple[ConfidenceName, ...] = ("margin", "entropy") if found.votes.task == "multiclass" else ("margin",)
        triples = {how: simulation.exact_triples(best, _drawn(found), how=how) for how in hows}
        rows += [{"confidence": how, **_cascade_row(three.best())} for how, three in triples.items()]
        rows.append({"confidence": "agreement", **_cascade_row(simulation.best_cascade(agreed.values()))})
    return sorted(rows, key=lambda row: (-round(row["accuracy"], 12), row["mean_ms"]))


def _by_agreement(found: Simulation) -> dict[tuple[str, str, str], TripleCascade]:
    """Triples by agreement, of the most accurate members; none of fewer than three members."""
    from shipworthy import simulation

    if len(found.table.names) < 3:
        return {}
    return simulation.triple_cascades(_most_accurate(found), _drawn(found), how="agreement")


def _most_accurate(found: Simulation) -> Votes:
    right = {name: _oof_accuracy(found, name) for name in found.table.names}
    return found.votes.only(tuple(sorted(right, key=lambda name: (-right[name], name))[:TRIPLES_OF]))


def _oof_accuracy(found: Simulation, name: str) -> float:
    rows = found.votes.oof
    return float((rows.said[found.votes.names.index(name)].argmax(axis=0) == rows.y).mean())


def _cascade_row(chosen: CascadePick) -> dict[str, Any]:
    return {**asdict(chosen), "members": list(chosen.members), "thresholds": list(chosen.thresholds)}


def _curve(found: Simulation, pair: _Pair) -> dict[str, Any]:
    from shipworthy import simulation

    cascade = next(iter(simulation.each_pair_cascade(found.votes.only(pair.members), _drawn(found), how=pair.how)))
    places = np.unique(np.linspace(0, len(cascade.thresholds) - 1, SHOWN_THRESHOLDS).astype(int))
    columns = ("thresholds", "early", "accuracy", "accuracy_test", "mean_ms", "percentile_ms")
    return {"members": list(cascade.members), "confidence": pair.how} | {c: getattr(cascade, c)[places].tolist() for c in columns}


def _alone(found: Simulation) -> list[dict[str, Any]]:
    drawn, rows = _drawn(found), found.votes.test
    right = (rows.said.argmax(axis=1) == rows.y).mean(axis=1)
    return [
        {"name": name, "accuracy": float(right[i]), "mean_ms": float(drawn[name].mean())}
        for i, name in enumerate(found.table.names)
    ]


# -- picks ----------------------------------------------------------------------------------------------------------------------


def _picks(found: Simulation, ways: pd.DataFrame, cascades: Sequence[Mapping[str, Any]], asked: Asked) -> list[dict[str, Any]]:
    from shipworthy import simulation

    front = simulation.frontier(found.table, found.metric)
    bend = np.zeros(1 << found.table.n_members, bool)
    bend[front[simulation.knee(simulation.objectives(found.table, found.metric)[front])]] = True
    chosen = {
        "sim_best": ("the best of all subsets", simulation.pick(found.table, found.metric)),
        "sim_knee": ("the knee of the front", simulation.pick(found.table, found.metric, bend)),
    }
    try:
        within = found.within(latency_ms=asked.latency_budget_ms, memory_mib=asked.memory_budget_mib)
        example = " (for example; not all of it is declared)" if asked.examples else ""
        budget = f"{asked.latency_budget_ms:g} ms and {asked.memory_budget_mib:g} MiB"
        chosen["sim_budget"] = (f"the best within {budget}{example}", within)
    except InputError:  # nothing fits the budget: the other picks say what there is
        pass
    picks = [_pick_row(name, why, pick) for name, (why, pick) in chosen.items()]
    weighted = ways[ways["way"] == "greedy, weighted"].to_dict("records")[0]
    members = weighted["members"].split(" + ")
    # As many digits as anybody writes into a study; what is predicted is what those do.
    weights = [round(w, 4) for w in weighted["weights"]]
    shares = np.zeros(found.library.n_members)
    shares[found.library.positions(tuple(members))] = np.array(weights) / sum(weights)
    oof, test = (scored[found.metric] for scored in simulation.scores(found.library, shares))
    picks.append(
        {
            "name": "sim_weighted",
            "why": "the greedy choice with weights",
            "members": members,
            "weights": weights,
            "oof": oof,
            "test": test,
            **{k: float(weighted[k]) for k in ("latency_ms", "memory_mib")},
        }
    )
    picks += map(dict, cascades)
    return [{"kind": "simulated", **pick, "line": pick_line(pick)} for pick in picks]


def _pick_row(name: str, why: str, pick: Pick) -> dict[str, Any]:
    shares = [round(1 / len(pick.members), 4)] * len(pick.members)
    facts = {k: getattr(pick, k) for k in ("oof", "test", "latency_ms", "latency_low_ms", "latency_high_ms", "memory_mib")}
    return {"name": name, "why": why, "members": list(pick.members), "weights": shares, **facts}


def _cheap_cascade(found: Simulation, pairs: Sequence[_Pair]) -> dict[str, Any] | None:
    """The pair with the least mean latency of those that beat the most accurate member alone."""
    options = [(*pair.cheapest, pair) for pair in pairs if pair.cheapest]
    if not options:
        return None
    _, threshold, pair = min(options, key=lambda option: (option[0], option[2].how, option[2].members))
    why = "the fastest pair that is as accurate out of fold as the most accurate member"
    return _cascade_pick(found, "sim_cascade", why, pair.members, [threshold], pair.how)


def _agreed_cascade(found: Simulation, agreed: Mapping[tuple[str, str, str], TripleCascade]) -> dict[str, Any] | None:
    """The triple by agreement of which the same is true, and of which the third is asked of some rows."""
    alone = _most_accurate_alone(found)
    good = [c for c in agreed.values() if _beats(c, alone).item() and LEAST_SHARE < c.later.item() < 1 - LEAST_SHARE]
    if not good:
        return None
    best = min(good, key=lambda c: (c.mean_ms.item(), c.members))
    why = "the fastest three, the third asked where two differ, that are as accurate out of fold as the most accurate member"
    return _cascade_pick(found, "sim_agreement", why, best.members, [], "agreement")


def _most_accurate_alone(found: Simulation) -> tuple[float, float]:
    """Out-of-fold accuracy of the most accurate member, and the mean latency of the fastest that has it."""
    right, drawn = {name: _oof_accuracy(found, name) for name in found.table.names}, _drawn(found)
    best = max(right.values())
    return best, min(float(drawn[name].mean()) for name, share in right.items() if share == best)


def _beats(cascade: PairCascade | TripleCascade, alone: tuple[float, float]) -> NDArray[np.bool_]:
    """Where a cascade is as accurate out of fold as the most accurate member, and faster or more accurate than it."""
    share, mean_ms = alone
    as_good = (cascade.accuracy >= share - ROUNDING) & (cascade.mean_ms < mean_ms)
    return np.asarray((cascade.accuracy > share + ROUNDING) | as_good)


def _cascade_pick(
    found: Simulation, name: str, why: str, members: Sequence[str], thresholds: Sequence[float], how: ConfidenceName
) -> dict[str, Any]:
    from shipworthy import simulation

    chosen = simulation.one_cascade(found.votes, _drawn(found), members, thresholds, how=how)
    return {
        "name": name,
        "why": why,
        "members": list(members),
        "thresholds": list(thresholds),
        "confidence": how,
        "early": chosen.early,
        "oof": chosen.accuracy,
        "test": chosen.accuracy_test,
        "mean_ms": chosen.mean_ms,
        "latency_ms": chosen.percentile_ms,
        "memory_mib": _memory_of(found, members),
    }


def _memory_of(found: Simulation, members: Sequence[str]) -> float:
    return float(found.table.costs().memory_mib[found.table.subset(members)])
