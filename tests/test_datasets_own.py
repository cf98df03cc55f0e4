"""Somebody's own file: read as it is meant, split as it is declared, and refused in one sentence where it is no plain table."""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipworthy import candidates, datasets, experiments
from shipworthy.datasets import plain_tables
from shipworthy.experiments.own_files import own_file
from shipworthy.records import DataFile, InputError
from shipworthy.study.launch import run_study
from shipworthy.study.plan import LOAD, plan_study
from shipworthy.study.schema import as_yaml, parse_study, read_study

HOSTILE = "</script><script>alert(1)</script>"


def table(n=200, seed=0):
    """Rows with a column of every sort."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    return pd.DataFrame(
        {
            "who": [f"person {i}" for i in range(n)],
            "day": pd.date_range("2024-01-01", periods=n).strftime("%Y-%m-%d"),
            "shop": rng.choice(["north", "south", "east", "west", "mid", "far", "near"], n),
            "age": age,
            "fee": rng.uniform(1, 9, n).round(3),
            "code": [f"{i % 50:05d}" for i in range(n)],
            "kind": rng.choice(["a", "b"], n),
            "late": np.where(age + rng.normal(0, 20, n) > 50, "yes", "no"),
        }
    )


@pytest.fixture
def save(tmp_path):
    """Writes a table, or text or bytes as they are, and describes the file."""

    def write(content, name="mine.csv", **roles):
        path = tmp_path / name
        if isinstance(content, pd.DataFrame):
            content.to_parquet(path) if name.endswith("parquet") else content.to_csv(path, index=False)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return DataFile(**{"file": str(path), "name": "mine", "target": "late", **roles})

    return write


def test_types_are_guessed_from_all_rows_and_said(save):
    """Whole numbers, numbers, codes with leading zeros, text and dates are told apart, and each is said aloud."""
    data = datasets.load(save(table(), drop=("who",)))
    kinds = {c: str(data.X[c].dtype) for c in data.X}
    assert {c: kinds[c] for c in ("age", "fee")} == {"age": "int64", "fee": "float64"}
    assert set(data.categorical) == {"shop", "code", "kind"}
    said = " ".join(data.guesses)
    for sentence in (
        "The target late has 2 classes (binary, guessed); yes counts as positive",
        "Read as numbers: age, fee.",
        "Read as text: shop, code, kind.",
        "Left out, as dates that the future will not repeat (name one under time to split by it): day.",
        "Left out, as the study says: who.",
    ):
        assert sentence in said
    assert data.X["code"].tolist()[:3] == ["00000", "00001", "00002"]


def test_a_csv_and_a_parquet_file_of_the_same_rows_are_the_same_data(save):
    """Features, target and classes agree cell by cell."""
    one, two = (datasets.load(save(table(), name, drop=("who",))) for name in ("mine.csv", "mine.parquet"))
    pd.testing.assert_frame_equal(one.X.drop(columns="day", errors="ignore"), two.X.drop(columns="day", errors="ignore"))
    assert one.y.tolist() == two.y.tolist()
    assert one.classes == two.classes


def test_the_latest_rows_test_where_there_is_a_time(save):
    """However the file is ordered, training rows come before test rows, whole moments fold together, and time is no feature."""
    rows = table().sample(frac=1, random_state=1)
    data = datasets.load(save(rows, time="day", drop=("who",)), folds=3)
    day = np.sort(rows["day"].to_numpy())[data.row_ids]
    assert day[data.split.train].max() < day[data.split.test].min()
    assert "day" not in data.X
    assert len(data.split.test) == 60
    assert data.split.rule.startswith("By time: the latest 30%")


@pytest.mark.parametrize(
    ("every", "span", "n_spans"), [("h", "day", 67), ("30min", "day", 34), ("2min", "hour", 54), ("s", "moment", 1600)]
)
def test_rows_of_one_day_are_together_however_finely_time_is_written(save, every, span, n_spans):
    """Days where ten of them train and ten test, else hours, else minutes: they fold together and are one piece of evidence."""
    moments = pd.date_range("2024-01-01 00:00", periods=1600, freq=every)
    rows = table(1600).assign(day=moments.strftime("%Y-%m-%dT%H:%M:%S"))
    data = datasets.load(save(rows.sample(frac=1, random_state=1), time="day", drop=("who",)), folds=3)
    assert data.split.rule.endswith(f"folds are whole {span}s of day.")
    unit = {"day": "D", "hour": "h", "moment": "s"}[span]
    of = moments.floor(unit).to_numpy()[data.row_ids]
    train, test = of[data.split.train], of[data.split.test]
    assert len(set(of)) == n_spans
    assert train.max() < test.min()
    assert len(set(zip(train, data.split.fold, strict=True))) == len(set(train))
    assert len(set(zip(test, data.split.cluster, strict=True))) == len(set(test)) == len(set(data.split.cluster))


def test_groups_are_never_parted(save):
    """Rows of one group are on one side and in one fold; the share of groups held out is the one asked for."""
    rows = table(400).assign(home=[f"h{i % 40}" for i in range(400)])
    data = datasets.load(save(rows, group="home", drop=("who",), test_share=0.25), folds=3)
    home = rows["home"].to_numpy()[data.row_ids]
    assert not set(home[data.split.train]) & set(home[data.split.test])
    assert len(set(home[data.split.test])) == 10
    assert len(set(zip(home[data.split.train], data.split.fold, strict=True))) == len(set(home[data.split.train]))


@pytest.mark.parametrize("homes", [2, 3, 4])
def test_few_groups_are_split_too(save, homes):
    """However large a share is to test, a group trains, until folds have none: that is said of the file."""
    rows = table(400).assign(home=[f"h{i % homes}" for i in range(400)])
    source = save(rows, group="home", drop=("who",), test_share=0.9)
    with pytest.raises(InputError, match=r"mine\.csv: max_train_rows: \d+ rows cannot hold every class in each of 2 folds"):
        datasets.load(source, folds=2)


def test_identical_rows_stay_together_without_being_asked(save):
    """Half of the rows are written twice: no twin of a test row trains."""
    rows = pd.concat([table(), table()]).drop(columns=["who", "day"])
    data = datasets.load(save(rows))
    twin = data.X.groupby(list(data.X)).ngroup().to_numpy()
    assert not set(twin[data.split.train]) & set(twin[data.split.test])


def test_personal_columns_go_no_further(save):
    """A personal column is no feature, and neither the data set nor its description holds a value of it."""
    data = datasets.load(save(table(), personal=("who",)))
    assert "who" not in data.X
    assert data.roles.personal == ("who",)
    assert "person 7" not in repr((datasets.describe(data), data.guesses, data.queries(np.arange(20))))
    with pytest.raises(InputError) as refused:
        datasets.load(save("late,n,x\nyes,1,1\nno,2,2\n" * 1 + "yes,3,3\n" * 20 + "no,secret,3\n", personal=("n",)))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("role", ["drop", "personal"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_left_out_may_hold_anything(save, ending, role):
    """A column that is no feature is not looked into: a slip, an infinity, a list in it stop nobody, with it they would."""
    odd = {"csv": {"slip": ["O", *range(199)], "endless": ["inf", *range(199)]}, "parquet": {"list": [[1]] * 200}}[ending]
    odd |= {"endless": [np.inf] * 200} if ending == "parquet" else {}
    for name, cells in odd.items():
        source = save(table().assign(**{name: cells}), f"mine.{ending}", **{role: (name, "who")})
        assert datasets.load(source).X.equals(datasets.load(save(table(), f"mine.{ending}", drop=("who",))).X)
        with pytest.raises(InputError, match=f"column '{name}' .* drop"):
            datasets.load(save(table().assign(**{name: cells}), f"mine.{ending}", drop=("who",)))


def test_row_numbers_are_no_features_and_names_that_are_numbers_are_said(save):
    """The index that pandas writes beside rows that were filtered, and a customer's number."""
    rows = table(300)
    kept = datasets.load(save(rows[rows["age"] > 30], "mine.parquet", drop=("who",)))
    assert not [c for c in kept.X if c.startswith("__")]
    assert "Left out, as row numbers that pandas wrote: __index_level_0__." in kept.guesses
    rows["customer"] = np.random.default_rng(0).permutation(300) + 70_000
    said = "customer holds a different whole number in every row: if it is a name or a row number, name it under drop."
    for ending in ("csv", "parquet"):
        assert said in datasets.load(save(rows, f"mine.{ending}", drop=("who",))).guesses
    with pytest.raises(InputError, match=r"column 1 has no name; give it one, or save without row numbers"):
        datasets.load(save(table().to_csv(), drop=("who",)))


