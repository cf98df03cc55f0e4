"""What candidates are worth in a month, where the verdict flips, and where an ensemble stands among public ones.

Counts how answers came out from the predictions that are there, and hands plain numbers to ``feasibility``.

This experiment does *not* know how the money is drawn or written up, or whether the declared amounts are true.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.experiments.arms import Arm, task_of
from shipworthy.experiments.ensembles import models_in
from shipworthy.experiments.workbench import Workbench, record_rows
from shipworthy.records import (
    QUANTITIES,
    Economics,
    Floats,
    Interval,
    Ints,
    Predictions,
    Prices,
    Record,
    Study,
    Verdict,
    expected,
)

if TYPE_CHECKING:
    from shipworthy.feasibility import Answers, Case, Contender, Evidence, VerdictMap

DATED_PRICES = Prices(
    as_of="2026-03",
    source="AWS Fargate, Linux on x86, us-east-1, on demand",
    vcpu_hour_usd=0.04048,
    gib_hour_usd=0.004445,
)
"""Used where a notebook is run alone; a study declares its own."""
N_RESAMPLES = 1000
"""As for the accuracies."""
CELLS = 21
"""Steps of traffic and of margin on the map."""
REACH = 100.0
"""The map reaches from a hundredth of what was declared to a hundred times that."""
DEARER = 10.0
"""The second price level of the map."""
NO_MARGIN_USD = 0.001
"""The middle of the map where a right answer was not said to earn anything."""
ERROR_OF = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}
"""AMLB's metric for each type of task."""


@dataclass(frozen=True, slots=True)
class MoneyOfPlace:
    """The money of one data set and level: records as rows, what a report shows, and what is missing, in sentences."""

    rows: tuple[dict[str, Any], ...]
    shown: dict[str, Any]
    missing: tuple[str, ...]


def answers_of(
    said: Mapping[str, Predictions], classes: Sequence[str], economics: Economics, rng: np.random.Generator
) -> dict[str, Answers]:
    """How the answers of candidates came out on the same test rows, on resamples of them, and out of fold.

    Parameters
    ----------
    said : mapping of str to Predictions
        By candidate, all of the same data set and split. Test rows that belong together are drawn together.
    classes : sequence of str
        Names of the classes; with two, the second is the positive one. Empty for regression.
    economics : Economics
        Its ``threshold`` says where a probability becomes a positive answer; with more than two classes the likeliest one is
        the answer.
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to Answers
    """
    from shipworthy import feasibility
    from shipworthy.feasibility import Answers

    if not classes:
        return _errors_of(said, rng)
    binary = len(classes) == 2
    outcomes = ("correct", *(("false positive", "false negative") if binary else (f"wrong: {c}" for c in classes)))
    codes, oof, how = {}, {}, {}
    for name, p in said.items():
        if binary:
            at = 0.5
            if economics.threshold == "out_of_fold":
                at = feasibility.best_threshold(p.oof[:, 1], p.oof_y, economics)
            answers = [(each[:, 1] >= at).astype(np.int64) for each in (p.test, p.oof)]
            chosen = "where out-of-fold answers earn most" if economics.threshold == "out_of_fold" else "as declared"
            how[name] = f"positive from a probability of {at:.3g}, {chosen}"
        else:
            answers = [each.argmax(axis=1).astype(np.int64) for each in (p.test, p.oof)]
            how[name] = "the likeliest class"
        codes[name], oof[name] = (
            # Of two classes, 1 is a false positive (a negative row) and 2 a false negative; of more, 1 + the true class.
            np.where(answer == truth, 0, 1 + truth)
            for answer, truth in zip(answers, (p.test_y, p.oof_y), strict=True)
        )
    k = len(outcomes)
    resampled = feasibility.resample_shares(list(codes.values()), k, N_RESAMPLES, rng, _together(said))
    return {
        name: Answers(
            outcomes=outcomes,
            shares=np.bincount(codes[name], minlength=k) / len(codes[name]),
            resampled=drawn,
            oof_shares=np.bincount(oof[name], minlength=k) / len(oof[name]),
            n=len(codes[name]),
            how=how[name],
        )
        for name, drawn in zip(codes, resampled, strict=True)
    }


