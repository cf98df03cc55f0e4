"""The notebooks package: parameters refused before any work, executions that tell the truth, files that stay byte-stable."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest

from shipworthy import notebooks
from shipworthy.notebooks import shelf, upkeep
from shipworthy.records import InputError

PARAMETERS = """\
rows: int = 10  # Rows to train on, 0 = all (0 to 1000)
share: float = 0.5  # Share (0 to 1)
dataset: str = "adult"  # Data set (one of: adult, flights)
loud: bool = False  # Whether to shout
names: list[str] = ["a"]  # Candidates
sizes: list[int] = [1, 2]  # Batch sizes (1 to 64)
prices = {"hour": 0.04}  # Prices
"""
SPEC = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}}


def code(source, *tags):
    """A code cell."""
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


def text(source):
    """A text cell."""
    return nbformat.v4.new_markdown_cell(source)


def make(path, *cells, metadata=SPEC):
    """Write a notebook of the cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unique = [nbformat.from_dict({**cell, "id": f"c{number}"}) for number, cell in enumerate(cells)]
    nbformat.write(nbformat.v4.new_notebook(cells=unique, metadata=metadata), path)
    return path


def with_parameters(path, source=PARAMETERS):
    """Write a notebook that has nothing but a title and a parameters cell."""
    return make(path, text("# Why?"), code(source, "parameters"))


def outputs(path):
    """The text that each code cell of an executed notebook printed."""
    cells = nbformat.read(path, as_version=4).cells
    return ["".join(o.get("text", "") for o in c.outputs) for c in cells if c.cell_type == "code"]


