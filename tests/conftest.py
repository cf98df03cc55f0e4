"""Settings that every test shares, and a small study for the tests of the roof.

Hypothesis repeats itself, and never judges by the clock of a busy machine.
"""

from __future__ import annotations

import os
import signal

# Before scikit-learn is imported: what has no n_jobs would share the cores of a busy machine with whatever else runs, and wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

from shipworthy.records import Predictions

# A shell starts its background jobs with Ctrl-C ignored, and their children inherit that: the tests of Ctrl-C would wait for
# ever for what never comes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("shipworthy", deadline=None, derandomize=True, database=None)
settings.load_profile("shipworthy")


def pytest_collection_modifyitems(config, items):
    """Side by side a file at a time, those that run studies and notebooks come first: no long one is left for the end."""
    if hasattr(config, "workerinput"):
        long = {item.path for item in items if any(item.get_closest_marker(mark) for mark in ("study", "notebooks", "browser"))}
        items.sort(key=lambda item: item.path not in long)


SMALL_STUDY = """\
name: {name}
question: Is a vote of three worth shipping?
datasets: [breast_cancer]
candidates: [{candidates}]
smallest_useful_gain: 0.005
requirements:
  - {{name: answers in time, quantity: latency_ms, statistic: p99, at_most: 50, scenario: single_stream}}
  - {{name: fits in memory, quantity: peak_memory_mib, statistic: max, at_most: 1024}}
prices: {{as_of: "2026-03", source: a test, vcpu_hour_usd: 0.04, gib_hour_usd: 0.004}}
training: {{max_train_rows: 200, folds: 3, search_trials: 1}}
measuring: {{queries: {queries}, rounds: {rounds}, warm_up: 5, batch_sizes: [16], batch_repeats: 2}}
sweep: {{{sweep}}}
"""


@pytest.fixture(scope="session")
def write_study():
    """Write a small study of a few rows into a folder; returns the file."""

    def write(folder, *, name="small", candidates="prior, logistic_regression", queries=20, rounds=1, sweep=""):
        path = folder / f"{name}.yaml"
        text = SMALL_STUDY.format(name=name, candidates=candidates, queries=queries, rounds=rounds, sweep=sweep)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def members_that_vote():
    """Make the predictions of members that differ in skill and err apart; returns them by name."""

    def make(n_members, n_rows=200, n_classes=2, *, seed=0, coarse=False):
        rng = np.random.default_rng(seed)
        n = 2 * n_rows
        y = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - 2 * n_classes), np.arange(n_classes)])
        y = y if n_classes > 1 else rng.normal(size=n)
        said = {}
        for i in range(n_members):
            if n_classes == 1:
                p = (y + rng.normal(rng.normal(), rng.uniform(0.5, 2), n))[:, None]
            elif coarse:
                # Tenths, with zeros and ties among members and classes.
                p = rng.multinomial(10, np.full(n_classes, 1 / n_classes), n) / 10
            else:
                p = np.exp(rng.normal(size=(n, n_classes)) + rng.uniform(0.3, 1.5) * (y[:, None] == np.arange(n_classes)))
                p /= p.sum(axis=1, keepdims=True)
            rows = np.arange(n)
            said[f"m{i}"] = Predictions(rows[:n_rows], y[:n_rows], p[:n_rows], rows[n_rows:], y[n_rows:], p[n_rows:])
        return said

    return make
