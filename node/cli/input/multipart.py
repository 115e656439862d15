"""multipart/form-data as Kubo's clients write it: one part an entry, paths percent-encoded."""

from __future__ import annotations

import secrets
from urllib.parse import quote

_BOUNDARY = f"pinfold-{secrets.token_hex(12)}"
CONTENT_TYPE = f"multipart/form-data; boundary={_BOUNDARY}"

FILE = "application/octet-stream"
DIRECTORY = "application/x-directory"
SYMLINK = "application/symlink"


def file_part(path: str, kind: str = FILE, stamp: str = "", ticket: str = "") -> bytes:
    """The head of one part; its body follows. `stamp` is the `mode=…&mtime=…` of its UnixFS node.

    `ticket` is that of a file that was handed over, whose part has no body.
    """
    name = "file" + (f"?{stamp}" if stamp else "")
    filename = quote(path.encode(errors="surrogateescape"), safe="/")
    handed = f"Handed-File: {ticket}\r\n" if ticket else ""
    return (
        f'\r\n--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        f"Content-Type: {kind}\r\n{handed}\r\n"
    ).encode()


def last_part() -> bytes:
    """What ends the body."""
    return f"\r\n--{_BOUNDARY}--\r\n".encode()
