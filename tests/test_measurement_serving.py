"""Serving: planted models of known service time, and models that crash, hang, print and die, each in a real child process."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from shipworthy.measurement import child, noise, serving, summaries
from shipworthy.records import QUANTITIES, Conditions, Measurement, MeasuringPlan

pytestmark = pytest.mark.alone

PLANTED = '''
import os, signal, sys, time

class Model:
    def predict_proba(self, X):
        self.calls = getattr(self, "calls", -1) + 1
        return self.answer(X)

def burn(seconds):
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass

class Null:
    def predict_proba(self, X):
        return None

class Constant(Model):
    """Takes 2 ms, times itself, and writes down what it saw when it is first given a batch."""
    seen = []
    def answer(self, X):
        began = time.perf_counter_ns()
        burn(0.002)
        self.seen.append(time.perf_counter_ns() - began)
        if len(X) == 4:
            with open(os.environ["PLANTED_LOG"], "w") as log:
                log.write(" ".join(str(t / 1e6) for t in self.seen))

class Bimodal(Model):
    def answer(self, X):
        burn(0.01 if self.calls % 100 == 99 else 0.0002)

class Rows(Model):
    """Notes in a file which rows it is asked for."""
    def answer(self, X):
        with open(os.environ["PLANTED_LOG"], "a") as log:
            log.write(",".join(str(q["row"]) for q in X) + "\\n")

class Raises(Model):
    def answer(self, X):
        if self.calls == 5:
            raise ValueError("no such leaf")

class Exits(Model):
    def answer(self, X):
        if self.calls == 5:
            os._exit(0)

class Killed(Model):
    def answer(self, X):
        if self.calls == 5:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

class BatchKilled(Model):
    def answer(self, X):
        if len(X) > 1:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

class Hangs(Model):
    def answer(self, X):
        time.sleep(600)

class Prints(Model):
    def answer(self, X):
        if self.calls == 5:
            for _ in range(256):
                sys.stdout.write("x" * 2**20)
                sys.stderr.write("y" * 2**20)

class Memory(Model):
    """Holds 50 MiB, and 30 MiB more while it answers a batch."""
    held = None
    def answer(self, X):
        self.held = self.held or b"x" * (50 * 2**20 + len(X))
        if len(X) > 1:
            b"x" * (30 * 2**20 + len(X))

class Leaves(Model):
    """Leaves a process behind that holds stderr."""
    def answer(self, X):
        if self.calls == 0:
            import subprocess
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

class Lean:
    def predict_proba(self, X):
        import pandas

def make(name):
    return lambda artefact: globals()[name]()

for name in [n for n, v in list(globals().items()) if isinstance(v, type)]:
    globals()["make_" + name] = make(name)

def pid_then_hang(artefact):
    artefact.with_suffix(".pid").write_text(str(os.getpid()))
    time.sleep(600)
'''

HERE = Conditions("m", "v", 1, "single_stream", 1, 0, 50, "off", "lean", "core 0", 0.5)


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A small job over planted models, with a lock of its own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "planted.py").write_text(PLANTED, encoding="utf-8")
    (tmp_path / "artefact.skops").write_bytes(b"\0" * 2**19)
    (tmp_path / "queries.json").write_text(json.dumps([{"row": i} for i in range(70)]), encoding="utf-8")
    plan = MeasuringPlan(queries=20, rounds=1, warm_up=2, batch_sizes=(4, 8), batch_repeats=2, time_limit_s=30)
    return serving.ServingJob(
        candidate="planted",
        dataset="rows",
        artefact=tmp_path / "artefact.skops",
        queries=tmp_path / "queries.json",
        plan=plan,
        sys_path=(str(tmp_path),),
    )


def run(job, name, **plan):
    """One round of a planted model."""
    return serving.measure_round(replace(job, factory=f"planted:make_{name}", plan=replace(job.plan, **plan)))


def find(measurements, quantity, scenario="none", batch_size=0):
    """The one measurement of a quantity."""
    (m,) = [
        m
        for m in measurements
        if (m.quantity, m.conditions.scenario, m.conditions.batch_size) == (quantity, scenario, batch_size)
    ]
    return m


def test_a_constant_service_time_is_measured(job, tmp_path, monkeypatch):
    """No value is below the planted 2 ms, and the median differs by less than 10 microseconds from the model's own clock."""
    monkeypatch.setenv("PLANTED_LOG", str(tmp_path / "log"))
    measured = run(job, "Constant", queries=50)
    latency = find(measured, "latency_ms", "single_stream", 1)
    own = [float(t) for t in (tmp_path / "log").read_text().split()][1 + job.plan.warm_up :][:50]
    added = np.subtract(latency.values, own)
    assert min(latency.values) >= 2.0
    assert added.min() >= 0
    assert np.median(added) < 0.01
    assert 0 < find(measured, "cpu_ms", "single_stream", 1).values[0] <= 1.1 * np.mean(latency.values)
    assert find(measured, "throughput_rows_s", "single_stream", 1).values[0] <= 500
    assert [len(find(measured, "latency_ms", "multi_stream", b).values) for b in (4, 8)] == [2, 2]
    assert find(measured, "throughput_rows_s", "offline", 8).values[0] <= 8 / 0.002
    assert find(measured, "size_mib").values == (0.5,)


