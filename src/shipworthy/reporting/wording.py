"""Numbers and names as people read them.

This module does *not* know where a number comes from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Mapping, Sequence

import numpy as np

from shipworthy.records import QUANTITIES, Comparison, Requirement, Study

KIND_WORDS = {"single": "single model", "tree_ensemble": "tree ensemble", "ensemble": "ensemble of models"}


TOO_SMALL = 0.001
"""Below this a number of milliseconds, mebibytes or dollars on a page is nothing that was read reliably, or that matters."""


def label(quantity: str) -> str:
    """The one name of a quantity that people read.

    Examples
    --------
    >>> label("roc_auc"), label("nobody_knows_it")
    ('ROC AUC', 'nobody knows it')
    """
    known = QUANTITIES.get(quantity)
    return known.label if known else quantity.replace("_", " ")


def requirement_sentence(requirement: Requirement) -> str:
    """A requirement in words, its quantity by the name that people read.

    Examples
    --------
    >>> requirement_sentence(Requirement(name="r", quantity="roc_auc", at_least=0.9))
    'ROC AUC at least 0.9'
    """
    text = requirement.sentence().replace(requirement.quantity, label(requirement.quantity), 1)
    text = text.replace(requirement.scenario, requirement.scenario.replace("_", " "))
    # A pure number has one reading, of which there is no mean.
    text = re.sub(r" \((.*)\)$", r", \1", text)
    return text.removeprefix("mean ") if not QUANTITIES[requirement.quantity].unit else text


def number(value: float | None, digits: int = 3) -> str:
    """Significant digits without an exponent; a dash for what was not measured.

    Examples
    --------
    >>> number(0.012345), number(1234.56), number(7.0)
    ('0.0123', '1,235', '7.00')
    """
    if value is None or math.isnan(value):
        return "–"  # noqa: RUF001 - an en dash is how a table says that there is nothing
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 6)}f}"


def cell(value: object) -> str:
    """A value of any type as a person reads it: a number rounded to four digits, a list by commas, a dash for nothing.

    Examples
    --------
    >>> cell(24105.6), cell(0.1005859375), cell(1234), cell(["a", "b"]), cell(2.0), cell(True)
    ('24,106', '0.1006', '1,234', 'a, b', '2', 'True')
    """
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return number(None)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {cell(v)}" for key, v in value.items() if v is not None)
    if isinstance(value, list | tuple):
        return ", ".join(cell(v) for v in value) or "none"
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return str(value)
    return f"{int(value):,}" if float(value).is_integer() else number(float(value), 4)


def cost(value: float | None) -> str:
    """As :func:`number`, but no digits for what is too small to have been read.

    Examples
    --------
    >>> cost(0.00015), cost(0.0), cost(1.5)
    ('< 0.001', '< 0.001', '1.50')
    """
    return f"< {TOO_SMALL}" if value is not None and 0 <= value < TOO_SMALL else number(value)


def bounded(value: float, low: float, high: float) -> tuple[str, str, str]:
    """As :func:`cost`, and the ends of its interval, with the digits that the interval allows; with two where it allows fewer.

    Examples
    --------
    >>> bounded(12.914, 12.23, 16.51), bounded(5.6081, 5.601, 5.62), bounded(1.32, 1.1, 2.9), bounded(1.543, 1.4, math.inf)[0]
    (('13', '12', '17'), ('5.61', '5.60', '5.62'), ('1.3', '1.1', '2.9'), '1.5')
    """
    if math.isnan(value) or value < TOO_SMALL:
        return cost(value), cost(low), cost(high)
    texts = rounded(value, low, high)
    # One digit would put a p99 below its p95.
    coarse = len(texts[0].replace(",", "").replace(".", "").lstrip("0")) < 2 and number(value, 2) != texts[0]
    return (number(value, 2), number(low, 2), number(high, 2)) if coarse else texts


def times(value: float) -> str:
    """A ratio in a sentence, to two digits, as neither side of it is known to three; near 1 those that tell it from 1.

    Examples
    --------
    >>> times(5.0512), times(0.83), times(124.4), times(1508.1), times(1.042)
    ('5.1 times', '0.83 times', '120 times', '1,500 times', '1.04 times')
    """
    return f"{number(value, 3) if 0.9 < value < 1.1 else number(float(f'{value:.2g}'), 2)} times"


def percent(share: float) -> str:
    """A probability in percent, without a certainty that nobody has.

    Examples
    --------
    >>> percent(0.128), percent(0.9999), percent(0.001)
    ('13 %', 'over 99 %', 'under 1 %')
    """
    if 0 < share < 0.005:
        return "under 1 %"
    return "over 99 %" if 0.995 < share < 1 else f"{100 * share:.0f} %"


def times_the_limit(value: float) -> str:
    """How far off a limit is, never rounded down to 1.

    Examples
    --------
    >>> times_the_limit(1.004), times_the_limit(2.34), times_the_limit(math.inf)
    ('1.01 times the limit', '2.3 times the limit', 'beyond any multiple of the limit')
    """
    if math.isinf(value):
        return "beyond any multiple of the limit"
    near = math.ceil(value * 100) / 100
    return f"{f'{near:.2f}' if near < 1.1 else number(value, 2 if value < 100 else 3)} times the limit"


def bayes_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """What the Bayesian correlated t-test says of each comparison, or once why it says nothing."""
    lines = []
    for c in comparisons:
        e = c.equivalence
        if math.isnan(e.worse):
            lines.append(f"Bayesian correlated t-test: {e.how}.")
        else:
            shares = f"worse {percent(e.worse)}, practically equivalent {percent(e.equivalent)}, better {percent(e.better)}"
            lines.append(f"Not deciding, over {c.baseline}: {shares} ({e.how}).")
    return list(dict.fromkeys(lines))


def costs_declared(study: Study) -> str:
    """The largest tolerable costs as part of a sentence; empty if none is declared.

    Examples
    --------
    >>> from shipworthy.records import Prices
    >>> prices = Prices(as_of="", source="", vcpu_hour_usd=0, gib_hour_usd=0)
    >>> costs_declared(Study(name="s", question="?", datasets=("a",), candidates=("b",), prices=prices, largest_latency_ratio=10))
    'at no more than 10 times the p99 latency of each, '
    """
    declared = (("p99 latency", study.largest_latency_ratio), ("memory", study.largest_memory_ratio))
    limits = [f"{limit:g} times the {what}" for what, limit in declared if limit is not None]
    return f"at no more than {' and '.join(limits)} of each, " if limits else ""


def rounded(value: float, low: float, high: float) -> tuple[str, str, str]:
    """A positive estimate and the ends of its interval, with no more digits than the interval's width allows.

    As in the sentence of the verdict that stands beside it.

    Examples
    --------
    >>> rounded(7.34, 4.98, 10.9), rounded(1.121, 1.117, 1.126), rounded(21.85, 5.02, 50.6)
    (('7', '5', '11'), ('1.12', '1.12', '1.13'), ('20', '5', '50'))
    """
    if not (math.isfinite(low) and math.isfinite(high) and 0 < value < math.inf and high > low):
        return number(value, 2), number(low, 2), number(high, 2)
    size = math.floor(math.log10(value))
    place = max(size - 2, min(size, math.floor(math.log10((high - low) / 2))))
    places = [min(place, math.floor(math.log10(x))) if x > 0 else place for x in (value, low, high)]
    texts = [f"{round(x, -at):,.{max(0, -at)}f}" for x, at in zip((value, low, high), places, strict=True)]
    return texts[0], texts[1], texts[2]


def score(value: float | None) -> str:
    """A metric with four decimals."""
    return number(value) if value is None or not math.isfinite(value) else f"{value:.4f}"


def file_part(name: str) -> str:
    """A name reduced to what every file system takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "unnamed"


def place_part(dataset: str, level: str) -> str:
    """A data set, and the level of what is swept if anything is, as the first part of a file's name."""
    return file_part(dataset) + (f"-{file_part(level)}" if level else "")


def free_file(drawn: Container[str], file: str) -> str:
    """The name of a file, or one like it: two data sets may differ only in what no file system takes."""
    while file in drawn:
        file = f"_{file}"
    return file
