"""Replays the timing recipes of other systems on a saved artefact, in a fresh child, and compares what they tell with the truth.

The child finds the whole environment, as a notebook does in which these systems are used: the recipes take DataFrames.

This module does *not* know how an artefact was made, nor which time is too long.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from shipworthy.measurement.children import conditions_of, importable, read_report, reason, run_child
from shipworthy.measurement.machine import exclusive, least_busy_cores, load_average
from shipworthy.measurement.recipes import RECIPES
from shipworthy.records import InputError, Measurement, OwnModule, RecipeFinding, Told

CHILD = Path(__file__).with_name("recipes_child.py")
WARMED = "the libraries had answered once before, as in the process that trained the model"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeJob:
    """Recipes to be replayed on one artefact.

    Parameters
    ----------
    candidate, dataset : str
        For the record.
    artefact : Path
        As written by ``artefacts.save``.
    queries, training : Path
        JSON lists of raw rows (dicts): held out, and trained on. Recipes that take a whole set take all of the first; from the
        second AutoGluon takes up to 10,000, and MLJAR the first.
    recipes : tuple of str
        Keys of :data:`~shipworthy.measurement.recipes.RECIPES`; left out, all.
    threads : int
    time_limit_s : float
        Of the child.
    seed : int
        Of the study, for the record.
    round_index : int
        From 0: one replay is one fresh child.
    factory, sys_path
        As in :class:`~shipworthy.measurement.serving.ServingJob`.
    """

    candidate: str
    dataset: str
    artefact: Path
    queries: Path
    training: Path
    recipes: tuple[str, ...] = tuple(RECIPES)
    threads: int = 1
    time_limit_s: float = 120.0
    seed: int = 0
    round_index: int = 0
    factory: str = ""
    sys_path: tuple[str, ...] = ()
    own: OwnModule | None = None


def replay(job: RecipeJob) -> tuple[Measurement, ...]:
    """Replay recipes on one artefact in one fresh child, alone on the machine.

    Parameters
    ----------
    job : RecipeJob

    Returns
    -------
    tuple of Measurement
        ``told_ms`` of each recipe, named in ``conditions.recipe``, in the order asked for. Where a recipe could not be replayed,
        or the child crashed or hung, there is no value, and the reason.

    Raises
    ------
    InputError
        If a recipe is not known.

    Notes
    -----
    All recipes of a job run one after the other in one process, whose libraries have answered two rows before: these systems
    time models in the process that trained them. So no recipe is charged for imports, which makes the cold ones look better
    than in a fresh worker.

    These systems hand over DataFrames. One of a single row takes longer to read than the dict that is a query of ours, so a
    recipe of one row can tell *more* than one query takes.
    """
    if strange := [name for name in job.recipes if name not in RECIPES]:
        raise InputError(f"{strange[0]!r} is no timing recipe; the known ones are {', '.join(RECIPES)}")
    with exclusive(), tempfile.TemporaryDirectory(prefix="shipworthy-") as folder:
        cores, load = least_busy_cores(job.threads), load_average()
        result = Path(folder) / "report.jsonl"
        ending = run_child(
            CHILD,
            {
                "artefact": str(job.artefact.absolute()),
                "queries": str(job.queries.absolute()),
                "training": str(job.training.absolute()),
                "result": str(result),
                **importable(job.artefact, job.factory, job.own, job.sys_path),
                "factory": job.factory,
                "cores": cores,
                "threads": job.threads,
                "recipes": job.recipes,
                "time_limit_s": job.time_limit_s,
            },
            job.threads,
            job.time_limit_s,
        )
        values, facts, wrong = read_report(result)
    failure = reason(ending, facts, wrong, job.time_limit_s)
    here = conditions_of(facts, threads=job.threads, seed=job.seed, profile="full", load_average=load)
    out = []
    for name in job.recipes:
        told = values.get((name, "none", 0), ())
        why = "" if told else str(facts.get(f"cannot {name}") or failure)
        conditions = replace(here, recipe=name, note=WARMED)
        index = (job.round_index,) * len(told)
        out.append(Measurement(job.candidate, job.dataset, "told_ms", told, index, conditions, why))
    return tuple(out)


def compare_told(
    told: Sequence[Measurement], truth: Sequence[Measurement], noise_floor: float
) -> tuple[tuple[Told, ...], tuple[RecipeFinding, ...]]:
    """Set what recipes tell beside what single queries really take, and count the pairs that a recipe orders the wrong way.

    Parameters
    ----------
    told : sequence of Measurement
        As from :func:`replay`, of one data set; of several rounds, combined or not, the median counts. Others are passed over.
    truth : sequence of Measurement
        Those of ``latency_ms`` in a single stream count, one a candidate.
    noise_floor : float
        The ratio of two medians beyond which they are told apart, as from :func:`~shipworthy.measurement.noise.noise_floor`.

    Returns
    -------
    told : tuple of Told
        One a recipe and candidate, in the order in which both came; candidates without a measured truth are left out.
    findings : tuple of RecipeFinding
        One a recipe that told anything.

    Raises
    ------
    InputError
        If the measurements are of several data sets.

    Examples
    --------
    >>> from shipworthy.records import Conditions
    >>> here = Conditions("m", "v", 1, "single_stream", 1, 0, 50, "off", "lean", "0", 0.0)
    >>> by = replace(here, scenario="none", batch_size=0, profile="full", recipe="h2o")
    >>> truth = [Measurement(c, "d", "latency_ms", (ms,), (0,), here) for c, ms in (("linear", 1.0), ("trees", 3.0))]
    >>> said = [Measurement(c, "d", "told_ms", (ms,), (0,), by) for c, ms in (("linear", 0.02), ("trees", 0.01))]
    >>> rows, (finding,) = compare_told(said, truth, noise_floor=1.2)
    >>> [round(row.factor) for row in rows], finding.flips, finding.told_fastest, finding.fastest
    ([50, 300], (('trees', 'linear'),), 'trees', 'linear')
    """
    told = [m for m in told if m.quantity == "told_ms"]
    datasets = {m.dataset for m in told}
    if len(datasets) > 1:
        raise InputError(f"recipes of several data sets ({', '.join(sorted(datasets))}) are not compared; give one at a time")
    single = [m for m in truth if (m.quantity, m.conditions.scenario) == ("latency_ms", "single_stream") and m.values]
    real = {m.candidate: m for m in single if m.dataset in datasets}
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for m in (m for m in told if m.candidate in real):
        groups.setdefault((m.conditions.recipe, m.candidate), []).append(m)
    rows = tuple(_told(group, real[candidate]) for (_, candidate), group in groups.items())
    findings = (
        _finding([row for row in rows if row.recipe == name], noise_floor) for name in dict.fromkeys(r.recipe for r in rows)
    )
    return rows, tuple(finding for finding in findings if finding)


def _told(group: Sequence[Measurement], truth: Measurement) -> Told:
    """One recipe's figure for one candidate: the median over its rounds."""
    first, said = group[0], [v for m in group for v in m.values]
    recipe = RECIPES[first.conditions.recipe]
    value = replace(first, values=tuple(said), round_index=(0,) * len(said), failure="").percentile(50) if said else math.nan
    return Told(
        dataset=first.dataset,
        candidate=first.candidate,
        recipe=recipe.name,
        title=recipe.title,
        kind=recipe.kind,
        told_ms=value,
        p50_ms=truth.percentile(50),
        p99_ms=truth.percentile(99),
        reason="" if said else first.failure,
    )


