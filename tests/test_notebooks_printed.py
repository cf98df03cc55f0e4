"""What kernels print: never a reason to hang, kept within bounds, and put together as a terminal would show it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipworthy import notebooks
from shipworthy.notebooks import printed

MIB = 2**20
LEFT_OUT = re.compile(r"\[([\d,]+) bytes that were printed past Python are left out here\]")
# None of them prints a line's end: a line of a million characters is what nbclient takes minutes over.
WAYS = {
    "os.write": ("import os\nfor _ in range(3):\n    os.write(1, b'w' * 2**20)", "w", 3 * MIB),
    "both at once": ("import os\nfor _ in range(3):\n    os.write(1, b'p' * 2**20)\n    os.write(2, b'p' * 2**20)", "p", 6 * MIB),
    "a child": (
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', \"print('c' * 3 * 2**20, end='')\"], check=True)",
        "c",
        3 * MIB,
    ),
    # A PyDLL holds the interpreter's lock while it prints, so no thread of the kernel could empty the pipe.
    "a C library": ("import ctypes\nctypes.PyDLL(None).write(1, b'l' * 2**20, 2**20)", "l", MIB),
}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no C library in the process itself; run this on Linux or macOS")
def test_a_cell_may_print_megabytes_past_python(tmp_path):
    """By os.write, a child process or a library that holds the lock: it ends, first and last part are kept, the rest is said."""
    cells = [
        nbformat.v4.new_markdown_cell("# Does it end?"),
        nbformat.v4.new_code_cell("x: int = 1", metadata={"tags": ["parameters"]}),
    ]
    cells += [nbformat.v4.new_code_cell(f"print('begun')\n{source};") for source, _, _ in WAYS.values()]
    cells += [nbformat.v4.new_code_cell("import sys\nprint('y' * 2_500_000, end='')\nprint('seen', file=sys.stderr)\n1 / 0")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "n.ipynb")
    done = notebooks.execute(tmp_path / "n.ipynb", tmp_path / "out.ipynb", {}, timeout_s=100)
    assert done.error.ename == "ZeroDivisionError"
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    *loud, last = [cell for cell in executed if cell.cell_type == "code" and "print" in cell.source]
    for cell, (_, letter, size) in zip(loud, WAYS.values(), strict=True):
        (output,) = cell.outputs
        said = LEFT_OUT.search(output.text)
        dropped = int(said[1].replace(",", ""))
        assert dropped == size - printed.MOST_PAST_PYTHON
        first, end = output.text.removeprefix("begun\n").split(said[0])
        assert first.strip("\n") == end.strip("\n") == letter * (printed.MOST_PAST_PYTHON // 2)
    assert [o.get("name", o.output_type) for o in last.outputs] == ["stdout", "stderr", "error"]
    assert last.outputs[0].text == "y" * 1_000_000 + "\n[1,500,000 more characters were printed here, and dropped]\n"


@pytest.mark.parametrize("pieces", [1, 7, 4096, 100_000])
def test_a_drain_keeps_all_that_there_is_room_for(pieces):
    """In whatever pieces it comes, also through a process of its own, nothing is lost, and nothing comes twice."""
    text = ("All that is printed. " * 9_000)[:150_000]
    with printed.Drain(most=400_000) as drain:
        for start in range(0, len(text), max(pieces, 100)):
            os.write(drain.end, text[start : start + max(pieces, 100)].encode())
            if pieces == 1 and not start % 30_000:
                assert drain.take()
                text_from = start + 100
        assert drain.take() == (text[text_from:] if pieces == 1 else text)
        subprocess.run(
            [sys.executable, "-c", "print('é' * 70_000, end='')"],
            stdout=drain.end,
            check=True,
            env={**os.environ, "PYTHONUTF8": "1"},
        )
        assert drain.take() == "é" * 70_000
        assert drain.take() == ""
    assert "printed" not in [thread.name for thread in threading.enumerate()]


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(0, 40))
def test_the_ends_of_what_was_said_and_the_count_between_them(said, half):
    """First and last are the first and the last, and what is left out is counted."""
    ends, whole = printed.Ends(2 * half), b"".join(said)
    for piece in said:
        ends.add(piece)
    text = ends.text()
    left_out = max(0, len(whole) - 2 * half)
    assert ends.left_out == left_out
    if left_out:
        first, last = (part.decode("utf-8", errors="replace") for part in (whole[:half], whole[len(whole) - half :]))
        assert text == f"{first}\n[{left_out:,} bytes that were printed past Python are left out here]\n{last}"
    else:
        assert text == whole.decode("utf-8", errors="replace")


@given(st.text(st.sampled_from("ab\r\n"), max_size=40))
def test_a_carriage_return_does_what_nbclient_says(text):
    """In one pass the same as by nbclient's regular expression, whose time is the square of a line's length."""
    from nbclient.client import _RGX_CARRIAGERETURN

    assert printed.as_seen(text) == _RGX_CARRIAGERETURN.sub("", text)


@pytest.mark.parametrize(("text", "seen"), [("ab\b", "a"), ("\b\bx", "x"), ("abc\b\bd\n\be", "ad\ne"), ("1\r2\b3", "3")])
def test_a_backspace_takes_one_character_of_its_line(text, seen):
    """As a terminal does, and never a line's end."""
    assert printed.as_seen(text) == seen


def test_streams_are_put_together_in_order():
    """Each stream in one piece where it first appeared, stdout before stderr, everything else untouched."""
    stream = [("stderr", "e1"), ("stdout", "o1\r"), ("stderr", "e2"), ("stdout", "o2")]
    outputs = [{"output_type": "stream", "name": name, "text": text} for name, text in stream]
    shown = {"output_type": "display_data", "data": {}}
    assert printed.together([*outputs[:2], shown, *outputs[2:]]) == [
        {"output_type": "stream", "name": "stdout", "text": "o2"},
        {"output_type": "stream", "name": "stderr", "text": "e1e2"},
        shown,
    ]
