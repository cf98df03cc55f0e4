"""The suite's notebooks and the workshop: in form, run by default and under plain papermill, and refuse what is bad."""

from __future__ import annotations

import ast
import json
import math
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import nbformat
import numpy as np
import pytest

from shipworthy import notebooks
from shipworthy.experiments import make_arm, workshop
from shipworthy.records import InputError, MeasuringPlan, TrainingPlan

SUITE = notebooks.names()
SOLUTIONS = sorted((notebooks.folder() / "workshop" / "solutions").glob("*.ipynb"))
EXERCISES = sorted((notebooks.folder() / "workshop" / "exercises").glob("*.ipynb"))
EVERY = [*map(notebooks.path, SUITE), *SOLUTIONS, *EXERCISES]
FIGURES = re.compile(
    r"reporting\.(accuracy_intervals|gain_intervals|latency_distribution|cost_per_row|accuracy_against_cost"
    r"|rank_heatmap|regret_heatmap|accuracy_by_size|strength_and_diversity|trees_together)\("
)
RANGE = re.compile(r"\((\S+) to (\S+)\)")
WAITS = np.array([100, 102, 100, 100, 99, 104, 110, 90, 3000, 95])
TAILED = np.random.default_rng(5).lognormal(0, 0.6, 700)
EACH = pytest.mark.parametrize("path", EVERY, ids=lambda p: f"{p.parent.name}/{p.stem}")
EACH_OF_SUITE = pytest.mark.parametrize("name", SUITE)


def cells_of(path):
    """The cells of a notebook."""
    return nbformat.read(path, as_version=4).cells


def said(path):
    """Everything that the outputs of a notebook show, as one text; escape sequences of colours left out."""
    texts = []
    for cell in cells_of(path):
        for output in cell.get("outputs", []):
            shown = [output.get("text", ""), *output.get("data", {}).values(), *output.get("traceback", [])]
            texts += [re.sub(r"\x1b\[[\d;]*m", "", str(part)) for part in shown]
    return "\n".join(texts)


def kinds_of_outputs(path):
    """The kinds of outputs of a notebook; a stream by its name."""
    return {output.get("name", output.output_type) for cell in cells_of(path) for output in cell.get("outputs", [])}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A folder of outputs that this module's notebooks share, so that what one has trained the next need not train again."""
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture
def run(lab, tmp_path):
    """Execute a notebook with the shared outputs; gives the execution and the executed copy."""

    def execute(source, **values):
        target = tmp_path / "executed.ipynb"
        return notebooks.execute(source, target, values, environment={"SHIPWORTHY_OUTPUTS": str(lab)}, timeout_s=600), target

    return execute


# Form and parameters: no kernel ---------------------------------------------------------------------------------------------


def test_the_suite_is_there():
    """The notebooks that the study runs are there, the tour first and the report last, and one workshop pair at least."""
    assert SUITE[0] == "00_tour"
    assert SUITE[-1] == "feasibility_report"
    named = {"01_train_single_models", "02_build_ensembles", "03_compare_accuracy", "04_measure_latency_and_memory"}
    named |= {"06_stakeholders", "07_how_many_members"}
    assert named < set(SUITE)
    assert SOLUTIONS


@EACH
def test_a_notebook_keeps_the_form(path):
    """Title as a question, parameters first, one import cell, short cells, what to notice, nothing left in it."""
    assert notebooks.check_structure(path) == []


@EACH
def test_plain_papermill_knows_every_parameter(path):
    """Papermill reads names, types, defaults and help as we do; an '=' or a colon too many in a help would make it blind."""
    import papermill

    theirs = papermill.inspect_notebook(path)
    ours = notebooks.parameters(path)
    assert list(theirs) == [p.name for p in ours]
    for p in ours:
        assert theirs[p.name]["inferred_type_name"].strip() == p.type
        assert ast.literal_eval(theirs[p.name]["default"]) == p.default
        assert theirs[p.name]["help"].strip() == p.help


@EACH
def test_every_parameter_is_explained_and_every_number_has_a_range(path):
    """Each parameter has a help, and a number's help its range, which holds the default (or the notebook were refused)."""
    for p in notebooks.parameters(path):
        assert p.help
        assert bool(RANGE.search(p.help)) == ("int" in p.type or "float" in p.type), p.name


