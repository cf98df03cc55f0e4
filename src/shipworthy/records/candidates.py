"""Ways to build something that could be shipped, and what building one has cost.

This module does *not* know which candidates there are, or how one is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

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
    n_classes : int
        Of a classification.
    weights : mapping of str to float
        Members and their weights, for an ensemble whose members were chosen; empty, all that it may choose from weigh alike.
    """

    task: Task
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    random_state: int = 0
    search_trials: int = 8
    n_jobs: int = 1
    n_classes: int = 2
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choosing:
    """How an ensemble chooses its members and their weights, by what they said out of fold: log loss, or RMSE of a number.

    Parameters
    ----------
    way : {"greedy", "top"}
        One member after another, each as often as it helps; or those that are best alone, which then weigh alike.
    steps : int
        Of the greedy way, how often a member may be added; of the other, how many members there may be. The best of all sizes
        is kept, and a vote of the best has two members at least.
    ms_share, mib_share : float
        The price: by which share of the best member's loss the ensemble's must fall for each millisecond and each mebibyte that
        it is estimated to take. 0 charges nothing.
    """

    way: Literal["greedy", "top"]
    steps: int
    ms_share: float = 0.0
    mib_share: float = 0.0

    @property
    def priced(self) -> bool:
        """Whether what a member costs to serve plays a part."""
        return self.ms_share > 0 or self.mib_share > 0


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
        Names of the candidates that an ensemble of models is assembled from, or from which it chooses where a study does not name
        others; empty otherwise.
    regressors : tuple of str
        Its members in a regression, for which a classifier cannot stand in.
    route : str
        How it is deployed; ``"plain"`` is scikit-learn as it comes.
    tasks : tuple of str
    choosing : Choosing, optional
        How it chooses among its members; left out, it takes them all.
    bagged : bool
        It holds a model of its member for each fold, fitted without that fold, instead of the member itself.
    own : OwnModule, optional
        Of somebody's own estimator, and of an ensemble that has one among its members, what loading its artefact takes.
    """

    name: str
    kind: Kind
    summary: str
    build: Callable[[Ingredients], Estimator]
    members: tuple[str, ...] = ()
    regressors: tuple[str, ...] = ()
    route: str = "plain"
    tasks: tuple[Task, ...] = ("binary", "multiclass")
    choosing: Choosing | None = None
    bagged: bool = False
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
    kind : {"", "single", "tree_ensemble", "ensemble"}
        Empty: guessed by its type, and said.
    preprocess : bool
        True: it is given an array of numbers, behind the preprocessing of the logistic regression. False: it is given the
        table itself, categories as text and missing values missing.
    trust : tuple of str
        Packages beside the module's own whose types its artefact may hold, such as that of an estimator which a function returns.
    folder : str
        Of the study file; filled in when the study is read.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    estimator: Annotated[str, MinLen(1)]
    name: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    kind: Literal["", "single", "tree_ensemble", "ensemble"] = ""
    preprocess: bool = True
    trust: tuple[str, ...] = ()
    folder: str = ""


@dataclass(frozen=True, slots=True)
class OwnModule:
    """What loading an artefact of somebody's own estimators takes.

    ``trusted`` are the packages whose types may be built (none: the usual alone), ``folders`` are searched for them, and
    ``needs`` are the import names that their sources mention.
    """

    trusted: tuple[str, ...]
    folders: tuple[str, ...]
    needs: tuple[str, ...]

    @classmethod
    def together(cls, parts: Iterable[OwnModule | None]) -> OwnModule | None:
        """What an artefact takes that holds all of these; ``None`` where none of them takes anything.

        Examples
        --------
        >>> OwnModule.together([None, OwnModule(("a",), ("x",), ("scipy",)), OwnModule(("b",), ("x",), ())]).trusted
        ('a', 'b')
        """
        there = [part for part in parts if part is not None]

        def each(field: str) -> tuple[str, ...]:
            return tuple(dict.fromkeys(name for part in there for name in getattr(part, field)))

        return cls(each("trusted"), each("folders"), each("needs")) if there else None


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
