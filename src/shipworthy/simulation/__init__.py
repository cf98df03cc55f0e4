"""What was not built or run, as arithmetic on what was: queues so far.

It does *not* know how anything was measured, nor which outcome is wanted.
"""

from __future__ import annotations

from shipworthy.simulation.queues import lindley, predict_highest_rate, sojourn_ms

__all__ = ["lindley", "predict_highest_rate", "sojourn_ms"]