def kernels():
    """Ids of the kernels that this process has started and that are alive."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if "ipykernel_launcher" in child.cmdline():
                found.append(child.pid)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.fixture(autouse=True)
def _nothing_left():
    """No test leaves a kernel or a private folder behind."""
    mine = f"shipworthy-kernel-{os.getpid()}-*"
    yield
    assert kernels() == []
    assert list(Path(tempfile.gettempdir()).glob(mine)) == []


# Parameters -----------------------------------------------------------------------------------------------------------------


def test_parameters_are_read_with_type_default_and_help(tmp_path):
    """Every line of a parameters cell becomes a Parameter, in order, whether it is annotated or not."""
    found = notebooks.parameters(with_parameters(tmp_path / "n.ipynb"))
    assert [p.name for p in found] == ["rows", "share", "dataset", "loud", "names", "sizes", "prices"]
    assert [p.type for p in found] == ["int", "float", "str", "bool", "list[str]", "list[int]", "dict[str, float]"]
    assert [p.default for p in found] == [10, 0.5, "adult", False, ["a"], [1, 2], {"hour": 0.04}]
    assert found[0].help == "Rows to train on, 0 = all (0 to 1000)"


def test_a_default_may_span_lines_and_an_int_may_be_the_default_of_a_float(tmp_path):
    """The help of a default that spans lines is the comment on its last line; comments of their own are no help."""
    path = with_parameters(tmp_path / "n.ipynb", "# About x\nx = [\n    'a',\n    'b',\n]  # Both\n\ny: float = -1\n")
    assert tuple((p.name, p.type, p.default, p.help) for p in notebooks.parameters(path)) == (
        ("x", "list[str]", ["a", "b"], "Both"),
        ("y", "float", -1.0, ""),
    )


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("x = 1\nopen('pwn', 'w')", 2, "is no assignment"),
        ("x = 1\ny = x + 1", 2, "not a literal"),
        ("x = open('pwn', 'w')", 1, "not a literal"),
        ("import os", 1, "is no assignment"),
        ("x = y = 1", 1, "is no assignment"),
        ("x, y = 1, 2", 1, "one name"),
        ("x: int", 1, "one name"),
        ("x += 1", 1, "is no assignment"),
        ("x = 1; y = 2", 1, "two statements"),
        ("x = 1\nx = 2", 2, "a second time"),
        ("%matplotlib inline", 1, "is not Python"),
        ("x = None", 1, "needs an annotation"),
        ("x = []", 1, "needs an annotation"),
        ("x = (1, 2)", 1, "needs an annotation"),
        ("x = [1, 'a']", 1, "needs an annotation"),
        ("x: int | None = 3", 1, "is annotated 'int | None'"),
        ("x: int = 'a'", 1, "must be int, not str"),
        ("x = 1e999", 1, "finite"),
        ("x = 5  # X (6 to 9)", 1, "out of its range (6 to 9)"),
        ("x = 'c'  # X (one of: a, b)", 1, "one of: a, b"),
        ("x = 'c'  # X (1 to 3)", 1, "cannot have the range"),
    ],
)
def test_a_parameters_cell_with_anything_but_literals_is_refused(tmp_path, source, line, reason):
    """The refusal names the notebook, the line and the reason, and nothing in the cell is executed."""
    with pytest.raises(InputError, match="parameters cell") as refused:
        notebooks.parameters(with_parameters(tmp_path / "bad.ipynb", source))
    assert f"bad.ipynb, parameters cell, line {line} " in str(refused.value)
    assert reason in str(refused.value)
    assert not Path("pwn").exists()


def test_a_notebook_has_exactly_one_parameters_cell(tmp_path):
    """None, two and a text cell with the tag are each refused."""
    tagged = text("x = 1")
    tagged.metadata["tags"] = ["parameters"]
    for cells, what in (((), "no cell"), ((code("x = 1", "parameters"),) * 2, "more than one"), ((tagged,), "a text cell")):
        with pytest.raises(InputError, match=what):
            notebooks.parameters(make(tmp_path / "n.ipynb", *cells))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"row": 1}, r"no parameter 'row' \(did you mean 'rows'\?\); its parameters are: rows, share, dataset"),
        ({"rows=1;open('pwn','w');z": 1}, "no parameter"),
        ({1: 1}, "no parameter 1"),
        ({"rows": "7"}, r"rows must be int, not str \('7'\)"),
        ({"rows": 7.0}, "rows must be int, not float"),
        ({"rows": True}, "rows must be int, not bool"),
        ({"rows": None}, "rows must be int, not NoneType"),
        ({"loud": 1}, "loud must be bool, not int"),
        ({"share": "a"}, "share must be float"),
        ({"share": 10**400}, "share must be float"),
        ({"share": float("nan")}, "share is nan"),
        ({"share": float("inf")}, "share is inf"),
        ({"prices": {"hour": float("nan")}}, r"prices\['hour'\] is nan"),
        ({"prices": {1: 1.0}}, "keys of prices must be strings"),
        ({"prices": [1.0]}, r"prices must be dict\[str, float\], not list"),
        ({"names": "a"}, r"names must be list\[str\], not str"),
        ({"names": ["a", 1]}, r"names\[1\] must be str, not int"),
        ({"names": ["\ud800"]}, "surrogate"),
        ({"rows": 1001}, r"rows is 1001, out of its range \(0 to 1000\)"),
        ({"rows": -1}, "out of its range"),
        ({"sizes": [1, 65]}, r"sizes\[1\] is 65, out of its range \(1 to 64\)"),
        ({"dataset": "titanic"}, "dataset is 'titanic'; it must be one of: adult, flights"),
        ({"rows": np.float64(3)}, "rows must be int, not float"),
        ({"rows": np.array([3])}, "rows must be int, not ndarray"),
        ({"dataset": Path("adult")}, "dataset must be str"),
    ],
)
def test_values_that_do_not_fit_are_refused_in_one_sentence(tmp_path, values, reason):
    """Unknown names, code in a name, wrong types, NaN, ranges and choices are refused before any work."""
    path = with_parameters(tmp_path / "n.ipynb")
    with pytest.raises(InputError, match=reason) as refused:
        notebooks.check_parameters(path, values)
    assert "n.ipynb" in str(refused.value)
    with pytest.raises(InputError, match=reason):
        notebooks.execute(path, tmp_path / "out.ipynb", values)
    assert not (tmp_path / "out.ipynb").exists()


def test_values_become_plain():
    """NumPy scalars, tuples, enumerations and ints given for floats arrive as what JSON can hold."""

    class Name(StrEnum):
        FLIGHTS = "flights"

    with tempfile.TemporaryDirectory() as folder:
        path = with_parameters(Path(folder) / "n.ipynb")
        given = {
            "rows": np.int64(3),
            "share": 1,
            "dataset": Name.FLIGHTS,
            "loud": np.True_,
            "names": (np.str_("b"),),
            "sizes": (),
            "prices": {"hour": np.float32(0.5)},
        }
        plain = notebooks.check_parameters(path, given)
    assert plain == {
        "rows": 3,
        "share": 1.0,
        "dataset": "flights",
        "loud": True,
        "names": ["b"],
        "sizes": [],
        "prices": {"hour": 0.5},
    }
    assert [int, float, str, bool, list, list, dict] == [type(v) for v in plain.values()]
    assert str is type(plain["names"][0])


# Execution ------------------------------------------------------------------------------------------------------------------


def test_an_execution_sets_parameters_and_leaves_a_valid_copy(tmp_path, capfd):
    """Braces in paths, hostile strings and an environment arrive intact; the source is untouched and nothing is printed."""
    hostile = "a\"b'c\\n{x}\n'''; import os\u2028é\0"
    source = make(
        tmp_path / "{in}" / "n {x}.ipynb",
        text("# Why?"),
        code("names: list[str] = ['a']\nx: int = 1", "parameters"),
        code("import os, sys, json\nprint(json.dumps([names, x, os.environ['MINE'], os.environ.get('MPLBACKEND')]))"),
        code("print(sys.executable)\nprint(os.getcwd())"),
        code("from IPython.display import display\ndisplay({'application/json': float('nan')}, raw=True)"),
    )
    before = source.read_bytes()
    target = tmp_path / "{out}" / "{y}.ipynb"
    seen = []
    os.environ["MPLBACKEND"], kept = "agg", os.environ.get("MPLBACKEND")
    try:
        done = notebooks.execute(
            source,
            target,
            {"names": [hostile], "x": 3},
            environment={"MINE": "yes"},
            on_cell=lambda count, total: seen.append((count, total)),
        )
    finally:
        os.environ.pop("MPLBACKEND") if kept is None else os.environ.update(MPLBACKEND=kept)
    assert (done.ok, done.error) == (True, None)
    assert 0 < done.seconds < 60
    said = outputs(target)
    assert [[hostile], 3, "yes", "module://matplotlib_inline.backend_inline"] == json.loads(said[2])
    executable, folder = said[3].splitlines()
    assert (sys.executable, target.parent.resolve()) == (executable, Path(folder))
    assert [(i, 5) for i in range(1, 6)] == seen
    assert before == source.read_bytes()
    assert [target] == list(target.parent.iterdir())
    raw = json.loads(target.read_bytes(), parse_constant=pytest.fail)
    assert {"names": [hostile], "x": 3} == raw["metadata"]["papermill"]["parameters"]
    assert str(tmp_path) not in json.dumps(raw["metadata"])
    assert tuple(capfd.readouterr()) == ("", "")


@pytest.mark.parametrize(
    ("last", "ename", "evalue"),
    [
        ("int('a')", "ValueError", "invalid literal for int() with base 10: 'a'"),
        ("raise SystemExit", "SystemExit", ""),
        ("import os\nos.kill(os.getpid(), 9)", "DeadKernelError", "the kernel was killed by SIGKILL"),
        ("import os\nos._exit(3)", "DeadKernelError", "the kernel ended with exit code 3"),
        ("input()", "StdinNotImplementedError", None),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL to tell of")
def test_a_failure_names_the_cell_and_the_error(tmp_path, last, ename, evalue, capfd):
    """Exceptions, SystemExit, dead kernels and questions to nobody all fail, with the cell's place in the source."""
    cells = [text("# Why?"), code("x: int = 1", "parameters"), code("print('before')"), text("so"), code(f"\n{last}")]
    source = make(tmp_path / "n.ipynb", *cells)
    done = notebooks.execute(source, tmp_path / "out.ipynb", {"x": 2})
    assert not done.ok
    assert ("n.ipynb", 5, last.splitlines()[0], ename) == (
        done.error.notebook,
        done.error.cell,
        done.error.first_line,
        done.error.ename,
    )
    assert evalue in {None, done.error.evalue}
    assert f"n.ipynb, cell 5 (`{last.splitlines()[0]}`): {ename}" in done.error.sentence()
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert "before\n" in outputs(tmp_path / "out.ipynb")
    shown = [o.ename for c in executed.cells if c.cell_type == "code" for o in c.outputs if o.output_type == "error"]
    assert [ename] == shown
    assert executed.cells[-1].metadata.papermill.status == "failed"
    assert tuple(capfd.readouterr()) == ("", "")


