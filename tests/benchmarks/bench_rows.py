"""What five million rows of thirty columns in one Parquet file need: a study of two candidates, from the file to the verdict.

The table is planted: sixteen numbers and fourteen texts, of which some tell the answer. It is written in pieces. The peak is that
of the command and of every process that it starts, added up at each moment, as Linux counts it (proportional set size, so that
pages that are shared count once).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from harness import Result, at_most, command_beside_python, main

from shipworthy import open_run

N_ROWS = int(os.environ.get("BENCH_ROWS", "5000000"))
NUMBERS, TEXTS = 16, 14
PIECE = 250_000
LOOK_EVERY_S = 0.5
STUDY = """\
name: rows
question: What do five million rows need?
datasets:
  - {{file: {file}, target: bought, name: rows, max_rows: {max_rows}}}
candidates: [logistic_regression, xgboost]
prices: {{as_of: "2026-03", source: a benchmark, vcpu_hour_usd: 0.04, gib_hour_usd: 0.004}}
training: {{max_train_rows: 300000, max_test_rows: 50000, folds: 3}}
measuring: {{queries: 700, rounds: 2}}
"""
MAX_ROWS = int(os.environ.get("BENCH_MAX_ROWS", "1000000"))


def write_rows(path: Path, n_rows: int, seed: int = 0) -> None:
    """Write the planted table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    for piece, begins in enumerate(range(0, n_rows, PIECE)):
        rng = np.random.default_rng([seed, piece])
        n = min(PIECE, n_rows - begins)
        numbers = {f"n{k}": rng.normal(size=n) for k in range(NUMBERS)}
        codes = {f"t{k}": rng.integers(0, 3 + 4 * k, n) for k in range(TEXTS)}
        signal = numbers["n0"] + 0.5 * numbers["n1"] * (codes["t0"] == 0) + 0.3 * (codes["t5"] % 3) - 0.8
        bought = rng.random(n) < 1 / (1 + np.exp(-signal))
        numbers["n2"][rng.random(n) < 0.1] = np.nan
        columns = {name: pa.array(v, from_pandas=True) for name, v in numbers.items()}
        columns |= {
            name: pa.DictionaryArray.from_arrays(pa.array(v.astype(np.int32)), [f"v{i}" for i in range(3 + 4 * int(name[1:]))])
            for name, v in codes.items()
        }
        table = pa.table(columns | {"bought": pa.array(np.where(bought, "yes", "no"))})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def peak_of(command: list[str]) -> tuple[float, float]:
    """Peak memory (GiB) of a command with all its children, and its wall seconds."""
    began, peak = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=sys.stderr) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            held = 0
            try:
                for one in (root, *root.children(recursive=True)):
                    memory = one.memory_full_info()
                    held += getattr(memory, "pss", memory.rss)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                held = 0  # somebody ended meanwhile: the next look counts
            peak = max(peak, held)
            time.sleep(LOOK_EVERY_S)
    if process.returncode:
        msg = f"{' '.join(command)} failed; see above"
        raise RuntimeError(msg)
    return peak / 2**30, time.perf_counter() - began


def measure() -> list[Result]:
    """Write the file, study it, and look what was said."""
    with tempfile.TemporaryDirectory() as scratch:
        data, study, outputs = Path(scratch) / "rows.parquet", Path(scratch) / "rows.yaml", Path(scratch) / "out"
        write_rows(data, N_ROWS)
        size = data.stat().st_size / 2**20
        study.write_text(STUDY.format(file=data, max_rows=MAX_ROWS), encoding="utf-8")
        peak, wall = peak_of([command_beside_python("shipworthy"), "run", str(study), "--outputs", str(outputs)])
        run = open_run(outputs / "rows")
        page, records = run.report.read_text(encoding="utf-8"), run.records()
    how = f"{N_ROWS:,} rows x {NUMBERS + TEXTS} columns, {size:,.0f} MiB of Parquet, "
    how += f"max_rows {MAX_ROWS:,}, at most 300,000 rows train and 50,000 test, 3 folds, one `shipworthy run`"
    said = MAX_ROWS in (0, N_ROWS) or f"holds {N_ROWS:,} rows; a sample of {MAX_ROWS:,}" in page
    results = [
        at_most("peak memory, all processes", peak, 10, "GiB", how=how),
        Result(name="wall", value=wall, unit="s", how=how),
        Result(name="the sample is said", value=float(said), unit="", how=how, target="1", holds=said),
    ]
    for name in ("logistic_regression", "xgboost"):
        own = records[(records["candidate"] == name) & (records["statistic"] == "test") & (records["quantity"] == "roc_auc")]
        fitted = records[(records["candidate"] == name) & (records["quantity"] == "fit_cpu_s")]
        wait = records[
            (records["candidate"] == name)
            & (records["quantity"] == "latency_ms")
            & (records["statistic"] == "p99")
            & (records["scenario"] == "single_stream")
        ]
        found = (("ROC AUC", own, ""), ("final fit, CPU", fitted, "s"), ("p99 latency", wait, "ms"))
        results += [
            Result(name=f"{name}, {what}", value=float(rows["value"].iloc[0]), unit=u, how=how) for what, rows, u in found
        ]
    return results


if __name__ == "__main__":
    main("Many rows", measure)