@EACH_OF_SUITE
def test_a_notebook_admits_what_the_package_admits(name):
    """The ends of each range of a training or measuring parameter are values that the package takes; defaults are its own."""
    for kind, plan in (("training", TrainingPlan), ("measuring", MeasuringPlan)):
        own = {f.name: f.default for f in fields(plan)}
        for p in notebooks.parameters(notebooks.path(name)):
            if p.name in own:
                assert (tuple(p.default) if isinstance(p.default, list) else p.default) == own[p.name]
                for end in RANGE.search(p.help).groups():
                    number = float(end) if "float" in p.type else int(end)
                    make_arm("breast_cancer", **{kind: {p.name: [number] if p.type.startswith("list") else number}})


@EACH
def test_a_bad_parameter_is_refused_before_a_kernel_starts(path, tmp_path, monkeypatch):
    """An unknown name, a wrong type for every parameter, and values beyond every range: one sentence, no kernel, no file."""
    monkeypatch.setattr("shipworthy.notebooks.execution._run", lambda *_: pytest.fail("a kernel was asked for"))
    declared = notebooks.parameters(path)
    bad = [("datasett", "adult", "has no parameter 'datasett'.*its parameters are: ")]
    bad += [(p.name, object(), rf"{p.name} must be {re.escape(p.type)}, not object") for p in declared]
    bad += [(p.name, "1", rf"{p.name} must be {re.escape(p.type)}, not str") for p in declared if p.type != "str"]
    for p in declared:
        if ends := RANGE.search(p.help):
            low, high = (float(end) for end in ends.groups())
            for beyond in (low - 1, high + 1):
                number = beyond if "float" in p.type else int(beyond)
                value = [number] if p.type.startswith("list") else {"x": number} if p.type.startswith("dict") else number
                bad.append((p.name, value, rf"{p.name}(\[(0|'x')\])? is \S+, out of its range"))
    for key, value, reason in bad:
        with pytest.raises(InputError, match=reason) as refused:
            notebooks.execute(path, tmp_path / "copy.ipynb", {key: value})
        assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


# The suite, run -------------------------------------------------------------------------------------------------------------


@pytest.mark.notebooks
@EACH_OF_SUITE
def test_a_notebook_runs_with_its_defaults(name, run, record_property):
    """Opened and run, every notebook goes through without an error or a warning, and shows each figure that it draws."""
    execution, copy = run(notebooks.path(name))
    record_property("seconds", round(execution.seconds, 1))
    print(f"{name}: {execution.seconds:.1f} s")  # noqa: T201 - the time is reported, not judged: the machine may be busy
    assert execution.error is None
    assert execution.ok
    assert kinds_of_outputs(copy) <= {"stdout", "display_data", "execute_result"}
    for cell in cells_of(copy):
        if cell.cell_type == "code" and (drawn := len(FIGURES.findall(cell.source))):
            shown = "".join(str(output.get("data", {}).get("text/html", "")) for output in cell.outputs)
            assert len(re.findall(r'<svg [^>]*role="img" aria-label="[^"]+"', shown)) >= drawn
    assert "nan" not in re.findall(r"[a-z]+", said(copy).lower())


@pytest.mark.notebooks
def test_what_was_trained_once_is_not_trained_again(lab, run):
    """Run a second time, a notebook finds every unit that it needs and makes none."""
    parts = lab / "lab" / "parts"
    run(notebooks.path("02_build_ensembles"))
    before = {p.name: p.stat().st_mtime_ns for p in parts.iterdir()}
    execution, copy = run(notebooks.path("02_build_ensembles"))
    assert execution.ok
    assert {p.name: p.stat().st_mtime_ns for p in parts.iterdir()} == before
    assert "stdout" not in kinds_of_outputs(copy)


def papermill_cli(source, target, lab, cwd, *options):
    """Run plain papermill in a process of its own."""
    command = [sys.executable, "-m", "papermill", str(source), str(target), *options]
    environment = {**os.environ, "SHIPWORTHY_OUTPUTS": str(lab), "PYTHONUTF8": "1"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=600, check=False
    )