def test_cells_after_a_failure_do_not_run(tmp_path):
    """A failing cell is the last that runs, and the executed copy says which did not."""
    source = make(tmp_path / "n.ipynb", code("x = 1", "parameters"), code("1 / 0"), code("open('ran', 'w')"))
    assert notebooks.execute(source, tmp_path / "out.ipynb", {}).error.ename == "ZeroDivisionError"
    assert not (tmp_path / "ran").exists()
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert executed.cells[-1].metadata.papermill.status == "pending"


def test_an_error_that_a_cell_expects_is_still_a_failure(tmp_path):
    """Papermill calls a notebook with an error output failed even where the cell is tagged raises-exception; so do we."""
    source = make(tmp_path / "n.ipynb", code("x = 1", "parameters"), code("1 / 0", "raises-exception"), code("y = 1"))
    done = notebooks.execute(source, tmp_path / "out.ipynb", {"x": 2})
    assert (done.error.cell, done.error.first_line, done.error.ename) == (2, "1 / 0", "ZeroDivisionError")


def test_a_time_limit_names_the_cell_in_flight_and_kills_its_children(tmp_path):
    """The limit holds for the whole notebook; what the kernel started dies with it."""
    work = "import subprocess, sys, time\np = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    source = make(
        tmp_path / "n.ipynb", code("x = 1", "parameters"), code(work + "print(p.pid)"), code("while True: time.sleep(60)")
    )
    began = time.monotonic()
    done = notebooks.execute(source, tmp_path / "out.ipynb", {}, timeout_s=2)
    assert time.monotonic() - began < 30
    assert (
        done.error.cell,
        done.error.ename,
        done.error.evalue,
    ) == (3, "Timeout", "the notebook took longer than its limit of 2 s")
    child = int(outputs(tmp_path / "out.ipynb")[1])
    psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], timeout=5)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_time_limit_must_make_sense(tmp_path):
    """A negative or undefined limit is refused before any work."""
    for limit in (-1, float("nan")):
        with pytest.raises(InputError, match="timeout_s"):
            notebooks.execute(with_parameters(tmp_path / "n.ipynb"), tmp_path / "out.ipynb", {}, timeout_s=limit)


