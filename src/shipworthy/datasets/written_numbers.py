"""Reads numbers as people and spreadsheets write them: with a currency or percent sign, or marks between thousands.

Which of comma and point parts the decimals is decided once for a column, by all of its cells; mixtures are no numbers.

This module does *not* know which column it reads, or what a currency is worth.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

SPACES = "\u00a0\u202f "
"""Between number and sign, and, in some countries, between thousands."""
LONGEST = 40
"""Characters of a cell that may be a number in other clothes."""
MINUS = str.maketrans({"\u2212": "-"})


def read_numbers(written: pd.Series[Any], *, decimal_comma: bool) -> tuple[pd.Series[float], str]:
    """The numbers that cells hold, and what had to be read away.

    Parameters
    ----------
    written : pandas.Series of str
        Different cells of a column.
    decimal_comma : bool
        Whether a comma may part the decimals.

    Returns
    -------
    numbers : pandas.Series of float64
        NaN where a cell holds no number.
    how : str
        Such as ``without $, with ',' between thousands``; empty where every number is written plainly.

    Examples
    --------
    >>> import pandas as pd
    >>> numbers, how = read_numbers(pd.Series(["$1,299.50", "-$3", "7"]), decimal_comma=False)
    >>> numbers.tolist(), how
    ([1299.5, -3.0, 7.0], "without $, with ',' between thousands")
    """
    import pandas as pd

    shown = written.str.replace(",", ".", regex=False) if decimal_comma else written
    plain = pd.to_numeric(shown, errors="coerce").astype("float64")
    if plain.notna().all():
        return plain, ""
    signs = [_undressed(cell) for cell in written]
    ways = [(".", ","), (",", ".")] if decimal_comma else [(",", ".")]
    read = [pd.Series([_number(bare, *way) for bare, _ in signs], index=written.index, dtype="float64") for way in ways]
    best = max(range(len(ways)), key=lambda i: (int(read[i].notna().sum()), -i))
    numbers = read[best].fillna(plain)
    if numbers.notna().sum() <= plain.notna().sum():
        return plain, ""
    taken = [sign for sign, known in zip(signs, read[best].notna(), strict=True) if known]
    marks = sorted({mark for _, mark in taken} - {""})
    parts = [f"without {' and '.join(marks)}"] if marks else []
    if any(ways[best][0] in bare for bare, _ in taken):
        parts.append(f"with {ways[best][0]!r} between thousands")
    return numbers, ", ".join(parts) or "with their signs and brackets"


def _undressed(cell: str) -> tuple[str, str]:
    """A cell without its one sign of money or percent, its sign first, and that mark; an accountant's brackets are a minus."""
    if len(cell) > LONGEST or not any(c.isdigit() for c in cell):
        return "", ""
    bare = cell.translate(MINUS).strip(SPACES)
    negative = bare.startswith("(") and bare.endswith(")")
    bare = bare[1:-1] if negative else bare
    marks = [c for c in bare if c == "%" or unicodedata.category(c) == "Sc"]
    if len(marks) == 1:
        before, _, after = bare.partition(marks[0])
        before, after = before.strip(SPACES), after.strip(SPACES)
        if before in {"", "-", "+"} or not after:
            bare = before + after
    return ("-" + bare if negative else bare), (marks[0] if len(marks) == 1 else "")


def _number(bare: str, thousands: str, decimals: str) -> float:
    """A number with these marks; NaN where the text is none."""
    between, point = re.escape(thousands), re.escape(decimals)
    if not re.fullmatch(rf"[-+]?(\d{{1,3}}({between}\d{{3}})+|\d+)({point}\d+)?", bare, re.ASCII):
        return float("nan")
    return float(bare.replace(thousands, "").replace(decimals, "."))
