"""What was found under load, drawn and told: what was shown, and not what was only tried."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from shipworthy.records import Prices, Study
from shipworthy.reporting import ReportContent, build_report, latency_by_rate

TRIALS = [
    {"candidate": name, "rate_per_s": 100.0, "p99_ms": ms, "outcome": outcome}
    for name, ms, outcome in (("boost", 9.0, "met"), ("line", 7.0, "met"), ("vote", 49.0, "undecided"))
]
HIGHEST = [{"candidate": n, "met": met, "not_met": 200.0, "sentence": f"{n}."} for n, met in (("boost", 531.0), ("line", 363.0))]
SILENT = {"candidate": "vote", "met": 0.0, "not_met": 100.0, "sentence": "vote was not shown to keep it."}


@pytest.mark.parametrize(
    ("highest", "said"),
    [
        (HIGHEST, "at 531 queries/s with boost, at 363 with line"),
        ([*HIGHEST, SILENT], "at 531 queries/s with boost, at 363 with line; at no rate tried with vote"),
        ([SILENT], "at no rate that was tried"),
    ],
)
def test_a_rate_that_was_not_shown_is_not_called_one_that_cannot_be_carried(highest, said):
    """Undecided is not missed: no candidate carries 0 queries a second because too few arrived to show more."""
    finding = latency_by_rate(TRIALS, highest, "adult", limit_ms=50).finding
    assert finding == f"adult: p99 is shown to stay under 50.0 ms {said}"


def test_the_table_under_load_names_what_was_not_shown_in_words():
    """The cell of a candidate without a rate is no number near 0."""
    nothing = {"curve": [], "laws": [], "imports": [], "told": [], "findings": [], "threads": [], "overtakings": []}
    found = {"dataset": "adult", "level": "", "seed": 0, "limit_ms": 50.0, "rate_per_s": 100.0, "ranking": "", **nothing}
    trials = [{**t, "n": 460, "over": 0, "p50_ms": 1.0, "at_most_ms": math.nan, "utilisation": 0.5} for t in TRIALS]
    found |= {"rates": trials, "highest": [*HIGHEST, SILENT], "portability_sentence": "Unknown elsewhere."}
    prices = Prices(as_of="2026-01", source="by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.005)
    study = Study(name="s", question="?", datasets=("adult",), candidates=("boost",), prices=prices)
    columns = ["study", "dataset", "level", "candidate", "quantity", "statistic", "scenario", "batch_size", "group", "conditions"]
    columns += ["kind", "factor", "route", "seed", "value", "low", "high", "n", "unit"]
    empty = pd.DataFrame({c: [] for c in columns})
    page = build_report(ReportContent(study, empty, pd.DataFrame(), [], [], [], {}, [], loads=[found]))
    row = page.html[page.html.index('<th scope="row">vote</th>') :]
    assert row.startswith('<th scope="row">vote</th><td>none shown</td><td>49.0</td>')
    assert "| vote | none shown | 49.0 |" in page.markdown