@pytest.mark.notebooks
def test_a_notebook_runs_under_plain_papermill_from_anywhere(lab, tmp_path):
    """With papermill's own command, from another folder, the parameters arrive and the figures come out."""
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    options = ("-p", "dataset", "breast_cancer", "-p", "seed", "1", "-y", "candidates: [prior, decision_tree]")
    done = papermill_cli(notebooks.path("03_compare_accuracy"), "executed.ipynb", lab, elsewhere, *options)
    assert done.returncode == 0, done.stderr
    assert "unknown parameter" not in done.stderr
    cells = cells_of(elsewhere / "executed.ipynb")
    (injected,) = (c.source for c in cells if "injected-parameters" in c.metadata.get("tags", []))
    assert "seed = 1" in injected
    assert kinds_of_outputs(elsewhere / "executed.ipynb") <= {"stdout", "display_data", "execute_result"}
    assert 'role="img" aria-label="breast_cancer: decision_tree scores highest' in said(elsewhere / "executed.ipynb")
    assert [p.name for p in elsewhere.iterdir()] == ["executed.ipynb"]
    made = [p.name for p in (lab / "lab" / "parts").iterdir() if "breast_cancer-s1-" in p.name]
    assert {name.split("-")[3] for name in made} == {"prior", "decision_tree"}


def assert_stopped_at_once(copy, reason):
    """The first code cell after the parameters failed for this reason, and nothing after it ran."""
    code = [c for c in cells_of(copy) if c.cell_type == "code"]
    injected = next(i for i, c in enumerate(code) if "injected-parameters" in c.metadata.get("tags", []))
    failed = [i for i, c in enumerate(code) if any(o.output_type == "error" for o in c.outputs)]
    assert failed == [injected + 1]
    (error,) = code[injected + 1].outputs
    assert error.ename == "InputError"
    assert re.search(reason, error.evalue)
    assert not any(c.outputs for c in code[injected + 2 :])


@pytest.mark.notebooks
def test_plain_papermill_stops_in_the_first_cell_at_a_name_that_is_none(tmp_path):
    """Papermill checks no name: the cell after the parameters does, before any work, and lists the names that exist."""
    outputs = tmp_path / "outputs"
    source = notebooks.path("03_compare_accuracy")
    done = papermill_cli(source, tmp_path / "executed.ipynb", outputs, tmp_path, "-p", "dataset", "nope")
    assert done.returncode != 0
    assert_stopped_at_once(tmp_path / "executed.ipynb", "there is no data set 'nope'; choose from breast_cancer, digits")
    assert not outputs.exists() or not list((outputs / "lab" / "parts").iterdir())


@pytest.mark.notebooks
@pytest.mark.parametrize("name", SUITE)
def test_a_data_set_that_does_not_exist_stops_every_notebook_at_once(name, tmp_path):
    """In every notebook the cell after the parameters refuses a data set that does not exist, before anything is made."""
    declared = {p.name for p in notebooks.parameters(notebooks.path(name))}
    values = {"dataset": "nope"} if "dataset" in declared else {"datasets": ["nope"]}
    target, outputs = tmp_path / "executed.ipynb", tmp_path / "outputs"
    execution = notebooks.execute(notebooks.path(name), target, values, environment={"SHIPWORTHY_OUTPUTS": str(outputs)})
    assert execution.error.ename == "InputError"
    assert_stopped_at_once(target, "there is no data set 'nope'; choose from breast_cancer, digits")
    assert not outputs.exists() or not list((outputs / "lab" / "parts").iterdir())


@pytest.mark.notebooks
@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda p: p.stem)
def test_an_exercise_refuses_at_once_what_its_parameters_do_not_admit(exercise, tmp_path):
    """Under plain papermill an exercise stops in its first cell at a name, a number or a candidate that cannot be."""
    for number, (name, value, reason) in enumerate(
        [
            ("querys", "700", "has no parameter 'querys'"),
            ("queries", "5", "out of its range"),
            ("candidate", "nope", "no candidate"),
        ]
    ):
        target = tmp_path / f"{number}.ipynb"
        done = papermill_cli(exercise, target, tmp_path / "outputs", tmp_path, "-p", name, value)
        assert done.returncode != 0
        assert_stopped_at_once(target, reason)
    assert not list((tmp_path / "outputs").glob("lab/parts/*"))


GUESSES = [
    (
        "06_stakeholders",
        {"guess_compromise": "nope"},
        "guess_compromise names 'nope', which is none of prior, logistic_regression",
    ),
    (
        "06_stakeholders",
        {"guess_disagree": "research"},
        "guess_disagree names 'research', which is none of ML engineering, sales",
    ),
    ("06_stakeholders", {"legal": {"brier": 0.7}}, "stakeholder 'legal': the weights sum to 0.7, not to 1"),
    ("feasibility_report", {"guess_ships": ["nope"]}, "guess_ships names 'nope', which is none of logistic_regression"),
]


