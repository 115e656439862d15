"""A record of the log as one line, for people or for programs, whatever others put into it."""

from __future__ import annotations

import json
import logging
import time
import traceback
from pathlib import Path

from node.unicode_safety import spelled

MAX_MESSAGE = 2000  # characters
MAX_STACK = 20_000  # characters: an error may quote what a peer sent
LEFT_OUT = "left_out"
"""The attribute of a record that says how many of its kind were left out before it."""

_SOURCES = Path(__file__).parent.parent


class TextLines(logging.Formatter):
    """`2026-11-27T09:00:00.123Z WARNING cluster.allocation.repin: text`; `stacks` puts an error's below.

    That is set in, or what an error quotes could look like a line of the log.
    """

    def __init__(self, *, stacks: bool) -> None:
        super().__init__()
        self._stacks = stacks

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname} {record.name}: {_message(record, self._stacks)}"
        stack = _stack(record) if self._stacks else ""
        return "\n".join(map(spelled, [line, *(f"    {below}" for below in stack.splitlines())]))


class JsonLines(logging.Formatter):
    """One object a line: `time`, `level`, `logger`, `message`, and `stack` where stacks are wanted."""

    def __init__(self, *, stacks: bool) -> None:
        super().__init__()
        self._stacks = stacks

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record, self._stacks),
        }
        if self._stacks and (stack := _stack(record)):
            fields["stack"] = stack
        return json.dumps(fields)  # ASCII: control characters and half surrogates are JSON's escapes


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _message(record: logging.LogRecord, stacks: bool) -> str:
    text = " ".join(record.getMessage().split())
    if len(text) > MAX_MESSAGE:
        text = f"{text[:MAX_MESSAGE]}… ({len(text) - MAX_MESSAGE} more characters)"
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and not stacks:
        text = f"{text} [{_cause(error)}; `pinfold --debug daemon` shows the stack]"
    left_out = getattr(record, LEFT_OUT, 0)
    return f"{text} ({left_out} more like this were left out before)" if left_out else text


def _cause(error: BaseException) -> str:
    """The kind of an error, and the last line of ours on the way to it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename and _is_ours(frame.filename)]
    at = f" at {Path(ours[-1].filename).relative_to(_SOURCES)}:{ours[-1].lineno}" if ours else ""
    return f"{type(error).__name__}{at}"


def _is_ours(filename: str) -> bool:
    return Path(filename).is_relative_to(_SOURCES)


def _stack(record: logging.LogRecord) -> str:
    """Its end says most."""
    text = "".join(traceback.format_exception(record.exc_info[1])) if record.exc_info else ""
    return text if len(text) <= MAX_STACK else f"… {text[-MAX_STACK:]}"
