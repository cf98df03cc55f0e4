"""Somebody's own estimator, by import path, as a candidate like the others.

It is looked for beside the study file first, then among what Python can import. Importing runs its code, so a study that names
one is as trustworthy as whoever wrote it.

This module does *not* know what the estimator does: what it cannot do shows when it is fitted, saved or measured.
"""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import importlib.util
import inspect
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from shipworthy.candidates.pipelines import for_linear, whole_table
from shipworthy.records import Candidate, Estimator, Ingredients, InputError, Kind, OwnEstimator, OwnModule, Task, digest

IMPORT_PATH = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)", re.ASCII)
TRUSTED_ANYWAY = frozenset({"sklearn", "numpy", "scipy", "xgboost", "shipworthy"})
"""Packages of which an artefact already may hold what it needs: naming one of their estimators trusts nothing more."""
_imported: dict[str, str] = {}
"""For each module that was imported here, the digest of the sources that it was imported from."""


def _parts(own: OwnEstimator) -> tuple[str, str]:
    """Module and name of an import path."""
    found = IMPORT_PATH.fullmatch(own.estimator)
    if found is None:
        raise InputError(f"{own.estimator!r:.80} is no import path; write module:name, such as my_package.models:MyModel")
    module, name = found.groups()
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise InputError(f"{own.estimator!r:.80} names a part of Python itself, which holds no estimator; name a module of yours")
    return module, name


def _package(own: OwnEstimator) -> importlib.machinery.ModuleSpec:
    """Where the first name of the module lies: beside the study file, else where Python finds it. Nothing is run."""
    top = _parts(own)[0].partition(".")[0]
    importlib.invalidate_caches()
    beside = importlib.machinery.PathFinder.find_spec(top, [own.folder]) if own.folder else None
    spec = beside or importlib.machinery.PathFinder.find_spec(top)
    if spec is None or (spec.origin is None and spec.submodule_search_locations is None):
        where = own.folder or "the folder of the study file"
        raise InputError(
            f"the module {top!r} of {own.estimator} is neither in {where} nor installed; put it there or mend its name"
        )
    return spec


def _sources(spec: importlib.machinery.ModuleSpec) -> list[tuple[str, Path]]:
    """The Python files of a module, or of its package: names that do not depend on where they lie, and paths."""
    folders = [Path(p) for p in spec.submodule_search_locations or ()]
    if folders:
        return sorted((p.relative_to(f).as_posix(), p) for f in folders for p in f.rglob("*.py"))
    path = Path(spec.origin or "")
    return [(path.name, path)] if path.suffix == ".py" else []


def _beside(own: OwnEstimator, spec: importlib.machinery.ModuleSpec) -> bool:
    """Whether a module lies beside the study file, where people edit it."""
    return bool(own.folder and spec.origin and Path(spec.origin).is_relative_to(own.folder))