def _errors_of(said: Mapping[str, Predictions], rng: np.random.Generator) -> dict[str, Answers]:
    from shipworthy import feasibility
    from shipworthy.feasibility import Answers

    errors = {name: np.abs(p.test[:, 0] - p.test_y) for name, p in said.items()}
    resampled = feasibility.resample_means(list(errors.values()), N_RESAMPLES, rng, _together(said))
    return {
        name: Answers(
            outcomes=("absolute error",),
            shares=np.array([errors[name].mean()]),
            resampled=drawn,
            oof_shares=np.array([np.abs(said[name].oof[:, 0] - said[name].oof_y).mean()]),
            n=len(errors[name]),
            how="the predicted value",
        )
        for name, drawn in zip(errors, resampled, strict=True)
    }


def _together(said: Mapping[str, Predictions]) -> Ints | None:
    """What the test rows belong to: the same for all candidates, whose test rows are the same."""
    return next(iter(said.values())).test_cluster


def _classes(bench: Workbench, arm: Arm, said: Mapping[str, Predictions]) -> tuple[str, ...]:
    """Names of the classes; only where there are more than two need the data set be read for them."""
    width = next(iter(said.values())).test.shape[1]
    return {1: (), 2: ("negative", "positive")}.get(width) or (bench.dataset(arm).classes if width > 2 else ())


def money_of_place(
    bench: Workbench, study: Study, arms: Sequence[Arm], evidence: Sequence[Evidence], verdicts: Sequence[Verdict]
) -> MoneyOfPlace:
    """Work out the money of one data set at one level of what is swept.

    Parameters
    ----------
    bench : Workbench
    study : Study
        Without ``economics`` only machines are priced.
    arms : sequence of Arm
        One a seed.
    evidence : sequence of Evidence
        Of the candidates that were trained and scored for every seed.
    verdicts : sequence of Verdict
        Their comparisons name the baselines.

    Returns
    -------
    MoneyOfPlace
    """
    from shipworthy import feasibility, training

    economics = study.economics or Economics()
    rows: list[dict[str, Any]] = []
    missing: list[str] = []
    by_seed: list[dict[str, Case]] = []
    classes: tuple[str, ...] = ()
    for arm in arms:
        rng = np.random.default_rng([arm.seed, 7])
        answers: dict[str, Answers] = {}
        if study.economics is not None and evidence:
            said = {e.candidate: training.load(bench.part(bench.fit_unit(arm, e.candidate))).predictions for e in evidence}
            classes = _classes(bench, arm, said)
            answers = answers_of(said, classes, economics, rng)
            unknown = [name for name in economics.wrong_class_usd if len(classes) < 3 or name not in classes]
            missing += [f"economics.wrong_class_usd names {name!r}, which is no class of {arm.dataset}." for name in unknown]
        cases: dict[str, Case] = {}
        for e in evidence:
            own = [r for r in e.records if r.seed == arm.seed]
            models = models_in(bench, arm, e.candidate)
            parts = 1 + models if models else 1
            case = feasibility.make_case(e.candidate, e.kind, parts, own, economics, answers.get(e.candidate))
            if case is None:
                missing.append(f"{e.candidate} on {arm.title} has no price: its latency or its memory was not measured.")
            else:
                cases[e.candidate] = case
        found = feasibility.money_of(
            list(cases.values()), economics, study.prices, study.traffic_queries_s, study.confidence, rng
        )
        routes = {e.candidate: e.route for e in evidence}
        for case, money in zip(cases.values(), found, strict=True):
            rows += record_rows(_records(case, money, arm, routes[case.candidate], study.confidence), arm)
        by_seed.append(cases)
    everywhere = [e for e in evidence if all(e.candidate in cases for cases in by_seed)]
    shown: dict[str, Any] = {"dataset": arms[0].dataset, "level": arms[0].level, "declared": study.economics is not None}
    task = task_of(arms[0])
    shown["public"] = _public(everywhere, verdicts, task)
    sample = feasibility.sample_of(task_type=task)
    words = shown["public"][0]["sample"] if shown["public"] else ""
    shown["public_sample"] = {"sample": words, "points": [[r.time_multiple, r.error_cut] for r in sample]}
    shown["bought"] = asdict(feasibility.bought_by_compute())["sentence"]
    shown["capacity"] = {name: case.capacity_queries_s.how for name, case in by_seed[0].items()}
    if study.economics is not None:
        shown["answers"] = {name: case.answers.how for name, case in by_seed[0].items() if case.answers}
        shown |= _worth(study, economics, by_seed, everywhere, verdicts)
    return MoneyOfPlace(tuple(rows), shown, tuple(missing))


