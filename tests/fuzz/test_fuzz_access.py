"""Invariant: no header and no session names a caller unless the right secret made it, and none raises."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from node.access.credentials import Credentials, is_ours
from node.access.jwt import issue, verify
from node.access.tokens import Tokens
from node.audit.record import AuditRecord, BadRecordLine
from node.datadir.api_secret import ApiSecret

CREDENTIALS = Credentials(ApiSecret("s" * 40), Tokens(Path("access.json"), {}), lambda: 0.0)
GOOD = issue("bob", b"key")


@given(st.one_of(st.text(max_size=80), st.from_regex(r"(Bearer|Basic|bearer) [A-Za-z0-9+/=._-]{0,60}")))
def test_any_header(text: str) -> None:
    assert CREDENTIALS.caller(text) is None
    is_ours(text)


@given(st.data())
def test_any_session(data: st.DataObject) -> None:
    place, cut = data.draw(st.integers(0, len(GOOD))), data.draw(st.integers(0, 3))
    text = GOOD[:place] + data.draw(st.text(max_size=10)) + GOOD[place + cut :]
    assert not verify(text, b"key", 0) or text.rpartition(".")[0] == GOOD.rpartition(".")[0]


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_line_of_the_audit_log(line: bytes) -> None:
    try:
        record = AuditRecord.read(line)
    except BadRecordLine:
        return
    assert AuditRecord.read(record.line()) == record
