"""The words that the records share, the error that the user's mistakes raise, and how the house names and says things.

This module does *not* know any record.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Task = Literal["binary", "multiclass", "regression"]
Kind = Literal["single", "tree_ensemble", "ensemble"]
ScenarioName = Literal["single_stream", "multi_stream", "server", "offline"]
Statistic = Literal["mean", "p50", "p95", "p99", "max"]
RequirementOutcome = Literal["met", "missed", "undecided"]
Answer = Literal["ship", "do not ship", "cannot tell"]
Estimator = Any  # A scikit-learn estimator: the library publishes no type for one.
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class InputError(ValueError):
    """What the user gave cannot be used. Its message is one sentence that names the file or field and the remedy.

    The command prints it without a traceback and exits with 2; a notebook shows the sentence alone.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


FORBID_UNKNOWN = {"extra": "forbid"}
"""Read by pydantic when a study file is validated: a misspelt field is an error, never ignored."""


def digest(*parts: object, length: int = 16) -> str:
    """First ``length`` hex digits of SHA-256 over the ``repr`` of the parts: the one identity function of the house.

    Only values whose ``repr`` is their content may be passed: str, int, float, bool, None, tuples and lists of them.

    Examples
    --------
    >>> digest("a", 1) == digest("a", 1)
    True
    >>> digest("a", 1) == digest("a", "1")
    False
    """
    text = "\x1f".join(repr(p) for p in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def in_one_line(sentence: object) -> str:
    r"""What is said, with whatever would break the line or steer the terminal shown as its escape.

    Examples
    --------
    >>> in_one_line("no column is called " + chr(27))
    'no column is called \\x1b'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(sentence))