def test_an_execution_may_be_cancelled_from_another_thread(tmp_path):
    """Setting the event ends a cell that would never end, and the result says so."""
    source = make(tmp_path / "n.ipynb", code("x = 1", "parameters"), code("import time\nwhile True: time.sleep(60)"))
    cancel = threading.Event()
    done = notebooks.execute(
        source, tmp_path / "out.ipynb", {}, cancel=cancel, on_cell=lambda _d, _t: threading.Timer(0.3, cancel.set).start()
    )
    assert (done.ok, done.error.cell, done.error.ename) == (False, 2, "Cancelled")
    already = notebooks.execute(source, tmp_path / "again.ipynb", {}, cancel=cancel)
    assert (already.ok, already.error.cell, already.error.ename) == (False, 0, "Cancelled")


def test_executions_in_threads_do_not_disturb_each_other(tmp_path):
    """Two at once give what each gives alone, and the process's working directory never moves."""
    source = make(tmp_path / "n.ipynb", code("x: int = 0", "parameters"), code("import time; time.sleep(.3)\nprint(x * x)"))
    here, moved, stop = Path.cwd(), [], threading.Event()

    def watch():
        while not stop.wait(0.001):
            moved.extend([Path.cwd()] if Path.cwd() != here else [])

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda i: notebooks.execute(source, tmp_path / f"{i}.ipynb", {"x": i}), range(4)))
    stop.set()
    watcher.join()
    assert [r.error for r in results] == [None] * 4
    assert [f"{i * i}\n" for i in range(4)] == [outputs(tmp_path / f"{i}.ipynb")[-1] for i in range(4)]
    assert moved == []


