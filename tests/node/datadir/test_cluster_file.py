"""The file that says which cluster a node belongs to, damaged in every way that JSON allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.datadir.cluster_file import BadClusterFile, ClusterFile


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"5", b"{}", b"[" * 200_000, b"\xff\xfe", b'{"genesis":5,"secret":"","invite":[1]}'],
    ids=["empty", "list", "number", "no fields", "nested", "not text", "other kinds"],
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cluster.json"
    path.write_bytes(content)
    with pytest.raises(BadClusterFile, match=r"cluster\.json cannot be read .*restore it from a backup"):
        ClusterFile.read(path)
