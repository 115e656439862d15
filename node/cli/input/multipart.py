"""multipart/form-data as Kubo's clients write it: one part an entry, paths percent-encoded."""

from __future__ import annotations

import secrets
from urllib.parse import quote

_BOUNDARY = f"pinfold-{secrets.token_hex(12)}"
CONTENT_TYPE = f"multipart/form-data; boundary={_BOUNDARY}"

FILE = "application/octet-stream"
DIRECTORY = "application/x-directory"
SYMLINK = "application/symlink"


def file_part(path: str, kind: str = FILE, stamp: str = "") -> bytes:
    """The head of one part; its body follows. `stamp` is the `mode=…&mtime=…` of its UnixFS node."""
    name = "file" + (f"?{stamp}" if stamp else "")
    filename = quote(path.encode(errors="surrogateescape"), safe="/")
    return (
        f'\r\n--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    ).encode()


def last_part() -> bytes:
    """What ends the body."""
    return f"\r\n--{_BOUNDARY}--\r\n".encode()