def test_execution_works_inside_a_running_event_loop(tmp_path):
    """A notebook may run a study: there, an event loop is running already."""
    source = make(tmp_path / "n.ipynb", code("x = 1", "parameters"), code("print(x)"))

    async def main():
        return notebooks.execute(source, tmp_path / "out.ipynb", {"x": 5})

    assert asyncio.run(main()).ok
    assert outputs(tmp_path / "out.ipynb")[-1] == "5\n"


def test_a_long_temporary_folder_falls_back_to_tcp(tmp_path, monkeypatch):
    """Socket paths are limited to about 100 characters: beyond, the kernel is reached over TCP."""
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    source = make(tmp_path / "n.ipynb", code("x = 1", "parameters"), code("print(x)"))
    assert notebooks.execute(source, tmp_path / "out.ipynb", {}).ok
    assert list(deep.iterdir()) == []


def test_the_kernel_ignores_registered_kernels_and_the_users_ipython(tmp_path, monkeypatch):
    """No kernelspec, a foreign kernel's name or a broken IPython profile changes what runs."""
    profile = tmp_path / "ipython" / "profile_default" / "startup"
    profile.mkdir(parents=True)
    (profile / "00.py").write_text("intruder = 1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "nowhere"))
    source = make(
        tmp_path / "n.ipynb",
        code("x = 1", "parameters"),
        code("print('intruder' in dir())"),
        metadata={"kernelspec": {"name": "no-such", "display_name": "?", "language": "R"}},
    )
    assert notebooks.execute(source, tmp_path / "out.ipynb", {"x": 2}).ok
    assert outputs(tmp_path / "out.ipynb")[-1] == "False\n"


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for an interpreter is a shell script")
def test_a_kernel_that_cannot_start_is_a_failure(tmp_path, monkeypatch):
    """An interpreter without ipykernel, or none at all, fails with what it said."""
    source = make(tmp_path / "n.ipynb", code("x = 1", "parameters"))
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'No module named ipykernel_launcher' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    done = notebooks.execute(source, tmp_path / "out.ipynb", {})
    assert (done.error.cell, done.error.ename) == (0, "KernelStartError")
    assert done.error.evalue == "the kernel ended with exit code 1 (No module named ipykernel_launcher)"
    assert "n.ipynb: KernelStartError: the kernel ended" in done.error.sentence()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    assert notebooks.execute(source, tmp_path / "out.ipynb", {}).error.ename == "KernelStartError"


def test_an_executed_copy_never_overwrites_its_source(tmp_path):
    """Source and target must be two files."""
    source = with_parameters(tmp_path / "n.ipynb")
    with pytest.raises(InputError, match="overwrite"):
        notebooks.execute(source, tmp_path / "." / "n.ipynb", {})


def test_what_the_progress_callback_raises_comes_through(tmp_path):
    """An error of the caller is the caller's: it is raised, the kernel is gone and no copy is written."""

    def stop(_done, _total):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        notebooks.execute(make(tmp_path / "n.ipynb", code("x = 1", "parameters")), tmp_path / "out" / "o.ipynb", {}, on_cell=stop)
    assert list((tmp_path / "out").iterdir()) == []


FOREVER = """
import sys
from pathlib import Path
from shipworthy.notebooks import execute
execute(Path(sys.argv[1]), Path(sys.argv[2]), {}, on_cell=lambda done, total: print(done, flush=True))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals to one process are POSIX's")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_kernel_outlives_its_parent(tmp_path, how):
    """After Ctrl-C the kernel is gone with the process; after kill -9 it goes by itself within seconds."""
    source = make(tmp_path / "n.ipynb", code("x = 1", "parameters"), code("import time\nwhile True: time.sleep(60)"))
    command = [sys.executable, "-c", FOREVER, str(source), str(tmp_path / "o" / "out.ipynb")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "1\n"
        kernel = next(c for c in psutil.Process(parent.pid).children(recursive=True) if "ipykernel_launcher" in c.cmdline())
        parent.send_signal(how)
        try:
            _, complaints = parent.communicate(timeout=20)
        finally:
            parent.kill()  # or a parent that does not end would keep the whole suite from ending
    psutil.wait_procs([kernel], timeout=15 if how == signal.SIGKILL else 0.1)
    assert not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE
    assert list((tmp_path / "o").iterdir()) == []
    if how == signal.SIGINT:
        assert complaints.rstrip().endswith("KeyboardInterrupt")
        assert "was never retrieved" not in complaints
    for left in Path(tempfile.gettempdir()).glob(f"shipworthy-kernel-{parent.pid}-*"):
        # kill -9 leaves the private folder: a later execution removes it when it is a day old.
        assert how == signal.SIGKILL
        os.utime(left, (0, 0))
        notebooks.execute(make(tmp_path / "m.ipynb", code("x = 1", "parameters")), tmp_path / "m-out.ipynb", {})
        assert not left.exists()


# Files ----------------------------------------------------------------------------------------------------------------------


def test_stripping_an_executed_copy_gives_the_source_back(tmp_path):
    """Outputs, counts, timings, injected cells, banners and random ids go; sources and tags stay, byte for byte."""
    source = make(tmp_path / "n.ipynb", text("# Why?"), code("x = 1", "parameters"), code("print(x)\n1 / 0", "keep_output"))
    notebooks.strip_file(source)
    assert notebooks.is_stripped(source)
    before = source.read_bytes()
    assert not notebooks.execute(source, tmp_path / "out.ipynb", {"x": 2}).ok
    assert not notebooks.is_stripped(tmp_path / "out.ipynb")
    assert notebooks.strip_file(tmp_path / "out.ipynb")
    assert before == (tmp_path / "out.ipynb").read_bytes()
    assert not notebooks.strip_file(source)
    assert [cell["id"] for cell in json.loads(before)["cells"]] == ["0", "1", "2"]
    assert before.endswith(b"}\n")


def test_stripping_removes_what_an_editor_leaves(tmp_path):
    """Metadata of notebook and cells shrink to the kernel's name and the tags; an old format is brought up to date."""
    node = nbformat.v4.new_notebook(
        cells=[text("# Why?"), code("x = 1", "parameters")],
        metadata={"kernelspec": {"name": "python3", "display_name": "mine", "extra": 1}, "language_info": {"name": "python"}},
    )
    node.cells[1].metadata.update({"collapsed": True, "init_cell": True})
    node.cells[1].outputs = [nbformat.v4.new_output("stream", text="hi")]
    node.nbformat_minor = 4
    for cell in node.cells:
        del cell["id"]
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps(node))
    stripped = json.loads(notebooks.strip(path))
    assert stripped["metadata"] == SPEC
    assert [c["metadata"] for c in stripped["cells"]] == [{}, {"tags": ["parameters"]}]
    assert stripped["cells"][1]["outputs"] == []
    assert stripped["nbformat_minor"] == 5
    assert notebooks.strip(path) == notebooks.strip(path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"\xff\xfe\x00", b'{"cells": 3, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}']
)
def test_a_file_that_is_no_notebook_is_refused(tmp_path, content):
    """Empty, broken, binary and misshapen files are refused in a sentence that names the file."""
    path = tmp_path / "broken.ipynb"
    path.write_bytes(content)
    for use in (notebooks.strip, notebooks.parameters, notebooks.check_structure):
        with pytest.raises(InputError, match=r"broken\.ipynb"):
            use(path)


