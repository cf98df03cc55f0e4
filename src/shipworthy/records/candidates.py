"""Ways to build something that could be shipped, and what building one has cost.

This module does *not* know which candidates there are, or how one is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import MinLen

from shipworthy.records.data import Predictions
from shipworthy.records.terms import FORBID_UNKNOWN, Estimator, Kind, Task


@dataclass(frozen=True, slots=True)
class Ingredients:
    """All that a candidate is told when it is built.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
    numeric, categorical : tuple of str
        Names of the feature columns by type.
    random_state : int
    search_trials : int
        How many settings a tuned candidate may try.
    n_jobs : int
        Threads of one fit. More than one is never used inside a study: units are parallel instead, and results are the same.
    """

    task: Task
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    random_state: int = 0
    search_trials: int = 8
    n_jobs: int = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A named way to build something that could be shipped.

    Parameters
    ----------
    name : str
    kind : {"single", "tree_ensemble", "ensemble"}
    summary : str
        One sentence for ``shipworthy list candidates`` and the report.
    build : callable
        ``build(ingredients) -> unfitted scikit-learn estimator`` that accepts a DataFrame or a list of dicts.
    members : tuple of str
        Names of the candidates that an ensemble of models is assembled from; empty otherwise.
    regressors : tuple of str
        Its members in a regression, for which a classifier cannot stand in.
    route : str
        How it is deployed; ``"plain"`` is scikit-learn as it comes.
    tasks : tuple of str
    own : OwnModule, optional
        Of somebody's own estimator, what loading its artefact takes.
    """

    name: str
    kind: Kind
    summary: str
    build: Callable[[Ingredients], Estimator]
    members: tuple[str, ...] = ()
    regressors: tuple[str, ...] = ()
    route: str = "plain"
    tasks: tuple[Task, ...] = ("binary", "multiclass")
    own: OwnModule | None = None

    def members_for(self, task: Task) -> tuple[str, ...]:
        """Names of the members in a task; empty for what is no ensemble of models."""
        return self.regressors if task == "regression" else self.members


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEstimator:
    """Somebody's own scikit-learn-compatible estimator, as their study names it.

    Parameters
    ----------
    estimator : str
        ``module:name`` of a class, or of a function that returns an estimator. The module is looked for beside the study file
        first, then among what Python can import.
    name : str
        How the candidate is called; left out, as the class or function is.
    parameters : dict
        Given to the class or function by name.
    kind : {"single", "tree_ensemble", "ensemble"}
    preprocess : bool
        True: it is given an array of numbers, behind the preprocessing of the logistic regression. False: it is given the
        table itself, categories as text and missing values missing.
    folder : str
        Of the study file; filled in when the study is read.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    estimator: Annotated[str, MinLen(1)]
    name: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    kind: Kind = "single"
    preprocess: bool = True
    folder: str = ""


@dataclass(frozen=True, slots=True)
class OwnModule:
    """What loading an artefact of somebody's own estimator takes.

    ``trusted`` is the package whose types may be built (empty: none beyond the usual), ``folder`` is searched for it, and
    ``needs`` are the import names that its sources mention.
    """

    trusted: str
    folder: str
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Costs:
    """What a piece of work cost: wall and CPU seconds, and peak memory (MiB) above the start.

    ``memory_mib`` is ``nan`` where the platform cannot say; ``memory_how`` tells how it was read.
    """

    wall_s: float
    cpu_s: float
    memory_mib: float
    memory_how: str


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A fitted candidate: what it said, where its artefact lies, and what the final fit cost."""

    candidate: str
    predictions: Predictions
    artefact: str
    costs: Costs
    notes: Mapping[str, Any] = field(default_factory=dict)
