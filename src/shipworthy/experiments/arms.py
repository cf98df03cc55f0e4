"""Arms: what one notebook run works on, checked before any work.

This module does *not* know what is done with an arm, or where its results are kept.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from shipworthy.experiments.own_ensembles import Declared, declared_in, fit_for_library
from shipworthy.experiments.own_files import own_file
from shipworthy.records import Candidate, DataFile, InputError, LoadPlan, MeasuringPlan, Study, Task, TrainingPlan, digest

if TYPE_CHECKING:
    from pydantic import ValidationError

TRAINING_FIELDS = tuple(f.name for f in fields(TrainingPlan))
MEASURING_FIELDS = tuple(f.name for f in fields(MeasuringPlan))
LOAD_FIELDS = tuple(f.name for f in fields(LoadPlan))
JUDGING_FIELDS = ("smallest_useful_gain", "largest_latency_ratio", "largest_memory_ratio", "traffic_queries_s")
"""Fields of a study that are asked of the same measurements."""

_LISTED = "is a list already; name all its values under {}"
_OWN_STUDY = "cannot be swept, for the smallest useful gain is meant for one; give each value a study of its own"
_LIMIT = "is a limit; name a requirement for each value, and all are judged on the same measurements"
_WISH = "is somebody's; add a stakeholder for each value"
NOT_SWEPT = {
    "batch_sizes": _LISTED.format("measuring.batch_sizes"),
    "curve_batch_sizes": _LISTED.format("load.curve_batch_sizes"),
    "seed": _LISTED.format("seeds"),
    "seeds": _LISTED.format("seeds"),
    "dataset": _LISTED.format("datasets"),
    "datasets": _LISTED.format("datasets"),
    "candidates": _LISTED.format("candidates"),
    "ensembles": _LISTED.format("candidates"),
    "roles": "describes a file; describe it again under datasets, with a name of its own for each value",
    "metric": _OWN_STUDY,
    "confidence": _OWN_STUDY,
    "p99_limit_ms": _LIMIT,
    "memory_limit_mib": _LIMIT,
    "queries_per_s": _LIMIT,
    "worst_roc_auc": _LIMIT,
    "rate_per_s": "is called traffic_queries_s in a study; sweep that",
    "requests_ms": "changes nothing that a study measures; set it in the notebook, run alone",
    "cores": "is assumed of ensembles on paper; set simulation.cores, and give each value a study of its own",
    "share_preprocessing": "is assumed of ensembles on paper; set simulation.share_preprocessing",
    "factor": "says what is swept; name the field itself",
    "level": "says what is swept; name the field itself",
    **dict.fromkeys(("research", "ml_engineering", "sales", "product", "platform", "legal", "manager"), _WISH),
}
"""Parameters of notebooks that have another place in a study, and which."""
SWEPT = (*TRAINING_FIELDS, *(f for f in (*MEASURING_FIELDS, *LOAD_FIELDS) if f not in NOT_SWEPT), *JUDGING_FIELDS)


@dataclass(frozen=True, slots=True)
class Arm:
    """One data set, one seed and one level of whatever is swept: the rows, folds and depth that a candidate meets."""

    dataset: str
    seed: int = 0
    training: TrainingPlan = field(default_factory=TrainingPlan)
    measuring: MeasuringPlan = field(default_factory=MeasuringPlan)
    factor: str = ""
    level: str = ""
    source: DataFile | None = None
    """Somebody's own file, where ``dataset`` is the name given to one."""
    declared: Declared = field(default_factory=Declared)
    """What the study names: candidates to choose among, and ensembles of its own."""

    @property
    def rows(self) -> str | DataFile:
        """What the rows are loaded by."""
        return self.source or self.dataset

    @property
    def key(self) -> str:
        """Name of the arm in folder names: short, and safe on every file system."""
        swept = f"-{digest(self.factor, self.level, length=6)}" if self.factor else ""
        return f"{self.dataset}-s{self.seed}{swept}"

    def as_trained(self) -> Arm:
        """The arm as training sees it: whatever is swept in the measuring alone, a candidate is trained and scored once."""
        return replace(self._sweeping(TRAINING_FIELDS), measuring=MeasuringPlan())

    def as_measured(self) -> Arm:
        """The arm as measuring sees it: whatever is swept in the load or the judging alone, a candidate is measured once."""
        return self._sweeping((*TRAINING_FIELDS, *MEASURING_FIELDS))

    def as_loaded(self) -> Arm:
        """The arm as it is put under load, where the plan of the load takes the place of the measuring."""
        return self._sweeping((*TRAINING_FIELDS, *LOAD_FIELDS, "traffic_queries_s"))

    @property
    def swept(self) -> dict[str, str]:
        """The level of each field that is swept."""
        return dict(zip(self.factor.split("; "), self.level.split("; "), strict=True)) if self.factor else {}

    def _sweeping(self, names: Sequence[str]) -> Arm:
        kept = {f: v for f, v in self.swept.items() if f in names}
        return replace(self, factor="; ".join(kept), level="; ".join(kept.values()))

    def candidate(self, name: str) -> Candidate:
        """The candidate of a name: one of the catalogue, or an ensemble that the study declares.

        Raises
        ------
        InputError
            If there is none.
        """
        return self.declared.candidate(name)

    @property
    def title(self) -> str:
        """Name of the arm for people."""
        swept = f", {self.factor} = {self.level}" if self.factor else ""
        return f"{self.dataset}, seed {self.seed}{swept}"


