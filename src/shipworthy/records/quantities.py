"""What can be measured: the catalogue of quantities, with units, directions and meanings.

This module does *not* know how any of them is measured, or which value is good enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantity:
    """What can be measured: its unit, which direction is better, and what it means.

    Parameters
    ----------
    name, unit : str
        ``unit`` is ``""`` for a pure number.
    greater_is_better : bool
    meaning : str
        One plain sentence for the report.
    proper : bool
        For accuracy metrics: a proper scoring rule, which cannot be improved by reporting other than what one believes.
    label : str
        The one name that people read; left out, the name without its unit, its underscores as spaces.

    Examples
    --------
    >>> QUANTITIES["roc_auc"].label, QUANTITIES["peak_memory_mib"].label
    ('ROC AUC', 'peak memory')
    """

    name: str
    unit: str
    greater_is_better: bool
    meaning: str
    proper: bool = False
    label: str = ""

    def __post_init__(self) -> None:
        """Fill in the label that is left out."""
        if not self.label:
            suffix = f"_{self.unit.lower().replace('/', '_')}"
            object.__setattr__(self, "label", self.name.removesuffix(suffix).replace("_", " "))


QUANTITIES: Mapping[str, Quantity] = {
    q.name: q
    for q in (
        Quantity("log_loss", "nats", False, "Mean surprise at the true class under the stated probability.", True),
        Quantity("brier", "", False, "Mean squared distance of the stated probabilities from the truth.", True, "Brier score"),
        Quantity("roc_auc", "", True, "How often a positive row is ranked above a negative one.", label="ROC AUC"),
        Quantity("average_precision", "", True, "Area under the precision-recall curve."),
        Quantity("accuracy", "", True, "Share of rows whose most likely class is the true one."),
        Quantity("calibration_error", "", False, "Mean gap between stated and observed frequency, in ten equal bins."),
        Quantity("rmse", "", False, "Root of the mean squared error.", True, "RMSE"),
        Quantity("mae", "", False, "Mean absolute error.", label="MAE"),
        Quantity("r2", "", True, "Share of the variance of the target that is explained.", label="R²"),
        Quantity("latency_ms", "ms", False, "Time from a query being due to its answer being complete."),
        Quantity("cpu_ms", "ms", False, "CPU time of one query, all threads together, averaged over a round.", label="CPU time"),
        Quantity("build_ms", "ms", False, "Part of the latency spent turning the query into a row.", label="building the row"),
        Quantity(
            "preprocess_ms",
            "ms",
            False,
            "Part of the latency spent on preprocessing, the building of the row apart.",
            label="preprocessing",
        ),
        Quantity("model_ms", "ms", False, "Part of the latency spent in the model, its members' together.", label="the model"),
        Quantity(
            "rest_ms",
            "ms",
            False,
            "Part of the latency that building, preprocessing and the model do not explain: what puts them together.",
            label="the rest",
        ),
        Quantity("import_ms", "ms", False, "Importing what serving this artefact needs, in a fresh process.", label="importing"),
        Quantity("load_ms", "ms", False, "Reading the artefact from disk, after the imports.", label="loading"),
        Quantity("first_call_ms", "ms", False, "The first answer after loading."),
        Quantity("told_ms", "ms", False, "Milliseconds a row, as another system's recipe would report it."),
        Quantity("throughput_rows_s", "rows/s", True, "Rows answered per second."),
        Quantity("memory_mib", "MiB", False, "Memory of a serving process above an idle interpreter, after the first call."),
        Quantity("peak_memory_mib", "MiB", False, "Highest memory above an idle interpreter while predicting."),
        Quantity(
            "full_memory_mib",
            "MiB",
            False,
            "As memory, but with everything in reach that the notebook environment holds, as a careless service would have it.",
            label="memory with all imports",
        ),
        Quantity("size_mib", "MiB", False, "Size of the artefact on disk.", label="size on disk"),
        Quantity("models", "", False, "Fitted models that an ensemble of models holds.", label="models inside"),
        Quantity("member_weight", "", True, "Share of a member in a vote.", label="weight of a member"),
        Quantity("member_size_mib", "MiB", False, "Size on disk of a member alone.", label="size of a member on disk"),
        Quantity(
            "fit_s",
            "s",
            False,
            "As the CPU time of the fit, but wall time; given only when nothing shared the machine.",
            label="time of the fit",
        ),
        Quantity(
            "fit_cpu_s",
            "s",
            False,
            "CPU time of the final fit; of an ensemble, its members' too; of a stack, also their out-of-fold fits.",
            label="CPU time of the fit",
        ),
        Quantity(
            "fit_memory_mib",
            "MiB",
            False,
            "Highest memory of the final fit above what the process held before.",
            label="memory of the fit",
        ),
        Quantity(
            "usd_per_million",
            "USD",
            False,
            "Price of a million queries: an estimate from the declared prices.",
            label="price of a million queries",
        ),
        Quantity(
            "usd_per_month",
            "USD",
            False,
            "Machines that serve for a month, idle and spare copies included: an estimate from the declared prices.",
            label="serving a month",
        ),
        Quantity("training_usd_month", "USD/month", False, "Machines that retrain for a month: an estimate.", label="retraining"),
        Quantity(
            "upkeep_usd_month", "USD/month", False, "People who keep its parts alive for a month: an estimate.", label="upkeep"
        ),
        Quantity(
            "delay_usd_month", "USD/month", False, "What is lost in a month to answers taking time: an estimate.", label="delay"
        ),
        Quantity(
            "answers_usd_month",
            "USD/month",
            True,
            "What right answers earn in a month, less what wrong ones cost: an estimate.",
            label="answers",
        ),
        Quantity(
            "net_value_usd_month",
            "USD/month",
            True,
            "Answers of a month less delay, serving, retraining and upkeep: an estimate.",
            label="net value a month",
        ),
        Quantity("correct_share", "", True, "Share of answers that are right, at the threshold that decides."),
        Quantity("false_positive_share", "", False, "Share of answers that say the positive class and are wrong."),
        Quantity("false_negative_share", "", False, "Share of answers that say the negative class and are wrong."),
        Quantity("wrong_share", "", False, "Share of all answers that are wrong about rows of this true class."),
    )
}
