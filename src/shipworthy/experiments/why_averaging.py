"""Why ensembles work at all: strength against diversity of the members of an arm, and the case where averaging hurts.

Whatever is chosen, the vote that hurts most and the weights that repair it, is chosen out of fold and shown on test rows.

This experiment does *not* know what a member costs, or how anything is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shipworthy.experiments.arms import Arm, task_of
from shipworthy.experiments.how_many_members import SizePlan, grow_trees, grown, resampling_weights
from shipworthy.experiments.workbench import Workbench
from shipworthy.records import QUANTITIES, Floats, Interval

if TYPE_CHECKING:
    import pandas as pd

    from shipworthy.simulation import Averaging, Diversity, Pair, Votes


@dataclass(frozen=True, slots=True)
class Mended:
    """A plain vote beside its best member, and what weights make of it.

    Parameters
    ----------
    members : tuple of str
    best : str
        Its best member out of fold.
    metric : str
        Brier score, or RMSE.
    lost : Interval
        By how much the plain vote is worse than that member on test rows, paired; above 0 it hurts.
    weights : mapping of str to float
        By member, chosen out of fold; a member that is left out has 0.
    repaired : Interval
        What the weighted vote gains over the plain one on test rows.
    over_best : Interval
        What the weighted vote gains over the best member.
    sentences : tuple of str
    """

    members: tuple[str, ...]
    best: str
    metric: str
    lost: Interval
    weights: Mapping[str, float]
    repaired: Interval
    over_best: Interval
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Why:
    """Strength and diversity of every vote of an arm's members, out of fold.

    Parameters
    ----------
    dataset, error : str
        What the error is called.
    diversity : Diversity
    pairs : tuple of Pair
    hurt, everyone : Mended
        The vote that is furthest behind its best member out of fold; and the vote of all members.
    """

    dataset: str
    error: str
    diversity: Diversity
    pairs: tuple[Pair, ...]
    hurt: Mended
    everyone: Mended

    def votes(self) -> pd.DataFrame:
        """Every vote of two members or more, the most useful first.

        Returns
        -------
        DataFrame
            ``members``, ``size``, ``error``, ``mean_member``, ``best_member``, ``ambiguity``, ``behind``, ``gain``.
        """
        import pandas as pd

        several = [s for s in range(len(self.diversity.error)) if s.bit_count() > 1]
        columns: dict[str, object] = {
            "members": [" + ".join(self.diversity.members(s)) for s in several],
            "size": [s.bit_count() for s in several],
        }
        for name in ("error", "mean_member", "best_member", "ambiguity", "behind", "gain"):
            columns[name] = getattr(self.diversity, name)[several]
        return pd.DataFrame(columns).sort_values(["gain", "members"], ascending=[False, True], ignore_index=True)

    def pair_table(self) -> pd.DataFrame:
        """Every two members; columns as the fields of :class:`~shipworthy.simulation.Pair`."""
        import pandas as pd

        return pd.DataFrame([asdict(p) for p in self.pairs])

    def sentence(self) -> str:
        """How often averaging helps, and why it does not elsewhere."""
        gains = self.votes()["gain"].to_numpy()
        good = int((gains > 0).sum())
        first = f"{good:,} of {len(gains):,} votes {'beats its' if good == 1 else 'beat their'} best member out of fold"
        if good == len(gains):
            return f"{first}: the members differ by more than the average one is behind the best."
        return f"{first}; in the others the members differ by less than the average one is behind the best."


@dataclass(frozen=True, slots=True, eq=False)
class Alike:
    """The trees of one forest, alone and together, on test rows."""

    candidate: str
    error: str
    averaging: Averaging
    sentence: str


def why_averaging(bench: Workbench, arm: Arm, votes: Votes, *, confidence: float = 0.95) -> Why:
    """Strength against diversity of every vote of some members, and the vote that hurts most.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    votes : Votes
        What the members said, as of a :class:`~shipworthy.experiments.Simulation`.
    confidence : float
        Of the intervals on test rows.

    Returns
    -------
    Why
    """
    from shipworthy import simulation

    found = simulation.diversity(votes, "oof")
    error = "squared error" if votes.task == "regression" else "Brier score"
    hurt, everyone = (
        _mended(bench, arm, votes.only(members), confidence) for members in (found.members(found.most_hurt()), votes.names)
    )
    return Why(arm.dataset, error, found, simulation.pairs(votes, "oof"), hurt, everyone)


def _mended(bench: Workbench, arm: Arm, some: Votes, confidence: float) -> Mended:
    from shipworthy import feasibility, measurement, simulation

    metric = "rmse" if some.task == "regression" else "brier"
    members = some.names
    alone = [measurement.score(metric, some.oof.y, said.T) for said in some.oof.said]
    best = int(np.argmin(alone))
    chosen = simulation.convex_weights(some, metric)
    weights = {m: dict(zip(chosen.members, chosen.weights, strict=True)).get(m, 0.0) for m in members}
    drawn = resampling_weights(bench, arm)
    plain, strong = np.full(len(members), 1 / len(members)), np.eye(len(members))[best]
    mixed = np.array([weights[m] for m in members])

    def gain(ours: Floats, theirs: Floats) -> Interval:
        said = [np.einsum("k,kcn->nc", w, some.test.said) for w in (ours, theirs)]
        scores = [measurement.score(metric, some.test.y, p) for p in said]
        resampled = [measurement.resampled_scores(metric, some.test.y, p, drawn) for p in said]
        return feasibility.paired_gain(
            resampled[0],
            resampled[1],
            scores[0],
            scores[1],
            greater_is_better=False,
            confidence=confidence,
            n_rows=len(some.test.y),
        )

    lost, repaired, over_best = gain(strong, plain), gain(mixed, plain), gain(mixed, strong)
    label = QUANTITIES[metric].label
    plainly = " + ".join(members)
    verb = "is" if lost.low > 0 else "is not" if lost.high < 0 else "may be"
    first = f"The plain vote of {plainly} {verb} worse than {members[best]} alone: {_with_ends(lost)} {label} on test rows."
    kept = {m: w for m, w in weights.items() if w > 0}
    listed = ", ".join(f"{m} {w:.2f}" for m, w in kept.items())
    gone = ", ".join(m for m in members if m not in kept)
    how = f"Weights that were chosen out of fold ({listed}" + (f"; {gone} left out)" if gone else ")")
    second = f"{how} {'gain' if repaired.low > 0 else 'may gain'} {_with_ends(repaired)} over the plain vote"
    if tuple(kept) == (members[best],):
        second += f": only {members[best]} is left."
    else:
        second += f", and {_with_ends(over_best)} over {members[best]} alone."
    return Mended(members, members[best], metric, lost, weights, repaired, over_best, (first, second))


def trees_alone(bench: Workbench, arm: Arm, name: str, plan: SizePlan) -> Alike:
    """What each tree of a forest scores alone on test rows, and what means of more and more of them do.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    name : str
        A forest; it is grown where that is not done.
    plan : SizePlan

    Returns
    -------
    Alike

    Raises
    ------
    InputError
        If it is no forest.
    """
    from shipworthy import artefacts, simulation, training

    grow_trees(bench, arm, [name], plan)
    dataset = bench.dataset(arm)
    forest = artefacts.load(Path(grown(bench, arm, name, plan)[-1].artefact))
    test = dataset.split.test
    found = simulation.averaging(training.each_tree(forest, dataset, test), dataset.y[test], dataset.task)
    error = "squared error" if task_of(arm) == "regression" else "Brier score"
    sentence = (
        f"A tree of {name} alone has a {error} of {found.single:.4g}. No number of such trees gets below {found.limit:.4g}: two "
        f"of them share {100 * found.alike:.0f} % of their error. Ten trees gain 90 % of the way, a hundred 99 %."
    )
    return Alike(name, error, found, sentence)


def _with_ends(interval: Interval) -> str:
    # Adding 0 takes the sign from what rounds to nothing.
    value, low, high = (round(v, 6) + 0.0 for v in (interval.value, interval.low, interval.high))
    return f"{value:.4g} ({low:.4g} to {high:.4g})"
