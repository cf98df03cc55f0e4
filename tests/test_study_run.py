"""A whole small study, from its file to its report, through the notebooks; then goes that were interrupted, killed or wrong."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest

import shipworthy
from shipworthy import artefacts, cli, datasets, notebooks
from shipworthy.records import InputError
from shipworthy.study import launch, run_study, write_report
from shipworthy.study.folder import find_or_make, locked

pytestmark = pytest.mark.study

ARM = "breast_cancer-s0"
FIVE = ("prior", "logistic_regression", "random_forest", "xgboost", "soft_vote")
COMMAND = [sys.executable, "-c", "from shipworthy.cli import main; main()"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder for the studies of this file."""
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def small(place, write_study):
    """The study file of five candidates, of which one is a vote of three others."""
    return write_study(place, candidates=", ".join(FIVE), queries=60, rounds=2)


@pytest.fixture(scope="module")
def run(place, small):
    """That study, run once for all tests."""
    return shipworthy.run(str(small), outputs=place / "out")


@pytest.fixture(scope="module")
def records(run):
    """Its records."""
    return run.records()


@pytest.fixture(scope="module")
def predictions(run):
    """Its predictions."""
    return run.predictions()


def probability(predictions, candidate, rows="test"):
    """What a candidate said of the positive class, by row."""
    said = predictions[(predictions["candidate"] == candidate) & (predictions["rows"] == rows)]
    return said.set_index("row")["p_1"]


def one(records, **wanted):
    """The one record of a place."""
    chosen = records
    for column, value in wanted.items():
        chosen = chosen[chosen[column] == value]
    assert len(chosen) == 1, wanted
    return chosen.iloc[0]


def ledger(run, question):
    """Rows of the ledger."""
    with closing(sqlite3.connect(run.folder / "ledger.sqlite")) as connection:
        return connection.execute(question).fetchall()


