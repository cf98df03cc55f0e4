"""Assemble ensembles of models from members that are already fitted; no member is ever trained twice.

This experiment does *not* know how members are chosen: the catalogue names them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from shipworthy.experiments.arms import Arm, members_in
from shipworthy.experiments.own_estimators import candidate_in
from shipworthy.experiments.single_models import candidates_for, hand_over, train_single_models, trained_table
from shipworthy.experiments.workbench import Workbench
from shipworthy.records import Candidate, Costs, InputError, Trained

if TYPE_CHECKING:
    import pandas as pd


def _assemble(bench: Workbench, arm: Arm, candidate: Candidate) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        from shipworthy import training
        from shipworthy.measurement import measure_costs

        units = {m: bench.fit_unit(arm, m) for m in members_in(arm, candidate.name)}
        if absent := [m for m, unit in units.items() if not bench.done(unit)]:
            raise InputError(f"{candidate.name} cannot be assembled on {arm.title}: its member {absent[0]} is not trained")
        members = {m: training.load(bench.part(unit)) for m, unit in units.items()}
        trained = training.assemble(
            candidate, members, bench.dataset(arm), folder=folder, random_state=arm.seed, meter=measure_costs
        )
        hand_over(bench, arm, candidate, replace(trained, costs=_with_members(trained, members)), folder)

    return work


def _with_members(trained: Trained, members: Mapping[str, Trained]) -> Costs:
    """What an ensemble costs whoever has none of its members yet.

    Their final fits and the assembling; and their out-of-fold fits where a final estimator was fitted on what they said there.
    """
    parts = {"assembly": trained.costs, **{name: m.costs for name, m in members.items()}}
    wall, cpu = sum(c.wall_s for c in parts.values()), sum(c.cpu_s for c in parts.values())
    if trained.notes["needs_out_of_fold"]:
        cpu += sum(m.notes["oof_cpu_s"] for m in members.values())
        walls = [m.notes["oof_wall_s"] for m in members.values()]  # null where other work shared the machine
        wall = math.nan if None in walls else wall + sum(walls)
    known = {name: c.memory_mib for name, c in parts.items() if not math.isnan(c.memory_mib)}
    unknown = [f"not known of {name} ({c.memory_how})" for name, c in parts.items() if name not in known]
    largest = max(known, key=lambda name: known[name], default="")
    how = f"the largest of members and assembly, that of {largest} ({parts[largest].memory_how})" if largest else ""
    return Costs(wall, cpu, known.get(largest, math.nan), "; ".join(h for h in (how, *unknown) if h))


def build_ensembles(bench: Workbench, arm: Arm, names: Sequence[str]) -> pd.DataFrame:
    """Assemble every named ensemble of models, training members that are not trained yet.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    names : sequence of str
        Candidates; those that are no ensembles of models are passed over here.

    Returns
    -------
    DataFrame
        As from :func:`~shipworthy.experiments.single_models.train_single_models`. The costs are those of the members' final
        fits and of assembling, together; of a stack also those of its members' out-of-fold fits, which it learns from.

    Raises
    ------
    InputError
        Before any work, for a name or task that cannot be.
    UnitsFailedError
        After all, naming the ensembles that failed.
    """
    chosen = candidates_for(arm, bench.dataset(arm), names, ensembles=True)
    members = [m for c in chosen for m in members_in(arm, c.name) if not bench.done(bench.fit_unit(arm, m))]
    if members and not bench.in_study:
        # Alone in JupyterLab a notebook makes what it needs. In a study the members' own notebook has had its turn.
        train_single_models(bench, arm, members)
    bench.make_all((bench.fit_unit(arm, c.name), _assemble(bench, arm, c)) for c in chosen)
    return trained_table(bench, [(bench.fit_unit(arm, c.name), c) for c in chosen])


def ensure_trained(bench: Workbench, arm: Arm, names: Sequence[str]) -> list[Candidate]:
    """Train and assemble what is missing, and return the candidates of these names that are there.

    In a study nothing is trained here: a candidate whose training failed is left out, and the report says so.
    """
    chosen = [arm.candidate(name) for name in dict.fromkeys(names)]
    if not bench.in_study:
        train_single_models(bench, arm, names)
        build_ensembles(bench, arm, names)
    there = [c for c in chosen if bench.done(bench.fit_unit(arm, c.name))]
    if not there:
        raise InputError(f"none of the candidates is trained on {arm.title}: {', '.join(names)}; see what their training says")
    return there


def member_correlations(bench: Workbench, arm: Arm, names: Sequence[str]) -> pd.DataFrame:
    """How alike candidates rank the rows that they did not train on: Spearman correlations of out-of-fold predictions.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    names : sequence of str
        Candidates; those that are not trained are left out.

    Returns
    -------
    DataFrame, shape (n_candidates, n_candidates)
        1 on the diagonal. For more than two classes, correlations of the probability of the last class.
    """
    import pandas as pd

    from shipworthy import training

    said = {}
    for candidate in ensure_trained(bench, arm, names):
        said[candidate.name] = training.load(bench.part(bench.fit_unit(arm, candidate.name))).predictions.oof[:, -1]
    return pd.DataFrame(said).corr(method="spearman")


def kinds(names: Sequence[str], arm: Arm | None = None) -> dict[str, str]:
    """The kind of each candidate: single, tree_ensemble or ensemble; an ``arm`` knows somebody's own estimators too.

    Examples
    --------
    >>> kinds(["xgboost", "stack"])
    {'xgboost': 'tree_ensemble', 'stack': 'ensemble'}
    """
    return {name: candidate_in(name, arm.own if arm else ()).kind for name in names}