def test_a_missing_notebook_is_refused(tmp_path):
    """So is a folder."""
    for path in (tmp_path / "none.ipynb", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            notebooks.parameters(path)


SOLUTION = (
    text("# Is it worth it?\n\nText."),
    code("x: int = 1", "parameters"),
    code("import math"),
    code("answer = ...  # your answer", "exercise"),
    code("answer = math.pi", "solution"),
    code("assert answer is not ..., 'hint'", "check"),
    text("## What to notice"),
)


def test_an_exercise_is_its_solution_without_the_answers(tmp_path):
    """The derived notebook is stripped, the same every time, called an exercise, and lacks only the tagged cells."""
    solution = make(tmp_path / "s.ipynb", *SOLUTION)
    derived = notebooks.derive_exercise(solution)
    assert derived == notebooks.derive_exercise(solution)
    exercise = tmp_path / "e.ipynb"
    exercise.write_text(derived)
    assert notebooks.is_stripped(exercise)
    cells = json.loads(derived)["cells"]
    assert len(cells) == 6
    assert cells[0]["source"][0] == "# Exercise: Is it worth it?\n"
    assert "math.pi" not in derived
    unsolved = notebooks.execute(exercise, tmp_path / "e-out.ipynb", {})
    assert (unsolved.error.ename, unsolved.error.evalue) == ("AssertionError", "hint")
    assert notebooks.execute(solution, tmp_path / "s-out.ipynb", {}).ok


def test_a_solution_that_cannot_become_an_exercise_is_refused(tmp_path):
    """It needs a title, a place for the answer and an answer."""
    for left_out, reason in ((0, "title"), (3, "'exercise'"), (4, "'solution'")):
        cells = [c for i, c in enumerate(SOLUTION) if i != left_out]
        with pytest.raises(InputError, match=reason):
            notebooks.derive_exercise(make(tmp_path / "s.ipynb", *cells))


def test_exercises_are_brought_into_line_with_solutions(tmp_path, monkeypatch):
    """Missing and outdated exercises are written, orphans deleted, current ones left alone."""
    monkeypatch.setattr(upkeep, "folder", lambda: tmp_path)
    make(tmp_path / "workshop" / "solutions" / "a.ipynb", *SOLUTION)
    orphan = make(tmp_path / "workshop" / "exercises" / "gone.ipynb", *SOLUTION)
    written = tmp_path / "workshop" / "exercises" / "a.ipynb"
    assert (written, orphan) == notebooks.write_exercises()
    assert not orphan.exists()
    assert notebooks.write_exercises() == ()
    written.write_text("{}")
    assert (written,) == notebooks.write_exercises()


def test_a_notebook_in_form_has_no_departures(tmp_path):
    """The skeleton that all share passes."""
    path = make(
        tmp_path / "n.ipynb",
        text("# Is it worth it?"),
        code(PARAMETERS, "parameters"),
        code("import math\n\nmath.sqrt(rows)"),
        text("```\n# no title\n```"),
        code("math.pi"),
        text("## What to notice\n\nSpeed and/or size, see https://example.org/tmp/x."),
    )
    notebooks.strip_file(path)
    assert notebooks.check_structure(path) == []


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([text("# Worth it"), *SOLUTION[1:]], "is not a question"),
        ([text("Worth it?"), *SOLUTION[1:]], "It has 0 titles"),
        ([*SOLUTION, text("# Two?")], "It has 2 titles"),
        ([text("Hello"), *SOLUTION], "The title is in cell 2"),
        ([SOLUTION[0], *SOLUTION[2:]], "no cell tagged 'parameters'"),
        ([SOLUTION[0], code("x = f()", "parameters"), *SOLUTION[2:]], "not a literal"),
        ([SOLUTION[0], SOLUTION[2], SOLUTION[1], *SOLUTION[3:]], "must be the first code cell"),
        ([*SOLUTION[:2], *SOLUTION[3:]], "must be the import cell"),
        ([*SOLUTION, code("import os")], "Cell 8 imports"),
        ([*SOLUTION, code("def f(): pass")], "Cell 8 defines"),
        ([*SOLUTION, code("f = lambda: 1")], "Cell 8 defines"),
        ([*SOLUTION, code("%time 1")], "Cell 8 is not plain Python"),
        ([*SOLUTION, code("open('/data/x')")], "Cell 8 names an absolute path"),
        ([*SOLUTION, code("open('C:\\\\x')")], "Cell 8 names an absolute path"),
        ([*SOLUTION, text("See /home/me/x.")], "Cell 8 names an absolute path"),
        ([*SOLUTION, code("\n".join(["1"] * 16))], "Cell 8 has 16 lines"),
        ([*SOLUTION, *([code("1")] * 11)], "It has 16 code cells"),
        (SOLUTION[:-1], "no heading 'What to notice'"),
    ],
)
def test_a_departure_from_the_form_is_named(tmp_path, cells, said):
    """Each rule has a sentence of its own."""
    path = make(tmp_path / "n.ipynb", *cells)
    notebooks.strip_file(path)
    found = notebooks.check_structure(path)
    assert any(said in sentence for sentence in found), found