def test_durations_times_of_day_and_long_numbers_of_parquet_are_what_they_are(save):
    """Seconds, text, and names, which a CSV file of the same rows gives too; a moment may be written in nanoseconds."""
    rows = table().drop(columns=["who", "day"])
    long = 10**18 + np.random.default_rng(1).permutation(200)
    waited = pd.to_timedelta(np.arange(200) * 30, unit="s")
    rows = rows.assign(waited=waited, opens=[dt.time(i % 9) for i in range(200)], moment=long)
    data = datasets.load(save(rows, "mine.parquet"))
    assert data.X["waited"].tolist() == (np.arange(200) * 30.0).tolist()
    assert "waited is read as seconds." in data.guesses
    assert data.X["opens"].tolist()[1] == "01:00:00"
    assert data.X["moment"].tolist() == long.astype(str).tolist()
    rows = rows.drop(columns=["waited", "opens"]).assign(atoms=np.linspace(1e-30, 6.02e23, 200))
    for ending in ("csv", "parquet"):
        in_time = datasets.load(save(rows, f"mine.{ending}", time="moment"), folds=3)
        assert in_time.X["fee"].tolist() == rows.sort_values("moment")["fee"].tolist()
        np.testing.assert_allclose(in_time.X["atoms"], rows.sort_values("moment")["atoms"])


