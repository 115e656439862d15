"""The daemon's log: one handler on standard error, set up in one place."""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType
from typing import TextIO

from node.log.line_format import JsonLines, TextLines
from node.log.rate_limit import LineRate

_OURS = ("blockstore", "bitswap", "cluster", "node")
_log = logging.getLogger(__name__)


def begin_log(level: str, form: str, *, debug: bool = False, stream: TextIO | None = None) -> None:
    """From now on log records go to standard error (or there), a line each.

    `level`: debug, info, warning or error, of our own records; of libraries only warnings are logged, or
    what they say at info while debugging. `form`: text or json. `debug` shows the stacks of errors, as the
    level debug does.
    """
    lines = {"text": TextLines, "json": JsonLines}[form]
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(lines(stacks=debug or level == "debug"))
    handler.addFilter(LineRate())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if level == "debug" else max(logging.WARNING, _number(level)))
    for package in _OURS:
        logging.getLogger(package).setLevel(_number(level))
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_thread
    sys.unraisablehook = _log_unraisable


class _Handler(logging.StreamHandler[TextIO]):
    """A standard error that takes nothing any more, a terminal that was closed, is no reason to say more."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """No stream is left to report it on."""


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


def _log_thread(about: threading.ExceptHookArgs) -> None:
    name = about.thread.name if about.thread else "?"
    _log.error("the thread %s failed: %s", name, about.exc_value, exc_info=_info(about.exc_value))


def _log_unraisable(about: sys.UnraisableHookArgs) -> None:
    what = about.err_msg or "ignored"
    _log.error("%s: %r: %s", what, about.object, about.exc_value, exc_info=_info(about.exc_value))


def _info(
    error: BaseException | None,
) -> tuple[type[BaseException], BaseException, TracebackType | None] | None:
    return (type(error), error, error.__traceback__) if error is not None else None
