"""The log: one line a record, whatever others put into it, and so many of one kind."""

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from node.log.handler import begin_log
from node.log.line_format import LEFT_OUT, MAX_MESSAGE, MAX_STACK
from node.log.rate_limit import BURST, PERIOD, SUBJECT, LineRate

LOG = logging.getLogger("node.test")


@contextmanager
def log(level: str, form: str, *, debug: bool = False) -> Iterator[io.StringIO]:
    """What is written within the block; then logging is as it was."""
    root, stream = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level, threading.excepthook, sys.unraisablehook
    begin_log(level, form, debug=debug, stream=stream)
    try:
        yield stream
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:], old_level, threading.excepthook, sys.unraisablehook = before
        root.setLevel(old_level)
        for package in ("blockstore", "bitswap", "cluster", "node"):
            logging.getLogger(package).setLevel(logging.NOTSET)


def fail() -> None:
    raise KeyError("unforeseen\nsecond line")


def test_a_line_says_when_how_grave_where_and_what() -> None:
    with log("info", "text") as stream:
        LOG.info("%s joined", "b")
        LOG.debug("not told")
        logging.getLogger("some.library").info("not told")
        logging.getLogger("some.library").warning("told")
    first, second = stream.getvalue().splitlines()
    assert first.endswith("Z INFO node.test: b joined")
    assert second.endswith("Z WARNING some.library: told")
    assert first[4] == first[7] == "-"


def test_json_has_an_object_a_line() -> None:
    with log("warning", "json") as stream:
        LOG.warning('"quoted" \x1b[2J\u2028 \udcff é')
        LOG.info("not told")
    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    assert line.isprintable()
    record = json.loads(line)
    assert list(record) == ["time", "level", "logger", "message"]
    assert (record["level"], record["logger"]) == ("warning", "node.test")
    assert record["message"].startswith('"quoted" \x1b[2J')


@pytest.mark.parametrize("bad", ["\n", "\r\n", "\x1b[31m", "\x9b", "\u202e", "\u2028", "\0", "\x7f", "\x85"])
def test_what_is_invisible_is_spelled_out_and_makes_no_second_line(bad: str) -> None:
    with log("info", "text") as stream:
        LOG.warning("a message from %s", f"x{bad}2026-11-27 forged")
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text[:-1].isprintable()


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_line_is_longer_than_a_page(form: str) -> None:
    with log("info", form) as stream:
        LOG.warning("peers: %s", "p" * 100_000)
    (line,) = stream.getvalue().splitlines()
    assert len(line) < MAX_MESSAGE + 200
    assert "more characters" in line


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_stack_is_shown_to_who_asks_for_it(form: str) -> None:
    for level, debug, shown in (("info", False, False), ("info", True, True), ("debug", False, True)):
        with log(level, form, debug=debug) as stream:
            try:
                fail()
            except KeyError:
                LOG.exception("it failed")
        text = stream.getvalue()
        assert ("Traceback" in text) == shown
        assert ("--debug" in text) != shown
        assert "it failed" in text
        assert "KeyError" in text


def test_threads_and_what_nobody_can_catch_are_told_on_a_line() -> None:
    with log("info", "text") as stream:
        thread = threading.Thread(target=fail, name="walker")
        thread.start()
        thread.join()
    (line,) = stream.getvalue().splitlines()
    assert "ERROR node.log.handler: the thread walker failed: " in line
    assert "KeyError" in line


def test_a_stream_that_takes_nothing_is_no_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    with log("info", "text") as stream:
        stream.close()
        LOG.warning("nobody hears it")
    assert capsys.readouterr() == ("", "")


def record(line: int) -> logging.LogRecord:
    return logging.LogRecord("node.x", logging.WARNING, "/x.py", line, "told", (), None)


def test_a_burst_goes_through_then_one_line_a_period_with_what_was_left_out() -> None:
    now = [0.0]
    rate = LineRate(lambda: now[0])
    passed = [rate.filter(record(1)) for _ in range(1000)]
    assert passed == [True] * BURST + [False] * (1000 - BURST)
    assert rate.filter(record(2)), "another place in the code has a rate of its own"
    now[0] += PERIOD
    late = record(1)
    assert rate.filter(late)
    assert vars(late)[LEFT_OUT] == 1000 - BURST
    assert not rate.filter(record(1))
    debugging = logging.LogRecord("node.x", logging.DEBUG, "/x.py", 1, "told", (), None)
    assert all(rate.filter(debugging) for _ in range(100))


def test_what_was_left_out_is_told_with_the_next_line() -> None:
    with log("info", "text") as stream:
        for number in range(BURST + 5):
            LOG.warning("a wrong guess, number %d", number)
    assert len(stream.getvalue().splitlines()) == BURST


def test_what_is_said_of_one_member_hides_nothing_of_another() -> None:
    with log("info", "text") as stream:
        for subject in ["noisy"] * (2 * BURST) + ["quiet"]:
            LOG.info("%s is gone", subject, extra={SUBJECT: subject})
    assert len(stream.getvalue().splitlines()) == BURST + 1
    assert "quiet is gone" in stream.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_error_that_quotes_a_peer_forges_no_line_and_has_an_end(form: str) -> None:
    with log("info", form, debug=True) as stream:
        try:
            raise ValueError("\n2026-11-27T09:00:00.123Z INFO node: all is well" * MAX_STACK)
        except ValueError:
            LOG.exception("reading failed")
    first, *below = stream.getvalue().splitlines()
    assert "reading failed" in first
    assert all(line.startswith("    ") for line in below)
    assert len(stream.getvalue()) < 3 * MAX_STACK + MAX_MESSAGE
