"""A cascade that is deployed does what one that was simulated does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from shipworthy import artefacts, simulation
from shipworthy.deployables import Cascade
from shipworthy.records import Predictions

ROWS = np.arange(300)


@pytest.mark.parametrize("how", ["margin", "entropy"])
def test_a_cascade_on_paper_is_the_cascade_that_was_built(how, tmp_path):
    """Saved, loaded and asked row by row or whole, it has exactly the accuracy and the shares that the simulation replays."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(600, 3)), columns=["a", "b", "c"])
    y = rng.integers(0, 3, 600)
    X["a"] += y
    models = {"bayes": GaussianNB(), "tree": DecisionTreeClassifier(max_depth=3), "linear": LogisticRegression()}
    fitted = {name: model.fit(X[:300], y[:300]) for name, model in models.items()}
    said = {
        name: Predictions(ROWS, y[:300], f.predict_proba(X[:300]), ROWS + 300, y[300:], f.predict_proba(X[300:]))
        for name, f in fitted.items()
    }
    votes = simulation.line_up(said, "multiclass")
    thresholds = (0.5, 0.7)
    drawn = {name: np.full(2000, i + 1.0) for i, name in enumerate(models)}
    paper = simulation.one_cascade(votes, drawn, list(models), thresholds, how=how)
    cascade = Cascade(list(models.items()), thresholds, how).fit(X[:300], y[:300])
    artefacts.save(cascade, tmp_path / "cascade.skops")
    loaded = artefacts.load(tmp_path / "cascade.skops")
    assert (loaded.predict(X[300:]) == y[300:]).mean() == paper.accuracy_test
    singly = [loaded.predict_proba(X[i : i + 1])[0] for i in range(300, 330)]
    np.testing.assert_allclose(singly, loaded.predict_proba(X[300:330]))
    asked = [len(loaded.asked(X[i : i + 1])) for i in range(300)]
    assert set(asked) == {1, 2, 3}
    assert np.mean(np.array(asked) == 1) == paper.early
    # 1 ms, then 2, then 3: a row that is asked of k members takes 1, 3 or 6 ms.
    times = np.array([1.0, 3.0, 6.0])[np.array(asked) - 1]
    assert paper.mean_ms == pytest.approx(times.mean())
    assert paper.percentile_ms == np.percentile(times, 99, method="inverted_cdf")
