"""Keeps tables that are slow or odd to read as Parquet files, and rebuilds one that is damaged.

A file is named by the content that it was made from, written beside its place and renamed, and holds a checksum of every page.
So it is whole or absent, never out of date, and a flipped bit is noticed.

This module does *not* know where a table comes from or what is in it.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def cache_folder() -> Path:
    """Where tables are kept: ``SHIPWORTHY_CACHE``, else the place that the platform has for caches."""
    if chosen := os.environ.get("SHIPWORTHY_CACHE"):
        return Path(chosen)
    from platformdirs import user_cache_path

    return user_cache_path("shipworthy", appauthor=False) / "tables"


def cached_table(name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """A table from the cache; made, and kept there, where it is absent or damaged.

    Parameters
    ----------
    name : str
        Of the file, without its ending; must change with whatever the table is made from.
    make : callable
        Makes the table.

    Returns
    -------
    DataFrame

    Warns
    -----
    UserWarning
        If the folder cannot be written: the table is the same, but made anew each time.
    """
    path = cache_folder() / f"{name}.parquet"
    if (kept := _read(path)) is not None:
        return kept
    table = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as beside:
            table.to_parquet(Path(beside) / path.name, index=False, write_page_checksum=True)
            (Path(beside) / path.name).replace(path)
    except OSError as error:
        remedy = "set SHIPWORTHY_CACHE to a folder that can, or go on without"
        warnings.warn(f"the cache {path.parent} cannot be written ({error.strerror or error}); {remedy}", stacklevel=2)
    return table


def _read(path: Path) -> pd.DataFrame | None:
    """The table in a file, or nothing where it is absent or damaged."""
    import pandas as pd

    try:
        return pd.read_parquet(path, page_checksum_verification=True)
    except FileNotFoundError:
        return None
    except Exception:  # noqa: BLE001 - a damaged file fails in as many ways as it has bytes; each means: make it anew
        return None