def stamps(folder):
    """When each file below a folder was last written."""
    return {p.relative_to(folder).as_posix(): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


# -- the folder --------------------------------------------------------------------------------------------------------


def test_the_run_folder_is_as_designed(run, place):
    """A run folder has its name, its files and its executed notebooks, and ``latest`` leads to it."""
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", run.folder.name)
    assert run.folder.parent == place / "out" / "small"
    files = {"study.yaml", "environment.json", "ledger.sqlite", "records.parquet", "samples.parquet", "verdicts.json"}
    files |= {"report.html", "report.md"}
    assert [f for f in files if not (run.folder / f).is_file()] == []
    assert {p.stem for p in (run.folder / "artefacts" / ARM).iterdir()} == set(FIVE)
    assert {p.stem for p in (run.folder / "predictions" / ARM).iterdir()} == set(FIVE)
    assert {p.suffix for p in (run.folder / "figures").iterdir()} == {".svg"}
    assert "accuracy.csv" in {p.name for p in (run.folder / "tables").iterdir()}
    latest = run.folder.parent / "latest"
    newest = latest.resolve().name if latest.exists() else (run.folder.parent / "latest.txt").read_text(encoding="utf-8").strip()
    assert newest == run.folder.name
    assert shipworthy.open_run(run.folder.parent).folder == run.folder


def test_executed_notebooks_are_kept(run):
    """Each notebook of the suite that a study runs lies in the run folder, executed to its end, without an error."""
    kept = sorted(p.relative_to(run.folder / "notebooks").as_posix() for p in (run.folder / "notebooks").rglob("*.ipynb"))
    stages = ["01_train_single_models", "02_build_ensembles", "03_compare_accuracy", "04_measure_latency_and_memory"]
    stages.append("08_simulate_ensembles")
    assert kept == [*(f"{ARM}/{stage}.ipynb" for stage in stages), "feasibility_report.ipynb"]
    for name in kept:
        node = nbformat.read(run.folder / "notebooks" / name, as_version=4)
        code = [cell for cell in node.cells if cell.cell_type == "code" and cell.source.strip()]
        assert all(cell.execution_count for cell in code), name
        assert not [out for cell in code for out in cell.outputs if out.output_type == "error"], name


def test_nothing_half_written_is_left(run):
    """No part, table or other file of a completed run is half-written."""
    assert [p.name for p in run.folder.rglob(".*") if p.name != ".lock"] == []


def test_the_ledger_says_that_everything_is_done(run):
    """The ledger has every unit and notebook as done at the first attempt, and what the bar said meanwhile."""
    assert set(ledger(run, "select status, seconds > 0 from units")) == {("done", 1)}
    assert set(ledger(run, "select status, attempts, error from notebooks")) == {("done", 1, None)}
    units = {name for (name,) in ledger(run, "select name from units")}
    assert units == {p.name for p in (run.folder / "parts").iterdir()}
    shares = [share for (share,) in ledger(run, "select done_share from progress order by elapsed_s")]
    assert all(0 <= share <= 1 for share in shares)
    assert len(shares) > 5


def test_the_study_in_the_folder_is_the_study_asked(run, small):
    """study.yaml of a run is the resolved study, and its digest is in the folder's name."""
    from shipworthy.study.schema import read_study, study_digest

    assert read_study(str(run.folder / "study.yaml")) == read_study(str(small)) == run.study
    assert run.folder.name.endswith(study_digest(run.study))


def test_the_environment_is_that_of_this_machine(run):
    """environment.json tells the machine, the versions and when the run began."""
    from importlib.metadata import version

    held = run.environment()
    assert held["versions"]["scikit-learn"] == version("scikit-learn")
    assert held["machine"]["logical_cores"] == os.cpu_count()
    assert (datetime.now(UTC) - datetime.fromisoformat(held["began"])).total_seconds() < 3600


# -- what it says ------------------------------------------------------------------------------------------------------


def test_predictions_are_of_rows_that_were_not_trained_on(predictions):
    """Out-of-fold and test rows are those of the data set's split, each once for every candidate, and probabilities sum to 1."""
    split = (dataset := datasets.load("breast_cancer", seed=0, max_train_rows=200, folds=3)).split
    for candidate in FIVE:
        for rows, positions in (("oof", split.train), ("test", split.test)):
            said = predictions[(predictions["candidate"] == candidate) & (predictions["rows"] == rows)]
            assert said["row"].tolist() == dataset.row_ids[positions].tolist()
            assert said["y"].tolist() == dataset.y[positions].tolist()
            assert np.allclose(said["p_0"] + said["p_1"], 1)
    assert set(predictions["arm"]) == {ARM}


@pytest.mark.parametrize("candidate", FIVE)
def test_recorded_accuracy_is_that_of_the_predictions(records, predictions, candidate):
    """scikit-learn, given the saved predictions, computes the recorded metrics."""
    from sklearn.metrics import accuracy_score, average_precision_score, log_loss, roc_auc_score

    for rows in ("oof", "test"):
        said = predictions[(predictions["candidate"] == candidate) & (predictions["rows"] == rows)]
        y, p = said["y"].to_numpy(), said["p_1"].to_numpy()
        expected = {
            "roc_auc": roc_auc_score(y, p),
            "average_precision": average_precision_score(y, p),
            "log_loss": log_loss(y, p),
            "accuracy": accuracy_score(y, p > 0.5),
        }
        for metric, value in expected.items():
            record = one(records, candidate=candidate, quantity=metric, statistic=rows)
            # XGBoost says probabilities in single precision, whose two columns sum to 1 but for 1e-8.
            assert record["value"] == pytest.approx(value, rel=1e-7), metric
            assert record["n"] == len(y)


def test_the_vote_is_the_mean_of_its_members(predictions):
    """The soft vote says the mean of what its three members say, out of fold and on test rows."""
    for rows in ("oof", "test"):
        members = [probability(predictions, m, rows) for m in ("logistic_regression", "random_forest", "xgboost")]
        assert np.allclose(probability(predictions, "soft_vote", rows), sum(members) / 3, atol=1e-12)


def test_percentiles_are_those_of_the_raw_samples(run, records):
    """The recorded p50, p95 and p99 are nearest ranks of the raw latencies, and every measured record counts its samples."""
    samples = run.samples()
    place = ["candidate", "quantity", "scenario", "batch_size"]
    grouped = {key: group["value"].to_numpy() for key, group in samples.groupby(place)}
    checked = 0
    for record in records[records["statistic"].isin(["p50", "p95", "p99", "max", "mean"])].itertuples():
        raw = grouped[record.candidate, record.quantity, record.scenario, record.batch_size]
        # A mean throughput is made of all the calls of its rounds; its samples are one a round.
        calls = record.quantity == "throughput_rows_s" and record.statistic == "mean"
        scenario = "multi_stream" if calls and record.scenario == "offline" else record.scenario
        quantity = "latency_ms" if calls else record.quantity
        assert record.n == len(grouped[record.candidate, quantity, scenario, record.batch_size])
        if record.statistic in {"p50", "p95", "p99"}:
            assert record.value == np.percentile(raw, int(record.statistic[1:]), method="inverted_cdf")
            checked += 1
        elif record.statistic == "max":
            assert record.value == raw.max()
    # Single queries and batches, and of the queries their four parts.
    assert checked == len(FIVE) * 6 * 3
    for candidate in FIVE:
        single = samples[
            (samples["candidate"] == candidate) & (samples["quantity"] == "latency_ms") & (samples["batch_size"] == 1)
        ]
        assert single.groupby("round").size().to_dict() == {0: 30, 1: 30}


def test_every_record_that_was_measured_tells_its_conditions(records):
    """Latencies and memory carry machine, versions, threads, warm-up, profile and garbage collector."""
    measured = records[records["quantity"].isin(["latency_ms", "memory_mib", "import_ms"])]
    assert len(measured)
    conditions = [json.loads(text) for text in measured["conditions"]]
    wanted = {"machine", "versions", "threads", "warm_up", "garbage_collector", "profile", "pinned", "load_average"}
    assert all(wanted <= set(c) for c in conditions)
    assert {(c["threads"], c["profile"]) for c in conditions} == {(1, "lean")}
    assert {c["warm_up"] for c in conditions if c["scenario"] == "single_stream"} == {5}
    assert len({c["machine"] for c in conditions}) == 1


def test_a_gain_can_be_judged_again_from_the_predictions(run, predictions):
    """A paired bootstrap by numpy from the saved predictions gives each gain and about its interval."""
    verdicts = run.verdicts()
    assert set(verdicts["baseline_role"]) == {"best single", "best tree ensemble"}
    rng = np.random.default_rng(12345)
    for row in verdicts.itertuples():
        ours, theirs = probability(predictions, row.candidate), probability(predictions, row.baseline)
        y = predictions[(predictions["candidate"] == row.candidate) & (predictions["rows"] == "test")].set_index("row")["y"]
        truth = y[ours.index].to_numpy() == 1
        # The area under the ROC curve is the share of pairs, one of each class, that are ranked rightly; a tie counts half.
        won = [(np.sign(p[truth][:, None] - p[~truth][None]) + 1) / 2 for p in (ours.to_numpy(), theirs[ours.index].to_numpy())]
        assert row.gain == pytest.approx(won[0].mean() - won[1].mean(), abs=1e-12)
        drawn = rng.multinomial(len(truth), np.full(len(truth), 1 / len(truth)), size=4000)
        positive, negative = drawn[:, truth], drawn[:, ~truth]
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        gains = ((positive @ (won[0] - won[1])) * negative).sum(axis=1) / pairs
        low, high = np.quantile(gains, [0.025, 0.975])
        # Both intervals are simulated: their ends may differ by some standard errors of a 2.5 % quantile.
        tolerance = 0.15 * (high - low)
        assert row.gain_low == pytest.approx(low, abs=tolerance)
        assert row.gain_high == pytest.approx(high, abs=tolerance)


def test_baselines_are_chosen_out_of_fold(run, records):
    """The baselines of a verdict are the best of their kind on out-of-fold rows, not on test rows."""
    verdicts = run.verdicts()
    for role, kind in (("best single", "single"), ("best tree ensemble", "tree_ensemble")):
        chosen = records[(records["quantity"] == "roc_auc") & (records["statistic"] == "oof") & (records["kind"] == kind)]
        assert set(verdicts.loc[verdicts["baseline_role"] == role, "baseline"]) == {
            chosen.loc[chosen["value"].idxmax(), "candidate"]
        }


def test_ratios_are_those_of_the_records(run, records):
    """The latency ratio of a verdict is the quotient of the recorded p99, and lies within its interval."""
    for row in run.verdicts().itertuples():
        place = {"quantity": "latency_ms", "scenario": "single_stream", "statistic": "p99"}
        p99 = [one(records, candidate=c, **place)["value"] for c in (row.candidate, row.baseline)]
        assert row.latency_ratio == pytest.approx(p99[0] / p99[1], rel=1e-12)
        assert row.latency_ratio_low <= row.latency_ratio <= row.latency_ratio_high
        assert row.memory_ratio_low <= row.memory_ratio <= row.memory_ratio_high


def test_sixty_queries_cannot_meet_a_p99(run):
    """A p99 limit that sixty queries keep is undecided, for it takes 459 to say so; the memory limit is met."""
    outcomes = {(r.candidate, r.requirement): r.outcome for r in run.assessment().requirements}
    assert {outcomes[c, "fits in memory"] for c in FIVE} == {"met"}
    assert {outcomes[c, "answers in time"] for c in FIVE} == {"undecided"}
    assert {v.answer for v in run.assessment().verdicts} <= {"cannot tell", "do not ship"}


@pytest.mark.parametrize("candidate", FIVE)
def test_an_artefact_reproduces_what_was_saved(run, predictions, candidate):
    """A deployed artefact, loaded by itself, says of raw test queries what the run folder says that it said."""
    dataset = datasets.load("breast_cancer", seed=0, max_train_rows=200, folds=3)
    estimator = artefacts.load(run.folder / "artefacts" / ARM / f"{candidate}.skops")
    said = estimator.predict_proba(dataset.queries(dataset.split.test))[:, 1]
    assert np.array_equal(said, probability(predictions, candidate).to_numpy())


# -- the report --------------------------------------------------------------------------------------------------------


def test_the_report_stands_alone(run, place):
    """The report names no path of this machine, loads nothing, and tells a verdict before any table."""
    html = (run.folder / "report.html").read_text(encoding="utf-8")
    paths = {str(place), str(Path.home()), str(Path(shipworthy.__file__).parents[2]), sys.prefix, str(Path.cwd())} - {"/"}
    assert [p for p in paths if p in html or p in (run.folder / "report.md").read_text(encoding="utf-8")] == []
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?:https?:)?//""", html)
    assert not re.search(r"<link\b|@import|url\((?!#)", html)
    verdict = run.assessment().verdicts[0]
    assert verdict.answer in html.lower()
    assert html.lower().index(verdict.answer) < html.index("<table")