def task_of(arm: Arm) -> Task:
    """What is asked of the rows of an arm: binary, multiclass or regression."""
    from shipworthy import datasets

    return datasets.task(arm.rows)


def members_in(arm: Arm, name: str) -> tuple[str, ...]:
    """The members of a candidate in the task of an arm; empty for what is no ensemble of models.

    For an ensemble that chooses its members, all that it may choose from: the study's single models and tree ensembles that can
    do the task, but the prior; where there are fewer than two, those that the catalogue names.
    """
    candidate, task = arm.candidate(name), task_of(arm)
    if candidate.choosing is not None:
        library = fit_for_library(arm.declared, task)
        return library if len(library) > 1 else candidate.members_for(task)
    return candidate.members_for(task)


def members_of(arm: Arm, names: Sequence[str]) -> list[str]:
    """The members of some ensembles in the task of an arm, each once.

    Parameters
    ----------
    arm : Arm
    names : sequence of str

    Returns
    -------
    list of str
    """
    return list(dict.fromkeys(m for name in names for m in members_in(arm, name)))


def check_candidate(name: str, task: Task, dataset: str, declared: Declared | None = None) -> None:
    """Refuse a candidate that cannot do a task; ``declared`` knows the study's own.

    Raises
    ------
    InputError
        Naming those that can, or what an own estimator lacks.
    """
    from shipworthy import candidates

    found = (declared or Declared()).candidate(name)
    if task not in found.tasks:
        if found.own is not None and not found.members:
            lack = "it has no predict_proba (scikit-learn's CalibratedClassifierCV gives one)"
            why = "it is no regressor" if task == "regression" else lack
            raise InputError(f"{name} cannot do {task}, the task of {dataset}: {why}; mend it, or leave it out")
        able = ", ".join(n for n in candidates.names() if task in candidates.get(n).tasks)
        raise InputError(f"{name} cannot do {task}, the task of {dataset}; these can: {able}")


def check_metric(metric: str, task: Task, dataset: str) -> None:
    """Refuse a metric that a task does not have.

    Raises
    ------
    InputError
        Naming the metrics that it has.
    """
    from shipworthy.measurement import accuracy

    known = accuracy.metrics_for(task)
    if metric not in known:
        raise InputError(f"{metric!r} is no metric for {task}, the task of {dataset}; choose one of {', '.join(known)}")


def check_wish(quantity: str, task: Task, dataset: str) -> None:
    """Refuse a limit on, or a weight of, an accuracy that a task does not have: it could never be met.

    Raises
    ------
    InputError
        Naming the metrics that the task has.
    """
    from shipworthy.measurement import accuracy

    if any(quantity in accuracy.metrics_for(other) for other in get_args(Task)):
        check_metric(quantity, task, dataset)


