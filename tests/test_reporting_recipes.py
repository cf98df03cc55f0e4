"""What recipes would have told: sentences, the table and the figure say what the findings hold, of any candidates."""

from __future__ import annotations

import html
import math
import re
from dataclasses import replace

import pytest

from shipworthy.records import InputError, RecipeFinding, Told
from shipworthy.reporting import recipe_sentence, told_figure, told_table

ROWS = (
    Told("adult", "tree", "h2o", "H2O's leaderboard", "bulk", 0.02, 1.0, 1.5),
    Told("adult", "forest", "h2o", "H2O's leaderboard", "bulk", 0.01, 9.0, 18.0),
    Told("adult", "boost & co", "h2o", "H2O's leaderboard", "bulk", 0.005, 2.0, 10.0),
    Told("adult", "tree", "mljar", "MLJAR's leaderboard", "one row", 2.0, 1.0, 1.5),
    Told("adult", "forest", "mljar", "MLJAR's leaderboard", "one row", math.nan, 9.0, 18.0, "it hung <at once>"),
    Told("adult", "boost & co", "mljar", "MLJAR's leaderboard", "one row", 4.0, 2.0, 10.0),
)
FLIPS = (("forest", "tree"), ("boost & co", "tree"))
H2O = RecipeFinding("adult", "h2o", "H2O's leaderboard", "bulk", ROWS[1], 3, FLIPS, "boost & co", "tree", 1.2)
MLJAR = RecipeFinding("adult", "mljar", "MLJAR's leaderboard", "one row", ROWS[3], 1, (), "tree", "tree", 1.2)


def test_a_sentence_says_the_gap_the_order_and_the_fastest():
    """The worst candidate's two figures and their ratio, the pair furthest apart, how many more, and who is really fastest."""
    assert recipe_sentence(H2O) == (
        "H2O's leaderboard says that forest takes 0.0100 ms a row; one query takes 9.00 ms at p50, 900 times as long. It puts "
        "forest before tree, which is the other way round, as it does with 1 more of the 3 pairs that can be told apart. Its "
        "fastest is boost & co; really it is tree."
    )
    assert recipe_sentence(MLJAR) == (
        "MLJAR's leaderboard says that tree takes 2.00 ms a row; one query takes 1.00 ms at p50, only 0.50 times as long. It "
        "orders the 1 pair that can be told apart as it is."
    )


def test_a_sentence_claims_no_order_that_the_noise_hides():
    """Without pairs that are apart nothing is called wrong, and two fastest that cannot be told apart are not contrasted."""
    unsure = replace(H2O, pairs=0, flips=())
    assert recipe_sentence(unsure).endswith("No two candidates can be told apart, so there is no order to get wrong.")
    one = recipe_sentence(replace(H2O, flips=FLIPS[:1]))
    assert one.endswith("which is the other way round.")
    assert "fastest" not in one


def cells(table):
    """The table as lists of text, tags removed and entities read."""
    rows = re.findall(r"<tr>(.*?)</tr>", table, flags=re.DOTALL)
    return [[html.unescape(re.sub(r"<[^>]+>", "", c)) for c in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def test_the_table_holds_every_figure_under_the_truth():
    """Candidates stand fastest first; each cell has the figure and the factor; pairs that are the wrong way round are named."""
    table = told_table(ROWS, (H2O, MLJAR))
    head, p50, p99, h2o, mljar = cells(table)
    assert head == ["milliseconds a row", "tree", "boost & co", "forest", "puts first, though slower"]
    assert p50 == ["one query, p50", "1.00", "2.00", "9.00", "of pairs more than 20 % apart"]
    assert p99[:4] == ["one query, p99", "1.50", "10.0", "18.0"]
    assert [c.split(" ")[0] for c in h2o[1:4]] == ["0.0200", "0.00500", "0.0100"]
    assert [re.sub(r"\D", "", c.split("(")[1]) for c in h2o[1:4]] == ["50", "400", "900"]
    assert [c.endswith("↑") for c in h2o[1:4]] == [False, True, True]
    assert not any("↑" in c for row in (p50, p99, mljar) for c in row)
    assert h2o[-1] == "forest before tree; boost & co before tree"
    assert mljar[3] == "–"  # noqa: RUF001 - an en dash is how a table says that there is nothing
    assert mljar[-1] == "none"


def test_the_table_escapes_and_marks_the_fastest_of_each_row():
    """Names and reasons are escaped, and one figure a row is bold: that of the fastest by that row."""
    table = told_table(ROWS, (H2O, MLJAR))
    assert "boost &amp; co" in table
    assert "& co" not in table
    assert "<span title='it hung &lt;at once&gt;'>" in table
    assert re.findall(r"<b>(.*?)</b>", table) == ["1.00", "0.00500", "2.00"]


def test_without_findings_the_table_and_the_figure_still_stand():
    """Where nothing was told, or nothing can be told apart, they say so."""
    silent = [replace(row, told_ms=math.nan, reason="it hung") for row in ROWS]
    assert "no pair can be told apart" in told_table(silent, ())
    assert told_figure(silent, ()).finding == "No timing recipe told anything"
    assert (
        told_figure(ROWS, ()).finding
        == "adult: the median query of forest takes 9.00 ms, 900 times what H2O's leaderboard would tell"
    )
    same = told_figure(ROWS, [replace(H2O, flips=()), MLJAR]).finding
    # Of three pairs two are within the noise for MLJAR: nothing is said of their order.
    assert same.endswith("; all 2 recipes order the candidates that can be told apart as they are")
    one = told_figure(ROWS, [MLJAR]).finding
    assert one.endswith("; the recipe orders the candidates that can be told apart as they are")


def test_the_figure_shows_and_describes_every_candidate():
    """Its finding is the widest gap and the recipes that are wrong; one point a figure told; the same bytes each time."""
    figure = told_figure(ROWS, (H2O, MLJAR))
    assert figure.finding == (
        "adult: the median query of forest takes 9.00 ms, 900 times what H2O's leaderboard would tell; "
        "1 of 2 recipes has candidates the wrong way round"
    )
    assert "forest: one query takes 9.00 ms at p50, 18.0 ms at p99; told are 0.0100 ms by H2O's leaderboard" in figure.description
    assert "4.00 ms by MLJAR's leaderboard" in figure.description
    (ax,) = figure.figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["tree", "boost & co", "forest"]
    points = [line for line in ax.lines if line.get_marker() in ("o", "D")]
    assert sorted(float(line.get_xdata()[0]) for line in points) == [0.005, 0.01, 0.02, 2.0, 4.0]
    low, high = ax.get_xlim()
    assert low < 0.005
    assert high > 18
    assert figure.svg() == told_figure(ROWS, (H2O, MLJAR)).svg()


def test_several_data_sets_are_refused():
    """Two data sets in one table or figure are an error that names the remedy."""
    mixed = [*ROWS, replace(ROWS[0], dataset="flights")]
    for show in (told_table, told_figure):
        with pytest.raises(InputError, match="several data sets"):
            show(mixed, (H2O,))