@pytest.mark.notebooks
@pytest.mark.parametrize(("name", "values", "reason"), GUESSES)
def test_a_guess_that_could_never_be_right_stops_a_notebook_before_it_measures(name, values, reason, tmp_path):
    """A guess, or a weight, that cannot be is refused in the cell after the parameters, not after minutes of measuring."""
    target, outputs = tmp_path / "executed.ipynb", tmp_path / "outputs"
    notebooks.execute(notebooks.path(name), target, values, environment={"SHIPWORTHY_OUTPUTS": str(outputs)})
    assert_stopped_at_once(target, reason)
    assert not list((outputs / "lab" / "parts").iterdir())


@pytest.mark.notebooks
def test_a_guess_is_scored_where_the_answer_is_shown(run):
    """Guessed right or wrong, each notebook says so below its answer."""
    _, copy = run(notebooks.path("06_stakeholders"), guess_compromise="prior", guess_disagree="sales")
    assert "compromise: breast_cancer: You guessed prior; the answer is " in said(copy)
    assert "furthest: breast_cancer: You guessed sales" in said(copy)
    _, copy = run(notebooks.path("feasibility_report"), guess_ships=["nothing"])
    assert re.search(r"breast_cancer: You guessed nothing; the answer is .+\. Right: \d of 2\.", said(copy))


# The workshop, without a kernel ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda p: p.stem)
def test_the_exercise_is_what_its_solution_says(solution):
    """The committed exercise is, byte for byte, the one derived from its solution, and it holds no answer."""
    exercise = solution.parents[1] / "exercises" / solution.name
    assert exercise.read_bytes() == notebooks.derive_exercise(solution).encode()
    answers = [c.source for c in cells_of(solution) if "solution" in c.metadata.get("tags", [])]
    sources = [c.source for c in cells_of(exercise)]
    assert answers
    assert not set(answers) & set(sources)


def test_there_is_an_exercise_for_every_solution_and_no_other():
    """Exercises and solutions come in pairs."""
    assert [p.name for p in EXERCISES] == [p.name for p in SOLUTIONS]


CHECKS = {
    "share": lambda answer: workshop.check_share_slower_than_mean(answer, WAITS),
    "p90": lambda answer: workshop.check_p90(answer, WAITS),
    "page": workshop.check_page_meets_tail,
    "tail": lambda answer: workshop.check_tail_factor(answer, TAILED),
}
P50, P99 = (float(np.percentile(TAILED, q, method="inverted_cdf")) for q in (50, 99))
RIGHT = {"share": 0.1, "p90": 110.0, "page": 1 - 0.99**100, "tail": P99 / P50}
WRONG = {
    "share": {
        0.9: "the share that was faster",
        1: "That is a count",
        10: "in percent",
        -0.5: "lies between 0 and 1",
        0.5: "too large",
        0.05: "too small",
    },
    "p90": {
        3000: "the slowest of all",
        float(np.percentile(WAITS, 90)): "lies between two waits",
        90: "That is the p10",
        104: "One place too low",
        500: "too large",
        50: "too small",
    },
    "page": {
        0.99**100: "no answer is slow",
        1.0: "counts pages twice",
        0.01: "the chance for one answer",
        100 * RIGHT["page"]: "in percent",
        0.7: "too large",
        0.5: "too small",
    },
    "tail": {
        P99: "the p99 itself",
        P50 / P99: "Upside down",
        P99 / float(TAILED.mean()): "divided by the mean",
        float(TAILED.max()) / P50: "the slowest of all over the median",
        1000: "too large",
        0.01: "too small",
    },
}
NONE_AT_ALL = {"dots": ..., "text": "fast", "nothing": None, "list": [1], "nan": math.nan, "infinity": -math.inf}


def hint_for(exercise, answer):
    """What a wrong attempt is told."""
    with pytest.raises(workshop.NotYetError) as wrong:
        CHECKS[exercise](answer)
    return str(wrong.value)


@pytest.mark.parametrize(("exercise", "answer"), [(e, a) for e, wrong in WRONG.items() for a in wrong])
def test_a_wrong_answer_gets_the_hint_for_its_mistake(exercise, answer):
    """Each well-known mistake is answered by its own hint, as a whole sentence."""
    hint = hint_for(exercise, answer)
    assert WRONG[exercise][answer] in hint
    assert hint.endswith((".", "?"))


