"""Ship, do not ship, or cannot tell: every ensemble against the best single model *and* the best tree ensemble.

The rule, in full. *Ship*: every hard requirement is met, and against both the gain's interval begins at or above the smallest
useful gain and the interval of each cost ratio ends at or below the largest tolerable one, where one is declared.
*Do not ship*: a hard requirement is missed, or against either the gain's interval ends below the smallest useful gain or a
cost's begins above the largest tolerable one. Anything else is *cannot tell*, with what would tell. Baselines are chosen on
out-of-fold rows, never on test rows.

One test decides on the gain: the paired bootstrap on the test rows with one seed, the corrected resampled t with several,
corrected as far as they share rows. Its confidence holds over all ensembles judged on a data set, and all levels of training
that are swept there, together: twenty ensembles get twenty chances to be lucky. The Bayesian correlated t-test is printed beside
it and decides nothing.

This module does *not* know how anything was trained, measured or scored, or what a gain is worth in money.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal

from shipworthy.feasibility import reasons
from shipworthy.feasibility.changes import requirement_table, weighted_score
from shipworthy.feasibility.equivalence import correlated_t
from shipworthy.feasibility.evidence import Evidence, best_of, best_on_test, pooled
from shipworthy.feasibility.power import Needed, Spread, power_of_gain, queries_to_tell, rows_or_seeds_needed
from shipworthy.feasibility.requirements import MEMORY_REPEATS_TO
from shipworthy.feasibility.seeds import Overlap
from shipworthy.feasibility.statistics import (
    family_confidence,
    gain_interval,
    ratio_interval,
    round_ratios,
)
from shipworthy.records import (
    MANY_CLUSTERS,
    Answer,
    Comparison,
    Interval,
    Kind,
    RequirementVerdict,
    Study,
    TrainingPlan,
    Verdict,
    few_clusters,
)

if TYPE_CHECKING:
    import numpy as np

Role = Literal["best single", "best tree ensemble"]
ROLES: tuple[tuple[Role, Kind], ...] = (("best single", "single"), ("best tree ensemble", "tree_ensemble"))


def family_size(evidence: Sequence[Evidence], study: Study) -> int:
    """How many comparisons on one data set could end in "ship": its scored ensembles, at each level of training that is swept.

    Levels that differ in the measuring alone share their scores, and are no second chance.
    """
    levels = math.prod(len(study.sweep.get(f.name, (0,))) for f in fields(TrainingPlan))
    return max(1, sum(e.kind == "ensemble" and bool(e.test_scores) for e in evidence) * levels)


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a ratio is taken of."""

    name: reasons.Cost
    quantity: str
    scenario: str
    percentile: float
    noise_floor: float
    limit: float | None


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A comparison with what it would take to tell: of the gain, and of each cost that straddles its limit."""

    comparison: Comparison
    gain_needs: Needed | None
    dear: tuple[tuple[_Cost, Interval], ...]
    unsure: tuple[tuple[_Cost, Interval, Needed | None], ...]


def judge(
    dataset: str,
    level: str,
    evidence: Sequence[Evidence],
    study: Study,
    *,
    greater_is_better: bool,
    test_share: float,
    noise_floor: float,
    rng: np.random.Generator,
    elsewhere: Sequence[Evidence] = (),
    overlap: Overlap | None = None,
) -> list[Verdict]:
    """One verdict for every ensemble, in the order of the evidence.

    Parameters
    ----------
    dataset, level : str
    evidence : sequence of Evidence
        Every candidate of the study, the ensembles among them.
    study : Study
        Declares the metric, the smallest useful gain, the largest tolerable costs, the confidence and the requirements.
    greater_is_better : bool
        Of the study's metric.
    test_share : float
        ``n_test / n_train``.
    noise_floor : float
        At least 1: the factor by which a candidate's p99 differed from itself.
    rng : numpy.random.Generator
        For the bootstrap of latency ratios.
    elsewhere : sequence of Evidence
        Of the same data set at other levels of what is swept, for the changes that would make a requirement met.
    overlap : Overlap, optional
        What several seeds have in common; left out, that of splits drawn anew from one set of rows.

    Returns
    -------
    list of Verdict

    Raises
    ------
    ValueError
        If candidates do not have the same seeds or resamples, or measurements may not be compared.
    """
    baselines = [
        (role, best_of([e for e in evidence if e.kind == kind], greater_is_better=greater_is_better)) for role, kind in ROLES
    ]
    costs = (
        _Cost("latency", "latency_ms", "single_stream", 99, noise_floor, study.largest_latency_ratio),
        _Cost("memory", "memory_mib", "", 50, 1 + MEMORY_REPEATS_TO, study.largest_memory_ratio),
    )
    family = family_size(evidence, study)
    bench = _Bench(study, costs, family_confidence(study.confidence, family), greater_is_better, test_share, rng, overlap)
    table = requirement_table(dataset, evidence, study, level=level, elsewhere=elsewhere)
    verdicts = []
    for ensemble in (e for e in evidence if e.kind == "ensemble"):
        weighed = [bench.weigh(ensemble, role, b) for role, b in baselines if b is not None and ensemble.test_scores]
        comparisons = tuple(w.comparison for w in weighed)
        requirements = tuple(r for r in table if r.candidate == ensemble.candidate)
        few = ensemble.test_clusters if ensemble.test_clusters < min(MANY_CLUSTERS, _test_rows(ensemble, study.metric)) else 0
        words = reasons.deciding_words(len(ensemble.test_scores), bench.confidence, family, study, few)
        decided_by = words if comparisons else ""
        chosen = {b.candidate for _, b in baselines if b is not None}
        others = [e for e in evidence if e.kind != "ensemble" and e.candidate not in chosen]
        rival = best_on_test(others, ensemble, greater_is_better=greater_is_better)
        answer, reason, would_tell = _answer(ensemble, weighed, requirements, study, decided_by, rival)
        powers = [c.power for c in comparisons]
        verdicts.append(
            Verdict(
                dataset,
                level,
                ensemble.candidate,
                answer,
                reason,
                comparisons,
                requirements,
                deciding_test=decided_by,
                family=family,
                power=min(powers) if powers and not any(map(math.isnan, powers)) else math.nan,
                weighted_score=weighted_score(requirements),
                would_tell=would_tell,
            )
        )
    return verdicts


@dataclass(frozen=True, slots=True)
class _Bench:
    """Weighs an ensemble against a baseline, all by the same rules."""

    study: Study
    costs: tuple[_Cost, ...]
    confidence: float
    greater_is_better: bool
    test_share: float
    rng: np.random.Generator
    overlap: Overlap | None

    def weigh(self, ensemble: Evidence, role: Role, baseline: Evidence) -> _Weighed:
        study, n_rows = self.study, _test_rows(ensemble, self.study.metric)
        gain = gain_interval(
            ensemble.resampled,
            baseline.resampled,
            ensemble.test_scores,
            baseline.test_scores,
            greater_is_better=self.greater_is_better,
            test_share=self.test_share,
            confidence=self.confidence,
            n_rows=n_rows,
            n_clusters=ensemble.test_clusters,
            overlap=self.overlap,
        )
        sign = 1.0 if self.greater_is_better else -1.0
        gains = [sign * (c - b) for c, b in zip(ensemble.test_scores, baseline.test_scores, strict=True)]
        spread = Spread.of(ensemble.resampled, baseline.resampled, gains, n_rows, self.test_share, self.overlap)
        spread = replace(spread, row_error=spread.row_error * few_clusters(ensemble.test_clusters, self.confidence))
        margin = study.smallest_useful_gain
        latency, memory = (_ratio(ensemble, baseline, cost, self.confidence, self.rng) for cost in self.costs)
        comparison = Comparison(
            ensemble.candidate,
            baseline.candidate,
            role,
            study.metric,
            gain,
            latency,
            memory,
            equivalence=correlated_t(spread.gains, self.test_share, margin),
            power=power_of_gain(spread, 2 * margin, margin, self.confidence),
        )
        declared = [(c, r, c.limit) for c, r in zip(self.costs, (latency, memory), strict=True) if c.limit is not None]
        return _Weighed(
            comparison,
            None if math.isnan(gain.low) else rows_or_seeds_needed(gain, spread, margin),
            tuple((c, r) for c, r, limit in declared if r.low > limit),
            tuple(
                (c, r, _more_queries(ensemble, baseline, c, r))
                for c, r, limit in declared
                if not (r.low > limit or r.high <= limit)
            ),
        )


def _test_rows(evidence: Evidence, metric: str) -> int:
    return max((r.n for r in evidence.records if (r.quantity, r.statistic, r.group) == (metric, "test", "")), default=0)


def _ratio(challenger: Evidence, baseline: Evidence, cost: _Cost, confidence: float, rng: np.random.Generator) -> Interval:
    sides = []
    for side in (challenger, baseline):
        measured = pooled(side, cost.quantity, cost.scenario)
        if measured is None:
            return Interval(math.nan, math.nan, math.nan, confidence, f"{cost.quantity} of {side.candidate} was not measured")
        sides.append(measured)
    return ratio_interval(sides[0], sides[1], cost.percentile, cost.noise_floor, confidence, rng=rng)


def _more_queries(challenger: Evidence, baseline: Evidence, cost: _Cost, ratio: Interval) -> Needed | None:
    """What would tell a ratio from its limit; ``None`` where its noise is not known."""
    sides = [pooled(side, cost.quantity, cost.scenario) for side in (challenger, baseline)]
    if sides[0] is None or sides[1] is None or cost.limit is None or not (ratio.low > 0 and math.isfinite(ratio.high)):
        return None
    reach = round_ratios(sides[0], sides[1], cost.percentile)
    n = min(len(m.values) for m in sides if m is not None)
    needed = queries_to_tell(ratio, cost.limit, (min(reach), max(reach)), cost.noise_floor, n)
    return needed if cost.name == "latency" else replace(needed, things="rounds")


def _answer(
    ensemble: Evidence,
    weighed: Sequence[_Weighed],
    requirements: Sequence[RequirementVerdict],
    study: Study,
    decided_by: str,
    rival: Evidence | None,
) -> tuple[Answer, str, tuple[str, ...]]:
    """The answer, its reason, and the sentences of the reason that say what would tell."""
    margin = study.smallest_useful_gain
    hard = [r for r in requirements if r.hard]
    missed = [r for r in hard if r.outcome == "missed"]
    unsure = [r for r in hard if r.outcome == "undecided"]
    useless = [w for w in weighed if w.comparison.gain.high < margin]
    useful = [w for w in weighed if w.comparison.gain.low >= margin]
    dear = [w for w in weighed if w.dear]
    affordable = not any(w.dear or w.unsure for w in weighed)
    sentences = [reasons.missed_sentence(r) for r in missed]
    would_tell: list[str] = []
    answer: Answer
    if missed or useless or dear:
        answer = "do not ship"
        sentences += [reasons.gain_sentence(w.comparison, margin) for w in useless]
        sentences += [reasons.dear_sentence(w.comparison, c.name, r, c.limit or 0.0) for w in dear for c, r in w.dear]
        if not useless and weighed:
            enough = len(useful) == len(weighed)
            sentences.append("Its gain alone would be enough." if enough else "Its gain alone would not decide.")
    elif weighed and len(useful) == len(weighed) and affordable and not unsure:
        # Baselines are chosen out of fold, where few rows may misjudge one; what then beats the ensemble is a doubt.
        answer = "ship" if rival is None else "cannot tell"
        sentences += [reasons.gain_sentence(w.comparison, margin) for w in weighed]
        if rival is not None:
            would_tell = [reasons.rival_sentence(rival.candidate, rival.kind, rival.test, ensemble.test, study.metric)]
            sentences += would_tell
        sentences.append(_kept(hard, study, weighed))
    else:
        answer = "cannot tell"
        doubts = list(_doubts(ensemble, weighed, unsure, margin))
        sentences += [sentence for sentence, _ in doubts]
        would_tell = [sentence for sentence, tells in doubts if tells]
    tail = [_absent(weighed), reasons.weighted_sentence(requirements, weighted_score(requirements))]
    if weighed:
        tail += [f"Decided by the {decided_by}.", reasons.bayes_sentence([w.comparison for w in weighed])]
    return answer, " ".join(s for s in [*sentences, *tail] if s), tuple(would_tell)


def _kept(hard: Sequence[RequirementVerdict], study: Study, weighed: Sequence[_Weighed]) -> str:
    """What an ensemble that ships keeps besides its gain."""
    met = {0: "The study declares no requirement.", 1: "It meets the one requirement."}
    kept = met.get(len(hard), f"It meets all {len(hard)} requirements.")
    declared: tuple[tuple[reasons.Cost, float | None], ...]
    declared = (("latency", study.largest_latency_ratio), ("memory", study.largest_memory_ratio))
    limits = [f"{limit:g} times the {reasons.COST_WORDS[name]}" for name, limit in declared if limit is not None]
    if not limits:
        return kept
    of = " and of ".join(w.comparison.baseline for w in weighed)
    return f"{kept} It keeps to the largest tolerable {' and '.join(limits)} of {of}."


def _doubts(
    ensemble: Evidence, weighed: Sequence[_Weighed], unsure: Sequence[RequirementVerdict], margin: float
) -> Iterator[tuple[str, bool]]:
    """Why it cannot be told, and what there was the power to show; each sentence with whether it says what would tell."""
    if not ensemble.test_scores:
        yield "It was not scored.", False
    elif not weighed:
        yield "There is nothing to compare it with: no single model and no tree ensemble was scored.", False
    for w in weighed:
        yield reasons.gain_sentence(w.comparison, margin), False
        if not w.comparison.gain.low >= margin:
            yield reasons.needed_sentence(w.comparison, w.gain_needs), True
        for cost, ratio, needed in w.unsure:
            yield reasons.unsure_cost_sentence(w.comparison, cost.name, ratio, cost.limit or 0.0, needed), True
    yield reasons.power_sentence([w.comparison for w in weighed], margin), False
    for r in unsure:
        yield f"Undecided is {r.requirement!r}: {r.reason}.", True


def _absent(weighed: Sequence[_Weighed]) -> str:
    """Which comparison there was no baseline for; empty if there were both, or none."""
    absent = [role for role, _ in ROLES if role not in {w.comparison.baseline_role for w in weighed}]
    if not weighed or not absent:
        return ""
    lacking = " and no ".join({"best single": "single model", "best tree ensemble": "tree ensemble"}[role] for role in absent)
    return f"The study has no scored {lacking}, so it is compared with what there is."
