"""A small neural network.

This family does *not* know images or text: it takes prepared columns like the linear models.
"""

from __future__ import annotations

from typing import get_args

from shipworthy.candidates.pipelines import for_linear
from shipworthy.records import Candidate, Estimator, Ingredients, Task

LAYERS = (64, 32)
MOST_PASSES = 400
"""Over the rows; it ends when twenty passes did not improve a held-out tenth of the training rows, in practice long before."""


def _mlp(ingredients: Ingredients) -> Estimator:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    settings = {
        "hidden_layer_sizes": LAYERS,
        "alpha": 0.01,
        "batch_size": 64,
        "learning_rate_init": 0.003,
        "n_iter_no_change": 20,
        "early_stopping": True,
        "max_iter": MOST_PASSES,
        "random_state": ingredients.random_state,
    }
    if ingredients.task == "regression":
        # Its steps suit targets near one, whatever unit they come in.
        scaled = TransformedTargetRegressor(MLPRegressor(**settings), transformer=StandardScaler())
        return for_linear(ingredients, scaled, dense=True)
    return for_linear(ingredients, MLPClassifier(**settings), dense=True)


CANDIDATES = (
    Candidate(
        "mlp",
        "single",
        "A neural network of two hidden layers, prepared as for the logistic one, that stops early by a tenth of its rows.",
        _mlp,
        tasks=get_args(Task),
    ),
)