def test_numbers_are_predicted_and_classes_told_apart(save):
    """Many numbers are a regression, few whole ones classes; what is declared wins over the guess."""
    assert datasets.task(save(table(), target="fee")) == "regression"
    assert datasets.task(save(table(), target="shop")) == "multiclass"
    few = table().assign(late=np.arange(200) % 4)
    assert datasets.task(save(few)) == "multiclass"
    assert datasets.task(save(few, task="regression")) == "regression"


def test_a_file_that_changes_is_another_data_set(save):
    """One changed cell, another share or another role changes the fingerprint; the same file does not."""
    rows = table()
    first = datasets.fingerprint(save(rows, drop=("who",)))
    assert first == datasets.fingerprint(save(rows, drop=("who",)))
    changed = [save(rows, drop=("who",), test_share=0.5), save(rows, drop=("who",), time="day")]
    prints = {datasets.fingerprint(c) for c in changed}
    rows.loc[0, "age"] += 1
    prints.add(datasets.fingerprint(save(rows, drop=("who",))))
    assert len(prints | {first}) == 4


def test_semicolons_decimal_commas_and_a_byte_order_mark_are_read(save):
    """What a spreadsheet writes on the continent is read as meant, and said."""
    lines = "".join(f"{i},5;{'ja' if i % 3 else 'nein'};x{i % 2}\r\n" for i in range(90))
    data = datasets.load(save(b"\xef\xbb\xbf" + f"preis;late;art\r\n{lines}".encode()))
    assert data.X["preis"].tolist()[:3] == [0.5, 1.5, 2.5]
    assert "';' between its cells" in data.guesses[0]


@pytest.mark.parametrize(
    ("cells", "separator", "numbers", "how"),
    [
        (["$1,299.50", "-$3", "$ 7", "8"], ",", [1299.5, -3.0, 7.0, 8.0], "without $, with ',' between thousands"),
        (["1.315,87 €", "259,90 €", "1.234 €"], ";", [1315.87, 259.9, 1234.0], "without €, with '.' between thousands"),
        (["12 %", "7.5%", "0 %"], ",", [12.0, 7.5, 0.0], "without %"),
        (["(1,000)", "2,000", "£3"], ",", [-1000.0, 2000.0, 3.0], "without £, with ',' between thousands"),
        (["\u22125", "6", "7"], ",", [-5.0, 6.0, 7.0], "with their signs and brackets"),
    ],
)
def test_money_percent_and_thousands_are_numbers_and_that_is_said(save, cells, separator, numbers, how):
    """What a spreadsheet writes around a number is read away, the same in the whole column, and said with the remedy."""
    lines = "".join(f'"{cells[i % len(cells)]}"{separator}{i}{separator}{"ja" if i % 7 else "nein"}\n' for i in range(70))
    lines = f"sum{separator}row{separator}late\n{lines}"
    data = datasets.load(save(lines))
    assert data.X["sum"].tolist()[: len(numbers)] == numbers
    assert f"sum is read as numbers, {how} (if they are names, name the column under text)." in data.guesses
    text = datasets.load(save(lines, text=("sum",)))
    assert text.X["sum"].tolist()[0] == cells[0]


