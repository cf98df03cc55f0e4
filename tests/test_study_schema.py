"""The study file: whatever is wrong with it is one sentence that names file, line, field and remedy. Nothing is run here."""
# ruff: noqa: E501 - a table of cases reads best with a case a line

from __future__ import annotations

import json
import random
import re
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shipworthy import candidates, datasets
from shipworthy.experiments.arms import arms_of
from shipworthy.records import InputError, MeasuringPlan, Prices, Requirement, Study, TrainingPlan
from shipworthy.study.schema import as_yaml, builtin_names, parse_study, read_study, study_digest, template

TEXT = template("my.yaml")


def changed(old, new):
    """The template with one piece of text replaced, which must be there once."""
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new)


def line_of(text, piece):
    """The line, counted from 1, on which a piece of text first stands."""
    return text[: text.index(piece)].count("\n") + 1


def refusal(text):
    """What is said of a study file that cannot be used."""
    with pytest.raises(InputError) as caught:
        parse_study(text, "my.yaml")
    return str(caught.value)


def assert_one_sentence(said):
    """One line, that begins with the file."""
    assert said.startswith("my.yaml")
    assert "\n" not in said
    assert "Traceback" not in said


# (what to replace in the template, by what, a piece of the line that must be named, what the sentence must hold)
REFUSED = {
    "data set that is not there": ("datasets: [breast_cancer]", "datasets: [breast_cancer, adlt]", "[breast_cancer, adlt]", "datasets.1 adlt adult flights breast_cancer"),
    "candidate that is not there": ("  - random_forest", "  - random_forst", "random_forst", "candidates.1 random_forst random_forest xgboost_tuned prior"),
    "field that is not there": ("question:", "qestion: x\nquestion:", "qestion", "qestion remove"),
    "nested field that is not there": ("  folds: 5", "  foldz: 5", "foldz", "training.foldz remove"),
    "field of a requirement that is not there": ("    at_most: 512", "    at_moost: 512", "at_moost", "requirements.1.at_moost remove"),
    "text for a whole number": ("  folds: 5", "  folds: five", "folds: five", "training.folds whole 'five'"),
    "a number in quotes": ("  folds: 5", '  folds: "5"', 'folds: "5"', "training.folds whole '5'"),
    "a fraction for a whole number": ("  folds: 5", "  folds: 5.5", "folds: 5.5", "training.folds whole 5.5"),
    "a truth value for a number": ("  folds: 5", "  folds: true", "folds: true", "training.folds whole True"),
    "nothing for a number": ("  folds: 5", "  folds:", "folds:", "training.folds whole None"),
    "a list for a number": ("  folds: 5", "  folds: [5]", "folds: [5]", "training.folds whole"),
    "NaN for a whole number": ("  folds: 5", "  folds: .nan", "folds: .nan", "training.folds nan"),
    "infinity for a whole number": ("  rounds: 2", "  rounds: .inf", "rounds: .inf", "measuring.rounds inf"),
    "NaN for a number": ("smallest_useful_gain: 0.005", "smallest_useful_gain: .nan", "useful_gain: .nan", "smallest_useful_gain finite nan"),
    "infinity for a number": ("smallest_useful_gain: 0.005", "smallest_useful_gain: .inf", "useful_gain: .inf", "smallest_useful_gain finite inf"),
    "too small a number": ("  folds: 5", "  folds: 1", "folds: 1", "training.folds 2 1"),
    "too large a number": ("  folds: 5", "  folds: 21", "folds: 21", "training.folds 20 21"),
    "a confidence in percent": ("confidence: 0.95", "confidence: 95", "confidence: 95", "confidence 95"),
    "a seed below 0": ("seeds: [0]", "seeds: [0, -1]", "seeds: [0, -1]", "seeds.1 -1"),
    "no seed": ("seeds: [0]", "seeds: []", "seeds: []", "seeds"),
    "one seed without brackets": ("seeds: [0]", "seeds: 0", "seeds: 0", "seeds list"),
    "a seed twice": ("seeds: [0]", "seeds: [1, 1]", "seeds: [1, 1]", "seeds twice"),
    "a data set twice": ("datasets: [breast_cancer]", "datasets: [adult, adult]", "[adult, adult]", "datasets twice"),
    "a candidate twice": ("  - random_forest", "  - xgboost", "candidates:", "candidates twice"),
    "a field twice": ("seeds: [0]", "seeds: [0]\nseeds: [1]", "seeds: [1]", "'seeds' twice"),
    "a nested field twice": ("  folds: 5", "  folds: 5\n  folds: 6", "  folds: 6", "'folds' twice"),
    "a field of a requirement twice": ("    at_most: 512", "    at_most: 512\n    at_most: 64", "at_most: 64", "'at_most' twice"),
    "an alias": ("seeds: [0]", "seeds: &numbers [0]\nother: *numbers", "other:", "alias *name"),
    "a metric that is not there": ("metric: roc_auc", "metric: auc", "metric: auc", "metric 'auc' roc_auc log_loss"),
    "a metric of another task": ("metric: roc_auc", "metric: rmse", "metric: rmse", "metric 'rmse' roc_auc"),
    "a quantity that is not there": ("quantity: latency_ms", "quantity: latency", "name: answers in time", "requirements.0 'latency' latency_ms peak_memory_mib"),
    "both limits": ("    at_most: 512", "    at_most: 512\n    at_least: 1", "name: fits in memory", "requirements.1 at_most at_least one"),
    "no limit": ("    at_most: 512\n", "", "name: fits in memory", "requirements.1 at_most at_least one"),
    "an endless limit": ("    at_most: 512", "    at_most: .inf", "at_most: .inf", "requirements.1.at_most inf"),
    "a limit that is no number": ("    at_most: 512", "    at_most: .nan", "at_most: .nan", "requirements.1.at_most nan"),
    "a statistic that is not there": ("statistic: p99", "statistic: p98", "statistic: p98", "requirements.0.statistic 'p98' 'p99' 'max'"),
    "a scenario that is not there": ("at_least: 100\n    scenario: single_stream", "at_least: 100\n    scenario: fast", "scenario: fast", "requirements.2.scenario 'fast' 'single_stream'"),
    "a limit on an accuracy of another task": ("quantity: peak_memory_mib\n    statistic: max\n    at_most: 512", "quantity: rmse\n    at_most: 512", "quantity: rmse", "requirements.1.quantity 'rmse' binary breast_cancer roc_auc"),
    "a weight of an accuracy of another task": ("stakeholders: []", "stakeholders: [{name: a, weights: {r2: 1}}]", "stakeholders: [", "stakeholders.0.weights.r2 'r2' binary breast_cancer roc_auc"),
    "two limits that contradict each other": ("    at_most: 512", "    at_most: 512\n  - {name: holds a lot, quantity: peak_memory_mib, statistic: max, at_least: 600}", "requirements:", "'fits in memory' 'holds a lot' contradict"),
    "a limit with its unit": ("    at_most: 512", "    at_most: 512 MiB", "at_most: 512 MiB", "requirements.1.at_most '512 MiB' mixes peak_memory_mib MiB number alone"),
    "a quantity in another unit": ("quantity: latency_ms", "quantity: latency_s", "name: answers in time", "requirements.0 'latency_s' mixes units latency_ms ms"),
    "a requirement of another data set": ("    at_most: 512", "    at_most: 512\n    dataset: adult", "dataset: adult", "requirements.1.dataset 'adult' breast_cancer"),
    "a group of milliseconds": ("    statistic: p99", "    group: Female\n    statistic: p99", "name: answers in time", "requirements.0 latency_ms group"),
    "a weight of nothing": ("    at_most: 512", "    at_most: 512\n    weight: 0", "weight: 0", "requirements.1.weight 0"),
    "a tolerable cost of nothing": ("largest_latency_ratio: null", "largest_latency_ratio: 0", "largest_latency_ratio: 0", "largest_latency_ratio 0"),
    "two requirements of one name": ("name: keeps up", "name: fits in memory", "requirements:", "requirements name"),
    "a requirement without a name": ("name: keeps up", "name: ''", "name: ''", "requirements.2.name"),
    "an essay for a name": ("name: keeps up", f"name: {'a' * 300}", "name: aaa", "requirements.2.name 200 characters shorter"),
    "an essay for a question": ("question: Is", f"question: {'Is ' * 1000}", "question: Is", "question 2000 characters shorter"),
    "a stakeholder without a name": ("stakeholders: []", "stakeholders: [{weights: {roc_auc: 1}}]", "stakeholders: [", "stakeholders.0.name missing"),
    "a stakeholder who states nothing": ("stakeholders: []", "stakeholders: [{name: a}]", "stakeholders: [", "stakeholders.0 'a' weights vetoes"),
    "weights that do not sum to 1": ("stakeholders: []", "stakeholders: [{name: a, weights: {roc_auc: 0.9}}]", "stakeholders: [", "stakeholders.0 'a' 0.9 1"),
    "a negative weight": ("stakeholders: []", "stakeholders: [{name: a, weights: {roc_auc: 2, log_loss: -1}}]", "stakeholders: [", "stakeholders.0 'a' log_loss -1"),
    "a weight that is text": ("stakeholders: []", "stakeholders: [{name: a, weights: {roc_auc: all}}]", "stakeholders: [", "stakeholders.0.weights.roc_auc number 'all'"),
    "a weight of what does not exist": ("stakeholders: []", "stakeholders: [{name: a, weights: {auc: 1}}]", "stakeholders: [", "stakeholders.0 'a' 'auc' roc_auc"),
    "weights beside money": ("stakeholders: []", "stakeholders: [{name: a, weights: {roc_auc: 1}, usd_month_per_unit: {latency_ms: 1}}]", "stakeholders: [", "stakeholders.0 'a' mixes usd_month_per_unit one"),
    "two stakeholders of one name": ("stakeholders: []", "stakeholders:\n - {name: a, weights: {roc_auc: 1}}\n - {name: a, weights: {brier: 1}}", " - {name: a, weights: {brier", "stakeholders.1 'a' name"),
    "a veto that nothing can meet": ("stakeholders: []", "stakeholders: [{name: a, vetoes: [{name: v, quantity: roc_auc, at_least: 2}]}]", "stakeholders: [", "stakeholders.0 'a' 'v' above 1"),
    "a veto of what does not exist": ("stakeholders: []", "stakeholders: [{name: a, vetoes: [{name: v, quantity: auc, at_least: 1}]}]", "stakeholders: [", "stakeholders.0 'a' 'v' 'auc' roc_auc"),
    "a field of a stakeholder that is not there": ("stakeholders: []", "stakeholders: [{name: a, wieghts: {roc_auc: 1}}]", "stakeholders: [", "stakeholders.0.wieghts remove"),
    "a sweep of what cannot be swept": ("sweep: {}", "sweep: {datasets: [1]}", "sweep: {d", "sweep datasets list"),
    "a sweep of batch sizes": ("sweep: {}", "sweep: {batch_sizes: [1]}", "sweep: {b", "sweep batch_sizes measuring.batch_sizes"),
    "a swept value out of range": ("sweep: {}", "sweep: {folds: [3, 30]}", "sweep: {f", "sweep folds 20 30"),
    "a swept value of the wrong type": ("sweep: {}", "sweep: {folds: [3, four]}", "sweep: {f", "sweep folds 'four'"),
    "a swept fraction of a fold": ("sweep: {}", "sweep: {folds: [3.5]}", "sweep: {f", "sweep folds 3.5"),
    "a swept NaN": ("sweep: {}", "sweep: {folds: [.nan]}", "sweep: {f", "sweep folds nan"),
    "a sweep without values": ("sweep: {}", "sweep: {folds: []}", "sweep: {f", "sweep folds"),
    "a swept value twice": ("sweep: {}", "sweep: {folds: [3, 3]}", "sweep: {f", "sweep folds twice"),
    "a single swept value without brackets": ("sweep: {}", "sweep: {folds: 3}", "sweep: {f", "sweep.folds list"),
    "a name that climbs": ("name: my_study", "name: ../x", "name: ../x", "name '../x' letters digits"),
    "a name that is this folder": ("name: my_study", "name: '.'", "name: '.'", "name letters digits"),
    "a name with a slash": ("name: my_study", "name: a/b", "name: a/b", "name 'a/b' letters digits"),
    "an empty name": ("name: my_study", "name: ''", "name: ''", "name"),
    "a long name": ("name: my_study", f"name: {'a' * 300}", "name: aaa", "name 64"),
    "a name that is a number": ("name: my_study", "name: 5", "name: 5", "name text"),
    "a negative price": ("vcpu_hour_usd: 0.04048", "vcpu_hour_usd: -1", "vcpu_hour_usd: -1", "prices.vcpu_hour_usd -1"),
    "a missing price": ("  vcpu_hour_usd: 0.04048\n", "", "prices:", "prices.vcpu_hour_usd missing add"),
    "a date that is a number": ('as_of: "2026-03"', "as_of: 2026", "as_of: 2026", "prices.as_of text 2026"),
    "too few queries": ("  queries: 700", "  queries: 19", "queries: 19", "measuring.queries 20 19"),
    "a batch of none": ("  batch_sizes: [64, 4096]", "  batch_sizes:\n    - 64\n    - 0", "- 0", "measuring.batch_sizes.1 0"),
    "a time limit of none": ("  time_limit_s: 120", "  time_limit_s: 0", "time_limit_s: 0", "measuring.time_limit_s 0"),
    "a plain value for a group of fields": ("sweep: {}", "sweep: 5", "sweep: 5", "sweep 5"),
    "a number for a list of votes": ("votes: []", "votes: 1.5", "votes: 1.5", "votes list 1.5"),
    "a number for a list of cascades": ("cascades: []", "cascades: 1.5", "cascades: 1.5", "cascades list 1.5"),
    "a number for a list of estimators": ("estimators: []", "estimators: 1.5", "estimators: 1.5", "estimators list 1.5"),
    "a tab for indentation": ("  folds: 5", "\tfolds: 5", "\tfolds", "YAML mend"),
    "an open bracket": ("seeds: [0]", "seeds: [0", "metric:", "YAML mend"),
    "a tag that would run code": ("seeds: [0]", "seeds: !!python/object/apply:os.getcwd []", "seeds:", "YAML mend"),
    "a colon in text": ("question: Is", "question: Well: is", "question: Well", "YAML colon quotes"),
    "a second document": ("sweep: {}", "sweep: {}\n---\nname: x", "---", "YAML mend"),
    "a key that is a list": ("seeds: [0]", "[a]: 1", "[a]: 1", "YAML mend"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_with_file_line_field_and_remedy(case):
    """Each wrong field is refused in one sentence that names file, line and field and says what would be right."""
    old, new, piece, words = REFUSED[case]
    text = changed(old, new)
    said = refusal(text)
    assert_one_sentence(said)
    assert said.startswith(f"my.yaml, line {line_of(text, piece)}:"), said
    assert [w for w in words.split() if w not in said] == [], said


@pytest.mark.parametrize("field", [f.name for f in fields(Study)])
def test_a_field_without_a_default_must_be_there(field):
    """A study without one of its needed fields is refused by the field's name; any other may be left out."""
    values = yaml.safe_load(TEXT)
    values.pop(field, None)
    text = yaml.safe_dump(values)
    if field in {"name", "question", "datasets", "candidates", "prices"}:
        said = refusal(text)
        assert_one_sentence(said)
        assert f"{field} is missing; add it" in said
    else:
        assert isinstance(parse_study(text, "my.yaml"), Study)


WHOLE_FILES = {
    "nothing": (b"", "is empty"),
    "comments only": (b"# a study\n\n", "is empty"),
    "null": (b"null\n", "is empty"),
    "a list": (b"- name: a\n- b\n", "line 1: a study is a list of `field: value` lines, not a list"),
    "a word": (b"study\n", "line 1: a study is a list of `field: value` lines, not a str"),
    "NUL bytes": (TEXT.encode() + b"\x00\x00", "NUL"),
    "an image": (b"\x89PNG\r\n\x1a\n\x00\x00", "is not text"),
    "UTF-16": (TEXT.encode("utf-16"), "is not text"),
    "Latin-1": (TEXT.replace("my_study", "ma_\xe9tude").encode("latin-1"), "is not text"),
    "a bell": (TEXT.encode() + b"\x07", "is not YAML"),
    "brackets without end": (b"name: " + b"[" * 5000, "YAML cannot read"),
    "a number of ten thousand digits": (b"seeds: [" + b"9" * 10_000 + b"]", "YAML cannot read"),
    "more than a megabyte": (TEXT.encode() + b"#" * 1_000_001, "larger than a megabyte"),
}


@pytest.mark.parametrize("case", WHOLE_FILES)
def test_a_file_that_is_no_study_is_refused_by_name(tmp_path, case):
    """A file that is empty, binary, malformed or no study at all is refused in one sentence that names it."""
    held, words = WHOLE_FILES[case]
    path = tmp_path / "my.yaml"
    path.write_bytes(held)
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        read_study(str(path))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_text_that_no_file_can_hold_is_called_by_its_name():
    """Half a surrogate pair, written as an escape, is refused for what it is, and not as JSON that nobody wrote."""
    said = refusal(changed("question: Is the ensemble worth shipping for us?", 'question: "\\ud800"'))
    assert_one_sentence(said)
    assert "JSON" not in said


def test_a_folder_is_no_study(tmp_path):
    """A folder whose name ends in .yaml is refused in one sentence."""
    (tmp_path / "my.yaml").mkdir()
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_study(str(tmp_path / "my.yaml"))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_offered(tmp_path):
    """A study file that does not exist is refused with the command that makes one."""
    with pytest.raises(InputError, match=r"no such file; `shipworthy new .*my\.yaml`"):
        read_study(str(tmp_path / "my.yaml"))


@pytest.mark.parametrize(
    ("name", "hint"), [("quik", "did you mean quick?"), ("nothing-like-it", "quick, full"), ("", "quick, full")]
)
def test_an_unknown_study_lists_those_that_exist(name, hint):
    """A name that is no study is refused with the names of the built-in ones, and the one that was meant."""
    with pytest.raises(InputError, match=re.escape(hint)) as caught:
        read_study(name)
    assert "quick, full" in str(caught.value)


def test_names_that_exist_are_listed_whole():
    """The refusal of an unknown data set or candidate lists every one that exists."""
    said = refusal(changed("datasets: [breast_cancer]", "datasets: [nothing]"))
    assert all(name in said for name in datasets.names())
    said = refusal(changed("  - random_forest", "  - nothing"))
    assert all(name in said for name in candidates.names())


def test_an_alias_bomb_is_refused_before_it_is_unfolded():
    """Aliases within aliases, which would unfold to a billion values, are refused at once."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    said = refusal("\n".join(levels))
    assert_one_sentence(said)
    assert "alias" in said


def test_a_star_or_an_ampersand_in_a_text_is_no_alias():
    """Only aliases are refused: the same characters within a text or a comment are text."""
    text = changed("question: Is the ensemble worth shipping for us?", 'question: "Is *this* worth it, R&D?"  # *really*')
    assert parse_study(text, "my.yaml").question == "Is *this* worth it, R&D?"


def test_dates_stay_text():
    """A date without quotes is kept as it was written, for YAML's date would lose how it was written."""
    assert parse_study(changed('as_of: "2026-03"', "as_of: 2026-03-01"), "my.yaml").prices.as_of == "2026-03-01"


# -- what is accepted --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", builtin_names())
def test_built_in_studies_can_be_read_and_planned(name):
    """Each built-in study parses, carries its name, has an arm for each data set and seed, and all candidates of its task."""
    study = read_study(name)
    assert study.name == name
    assert len(arms_of(study)) == len(study.datasets) * len(study.seeds)
    (task,) = {datasets.task(d) for d in study.datasets}
    assert set(study.candidates) <= {n for n in candidates.names() if task in candidates.get(n).tasks}


def test_the_full_studies_hold_every_data_set():
    """What `full`, `full_multiclass` and `full_regression` are asked of is, together, every data set once, by five seeds."""
    studies = [read_study(name) for name in builtin_names() if name != "quick"]
    assert sorted(d for study in studies for d in study.datasets) == sorted(datasets.names())
    assert {len(study.seeds) for study in studies} == {5}
    assert set(read_study("quick").datasets) == {"breast_cancer", "adult", "flights"}


def test_quick_declares_what_it_judges_by():
    """The limits of the quick study are those that were declared: gain .005, p99 50 ms, 512 MiB, 100 queries/s, dated prices."""
    study = read_study("quick")
    assert study.smallest_useful_gain == 0.005
    limits = {(r.quantity, r.statistic, r.scenario): (r.at_most, r.at_least) for r in study.requirements}
    assert limits == {
        ("latency_ms", "p99", "single_stream"): (50, None),
        ("peak_memory_mib", "max", "none"): (512, None),
        ("throughput_rows_s", "mean", "single_stream"): (None, 100),
    }
    assert re.fullmatch(r"20\d\d-\d\d", study.prices.as_of)


def test_the_template_keeps_its_promise_that_defaults_are_shown():
    """Every field of the template holds its default, as its first lines promise, unless the field itself says what leaving it out means."""
    shown = parse_study(TEXT, "my.yaml")
    bare = Study(
        name="x",
        question="x",
        datasets=("adult",),
        candidates=("prior",),
        prices=Prices(as_of="", source="", vcpu_hour_usd=0, gib_hour_usd=0),
    )
    assert shown.training == bare.training == TrainingPlan()
    assert shown.measuring == bare.measuring == MeasuringPlan()
    for name in ("seeds", "metric", "smallest_useful_gain", "confidence", "sweep", "traffic_queries_s", "requirements"):
        told = any(line.startswith(f"{name}:") and ("needed" in line or "left out" in line) for line in TEXT.splitlines())
        assert told or getattr(shown, name) == getattr(bare, name), name


def test_the_template_shows_every_field():
    """Whoever edits the template sees each field of a study, of its training and of its measuring."""
    values = yaml.safe_load(TEXT)
    assert set(values) == {f.name for f in fields(Study)}
    assert set(values["training"]) == {f.name for f in fields(TrainingPlan)}
    assert set(values["measuring"]) == {f.name for f in fields(MeasuringPlan)}


def test_the_template_names_its_own_file():
    """The template says how to run it, whatever the file is called, braces and all."""
    assert "shipworthy run odd {name}.yaml" in template("odd {name}.yaml")
    assert parse_study(template("odd {name}.yaml"), "x").name == "my_study"


STUDIES = {
    "quick": lambda: read_study("quick"),
    "full": lambda: read_study("full"),
    "template": lambda: parse_study(TEXT, "my.yaml"),
    "swept": lambda: parse_study(changed("sweep: {}", "sweep: {max_train_rows: [100, 200], time_limit_s: [1.5, 2]}"), "my.yaml"),
    "other letters": lambda: parse_study(
        TEXT.replace("Is the ensemble worth shipping for us?", "'Lohnt es sich, 値打ち? \"b\": #c'"), "x"
    ),
}


@pytest.mark.parametrize("which", STUDIES)
def test_a_resolved_study_reads_back_as_itself(which):
    """What a run folder keeps as study.yaml parses to an equal study with the same digest."""
    study = STUDIES[which]()
    again = parse_study(as_yaml(study), "study.yaml")
    assert again == study
    assert study_digest(again) == study_digest(study)


def variations(value):
    """Values next to a given one."""
    if is_dataclass(value):
        return [replace(value, **{f.name: other}) for f in fields(value) for other in variations(getattr(value, f.name))]
    if isinstance(value, tuple):
        return [(*value, value[0])] + [(other, *value[1:]) for other in variations(value[0])] if value else [("x",)]
    if isinstance(value, dict):
        return [{**value, "folds": (3,)}]
    if isinstance(value, str):
        return [f"{value}x"]
    return [1.0] if value is None else [value + 1]


def test_the_digest_changes_with_any_field():
    """No two studies that differ in one field, however deep, share a digest, but for the time budget; an equal one has the same."""
    study = read_study("quick")
    others = [other for other in variations(study) if other.within_minutes == study.within_minutes]
    assert len(others) > 30
    assert len({study_digest(s) for s in [study, *others]}) == len(others) + 1
    assert study_digest(replace(study)) == study_digest(study)


def test_the_digest_of_a_study_does_not_move():
    """The digest is a function of the study's contents alone: it is the same in every process and version of Python."""
    study = Study(
        name="fixed",
        question="?",
        datasets=("breast_cancer",),
        candidates=("prior",),
        requirements=(Requirement(name="a", quantity="size_mib", at_most=1.0),),
        prices=Prices(as_of="2026-03", source="x", vcpu_hour_usd=0.04, gib_hour_usd=0.004),
    )
    assert study_digest(study) == study_digest(parse_study(as_yaml(study), "x"))
    assert re.fullmatch("[0-9a-f]{8}", study_digest(study))
    assert json.loads(json.dumps(asdict(study)))["name"] == "fixed"


def test_levels_of_a_sweep_are_told_apart():
    """Two values of a sweep never share an arm, however near they are."""
    study = parse_study(changed("sweep: {}", "sweep: {max_train_rows: [1000000, 1000001]}"), "my.yaml")
    arms = arms_of(study)
    assert len({a.key for a in arms}) == len({a.level for a in arms}) == 2


def test_a_sweep_has_an_arm_for_every_combination():
    """The arms of a sweep are the product of data sets, seeds and values, each with its own key."""
    text = changed("sweep: {}", "sweep: {max_train_rows: [100, 200], folds: [3, 4, 5]}").replace("seeds: [0]", "seeds: [0, 7]")
    arms = arms_of(parse_study(text, "my.yaml"))
    assert len(arms) == len({a.key for a in arms}) == 2 * 2 * 3
    assert {(a.training.max_train_rows, a.training.folds) for a in arms} == {(n, f) for n in (100, 200) for f in (3, 4, 5)}


# -- whatever the text ------------------------------------------------------------------------------------------------

PIECES = [
    "[",
    "]",
    "{",
    "}",
    ":",
    "- ",
    "\n",
    "\t",
    "  ",
    "*a",
    "&a ",
    "!!set ",
    "'",
    '"',
    "#",
    "|",
    ">",
    "%",
    "@",
    "`",
    "\x00",
    "\x07",
]
PIECES += [
    "\ud7ff",
    "\ufeff",
    "\x85",
    "é",
    ".nan",
    ".inf",
    "-.inf",
    "null",
    "true",
    "1e309",
    "-1",
    "0x",
    "9" * 30,
    "2026-01-01",
    "<<: ",
    "? ",
    "---\n",
]
PIECES += [
    "...\n",
    "sweep: {folds: [2, 3]}\n",
    "folds: 3\n",
    "name: x\n",
    "\\ud800",
    '"\\ud800"',
    "!!binary aGk=",
    "!!python/none ",
    "12:30:45",
]


@settings(max_examples=200)
@given(
    seed=st.integers(0, 2**32 - 1), changes=st.integers(1, 6), inserted=st.lists(st.sampled_from(PIECES), min_size=6, max_size=6)
)
def test_whatever_the_text_is_it_is_a_study_or_a_sentence(seed, changes, inserted):
    """A mutated study file is still a study, or is refused in one sentence; no other error ever comes out."""
    rng = random.Random(seed)
    lines = [line.split("#")[0].rstrip() for line in TEXT.splitlines()]
    text = "\n".join(line for line in lines if line)
    for piece in inserted[:changes]:
        at, length = rng.randrange(len(text)), rng.choice([0, 0, 1, 1, 3, 12])
        text = text[:at] + rng.choice([piece, piece, ""]) + text[at + length :]
    try:
        study = parse_study(text, "my.yaml")
    except InputError as error:
        assert_one_sentence(str(error))
    else:
        assert isinstance(study, Study)
        assert parse_study(as_yaml(study), "x") == study
        assert arms_of(study)


def test_the_file_named_is_the_file_given(tmp_path):
    """The refusal names the file as the user wrote it, not as we resolved it."""
    path = Path(tmp_path / "odd name.yaml")
    path.write_text("name: 1\n", encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(f"{path}, line 1: ")):
        read_study(str(path))