def test_a_report_is_a_function_of_the_folder(run, tmp_path):
    """Rebuilt from a copy of the folder alone, elsewhere, report, tables and figures are byte-identical."""
    copy = tmp_path / "elsewhere"
    shutil.copytree(run.folder, copy)
    kept = {p.relative_to(copy): p.read_bytes() for d in ("tables", "figures") for p in (copy / d).iterdir()}
    kept |= {Path(name): (copy / name).read_bytes() for name in ("report.html", "report.md")}
    for name in kept:
        (copy / name).unlink()
    write_report(shipworthy.open_run(copy))
    assert [str(name) for name, held in kept.items() if (copy / name).read_bytes() != held] == []


def test_a_report_without_parts_does_not_make_times_up(run, tmp_path):
    """Rebuilt where ``parts`` were left behind, the report is the same but for the time spent, of which it says nothing wrong."""
    copy = tmp_path / "light"
    shutil.copytree(run.folder, copy, ignore=shutil.ignore_patterns("parts"))
    whole = (copy / "report.html").read_text(encoding="utf-8")
    light = write_report(shipworthy.open_run(copy)).read_text(encoding="utf-8")
    spent = re.compile(r"<p>Time spent: .*</p>\n?")
    assert spent.sub("", light) == spent.sub("", whole)
    assert "training 0 s" not in light