def test_an_executed_or_foreign_notebook_is_not_in_form(tmp_path):
    """Outputs and another kernel are departures; the workshop may define functions."""
    path = make(tmp_path / "n.ipynb", *SOLUTION, metadata={"kernelspec": {"name": "mine", "display_name": "m", "language": "R"}})
    found = notebooks.check_structure(path)
    assert [s for s in found if "kernel" in s] == ["The kernel must be 'python3', which every Jupyter has."]
    assert any("not stripped" in s for s in found)
    workshop = make(tmp_path / "workshop" / "w.ipynb", *SOLUTION, code("def f(): pass"))
    notebooks.strip_file(workshop)
    assert notebooks.check_structure(workshop) == []


def test_the_suite_is_found_and_named(tmp_path, monkeypatch):
    """Names are the files' stems, sorted, the workshop's left out; an unknown one lists them."""
    make(tmp_path / "b.ipynb", *SOLUTION)
    make(tmp_path / "a_tour.ipynb", *SOLUTION)
    make(tmp_path / "workshop" / "solutions" / "c.ipynb", *SOLUTION)
    monkeypatch.setattr(shelf, "folder", lambda: tmp_path)
    assert notebooks.names() == ("a_tour", "b")
    assert tmp_path / "b.ipynb" == notebooks.path("b")
    assert notebooks.path("workshop/solutions/c") == tmp_path / "workshop" / "solutions" / "c.ipynb"
    for stranger in ("workshop/solutions/d", "workshop/c", "../b"):
        with pytest.raises(InputError, match="no notebook"):
            notebooks.path(stranger)
    with pytest.raises(InputError, match=r"no notebook 'a_tuor' \(did you mean 'a_tour'\?\); notebooks are: a_tour, b\."):
        notebooks.path("a_tuor")