def wishes(study: Study, dataset: str) -> list[tuple[tuple[Any, ...], str]]:
    """Each quantity that requirements and stakeholders speak of on a data set, and its place in the study."""
    found: list[tuple[tuple[Any, ...], str]] = [
        (("requirements", i, "quantity"), r.quantity) for i, r in enumerate(study.requirements) if r.judges(dataset)
    ]
    for i, somebody in enumerate(study.stakeholders):
        worth = "weights" if somebody.weights else "usd_month_per_unit"
        found += [(("stakeholders", i, worth, quantity), quantity) for quantity in somebody.worth]
        found += [
            (("stakeholders", i, "vetoes", k, "quantity"), v.quantity) for k, v in enumerate(somebody.vetoes) if v.judges(dataset)
        ]
    return found


def sentence(error: ValidationError, where: str) -> str:
    """The first complaint of a pydantic error as one sentence that names the field and the remedy.

    Parameters
    ----------
    error : ValidationError
    where : str
        Put before the field: a file name, or ``"parameters"``.
    """
    complaints = error.errors(include_url=False)
    first = complaints[0]
    place = ".".join(str(p) for p in first["loc"])
    given = first.get("input")
    shown = "" if first["type"] in {"missing", "extra_forbidden"} or isinstance(given, dict) else f", not {given!r:.60}"
    message = {
        "float_type": f"must be a number{shown}; YAML writes small ones as 1.0e-3",
        "int_type": f"must be a whole number{shown}",
        "int_from_float": f"must be a whole number{shown}",
        "tuple_type": f"must be a list, such as [a, b]{shown}",
        "string_type": f"must be text{shown}; put it in quotes",
        "dict_type": f"must be a list of `field: value` lines{shown}",
        "dataclass_type": f"must be a list of `field: value` lines{shown}",
        "too_short": "must not be empty",
        "string_too_short": "must not be empty",
        "string_too_long": f"must have at most {first.get('ctx', {}).get('max_length')} characters{shown}; write it shorter",
        "missing": "is missing; add it",
        "extra_forbidden": "is not a field that exists; remove it or mend its name",
        "unexpected_keyword_argument": "is not a field that exists; remove it or mend its name",
        "missing_argument": "is missing; add it",
        "missing_keyword_only_argument": "is missing; add it",
    }.get(first["type"], f"{first['msg'][0].lower()}{first['msg'][1:]}{shown}")
    if any(isinstance(end, float) and math.isinf(end) for end in first.get("ctx", {}).values()):
        message = f"must be a finite number{shown}"
    more = f" (and {len(complaints) - 1} more)" if len(complaints) > 1 else ""
    return f"{where}: {place} {message}{more}" if place else f"{where}: {message}{more}"


def _plan(kind: type[TrainingPlan | MeasuringPlan | LoadPlan], values: Mapping[str, Any]) -> Any:
    from pydantic import TypeAdapter, ValidationError

    for name, value in values.items():
        # pydantic would take True for 1 and "5" for 5; no field of a plan is a bool or a text.
        if any(isinstance(v, bool | str) for v in (value if isinstance(value, list | tuple) else [value])):
            raise InputError(f"parameters: {name} must be a number, not {value!r:.60}")
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        raise InputError(sentence(error, "parameters")) from None