def test_a_folder_that_lost_its_timings_is_refused_by_the_file(run, tmp_path):
    """A damaged unit.json among the parts is named in one sentence, when a report is asked for."""
    copy = tmp_path / "damaged"
    shutil.copytree(run.folder, copy)
    min((copy / "parts").glob("train*/unit.json")).write_text("garbage", encoding="utf-8")
    with pytest.raises(InputError, match=r"unit\.json"):
        write_report(shipworthy.open_run(copy))


# -- again -------------------------------------------------------------------------------------------------------------


def test_running_again_does_nothing_again(run, small, place):
    """The same study takes the same folder, executes no notebook, rewrites no part, and its report stays byte-identical."""
    before = stamps(run.folder / "parts") | stamps(run.folder / "notebooks")
    report = (run.folder / "report.html").read_bytes()
    attempts = ledger(run, "select name, attempts, changed from notebooks order by name")
    again = shipworthy.run(str(small), outputs=place / "out")
    assert again.folder == run.folder
    assert stamps(run.folder / "parts") | stamps(run.folder / "notebooks") == before
    assert ledger(run, "select name, attempts, changed from notebooks order by name") == attempts
    assert (run.folder / "report.html").read_bytes() == report


def test_what_is_expected_of_a_run_that_is_done_is_nothing(run, small, place):
    """What is announced before a run, and the bar's first word, count what is done: of a completed study nothing is left."""
    announced, left = [], []
    run_study(
        str(small),
        outputs=place / "out",
        announce=lambda folder, seconds: announced.append((folder, seconds)),
        show=lambda _share, seconds, _doing: left.append(seconds),
    )
    assert announced == [(str(run.folder), 0.0)]
    assert set(left) == {0.0}


