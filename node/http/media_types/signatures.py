"""First bytes of files that show their content type (WHATWG MIME sniffing, and what else people publish)."""

from __future__ import annotations

from typing import NamedTuple


class Signature(NamedTuple):
    """Files begin with `start`; where other kinds do too, there is more to see at an offset."""

    start: bytes
    kind: str
    offset: int = 0
    more: bytes = b""

    def fits(self, head: bytes) -> bool:
        return head.startswith(self.start) and head.startswith(self.more, self.offset)


_SIGNATURES = (
    Signature(b"%PDF-", "application/pdf"),
    Signature(b"%!PS-Adobe-", "application/postscript"),
    Signature(b"\xef\xbb\xbf", "text/plain; charset=utf-8"),
    Signature(b"\xfe\xff", "text/plain; charset=utf-16be"),
    Signature(b"\xff\xfe", "text/plain; charset=utf-16le"),
    Signature(b"GIF8", "image/gif"),
    Signature(b"\x89PNG\r\n\x1a\n", "image/png"),
    Signature(b"\xff\xd8\xff", "image/jpeg"),
    Signature(b"BM", "image/bmp"),
    Signature(b"\x00\x00\x01\x00", "image/x-icon"),
    Signature(b"\x00\x00\x02\x00", "image/x-icon"),
    Signature(b"II*\x00", "image/tiff"),
    Signature(b"MM\x00*", "image/tiff"),
    Signature(b"\xff\x0a", "image/jxl"),
    Signature(b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
    Signature(b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    Signature(b"RIFF", "image/webp", 8, b"WEBPVP"),
    Signature(b"RIFF", "audio/wave", 8, b"WAVE"),
    Signature(b"RIFF", "video/avi", 8, b"AVI "),
    Signature(b"FORM", "audio/aiff", 8, b"AIFF"),
    Signature(b"\x1aE\xdf\xa3", "video/x-matroska", 24, b"matroska"),
    Signature(b"\x1aE\xdf\xa3", "video/x-matroska", 31, b"matroska"),  # the length of its head in eight bytes
    Signature(b"\x1aE\xdf\xa3", "video/webm"),
    Signature(b"\x00\x00\x01\xba", "video/mpeg"),
    Signature(b"FLV\x01", "video/x-flv"),
    Signature(b"OggS\x00", "application/ogg"),
    Signature(b"ID3", "audio/mpeg"),
    Signature(b"\xff\xfb", "audio/mpeg"),
    Signature(b"\xff\xf3", "audio/mpeg"),
    Signature(b"\xff\xf2", "audio/mpeg"),
    Signature(b"\xff\xf1", "audio/aac"),
    Signature(b"\xff\xf9", "audio/aac"),
    Signature(b"fLaC", "audio/flac"),
    Signature(b"MThd\x00\x00\x00\x06", "audio/midi"),
    Signature(b"wOFF", "font/woff"),
    Signature(b"wOF2", "font/woff2"),
    Signature(b"OTTO", "font/otf"),
    Signature(b"\x00\x01\x00\x00\x00", "font/ttf"),
    Signature(b"ttcf\x00", "font/collection"),
    Signature(b"glTF\x02\x00", "model/gltf-binary"),
    Signature(b"PK\x03\x04", "application/epub+zip", 30, b"mimetypeapplication/epub+zip"),
    Signature(b"PK\x03\x04", "application/zip"),
    Signature(b"\x1f\x8b\x08", "application/gzip"),
    Signature(b"BZh", "application/x-bzip2", 4, b"1AY&SY"),
    Signature(b"\xfd7zXZ\x00", "application/x-xz"),
    Signature(b"\x28\xb5\x2f\xfd", "application/zstd"),
    Signature(b"Rar!\x1a\x07", "application/vnd.rar"),
    Signature(b"7z\xbc\xaf'\x1c", "application/x-7z-compressed"),
    Signature(b"\x00asm", "application/wasm"),
    Signature(b"<?xml", "text/xml; charset=utf-8"),
)
_BY_FIRST_BYTE = {
    first: tuple(one for one in _SIGNATURES if one.start[0] == first)
    for first in {signature.start[0] for signature in _SIGNATURES}
}

# What is in an ISO base media file, by its brand; everything else is a film.
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"hevc": "image/heic-sequence",
    b"mif1": "image/heif",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
}

# Those that begin as any text may; looked for where the rest is no text.
_LATE = (
    Signature(b"", "application/x-tar", 257, b"ustar"),
    Signature(b"G", "video/mp2t", 188, b"G"),
)


def known(head: bytes) -> str | None:
    """The type of a file that begins with these bytes; None where they are no signature."""
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    return (
        next((one.kind for one in _BY_FIRST_BYTE.get(head[0], ()) if one.fits(head)), None) if head else None
    )


def known_binary(head: bytes) -> str | None:
    """The same for what is no text: by bytes further on."""
    return next((one.kind for one in _LATE if one.fits(head)), None)
