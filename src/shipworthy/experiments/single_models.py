"""Train single models and tree ensembles, once each, keeping what they said of rows that they did not see.

This experiment does *not* know how a model is served or judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from shipworthy.experiments.arms import Arm, check_candidate
from shipworthy.experiments.workbench import Unit, Workbench, record_rows, write_json
from shipworthy.records import QUANTITIES, Candidate, Costs, Dataset, Record, Trained

if TYPE_CHECKING:
    import pandas as pd


def candidates_for(arm: Arm, dataset: Dataset, names: Sequence[str], *, ensembles: bool) -> list[Candidate]:
    """The candidates of these names that are ensembles of models, or that are not, in the given order without repeats.

    Raises
    ------
    InputError
        If a name is unknown, or a candidate cannot do the data set's task.
    """
    chosen = [arm.candidate(name) for name in dict.fromkeys(names)]
    for candidate in chosen:
        check_candidate(candidate.name, dataset.task, arm.dataset, arm.declared)
    return [c for c in chosen if bool(c.members) == ensembles]


def cost_records(candidate: Candidate, arm: Arm, costs: Costs, *, shared: bool) -> list[Record]:
    """What the final fit cost, as records. A wall time that was shared with other work is not published."""
    values = {
        "fit_s": math.nan if shared else costs.wall_s,
        "fit_cpu_s": costs.cpu_s,
        "fit_memory_mib": costs.memory_mib,
    }
    return value_records(candidate, arm, [(quantity, "", value) for quantity, value in values.items()])


def value_records(candidate: Candidate, arm: Arm, values: Sequence[tuple[str, str, float]]) -> list[Record]:
    """Single values of a candidate as records: quantity, group (may be empty) and value."""
    return [
        Record(
            dataset=arm.dataset,
            candidate=candidate.name,
            kind=candidate.kind,
            quantity=quantity,
            statistic="value",
            value=value,
            unit=QUANTITIES[quantity].unit,
            seed=arm.seed,
            n=1,
            route=candidate.route,
            group=group,
        )
        for quantity, group, value in values
    ]


def hand_over(
    bench: Workbench, arm: Arm, candidate: Candidate, trained: Trained, folder: Path, more: Sequence[Record] = ()
) -> None:
    """Write what a training unit hands over: artefact, predictions, costs, and ``more`` records."""
    from shipworthy import training

    if bench.shared:
        notes = {name: None if name == "oof_wall_s" else value for name, value in trained.notes.items()}
        trained = replace(trained, costs=replace(trained.costs, wall_s=math.nan), notes=notes)
    training.save(trained, folder)
    records = [*cost_records(candidate, arm, trained.costs, shared=bench.shared), *more]
    write_json(folder / "records.json", record_rows(records, arm))


def _fit(bench: Workbench, arm: Arm, candidate: Candidate) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        from shipworthy import candidates, training
        from shipworthy.measurement import measure_costs

        trained = training.fit(
            candidate,
            bench.dataset(arm),
            folder=folder,
            random_state=arm.seed,
            search_trials=arm.training.search_trials,
            meter=measure_costs,
            keep_folds=candidate.name in candidates.bagged(),
        )
        hand_over(bench, arm, candidate, trained, folder)

    return work


def train_single_models(bench: Workbench, arm: Arm, names: Sequence[str]) -> pd.DataFrame:
    """Train every named candidate that is not an ensemble of models, unless it is trained already.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    names : sequence of str
        Candidates; ensembles of models among them are passed over here and built by
        :func:`~shipworthy.experiments.ensembles.build_ensembles`.

    Returns
    -------
    DataFrame
        One row a candidate: kind, out-of-fold and test rows, CPU seconds (s) and memory (MiB) of the final fit, settings that a
        search chose.

    Raises
    ------
    InputError
        Before any work, for a name or task that cannot be.
    UnitsFailedError
        After all, naming the candidates that failed.
    """
    chosen = candidates_for(arm, bench.dataset(arm), names, ensembles=False)
    bench.make_all((bench.fit_unit(arm, c.name), _fit(bench, arm, c)) for c in chosen)
    return trained_table(bench, [(bench.fit_unit(arm, c.name), c) for c in chosen])


def trained_table(bench: Workbench, units: Sequence[tuple[Unit, Candidate]]) -> pd.DataFrame:
    """One row for each trained candidate: what it was given and what its final fit cost."""
    import pandas as pd

    from shipworthy import training

    rows = []
    for unit, candidate in units:
        trained = training.load(bench.part(unit))
        rows.append(
            {
                "candidate": candidate.name,
                "kind": candidate.kind,
                "trained on rows": len(trained.predictions.oof_rows),
                "test rows": len(trained.predictions.test_rows),
                "fit CPU (s)": trained.costs.cpu_s,
                "fit memory (MiB)": trained.costs.memory_mib,
                "chosen settings": ", ".join(
                    f"{k} {v:,}" if isinstance(v, int) else f"{k} {v:.3g}" for k, v in trained.notes.get("best", {}).items()
                ),
            }
        )
    columns = ["candidate", "kind", "trained on rows", "test rows", "fit CPU (s)", "fit memory (MiB)", "chosen settings"]
    return pd.DataFrame(rows, columns=columns).set_index("candidate")


def describe_rows(bench: Workbench, arm: Arm) -> pd.Series[str]:
    """What the rows of an arm are: shape, balance, split, provenance, licence and traps, as sentences to read.

    Parameters
    ----------
    bench : Workbench
    arm : Arm

    Returns
    -------
    Series of str
        Indexed by what is said.
    """
    import pandas as pd

    dataset = bench.dataset(arm)
    split = dataset.split
    facts = {
        "rows": f"{len(dataset.X):,}, of which {len(split.train):,} train and {len(split.test):,} test",
        "features": f"{len(dataset.numeric)} numeric, {len(dataset.categorical)} categorical",
        "missing cells": f"{dataset.X.isna().to_numpy().mean():.1%}",
        "split": split.rule,
        "provenance": dataset.provenance,
        "licence": dataset.licence,
    }
    if dataset.classes:
        shares = pd.Series(dataset.y).value_counts(normalize=True).sort_index()
        facts["target"] = ", ".join(f"{dataset.classes[int(str(k))]} {share:.1%}" for k, share in shares.items())
    facts |= {f"trap {i}": trap for i, trap in enumerate(dataset.traps, start=1)}
    return pd.Series(facts, name=dataset.name)
