"""A tenth of the bad inputs of ``make fuzz``: each is one sentence and exit code 2, and nothing is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_generated_bad_inputs_are_refused_in_one_sentence():
    """Of 200 generated study files, tables and command lines, none ends in a traceback, a hang or a file left behind."""
    command = [sys.executable, str(Path(__file__).with_name("fuzz.py")), "--inputs", "200", "--seed", "7"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    last, *_ = ended.stdout.splitlines()[::-1]
    assert last.startswith("200 inputs in ")
    assert last.endswith(", 0 failures")
    # Most of them must be bad, or the sentence above says little.
    refused = next(line for line in ended.stdout.splitlines() if line.startswith("all")).split()[2]
    assert int(refused) > 120
