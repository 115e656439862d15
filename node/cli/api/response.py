"""JSON that a node sent, read field by field."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from node.cli.api.errors import ApiError


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A JSON object, read field by field; a missing or odd field reads as empty."""

    raw: Mapping[str, object]

    def text(self, name: str) -> str:
        value = self.raw.get(name)
        return value if isinstance(value, str) else ""

    def exact_name(self, name: str, escaped: str) -> str:
        """A field that is a name; `escaped` is the one that holds its bytes where they are not UTF-8."""
        if found := self.text(escaped):
            return unquote(found, errors="surrogateescape")
        return self.text(name)

    def number(self, name: str) -> int:
        value = self.raw.get(name)
        try:
            return int(value) if isinstance(value, int | float | str) else 0
        except (ValueError, OverflowError):
            return 0

    def texts(self, name: str) -> list[str]:
        value = self.raw.get(name)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

    def answer(self, name: str) -> ApiResponse:
        value = self.raw.get(name)
        return ApiResponse(value if isinstance(value, dict) else {})

    def answers(self, name: str) -> list[ApiResponse]:
        value = self.raw.get(name)
        return (
            [ApiResponse(item) for item in value if isinstance(item, dict)] if isinstance(value, list) else []
        )

    def items(self) -> Iterator[tuple[str, ApiResponse]]:
        for name, value in self.raw.items():
            if isinstance(value, dict):
                yield name, ApiResponse(value)


def parse_object(text: bytes) -> ApiResponse:
    """One JSON object. Raises ApiError."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ApiError(502, "what answers there is no pinfold node: is another program on its port?")
    return ApiResponse(value)


def parse_lines(parts: Iterable[bytes]) -> Iterator[ApiResponse]:
    """JSON objects, one a line, as their bytes come. Raises ApiError."""
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        yield from (parse_object(line) for line in lines if line.strip())
    if rest.strip():
        yield parse_object(rest)