def test_what_is_damaged_is_completed_by_running_again(run, small, place):
    """The remedy that is given for a damaged verdicts.json, records.parquet or environment.json works: run the study again."""
    kept = {name: (run.folder / name).read_bytes() for name in ("verdicts.json", "records.parquet", "environment.json")}
    failed = {}
    for name, held in kept.items():
        (run.folder / name).write_text("garbage", encoding="utf-8")
        try:
            write_report(run_study(str(small), outputs=place / "out").run)
        except InputError as error:
            failed[name] = str(error)
        finally:
            (run.folder / name).write_bytes(held)
    assert failed == {}


def test_a_damaged_ledger_is_refused_by_its_name(small, run, tmp_path):
    """A ledger that is no database is named in one sentence, with the remedy, when the study is run again."""
    folder = tmp_path / "out" / "small" / run.folder.name
    folder.mkdir(parents=True)
    (folder / "ledger.sqlite").write_text("garbage", encoding="utf-8")
    with pytest.raises(InputError, match=r"ledger\.sqlite"):
        run_study(str(small), outputs=tmp_path / "out")


def test_fresh_makes_another_folder(run, tmp_path):
    """--fresh makes a new folder of the same study; otherwise the newest of the same study is taken, and no other's."""
    out, study = tmp_path / "out", run.study
    at = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    first, continued = find_or_make(study, out, fresh=False, now=at)
    assert not continued
    assert find_or_make(study, out, fresh=False, now=at.replace(hour=13)) == (first, True)
    second, continued = find_or_make(study, out, fresh=True, now=at.replace(hour=14))
    assert (second != first, continued) == (True, False)
    (out / "small" / "20990101T000000Z-00000000").mkdir()
    assert find_or_make(study, out, fresh=False, now=at.replace(hour=15)) == (second, True)
    with pytest.raises(InputError, match="wait a second"):
        find_or_make(study, out, fresh=True, now=at.replace(hour=14))


def test_a_folder_in_use_is_refused(run, small, place):
    """While a study runs, a second run of it is refused in one sentence, before anything is done."""
    before = stamps(run.folder)
    with locked(run.folder), pytest.raises(InputError, match="another process is running this study") as caught:
        run_study(str(small), outputs=place / "out")
    assert "\n" not in str(caught.value)
    assert stamps(run.folder) == before


# -- sweeps, workers ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def swept(place, write_study):
    """A study of two levels, run with one worker and, in another folder, with two."""
    study = write_study(place, name="swept", sweep="max_train_rows: [100, 200]")
    return [run_study(str(study), workers=n, outputs=place / f"out{n}") for n in (1, 2)]


def test_workers_do_not_change_results(swept):
    """One worker or two, in fresh folders: the accuracy tables and all predictions are byte-identical, rows and counts equal."""
    assert [outcome.failed for outcome in swept] == [(), ()]
    one_worker, two = (outcome.run for outcome in swept)
    assert one_worker.folder != two.folder
    assert (one_worker.environment()["workers"], two.environment()["workers"]) == (1, 2)
    accuracy = [(r.folder / "tables" / "accuracy.csv").read_bytes() for r in (one_worker, two)]
    assert accuracy[0] == accuracy[1]
    kept = [
        {p.relative_to(r.folder): p.read_bytes() for p in (r.folder / "predictions").rglob("*.npz")} for r in (one_worker, two)
    ]
    assert len(kept[0]) == 4
    assert kept[0] == kept[1]
    place = ["candidate", "level", "quantity", "scenario", "batch_size", "statistic", "unit", "n"]
    pd.testing.assert_frame_equal(one_worker.records()[place], two.records()[place])


