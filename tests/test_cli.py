"""The command: what it prints, what it writes, and with which exit code it ends. No study is run here."""
# ruff: noqa: E501 - a table of cases reads best with a case a line

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from shipworthy import candidates, cli, datasets, notebooks
from shipworthy.study import doctor, open_run, read_study, template
from shipworthy.study.schema import as_yaml

COMMAND = [sys.executable, "-c", "from shipworthy.cli import main; main()"]


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Call the command in this process, in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SHIPWORTHY_OUTPUTS", raising=False)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["shipworthy", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def assert_refused(answer, *words):
    """Exit code 2 and one sentence on stderr."""
    code, out, err = answer
    assert code == 2, answer
    assert err.startswith("shipworthy: ")
    assert err.count("\n") == 1
    assert "Traceback" not in out + err
    for word in words:
        assert word in err, err


def everything_in(folder):
    """Every path below a folder."""
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*"))


def bad_study(folder, old="folds: 5", new="folds: 1"):
    """A study file with one thing wrong."""
    path = Path(folder) / "bad.yaml"
    text = template("bad.yaml")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


# -- through a process -------------------------------------------------------------------------------------------------


def in_a_process(*arguments, cwd, **environment):
    """The command in a process of its own."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
        timeout=120,
    )


def test_bad_input_ends_a_process_with_two_and_one_sentence(tmp_path):
    """A process that is given a bad study exits with 2, prints one sentence on stderr, nothing else, and writes nothing."""
    path = bad_study(tmp_path)
    ended = in_a_process("run", str(path), cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(r"shipworthy: .*bad\.yaml, line \d+: training\.folds .*\n", ended.stderr)
    assert everything_in(tmp_path) == ["bad.yaml"]


def test_the_installed_command_and_the_module_are_the_same(tmp_path):
    """The script that pip installs prints the same help as the module that it calls."""
    script = shutil.which("shipworthy", path=str(Path(sys.executable).parent))
    assert script, "pip installs a command"
    ended = subprocess.run([script, "--help"], capture_output=True, text=True, cwd=tmp_path, check=False, timeout=120)
    assert ended.returncode == 0
    assert all(name in ended.stdout for name in ("run", "report", "list", "new", "doctor", "lab"))
    assert "tidy" not in ended.stdout, "what only developers need is not shown"


def test_help_imports_nothing_heavy(tmp_path):
    """Printing the help imports none of the heavy libraries, so that it is there at once."""
    code = (
        "import sys; sys.argv = ['shipworthy', '--help']\n"
        "from shipworthy.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'sklearn', 'pandas', 'numpy', 'scipy', 'matplotlib', 'xgboost', 'pydantic', 'papermill', 'IPython'}\n"
        "print('HEAVY', sorted((heavy - {'numpy', 'pydantic'}) & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False, timeout=120)
    assert "HEAVY []" in ended.stdout, ended.stdout + ended.stderr


# -- help and usage ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["", "run", "report", "list", "new", "doctor", "lab"])
def test_every_command_explains_itself(command, which):
    """--help of each command exits with 0 and has a sentence about it."""
    code, out, err = command(*([which] if which else []), "--help")
    assert (code, err) == (0, "")
    assert "Usage:" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], ["'nothing'", "`shipworthy --help`"]),
        (["--nothing"], ["--nothing", "`shipworthy --help`"]),
        (["run", "--nothing"], ["--nothing", "`shipworthy run --help`"]),
        (["run", "quick", "slow"], ["slow", "`shipworthy run --help`"]),
        (["run", "quick", "--workers"], ["--workers"]),
        (["run", "quick", "--workers", "two"], ["--workers", "integer"]),
        (["list"], ["datasets", "studies", "`shipworthy list --help`"]),
        (["list", "nothing"], ["'nothing'", "studies"]),
        (["report"], ["`shipworthy report --help`"]),
        (["new"], ["`shipworthy new --help`"]),
    ],
)
def test_wrong_usage_is_one_sentence_and_two(command, tmp_path, arguments, words):
    """A command, option or argument that is not there, missing or of the wrong type is one sentence; nothing is written."""
    assert_refused(command(*arguments), *words)
    assert everything_in(tmp_path) == []


def test_no_command_at_all_shows_the_help(command):
    """Who asks for nothing is shown what there is to ask for."""
    code, out, err = command()
    assert code == 2
    assert "Usage:" in out + err
    assert "doctor" in out + err


def test_an_unknown_list_names_those_that_exist(command):
    """Asked to list what there is no list of, the command names the lists."""
    _, _, err = command("list", "models")
    assert all(name in err for name in ("datasets", "candidates", "notebooks", "studies"))


# -- run: nothing is started for bad input ----------------------------------------------------------------------------


def test_an_unknown_study_is_refused_before_anything_is_written(command, tmp_path):
    """An unknown study names the built-in ones and makes no folder."""
    assert_refused(command("run", "quik"), "quick, full", "did you mean quick?")
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("datasets: [breast_cancer]", "datasets: [titanic]", ["titanic", "breast_cancer", "adult", "flights"]),
        ("  - random_forest", "  - catboost", ["catboost", "random_forest", "xgboost"]),
        ("folds: 5", "fold: 5", ["training.fold"]),
        ("seeds: [0]", "seeds: [0", ["YAML"]),
        ("sweep: {}", "sweep: {fold: [1]}", ["folds", "max_train_rows"]),
    ],
)
def test_a_bad_study_is_refused_before_anything_is_written(command, tmp_path, old, new, words):
    """A study file with a bad name, field, value or syntax is refused with its line, and makes no folder."""
    path = bad_study(tmp_path, old, new)
    assert_refused(command("run", path), "bad.yaml, line ", *words)
    assert everything_in(tmp_path) == ["bad.yaml"]


def test_too_few_rows_are_refused_before_anything_is_written(command, tmp_path):
    """Rows that a data set cannot be split into are refused with the file, the data set and the field, and no folder is made."""
    path = bad_study(tmp_path, "max_train_rows: 0 ", "max_train_rows: 3 ")
    assert_refused(command("run", path), "bad.yaml: on breast_cancer, seed 0: max_train_rows: 3 rows", "ask for more rows")
    assert everything_in(tmp_path) == ["bad.yaml"]


def test_fewer_than_no_workers_are_refused(command, tmp_path):
    """A count of workers below 0 is refused."""
    assert_refused(command("run", "quick", "--workers", "-1"), "--workers")
    assert everything_in(tmp_path) == []


def test_a_file_in_the_place_of_the_outputs_is_refused(command, tmp_path):
    """Where the outputs folder is a file, the command says so, and leaves the file as it was."""
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    assert_refused(command("run", "quick", "--outputs", tmp_path / "taken"), "taken", "cannot be written", "--outputs")
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"


def test_a_file_in_the_place_of_the_studys_folder_is_refused(command, tmp_path):
    """Where the study's folder is a file, the command says so, and leaves the file as it was."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "quick").write_text("mine", encoding="utf-8")
    assert_refused(command("run", "quick", "--outputs", tmp_path / "out"), "quick", "cannot be written")
    assert everything_in(tmp_path) == ["out", "out/quick"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is where even root cannot write, and only Linux has it")
def test_a_folder_that_cannot_be_made_is_refused(command, tmp_path, monkeypatch):
    """An outputs folder where nothing can be written is refused, given as an option or in the environment."""
    assert_refused(command("run", "quick", "--outputs", "/proc/shipworthy"), "/proc/shipworthy", "cannot be written")
    monkeypatch.setenv("SHIPWORTHY_OUTPUTS", "/proc/shipworthy")
    assert_refused(command("run", "quick"), "/proc/shipworthy", "cannot be written")
    assert everything_in(tmp_path) == []


# -- report ------------------------------------------------------------------------------------------------------------


def test_a_report_of_nothing_is_refused(command, tmp_path):
    """`report` on a path that is not there, a file, or a folder that is no run, says what a run folder looks like."""
    (tmp_path / "file.txt").write_text("x", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    assert_refused(command("report", "nowhere"), "nowhere", "outputs/quick/latest")
    assert_refused(command("report", "x" * 5000), "no such folder", "outputs/quick/latest")
    assert_refused(command("report", "file.txt"), "file.txt", "outputs/quick/latest")
    assert_refused(command("report", "empty"), "empty", "study.yaml", "outputs/quick/latest")
    assert everything_in(tmp_path) == ["empty", "file.txt"]


@pytest.fixture
def bare_run(tmp_path):
    """A run folder by hand: a study, an environment, verdicts and a ledger that hold nothing, and no tables."""
    import pandas as pd

    from shipworthy.experiments.assessment import SAMPLE_COLUMNS
    from shipworthy.records import Record

    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "study.yaml").write_text(as_yaml(read_study("quick")), encoding="utf-8")
    (folder / "environment.json").write_text(json.dumps({"machine": {}, "versions": {}}), encoding="utf-8")
    nothing = {"verdicts": [], "requirements": [], "picks": [], "missing": ["Nothing was run."]}
    (folder / "verdicts.json").write_text(json.dumps(nothing), encoding="utf-8")
    (folder / "stakeholders.json").write_text('{"hearings": []}', encoding="utf-8")
    pd.DataFrame(columns=["study", *Record.__slots__]).to_parquet(folder / "records.parquet")
    pd.DataFrame(columns=list(SAMPLE_COLUMNS)).to_parquet(folder / "samples.parquet")
    return folder


def put(name, held):
    """Replace a file by other bytes; nothing for taking it away."""

    def damage(folder):
        path = folder / name
        path.unlink(missing_ok=True)
        if held is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(held)

    return damage


def other_table(name):
    """A table of other columns in the place of ours."""

    def damage(folder):
        import pandas as pd

        pd.DataFrame({"a": [1]}).to_parquet(folder / name)

    return damage


def other_ledger(folder):
    """A database, but of something else."""
    connection = sqlite3.connect(folder / "ledger.sqlite")
    connection.execute("create table songs (title text)")
    connection.close()


def truncated(name):
    """The first half of a file."""

    def damage(folder):
        held = (folder / name).read_bytes()
        (folder / name).write_bytes(held[: len(held) // 2])

    return damage


ONE_BAD_VERDICT = b'{"verdicts": [{"a": 1}], "requirements": [], "picks": [], "missing": []}'
DAMAGES = {
    "study.yaml is cut short": (truncated("study.yaml"), "study.yaml"),
    "study.yaml is garbage": (put("study.yaml", b"garbage"), "study.yaml"),
    "study.yaml is binary": (put("study.yaml", b"\xff\xfe\x00"), "study.yaml"),
    "study.yaml is of an unknown data set": (put("study.yaml", as_yaml(read_study("quick")).replace("adult", "adlt").encode()), "study.yaml"),
    "verdicts.json is gone": (put("verdicts.json", None), "verdicts.json"),
    "verdicts.json is cut short": (truncated("verdicts.json"), "verdicts.json"),
    "verdicts.json is garbage": (put("verdicts.json", b"garbage"), "verdicts.json"),
    "verdicts.json is binary": (put("verdicts.json", b"\xff\xfe\x00"), "verdicts.json"),
    "verdicts.json is a list": (put("verdicts.json", b"[]"), "verdicts.json"),
    "verdicts.json lacks its fields": (put("verdicts.json", b"{}"), "verdicts.json"),
    "verdicts.json holds other verdicts": (put("verdicts.json", ONE_BAD_VERDICT), "verdicts.json"),
    "stakeholders.json is gone": (put("stakeholders.json", None), "stakeholders.json"),
    "stakeholders.json is cut short": (truncated("stakeholders.json"), "stakeholders.json"),
    "stakeholders.json is binary": (put("stakeholders.json", b"\xff\xfe\x00"), "stakeholders.json"),
    "stakeholders.json holds other hearings": (put("stakeholders.json", b'{"hearings": [{}]}'), "stakeholders.json"),
    "verdicts.json holds other picks": (put("verdicts.json", b'{"verdicts": [], "requirements": [], "picks": [{}], "missing": []}'), "verdicts.json"),
    "environment.json is gone": (put("environment.json", None), "environment.json"),
    "environment.json is garbage": (put("environment.json", b"garbage"), "environment.json"),
    "environment.json is a list": (put("environment.json", b"[]"), "environment.json"),
    "records.parquet is gone": (put("records.parquet", None), "records.parquet"),
    "records.parquet is cut short": (truncated("records.parquet"), "records.parquet"),
    "records.parquet is empty": (put("records.parquet", b""), "records.parquet"),
    "records.parquet is another table": (other_table("records.parquet"), "records.parquet"),
    "samples.parquet is garbage": (put("samples.parquet", b"garbage"), "samples.parquet"),
    "samples.parquet is another table": (other_table("samples.parquet"), "samples.parquet"),
    "ledger.sqlite is garbage": (put("ledger.sqlite", b"garbage"), "ledger.sqlite"),
    "ledger.sqlite is another database": (other_ledger, "ledger.sqlite"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_run_folder_is_refused_by_the_file(command, bare_run, case):
    """`report` on a run folder with a damaged file says which in one sentence, and writes no report."""
    damage, file = DAMAGES[case]
    damage(bare_run)
    assert_refused(command("report", bare_run), file)
    assert not (bare_run / "report.html").exists()


def test_a_run_folder_that_is_whole_but_empty_has_a_report(command, bare_run):
    """The folder that the damages above are done to has a report before them, which says what is missing."""
    code, out, err = command("report", bare_run)
    assert (code, err) == (0, "")
    assert "report.html" in out
    assert "Nothing was run." in (bare_run / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("pointer", ["20260301T120000Z-1a2b3c4d\n", "../../elsewhere\n", "", "20260301T120000Z-00000000\n"])
def test_latest_is_followed_where_links_are_not_allowed(command, bare_run, tmp_path, pointer):
    """A path that ends in `latest` opens the run that latest.txt names, and nothing that is no run folder beside it."""
    study = tmp_path / "quick"
    bare_run.rename(tmp_path / "elsewhere")
    shutil.copytree(tmp_path / "elsewhere", study / "20260301T120000Z-1a2b3c4d")
    (study / "latest.txt").write_text(pointer, encoding="utf-8")
    if pointer.startswith("20260301T120000Z-1a2b3c4d"):
        assert open_run(study / "latest").folder.name == "20260301T120000Z-1a2b3c4d"
        assert command("report", study / "latest")[0] == 0
    else:
        assert_refused(command("report", study / "latest"), "latest", "no such folder")


# -- list, new, doctor -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("datasets", datasets.names),
        ("candidates", candidates.names),
        ("notebooks", notebooks.names),
        ("studies", lambda: ("quick", "full", "full_multiclass", "full_regression")),
    ],
)
def test_lists_name_everything_with_a_sentence(command, what, names):
    """`list` prints every name once, each on a line of its own with a sentence."""
    code, out, err = command("list", what)
    assert (code, err) == (0, "")
    lines = [line.split(None, 1) for line in out.splitlines()]
    assert [line[0] for line in lines] == list(names())
    assert all(len(line) == 2 and len(line[1]) > 20 for line in lines)


def test_the_list_of_candidates_names_the_members_of_a_vote(command):
    """Whoever picks a vote is told which models it brings, and who predicts classes or numbers alone."""
    _, out, _ = command("list", "candidates")
    lines = dict(line.split(None, 1) for line in out.splitlines())
    for name in ("soft_vote", "stack", "two_layer_stack"):
        assert (
            "Of logistic_regression, random_forest and xgboost; of a number, of ridge, random_forest and xgboost." in lines[name]
        )
    assert {n for n, s in lines.items() if "classes only" in s} == {"logistic_regression", "naive_bayes"}
    assert {n for n, s in lines.items() if "numbers only" in s} == {"ridge"}


def test_new_writes_a_study_that_can_be_run(command, tmp_path):
    """`new` writes a commented study that parses, and says how to run it."""
    code, out, err = command("new", "my.yaml")
    assert (code, err) == (0, "")
    assert "shipworthy run my.yaml" in out
    text = (tmp_path / "my.yaml").read_text(encoding="utf-8")
    assert text.count("#") > 15
    assert read_study(str(tmp_path / "my.yaml")).datasets == ("breast_cancer",)
    assert yaml.safe_load(text)["name"] == "my_study"


def test_new_overwrites_nothing(command, tmp_path):
    """`new` refuses a file that is there already, and leaves it as it was."""
    (tmp_path / "my.yaml").write_text("mine", encoding="utf-8")
    assert_refused(command("new", "my.yaml"), "my.yaml", "nothing was overwritten")
    assert (tmp_path / "my.yaml").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("name", "word"), [("my.txt", ".yaml"), ("my", ".yaml"), (".yaml", ".yaml"), ("nowhere/my.yaml", "another place")]
)
def test_new_refuses_a_name_that_it_cannot_write(command, tmp_path, name, word):
    """`new` refuses a wrong ending or a folder that is not there, and writes nothing."""
    assert_refused(command("new", name), name, word)
    assert everything_in(tmp_path) == []


def test_doctor_finds_nothing_missing_here(command, tmp_path):
    """`doctor` exits with 0 where everything is installed, and tells cores, timer, versions, outputs and every data set."""
    code, out, err = command("doctor")
    assert (code, err) == (0, ""), out
    told = {line[4:].split("  ")[0] for line in out.splitlines()}
    assert {"Python", "usable cores", "timer ns p50", "outputs", "notebooks", "scikit-learn", "papermill", "numpy"} <= told, told
    assert {f"data set {name}" for name in datasets.names()} <= told
    assert not [line for line in out.splitlines() if line.startswith("!!")]
    assert everything_in(tmp_path) == [], "looking writes nothing"


def test_doctor_says_what_is_missing_and_how_to_get_it(command, monkeypatch):
    """`doctor` exits with 1 where something is missing, marks it, and says how to get it."""
    wanted = ["numpy>=2.2", "no-such-package>=1", "pandas>=999", 'only-there>=1; sys_platform == "nowhere"']
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda _name: wanted)
    code, out, _ = command("doctor")
    assert code == 1
    wrong = [line for line in out.splitlines() if line.startswith("!!")]
    assert len(wrong) == 2
    assert all("pip install" in line for line in wrong)
    assert "no-such-package" in wrong[0]
    assert "is not >=999" in wrong[1]


def test_doctor_says_when_outputs_cannot_be_written(command, monkeypatch, tmp_path):
    """`doctor` marks an outputs folder that a study could not write, and says how to choose another."""
    (tmp_path / "taken").write_text("x", encoding="utf-8")
    monkeypatch.setenv("SHIPWORTHY_OUTPUTS", str(tmp_path / "taken"))
    code, out, _ = command("doctor")
    line = next(line for line in out.splitlines() if line[4:].startswith("outputs"))
    assert code == 1
    assert line.startswith("!!")
    assert "SHIPWORTHY_OUTPUTS" in line


# -- run: what its last lines say --------------------------------------------------------------------------------------


def test_a_reason_may_be_how_another_begins_or_hide_in_a_word():
    """Only a whole reason that was given above is not given again; where its letters stand in something else, they stay."""
    no, short, longer = "No", "ValueError: no room", "ValueError: no room, for 3 MiB are free"
    empty, two_lines = "ValueError: ", "KeyError: 'a'\nin line 2"
    sentences = [
        f"note: a failed: {no}",
        "note: Nobody is not there: Now or never, and a No more.",
        f"note: b failed: {empty}",
        f"note: c failed: {short}.",
        f"note: d failed: {longer}",
        f"note: e failed: {two_lines}",
        f"failed: notebook 1: train a: {no}; train b: {empty}; train c: {short}; train d: {longer}",
        "failed: notebook 2: train e: KeyError: 'a'",
    ]
    told = cli.each_reason_once(sentences, [no, empty, short, longer, two_lines])
    assert told[:6] == sentences[:6]
    again = "as said above"
    assert told[6] == f"failed: notebook 1: train a: {again}; train b: {again} ; train c: {again}; train d: {again}"
    assert told[7] == f"failed: notebook 2: train e: {again}"
    assert cli.each_reason_once(sentences, ["", " "]) == sentences, "who gave no reason gave none above"


# -- ends --------------------------------------------------------------------------------------------------------------


def test_an_interrupt_is_one_sentence_and_130(command, monkeypatch):
    """Ctrl-C ends with exit code 130 and a sentence that says what is kept."""

    def interrupted(*_arguments, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("shipworthy.study.run_study", interrupted)
    code, out, err = command("run", "quick")
    assert code == 130
    assert "shipworthy: interrupted; what was done is kept" in err
    assert "Traceback" not in out + err
