"""How far a pin is, as the API and the command say it."""

from __future__ import annotations

import pytest

from cluster.pin import Progress
from node.cli.api.response import ApiResponse
from node.cli.commands.status import pace
from node.cli.output.progress import duration
from node.http.rest.shapes import progress_shape

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("progress", "shape", "text"),
    [
        (Progress(9, 100, 0), {}, ""),
        (Progress(9, 100, 5), {"rate": 0}, ""),
        (Progress(9, 100, 5, None, MIB), {"rate": MIB}, ", 1.0 MiB/s"),
        (Progress(9, 100, 5, 90 * MIB, 0.0), {"rate": 0, "remaining": 90 * MIB}, ", about 90.0 MiB left"),
        (
            Progress(9, 100, 5, 90 * MIB, MIB / 2),
            {"rate": MIB // 2, "remaining": 90 * MIB, "seconds_left": 180},
            ", 512.0 KiB/s, about 90.0 MiB left, 3 min to go",
        ),
    ],
)
def test_rate_and_time_are_told_where_they_are_known(
    progress: Progress, shape: dict[str, object], text: str
) -> None:
    told = progress_shape(progress)
    assert told == {"blocks": 9, "bytes": 100, "pending": progress.pending, **shape}
    assert pace(ApiResponse(told)) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (3900, "1 h 5 min"), (200_000, "2 d 7 h")]
)
def test_durations_for_people(seconds: int, text: str) -> None:
    assert duration(seconds) == text
