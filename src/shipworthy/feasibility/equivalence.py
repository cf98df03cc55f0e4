"""How probably a challenger is worse, practically equivalent or better: the Bayesian correlated t-test.

Printed beside the test that decides, and never deciding: it answers another question, and answers it differently.

This module does *not* know which of its probabilities would be enough to ship.
"""

from __future__ import annotations

import math

from shipworthy.records import Equivalence, Floats


def correlated_t(differences: Floats, test_share: float, region: float) -> Equivalence:
    """Posterior probabilities of the mean gain over repeated splits (Corani and Benavoli 2015; Benavoli et al. 2017, 4.1).

    .. code-block:: text

        rho   = n_test / (n_train + n_test)               correlation of two seeds' gains, as their training rows overlap
        scale = sqrt((1/k + rho / (1 - rho)) * s**2)
        mean gain of the population ~ observed mean + scale * Student's t with k - 1 degrees of freedom

    Under the improper prior that all means, and all logarithms of the variance, are as probable, this is the distribution whose
    quantiles are the ends of :func:`~shipworthy.feasibility.statistics.corrected_resampled_t`.

    Parameters
    ----------
    differences : ndarray, shape (n_seeds,)
        Gain of each seed; positive is better.
    test_share : float
        ``n_test / n_train``, which is ``rho / (1 - rho)``.
    region : float
        Half-width of the region of practical equivalence: the smallest useful gain.

    Returns
    -------
    Equivalence
        With one seed all ``nan``, and ``how`` says why.

    Raises
    ------
    ValueError
        If the test share or the region is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> answer = correlated_t(np.array([0.01, 0.02, 0.03]), 0.25, 0.005)
    >>> round(answer.worse, 3), round(answer.equivalent, 3), round(answer.better, 3)
    (0.041, 0.053, 0.906)
    """
    from scipy.stats import t

    if not test_share > 0 or not region > 0:
        raise ValueError(f"test_share and region must be above 0, not {test_share!r} and {region!r}")
    k = differences.size
    if k < 2:
        why = "none with one seed: the Bayesian correlated t-test reads the spread between training sets, which takes two or more"
        return Equivalence(math.nan, math.nan, math.nan, region, why)
    mean, scale = float(differences.mean()), math.sqrt((1 / k + test_share) * float(differences.var(ddof=1)))
    if scale > 0:
        worse, better = float(t.cdf((-region - mean) / scale, k - 1)), float(t.sf((region - mean) / scale, k - 1))
    else:
        worse, better = float(mean < -region), float(mean > region)
    rho = test_share / (1 + test_share)
    how = (
        f"Bayesian correlated t-test over {k} seeds, correlation {rho:.2g}, practically equivalent within {region:g} "
        "(Benavoli, Corani, Demsar and Zaffalon 2017)"
    )
    return Equivalence(worse, max(0.0, 1 - worse - better), better, region, how)
