"""`pinfold store rebuild` as people run it, after the index of their blocks was lost."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path

from support.command import daemon, pinfold, seconds_to_end

DATA = random.Random(15).randbytes(3_000_000)


def test_a_folder_whose_index_was_damaged_serves_its_blocks_again(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "node"
    file.write_bytes(DATA)
    with daemon(folder, "--offline") as node:
        root = node.run("add", "-Q", "--raw-leaves", "--chunker=size-32768", str(file))
        pinfold("store", "rebuild", path=folder).complains("is in use by another process")
        assert node.process is not None
        seconds_to_end(node.process, signal.SIGTERM)
    index = folder / "blocks.db"
    index.write_bytes(b"no database" + index.read_bytes()[11:])
    pinfold("daemon", "--offline", path=folder).complains(
        "make it again from the volumes with `pinfold store rebuild`"
    )
    said = pinfold("store", "rebuild", "--json", path=folder)
    told = json.loads(said.out)
    assert (said.code, told["blocks"]) == (0, 93)
    assert Path(told["old"]).read_bytes().startswith(b"no database")
    with daemon(folder, "--offline") as node:
        said = pinfold("store", "check", root, path=folder)
        assert (said.code, said.out.split(",")[0]) == (0, "93 blocks are sound")