@pytest.mark.parametrize("cells", [["1,5", "2,5"], ["12,34", "1,234"], ["1.234.56", "1"], ["$5 off", "$6 off"], ["$1$", "2"]])
def test_what_is_no_number_in_one_way_of_writing_stays_text(save, cells):
    """Decimal commas between commas, groups that are not of three, words and two signs are not guessed at."""
    lines = "".join(f'"{cells[i % len(cells)]}",{i},{"ja" if i % 3 else "nein"}\n' for i in range(60))
    assert datasets.load(save(f"sum,row,late\n{lines}")).categorical == ("sum",)


def test_a_column_of_numbers_and_words_is_text_and_that_is_said(save):
    """Three in four cells are numbers: too few for a slip, too many to pass over in silence."""
    rows = table().astype({"age": object})
    rows.loc[rows.index % 4 == 0, "age"] = "old"
    data = datasets.load(save(rows, drop=("who",)))
    assert "age" in data.categorical
    assert "age holds numbers in 150 of 200 rows and something else in the others: it is read as text." in data.guesses


def test_marks_of_missing_cells_are_said(save):
    """A question mark and NA are missing values, and the data set says so."""
    rows = table().astype({"age": object})
    rows.loc[[1, 2], "age"] = ["?", "NA"]
    data = datasets.load(save(rows, drop=("who",)))
    assert data.X["age"].isna().sum() == 2
    assert "Cells that hold ?, NA are read as missing." in data.guesses


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_own_marks_of_missing_cells_are_taken_from_the_study(save, ending):
    """What a file calls unknown is missing: words and numbers, in features and target."""
    rows = table()
    rows.loc[[1, 2], "age"] = -999
    rows.loc[[3], "shop"] = "k.A."
    rows.loc[[4, 5, 6], "late"] = "k.A."
    data = datasets.load(save(rows, f"mine.{ending}", drop=("who",), missing=("-999", "k.A.")))
    assert data.X["age"].isna().sum() == 2
    assert data.X["shop"].isna().sum() == 1
    assert data.classes == ("no", "yes")
    assert "3 rows without a target are left out." in data.guesses


