"""network.limits: entries that read, and those that do not."""

from __future__ import annotations

import pytest

from node.bandwidth import bandwidth_of
from node.config.bandwidth_limits import BadLimits, Direction, Scope, rate_at, read_limits
from node.config.config import load
from node.config.errors import BadConfig

MIDNIGHT, MORNING, NOON, EVENING = 0, 8 * 60, 12 * 60, 22 * 60


def test_a_time_goes_before_the_rest_of_the_day_and_may_be_over_midnight() -> None:
    limits = read_limits(
        ["open up 2MiB", "open up 500kB/s 08:00-18:00", "open up none 22:00-06:00", "members down 1000000"]
    )
    up = limits[Scope.OPEN, Direction.UP]
    assert [rate_at(up, minute) for minute in (MIDNIGHT, 6 * 60, MORNING, NOON, 18 * 60, EVENING)] == [
        *(None, 2 << 20, 500_000, 500_000, 2 << 20, None)
    ]
    assert rate_at(limits[Scope.MEMBERS, Direction.DOWN], NOON) == 1_000_000
    assert rate_at(read_limits(["gateway up 1.5MB 18:00-24:00"])[Scope.GATEWAY, Direction.UP], NOON) is None


@pytest.mark.parametrize(
    "entries",
    [
        ["open"],
        ["open up"],
        ["open up fast"],
        ["open sideways 2MiB"],
        ["strangers up 2MiB"],
        ["open up 2 MiB"],
        ["open up -2MiB"],
        ["open up 2mib"],
        ["open up 1000"],
        ["open up 0"],
        ["open up 2MiB 08-18"],
        ["open up 2MiB 08:00-08:00"],
        ["open up 2MiB 00:00-24:00"],
        ["open up 2MiB 24:00-08:00"],
        ["open up 2MiB 08:00-25:00"],
        ["open up 2MiB 08:60-09:00"],
        ["open up 2MiB", "open up 3MiB"],
        ["open up 2MiB 08:00-18:00", "open up 3MiB 17:59-19:00"],
        ["open up 2MiB 22:00-06:00", "open up none 05:00-05:30"],
    ],
)
def test_what_does_not_read_or_contradicts_is_refused(entries: list[str]) -> None:
    with pytest.raises(BadLimits):
        read_limits(entries)


def test_the_setting_says_what_it_takes(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("config") / "config.toml"
    with pytest.raises(BadConfig, match=r"network\.limits.*takes entries such as `open up 2MiB`"):
        load(path, {"PINFOLD_NETWORK_LIMITS": "open up 2MiB, open up 3MiB"})
    found = load(path, {"PINFOLD_NETWORK_LIMITS": "open up 2MiB, members down 3MiB 08:00-18:00"})
    bandwidth = bandwidth_of(found.network.limits, lambda: NOON)
    limits = {scope: (ways.up.passed().limit, ways.down.passed().limit) for scope, ways in bandwidth}
    assert limits == {"open": (2 << 20, None), "members": (None, 3 << 20), "gateway": (None, None)}
