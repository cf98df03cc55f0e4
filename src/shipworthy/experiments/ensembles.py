"""Assemble ensembles of models from members that are already fitted; no member that ships is ever trained twice.

This experiment does *not* know how members are chosen: the catalogue names them, or another module of ours asks simulation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from shipworthy.experiments.arms import Arm, members_in
from shipworthy.experiments.choosing import choose
from shipworthy.experiments.single_models import candidates_for, hand_over, train_single_models, trained_table, value_records
from shipworthy.experiments.workbench import Workbench
from shipworthy.records import Candidate, Costs, InputError, OwnModule, Record, Trained

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
        dataset, asked = bench.dataset(arm), candidate.choosing
        trusted = candidate.own.trusted if candidate.own else ()
        chosen, choosing = measure_costs(lambda: choose(asked, members, dataset, trusted)) if asked else (None, None)
        trained = training.assemble(
            candidate,
            members,
            dataset,
            folder=folder,
            random_state=arm.seed,
            meter=measure_costs,
            weights=chosen.weights if chosen else None,
            fold_weights=chosen.fold_weights if chosen else (),
        )
        if chosen and choosing:
            trained = replace(trained, costs=_sum(trained.costs, choosing), notes={**trained.notes, **chosen.notes})
        whole = _with_members(trained, members, bagged=candidate.bagged)
        made_of = _member_records(candidate, arm, trained, members)
        hand_over(bench, arm, candidate, replace(trained, costs=whole), folder, made_of)

    return work


def _sum(one: Costs, other: Costs) -> Costs:
    """What two pieces of work cost one after the other; the larger memory of the two."""
    larger = max(one, other, key=lambda c: -math.inf if math.isnan(c.memory_mib) else c.memory_mib)
    return replace(larger, wall_s=one.wall_s + other.wall_s, cpu_s=one.cpu_s + other.cpu_s)


def _member_records(candidate: Candidate, arm: Arm, trained: Trained, members: Mapping[str, Trained]) -> list[Record]:
    """What an ensemble is made of: the weight that each member has, if it is a vote, and its size on disk alone."""
    from shipworthy import artefacts

    values = [("models", "", float(trained.notes["models"]))]
    for name in trained.notes["members"]:
        values.append(("member_size_mib", name, artefacts.size_mib(Path(members[name].artefact))))
        if "weights" in trained.notes:
            values.append(("member_weight", name, trained.notes["weights"][name]))
    return value_records(candidate, arm, values)


def made_of(bench: Workbench, arm: Arm, names: Sequence[str]) -> pd.DataFrame:
    """What ensembles are made of: how many fitted models, which members with which weights, and how big each is on disk.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    names : sequence of str
        Ensembles that are assembled; others are passed over.

    Returns
    -------
    DataFrame
        One row an ensemble: ``models``; ``members`` in words, with weights where they vote; ``size of members (MiB)`` on disk,
        each alone, in the same order; ``size of the whole (MiB)``; ``chosen by``, empty where nothing was chosen.
    """
    import pandas as pd

    from shipworthy import artefacts, training

    rows = []
    for name in names:
        if not members_in(arm, name) or not bench.done(unit := bench.fit_unit(arm, name)):
            continue
        trained = training.load(bench.part(unit))
        sizes = {row["group"]: row["value"] for row in bench.read(unit) if row["quantity"] == "member_size_mib"}
        weights = trained.notes.get("weights", {})
        words = (f"{m} {weights[m]:.2f}".replace(" 0.", " .") if m in weights else m for m in trained.notes["members"])
        rows.append(
            {
                "ensemble": name,
                "models": trained.notes["models"],
                "members": ", ".join(words),
                "size of members (MiB)": ", ".join(f"{sizes[m]:.2f}" for m in trained.notes["members"]),
                "size of the whole (MiB)": round(artefacts.size_mib(Path(trained.artefact)), 2),
                "chosen by": trained.notes.get("chosen_by", ""),
            }
        )
    columns = ["ensemble", "models", "members", "size of members (MiB)", "size of the whole (MiB)", "chosen by"]
    return pd.DataFrame(rows, columns=columns).set_index("ensemble")


def models_in(bench: Workbench, arm: Arm, name: str) -> int:
    """How many fitted models an ensemble of models holds; 0 for what is none, or is not assembled yet.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    name : str

    Returns
    -------
    int
    """
    from shipworthy import training

    if not members_in(arm, name) or not bench.done(unit := bench.fit_unit(arm, name)):
        return 0
    return int(training.load(bench.part(unit)).notes["models"])


def votes_with(trained: Trained) -> tuple[str, ...]:
    """The members of an ensemble that asks each of them once, and combines what they say; empty for every other candidate."""
    members = tuple(trained.notes.get("members", ()))
    return members if trained.notes.get("asks_all") and trained.notes["models"] == len(members) else ()


def loading_takes(arm: Arm, trained: Trained) -> OwnModule | None:
    """What loading an artefact takes beyond the usual: of an ensemble that chose, what the members take that it chose."""
    candidate = arm.candidate(trained.candidate)
    if candidate.choosing is None:
        return candidate.own
    return OwnModule.together(arm.candidate(name).own for name in trained.notes["members"])


def _with_members(trained: Trained, members: Mapping[str, Trained], *, bagged: bool = False) -> Costs:
    """What an ensemble costs whoever has none of its members yet.

    The final fits of those that it takes, and the assembling; and the out-of-fold fits of all that it could have taken, where
    anything was learnt from what they said there. A bag needs those alone.
    """
    taken = () if bagged else trained.notes["members"]
    parts = {"assembly": trained.costs, **{name: members[name].costs for name in taken}}
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
    """The kind of each candidate: single, tree_ensemble or ensemble. An arm knows the study's own too.

    Examples
    --------
    >>> kinds(["xgboost", "stack"])
    {'xgboost': 'tree_ensemble', 'stack': 'ensemble'}
    """
    from shipworthy import candidates

    return {name: (arm.candidate(name) if arm else candidates.get(name)).kind for name in names}