GOOD = "a,late\n" + "1,yes\n2,no\n" * 20
BAD = {
    "empty": (b"", "is empty; it needs"),
    "only a header": (b"a,late\n", "has column names and no rows"),
    "one column": (b"late\nyes\nno\n", "has one column, 'late'"),
    "latin-1": ("a,late\n1,käse\n".encode("latin-1"), "line 2: byte 0xe4 is not UTF-8; save the file as UTF-8"),
    "utf-16": (GOOD.encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
    "a NUL": (GOOD.encode() + b"1\0,yes\n", "line 42: holds a NUL byte"),
    "a long row": (GOOD + "1,2,yes\n", "line 42: has 3 cells, the header 2; mend that line"),
    "a short row": ("a,b,late\n1,2,yes\n1,no\n", "line 3: has 2 cells, the header 3"),
    "an open quote": (GOOD + '"1,yes\n', "is not CSV"),
    "an infinity": (GOOD + "inf,yes\n", "line 42: column 'a' holds an infinity"),
    "a mark of nothing": (GOOD + "1.797e308,yes\n", "line 42: column 'a' holds an infinity, or a number beyond 3.4e+38; mend it"),
    "a slip": (GOOD + "O,yes\n", "line 42: column 'a' holds numbers in 40 of 41 rows and 'O' here; mend it"),
    "no target": (GOOD.replace("late", "early"), "target names 'late', which is no column; its columns are a, early"),
    "one class": ("a,late\n" + "1,yes\n2,yes\n" * 20, "the target 'late' holds only 'yes'"),
    "a constant number": ("a,late\n" + "1,7\n2,7\n" * 20, "the target 'late' holds only 7"),
    "no known target": ("a,late\n" + "1,\n2,NA\n" * 20, "the target 'late' is missing in every row"),
    "nothing known": ("a,late\n" + ",yes\n,no\n" * 20, "no column is left to learn from"),
    "two of a name": ("a,a,late\n1,2,yes\n", "two columns are called 'a'; rename one"),
    "no name": ("a,,late\n1,2,yes\n", "column 2 has no name"),
    "ten thousand columns": (",".join(f"c{i}" for i in range(10_000)) + ",late\n", "has 10,001 columns, more than 2,000"),
    "a rare class": (GOOD + "3,maybe\n", "class 'maybe' of 'late' has 1 rows, and 10 are needed"),
    "three different rows": ("a,late\n" + "x,yes\ny,no\nz,no\n" * 20, "have 3 different sets of features, which are kept"),
    "an essay as a class": ("a,late\n" + f"1,yes\n2,{'no ' * 100}\n" * 20, "a class of 'late' has 299 characters, more than 200"),
    "many texts to tell apart": (
        "a,late\n" + "".join(f"1,t{i}\n" for i in range(300)),
        "holds 300 different values, more than 100",
    ),
    "an unprintable name": ('"a\nb",late\n1,yes\n', "too long or unprintable; rename it"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_in_one_sentence(save, case):
    """File, line or column, and remedy; no traceback."""
    content, said = BAD[case]
    with pytest.raises(InputError) as refused:
        datasets.load(save(content))
    assert said in str(refused.value)
    assert "mine.csv" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("mine.parquet", b"PAR1 and nothing else", "cannot be read as Parquet"),
        ("mine.xlsx", b"PK", r"must end in \.csv, \.tsv or \.parquet"),
        ("mine.parquet", pd.DataFrame({"a": [[1], [2]], "late": ["x", "y"]}), "column 'a' is of type list"),
        ("mine.parquet", pd.DataFrame({"a": [1.0, np.inf], "late": ["x", "y"]}), "row 2: column 'a' holds an infinity"),
        ("mine.parquet", pd.DataFrame({"a": [], "late": []}), "has columns and no rows"),
    ],
)
def test_bad_parquet_and_other_files_are_refused(save, tmp_path, name, content, said):
    """A damaged file, another format, nested columns, infinities and no rows."""
    if isinstance(content, pd.DataFrame):
        content.to_parquet(tmp_path / name)
        content = (tmp_path / name).read_bytes()
    with pytest.raises(InputError, match=said):
        datasets.load(save(content, name))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    """The sentence names the path."""
    for path in (tmp_path / "nowhere.csv", tmp_path):
        with pytest.raises(InputError, match=str(path.name)):
            datasets.load(DataFile(file=str(path), target="late", name="mine"))


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ({"time": "shop"}, "holds no moment in 200 rows"),
        ({"sensitive": ("who",), "personal": ("who",)}, "sensitive names 'who', which is no feature by its other role"),
        ({"price": ("kind",)}, "is to be money and does not hold numbers"),
        ({"drop": ("late",)}, "the target 'late' has a second role"),
        ({"group": "nothing"}, "group names 'nothing', which is no column"),
        ({"task": "regression"}, "holds text, which no regression predicts"),
        ({"task": "multiclass"}, "so its task is not multiclass; mend task"),
    ],
)
def test_roles_that_cannot_be_are_refused(save, roles, said):
    """Each in one sentence that names field and column."""
    with pytest.raises(InputError, match=said):
        datasets.load(save(table(), **roles))


@given(st.binary(max_size=300))
def test_whatever_bytes_a_file_holds_it_is_read_or_refused(tmp_path_factory, raw):
    """No byte string ends in anything but a table or one sentence."""
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_bytes(raw)
    with contextlib.suppress(InputError):
        found = plain_tables.read_table(path)
        assert len(found.frame) > 0
        assert len(found.frame.columns) == len(found.kinds) > 1


STUDY = """\
name: own
question: Which?
datasets:
  - breast_cancer
  - file: mine.csv
    target: late
    {line}
candidates: [prior]
prices: {{as_of: "2026-03", source: a test, vcpu_hour_usd: 0.04, gib_hour_usd: 0.004}}
"""