@lru_cache(maxsize=1024)
def _imports(source: bytes) -> frozenset[str]:
    """The first names of what a source imports; nothing where it is no Python, which its import will say."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return frozenset()
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return frozenset(name.partition(".")[0] for name in names)


def _modules(own: OwnEstimator) -> list[importlib.machinery.ModuleSpec]:
    """The package that is named, and what it imports from beside the study file, and that in turn."""
    first = _package(own)
    found, todo = {first.name: first}, [first]
    while todo:
        spec = todo.pop()
        sources = [path.read_bytes() for _, path in _sources(spec)] if _beside(own, spec) else []
        for name in sorted(frozenset().union(*map(_imports, sources)) - found.keys() - sys.stdlib_module_names):
            near = importlib.machinery.PathFinder.find_spec(name, [own.folder])
            # A folder that is no package may be anything, such as that of the runs.
            if near is not None and near.origin is not None:
                found[name] = near
                todo.append(near)
    return list(found.values())


Stamp = tuple[tuple[str, Path, int, int], ...]


def _stamp(spec: importlib.machinery.ModuleSpec) -> Stamp:
    """The sources of an installed package, with when each was written and how long it is."""
    found = [(name, path, path.stat()) for name, path in _sources(spec)]
    return tuple((name, path, stat.st_mtime_ns, stat.st_size) for name, path, stat in found)


# Some packages have a thousand files, and a plan asks many times.
@lru_cache(maxsize=32)
def _digest_of(stamp: Stamp) -> str:
    return digest([(name, path.read_bytes().hex()) for name, path, _, _ in stamp])


@lru_cache(maxsize=32)
def _imports_of(stamp: Stamp) -> frozenset[str]:
    return frozenset().union(*(_imports(path.read_bytes()) for _, path, _, _ in stamp))


def source_digest(own: OwnEstimator) -> str:
    """What the estimator's answers depend on: the sources of its module (or of its package), import path and parameters.

    What it imports from beside the study file counts too.

    Raises
    ------
    InputError
        If the module cannot be found.
    """
    texts: list[object] = []
    for spec in _modules(own):
        beside = _beside(own, spec)
        texts.append([(n, p.read_bytes().hex()) for n, p in _sources(spec)] if beside else _digest_of(_stamp(spec)))
    return digest(own.estimator, repr(sorted(own.parameters.items())), own.kind, own.preprocess, texts)


def module_of(own: OwnEstimator) -> OwnModule:
    """What a process needs to load its artefact: the packages that are trusted, its folder, and what its sources import.

    Trusted are the module, what it imports from beside the study file, and what the study names besides.

    Raises
    ------
    InputError
        If the module cannot be found, or what is to be trusted is no package of somebody's.
    """
    for name in own.trust:
        if not name.isidentifier() or name in sys.stdlib_module_names:
            raise InputError(f"{own.estimator} is to trust {name!r:.60}, which is no package beside Python's own; name one alone")
    needs = set(own.trust) if own.preprocess else {"pandas", *own.trust}
    trusted: list[str] = []
    for spec in _modules(own):
        needs.add(spec.name)
        if spec.name not in TRUSTED_ANYWAY:
            trusted.append(spec.name)
            needs |= _imports_of(_stamp(spec))
    return OwnModule(tuple(dict.fromkeys((*trusted, *own.trust))), (own.folder,) if own.folder else (), tuple(sorted(needs)))


def _import(own: OwnEstimator) -> Any:
    """The class or factory that the path names, imported anew if its sources changed or another study's stood for it."""
    module, name = _parts(own)
    spec, now = _package(own), source_digest(own)
    tops = {spec.name, *(m.name for m in _modules(own) if _beside(own, m))}
    mine = [m for m in sys.modules if m.partition(".")[0] in tops]
    if spec.name in sys.modules and (_imported.get(spec.name) or now) != now:
        for stale in mine:
            del sys.modules[stale]
    loaded = getattr(sys.modules.get(spec.name), "__file__", None)
    if loaded and spec.origin and Path(loaded).resolve() != Path(spec.origin).resolve():
        raise InputError(f"another module called {spec.name} is in use ({loaded}); give that of {own.estimator} another name")
    if own.folder and own.folder not in sys.path:
        sys.path.append(own.folder)
    try:
        if spec.name not in sys.modules and spec.loader is not None:
            top = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = top
            try:
                spec.loader.exec_module(top)
            except BaseException:
                sys.modules.pop(spec.name, None)
                raise
        found = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # a module may do anything while it is imported
        raise InputError(f"{module} cannot be imported ({type(error).__name__}: {error}); mend it") from error
    _imported[spec.name] = now
    if not hasattr(found, name):
        raise InputError(f"{module} ({getattr(found, '__file__', '')}) has no {name!r}; name a class or a function that it has")
    return getattr(found, name)


def _instance(own: OwnEstimator) -> Estimator:
    """One unfitted estimator, held to what scikit-learn needs of it."""
    from sklearn.base import clone

    made = _import(own)
    if not (inspect.isclass(made) or inspect.isfunction(made)):
        raise InputError(f"{own.estimator} is a {type(made).__name__}; name a class, or a function that returns an estimator")
    try:
        estimator = made(**own.parameters)
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{own.estimator} cannot be made ({type(error).__name__}: {error}); mend it or its parameters"
        ) from error
    shown = _with_final_estimators(estimator)
    if lacking := [m for m in ("fit", "predict", "get_params", "set_params") if not callable(getattr(shown, m, None))]:
        what = f"{own.estimator} is no scikit-learn estimator: it has no {' and no '.join(lacking)}"
        raise InputError(f"{what}; derive it from sklearn.base.BaseEstimator and give it fit and predict or predict_proba")
    try:
        clone(estimator)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        remedy = "its __init__ must keep its arguments as they are"
        raise InputError(f"{own.estimator} cannot be cloned ({why}); {remedy}") from error
    return estimator