def _finding(rows: Sequence[Told], noise_floor: float) -> RecipeFinding | None:
    """What one recipe would have had us conclude."""
    known = [row for row in rows if not math.isnan(row.told_ms)]
    if not known:
        return None
    by_name: Mapping[str, Told] = {row.candidate: row for row in known}
    apart = []
    for pair in combinations(known, 2):
        slow, fast = sorted(pair, key=lambda row: row.p50_ms, reverse=True)
        if slow.p50_ms > noise_floor * fast.p50_ms:
            apart.append((slow.candidate, fast.candidate))
    flips = [(slow, fast) for slow, fast in apart if by_name[slow].told_ms < by_name[fast].told_ms]
    flips.sort(key=lambda pair: by_name[pair[1]].p50_ms / by_name[pair[0]].p50_ms)
    return RecipeFinding(
        dataset=known[0].dataset,
        recipe=known[0].recipe,
        title=known[0].title,
        kind=known[0].kind,
        worst=max(known, key=_wrongness),
        pairs=len(apart),
        flips=tuple(flips),
        told_fastest=min(known, key=lambda row: row.told_ms).candidate,
        fastest=min(known, key=lambda row: row.p50_ms).candidate,
        noise_floor=noise_floor,
    )


def _wrongness(row: Told) -> float:
    """How far from 1 the factor is, in either direction."""
    return max(row.factor, 1 / row.factor) if row.factor > 0 else math.inf
