"""Artefacts: whole or absent, and never a way to run somebody's code."""

from __future__ import annotations

import json
import os
import sys
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from skops.io._audit import NODE_TYPE_MAPPING

from shipworthy import artefacts
from shipworthy.records import InputError


class Foreign:
    """A type that no artefact may hold."""


@pytest.fixture(name="model")
def fitted_model():
    """A small fitted tree."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    return DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, X[:, 0] > 0)


def test_a_model_comes_back_as_it_was(model, tmp_path):
    """What is loaded answers bit for bit like what was saved, and nothing else is left in the folder."""
    path = tmp_path / "artefact.skops"
    artefacts.save(model, path)
    X = np.random.default_rng(1).normal(size=(50, 3))
    np.testing.assert_array_equal(model.predict_proba(X), artefacts.load(path).predict_proba(X))
    assert [path] == list(tmp_path.iterdir())
    assert path.stat().st_size / 2**20 == artefacts.size_mib(path)


def test_saving_again_replaces_the_artefact(model, tmp_path):
    """An artefact is overwritten as a whole."""
    path = tmp_path / "artefact.skops"
    artefacts.save(LogisticRegression(), path)
    artefacts.save(model, path)
    assert isinstance(artefacts.load(path), DecisionTreeClassifier)


def test_a_name_must_end_in_skops(model, tmp_path):
    """A pickle's name would promise the wrong thing."""
    with pytest.raises(InputError, match=r"must end in \.skops"):
        artefacts.save(model, tmp_path / "artefact.pkl")


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    """A type that is not trusted is refused when it is saved, so that the mistake is found by whoever made it."""
    with pytest.raises(InputError, match="Foreign"):
        artefacts.save(LogisticRegression(C=Foreign()), tmp_path / "artefact.skops")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_keeps_the_artefact_that_was_there(model, tmp_path):
    """What cannot be saved does not harm what has been."""
    path = tmp_path / "artefact.skops"
    artefacts.save(model, path)
    before = path.read_bytes()
    with pytest.raises(InputError):
        artefacts.save(LogisticRegression(C=Foreign()), path)
    assert before == path.read_bytes()


def test_a_foreign_type_is_refused_by_name(tmp_path):
    """A file that holds a type beyond the trusted ones is refused, and the type is named."""
    path = tmp_path / "foreign.skops"
    skops.io.dump(Foreign(), path)
    with pytest.raises(InputError, match=r"foreign\.skops names types that are not trusted .*Foreign"):
        artefacts.load(path)


@pytest.mark.parametrize("loader", sorted({name for name, _ in NODE_TYPE_MAPPING}))
def test_a_forged_file_runs_nothing(loader, tmp_path, monkeypatch):
    """Whatever way of building things a forged file asks for, the module that it names is never imported."""
    (tmp_path / "forged_module.py").write_text("import pathlib\npathlib.Path(__file__).with_name('ran').touch()\nThing = print\n")
    monkeypatch.syspath_prepend(tmp_path)
    inner = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [], "__id__": 2}
    content = {
        "func": {"__class__": "Thing", "__module__": "forged_module", "__loader__": "FunctionNode", "__id__": 3},
        "obj": inner, "main": inner, "default_factory": inner, "args": inner, "kwds": inner, "namespace": inner, "attrs": inner,
    }  # fmt: skip
    for filling in (content, inner, [], "x"):
        schema = {"__class__": "Thing", "__module__": "forged_module", "__loader__": loader, "__id__": 1, "content": filling}
        schema |= {"protocol": 2, "_skops_version": "1", "file": "x.npy", "type": "numpy", "key_types": inner, "args": inner}
        schema |= {"constructor": content["func"], "reduce": content["func"]}
        path = tmp_path / "forged.skops"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("schema.json", json.dumps(schema))
            archive.writestr("x.npy", b"\x80\x04.")
        with pytest.raises(InputError, match=r"forged\.skops"):
            artefacts.load(path)
    assert "forged_module" not in sys.modules
    assert not (tmp_path / "ran").exists()


def test_a_function_of_the_operating_system_is_refused(tmp_path):
    """The classic: a file that wants os.system."""
    path = tmp_path / "system.skops"
    skops.io.dump(os.system, path)
    with pytest.raises(InputError, match=r"not trusted"):
        artefacts.load(path)


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"PK\x03\x04" + bytes(100), b"\x80\x04."], ids=["empty", "text", "zip", "pickle"]
)
def test_what_is_no_artefact_is_refused_by_name(content, tmp_path):
    """A file of anything else is refused in one sentence that names it."""
    path = tmp_path / "odd.skops"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"odd\.skops is not a whole artefact"):
        artefacts.load(path)


def test_a_truncated_artefact_is_refused_wherever_it_was_cut(model, tmp_path):
    """However much of a file is missing, it is refused and not half loaded."""
    path = tmp_path / "cut.skops"
    artefacts.save(model, path)
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.skops"):
            artefacts.load(path)


def test_a_missing_artefact_is_named(tmp_path):
    """A path that does not exist says so, with the remedy."""
    with pytest.raises(InputError, match=r"gone\.skops does not exist; train"):
        artefacts.load(tmp_path / "gone.skops")
