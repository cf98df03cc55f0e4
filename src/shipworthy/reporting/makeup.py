"""What ensembles are made of, from the records: members, their weights where they vote, and how big each is beside the whole.

This module does *not* know how members were chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipworthy.reporting.wording import number

if TYPE_CHECKING:
    import pandas as pd

QUANTITIES_OF_MEMBERS = ("models", "member_weight", "member_size_mib")


def members_table(records: pd.DataFrame) -> pd.DataFrame:
    """One row for each ensemble and each member that it takes for any seed.

    Parameters
    ----------
    records : DataFrame
        Columns as the fields of :class:`~shipworthy.records.Record`.

    Returns
    -------
    DataFrame
        ``dataset``, ``level``, ``candidate``, ``member``; ``weight``, the mean over the seeds, nothing where a seed did not
        choose the member, and missing for what does not vote; ``chosen_seeds`` and ``seeds``; ``size_mib`` of the member and
        ``whole_size_mib`` of the ensemble, means over the seeds that have them. Heaviest first; empty without ensembles.
    """
    import pandas as pd

    columns = ["dataset", "level", "candidate", "member", "weight", "chosen_seeds", "seeds", "size_mib", "whole_size_mib"]
    sizes = records[records["quantity"] == "member_size_mib"]
    rows: list[dict[str, Any]] = []
    for key, own in sizes.groupby(["dataset", "level", "candidate"], sort=True):
        here = records[(records[["dataset", "level", "candidate"]] == list(key)).all(axis=1)]
        weights, whole = (here[here["quantity"] == q] for q in ("member_weight", "size_mib"))
        seeds = own["seed"].nunique()
        for member, part in own.groupby("group", sort=True):
            weight = weights.loc[weights["group"] == member, "value"].sum() / seeds if len(weights) else float("nan")
            facts = {"member": member, "weight": weight, "chosen_seeds": part["seed"].nunique(), "seeds": seeds}
            facts |= {"size_mib": part["value"].mean(), "whole_size_mib": whole["value"].mean()}
            rows.append(dict(zip(columns, key, strict=False)) | facts)
    frame = pd.DataFrame(rows, columns=columns)
    order = ["dataset", "level", "candidate", "weight", "member"]
    return frame.sort_values(order, ascending=[True, True, True, False, True], kind="stable", ignore_index=True)


def make_up(records: pd.DataFrame) -> list[dict[str, str]]:
    """What each ensemble of one data set and level is made of, in words.

    Parameters
    ----------
    records : DataFrame
        Of one data set and level.

    Returns
    -------
    list of dict
        ``candidate``; ``models``, how many fitted models it holds; ``members``, with weights and sizes on disk; ``whole``, its
        own size on disk. By name.
    """
    out = []
    models = records[records["quantity"] == "models"].groupby("candidate")["value"].mean()
    for candidate, own in members_table(records).groupby("candidate", sort=True):
        told = []
        for row in own.to_dict("records"):
            weight = f" {row['weight']:.2f}".replace(" 0.", " .") if row["weight"] == row["weight"] else ""
            some = f", in {row['chosen_seeds']} of {row['seeds']} seeds" if row["chosen_seeds"] < row["seeds"] else ""
            told.append(f"{row['member']}{weight} ({number(row['size_mib'])} MiB{some})")
        whole = own["whole_size_mib"].iloc[0]
        out.append(
            {
                "candidate": str(candidate),
                "models": f"{models[candidate]:.3g}",
                "members": ", ".join(told),
                "whole": f"{number(whole)} MiB" if whole == whole else "not measured",  # noqa: PLR0124 - nan differs from itself
            }
        )
    return out