def test_training_beside_other_work_publishes_no_wall_time(swept):
    """A wall time of fitting is published where one worker trained alone, and withheld where two shared the machine."""
    walls = [r[r["quantity"] == "fit_s"]["value"] for r in (outcome.run.records() for outcome in swept)]
    assert walls[0].notna().all()
    assert walls[1].isna().all()
    for outcome in swept:
        records = outcome.run.records()
        assert records.loc[records["quantity"] == "fit_cpu_s", "value"].notna().all()


def test_measuring_overlaps_with_nothing(swept):
    """No measuring unit of a study overlaps another unit of it in time, however many workers there are."""
    for outcome in swept:
        units = [json.loads(p.read_text(encoding="utf-8")) for p in (outcome.run.folder / "parts").glob("*/unit.json")]
        spans = {
            kind: [(u["began"], u["began"] + u["seconds"]) for u in units if u["kind"] == kind] for kind in ("train", "measure")
        }
        others = [(u["began"], u["began"] + u["seconds"]) for u in units if u["kind"] != "measure"]
        measured = sorted(spans["measure"])
        assert len(measured) == 4
        # The wall clock that they are noted by may be set by some milliseconds meanwhile.
        assert all(b <= next_a + 0.05 for (_, b), (next_a, _) in itertools.pairwise(measured))
        assert not [1 for a, b in measured for c, d in others if a + 0.05 < d and c + 0.05 < b]


def test_each_level_of_a_sweep_has_its_rows(swept):
    """The one table has a row for every level and candidate, and picks are made level by level."""
    run = swept[0].run
    table = pd.read_csv(run.folder / "tables" / "results.csv", dtype={"level": str})
    assert set(table["factor"]) == {"max_train_rows"}
    assert sorted(zip(table["level"], table["candidate"], strict=True)) == [
        (level, name) for level in ("100", "200") for name in ("logistic_regression", "prior")
    ]
    oof = run.records().query("quantity == 'roc_auc' and statistic == 'oof'")
    assert set(zip(oof["level"], oof["n"], strict=True)) == {("100", 100), ("200", 200)}
    assert [p["level"] for p in run.picks()] == ["100", "200"]
    assert {r.level for r in run.assessment().requirements} == {"100", "200"}


def test_every_table_can_be_read(run, swept):
    """Each CSV file of a run, with ensembles or without, has a header, and text that pandas reads back."""
    for folder in (run.folder, swept[0].run.folder):
        assert [p.name for p in (folder / "tables").iterdir() if not p.read_text(encoding="utf-8").strip()] == []
        for path in (folder / "tables").iterdir():
            assert len(pd.read_csv(path).columns) > 1


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def with_cell(source, target, code, *, before):
    """A copy of a notebook with one more cell: before the first cell after the parameters, or at the end."""
    node = nbformat.read(source, as_version=4)
    tagged = next(i for i, cell in enumerate(node.cells) if "parameters" in cell.metadata.get("tags", []))
    node.cells.insert(tagged + 1 if before else len(node.cells), nbformat.v4.new_code_cell(code))
    nbformat.write(node, target)


NO_TREES = """\
import sklearn.tree
def refuse(self, *arguments, **settings):
    raise MemoryError("no room for a tree")
sklearn.tree.DecisionTreeClassifier.fit = refuse"""


@pytest.fixture(scope="module")
def troubled(place, write_study):
    """A study in which one candidate cannot be fitted, and in which the accuracy notebook's last cell raises."""
    copies = place / "notebooks"
    shutil.copytree(notebooks.folder(), copies)
    with_cell(notebooks.path("01_train_single_models"), copies / "01_train_single_models.ipynb", NO_TREES, before=True)
    last = "# the end\nraise KeyError('nobody home')"
    with_cell(notebooks.path("03_compare_accuracy"), copies / "03_compare_accuracy.ipynb", last, before=False)
    study = write_study(place, name="troubled", candidates="prior, logistic_regression, decision_tree")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shipworthy.notebooks.shelf.folder", lambda: copies)
        return run_study(str(study), outputs=place / "out")


