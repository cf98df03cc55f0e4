"""Saves and loads deployables without executing what a file says.

The format is skops': a zip of JSON and arrays. Loading builds objects of the types named in :data:`TRUSTED`, and of those that
skops itself trusts (scikit-learn's estimators, NumPy's types, plain Python), and refuses the file if it names any other. Types of
a module of the user's own are trusted where the user's study names that module: they run its code anyway.
What that cannot promise: skops checks types, not contents, so a forged tree may still point outside its arrays and crash the
process that asks it for an answer. Load artefacts of your own runs, or of people whose code you would run.

This module does *not* know what an artefact is for, or which candidate it came from.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any

from shipworthy.records import Estimator, InputError

SUFFIX = ".skops"
TRUSTED = (
    "builtins.object",
    "functools.partial",
    "numpy.dtype",
    "numpy.floating",
    "numpy.integer",
    "numpy.number",
    "scipy.interpolate._bsplines.BSpline",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Matern",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.gaussian_process.kernels.RationalQuadratic",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.model_selection._split.GroupKFold",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.RepeatedKFold",
    "sklearn.model_selection._split.RepeatedStratifiedKFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.model_selection._split.TimeSeriesSplit",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
    "shipworthy.deployables.BaggedClassifier",
    "shipworthy.deployables.BaggedRegressor",
    "shipworthy.deployables.Cascade",
    "shipworthy.deployables.EmptyColumnFiller",
    "shipworthy.deployables.GlassBoxClassifier",
    "shipworthy.deployables.GlassBoxRegressor",
    "shipworthy.deployables.LayeredClassifier",
    "shipworthy.deployables.LayeredRegressor",
    "shipworthy.deployables.NumberCaster",
    "shipworthy.deployables.QueryEncoder",
    "shipworthy.deployables.TableBuilder",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRFClassifier",
    "xgboost.sklearn.XGBRFRegressor",
    "xgboost.sklearn.XGBRegressor",
)
"""Full names of the types that an artefact may hold beyond those that skops trusts by default."""


def save(estimator: Estimator, path: Path, own: tuple[str, ...] = ()) -> None:
    """Write a fitted estimator: whole or not at all.

    Parameters
    ----------
    estimator : Estimator
    path : Path
        Ends in ``.skops``; its folder exists.
    own : tuple of str
        First names of modules of the user's own, whose types are trusted because their study names them.

    Raises
    ------
    InputError
        If the path ends otherwise, or the estimator holds a type that :func:`load` would refuse.
    """
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    if path.suffix != SUFFIX:
        raise InputError(f"{path.name}: an artefact's name must end in {SUFFIX}")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            # skops writes 25 kB of JSON a tree: packed, a forest takes a fifth of the disk and loads 20 ms later.
            skops.io.dump(estimator, beside, compression=zipfile.ZIP_DEFLATED)
        except UnsupportedTypeException as error:
            raise InputError(f"{type(estimator).__name__} cannot be saved as an artefact: {error}") from error
        if foreign := _foreign(beside, own):
            package = foreign[0].partition(".")[0]
            remedy = f"; if you trust {package}, name it beside the import path: trust: [{package}]" if own else ""
            raise InputError(
                f"{type(estimator).__name__} cannot be saved as an artefact: it holds {foreign[0]}, which is not trusted{remedy}"
            )
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _foreign(path: Path, own: tuple[str, ...]) -> list[str]:
    import skops.io

    return [name for name in skops.io.get_untrusted_types(file=path) if name not in TRUSTED and not _of_own(name, own)]


def _of_own(name: str, own: tuple[str, ...]) -> bool:
    return name.partition(".")[0] in own


def load(path: Path, own: tuple[str, ...] = ()) -> Estimator:
    """Read an estimator that :func:`save` wrote.

    Parameters
    ----------
    path : Path
    own : tuple of str
        As it was given to :func:`save`: never read from the file, which cannot say what is to be trusted.

    Returns
    -------
    Estimator

    Raises
    ------
    InputError
        If there is no such file, it is no whole artefact, or it names a type that is not trusted. Nothing of the file has then
        been imported, built or run.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        more = [name for name in skops.io.get_untrusted_types(file=path) if _of_own(name, own)] if own else []
        estimator: Any = skops.io.load(path, trusted=[*TRUSTED, *more])
    except UntrustedTypesFoundException as error:
        names = ", ".join(_foreign(path, own))
        raise InputError(
            f"{path} names types that are not trusted ({names}); train the candidate again with shipworthy"
        ) from error
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; train the candidate first") from error
    except ImportError as error:
        raise InputError(f"{path} needs a library that is not installed ({error})") from error
    except Exception as error:
        # A damaged zip or schema fails in as many ways as it has bytes; each of them means the same to the reader.
        raise InputError(
            f"{path} is not a whole artefact ({type(error).__name__}: {error}); train the candidate again"
        ) from error
    return estimator


def size_mib(path: Path) -> float:
    """Size of an artefact on disk (MiB)."""
    return path.stat().st_size / 2**20


def fingerprint(path: Path) -> str:
    """16 hex digits of SHA-256 over the bytes of an artefact: two files of one fingerprint are one artefact.

    Raises
    ------
    InputError
        If there is no such file.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); train the candidate first") from error
