"""A folder of the previous release under this one, killed on the way; one of a later release is refused."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from contextlib import closing
from pathlib import Path

from nodes import NodeProcess, wait_until
from support.command import SECONDS, daemon, pinfold, pins
from support.old_tables import make_old, write_old_pin
from support.pinset_member import some_cid, some_pin

from cluster.common.pin_codec import encode_pin

ROWS = 30_000


def health(node: NodeProcess) -> dict[str, object]:
    with urllib.request.urlopen(node.addresses()["api"] + "/v1/health", timeout=SECONDS) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def done(node: NodeProcess) -> int:
    migration = health(node)["migration"]
    return int(migration["done"]) if isinstance(migration, dict) else ROWS


def test_a_node_that_is_killed_while_it_brings_a_folder_forward_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    with daemon(folder, "--offline") as node:
        node.stop()
    make_old(folder / "cluster.db")
    with closing(sqlite3.connect(folder / "cluster.db")) as db:
        for number in range(ROWS):
            write_old_pin(
                db, bytes(some_cid(number)), encode_pin(some_pin(number, f"n{number}")).stamped(number)
            )
        db.commit()
    expected = {str(some_cid(number)) for number in range(ROWS)}
    with daemon(folder, "--offline") as node:  # which ends by SIGKILL
        assert pins(node) == expected
        wait_until("the first page", lambda: done(node) > 0, SECONDS, 0.01)
        said = pinfold("status", "--filter", "error", path=folder)
    assert f"of {ROWS} rows" in said.err or done_at_once(said.err)
    with daemon(folder, "--offline") as node:
        wait_until("the last page", lambda: health(node)["migration"] is None, SECONDS, 0.05)
        assert pins(node) == expected
        node.stop()
    with closing(sqlite3.connect(folder / "cluster.db")) as db:
        assert db.execute("SELECT count(*) FROM pins WHERE created = 1.0 AND everywhere = 1").fetchone() == (
            ROWS,
        )
        assert db.execute("SELECT 1 FROM sqlite_master WHERE name = 'holders'").fetchone() is None


def done_at_once(text: str) -> bool:
    """On a fast machine."""
    return not text


def test_a_folder_of_a_later_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    with daemon(folder, "--offline") as node:
        node.stop()
    with closing(sqlite3.connect(folder / "cluster.db")) as db:
        db.execute("PRAGMA user_version = 99")
    pinfold("daemon", "--offline", path=folder).complains("cluster.db", "later release", "version 99")