def _records(case: Case, money: Mapping[str, Interval], arm: Arm, route: str, confidence: float) -> list[Record]:
    """Records of a case: money by quantity, and how its answers came out."""
    facts: dict[str, Any] = {"dataset": arm.dataset, "candidate": case.candidate, "kind": case.kind, "seed": arm.seed}
    facts |= {"route": route}
    how = {"capacity": case.capacity_queries_s.how} | ({"answers": case.answers.how} if case.answers else {})
    out = [
        Record(
            **facts,
            quantity=quantity,
            # The price of a million queries exists as it is used too; this is that of the copies that are held.
            statistic="held" if quantity == "usd_per_million" else "estimate",
            value=found.value,
            low=found.low,
            high=found.high,
            unit=QUANTITIES[quantity].unit,
            n=case.answers.n if case.answers and quantity in ("answers_usd_month", "net_value_usd_month") else 0,
            conditions=json.dumps(how | {"interval": found.how}, sort_keys=True),
        )
        for quantity, found in money.items()
        if not math.isnan(found.value)
    ]
    if case.answers is not None and case.answers.outcomes[0] == "correct":
        tail = (1 - confidence) / 2
        ends = np.quantile(case.answers.resampled, [tail, 1 - tail], axis=0)
        for i, outcome in enumerate(case.answers.outcomes):
            group = outcome.removeprefix("wrong: ") if outcome.startswith("wrong: ") else ""
            quantity = "wrong_share" if group else f"{outcome.replace(' ', '_')}_share"
            value, low, high = (float(x[i]) for x in (case.answers.shares, *ends))
            how_said = json.dumps({"answers": case.answers.how}, sort_keys=True)
            places: dict[str, Any] = {"n": case.answers.n, "unit": "", "group": group, "conditions": how_said}
            out.append(Record(**facts, quantity=quantity, statistic="test", value=value, low=low, high=high, **places))
    return out


def _mean(evidence: Evidence, quantity: str, statistic: str, scenario: str, batch_size: int) -> float:
    values = [
        r.value
        for r in evidence.records
        if (r.quantity, r.statistic, r.scenario, r.batch_size) == (quantity, statistic, scenario, batch_size) and not r.group
    ]
    return float(np.mean(values)) if values else math.nan


def _error_cut(ours: Evidence, theirs: Evidence, metric: str) -> float:
    """What is cut off the error, relative: of 1 - ROC AUC, log loss or RMSE."""
    errors = [_mean(e, metric, "test", "none", 0) for e in (ours, theirs)]
    if metric == "roc_auc":
        errors = [1 - e for e in errors]
    return 1 - errors[0] / errors[1] if errors[1] > 0 else math.nan


def _time_multiple(ours: Evidence, theirs: Evidence) -> tuple[float, bool]:
    """The ratio of times in bulk, at the largest batch that both answered; else of single queries, and that it is that."""
    sizes = [
        {r.batch_size for r in e.records if (r.quantity, r.scenario) == ("throughput_rows_s", "offline")} for e in (ours, theirs)
    ]
    for size in sorted(sizes[0] & sizes[1], reverse=True):
        rows_s = [_mean(e, "throughput_rows_s", "mean", "offline", size) for e in (ours, theirs)]
        if all(r > 0 for r in rows_s):
            return rows_s[1] / rows_s[0], True
    single = [_mean(e, "latency_ms", "mean", "single_stream", 1) for e in (ours, theirs)]
    return (single[0] / single[1] if single[1] > 0 else math.nan), False


