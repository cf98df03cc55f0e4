"""Simulate every ensemble of an arm's members from what they said and what they were measured to cost, and tabulate it.

The law of costs is calibrated on the ensembles among the candidates that were built and measured; where fewer than two were, its
error is not known, and the frames say so by ``nan``.

This experiment does *not* know which of the simulated ensembles anybody will build, and measures none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from shipworthy.experiments.arms import Arm
from shipworthy.experiments.ensembles import ensure_trained, votes_with
from shipworthy.experiments.latency_and_memory import measure_latency_and_memory, measurements_of
from shipworthy.experiments.workbench import Workbench
from shipworthy.records import QUANTITIES, ConfidenceName, InputError, Measurement, Predictions, Prices, Trained

if TYPE_CHECKING:
    import pandas as pd

    from shipworthy.simulation import (
        Build,
        CascadePick,
        Composite,
        CostModel,
        MemberCost,
        Pick,
        SubsetTable,
        Votes,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """An ensemble of the members that was built and measured: the reality that a simulation is held against.

    Parameters
    ----------
    name : str
    members : tuple of str
    weights : tuple of float
        Of a vote, one for each member, together 1; empty for what is no vote of its members.
    thresholds : tuple of float
        Of a cascade, one for each member but the last; none by agreement.
    confidence : str
        Of a cascade; empty for all else.
    stacked : bool
        Whether a final estimator was fitted on what the members say.
    said : Predictions
    measurements : tuple of Measurement
    """

    name: str
    members: tuple[str, ...]
    weights: tuple[float, ...]
    thresholds: tuple[float, ...]
    confidence: str
    stacked: bool
    said: Predictions
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """Every ensemble of some members on paper.

    Parameters
    ----------
    votes : Votes
    table : SubsetTable
    model : CostModel
        With how far it was off on the ensembles that were measured.
    metric : str
        The one that subsets are chosen by.
    measurements : tuple of Measurement
        Of all members.
    built : tuple of Built
        The ensembles of these members that exist.
    build : Build, optional
        That is assumed of the ensembles on paper.
    everyone : Votes, optional
        Of all members, where they are more than those of the table: what the short cuts choose among. Left out, the same.
    """

    votes: Votes
    table: SubsetTable
    model: CostModel
    metric: str
    measurements: tuple[Measurement, ...]
    built: tuple[Built, ...] = ()
    build: Build | None = None
    everyone: Votes | None = None

    @property
    def assumed(self) -> Build:
        """How the ensembles are assumed to be built: one member after another on one core, unless another build is asked for."""
        from shipworthy import simulation

        return self.build or simulation.Build()

    def law(self) -> str:
        """Which build is assumed and how far its predicted costs may be trusted, in sentences."""
        untested = "" if self.assumed.as_built_here else (
            " No ensemble was built so, and a cascade never is: what follows is of ensembles whose members run one after another."
        )  # fmt: skip
        return f"{self.assumed.sentence()}{untested} {self.model.sentence()}"

    @property
    def library(self) -> Votes:
        """What all members said: those of the table, and those that it has no room for."""
        return self.everyone or self.votes

    def costs(self, percentile: float | None = 99) -> list[MemberCost]:
        """What each of all members was measured to cost, at a percentile of its latency or, of ``None``, at its mean."""
        from shipworthy import simulation

        return [simulation.member_cost(name, self.measurements, percentile=percentile) for name in self.library.names]

    def frontier(self) -> pd.DataFrame:
        """The subsets that no other beats on out-of-fold metric, latency and memory, the fastest first.

        Returns
        -------
        DataFrame
            ``members``, ``size``, ``oof``, ``test``, ``roc_auc`` (test rows; classification), ``latency_ms`` with its ends,
            ``memory_mib``, ``size_mib``, ``usd_per_million`` and ``knee``, true for one.
        """
        import pandas as pd

        from shipworthy import simulation

        front = simulation.frontier(self.table, self.metric)
        served = self.table.costs()
        columns: dict[str, object] = {
            "members": [" + ".join(self.table.members(s)) for s in front.tolist()],
            "size": [s.bit_count() for s in front.tolist()],
            "oof": self.table.oof[self.metric][front],
            "test": self.table.test[self.metric][front],
        }
        if self.votes.task != "regression":
            columns["roc_auc"] = simulation.roc_auc(self.votes, front, "test")
        for name in ("latency_ms", "latency_low_ms", "latency_high_ms", "memory_mib", "size_mib"):
            columns[name] = getattr(served, name)[front]
        columns["usd_per_million"] = np.full(len(front), np.nan) if self.table.usd is None else self.table.usd[front]
        columns["knee"] = np.arange(len(front)) == simulation.knee(simulation.objectives(self.table, self.metric)[front])
        return pd.DataFrame(columns).sort_values(["latency_ms", "memory_mib"], kind="stable", ignore_index=True)

    def by_size(self) -> pd.DataFrame:
        """The best subset of each size on out-of-fold rows: what one member more still brings.

        Returns
        -------
        DataFrame
            ``size``, ``members``, ``oof``, ``test``, ``optimism``, ``latency_ms``, ``memory_mib``.
        """
        import pandas as pd

        from shipworthy import simulation

        n = self.table.n_members
        sizes = np.array([s.bit_count() for s in range(1 << n)])
        picks = [simulation.pick(self.table, self.metric, sizes == size) for size in range(1, n + 1)]
        return pd.DataFrame([{"size": size, **_row(p)} for size, p in enumerate(picks, start=1)])

    def charges(self) -> tuple[float, float]:
        """What a millisecond and a mebibyte are charged, in the metric's unit: shares of the loss of the best member alone.

        The shares are those of the candidate ``greedy_cost``. The loss of an accuracy is what it lacks to 1.
        """
        from shipworthy import candidates, simulation

        shares = candidates.get("greedy_cost").choosing
        assert shares is not None
        least = simulation.top_vote(self.library, self.metric, 1).oof[self.metric]
        least = 1 - least if QUANTITIES[self.metric].greater_is_better else least
        return shares.ms_share * least, shares.mib_share * least

    def short_cuts(self, *, steps: int = 50) -> pd.DataFrame:
        """Ways to select without trying every subset, each beside the exact best: the price of greed.

        They choose among all members, the exact best among those of the table.

        Parameters
        ----------
        steps : int
            Of the greedy selections. One of them is charged for costs, as :meth:`charges` says.

        Returns
        -------
        DataFrame
            ``way``, ``members``, ``weights``, ``oof``, ``test``, ``gap_oof`` and ``gap_test`` (above 0, the way cost something),
            ``latency_ms``, ``memory_mib``; the exact best first.
        """
        import pandas as pd

        from shipworthy import simulation

        votes = self.library
        priced = simulation.PricedCosts(tuple(self.costs()), model=self.model, build=self.assumed)
        per_ms, per_mib = self.charges()
        charged = replace(priced, per_ms=per_ms, per_mib=per_mib)
        ways = {
            "top 3": simulation.top_vote(votes, self.metric, min(3, votes.n_members), priced=priced),
            "greedy": simulation.greedy(votes, self.metric, replacement=False, priced=priced),
            "greedy, weighted": simulation.greedy(votes, self.metric, steps=steps, priced=priced),
            "greedy, charged for costs": simulation.greedy(votes, self.metric, steps=steps, priced=charged),
            "beam": simulation.beam(votes, self.metric, priced=priced),
        }
        if self.metric != "accuracy":
            ways["convex weights"] = simulation.convex_weights(votes, self.metric, priced=priced)
        best = simulation.pick(self.table, self.metric)
        shares = [1 / len(best.members)] * len(best.members)
        rows = [{"way": "every subset", **_row(best), "weights": shares, "gap_oof": 0.0, "gap_test": 0.0}]
        for way, chosen in ways.items():
            greed = simulation.price_of_greed(self.table, chosen)
            facts = {"members": " + ".join(chosen.members), "oof": chosen.oof[self.metric], "test": chosen.test[self.metric]}
            facts |= {"optimism": chosen.optimism, "latency_ms": chosen.latency_ms, "memory_mib": chosen.memory_mib}
            facts |= {"weights": list(chosen.weights)}
            rows.append({"way": way, **facts, "gap_oof": greed.gap_oof, "gap_test": greed.gap_test})
        return pd.DataFrame(rows)

    def worth(self) -> pd.DataFrame:
        """What each member is worth on test rows, and what the vote of all would be without it; the most useful first.

        Returns
        -------
        DataFrame
            Columns as the fields of :class:`~shipworthy.simulation.MemberWorth`; of a classification also ``accuracy_gain``, the
            Shapley value in accuracy, and its sentences begin with the ROC AUC.
        """
        import pandas as pd

        from shipworthy import simulation

        if self.votes.task == "regression":
            return pd.DataFrame([asdict(w) for w in simulation.member_worth(self.table, self.metric)])
        # A sort for each: of the vote of all and of those that lack one member, not of every subset.
        whole = (1 << self.table.n_members) - 1
        lacking = [whole, *(whole & ~(1 << i) for i in range(self.table.n_members))]
        ranked = dict(zip(lacking, simulation.roc_auc(self.votes, lacking, "test").tolist(), strict=True))
        worth = simulation.member_worth(self.table, self.metric, also={"roc_auc": ranked})
        right = {w.name: w.gain for w in simulation.member_worth(self.table, "accuracy")}
        return pd.DataFrame([asdict(w) | {"accuracy_gain": right[w.name]} for w in worth])

    def within(self, *, latency_ms: float, memory_mib: float) -> Pick:
        """What to build with a budget; as :func:`shipworthy.simulation.best_within`."""
        from shipworthy import simulation

        return simulation.best_within(self.table, self.metric, latency_ms=latency_ms, memory_mib=memory_mib)

    def cascades(self, *, percentile_ms: float = np.inf, seed: int = 0) -> pd.DataFrame:
        """The most accurate threshold of every ordered pair of members, chosen on out-of-fold rows, the most accurate first.

        Parameters
        ----------
        percentile_ms : float
            Limit of the p99 latency; pairs that cannot keep it are left out.
        seed : int
            Of the latencies that are drawn from those that were measured.

        Returns
        -------
        DataFrame
            Columns as the fields of :class:`~shipworthy.simulation.CascadePick`.
        """
        import pandas as pd

        from shipworthy import simulation

        drawn = simulation.latency_samples(self.table.names, self.measurements, np.random.default_rng(seed))
        picks = [
            asdict(simulation.best_cascade([c], percentile_ms=percentile_ms))
            for c in simulation.each_pair_cascade(self.votes, drawn)
            if (c.percentile_ms <= percentile_ms).any()
        ]
        frame = pd.DataFrame(picks)
        return frame.sort_values(["accuracy", "mean_ms"], ascending=[False, True], ignore_index=True) if picks else frame

    def reality(self) -> pd.DataFrame:
        """Every ensemble that was built, beside what the simulation says of it.

        What calibrated the law never tests it: each is predicted by a law that was calibrated on the others, of which another
        vote of the same members is none, and by the plain sum of its members where fewer than two others were built. Each is
        predicted as it was built, one member after another, whatever build is assumed of the others: a prediction for another
        build meets no reality.

        Returns
        -------
        DataFrame
            ``candidate``, ``members``, ``law`` (how many others calibrated it), ``confidence`` (of a cascade), ``metric``; that,
            the mean, median and p99 latency and the memory, each as predicted (``..._predicted``) and as measured
            (``..._measured``). A stack's metric is not simulated. A cascade's is its accuracy, and its latency is not by the law:
            it is that of its members, at the out-of-fold shares of rows that each answers.
        """
        import pandas as pd

        from shipworthy import simulation

        rows = []
        for built in self.built:
            # Another vote of the same members takes as long, whatever its weights: who measured that has measured this.
            same = None if built.confidence else (set(built.members), built.stacked)
            others = [b for b in self.built if (set(b.members), b.stacked) != same]
            taught = len(composites_of(others))
            row: dict[str, object] = {"candidate": built.name, "members": " + ".join(built.members)}
            row |= {
                "law": taught if taught > 1 else 0,
                "confidence": built.confidence,
                "metric": self._judged_by(built),
                "metric_predicted": self._metric_of(built),
            }
            said = simulation.line_up({built.name: built.said, " ": built.said}, self.votes.task)
            row["metric_measured"] = simulation.scores(said, np.array([1.0, 0.0]))[1][self._judged_by(built)]
            for statistic, percentile in (("mean", None), ("p50", 50.0), ("p99", 99.0)):
                served, measured = self._predicted(built, others, percentile), built_cost(built, percentile)
                row |= {f"{statistic}_predicted": served[0], f"{statistic}_measured": measured.latency_ms}
                row |= {"memory_predicted": served[1], "memory_measured": measured.memory_mib}
            rows.append(row)
        return pd.DataFrame(rows)

    def _judged_by(self, built: Built) -> str:
        return "accuracy" if built.confidence else self.metric

    def _metric_of(self, built: Built) -> float:
        from shipworthy import simulation

        if built.weights:
            weights = np.zeros(self.library.n_members)
            weights[self.library.positions(built.members)] = built.weights
            return simulation.scores(self.library, weights)[1][self.metric]
        if built.confidence:
            return self._cascade_of(built, 99.0).accuracy_test
        return np.nan

    def _cascade_of(self, built: Built, percentile: float) -> CascadePick:
        from shipworthy import simulation

        drawn = simulation.latency_samples(self.library.names, self.measurements, np.random.default_rng(0))
        how = cast("ConfidenceName", built.confidence)
        return simulation.one_cascade(self.library, drawn, built.members, built.thresholds, how=how, percentile=percentile)

    def _predicted(self, built: Built, others: Sequence[Built], percentile: float | None) -> tuple[float, float]:
        """Latency (ms) and memory (MiB)."""
        from shipworthy import simulation

        costs = self.costs(percentile)
        tests = composites_of(others, percentile)
        model = simulation.calibrate(costs, tests) if len(tests) > 1 else simulation.CostModel()
        membership = np.array([[c.name in built.members for c in costs]])
        served = simulation.serve(costs, membership, model=model, build=simulation.Build(stacked=built.stacked))
        latency = float(served.latency_ms[0])
        if built.confidence:
            cascade = self._cascade_of(built, 99.0 if percentile is None else percentile)
            latency = cascade.mean_ms if percentile is None else cascade.percentile_ms
        return latency, float(served.memory_mib[0])


def built_cost(built: Built, percentile: float | None = 99) -> MemberCost:
    """What an ensemble was measured to cost, at a percentile of its latency or, of ``None``, at its mean."""
    from shipworthy import simulation

    return simulation.member_cost(built.name, built.measurements, percentile=percentile)


def priced(measured: Sequence[Measurement]) -> bool:
    """Whether it is known what serving a member costs: its single-stream latency, and its memory."""
    known = {m.quantity for m in measured if m.round_index and m.conditions.scenario in {"single_stream", "none"}}
    return {"latency_ms", "memory_mib"} <= known


def composite_of(built: Built, percentile: float | None = 99) -> Composite:
    """An ensemble that was measured, as the law of costs is calibrated on it."""
    from shipworthy import simulation

    cost = built_cost(built, percentile)
    return simulation.Composite(built.members, cost.latency_ms, cost.memory_mib, simulation.Build(stacked=built.stacked))


def composites_of(built: Sequence[Built], percentile: float | None = 99) -> list[Composite]:
    """What a law of costs learns from ensembles that were measured: from several of the same members, their mean.

    Weights cost nothing, so several votes of the same members are one ensemble measured again. Each left out in turn, the others
    would foretell it, and the law would look as sure of ensembles of other members. A cascade teaches nothing: it asks some
    members of some queries.
    """
    alike: dict[tuple[frozenset[str], bool], list[Composite]] = {}
    for b in built:
        if not b.confidence:
            alike.setdefault((frozenset(b.members), b.stacked), []).append(composite_of(b, percentile))
    return [
        replace(
            same[0],
            latency_ms=float(np.mean([c.latency_ms for c in same])),
            memory_mib=float(np.mean([c.memory_mib for c in same])),
        )
        for same in alike.values()
    ]


def _built(name: str, members: tuple[str, ...], trained: Trained, measured: Sequence[Measurement]) -> Built:
    notes = trained.notes
    confidence = str(notes.get("confidence") or "")
    given = notes.get("weights") or ()
    # Weights may have been chosen by out-of-fold predictions; what has them is a vote all the same.
    stacked = bool(notes.get("needs_out_of_fold")) and not given
    weights = [float(given[m]) for m in members] if isinstance(given, Mapping) else list(map(float, given))
    if not weights and not stacked and not confidence:
        weights = [1.0] * len(members)
    total = sum(weights) or 1.0
    return Built(
        name=name,
        members=members,
        weights=tuple(w / total for w in weights),
        thresholds=tuple(map(float, notes.get("thresholds") or ())),
        confidence=confidence,
        stacked=stacked,
        said=trained.predictions,
        measurements=tuple(measured),
    )


def _best_alone(votes: Votes, metric: str, most: int) -> list[str]:
    """The best members by their own out-of-fold metric, in the order in which they stand."""
    from shipworthy import simulation

    alone = [simulation.scores(votes, weights)[0][metric] for weights in np.eye(votes.n_members)]
    better = -1.0 if QUANTITIES[metric].greater_is_better else 1.0
    best = set(np.argsort(better * np.array(alone), kind="stable")[:most])
    return [name for i, name in enumerate(votes.names) if i in best]


def _row(chosen: Pick) -> dict[str, object]:
    facts = {"members": " + ".join(chosen.members), "oof": chosen.oof, "test": chosen.test, "optimism": chosen.optimism}
    return {**facts, "latency_ms": chosen.latency_ms, "memory_mib": chosen.memory_mib}


def simulate_ensembles(
    bench: Workbench,
    arm: Arm,
    names: Sequence[str],
    *,
    metric: str = "log_loss",
    build: Build | None = None,
    prices: Prices | None = None,
    traffic_queries_s: float = 10.0,
    most_members: int = 20,
) -> Simulation:
    """Simulate every ensemble of an arm's members.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    names : sequence of str
        Candidates. Ensembles of models among them are not members: the law of costs is calibrated on them. What is missing is
        trained and measured, outside a study.
    metric : str
        The one that subsets are chosen by: log_loss, accuracy or brier; of a regression, rmse.
    build : Build, optional
        How the ensembles would be built; left out, one member after another on one core.
    prices : Prices, optional
        Given, each subset has a price.
    traffic_queries_s : float
        For the prices.
    most_members : int
        Of more, the best alone by their out-of-fold metric are in the table, which every further member doubles: at most 20. The
        short cuts choose among all, up to 200.

    Returns
    -------
    Simulation

    Raises
    ------
    InputError
        If fewer than two members are trained and measured, or the metric is none of the task's.
    """
    from shipworthy import simulation, training
    from shipworthy.feasibility import usd_per_million

    simulation.check_metric(metric, bench.dataset(arm).task)
    chosen = ensure_trained(bench, arm, names)
    if not bench.in_study:
        measure_latency_and_memory(bench, arm, [c.name for c in chosen])
    measured = {c.name: measurements_of(bench, arm, c.name) for c in chosen}
    there = {c.name: c for c in chosen if any(m.quantity == "latency_ms" and not m.failure for m in measured[c.name])}
    trained = {name: training.load(bench.part(bench.fit_unit(arm, name))) for name in there}
    members = [name for name, c in there.items() if not c.members and priced(measured[name])]
    for name in (name for name, c in there.items() if not c.members and name not in members):
        bench.notify(f"{arm.title}: {name} is in no ensemble on paper, as its latency alone or its memory is not known")
    if len(members) < 2:
        raise InputError(
            f"{arm.title}: a simulation needs two members that are trained and measured, not {len(members)}: name more"
        )
    everyone = simulation.line_up({name: trained[name].predictions for name in members}, bench.dataset(arm).task)
    if len(members) > simulation.MOST_MEMBERS:
        bench.notify(f"{arm.title}: the {simulation.MOST_MEMBERS} best of {len(members)} members, out of fold, are simulated")
        members = _best_alone(everyone, metric, simulation.MOST_MEMBERS)
        everyone = everyone.only(tuple(members))
    votes = everyone
    if len(members) > most_members:
        votes = everyone.only(tuple(_best_alone(everyone, metric, most_members)))
        bench.notify(
            f"{arm.title}: every subset of the {most_members} best members, out of fold; greedy, beam search and weights of all"
            f" {len(members)}"
        )
    costs = [simulation.member_cost(name, measured[name]) for name in members]
    built = []
    for name in there:
        # A cascade asks the next only where it must, so no vote of its parts adds up to it.
        parts = votes_with(trained[name]) or (
            tuple(trained[name].notes["members"]) if trained[name].notes.get("confidence") else ()
        )
        if len(parts) > 1 and set(parts) <= set(members):
            built.append(_built(name, parts, trained[name], measured[name]))
    composites = composites_of(built)
    model = simulation.calibrate(costs, composites) if len(composites) > 1 else simulation.CostModel()
    price: Callable[[float, float], float] | None = None
    if prices is not None:
        declared = prices

        def price(cpu_ms: float, memory_mib: float) -> float:
            return usd_per_million(cpu_ms, memory_mib, declared, traffic_queries_s)

    tabled = [c for c in costs if c.name in votes.names]
    table = simulation.every_subset(votes, costs=tabled, model=model, build=build, price=price)
    pooled = tuple(m for name in members for m in measured[name])
    return Simulation(votes, table, model, metric, pooled, tuple(built), build, everyone)
