"""Planted models of known service time, which burn the processor and do not sleep; each child process imports this module.

Each times itself, and writes down what it took when it is first asked for more than one row: on a busy machine that, and not
what was planted, is the truth. A model that misbehaves is in ``test_measurement_serving.py``, but for the one that dies.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path


def burn(seconds):
    """Keep the processor busy."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


class Planted:
    """Burns what ``law`` says of the call, and times itself."""

    def __init__(self, law):
        self.law, self.took = law, []

    def predict_proba(self, X):
        """Answer nothing, in the time that was planted."""
        began = time.perf_counter_ns()
        burn(self.law(len(self.took), len(X)))
        self.took.append((time.perf_counter_ns() - began) / 1e6)
        if len(X) > 1 and "PLANTED_LOG" in os.environ:
            Path(os.environ.pop("PLANTED_LOG")).write_text(" ".join(map(str, self.took)), encoding="utf-8")


def constant(artefact):
    """2 ms a call, and a tenth of a millisecond for every row after the first; stands for loading the artefact."""
    return Planted(lambda _, rows: 0.002 + 0.0001 * (rows - 1))


def lognormal(artefact):
    """Median 2 ms, sigma 0.3, the same draws in every process."""
    rng = random.Random(1)
    return Planted(lambda *_: 0.002 * rng.lognormvariate(0, 0.3))


def bimodal(artefact):
    """0.4 ms, and every hundredth call 50 times as long."""
    return Planted(lambda calls, _: 0.02 if calls % 100 == 99 else 0.0004)


def dies(artefact):
    """Answers forty queries, then is killed."""

    def law(calls, _):
        if calls == 40:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        return 0.0001

    return Planted(law)


def constant_short(artefact):
    """A fifth of a millisecond."""
    return Planted(lambda *_: 0.0002)
