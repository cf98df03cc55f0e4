"""A study whose candidates misbehave in every way there is: each has its reason in the report, and the study goes on."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import nbformat
import pytest

from shipworthy import notebooks
from shipworthy.study import run_study

pytestmark = pytest.mark.study

STUDY = """\
name: misbehaved
question: Does it go on?
datasets: [breast_cancer]
candidates: [prior, logistic_regression, decision_tree, random_forest, xgboost, xgboost_tuned, soft_vote]
requirements: []
prices: {as_of: "2026-03", source: a test, vcpu_hour_usd: 0.04, gib_hour_usd: 0.004}
training: {max_train_rows: 100, folds: 2, search_trials: 1}
measuring: {queries: 20, rounds: 1, warm_up: 5, batch_sizes: [16], batch_repeats: 2}
limits: {time_limit_s: 15, memory_limit_mib: 400}
"""

# Before any unit is made, each candidate is given a fit that does something else. What prints is well-behaved otherwise.
MISCHIEF = """\
import os, signal, sys, time
import shipworthy.training as training
from shipworthy.training import fitting
honest = training.fit
def never_ends():
    while True:
        time.sleep(0.01)
def takes_all_memory():
    held = []
    while True:
        held.append(bytearray(2**22))
def prints():
    from shipworthy.measurement.child import MemoryReader
    memory = MemoryReader()
    memory.reset()
    before = memory.now()
    for _ in range(int(os.environ.get("SHIPWORTHY_TEST_PRINTED_MIB", "25"))):
        print("x" * 2**20)
        os.write(1, b"y" * 2**20)
    grown = memory.peak() - before
    with open(os.environ["SHIPWORTHY_OUTPUTS"] + "/grown_mib", "w") as file:
        file.write(str(grown))
mischief = {
    "decision_tree": never_ends,
    "random_forest": lambda: sys.exit("enough"),
    "logistic_regression": prints,
    "xgboost_tuned": takes_all_memory,
    "xgboost": lambda: os.kill(os.getpid(), signal.SIGKILL),
}
def fit(candidate, dataset, **how):
    def meter(work):
        mischief.get(candidate.name, lambda: None)()
        return honest_meter(work)
    honest_meter = how.pop("meter")
    return honest(candidate, dataset, meter=meter, **how)
training.fit = fit
# Outside a fit, in one line, by this process and by a child.
os.write(1, b"z" * 3 * 2**20)
import subprocess
subprocess.run([sys.executable, "-c", "print('z' * 3 * 2**20, end='')"], check=True)"""


@pytest.fixture(scope="module")
def misbehaved(tmp_path_factory):
    """That study, run."""
    place = tmp_path_factory.mktemp("misbehaved")
    copies = place / "notebooks"
    copies.mkdir()
    for name in notebooks.names():
        node = nbformat.read(notebooks.path(name), as_version=4)
        if name.startswith("01"):
            tagged = next(i for i, cell in enumerate(node.cells) if "parameters" in cell.metadata.get("tags", []))
            node.cells.insert(tagged + 1, nbformat.v4.new_code_cell(MISCHIEF))
        nbformat.write(node, copies / f"{name}.ipynb")
    (place / "misbehaved.yaml").write_text(STUDY, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shipworthy.notebooks.shelf.folder", lambda: copies)
        return run_study(str(place / "misbehaved.yaml"), outputs=place / "out")


REASONS = {
    "decision_tree": "it took longer than the 15 s that limits.time_limit_s allows one fit",
    "random_forest": "SystemExit: enough",
    "xgboost_tuned": "MemoryError",
    "xgboost": "twice it ended the process that it ran in (DeadKernelError: the kernel was killed by SIGKILL",
}


@pytest.mark.parametrize("candidate", REASONS)
def test_each_has_its_reason(misbehaved, candidate):
    """What never ends, calls sys.exit, takes all memory or kills its process fails with a reason, on file and in the report."""
    if candidate == "xgboost_tuned" and sys.platform != "linux":
        pytest.skip("only Linux lets a process limit its memory; run this on Linux")
    if candidate == "xgboost" and sys.platform == "win32":
        pytest.skip("Windows has no SIGKILL; run this on Linux or macOS")
    folder = misbehaved.run.folder
    held = [json.loads(p.read_text(encoding="utf-8")) for p in (folder / "failures").glob(f"train-*-{candidate}-*.json")]
    assert len(held) == 1
    assert REASONS[candidate] in held[0]["error"]
    assert any(candidate in sentence and REASONS[candidate] in sentence for sentence in misbehaved.run.assessment().missing)
    assert f"train {candidate} on breast_cancer, seed 0 failed" in (folder / "report.md").read_text(encoding="utf-8")


def test_the_others_go_on(misbehaved):
    """Whoever behaves, or only prints, is trained, scored and measured; the vote without its member fails with that reason."""
    records = misbehaved.run.records()
    measured = set(records[(records["quantity"] == "latency_ms") & (records["statistic"] == "p99")]["candidate"])
    assert measured == {"prior", "logistic_regression"}
    assert any("its member random_forest is not trained" in sentence for sentence in misbehaved.run.assessment().missing)
    with closing(sqlite3.connect(misbehaved.run.folder / "ledger.sqlite")) as connection:
        rows = connection.execute("select candidate, status from units where kind = 'train'").fetchall()
        attempts = connection.execute("select attempts from notebooks where name like '%01_train%'").fetchone()[0]
    assert dict(rows) == {c: "failed" if c in REASONS else "done" for c, _ in rows}
    # The first, one after the time limit, and two after the kernel died.
    assert attempts == 4
    assert not [p.name for p in (misbehaved.run.folder / "parts").glob(".*")]


def test_what_is_printed_is_bounded(misbehaved):
    """Of what a fit printed, by Python and past it, notebook and memory keep little; 50 MiB here, a gigabyte in `make chaos`."""
    # Two stages had units that failed; what they left is too little to simulate, which is no failure.
    assert len(misbehaved.failed) == 2
    executed = next((misbehaved.run.folder / "notebooks").rglob("01_train*.ipynb"))
    assert executed.stat().st_size < 2_500_000
    assert "bytes that were printed past Python are left out here" in executed.read_text(encoding="utf-8")
    assert not list(misbehaved.run.folder.rglob("*.log"))
    grown_mib = float((misbehaved.run.folder.parents[1] / "grown_mib").read_text(encoding="utf-8"))
    assert grown_mib < 100


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot limit the size of files; run this on Linux or macOS")
@pytest.mark.parametrize("largest", [1_000, 30_000])
def test_a_full_disk_is_a_sentence_and_what_was_done_is_kept(write_study, tmp_path, largest):
    """Where nothing larger can be written, a run ends in a sentence without half a file, and goes on once there is room."""
    study = write_study(tmp_path, name="full", candidates="prior")
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({largest}, {largest})); "
    code += "from shipworthy.cli import main; main()"
    command = [sys.executable, "-c", code, "run", str(study), "--outputs", str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    said = ended.stderr.splitlines()[-1]
    assert "cannot be written" in said
    assert "run the same command to go on" in said
    assert "Traceback" not in ended.stdout + ended.stderr
    folder = next((tmp_path / "out" / "full").iterdir())
    assert not (folder / "report.html").exists()
    assert not list(folder.glob(".study.yaml*"))
    if largest > 1_000:
        outcome = run_study(str(study), outputs=tmp_path / "out")
        assert (outcome.run.folder, outcome.failed) == (folder, ())
        assert [p.name for p in folder.rglob(".*") if p.name != ".lock"] == []
