"""A cascade that is deployed does what one that was simulated does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from shipworthy import artefacts, simulation
from shipworthy.deployables import Cascade, repeats
from shipworthy.records import Predictions

ROWS = np.arange(300)
THRESHOLDS = (0.5, 0.7)
MODELS = {
    "bayes": GaussianNB(),
    "neighbours": KNeighborsClassifier(2),  # where its two differ it cannot tell: a tie, which the first class wins
    "tree": DecisionTreeClassifier(max_depth=3),
    "linear": LogisticRegression(),
}


def place_by_hand(said, how):
    """Which member's answer stands, of what each says of one row."""
    seen = []
    for place, p in enumerate(said[:-1]):
        answer = int(np.flatnonzero(p == p.max())[0])
        if how == "agreement" and answer in seen:
            return place
        seen.append(answer)
        if how == "margin" and np.sort(p)[-1] - np.sort(p)[-2] >= THRESHOLDS[place]:
            return place
        if how == "entropy" and 1 + np.sum(p[p > 0] * np.log(p[p > 0])) / np.log(len(p)) >= THRESHOLDS[place]:
            return place
    return len(said) - 1


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    ("how", "names"),
    [
        ("margin", ("bayes", "tree", "linear")),
        ("entropy", ("bayes", "tree", "linear")),
        ("agreement", ("bayes", "neighbours", "linear")),
        ("agreement", ("neighbours", "bayes", "tree", "linear")),
    ],
)
def test_a_cascade_on_paper_is_the_cascade_that_was_built(how, names, n_classes, tmp_path):
    """Saved, loaded and asked row by row or whole, it has exactly the accuracy and the shares that the simulation replays."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(600, 3)), columns=["a", "b", "c"])
    y = rng.integers(0, n_classes, 600)
    X["a"] += y
    models = {name: MODELS[name] for name in names}
    fitted = {name: model.fit(X[:300], y[:300]) for name, model in models.items()}
    said = {
        name: Predictions(ROWS, y[:300], f.predict_proba(X[:300]), ROWS + 300, y[300:], f.predict_proba(X[300:]))
        for name, f in fitted.items()
    }
    votes = simulation.line_up(said, "binary" if n_classes == 2 else "multiclass")
    thresholds = () if how == "agreement" else THRESHOLDS
    drawn = {name: np.full(2000, i + 1.0) for i, name in enumerate(models)}
    paper = simulation.one_cascade(votes, drawn, names, thresholds, how=how)
    cascade = Cascade(list(models.items()), thresholds, how).fit(X[:300], y[:300])
    artefacts.save(cascade, tmp_path / "cascade.skops")
    loaded = artefacts.load(tmp_path / "cascade.skops")
    whole = loaded.predict_proba(X[300:])
    assert (loaded.predict(X[300:]) == y[300:]).mean() == pytest.approx(paper.accuracy_test, abs=1e-6)
    # A linear member asked about some rows may differ in the last bit from itself asked about all: so some BLAS have it.
    np.testing.assert_allclose(whole, loaded.combine([said[name].test for name in names]), rtol=0, atol=1e-12)
    by_hand = [place_by_hand(row, how) for row in zip(*(said[name].test for name in names), strict=True)]
    np.testing.assert_allclose(whole, [said[names[place]].test[row] for row, place in enumerate(by_hand)])
    assert ((loaded.combine([said[name].oof for name in names]).argmax(axis=1) == y[:300]).mean()) == pytest.approx(
        paper.accuracy, abs=1e-6
    )
    singly = [loaded.predict_proba(X[i : i + 1])[0] for i in range(300, 330)]
    np.testing.assert_allclose(singly, whole[:30])
    asked = np.array([len(loaded.asked(X[i : i + 1])) for i in range(300)])
    first = 2 if how == "agreement" else 1
    assert np.mean(asked == first) == pytest.approx(paper.early, abs=1e-6)
    # With two classes, two of three members agree.
    assert set(asked) == set(range(first, 1 + (3 if how == "agreement" and n_classes == 2 else len(names))))
    # 1 ms, then 2, then 3, then 4: a row that is asked of k members takes 1, 3, 6 or 10 ms.
    times = np.array([1.0, 3.0, 6.0, 10.0])[asked - 1]
    assert paper.mean_ms == pytest.approx(times.mean())
    assert paper.percentile_ms == np.percentile(times, 99, method="inverted_cdf")


def test_a_member_alone_agrees_with_nobody():
    """The first answer of all repeats none; of equally likely classes the first is the answer, as in a vote."""
    tie, sure = np.array([[0.5, 0.5]]), np.array([[0.1, 0.9]])
    assert not repeats([tie])[0]
    assert [bool(repeats([tie, p])[0]) for p in (tie, sure)] == [True, False]
    assert repeats([tie, sure, tie])[0]


@pytest.mark.parametrize(
    ("names", "thresholds", "how", "said"),
    [
        (("bayes", "tree"), (), "agreement", "needs three members or more, and no thresholds"),
        (("bayes", "tree", "linear"), (0.5,), "agreement", "needs three members or more, and no thresholds"),
        (("bayes", "tree"), (), "margin", "2 members need 1 thresholds"),
    ],
)
def test_a_cascade_that_cannot_be_is_not_fitted(names, thresholds, how, said):
    """Thresholds that do not fit the members, or too few members to agree."""
    cascade = Cascade([(name, MODELS[name]) for name in names], thresholds, how)
    with pytest.raises(ValueError, match=said):
        cascade.fit(pd.DataFrame({"a": [0.0, 1.0]}), np.array([0, 1]))
