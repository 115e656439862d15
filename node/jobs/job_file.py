"""Jobs that have ended, and those that go on after a restart, in a file of the data folder."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from node.files.atomic_write import atomic_write
from node.jobs.job import Job, JobKind, JobState

_VERSION = 1

_log = logging.getLogger(__name__)


class JobFile:
    """A JSON object: its version, and the jobs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Job]:
        """Empty where there is no file, or none that can be read."""
        try:
            fields = json.loads(self._path.read_bytes())
            if fields["version"] != _VERSION:
                raise ValueError("of another release")
            return [_job(one) for one in fields["jobs"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            _log.warning(
                "%s cannot be read (%s): jobs that have ended are forgotten, and a rebalance does not go on",
                self._path,
                error,
            )
            return []

    def write(self, jobs: Sequence[Job]) -> None:
        kept = [{**asdict(job), "verbs": []} for job in jobs]
        text = json.dumps({"version": _VERSION, "jobs": kept}).encode()
        try:
            atomic_write(self._path, text)
        except OSError as error:  # a full disk: the next job that ends has it written again
            _log.debug("%s: %s", self._path, error)


def _job(fields: dict[str, object]) -> Job:
    """Raises ValueError, TypeError, KeyError."""
    return Job(
        id=str(fields["id"]),
        kind=JobKind(str(fields["kind"])),
        state=JobState(str(fields["state"])),
        subject=str(fields["subject"]),
        unit=str(fields["unit"]),
        done=int(str(fields["done"])),
        left=None if fields["left"] is None else int(str(fields["left"])),
        rate=_number(fields["rate"]),
        begun=_number(fields["begun"]),
        ended=None if fields["ended"] is None else _number(fields["ended"]),
        detail=str(fields["detail"]),
    )


def _number(value: object) -> float:
    """Raises ValueError, also for what JSON cannot say."""
    number = float(str(value))
    if not math.isfinite(number):
        raise ValueError(f"{number} is no number")
    return number