def test_one_slow_answer_in_a_hundred_is_in_the_raw_values(job):
    """Every planted slow call is at its place among the values, and the median does not see them."""
    latency = find(run(job, "Bimodal", queries=300, warm_up=9), "latency_ms", "single_stream", 1)
    slow = [i for i in range(300) if (1 + 9 + i) % 100 == 99]  # one first call and nine to warm up came before
    assert len(slow) == 3
    assert all(latency.values[i] >= 10 for i in slow)
    assert latency.percentile(50) < 10


def test_what_a_whole_round_gives_is_complete_and_named(job):
    """Every quantity is a known one, has values or a reason, and conditions that say how it was taken."""
    measured = run(job, "Null")
    assert {m.quantity for m in measured} <= set(QUANTITIES)
    for m in measured:
        assert bool(m.values) != bool(m.failure)
        assert m.round_index == (0,) * len(m.values)
        assert (m.conditions.threads, m.conditions.profile) == (1, "lean")
        assert len(m.conditions.machine) == 16
        assert "python" in m.conditions.versions
    assert find(measured, "latency_ms", "single_stream", 1).conditions.garbage_collector == "off"
    assert find(measured, "load_ms").conditions.garbage_collector == "on"
    assert "does not show its steps" in find(measured, "build_ms", "single_stream", 1).failure
    if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
        assert measured[0].conditions.pinned.startswith("core ")


def test_rounds_time_different_queries_and_counts_are_fixed(job, tmp_path, monkeypatch):
    """Three rounds share 50 queries as 17, 17 and 16, each row once; batches have other rows too, in round 0 only."""
    asked = []
    for index in range(3):
        log = tmp_path / f"log{index}"
        monkeypatch.setenv("PLANTED_LOG", str(log))
        plan = replace(job.plan, queries=50, rounds=3, warm_up=4)
        serving.measure_round(replace(job, factory="planted:make_Rows", plan=plan, round_index=index))
        lines = log.read_text().split()
        count = (17, 17, 16)[index]
        asked += lines[5 : 5 + count]
        rest = lines[5 + count :]
        assert len(rest) == (3 + 3 if index == 0 else 0)
    assert asked == [str(i) for i in range(50)]


@pytest.mark.parametrize(("call_s", "values", "warmed_up"), [(0.1, 10, True), (0.9, 3, True), (1.4, 2, True), (3.5, 2, False)])
def test_slow_batches_are_called_less_often_and_twice_at_least(monkeypatch, call_s, values, warmed_up):
    """Ten repeats are given 3.33 s in all: fast calls get them, slow ones as many as fit; of one slower yet the first counts."""
    now, said = [0], {}
    monkeypatch.setattr(child, "time", SimpleNamespace(perf_counter_ns=lambda: now[0]))
    report = SimpleNamespace(
        stage=[].append, facts=said.update, values=lambda name, found, *where: said.update({(name, *where): found})
    )

    def answer(rows):
        now[0] += int(1e9 * call_s)

    plan = MeasuringPlan(batch_sizes=(4,), batch_repeats=10)
    job = {"batch_sizes": [4], "batch_repeats": plan.batch_repeats, "batch_limit_s": plan.batch_limit_s}
    child.measure_batches(job, answer, [{}] * 8, child.MemoryReader(), 0.0, report)
    assert said["latency_ms", "multi_stream", 4] == pytest.approx([1000 * call_s] * values)
    assert now[0] == pytest.approx(1e9 * call_s * (values + warmed_up))
    assert said["first call of 4 counts"] is not warmed_up