def test_a_raising_cell_is_named(troubled):
    """What failed is told with data set, notebook, cell and error, one sentence a notebook."""
    first, second = sorted(troubled.failed)
    assert re.match(r"breast_cancer, seed 0: 01_train_single_models\.ipynb, cell \d+ \(`.*`\): UnitsFailedError", first)
    assert "decision_tree" in first
    assert "no room for a tree" in first
    assert re.fullmatch(
        r"breast_cancer, seed 0: 03_compare_accuracy\.ipynb, cell \d+ \(`# the end`\): KeyError: 'nobody home'", second
    )
    assert not [f for f in troubled.failed if "\n" in f]


def test_where_one_member_is_left_there_is_nothing_to_simulate(troubled):
    """With one of two members gone no ensemble can be simulated: that is no failure of the study, and the report says why."""
    why = (
        "breast_cancer, seed 0: there is nothing to simulate: an ensemble takes two members that are trained and measured, "
        "and only logistic_regression is."
    )
    assert why in troubled.run.assessment().missing
    assert why in (troubled.run.folder / "report.md").read_text(encoding="utf-8")
    assert not list((troubled.run.folder / "notebooks").rglob("08_simulate*"))
    with closing(sqlite3.connect(troubled.run.folder / "ledger.sqlite")) as connection:
        assert connection.execute("select status from units where kind = 'simulate'").fetchall() == [("needless",)]


def test_the_terminal_gives_each_reason_once(troubled, capsys):
    """Why a candidate failed stands in one of the closing lines; the line of its notebook refers to it."""
    cli._tell(troubled)
    said = capsys.readouterr().err
    assert said.count("no room for a tree") == 1
    assert said.count("nobody home") == 1
    assert re.search(r"failed: .*01_train_single_models\.ipynb.*as said above", said)


def test_other_units_go_on(troubled):
    """The other candidates are trained, scored, measured and judged; of the one that failed nothing is shown."""
    run = troubled.run
    records = run.records()
    for candidate in ("prior", "logistic_regression"):
        assert one(records, candidate=candidate, quantity="roc_auc", statistic="test")["n"] > 0
        assert one(records, candidate=candidate, quantity="latency_ms", scenario="single_stream", statistic="p99")["n"] == 20
    assert "decision_tree" not in set(records["candidate"])
    assert {p.stem for p in (run.folder / "artefacts").rglob("*.skops")} == {"prior", "logistic_regression"}
    assert run.picks()[0]["benchmark_chaser"]["candidate"] == "logistic_regression"


def test_the_report_says_what_is_missing(troubled):
    """Report and verdicts.json say which candidate is missing and why, and which notebook failed with what."""
    html = troubled.run.report.read_text(encoding="utf-8")
    text = (troubled.run.folder / "report.md").read_text(encoding="utf-8")
    for said in ("decision_tree was not trained on breast_cancer", "no room for a tree", "03_compare_accuracy", "nobody home"):
        assert said in text, said
        assert said in html, said
    missing = json.loads((troubled.run.folder / "verdicts.json").read_text(encoding="utf-8"))["missing"]
    assert any("no room for a tree" in sentence for sentence in missing)


def test_without_an_ensemble_the_verdicts_are_a_table_without_rows(troubled, run):
    """A study that judges nobody gives the same columns as one that does, so what asks for them need not ask first."""
    nobody = troubled.run.verdicts()
    assert nobody.empty
    assert list(nobody.columns) == list(run.verdicts().columns)


def test_the_ledger_says_what_failed(troubled):
    """The ledger marks the notebooks and the units that failed, and only those."""
    assert {name.split("/")[-1] for (name,) in ledger(troubled.run, "select name from notebooks where status = 'failed'")} == {
        "01_train_single_models",
        "03_compare_accuracy",
    }
    kinds = ledger(troubled.run, "select kind, candidate from units where status = 'failed'")
    assert {candidate for _, candidate in kinds} == {"decision_tree"}
    assert {kind for kind, _ in kinds} == {"train", "accuracy", "measure"}


