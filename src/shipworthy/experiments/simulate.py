"""Simulate every ensemble of an arm's members from what they said and what they were measured to cost, and tabulate it.

The law of costs is calibrated on the ensembles among the candidates that were built and measured; where fewer than two were, its
error is not known, and the frames say so by ``nan``.

This experiment does *not* know which of the simulated ensembles anybody will build, and measures none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from shipworthy.experiments.arms import Arm
from shipworthy.experiments.ensembles import ensure_trained, votes_with
from shipworthy.experiments.latency_and_memory import measure_latency_and_memory, measurements_of
from shipworthy.experiments.workbench import Workbench
from shipworthy.records import InputError, Measurement, Prices

if TYPE_CHECKING:
    import pandas as pd

    from shipworthy.simulation import Build, CostModel, Pick, SubsetTable, Votes


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
        Of the members.
    """

    votes: Votes
    table: SubsetTable
    model: CostModel
    metric: str
    measurements: tuple[Measurement, ...]

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

    def short_cuts(self, *, steps: int = 50) -> pd.DataFrame:
        """Ways to select without trying every subset, each beside the exact best: the price of greed.

        Parameters
        ----------
        steps : int
            Of the greedy selections.

        Returns
        -------
        DataFrame
            ``way``, ``members``, ``oof``, ``test``, ``gap_oof`` and ``gap_test`` (above 0, the way cost something),
            ``latency_ms``, ``memory_mib``; the exact best first.
        """
        import pandas as pd

        from shipworthy import simulation

        costs = tuple(simulation.member_cost(name, self.measurements) for name in self.table.names)
        priced = simulation.PricedCosts(costs, model=self.model)
        ways = {
            "top 3": simulation.top_vote(self.votes, self.metric, min(3, self.table.n_members), priced=priced),
            "greedy": simulation.greedy(self.votes, self.metric, replacement=False, priced=priced),
            "greedy, weighted": simulation.greedy(self.votes, self.metric, steps=steps, priced=priced),
            "beam": simulation.beam(self.votes, self.metric, priced=priced),
        }
        if self.metric != "accuracy":
            ways["convex weights"] = simulation.convex_weights(self.votes, self.metric, priced=priced)
        exact = _row(simulation.pick(self.table, self.metric))
        rows = [{"way": "every subset", **exact, "gap_oof": 0.0, "gap_test": 0.0}]
        for way, chosen in ways.items():
            greed = simulation.price_of_greed(self.table, chosen)
            facts = {"members": " + ".join(chosen.members), "oof": chosen.oof[self.metric], "test": chosen.test[self.metric]}
            facts |= {"optimism": chosen.optimism, "latency_ms": chosen.latency_ms, "memory_mib": chosen.memory_mib}
            rows.append({"way": way, **facts, "gap_oof": greed.gap_oof, "gap_test": greed.gap_test})
        return pd.DataFrame(rows)

    def worth(self) -> pd.DataFrame:
        """What each member is worth on test rows, and what the vote of all would be without it; the most useful first.

        Returns
        -------
        DataFrame
            Columns as the fields of :class:`~shipworthy.simulation.MemberWorth`.
        """
        import pandas as pd

        from shipworthy import simulation

        return pd.DataFrame([asdict(w) for w in simulation.member_worth(self.table, self.metric)])

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
        pairs = simulation.pair_cascades(self.votes, drawn)
        keep = [c for c in pairs.values() if (c.percentile_ms <= percentile_ms).any()]
        picks = [asdict(simulation.best_cascade([c], percentile_ms=percentile_ms)) for c in keep]
        frame = pd.DataFrame(picks)
        return frame.sort_values(["accuracy", "mean_ms"], ascending=[False, True], ignore_index=True) if picks else frame


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
    members = [name for name, c in there.items() if not c.members]
    if len(members) < 2:
        raise InputError(
            f"{arm.title}: a simulation needs two members that are trained and measured, not {len(members)}: name more"
        )
    votes = simulation.line_up({name: trained[name].predictions for name in members}, bench.dataset(arm).task)
    costs = [simulation.member_cost(name, measured[name]) for name in members]
    composites = []
    for name in there:
        parts = votes_with(trained[name])
        if len(parts) > 1 and set(parts) <= set(members):
            facts = simulation.member_cost(name, measured[name])
            how = simulation.Build(stacked="weights" not in trained[name].notes)
            composites.append(simulation.Composite(parts, facts.latency_ms, facts.memory_mib, how))
    model = simulation.calibrate(costs, composites) if len(composites) > 1 else simulation.CostModel()
    price: Callable[[float, float], float] | None = None
    if prices is not None:
        declared = prices

        def price(cpu_ms: float, memory_mib: float) -> float:
            return usd_per_million(cpu_ms, memory_mib, declared, traffic_queries_s)

    table = simulation.every_subset(votes, costs=costs, model=model, build=build, price=price)
    pooled = tuple(m for name in members for m in measured[name])
    return Simulation(votes, table, model, metric, pooled)
