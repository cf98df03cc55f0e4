"""Runs every benchmark, one after the other; keeps each one's results as JSON and prints them all as tables.

Names given as arguments (``study startup``) choose benchmarks. A benchmark that fails or misses a target does not stop
the others: the exit code says so at the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from harness import ROOT, Result, show


def main() -> int:
    """Run them; the number of benchmarks that failed or missed a target."""
    found = {path.stem.removeprefix("bench_"): path for path in sorted(Path(__file__).parent.glob("bench_*.py"))}
    chosen = sys.argv[1:] or list(found)
    if unknown := set(chosen) - set(found):
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(found)}.")
    folder = ROOT / "outputs" / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    failed = []
    for topic in chosen:
        print(f"{topic} ...", flush=True)  # noqa: T201 - progress, for a person who waits
        answer = subprocess.run(
            [sys.executable, found[topic], "--json"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
        )
        try:
            results = [Result(**line) for line in json.loads(answer.stdout)]
        except (ValueError, TypeError) as error:
            print(f"{topic} failed ({error}); its last output:\n{answer.stdout[-2000:]}")  # noqa: T201
            failed.append(f"{topic} (no results)")
            continue
        (folder / f"{topic}.json").write_text(answer.stdout, encoding="utf-8")
        show(topic, results)
        if answer.returncode:
            failed.append(topic)
    print(f"Results are in {folder.relative_to(ROOT).as_posix()}/.")  # noqa: T201
    if failed:
        print(f"Failed, or missed a target: {', '.join(failed)}.")  # noqa: T201
    return len(failed)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
