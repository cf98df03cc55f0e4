"""The fresh process in which recipes are replayed on one artefact: reads a job on stdin, writes one JSON line per recipe.

It is run as a script, like ``child.py``, whose way of reading, reporting and ending it shares.

It does *not* know what the figures are compared with.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from shipworthy.measurement.apart import take_apart
from shipworthy.measurement.child import Report, obtain, pin, read_job, set_threads, watch_parent
from shipworthy.measurement.recipes import RECIPES, CannotReplayError, Rows

FILES, ROWS_IN_FILE = 10, 1000


def read_rows(job: dict[str, Any], folder: Path) -> Rows:
    """Rows of the job as DataFrames, and files of rows drawn from them."""
    import pandas as pd

    def frame(path: str) -> pd.DataFrame:
        queries = json.loads(Path(path).read_bytes())
        if not queries:
            sys.exit(f"{Path(path).name} holds no rows")
        return pd.DataFrame(queries)

    held_out = frame(job["queries"])
    files = [folder / f"rows{i}.parquet" for i in range(FILES if "amlb_batch" in job["recipes"] else 0)]
    for i, path in enumerate(files):
        held_out.sample(ROWS_IN_FILE, replace=True, random_state=i).to_parquet(path, index=False)
    return Rows(held_out, frame(job["training"]), files, ROWS_IN_FILE, pd.read_parquet)


def main() -> None:
    """Replay every recipe of the job."""
    job = read_job()
    report = Report(job["result"])
    faulthandler.dump_traceback_later(job["time_limit_s"] + 5, exit=True)
    threading.Thread(target=watch_parent, daemon=True).start()
    report.facts({"pinned": pin(job["cores"])})
    sys.path[:0] = job["sys_path"]
    model = obtain(job, report)
    set_threads(model, job["threads"], set())
    fitted = take_apart(model)
    with tempfile.TemporaryDirectory(dir=Path(job["result"]).parent) as folder:
        report.stage("reading rows")
        rows = read_rows(job, Path(folder))
        report.stage("answering before any recipe")
        fitted.predict_proba(rows.held_out.head(2))
        for name in job["recipes"]:
            report.stage(f"replaying {RECIPES[name].title}")
            gc.collect()
            try:
                told = RECIPES[name].replay(fitted, rows, time.perf_counter)
            except CannotReplayError as error:
                report.facts({f"cannot {name}": str(error)})
            except Exception as error:  # noqa: BLE001 - one recipe that a model cannot follow must not cost the others
                report.facts({f"cannot {name}": f"{type(error).__name__}: {error}"})
            else:
                report.values(name, [told])
        report.facts({"done": True})
    os._exit(0)


if __name__ == "__main__":
    main()