def test_conditions_say_that_a_batch_was_called_less_often(job, tmp_path, monkeypatch):
    """A planted 2 ms a call against a limit below that: two were timed and not five, and the first call is one of them."""
    monkeypatch.setattr(MeasuringPlan, "batch_limit_s", 0.001)
    monkeypatch.setenv("PLANTED_LOG", str(tmp_path / "log"))
    slow = find(run(job, "Constant", batch_repeats=5), "latency_ms", "multi_stream", 8)
    assert len(slow.values) == 2
    assert slow.conditions.warm_up == 0
    assert "timed 2 times and not 5" in slow.conditions.note
    assert slow.conditions.note.endswith("the first among them")


def test_too_few_rows_come_again_and_the_conditions_say_so(job):
    """With 70 rows and 100 queries the count holds and the note tells."""
    latency = find(run(job, "Null", queries=100), "latency_ms", "single_stream", 1)
    assert len(latency.values) == 100
    assert "100 rows asked for, 70 different ones given" in latency.conditions.note
    assert find(run(job, "Null"), "latency_ms", "single_stream", 1).conditions.note == ""


def test_the_harness_adds_less_than_two_microseconds():
    """The fastest of many timed calls of nothing is below 2,000 ns: the loop itself is not what is measured."""

    def nothing(rows):
        return rows

    assert min(child.single_stream(nothing, [{}] * 2000)) < 2000


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Raises", "status 1 while warming up: ValueError: no such leaf"),
        ("Exits", "though it ended with status 0"),
        pytest.param(
            "Killed",
            "ended by SIGKILL while warming up",
            marks=pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL to end the child with"),
        ),
    ],
)
def test_a_model_that_ends_its_process_is_a_failed_measurement(job, name, said):
    """Whatever ends the child, each missing quantity says so in one sentence, and what was known before is kept."""
    measured = run(job, name, warm_up=10)
    latency = find(measured, "latency_ms", "single_stream", 1)
    assert latency.values == ()
    assert said in latency.failure
    assert "\n" not in latency.failure
    assert find(measured, "first_call_ms").values
    assert len(measured) == len(run(job, "Null"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process limit its memory; run this on Linux")
def test_a_model_that_takes_too_much_memory_says_so(job, monkeypatch):
    """With 20 MiB allowed, a model that takes 50 ends with MemoryError as its reason; with 200, it is measured."""
    monkeypatch.setenv("SHIPWORTHY_MEMORY_LIMIT_MIB", "20")
    failure = find(run(job, "Memory"), "first_call_ms").failure
    assert "status 1 while answering the first query: MemoryError" in failure
    monkeypatch.setenv("SHIPWORTHY_MEMORY_LIMIT_MIB", "200")
    assert find(run(job, "Memory"), "first_call_ms").values


def test_a_batch_that_ends_the_process_leaves_the_single_queries(job):
    """Latency that was measured stands; only the batches fail."""
    measured = run(job, "BatchKilled")
    assert len(find(measured, "latency_ms", "single_stream", 1).values) == 20
    assert "while answering 4 rows" in find(measured, "latency_ms", "multi_stream", 4).failure
    assert find(measured, "throughput_rows_s", "offline", 8).failure


def test_a_hanging_model_is_stopped_at_the_limit(job):
    """After the declared limit the round ends and says so."""
    measured = run(job, "Hangs", time_limit_s=1.0)
    assert (
        "stopped while answering the first query, at its limit of 1 s" in find(measured, "latency_ms", "single_stream", 1).failure
    )


def test_a_model_that_prints_half_a_gigabyte_breaks_nothing(job):
    """256 MiB on stdout and on stderr leave the measurement whole."""
    measured = run(job, "Prints", warm_up=10)
    assert len(find(measured, "latency_ms", "single_stream", 1).values) == 20


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has sessions that end together")
def test_what_a_model_leaves_running_ends_with_it(job):
    """A process that the model started and left is gone when the round is over."""
    began = set(psutil.pids())
    measured = run(job, "Leaves")
    assert find(measured, "latency_ms", "single_stream", 1).values
    time.sleep(0.5)
    left = [
        p for p in psutil.process_iter(["cmdline"]) if p.pid not in began and "time.sleep(600)" in (p.info["cmdline"] or [""])[-1]
    ]
    assert all(p.status() == psutil.STATUS_ZOMBIE for p in left)


def test_garbage_in_place_of_a_report_is_a_failure(job, tmp_path, monkeypatch):
    """A child that writes anything but a report fails the round, with the line."""
    fake = tmp_path / "fake.py"
    for written, said in ((b"\x00\xff not json\n", "no report in line 1"), (b"[1, 2]\n", "no report in line 1"), (b"", "ended")):
        fake.write_text(f"import json\njob = json.loads(input())\nopen(job['result'], 'wb').write({written!r})", encoding="utf-8")
        monkeypatch.setattr(serving, "CHILD", fake)
        latency = find(serving.measure_round(job), "latency_ms", "single_stream", 1)
        assert latency.values == ()
        assert said in latency.failure


@pytest.mark.parametrize("name", ["artefact", "queries"])
def test_a_missing_or_broken_file_is_a_failure_and_no_exception(job, tmp_path, name):
    """Neither an absent nor a binary file raises: the measurements say what was wrong."""
    for path in (tmp_path / "absent.skops", tmp_path / "artefact.skops"):
        measured = serving.measure_round(replace(job, **{name: path}))
        assert find(measured, "latency_ms", "single_stream", 1).failure


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(),
    reason="only Linux lets a process reset its own memory peak (/proc/self/clear_refs)",
)
def test_memory_is_what_the_model_holds_and_needs_at_most(job):
    """50 MiB held, and 30 more while answering a batch, are told apart, above an idle interpreter."""
    measured = run(job, "Memory")
    assert find(measured, "memory_mib").values[0] == pytest.approx(50, abs=3)
    assert find(measured, "peak_memory_mib", batch_size=1).values[0] == pytest.approx(50, abs=3)
    assert find(measured, "peak_memory_mib", batch_size=4).values[0] == pytest.approx(80, abs=4)
    assert find(measured, "peak_memory_mib", batch_size=8).values[0] == pytest.approx(80, abs=4)


def test_a_lean_child_cannot_import_what_the_artefact_does_not_need(job):
    """A lean child does not find pandas, and a full one does."""
    lean = find(run(job, "Lean"), "first_call_ms")
    assert "No module named 'pandas'" in lean.failure
    full = serving.measure_round(replace(job, factory="planted:make_Lean", profile="full"))
    assert find(full, "first_call_ms").values


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX: Windows has no such signal")
@pytest.mark.usefixtures("job")
def test_the_child_dies_with_its_parent(tmp_path):
    """After kill -9 of the parent, the hanging child is gone within 2 s."""
    code = (
        "import pathlib, sys, tempfile\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "from shipworthy.measurement import serving\n"
        "from shipworthy.records import MeasuringPlan\n"
        f"p = pathlib.Path({str(tmp_path)!r})\n"
        "serving.measure_round(serving.ServingJob(candidate='c', dataset='d', artefact=p/'artefact.skops',"
        " queries=p/'queries.json', plan=MeasuringPlan(), factory='planted:pid_then_hang', sys_path=(str(p),)))\n"
    )
    mark = tmp_path / "artefact.pid"
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        deadline = time.monotonic() + 30
        while not (mark.exists() and mark.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        pid = int(mark.read_text())
        assert psutil.pid_exists(pid)
        parent.kill()
    deadline = time.monotonic() + 2

    def alive():
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    while alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive()


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Artefacts of one pipeline and of a vote over two, with their queries."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    from shipworthy import artefacts
    from shipworthy.deployables import QueryEncoder

    folder = tmp_path_factory.mktemp("real")
    data = load_breast_cancer(as_frame=True)
    names = tuple(data.data.columns)

    def pipeline(model):
        return Pipeline([("encode", QueryEncoder(names, names)), ("scale", StandardScaler()), ("model", model)])

    members = [("lr", pipeline(LogisticRegression())), ("tree", pipeline(DecisionTreeClassifier(random_state=0)))]
    models = {"single": members[0][1], "vote": VotingClassifier(members, voting="soft")}
    for name, model in models.items():
        model.fit(data.data, data.target.to_numpy())
        if name == "vote":
            del model.named_estimators_  # as training leaves it out: it would describe every member twice
        artefacts.save(model, folder / f"{name}.skops")
    (folder / "queries.json").write_text(json.dumps(data.data.to_dict("records")), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["single", "vote"])
def test_a_real_artefact_is_served_lean_with_its_parts_itemised(real, name):
    """A saved pipeline and a saved vote of two give every quantity, and the parts are less than the whole."""
    plan = MeasuringPlan(queries=40, rounds=1, warm_up=5, batch_sizes=(16,), batch_repeats=2)
    job = serving.ServingJob(
        candidate=name, dataset="d", artefact=real / f"{name}.skops", queries=real / "queries.json", plan=plan
    )
    measured = serving.measure_round(job)
    assert [m.failure for m in measured if m.failure] == []
    p50 = {q: find(measured, q, "single_stream", 1).percentile(50) for q in ("latency_ms", "build_ms", "preprocess_ms")}
    assert 0 < p50["build_ms"] + p50["preprocess_ms"] < p50["latency_ms"]
    assert 20 < find(measured, "memory_mib").values[0] < 160
    assert find(measured, "peak_memory_mib", batch_size=16).values[0] > 20


def test_the_parts_of_a_vote_are_the_sum_of_its_members(monkeypatch):
    """Each member builds its own row: a vote of two takes both clocks together, and nothing that has no steps is itemised."""

    class Step:
        def transform(self, rows):
            return rows

        def predict(self, rows):
            return rows

    class Pipe:
        steps = (("encode", Step()), ("none", "passthrough"), ("scale", Step()), ("model", Step()))

    class Frozen:
        estimator = Pipe()

    Frozen.__name__ = "FrozenEstimator"

    class Vote:
        estimators_ = (Pipe(), Frozen())
        named_estimators = ()

    ticks = iter(range(100))
    monkeypatch.setattr(child.time, "perf_counter_ns", lambda: next(ticks))
    assert child.itemise(Vote(), {}) == (2, 2, 2, 2)
    assert child.itemise(object(), {}) == (0, 0, 0, 0)


def test_threads_are_given_to_every_fitted_part():
    """A loaded forest inside a vote of pipelines gets the declared number of threads."""
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier, VotingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = load_iris(return_X_y=True)
    forest = make_pipeline(StandardScaler(), RandomForestClassifier(2, n_jobs=1, random_state=0))
    vote = VotingClassifier([("forest", forest)], voting="soft").fit(X, y)
    child.set_threads(vote, 3, set())
    assert vote.estimators_[0][-1].n_jobs == 3


def measurement(values, rounds, quantity="latency_ms", conditions=HERE, failure=""):
    """Values as if they had been measured."""
    return Measurement("c", "d", quantity, tuple(values), tuple(rounds), conditions, failure)


def test_rounds_are_put_together_with_their_index():
    """Values of all rounds follow each other; load is the highest, and cores that differ are listed."""
    first = measurement([1.0, 2.0], [0, 0])
    second = measurement([3.0], [1], conditions=replace(HERE, load_average=2.0, pinned="core 1"))
    (both,) = summaries.combine([[first], [second]])
    assert both.values == (1.0, 2.0, 3.0)
    assert both.round_index == (0, 0, 1)
    assert both.conditions.load_average == 2.0
    assert both.conditions.pinned == "core 0, core 1"
    apart = summaries.combine([[first], [replace(second, conditions=replace(HERE, batch_size=64))]])
    assert len(apart) == 2


def test_failed_rounds_are_counted_and_most_failed_is_none():
    """One failed round of two leaves the other with a note; two of three leave nothing."""
    good, bad = measurement([1.0], [0]), measurement([], [], failure="it fell over")
    (half,) = summaries.combine([[good], [bad]])
    assert half.values == (1.0,)
    assert half.conditions.note == "1 of 2 rounds failed: it fell over"
    (most,) = summaries.combine([[good], [bad], [bad]])
    assert most.values == ()
    assert most.failure == "2 of 3 rounds failed: it fell over"


def test_records_hold_percentiles_with_intervals_that_cover_the_rounds():
    """The interval of a percentile is that of order statistics, widened to each round's own percentile."""
    rng = np.random.default_rng(0)
    slow, fast = rng.lognormal(0.5, 0.1, 500), rng.lognormal(0.0, 0.1, 500)
    both = measurement([*fast, *slow], [0] * 500 + [1] * 500)
    records = {r.statistic: r for r in summaries.serving_records([both], kind="single", route="plain", confidence=0.95)}
    assert list(records) == ["p50", "p95", "p99", "mean", "max"]
    for q in (50, 95, 99):
        r = records[f"p{q}"]
        bound = both.percentile_bound(q, 0.975)
        each = [np.percentile(values, q, method="inverted_cdf") for values in (fast, slow)]
        assert r.value == np.percentile(both.values, q, method="inverted_cdf")
        assert (r.low, r.high) == (min(bound.low, *each), max(bound.high, *each))
    assert records["mean"].low <= fast.mean() < records["mean"].value < slow.mean() <= records["mean"].high
    assert records["max"].value == max(both.values)
    assert records["p50"].n == 1000
    assert json.loads(records["p50"].conditions) == HERE.as_dict()


def test_too_few_values_have_no_upper_end():
    """The p99 of five values has no upper end, and a lower one no further down than zero."""
    (p50, _, p99, *_) = summaries.serving_records(
        [measurement([1, 2, 3, 4, 5], [0] * 5)], kind="single", route="plain", confidence=0.95
    )
    assert (p99.value, p99.high) == (5, math.inf)
    assert (p50.low, p50.high) == (0, math.inf)


def test_records_of_a_failure_say_so():
    """A measurement without values is one record without a number, whose conditions hold the reason and valid JSON."""
    bad = measurement([], [], conditions=replace(HERE, load_average=math.nan), failure="it fell over")
    (record,) = summaries.serving_records([bad], kind="single", route="plain", confidence=0.95)
    assert math.isnan(record.value)
    assert record.n == 0
    assert json.loads(record.conditions, parse_constant=pytest.fail)["failure"] == "it fell over"


def test_memory_has_the_range_of_its_rounds():
    """With one value a round, the interval of the mean is the range; with one in all, there is none."""
    mean, top = summaries.serving_records(
        [measurement([10.0, 12.0], [0, 1], "memory_mib", replace(HERE, scenario="none"))],
        kind="single",
        route="plain",
        confidence=0.95,
    )
    assert (mean.value, mean.low, mean.high, top.value) == (11.0, 10.0, 12.0, 12.0)
    lone, _ = summaries.serving_records(
        [measurement([10.0], [0], "memory_mib", replace(HERE, scenario="none"))], kind="single", route="plain", confidence=0.95
    )
    assert math.isnan(lone.low)


def rounds_of(rng, sd, rounds, per_round=40):
    """A candidate whose rounds differ by a factor of the given log standard deviation."""
    shift = np.exp(rng.normal(0, sd, rounds))
    return measurement(np.repeat(shift, per_round), np.repeat(np.arange(rounds), per_round))


def test_the_noise_floor_is_that_of_the_planted_noise():
    """Of 300 candidates in three rounds of log standard deviation 0.1, it is exp(1.96 x 0.1 x sqrt(2/3))."""
    rng = np.random.default_rng(0)
    measured = [rounds_of(rng, 0.1, 3) for _ in range(300)]
    assert math.log(noise.noise_floor(measured)) == pytest.approx(1.96 * 0.1 * math.sqrt(2 / 3), rel=0.08)


def test_the_noise_floor_is_exceeded_by_one_comparison_in_twenty():
    """Two candidates that are alike differ by more than the floor in 5 % of comparisons."""
    rng = np.random.default_rng(1)
    floor = math.log(noise.noise_floor([rounds_of(rng, 0.1, 2) for _ in range(400)]))
    gaps = rng.normal(0, 0.1, (20_000, 2, 2)).mean(axis=2)
    assert (np.abs(gaps[:, 0] - gaps[:, 1]) > floor).mean() == pytest.approx(0.05, abs=0.015)


def test_a_disturbed_round_hardly_moves_the_noise_floor():
    """One candidate of eight with a round ten times as slow leaves the floor where it is, within a factor of 1.1."""
    rng = np.random.default_rng(2)
    calm = [rounds_of(rng, 0.03, 3) for _ in range(8)]
    wild = measurement([1.0, 10.0, 1.0], [0, 1, 2])
    assert noise.noise_floor([*calm[:7], wild]) < 1.1 * noise.noise_floor(calm)


def test_the_noise_floor_is_taken_on_the_percentile_that_it_is_applied_to():
    """Rounds whose medians agree and whose p99 differ twofold have a floor of one for p50, and a wide one for p99."""
    tail = measurement([1.0] * 98 + [2.0] * 2 + [1.0] * 98 + [4.0] * 2, [0] * 100 + [1] * 100)
    assert noise.noise_floor([tail]) == 1.0
    assert noise.noise_floor([tail], 99) == pytest.approx(math.exp(1.959964 * 1.482602 * math.log(2) / math.sqrt(2)))


def test_without_repeats_nothing_can_be_told_apart():
    """Only single-stream latencies measured at least twice count."""
    batch = measurement([1.0, 9.0], [0, 1], conditions=replace(HERE, scenario="multi_stream", batch_size=64))
    assert noise.noise_floor([measurement([1.0], [0]), batch]) == math.inf


def test_disturbed_rounds_are_named_with_their_figures():
    """A median half as slow again, a p99 three times as slow: one sentence each; calm rounds and batches give none."""
    here = replace(HERE, load_average=3.4)
    slow = measurement([1.0] * 50 + [1.6] * 50 + [1.1] * 50, [0] * 50 + [1] * 50 + [2] * 50, conditions=here)
    (said,) = noise.disturbed([slow])
    assert "c on d, seed 0: round 2 was disturbed" in said
    assert "median latency is 1.6 ms, that of its other rounds 1.05 ms" in said
    assert "load average of its rounds: 3.4" in said
    tail = measurement([1.0] * 100 + [1.0] * 98 + [5.0] * 2, [0] * 100 + [1] * 100)
    (said,) = noise.disturbed([tail])
    assert "round 2" in said
    assert "p99 latency is 5 ms, that of its other rounds 1 ms" in said
    calm = measurement([1.0] * 50 + [1.4] * 50, [0] * 50 + [1] * 50)
    batch = replace(slow, conditions=replace(here, scenario="multi_stream", batch_size=64))
    assert noise.disturbed([calm, batch, measurement([9.0], [0])]) == []


def test_throughput_is_all_rows_over_all_seconds():
    """Of single queries and of batches, with the ends of the mean latency's interval, which hold each round; n counts calls."""
    rng = np.random.default_rng(3)
    values, rounds = rng.lognormal(0, 0.3, 400), np.repeat([0, 1], 200)
    latency = measurement(values, rounds)
    each = [1000 / values[rounds == r].mean() for r in (0, 1)]
    single = measurement(each, [0, 1], "throughput_rows_s")
    batches = replace(latency, conditions=replace(HERE, scenario="multi_stream", batch_size=64))
    offline = replace(single, conditions=replace(HERE, scenario="offline", batch_size=64))
    made = summaries.serving_records([latency, single, batches, offline], kind="single", route="plain", confidence=0.95)
    found = {r.scenario: r for r in made if (r.quantity, r.statistic) == ("throughput_rows_s", "mean")}
    half = 1.96 * values.std(ddof=1) / math.sqrt(400)
    for scenario, rows in (("single_stream", 1), ("offline", 64)):
        r = found[scenario]
        assert r.value == pytest.approx(rows * 1000 * 400 / values.sum())
        assert r.low == pytest.approx(rows * min(1000 / (values.mean() + half), *each), rel=1e-3)
        assert r.high == pytest.approx(rows * max(1000 / (values.mean() - half), *each), rel=1e-3)
        assert r.n == 400


def test_a_peak_is_never_below_what_is_held_at_rest(real):
    """In every round and at every batch size the peak is at least the memory at rest; loading's own peak is in a note."""
    plan = MeasuringPlan(queries=20, rounds=2, warm_up=5, batch_sizes=(4, 16), batch_repeats=1)
    for name in ("single", "vote"):
        for index in range(2):
            measured = serving.measure_round(
                serving.ServingJob(
                    candidate=name,
                    dataset="d",
                    artefact=real / f"{name}.skops",
                    queries=real / "queries.json",
                    plan=plan,
                    round_index=index,
                )
            )
            (rest,) = find(measured, "memory_mib").values
            peaks = [m for m in measured if m.quantity == "peak_memory_mib"]
            assert len(peaks) == (3 if index == 0 else 1)
            assert all(m.values[0] >= rest > 0 for m in peaks)
            assert "importing and loading reached" in peaks[0].conditions.note


def test_batches_say_when_rows_come_again(job):
    """A batch that takes more rows than there are says so, also in its memory and throughput; a smaller one does not."""
    measured = run(job, "Null", batch_sizes=(4, 64), batch_repeats=2)
    for quantity, scenario in (("latency_ms", "multi_stream"), ("peak_memory_mib", "none"), ("throughput_rows_s", "offline")):
        assert "192 rows asked for, 70 different ones given" in find(measured, quantity, scenario, 64).conditions.note
    assert "come again" not in find(measured, "latency_ms", "multi_stream", 4).conditions.note
