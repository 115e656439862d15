"""`pinfold store check` as people run it: what is bad is named, and the exit code says so."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path

from support.command import daemon, pinfold, seconds_to_end
from support.rot import rot

DATA = random.Random(6).randbytes(3_000_000)


def test_a_check_names_what_is_bad_and_adding_it_again_mends_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(DATA)
    with daemon(tmp_path / "node", "--offline") as node:
        root = node.run("add", "-Q", "--raw-leaves", str(file))
        said = pinfold("store", "check", path=node.folder)
        assert (said.code, said.out.split(",")[0]) == (0, "4 blocks are sound")
        told = json.loads(node.run("stats", "--json"))
        assert told["stored"] == told["bytes"] > len(DATA)
        assert told["held"] > told["bytes"]
        assert "bytes a byte stored" in node.run("stats") or not told["written"]
        assert node.process is not None
        seconds_to_end(node.process, signal.SIGTERM)  # what was killed has its blocks in the log still
    rot(tmp_path / "node", DATA[-40:])
    with daemon(tmp_path / "node", "--offline") as node:
        said = pinfold("store", "check", root, path=node.folder)
        assert said.out.startswith("3 blocks are sound, ")
        assert said.out.endswith("; 1 damaged\n")
        said.complains("1 blocks are bad; --repair fetches them again")
        said = pinfold("store", "check", "--repair", "--json", path=node.folder)
        lines = [json.loads(line) for line in said.out.splitlines()]
        assert said.code == 1
        assert lines[-1]["checked"]["damaged"] == 1
        assert "1 blocks are damaged" in pinfold("status", path=node.folder).err
        node.run("add", "-Q", "--raw-leaves", str(file))
        assert pinfold("store", "check", path=node.folder).code == 0
        assert "damaged" not in pinfold("status", path=node.folder).err