def test_a_study_names_a_file_and_its_resolved_copy_finds_it(save, tmp_path):
    """A path is meant as seen from the study file; the resolved study reads back the same, from anywhere."""
    save(table())
    (tmp_path / "my.yaml").write_text(STUDY.format(line="sensitive: kind"), encoding="utf-8")
    study = read_study(str(tmp_path / "my.yaml"))
    assert study.datasets == ("breast_cancer", "mine")
    (described,) = study.files
    assert described == DataFile(file=str((tmp_path / "mine.csv").resolve()), target="late", name="mine", sensitive=("kind",))
    assert parse_study(as_yaml(study), "elsewhere/study.yaml") == study
    (tmp_path / "study.yaml").write_text(as_yaml(study), encoding="utf-8")
    assert experiments.make_arm("mine", run_folder=str(tmp_path)).source == described
    assert [a.source for a in experiments.arms_of(study)] == [None, described]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("targte: x", r"my\.yaml, line 7: datasets\.1\.targte is not a field that exists"),
        ("test_share: 2", r"line 7: datasets\.1\.test_share .*0\.9"),
        ("name: adult", "line 5: datasets.1: a data set called adult comes with shipworthy; add another name"),
        ("name: a/b", "'a/b' cannot name a data set"),
        ("task: guess", r"line 7: datasets\.1\.task"),
        ("time: 5", r"line 7: datasets\.1\.time must be text"),
    ],
)
def test_a_bad_description_is_refused_by_line(line, said):
    """File, line and field of the study as it was written."""
    with pytest.raises(InputError, match=said):
        parse_study(STUDY.format(line=line), "my.yaml")


def test_a_notebook_takes_a_path_and_roles(save):
    """Run alone, a notebook is given the path and what the columns mean; what is missing or unknown is said."""
    path = save(table()).file
    arm = experiments.make_arm(path, roles={"target": ["late"], "personal": ["who"]})
    assert (arm.dataset, arm.source.personal) == ("mine", ("who",))
    for roles, said in (({}, "must name the target"), ({"target": ["late"], "x": []}, "roles has no 'x'")):
        with pytest.raises(InputError, match=said):
            own_file(path, roles)
    with pytest.raises(InputError, match="roles describe a file of your own"):
        own_file("adult", {"target": ["x"]})


def test_a_file_is_trained_and_scored_like_any_data_set(save, tmp_path, monkeypatch):
    """With hostile names of columns and classes, from the path to scores better than the prior's."""
    monkeypatch.setenv("SHIPWORTHY_OUTPUTS", str(tmp_path / "out"))
    rows = table(300).rename(columns={"kind": HOSTILE}).replace({"shop": {"far": HOSTILE}})
    source = save(rows, drop=("who",))
    arm = experiments.make_arm(source.file, roles={"target": ["late"], "drop": ["who"]}, training={"folds": 2})
    bench = experiments.Workbench.open()
    scores = experiments.out_of_fold_scores(bench, arm, ["prior", "logistic_regression"])
    assert scores.loc["logistic_regression", "log_loss"] < scores.loc["prior", "log_loss"]
    assert HOSTILE in bench.dataset(arm).X
    assert "binary" in candidates.get("prior").tasks


def test_an_own_file_is_put_under_load_by_its_name_in_a_study(save, tmp_path):
    """The notebook of latency and throughput finds the study's file by name, as training does, and the path when alone."""
    path = save(table()).file
    text = STUDY.format(line="personal: who").replace("[prior]", "[prior, soft_vote]") + "load: {candidates: [soft_vote]}\n"
    (tmp_path / "my.yaml").write_text(text, encoding="utf-8")
    study = read_study(str(tmp_path / "my.yaml"))
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "study.yaml").write_text(as_yaml(study), encoding="utf-8")
    bench = experiments.Workbench(folder, notify=lambda _: None)
    asked = {"candidates": ["soft_vote"], "training": {}, "factor": "", "level": "", "load": study.load, "rate_per_s": 1.0}
    arm, _, _ = experiments.open_load(bench, "mine", 0, **asked)
    assert arm.source == study.files[0]
    loaded = [s.arm for s in plan_study(bench, study).exclusive if s.notebook == LOAD]
    assert [a.source for a in loaded] == [None, study.files[0]]
    alone = experiments.Workbench(tmp_path, notify=lambda _: None)
    arm, _, _ = experiments.open_load(alone, path, 0, roles={"target": ["late"], "personal": ["who"]}, **asked)
    assert (arm.dataset, arm.source.personal) == ("mine", ("who",))