def make_arm(
    dataset: str,
    seed: int = 0,
    *,
    candidates: Sequence[str] | None = None,
    ensembles: Sequence[str] | None = None,
    training: Mapping[str, Any] | None = None,
    measuring: Mapping[str, Any] | None = None,
    factor: str = "",
    level: str = "",
    source: DataFile | None = None,
    roles: Mapping[str, Sequence[str]] | None = None,
    run_folder: str = "",
    declared: Declared | None = None,
) -> Arm:
    """Check the parameters of a notebook and make the arm that they describe; nothing is loaded or fitted.

    Parameters
    ----------
    dataset : str
        A name from ``shipworthy list datasets``, or of a file that the study of ``run_folder`` describes, or the path of a CSV or
        Parquet file that ``roles`` describe.
    seed : int
        Draws the split, the sample and every model's randomness.
    candidates, ensembles : sequence of str, optional
        Only checked: names from ``shipworthy list candidates``, at least one; ensembles must be ensembles of models.
    training, measuring : mapping
        Fields of :class:`~shipworthy.records.TrainingPlan` and :class:`~shipworthy.records.MeasuringPlan`.
    factor, level : str
        What a study sweeps, and its value in this arm.
    source : DataFile, optional
        Somebody's own file, whose name ``dataset`` is.
    roles : mapping of str to sequence of str, optional
        Fields of :class:`~shipworthy.records.DataFile` for a path given as ``dataset``: ``{"target": ["late"]}``.
    run_folder : str
        Folder of a study's run, whose files, ensembles and own estimators are known by name.
    declared : Declared, optional
        What a study names; left out, as the study of ``run_folder`` has it.

    Returns
    -------
    Arm

    Raises
    ------
    InputError
        In one sentence, for the first name that does not exist or value that is out of range.

    Examples
    --------
    >>> make_arm("breast_cancer", training={"folds": 3}).training.folds
    3
    """
    from shipworthy import datasets

    declared = declared or declared_in(run_folder)
    source = source or own_file(dataset, roles or {}, run_folder)
    if source is None:
        datasets.summary(dataset)
    for what, names in (("candidates", candidates), ("ensembles", ensembles)):
        if names is not None and (not isinstance(names, list | tuple) or not names):
            raise InputError(f"parameters: {what} must be a list of at least one name, such as [soft_vote], not {names!r}")
        for name in names or ():
            if not declared.candidate(name).members and what == "ensembles":
                raise InputError(f"parameters: {name} is no ensemble of models; name those that are, or train it as a candidate")
    if len(factor.split("; ")) != len(level.split("; ")):
        raise InputError(f"parameters: factor {factor!r} and level {level!r} must name as many things; leave both empty")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        raise InputError(f"parameters: seed must be a whole number from 0 to 2147483647, not {seed!r}")
    plans = _plan(TrainingPlan, training or {}), _plan(MeasuringPlan, measuring or {})
    return Arm(source.name if source else dataset, seed, *plans, factor, level, source, declared)


def arms_of(study: Study) -> list[Arm]:
    """Every arm of a study: data sets x seeds x the combinations of what is swept, in that order.

    Raises
    ------
    InputError
        If ``sweep`` names something that cannot be swept, or a value that the field does not admit.
    """
    _check_sweep(study)
    levels = list(itertools.product(*study.sweep.values()))
    arms = []
    files, declared = {f.name: f for f in study.files}, Declared.of(study)
    for dataset, seed, values in itertools.product(study.datasets, study.seeds, levels):
        chosen = dict(zip(study.sweep, values, strict=True))
        training = {f: chosen.get(f, getattr(study.training, f)) for f in TRAINING_FIELDS}
        measuring = {f: chosen.get(f, getattr(study.measuring, f)) for f in MEASURING_FIELDS}
        factor, level = "; ".join(study.sweep), "; ".join(str(v) for v in values)
        arm = make_arm(
            dataset,
            seed,
            training=training,
            measuring=measuring,
            factor=factor,
            level=level,
            source=files.get(dataset),
            declared=declared,
        )
        arms.append(arm)
    return arms


def _check_sweep(study: Study) -> None:
    """Refuse what cannot be swept, with where it belongs, and values out of range."""
    for name, values in study.sweep.items():
        if name in NOT_SWEPT:
            raise InputError(f"sweep: {name} {NOT_SWEPT[name]}")
        if name not in SWEPT:
            near = get_close_matches(name, SWEPT, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise InputError(f"sweep: {name!r} cannot be swept; {hint}these can: {', '.join(SWEPT)}")
        for value in values:
            if name in LOAD_FIELDS:
                if not study.load.candidates:
                    raise InputError(f"sweep: {name} is of the load, under which no candidate is put; name some under load")
                _plan(LoadPlan, {name: value})
            elif name in JUDGING_FIELDS and not 0 < value < math.inf:
                raise InputError(f"sweep: {name} must be above 0, not {value!r:.60}")


def study_at(study: Study, arm: Arm) -> Study:
    """The study as it is asked at the level of an arm: what is swept in the load and the judging has its value.

    Parameters
    ----------
    study : Study
    arm : Arm

    Returns
    -------
    Study
        Its sweep is still there.
    """
    chosen = {f: next(v for v in study.sweep[f] if str(v) == level) for f, level in arm.swept.items()}
    load: dict[str, Any] = {f: v for f, v in chosen.items() if f in LOAD_FIELDS}
    judging: dict[str, Any] = {f: v for f, v in chosen.items() if f in JUDGING_FIELDS}
    return replace(study, load=replace(study.load, **load), **judging)
