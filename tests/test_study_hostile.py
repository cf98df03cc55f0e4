"""Names that would execute somewhere, through a whole study: of columns, classes, cells, files, requirements and people."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from rich.console import Console

from shipworthy.study import run_study
from shipworthy.study.progress import progress_bar

pytestmark = pytest.mark.study

SCRIPT = "<script>owned(1)</script>"
IMAGE = '"><img src=x onerror=owned(2)>'
CLOSING = "</style></textarea></svg></title><svg onload=owned(3)>"
TEMPLATE = "{{7*7}}{% for x in () %}"
FORMULA = "=cmd|' /C owned'!A0"
LEDGER = "-2+3+cmd|' /C owned'!A0"
LINK = "[click](javascript:owned(4))"
MATHS = r"$\frac{owned$_{"
BREAKS = "a\nb | <b>c</b>\n\n# owned"
TURNED = "\u202e\u2066owned"
LABEL = re.compile(r' aria-label="[^"]*"')
"""What a figure says to who cannot see it: there, and in quotes, a name is text."""
PYTHON = "'+__import__('os').system('owned')+'"


class Parts(HTMLParser):
    """Tags and attributes of a page, and where anything of ours became one."""

    def __init__(self, text):
        super().__init__()
        self.wrong, self.scripts, self.inside = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """No element is one that the names asked for, and no attribute runs or leads anywhere."""
        self.inside = tag
        for name, value in attrs:
            if name.startswith("on") or "javascript:" in (value or "").lower():
                self.wrong.append((tag, name, value))
            if name == "src" and value == "x":
                self.wrong.append((tag, name, value))

    def handle_endtag(self, _tag):
        """Text after this is of no script."""
        self.inside = ""

    def handle_data(self, data):
        """What is in a script is code, unless it is data."""
        if self.inside == "script":
            self.scripts.append(data)


@pytest.fixture(scope="module")
def said():
    """What is said before the study begins."""
    return []


@pytest.fixture(scope="module")
def run(tmp_path_factory, said):
    """A study of a table, whose every name is hostile."""
    place = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(0)
    n = 160
    x = rng.normal(size=n)
    frame = pd.DataFrame(
        {
            SCRIPT: x,
            IMAGE: rng.integers(0, 9, n),
            FORMULA: rng.choice([CLOSING, BREAKS, TURNED, MATHS], n),
            TEMPLATE: rng.choice([SCRIPT, FORMULA, PYTHON], n),
            MATHS: rng.normal(size=n),
            LINK: rng.choice(["a", "b"], n),
            CLOSING: np.where(x + rng.normal(size=n) > 0, SCRIPT + BREAKS, IMAGE + TEMPLATE),
        }
    )
    file = "<img src=x onerror=owned(5)>{{7}}.csv"
    frame.to_csv(place / file, index=False)
    latency = {"quantity": "latency_ms", "statistic": "p99", "at_most": 50, "scenario": "single_stream"}
    study = {
        "name": "hostile",
        "question": f"{SCRIPT} {TEMPLATE} {LINK} {BREAKS}",
        "datasets": [{"file": file, "target": CLOSING, "name": "mine", "sensitive": [TEMPLATE]}],
        "candidates": ["prior", "logistic_regression", "decision_tree"],
        "requirements": [{"name": f"{IMAGE}{BREAKS}", **latency}, {"name": FORMULA, **latency}],
        "stakeholders": [
            {"name": SCRIPT, "wants": CLOSING + TEMPLATE, "weights": {"latency_ms": 0.5, "roc_auc": 0.5}},
            {"name": LEDGER, "wants": FORMULA, "weights": {"latency_ms": 0.5, "roc_auc": 0.5}},
        ],
        "prices": {"as_of": SCRIPT, "source": LINK + IMAGE, "vcpu_hour_usd": 0.04, "gib_hour_usd": 0.004},
        "economics": {"correct_usd": [0.1], "false_negative_usd": [0.2]},
        "training": {"max_train_rows": 0, "folds": 3, "search_trials": 1},
        "measuring": {"queries": 20, "rounds": 1, "warm_up": 5, "batch_sizes": [16], "batch_repeats": 2},
    }
    (place / "hostile.yaml").write_text(yaml.safe_dump(study, allow_unicode=True), encoding="utf-8")
    return run_study(str(place / "hostile.yaml"), outputs=place / "out", say=said.append)


def test_it_completes(run):
    """No name of a column, class, file or person keeps anything from being trained, measured, judged or drawn."""
    assert run.failed == ()
    assert set(run.run.records()["candidate"]) == {"prior", "logistic_regression", "decision_tree"}


def test_what_was_guessed_of_the_file_is_said_before_the_wait_a_line_each(run, said):
    """Whoever waits hears the guesses and what was found in the rows; no name breaks a line or steers the terminal."""
    (card,) = json.loads((run.run.folder / "datasets.json").read_text(encoding="utf-8"))
    assert said == [f"mine: {sentence}" for sentence in (*card["guesses"], *card["checks"])]
    shown = io.StringIO()
    with progress_bar(Console(file=shown, width=40)) as bar:
        for sentence in said:
            bar.say(sentence)
    assert len(shown.getvalue().splitlines()) == len(said) >= 3
    assert re.search(r"classes \(binary, guessed\); .*owned.* counts as positive", shown.getvalue())
    assert all(c.isprintable() or c == "\n" for c in shown.getvalue())


def test_nothing_executes_in_the_report(run):
    """The page shows the names as text: no tag, attribute or script is made of one, and no template is filled in."""
    text = run.run.report.read_text(encoding="utf-8")
    parts = Parts(text)
    assert parts.wrong == []
    for script in parts.scripts:
        assert "owned" not in script
    assert "&lt;script&gt;owned(1)&lt;/script&gt;" in text
    assert "{{7*7}}" in text
    assert not re.search(r"<(img|svg)[^>]*owned", LABEL.sub("", text))


def test_nothing_executes_in_the_markdown(run):
    """Rendered as Markdown that allows HTML, the text has no tag and no link of theirs, and no heading that they began."""
    whole = (run.run.folder / "report.md").read_text(encoding="utf-8")
    # An indented line is code, in which nothing is a tag.
    text = "\n".join(line for line in whole.splitlines() if not line.startswith("    "))
    assert "owned" in text
    assert Parts(text).wrong == []
    assert not re.search(r"(?<!\\)<(script|img|svg|b)\b", text)
    assert not re.search(r"(?<!\\)\[[^\]]*\]\(javascript:", text)
    assert not re.search(r"^# owned", text, flags=re.MULTILINE)


def test_nothing_executes_in_the_notebooks(run):
    """Of the executed notebooks, no HTML output holds a tag of theirs, and no Markdown or script output is made of a name."""
    seen = 0
    for path in (run.run.folder / "notebooks").rglob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", ()):
                data = output.get("data", {})
                shown = "".join(data.get("text/html", ""))
                seen += "owned" in shown
                parts = Parts(shown)
                assert parts.wrong == [], path.name
                assert not [s for s in parts.scripts if "owned" in s], path.name
                assert not re.search(r"<(script|img|svg)[^>]*owned", LABEL.sub("", shown)), path.name
                assert "owned" not in "".join(data.get("text/markdown", "")) + "".join(data.get("application/javascript", ""))
    assert seen > 0


def test_figures_and_tables_hold_text(run):
    """Drawings have no script or handler, and no cell of a CSV table begins a formula."""
    for path in (run.run.folder / "figures").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert Parts(text).wrong == [], path.name
        assert "<script" not in text, path.name
    for path in (run.run.folder / "tables").glob("*.csv"):
        cells = pd.read_csv(path, dtype=str, keep_default_na=False).to_numpy().ravel()
        cells = [*cells, *pd.read_csv(path, nrows=0).columns]
        assert not [c for c in cells if re.match(r"[=@]|[+-](?![\d.]|inf|$)|-2\+", c)], path.name


def test_the_files_of_the_run_are_whole(run):
    """JSON and Parquet of the run can be read, and hold the names as they are."""
    cards = json.loads((run.run.folder / "datasets.json").read_text(encoding="utf-8"))
    assert SCRIPT in json.dumps(cards)
    assert run.run.study.stakeholders[0].name == SCRIPT
