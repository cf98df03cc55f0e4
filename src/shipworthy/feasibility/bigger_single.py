"""The bigger single model beside every ensemble: how much of the ensemble's latency it takes, and what it scores against it.

An ensemble is often compared with models that were given a tenth of its time. A single that may grow is the control: where it
does as well in a part of the latency, the ensemble bought nothing that growing would not have.

This module does *not* decide: a bigger single is one tree ensemble among the baselines of a verdict, and no more than that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from shipworthy.feasibility.evidence import Evidence, pooled
from shipworthy.feasibility.seeds import Overlap
from shipworthy.feasibility.statistics import gain_interval, ratio_interval
from shipworthy.records import QUANTITIES, Interval, Study

if TYPE_CHECKING:
    import numpy as np


def bigger_single(
    bigger: str,
    evidence: Sequence[Evidence],
    study: Study,
    *,
    noise_floor: float,
    test_share: float,
    rng: np.random.Generator,
    overlap: Overlap | None = None,
) -> list[dict[str, Any]]:
    """What a bigger single model reaches of each ensemble's latency, and how it scores against it.

    Parameters
    ----------
    bigger : str
        Name of the candidate that may grow.
    evidence : sequence of Evidence
        Of one data set and level.
    study : Study
    noise_floor : float
        At least 1: the factor by which a candidate's p50 differed from itself; infinite if unknown.
    test_share : float
        ``n_test / n_train``, for several seeds.
    rng : numpy.random.Generator
        For the bootstrap of the latency ratios.
    overlap : Overlap, optional
        What several seeds have in common; left out, that of splits drawn anew from one set of rows.

    Returns
    -------
    list of dict
        One for each ensemble that was scored, in the order of the evidence: ``ensemble``, ``share`` (of its single-stream p50
        latency), ``share_low``, ``share_high``, ``gain`` (in the metric, positive where the bigger single is better),
        ``gain_low``, ``gain_high`` and ``sentence``. What was not measured is ``nan``. Empty where the bigger single was not
        scored.
    """
    single = next((e for e in evidence if e.candidate == bigger and e.test_scores), None)
    if single is None:
        return []
    found = []
    for ensemble in (e for e in evidence if e.kind == "ensemble" and e.test_scores):
        sides = [pooled(e, "latency_ms", "single_stream") for e in (single, ensemble)]
        share = Interval(math.nan, math.nan, math.nan, study.confidence, "not measured")
        if sides[0] is not None and sides[1] is not None:
            share = ratio_interval(sides[0], sides[1], 50, noise_floor, study.confidence, rng=rng)
        gain = gain_interval(
            single.resampled,
            ensemble.resampled,
            single.test_scores,
            ensemble.test_scores,
            greater_is_better=QUANTITIES[study.metric].greater_is_better,
            test_share=test_share,
            confidence=study.confidence,
            n_clusters=single.test_clusters,
            overlap=overlap,
        )
        numbers = {"share": share.value, "share_low": share.low, "share_high": share.high}
        numbers |= {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high}
        found.append(
            {"ensemble": ensemble.candidate, **numbers, "sentence": _sentence(bigger, ensemble.candidate, share, gain, study)}
        )
    return found


def _sentence(bigger: str, ensemble: str, share: Interval, gain: Interval, study: Study) -> str:
    metric, margin = QUANTITIES[study.metric].label, study.smallest_useful_gain
    if math.isnan(share.value):
        time = f"How much of {ensemble}'s p50 latency {bigger} takes was not measured"
    elif math.isfinite(share.high) and share.low > 0:
        time = f"{bigger} takes {share.value:.2g} [{share.low:.2g}, {share.high:.2g}] of {ensemble}'s p50 latency"
    else:
        time = f"{bigger} takes {share.value:.2g} of {ensemble}'s p50 latency, give or take a noise that is not known"
    if math.isnan(gain.low):
        return f"{time}; its {metric} against it has no interval ({gain.how})."
    side = "better" if gain.value >= 0 else "worse"
    score = f"its {metric} is {abs(gain.value):.4f} {side} [{gain.low:+.4f}, {gain.high:+.4f}]"
    if gain.high < margin and gain.low > -margin:
        worth = f"no useful difference (smallest useful {margin:g})"
    elif gain.low >= margin:
        worth = "a useful gain over the ensemble"
    elif gain.high <= -margin:
        worth = "the ensemble earns a useful gain over it"
    else:
        worth = f"whether that is a useful difference ({margin:g}) cannot be told"
    return f"{time}, and {score}: {worth}."