def test_a_notebook_without_roles_says_how_a_file_is_studied(save):
    """The judging of several data sets takes names alone, and names the remedy."""
    limits = {"p99_limit_ms": 1.0, "memory_limit_mib": 1.0, "queries_per_s": 1.0, "smallest_useful_gain": 0.1}
    with pytest.raises(InputError, match=r"datasets names the file .*mine\.csv; describe it in a study"):
        experiments.lab_study(datasets=[save(table()).file], candidates=["prior"], seeds=[0], **limits)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_of_many_rows_a_sample_is_drawn_and_said(save, ending, monkeypatch):
    """Of a larger file so many rows as asked for are read, in order, the same each time, from all of it; and that is said."""
    monkeypatch.setattr(plain_tables, "PIECE", 64)
    whole = table(1000).assign(fee=np.arange(1000.0))
    source = save(whole, f"mine.{ending}", max_rows=300, drop=("who",))
    rows = plain_tables.read_table(Path(source.file), max_rows=300)
    kept = rows.frame["fee"].to_numpy()
    assert len(kept) == 300
    assert (np.diff(kept) > 0).all()
    # Each quarter of the file is drawn from as chance has it: 75 rows with a standard deviation of 6.3.
    assert np.abs(np.histogram(kept, 4, (0, 1000))[0] - 75).max() < 4 * 6.3
    again = plain_tables.read_table(Path(source.file), max_rows=300).frame
    assert again.equals(rows.frame)
    expected = whole.iloc[kept.astype(int)]
    assert rows.frame["shop"].tolist() == expected["shop"].tolist()
    said = f"mine.{ending} holds 1,000 rows; a sample of 300, drawn by chance, is read (max_rows: 0 reads all)."
    assert said in datasets.load(source).guesses
    everything = datasets.load(save(whole, f"mine.{ending}", max_rows=0, drop=("who",)))
    assert len(everything.y) == 1000
    assert not [g for g in everything.guesses if "sample" in g]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_that_would_fill_the_memory_is_refused_before_it_is_read(save, ending, tmp_path, write_study, monkeypatch):
    """With less memory free than all rows take, one sentence names file, estimate, what is free and remedy; nothing is read."""
    source = save(table(5000), f"mine.{ending}", max_rows=0, drop=("who",))
    said = rf"mine\.{ending}: to read all (about )?5,000 rows takes about \d+ MiB of memory, and 1 MiB are free; name max_rows"
    with pytest.raises(InputError, match=said):
        datasets.check_room(Path(source.file), max_rows=0, free_mib=1)
    datasets.check_room(Path(source.file), max_rows=0, free_mib=1000)
    study = write_study(tmp_path)
    own = f"[{{file: '{source.file}', target: late, max_rows: 0}}]"
    study.write_text(study.read_text(encoding="utf-8").replace("[breast_cancer]", own), encoding="utf-8")
    monkeypatch.setattr("shipworthy.study.launch.free_mib", lambda: 1.0)
    monkeypatch.setattr("shipworthy.datasets.own_files.read_table", lambda *_a, **_k: pytest.fail("the file was read"))
    with pytest.raises(InputError, match=said):
        run_study(str(study), outputs=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_a_file_takes_grows_with_its_rows_and_not_with_those_left_out(save):
    """Twice the rows take twice as much; of a Parquet file with a sample drawn only the sample counts."""

    def takes(n, name, **rows):
        least, most = 0.0, 1000.0
        path = Path(save(table(n), name).file)
        for _ in range(30):
            tried = (least + most) / 2
            try:
                datasets.check_room(path, free_mib=tried, **rows)
                most = tried
            except InputError:
                least = tried
        return most

    for ending in ("csv", "parquet"):
        once, twice = takes(4000, f"a.{ending}", max_rows=0), takes(8000, f"b.{ending}", max_rows=0)
        assert twice == pytest.approx(2 * once, rel=0.1)
    assert takes(8000, "c.parquet", max_rows=4000) == pytest.approx(takes(4000, "d.parquet", max_rows=0), rel=0.1)


def test_room_for_a_table_with_two_columns_of_one_name_is_reckoned_and_reading_it_refused(tmp_path):
    """What such a file would take is found without a column's name; that it is no table is told when it is read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "twice.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1, 2]), pa.array([3, 4])], names=["x", "x"]), path)
    datasets.check_room(path, max_rows=0, free_mib=1000)
    with pytest.raises(InputError, match="two columns are called 'x'"):
        plain_tables.read_table(path)
