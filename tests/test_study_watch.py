"""The watch over a notebook's units: by a clock that the tests turn, on folders that they make."""

from __future__ import annotations

import json

import pytest

from shipworthy.experiments.arms import Arm
from shipworthy.experiments.workbench import PARTS, Unit, UnitAbandonedError, Workbench, package_digest
from shipworthy.notebooks import NotebookError
from shipworthy.study.plan import Step
from shipworthy.study.watch import Watch

DEAD = NotebookError("01.ipynb", 3, "train()", "DeadKernelError", "the kernel was killed by SIGKILL")


@pytest.fixture
def bench(tmp_path):
    """The bench of a go of a study."""
    (tmp_path / PARTS).mkdir()
    (tmp_path / "plan.json").write_text(json.dumps({"workers": 1, "go": "this", "package": package_digest()}), encoding="utf-8")
    return Workbench(tmp_path, notify=lambda _sentence: None)


@pytest.fixture
def units():
    """Two units of one step."""
    return tuple(
        Unit("train", Arm("breast_cancer"), name, identity * 16) for name, identity in (("prior", "a"), ("xgboost", "b"))
    )


def watch_over(bench, units, now, limit_s=10.0):
    """A watch whose clock shows ``now[0]``."""
    return Watch(bench, Step("01", Arm("breast_cancer"), {}, units), limit_s, clock=lambda: now[0])


def begin(bench, unit):
    """A unit in flight."""
    folder = bench.folder / PARTS / f".{unit.name}.123"
    folder.mkdir()
    return folder


def test_a_unit_is_overdue_after_its_limit_and_no_other_is(bench, units):
    """Each unit has the whole limit from when it was first seen; the one that exceeds it is given up, with the reason."""
    now = [0.0]
    watch = watch_over(bench, units, now)
    first = begin(bench, units[0])
    for now[0] in (0.0, 5.0, 9.9):
        assert watch.overdue() == ""
    first.rename(bench.part(units[0]))
    begin(bench, units[1])
    for now[0] in (12.0, 20.0, 22.0):
        assert watch.overdue() == ""
    now[0] = 22.6
    why = watch.overdue()
    assert "10 s" in why
    assert watch.again(NotebookError("01.ipynb", 3, "", "Overdue", why))
    assert [f["candidate"] for f in bench.failures()] == ["xgboost"]
    assert list((bench.folder / PARTS).glob(".*")) == []


def test_a_death_is_made_good_once_and_the_second_is_a_finding(bench, units):
    """The first time that a kernel dies at a unit all is tried again; the second time that unit alone is given up."""
    watch = watch_over(bench, units, [0.0])
    begin(bench, units[0])
    assert watch.again(DEAD)
    assert bench.failures() == []
    begin(bench, units[0])
    assert watch.again(DEAD)
    assert "SIGKILL" in bench.failures()[0]["error"]
    begin(bench, units[1])
    assert watch.again(DEAD)
    assert len(bench.failures()) == 1


def test_a_kernel_that_dies_between_units_is_tried_again_once(bench, units):
    """With nothing in flight there is nobody to blame: once more, and no third time; an ordinary failure, never."""
    watch = watch_over(bench, units, [0.0])
    assert not watch.again(NotebookError("01.ipynb", 3, "", "UnitsFailedError", "prior"))
    assert not watch.again(NotebookError("01.ipynb", 3, "", "KeyError", "x"))
    watch = watch_over(bench, units, [0.0])
    assert watch.again(NotebookError("01.ipynb", 0, "", "KernelStartError", "the kernel was killed by SIGKILL"))
    assert not watch.again(DEAD)


def test_what_was_given_up_is_not_tried_before_the_next_go(bench, units):
    """In the same go the unit fails at once with its reason; in the next one it is made, and the reason is forgotten."""
    bench.abandon(units[0], "it never ends")
    with pytest.raises(UnitAbandonedError, match="it never ends"):
        bench.make(units[0], lambda _folder: None)
    (bench.folder / "plan.json").write_text(json.dumps({"go": "next", "package": package_digest()}), encoding="utf-8")
    later = Workbench(bench.folder, notify=lambda _sentence: None)
    later.make(units[0], lambda _folder: None)
    assert later.failures() == []


def test_a_late_failure_of_a_unit_that_is_done_does_not_count(bench, units):
    """A dying predecessor may write down a failure after somebody else has made the unit: it is made."""
    bench.make(units[0], lambda _folder: None)
    bench._note_failure(units[0], "FileNotFoundError: somebody cleared my folder away")
    assert bench.failures() == []