def _public(evidence: Sequence[Evidence], verdicts: Sequence[Verdict], task: str) -> list[dict[str, Any]]:
    """Each ensemble among the public ones, against the best tree ensemble where there is one: there the single is a booster."""
    from shipworthy import feasibility

    known = {e.candidate: e for e in evidence}
    places = []
    for v in verdicts:
        roles = {c.baseline_role: c.baseline for c in v.comparisons if c.baseline in known}
        baseline = roles.get("best tree ensemble") or roles.get("best single")
        if v.candidate in known and baseline is not None:
            ours, theirs = known[v.candidate], known[baseline]
            multiple, bulk = _time_multiple(ours, theirs)
            cut = _error_cut(ours, theirs, ERROR_OF[task])
            place = feasibility.place_among_public(v.candidate, baseline, cut, multiple, bulk=bulk, task_type=task)
            places.append(asdict(place) | {"task_type": task, "metric": ERROR_OF[task]})
    return places


def _worth(
    study: Study,
    economics: Economics,
    by_seed: Sequence[Mapping[str, Case]],
    evidence: Sequence[Evidence],
    verdicts: Sequence[Verdict],
) -> dict[str, Any]:
    """Break-evens, the map and the nearest flips, as plain values."""
    from shipworthy import feasibility

    names = [e.candidate for e in evidence]
    prices, traffic = study.prices, study.traffic_queries_s
    point = {
        n: feasibility.mean_terms([feasibility.expected_terms(cases[n], economics, prices) for cases in by_seed]) for n in names
    }
    evens = [
        asdict(feasibility.break_even(point[v.candidate], point[c.baseline], traffic, economics, prices))
        for v in verdicts
        for c in v.comparisons
        if v.candidate in point and c.baseline in point
    ]
    drawn = _draw_all(study, economics, by_seed, [n for n in names if n in point])
    for even in evens:
        gains = drawn[even["challenger"]] - drawn[even["baseline"]]
        tail = (1 - study.confidence) / 2
        even["gain_low"], even["gain_high"] = (float(x) for x in np.quantile(gains, [tail, 1 - tail]))
        even["sentences"] = [_gain_sentence(even, study.confidence), *even["sentences"]]
    contenders = _contenders(study, economics, by_seed, evidence)
    if not any(c.is_ensemble for c in contenders) or all(c.is_ensemble for c in contenders):
        return {"break_even": evens, "map": None}
    limits = [
        r.at_most
        for r in study.requirements
        if (r.quantity, r.statistic, r.scenario) == ("latency_ms", "p99", "single_stream") and r.at_most is not None
    ]
    classified = contenders[0].terms.case.answers
    regression = classified is not None and classified.outcomes[0] != "correct"
    margin = expected(economics.absolute_error_usd if regression else economics.correct_usd)
    here = feasibility.Place(traffic, min(limits, default=math.inf), expected(economics.price_factor), margin)
    found = feasibility.VerdictMap(contenders, here, economics, prices, study.confidence)
    now, flips = found.winner(here), found.flips()
    panels = [
        {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(panel).items()}
        for panel in _panels(found, margin or NO_MARGIN_USD)
    ]
    shown: dict[str, Any] = {"here": asdict(here), "now": now, "flips": [asdict(f) for f in flips], "panels": panels}
    shown["sides"] = [side.name if side else "" for side in found.sides(here.limit_ms)]
    shown["margin_of"] = "unit of absolute error" if regression else "right answer"
    shown["sentence"] = feasibility.flip_sentence(now, flips)
    return {"break_even": evens, "map": shown}


