"""Takes a fitted model apart as other systems see one: its members, what follows the building of the row, the bare estimator.

Most timing recipes leave something out of what they time. What is left out is done before the clock starts, so it must be a
call of its own.

This module does *not* know who times which part, or when.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Call = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A model without its first steps.

    Parameters
    ----------
    prepare : callable
        Does the steps that are left out: takes rows, returns what the others take.
    predict, predict_proba : callable
        The steps that are left. ``predict_proba`` is ``predict`` where there are no probabilities.
    """

    prepare: Call
    predict: Call
    predict_proba: Call


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model and its parts.

    Parameters
    ----------
    predict, predict_proba : callable
        The whole model on rows as they come. ``predict_proba`` is ``predict`` where there are no probabilities.
    built : Part, optional
        Without the building of the row; of a single pipeline only.
    bare : Part, optional
        Without all preprocessing, that of members included.
    members : tuple of Fitted
        Of a vote or a stack.
    combine : callable, optional
        Takes what the members say, in order, and returns what the ensemble says.
    """

    predict: Call
    predict_proba: Call
    built: Part | None = None
    bare: Part | None = None
    members: tuple[Fitted, ...] = ()
    combine: Call | None = None


def take_apart(model: Any) -> Fitted:
    """Take a fitted model apart.

    Parameters
    ----------
    model : estimator
        A pipeline whose first step builds the row, or a vote or a stack of such. Of anything else only the whole is known.

    Returns
    -------
    Fitted
    """
    if type(model).__name__ == "FrozenEstimator":
        return take_apart(model.estimator)
    whole = Fitted(model.predict, _probabilities(model))
    steps: Sequence[Any] = getattr(model, "steps", ())
    if len(steps) > 1:
        rest, last = model[1:], steps[-1][1]
        built = Part(steps[0][1].transform, rest.predict, _probabilities(rest))
        return Fitted(*_calls(whole), built=built, bare=Part(model[:-1].transform, last.predict, _probabilities(last)))
    # scikit-learn gives names to the members of a vote or a stack, and not to the trees of a forest.
    if not (hasattr(type(model), "named_estimators") and hasattr(model, "estimators_")):
        return whole
    members = tuple(take_apart(m) for m in model.estimators_)
    combine = _combining(model)
    bare = _bare_ensemble(members, combine) if combine and all(m.bare for m in members) else None
    return Fitted(*_calls(whole), bare=bare, members=members, combine=combine)


def _calls(whole: Fitted) -> tuple[Call, Call]:
    return whole.predict, whole.predict_proba


def _probabilities(model: Any) -> Call:
    call: Call = getattr(model, "predict_proba", model.predict)
    return call


def _combining(model: Any) -> Call | None:
    """What an ensemble does with what its members say; ``None`` where it needs more than that."""
    if getattr(model, "passthrough", False) or getattr(model, "voting", "soft") != "soft":
        return None
    final = getattr(model, "final_estimator_", None)
    if final is None:
        return lambda said: np.average(np.asarray(said), axis=0, weights=getattr(model, "weights", None))
    answer = _probabilities(final)
    return lambda said: answer(np.hstack([_columns(s) for s in said]))


def _columns(said: Any) -> Any:
    """What a stack keeps of a member: of two classes the second's probability, for the first is the rest."""
    if said.ndim == 1:
        return said.reshape(-1, 1)
    return said[:, 1:] if said.shape[1] == 2 else said


def _bare_ensemble(members: Sequence[Fitted], combine: Call) -> Part:
    parts = [m.bare for m in members if m.bare]

    def answer(prepared: Any) -> Any:
        return combine([part.predict_proba(rows) for part, rows in zip(parts, prepared, strict=True)])

    def predict(prepared: Any) -> Any:
        said = answer(prepared)
        return said.argmax(axis=1) if said.ndim == 2 else said

    return Part(lambda rows: [part.prepare(rows) for part in parts], predict, answer)