@pytest.mark.parametrize("exercise", CHECKS)
def test_no_two_mistakes_share_a_hint_and_none_gives_the_answer(exercise):
    """The hints of an exercise all differ, and none holds the digits of the right answer."""
    hints = [hint_for(exercise, answer) for answer in (*WRONG[exercise], *NONE_AT_ALL.values())]
    assert len({re.sub(r"^\S+ is ", "", hint) for hint in hints}) >= len(WRONG[exercise]) + 3
    right = RIGHT[exercise]
    spelt = {f"{right:g}", f"{right:.1f}", f"{right:.2f}", f"{right:.3f}", f"{100 * right:.0f} %"}
    for hint in hints:
        assert not spelt & set(re.findall(r"\d+(?:\.\d+)?(?: %)?", hint))


@pytest.mark.parametrize("exercise", CHECKS)
@pytest.mark.parametrize(("what", "answer"), NONE_AT_ALL.items(), ids=NONE_AT_ALL)
def test_what_is_no_number_is_told_so(exercise, what, answer):
    """Dots, text, nothing and infinities are told what an answer looks like."""
    expected = {"dots": "Replace the three dots", "nan": "finite number", "infinity": "finite number"}
    assert expected.get(what, f"The answer is one number, not {type(answer).__name__}") in hint_for(exercise, answer)


@pytest.mark.parametrize("exercise", CHECKS)
@pytest.mark.parametrize("kind", [float, np.float64, np.float32, np.array], ids=["float", "float64", "float32", "0-d array"])
def test_a_right_answer_is_accepted_whatever_number_it_is(exercise, kind):
    """Python's and NumPy's numbers are right alike, and so is a value rounded to three digits; the answer says what it means."""
    for answer in (kind(RIGHT[exercise]), kind(f"{RIGHT[exercise]:.4g}")) if kind is not np.array else (kind(RIGHT[exercise]),):
        assert re.fullmatch(r"Right\. .+\.", CHECKS[exercise](answer))


def test_interpolated_percentiles_are_right_where_the_idea_counts():
    """NumPy's default percentiles lie between two waits; for the factor between them that is close enough."""
    assert CHECKS["tail"](np.percentile(TAILED, 99) / np.median(TAILED)).startswith("Right.")


# The workshop, run ----------------------------------------------------------------------------------------------------------


@pytest.mark.notebooks
@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda p: p.stem)
def test_the_solution_runs_green(solution, run):
    """With the authored answers every check says that it is right."""
    execution, copy = run(solution)
    assert execution.error is None
    checks = [c for c in cells_of(copy) if "check" in c.metadata.get("tags", [])]
    assert checks
    assert all("Right." in str(c.outputs) for c in checks)


@pytest.mark.notebooks
@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda p: p.stem)
def test_the_unsolved_exercise_stops_at_its_first_check_with_a_hint(exercise, run):
    """Run as it is, an exercise stops at the first check; the reader sees the hint and no traceback."""
    execution, copy = run(exercise)
    assert execution.error.ename == "NotYetError"
    assert_hint(copy, "Not yet. Replace the three dots by your answer, and run the cell again.", check=0)


def assert_hint(copy, hint, *, check):
    """The check of this number failed and shows this hint alone; those before it passed, and those after it did not run."""
    checks = [c for c in cells_of(copy) if "check" in c.metadata.get("tags", [])]
    assert all("Right." in str(c.outputs) for c in checks[:check])
    (error,) = checks[check].outputs
    assert error.traceback == [hint]
    assert not any(c.outputs for c in checks[check + 1 :])
    assert "Traceback" not in said(copy)


@pytest.mark.notebooks
def test_a_wrong_attempt_shows_its_hint_in_the_notebook(run, tmp_path):
    """Someone who solves the first exercise and interpolates in the second sees the hint for that mistake under the check."""
    attempt = nbformat.read(EXERCISES[0], as_version=4)
    own = [c for c in attempt.cells if "exercise" in c.metadata.get("tags", [])]
    own[0].source = "share_slower = (waits_ms > waits_ms.mean()).mean()"
    own[1].source = "p90_ms = np.percentile(waits_ms, 90)"
    path = tmp_path / "attempt.ipynb"
    path.write_text(json.dumps(attempt), encoding="utf-8")
    execution, copy = run(Path(path))
    hint = "That lies between two waits: nobody had it. NumPy interpolates; ask it for method='inverted_cdf'."
    assert (execution.error.ename, execution.error.evalue) == ("NotYetError", hint)
    assert_hint(copy, f"Not yet. {hint}", check=1)