def test_the_failed_notebook_shows_where(troubled):
    """The executed copy of a failed notebook holds the error in the cell that raised."""
    node = nbformat.read(troubled.run.folder / "notebooks" / ARM / "03_compare_accuracy.ipynb", as_version=4)
    errors = [out.ename for cell in node.cells if cell.cell_type == "code" for out in cell.outputs if out.output_type == "error"]
    assert errors == ["KeyError"]


def test_a_failure_is_an_exception_in_python_and_one_in_the_shell(troubled, monkeypatch, capsys):
    """`shipworthy.run` raises RuntimeError with the sentences; the command prints them, tells of the report, and exits with 1."""
    from shipworthy import cli

    monkeypatch.setattr("shipworthy.study.run_study", lambda *_a, **_s: troubled)
    with pytest.raises(RuntimeError, match="nobody home"):
        shipworthy.run("quick")
    monkeypatch.setattr(sys, "argv", ["shipworthy", "run", "quick"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert "nobody home" in said.err
    assert "report.html" in said.out
    assert "Traceback" not in said.out + said.err


# -- interrupts and kills ----------------------------------------------------------------------------------------------


def marked(mark):
    """Living processes whose environment carries a mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("SHIPWORTHY_TEST") == mark:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_keeps_what_was_done_and_leaves_no_kernel(small, tmp_path):
    """After Ctrl-C the command says what is kept, exits with 130, and no kernel or other process of it is left."""
    mark = uuid.uuid4().hex
    environment = {**os.environ, "SHIPWORTHY_TEST": mark}
    command = [*COMMAND, "run", str(small), "--outputs", str(tmp_path / "out")]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        until = time.monotonic() + 60
        while not list(tmp_path.glob("out/small/*/parts/train-*")) and time.monotonic() < until and process.poll() is None:
            time.sleep(0.02)
        assert any("ipykernel_launcher" in " ".join(p.cmdline()) for p in marked(mark))
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()  # or a run that does not end would keep the whole suite from ending
    assert process.returncode == 130, err
    assert "interrupted; what was done is kept" in err
    assert "Traceback" not in out + err
    assert marked(mark) == []
    assert list(tmp_path.glob("out/small/*/parts/train-*"))


@pytest.mark.skipif(sys.platform == "win32", reason="a killed process is told by its exit code -9")
def test_killed_runs_complete_to_the_same():
    """Killed at two random moments and completed, a study has the same accuracy table, rows, units and counts."""
    script = Path(__file__).with_name("chaos.py")
    command = [sys.executable, str(script), "--kills", "2", "--lanes", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]


# -- the commit of the sources -----------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("git") is None, reason="the commit is asked of git, which is not installed; install git")
def test_asking_git_for_the_commit_writes_nothing_into_the_checkout(tmp_path, monkeypatch):
    """The commit is told without a byte of the index being written, where `git status` itself would write what it learnt."""
    for name in [n for n in os.environ if n.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")

    def git(*arguments):
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    source = tmp_path / "src" / "shipworthy" / "study" / "launch.py"
    source.parent.mkdir(parents=True)
    source.write_text("1", encoding="utf-8")
    git("init")
    git("add", ".")
    git("commit", "-m", "One file")
    # Of another time than the index says, though its bytes are the same: git looks, and would note the new time.
    another_time = (1_000_000_000, 1_000_000_000)
    os.utime(source, another_time)
    monkeypatch.setattr(launch, "__file__", str(source))
    index = tmp_path / ".git" / "index"
    before = index.read_bytes()

    assert launch.commit_of_sources() == git("rev-parse", "HEAD")
    assert index.read_bytes() == before

    # Somebody else's lock is no hindrance, and stays theirs.
    lock = index.with_name("index.lock")
    lock.write_text("somebody else's", encoding="utf-8")
    source.write_text("2", encoding="utf-8")
    assert launch.commit_of_sources() == git("rev-parse", "HEAD") + "+changes"
    assert (lock.read_text(encoding="utf-8"), index.read_bytes()) == ("somebody else's", before)
    lock.unlink()

    source.write_text("1", encoding="utf-8")
    os.utime(source, another_time)
    git("status")
    assert index.read_bytes() != before, "the index was as it was because nobody wrote it, not because there was nothing to write"
