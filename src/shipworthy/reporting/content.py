"""What a report is made of, and what it consists of.

This module does *not* know how either is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shipworthy.records import Hearing, RequirementVerdict, Study, Verdict

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False)
class ReportContent:
    """Everything that a report shows, as plain data.

    Parameters
    ----------
    study : Study
    records : DataFrame
        Columns as the fields of :class:`~shipworthy.records.Record`, and ``study``.
    samples : DataFrame
        Raw values: ``dataset``, ``candidate``, ``seed``, ``level``, ``quantity``, ``scenario``, ``batch_size``, ``round``,
        ``value``. May be empty.
    verdicts : sequence of Verdict
    requirement_verdicts : sequence of RequirementVerdict
    picks : sequence of dict
        As from ``feasibility.picks``.
    environment : mapping
        The machine, versions, git commit and time.
    missing : sequence of str
        What failed or is absent, a sentence each.
    timings : mapping of str to float
        Seconds by what they were spent on, for example ``{"training": 60.0, "measuring": 90.0}``.
    hearings : sequence of Hearing
        What came of hearing the stakeholders; empty where the study names none.
    loads : sequence of mapping
        What was found under load, as from ``experiments.under_load``, as plain values; one for each data set.
    money : sequence of mapping
        As from ``experiments.money``, one for each data set and level.
    simulations : sequence of mapping
        What was simulated, as from ``experiments.simulation_of``, as plain values; one for each arm.
    datasets : sequence of mapping
        As from :func:`~shipworthy.reporting.cards.dataset_facts`.
    left_out : sequence of str
        What there was no time for, a sentence each.
    """

    study: Study
    records: pd.DataFrame
    samples: pd.DataFrame
    verdicts: Sequence[Verdict]
    requirement_verdicts: Sequence[RequirementVerdict]
    picks: Sequence[Mapping[str, Any]]
    environment: Mapping[str, Any]
    missing: Sequence[str]
    timings: Mapping[str, float] = field(default_factory=dict)
    hearings: Sequence[Hearing] = ()
    money: Sequence[Mapping[str, Any]] = ()
    loads: Sequence[Mapping[str, Any]] = ()
    simulations: Sequence[Mapping[str, Any]] = ()
    datasets: Sequence[Mapping[str, Any]] = ()
    left_out: Sequence[str] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """A report, ready to be written.

    Parameters
    ----------
    html, markdown : str
        Each whole in itself. The page asks the network for nothing; the Markdown links ``figures/``.
    tables : dict of str to DataFrame
        By file name, ``accuracy.csv`` and so on; to be written without their index.
    figures : dict of str to str
        SVG by file name.
    """

    html: str
    markdown: str
    tables: dict[str, pd.DataFrame]
    figures: dict[str, str]