def test_the_digest_of_a_source_ignores_outputs_and_ids(tmp_path, monkeypatch):
    """Only the cells' sources count: two notebooks that do the same have the same identity."""
    monkeypatch.setattr(shelf, "folder", lambda: tmp_path)
    make(tmp_path / "a.ipynb", *SOLUTION)
    ran = [nbformat.from_dict(dict(c)) for c in SOLUTION]
    ran[2]["outputs"], ran[2]["execution_count"], ran[2]["id"] = [nbformat.v4.new_output("stream", text="hi")], 3, "other"
    make(tmp_path / "b.ipynb", *ran, metadata={})
    make(tmp_path / "c.ipynb", *SOLUTION, code("1"))
    assert notebooks.source_digest("a") == notebooks.source_digest("b") != notebooks.source_digest("c")


def test_an_installed_package_finds_its_own_copy(tmp_path, monkeypatch):
    """Beside src the checkout's notebooks are used, elsewhere the packaged ones; with neither, the installation is broken."""
    monkeypatch.setattr(shelf.resources, "files", lambda _: tmp_path / "src" / "shipworthy")
    with pytest.raises(InputError, match="install shipworthy again"):
        notebooks.folder()
    packaged, checkout = tmp_path / "src" / "shipworthy" / "_notebooks", tmp_path / "notebooks"
    packaged.mkdir(parents=True)
    assert packaged == notebooks.folder()
    checkout.mkdir()
    assert checkout == notebooks.folder()


def test_importing_the_package_imports_neither_papermill_nor_nbformat():
    """`import shipworthy.notebooks` is light: papermill alone would cost over a second."""
    heavy = "import sys, shipworthy.notebooks; sys.exit(bool({'papermill', 'nbformat', 'nbclient', 'zmq'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", heavy], check=False).returncode == 0
