"""Many rows in one SQLite step: into a statement as one BLOB and a JSON index, out of it as one JSON text.

Python's sqlite3 lets go of the interpreter lock at every step of a statement, and beside a busy event loop
each taking it back costs up to 5 ms. A thousand rows in one step cost that once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

Cell = bytes | str | int | float | None

_POINTED: dict[type, str] = {bytes: "substr(?1, {}, {})", str: "CAST(substr(?1, {}, {}) AS TEXT)"}


class RowLayout:
    """The columns of rows that a statement takes as its first two parameters.

    `rows` stands in SQL where a table stands; beside the columns it has `place`, 0 for the first row:
    `INSERT INTO pins SELECT cid, name FROM {rows}`, `DELETE FROM pins WHERE cid IN (SELECT cid FROM {rows})`,
    `SELECT … FROM {rows} AS wanted LEFT JOIN pins USING (cid) ORDER BY place`. Parameters of the statement's
    own begin at ?3. Where a SELECT is followed by ON CONFLICT, SQLite wants WHERE true in between.
    """

    __slots__ = ("_pointed", "rows")

    def __init__(self, **columns: type[bytes] | type[str] | type[int] | type[float]) -> None:
        self._pointed = tuple(kind in _POINTED for kind in columns.values())
        made, position = ["key AS place"], 0
        for name, kind in columns.items():
            width = 2 if kind in _POINTED else 1
            cells = [f"value->>{position + offset}" for offset in range(width)]
            made.append(f"{_POINTED.get(kind, '{}').format(*cells)} AS {name}")
            position += width
        self.rows = f"(SELECT {', '.join(made)} FROM json_each(?2))"

    def pack(self, rows: Iterable[Sequence[Cell]]) -> tuple[bytes, str]:
        """The two parameters. Integers of 64 bits; raises ValueError for NaN and infinities.

        Column by column, which is several times faster than cell by cell.
        """
        columns = list(zip(*rows, strict=True)) or [()] * len(self._pointed)
        blobs = [b"\0"]  # of an empty BLOB every substr would be NULL
        index: list[Sequence[Cell]] = []
        end = 2  # substr counts from 1
        for column, pointed in zip(columns, self._pointed, strict=True):
            if pointed:
                pieces = _as_bytes(column)
                lengths = list(map(len, pieces))
                starts = list(accumulate(lengths, initial=end))
                end = starts.pop()
                blobs += pieces
                index += _present(starts, column), lengths
            else:
                index.append(column)
        cells = list(zip(*index, strict=True))
        return b"".join(blobs), json.dumps(cells, allow_nan=False, separators=(",", ":"))


def _as_bytes(column: Sequence[Cell]) -> list[bytes]:
    """What is not bytes is text, or None, which takes no bytes."""
    return [
        cell if isinstance(cell, bytes) else cell.encode() if isinstance(cell, str) else b""
        for cell in column
    ]


def _present(starts: Sequence[int], column: Sequence[Cell]) -> Sequence[Cell]:
    """The starts of those cells that are not None."""
    if None not in column:
        return starts
    return [None if cell is None else start for start, cell in zip(starts, column, strict=True)]


def one_row(*columns: str) -> str:
    """A result column that holds all rows of the SELECT it stands in, for json.loads.

    Bytes go through hex(), which makes '' of NULL; floats are cut to 15 digits.
    """
    return f"json_group_array(json_array({', '.join(columns)}))"


def unpack_blobs(text: str) -> list[bytes | None]:
    """The rows of `json_group_array(hex(x))`; None where it holds NULL."""
    return [None if cell is None else bytes.fromhex(cell) for cell in json.loads(text)]


def joined_blobs(column: str) -> str:
    """Two result columns for `part_blobs`: the column's bytes in all rows of the SELECT, and their lengths.

    Half the cost of hex. NULL counts as no bytes.
    """
    blob = f"CAST(coalesce({column}, x'') AS BLOB)"
    return f"CAST(group_concat(CAST({blob} AS TEXT), '') AS BLOB), group_concat(length({blob}))"


def part_blobs(joined: bytes | None, lengths: str | None) -> list[bytes]:
    """The bytes of each row, in order; none where the SELECT had no row."""
    if lengths is None:
        return []
    data = joined or b""
    ends = accumulate(json.loads(f"[{lengths}]"), initial=0)
    return [data[start:end] for start, end in pairwise(ends)]
