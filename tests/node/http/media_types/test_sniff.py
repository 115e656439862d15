"""Content types of files: by their names, by their first bytes."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.http.media_types import sniff

EBML = b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "text/plain; charset=utf-8"),
        ("INDEX.HTML", "text/html"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.json", "application/json"),
        ("a.wasm", "application/wasm"),
        ("archive.tar.gz", "application/gzip"),
        ("no extension", None),
        (".png", None),
        ("a.unknown", None),
        ("a.otf", "font/otf"),
        ("a.m4a", "audio/mp4"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("feed.rss", "application/rss+xml"),
        ("page.xhtml", "application/xhtml+xml"),
    ],
)
def test_content_type_by_name(name: str, kind: str | None) -> None:
    assert sniff.by_name(name) == kind


def test_a_file_has_the_same_type_on_every_machine(tmp_path: Path) -> None:
    """Python's table takes up those of the system, which differ: Debian has its own name for `.exe`."""
    (tmp_path / "mime.types").write_text("x-odd/odd odd txt\n")
    told = (
        f"import mimetypes; mimetypes.knownfiles[:] = [{str(tmp_path / 'mime.types')!r}]\n"
        "from node.http.media_types import sniff; print(sniff.by_name('a.odd'), sniff.by_name('a.txt'))"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout == "None text/plain; charset=utf-8\n"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "text/plain; charset=utf-8"),
        (b"hello\n", "text/plain; charset=utf-8"),
        ("日本".encode(), "text/plain; charset=utf-8"),
        (b"\x00\x01", "application/octet-stream"),
        (b"  <!DOCTYPE HTML>", "text/html"),
        (b"<p>", "text/html"),
        (b"<pre>", "text/plain; charset=utf-8"),
        (b"\x89PNG\r\n\x1a\n\x00", "image/png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"\x00\x00\x00\x20ftypisom", "video/mp4"),
        (b"%PDF-1.7", "application/pdf"),
        (b"\x1f\x8b\x08\x00", "application/gzip"),
        (b"\x00\x00\x00\x18ftypheic", "image/heic"),
        (b"\x00\x00\x00\x1cftypavif", "image/avif"),
        (b"\x00\x00\x00\x18ftypM4A ", "audio/mp4"),
        (b"\x00\x00\x00\x14ftypqt  ", "video/quicktime"),
        (EBML + b"\x84webm", "video/webm"),
        (EBML + b"\x88matroska", "video/x-matroska"),
        (EBML.replace(b"\x9f", b"\x01" + bytes(6) + b"\x23") + b"\x88matroska", "video/x-matroska"),
        (b"\xff\xfb\x90\x44\x00", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"\xff\xfeh\x00", "text/plain; charset=utf-16le"),
        (b"\x00\x00\x01\x00\x01\x00", "image/x-icon"),
        (b"II*\x00", "image/tiff"),
        (b"OTTO\x00\x0b", "font/otf"),
        (b"PK\x03\x04" + bytes(26) + b"mimetypeapplication/epub+zip", "application/epub+zip"),
        (b"PK\x03\x04" + bytes(26) + b"a.txt", "application/zip"),
        (b"BZh91AY&SY", "application/x-bzip2"),
        (b"BZhang writes", "text/plain; charset=utf-8"),
        (b"name".ljust(257, b"\x00") + b"ustar\x0000", "application/x-tar"),
        (b"G".ljust(188, b"\x00") + b"G", "video/mp2t"),
        (b"G".ljust(189, b"g"), "text/plain; charset=utf-8"),
    ],
)
def test_content_type_by_first_bytes(data: bytes, kind: str) -> None:
    assert sniff.sniff(data) == kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
        (b"\n <SVG>", "text/plain; charset=utf-8"),
        (b"<svg\n width='1'>", "image/svg+xml"),
        (b"<svgs>", "text/plain; charset=utf-8"),
        (b'<?xml version="1.0"?>\n<svg>', "image/svg+xml"),
        (
            b"<?xml version='1.0'?><!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'x'>\n<svg >",
            "image/svg+xml",
        ),
        (b"<!-- drawn by hand --><svg>", "image/svg+xml"),
        (b"<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>", "image/svg+xml"),
        (b"<?xml version='1.0'?><feed><svg>", "text/xml; charset=utf-8"),
        (b"<?xml version='1.0'?>" + b" " * 600 + b"<svg>", "text/xml; charset=utf-8"),
        (b"<!-- page --><p><svg>", "text/html"),
        (b"<!DOCTYPE html><svg>", "text/html"),
        (b"a <svg> is a picture", "text/plain; charset=utf-8"),
    ],
)
def test_a_drawing_without_a_name_is_an_image(data: bytes, kind: str) -> None:
    """Browsers show SVG as an image under its own type only."""
    assert sniff.sniff(data) == kind


@given(st.binary(max_size=600))
def test_any_bytes_have_a_content_type(data: bytes) -> None:
    assert "/" in sniff.sniff(data)
