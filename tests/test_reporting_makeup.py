"""What ensembles are made of: weights are means over the seeds, and sizes stand beside the whole."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd
import pytest

from shipworthy.records import Record
from shipworthy.reporting.makeup import make_up, members_table


def records():
    """A vote that chose two members for seed 0 and one for seed 1, and a stack, which has no weights."""
    rows = []

    def add(candidate, quantity, value, seed=0, group=""):
        rows.append(Record("adult", candidate, "ensemble", quantity, "value", value, "", seed, group=group))

    for seed, weights in enumerate(({"boost": 0.75, "linear": 0.25}, {"boost": 1.0})):
        add("greedy", "models", float(len(weights)), seed)
        add("greedy", "size_mib", 2.0 + seed, seed)
        for member, weight in weights.items():
            add("greedy", "member_weight", weight, seed, member)
            add("greedy", "member_size_mib", 1.5 if member == "boost" else 0.01, seed, member)
        add("stack", "models", 2.0, seed)
        for member in ("boost", "linear"):
            add("stack", "member_size_mib", 1.5, seed, member)
    return pd.DataFrame([asdict(r) for r in rows])


def test_weights_are_means_over_the_seeds():
    """A seed that did not choose a member gives it no weight, so the weights still sum to one; a stack has none."""
    table = members_table(records()).set_index(["candidate", "member"])
    assert table.loc[("greedy", "boost"), "weight"] == pytest.approx(0.875)
    assert table.loc[("greedy", "linear"), "weight"] == pytest.approx(0.125)
    assert table.loc[("greedy", "linear"), ["chosen_seeds", "seeds"]].tolist() == [1, 2]
    assert table.loc["greedy", "whole_size_mib"].tolist() == [2.5, 2.5]
    assert table.loc["stack", "weight"].isna().all()
    assert members_table(records().iloc[:0]).empty


def test_what_an_ensemble_is_made_of_reads_in_one_line():
    """Members with weights, sizes and in how many seeds; a size that was not measured is said to be missing."""
    greedy, stack = make_up(records())
    assert greedy["members"] == "boost .88 (1.50 MiB), linear .12 (0.0100 MiB, in 1 of 2 seeds)"
    assert (greedy["models"], greedy["whole"]) == ("1.5", "2.50 MiB")
    assert stack == {
        "candidate": "stack",
        "models": "2",
        "members": "boost (1.50 MiB), linear (1.50 MiB)",
        "whole": "not measured",
    }