def _with_final_estimators(estimator: Estimator) -> Estimator:
    """A copy of which one can see what it will be able to do, for looking at alone.

    scikit-learn's stacks have no ``predict`` before they know their final estimator, and fill in the usual one when they are
    fitted. What hides deeper, in a pipeline or a search, is filled in too.
    """
    from sklearn.base import clone, is_regressor
    from sklearn.linear_model import LogisticRegression, RidgeCV

    try:
        copy = clone(estimator)
    except Exception:  # noqa: BLE001 - what cannot be cloned is told by whoever clones it, with its reason
        return estimator
    held = copy.get_params()
    for name, value in held.items():
        above, _, last = name.rpartition("__")
        if last == "final_estimator" and value is None:
            owner = held[above] if above else copy
            copy.set_params(**{name: RidgeCV() if is_regressor(owner) else LogisticRegression()})
    return copy


def _tasks(estimator: Estimator) -> tuple[Task, ...]:
    """What it can do: classes with ``predict_proba``, numbers if scikit-learn calls it a regressor or it has nothing else."""
    from sklearn.base import is_regressor

    estimator = _with_final_estimators(estimator)
    if not hasattr(estimator, "predict_proba"):
        return ("regression",)
    try:
        both = is_regressor(estimator)
    except AttributeError:  # no tags: it is not derived from scikit-learn's base
        both = False
    return ("binary", "multiclass", "regression") if both else ("binary", "multiclass")


BOOSTERS = frozenset({"xgboost", "lightgbm", "catboost"})
"""Packages whose models are boosted trees."""
FORESTS = ("BaseForest", "BaseGradientBoosting", "BaseHistGradientBoosting")
VOTES = ("_BaseVoting", "_BaseStacking", "StackingCVClassifier", "StackingCVRegressor", "EnsembleVoteClassifier")
BAGS = ("BaseBagging", "BaseWeightBoosting")
DEEPEST = 10
"""Pipelines, searches and the like around a model, at most."""


def _kind(estimator: Estimator) -> Kind:
    """What an estimator is by its type: of models, of trees, or a single one; pipelines, searches and the like are opened."""
    from sklearn.base import BaseEstimator

    for _ in range(DEEPEST):
        bases = {base.__name__ for base in type(estimator).__mro__}
        if not bases.isdisjoint(VOTES):
            return "ensemble"
        if not bases.isdisjoint(FORESTS) or type(estimator).__module__.partition(".")[0] in BOOSTERS:
            return "tree_ensemble"
        steps = getattr(estimator, "steps", None)
        inner = steps[-1][1] if steps else getattr(estimator, "estimator", getattr(estimator, "regressor", None))
        if not bases.isdisjoint(BAGS):
            trees = inner is None or "BaseDecisionTree" in {base.__name__ for base in type(inner).__mro__}
            return "tree_ensemble" if trees else "ensemble"
        if not isinstance(inner, BaseEstimator):
            break
        estimator = inner
    return "single"


def _settings(estimator: Estimator, given: Mapping[str, Any], ingredients: Ingredients) -> dict[str, Any]:
    """Seed and threads, wherever the estimator has a parameter for them that the study did not give."""
    wanted = {"random_state": ingredients.random_state, "n_jobs": ingredients.n_jobs}
    held = estimator.get_params()
    settings = {}
    for name, value in held.items():
        above, _, last = name.rpartition("__")
        if last not in wanted or name in given:
            continue
        owner = held[above] if above else estimator
        # scikit-learn means one thread by None, and warns where setting it has no effect any more.
        if last == "n_jobs" and value is None and type(owner).__module__.startswith("sklearn."):
            continue
        settings[name] = wanted[last]
    return settings


def make(own: OwnEstimator) -> Candidate:
    """The candidate that an import path stands for; its module is imported, and one estimator is made to look at.

    Parameters
    ----------
    own : OwnEstimator

    Returns
    -------
    Candidate

    Raises
    ------
    InputError
        In one sentence, if it cannot be imported or made, or is no scikit-learn estimator.
    """
    estimator = _instance(own)

    def build(ingredients: Ingredients) -> Estimator:
        model = _instance(own)
        model.set_params(**_settings(model, own.parameters, ingredients))
        return for_linear(ingredients, model, dense=True) if own.preprocess else whole_table(ingredients, model)

    front = "behind the shared preprocessing" if own.preprocess else "given the table as it is"
    return Candidate(
        own.name,
        own.kind or _kind(estimator),
        f"Your own {own.estimator}, {front}.",
        build,
        tasks=_tasks(estimator),
        own=module_of(own),
    )
