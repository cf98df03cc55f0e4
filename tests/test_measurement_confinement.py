"""What a piece of work may take: memory, by the system's own limit, and characters that it prints."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipworthy.measurement import confinement

TAKES = """\
import sys
from shipworthy.measurement.confinement import limit_memory
lift = limit_memory()
held = bytearray(100 * 2**20)
try:
    more = bytearray(400 * 2**20)
except MemoryError:
    print("refused")
del held
lift()
more = bytearray(400 * 2**20)
print("lifted")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process limit its memory; run this on Linux")
@pytest.mark.parametrize(("limit", "said"), [("200", ["refused", "lifted"]), ("0", ["lifted"]), ("", ["lifted"])])
def test_memory_beyond_the_limit_is_refused_until_it_is_lifted(limit, said):
    """With 200 MiB allowed, 100 are had and 400 more are a MemoryError; with what is free allowed, or no limit, all are had."""
    environment = {**os.environ, confinement.MEMORY_VARIABLE: limit}
    ended = subprocess.run([sys.executable, "-c", TAKES], env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == said


@given(st.lists(st.text(max_size=40), max_size=20), st.integers(0, 60))
def test_the_first_characters_pass_and_the_others_are_counted(pieces, most):
    """However it is written, what arrives is the beginning of it, and what is dropped is the rest."""
    behind = io.StringIO()
    mouthful = confinement.Mouthful(behind, most)
    assert [mouthful.write(piece) for piece in pieces] == [len(piece) for piece in pieces]
    whole = "".join(pieces)
    assert behind.getvalue() == whole[:most]
    assert mouthful.dropped == len(whole[most:])


def test_what_was_dropped_is_said_once(capsys):
    """Work that prints more than it may ends with a note on each stream, and the streams are given back."""
    before = sys.stdout, sys.stderr
    with confinement.confined(memory=False):
        print("x" * (confinement.MOST_PRINTED + 1234))  # noqa: T201 - that is the point
        print("fine", file=sys.stderr)  # noqa: T201 - likewise
    assert (sys.stdout, sys.stderr) == before
    said = capsys.readouterr()
    assert said.out == "x" * confinement.MOST_PRINTED + "\n[1,235 more characters were printed here, and dropped]\n"
    assert said.err == "fine\n"


def test_free_memory_is_less_than_the_machine_has():
    """What is free is some, and no more than the machine's memory."""
    import psutil

    assert 0 < confinement.free_mib() <= psutil.virtual_memory().total / 2**20 or sys.platform != "linux"
