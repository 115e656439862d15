"""What became of the lines of a file: failures on standard error and in a file, and a summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from node.cli.api.response import ApiResponse
from node.cli.errors import Failure
from node.cli.output.printing import emit, say, shortened

_TOLD = 20  # failures that are printed; all are in the file, and in JSON


class FailedLines:
    """The file of lines that failed, as they were: made for the first of them, added to if `again`."""

    def __init__(self, path: str | None, source: str, *, again: bool) -> None:
        """Raises Failure where that file exists and is not to be added to, or is the source."""
        self.path = Path(path) if path is not None else None
        self._file: IO[bytes] | None = None
        if self.path is not None and self.path.exists() and self.path.samefile(source):
            raise Failure(f"{self.path} is the file that is read: failed lines go to another one")
        if self.path is not None and not again and self.path.exists():
            raise Failure(
                f"{self.path} exists: failed lines go to a new file (or with --skip behind those before)"
            )

    def add(self, line: bytes) -> None:
        if self.path is not None:
            self._file = self._file or self.path.open("ab")
            self._file.write(line + b"\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class LineReport:
    """The answers to one body of lines. `durable` is the last line that is done, or has failed for good."""

    def __init__(self, skipped: int, failed: Path | None, *, as_json: bool) -> None:
        self.durable = skipped
        self._failed = failed
        self._as_json = as_json
        self._failures = 0
        self._counts: Mapping[str, object] = {}

    def take(self, answer: ApiResponse) -> bool:
        """One answer of the node, in order; whether it is of a line that failed."""
        self.durable = answer.number("durable") or answer.number("line") or self.durable
        if self._as_json and "durable" not in answer.raw:
            emit(dict(answer.raw))
        if "lines" in answer.raw:
            self._counts = answer.raw
        is_failure = answer.text("result") == "failed"
        if is_failure:
            self._tell(answer)
        return is_failure

    def finish(self) -> None:
        """Say how many lines came to what. Raises Failure where some failed."""
        results = [f"{count} {result}" for result, count in self._counts.items() if result != "lines"]
        if not self._as_json:
            say(", ".join(results) or "no line in it names a pin")
        if self._failures:
            where = f": they are in {self._failed}" if self._failed else ""
            raise Failure(f"{self._failures} lines failed{where}")

    def _tell(self, answer: ApiResponse) -> None:
        self._failures += 1
        if not self._as_json and self._failures <= _TOLD:
            cid = answer.text("cid")
            what = f"line {answer.number('line')}{f' ({cid})' if cid else ''}"
            say(f"{what}: {shortened(answer.text('error'))}", err=True)
        if not self._as_json and self._failures == _TOLD + 1:
            say(
                "more lines fail, which are not told here: --failed FILE keeps them, --json tells all",
                err=True,
            )


@contextmanager
def told_where_to_go_on(report: LineReport) -> Iterator[None]:
    """What ends the work early says up to where it is done."""
    try:
        yield
    except BaseException:
        if report.durable:
            say(f"lines 1 to {report.durable} are done: go on with --skip {report.durable}", err=True)
        raise