def _draw_all(
    study: Study, economics: Economics, by_seed: Sequence[Mapping[str, Case]], names: Sequence[str]
) -> dict[str, Floats]:
    """Net values of a month, drawn together; the draws of several seeds stand side by side."""
    from shipworthy import feasibility

    nets: dict[str, list[Floats]] = {name: [] for name in names}
    for seed, cases in zip(study.seeds, by_seed, strict=True):
        rng = np.random.default_rng([seed, 9])
        terms = feasibility.draw_terms([cases[n] for n in names], economics, study.prices, rng)
        for name, own in zip(names, terms, strict=True):
            nets[name].append(feasibility.month(own, study.traffic_queries_s, economics, study.prices).net)
    return {name: np.concatenate(parts) for name, parts in nets.items()}


def _gain_sentence(even: Mapping[str, Any], confidence: float) -> str:
    """What the challenger is worth more in a month, with the interval of the paired draws."""
    gain, low, high = even["gain_usd_month"], even["gain_low"], even["gain_high"]
    side = "which pays" if low > 0 else "which does not pay" if high < 0 else "so it cannot be told whether it pays"
    return (
        f"In a month {even['challenger']} is worth an estimated {gain:+,.0f} USD beside {even['baseline']} "
        f"({low:+,.0f} to {high:+,.0f} at {100 * confidence:g} %), {side}."
    )


def _contenders(
    study: Study, economics: Economics, by_seed: Sequence[Mapping[str, Case]], evidence: Sequence[Evidence]
) -> list[Contender]:
    """Candidates with a p99, their terms drawn together; the draws of several seeds stand side by side."""
    from shipworthy import feasibility

    bounds = {e.candidate: _p99(e) for e in evidence}
    names = [name for name, bound in bounds.items() if bound is not None]
    drawn = []
    for seed, cases in zip(study.seeds, by_seed, strict=True):
        rng = np.random.default_rng([seed, 8])
        drawn.append(feasibility.draw_terms([cases[n] for n in names], economics, study.prices, rng))
    out = []
    for i, name in enumerate(names):
        chosen_by = [feasibility.expected_terms(cases[name], economics, study.prices, out_of_fold=True) for cases in by_seed]
        bound = bounds[name]
        assert bound is not None
        out.append(feasibility.Contender(feasibility.join_terms([d[i] for d in drawn]), feasibility.mean_terms(chosen_by), bound))
    return out


def _p99(evidence: Evidence) -> Interval | None:
    """The p99 of single queries with the bounds that decide a requirement, the worst over the seeds."""
    found = [
        m.percentile_bound(99)
        for m in evidence.measurements
        if m.quantity == "latency_ms" and m.conditions.scenario == "single_stream" and m.conditions.batch_size == 1 and m.values
    ]
    if not found:
        return None
    ends = [max(getattr(b, end) for b in found) for end in ("observed", "low", "high")]
    return Interval(ends[0], ends[1], ends[2], found[0].confidence, "order statistics, the worst over the seeds")


def _panels(found: VerdictMap, margin: float) -> list[Any]:
    """The map at the declared limit and one at which the sides differ, at the declared price and a dearer one."""
    here = found.here
    ensemble, baseline = found.sides(math.inf)
    limits = [here.limit_ms]
    if ensemble is not None and baseline is not None and ensemble.p99_ms.low > baseline.p99_ms.high:
        between = math.sqrt(ensemble.p99_ms.low * baseline.p99_ms.high)
        limits = [float(f"{between:.2g}") if baseline.p99_ms.high < float(f"{between:.2g}") < ensemble.p99_ms.low else between]
        limits = sorted({limits[0], here.limit_ms})
        if here.limit_ms < ensemble.p99_ms.low:
            limits = sorted({here.limit_ms, float(f"{1.2 * ensemble.p99_ms.high:.2g}")})
    traffic = _around(here.traffic_queries_s)
    return [
        found.panel(limit, here.price_factor * factor, traffic, _around(margin)) for factor in (1.0, DEARER) for limit in limits
    ]


def _around(middle: float) -> Floats:
    return np.geomspace(middle / REACH, middle * REACH, CELLS)
