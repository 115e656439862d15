"""Draining and rebalancing as an operator does it, on three real processes."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.command import daemon, pinfold, until

QUICK = {"PINFOLD_CLUSTER_METRIC_INTERVAL": "1", "PINFOLD_CLUSTER_RECONCILE_INTERVAL": "10"}


def holders(node: NodeProcess, cid: str) -> set[str]:
    """Names of those that say they hold it."""
    said = json.loads(node.run("status", cid, "--json").splitlines()[0])
    return {one["peername"] for one in said["peer_map"].values() if one["status"] == "pinned"}


@pytest.mark.timeout(240)
def test_a_member_is_drained_by_its_own_node_and_another_one_relieved(tmp_path: Path) -> None:
    with ExitStack() as stack:
        a = stack.enter_context(daemon(tmp_path / "a", **QUICK))
        for name in "bc":
            token = a.run("cluster", "invite")
            assert pinfold("init", "--name", name, "--join", token, path=tmp_path / name).code == 0
        b, c = (stack.enter_context(daemon(tmp_path / name, **QUICK)) for name in "bc")
        until("all are in", lambda: a.run("peers").count("online") == 3)
        cids = []
        for _ in range(4):
            (tmp_path / "x").write_bytes(os.urandom(3000))
            cids.append(a.run("add", "-Q", "--replication", "2", str(tmp_path / "x")))
        until("two copies of each", lambda: all(len(holders(a, cid)) == 2 for cid in cids))

        pinfold("cluster", "drain", "nobody", path=tmp_path / "a").complains("no member", "nobody")
        pinfold("cluster", "drain", "a", path=tmp_path / "a").complains("nothing was changed", "--yes")
        pinfold("cluster", "drain", "", "--yes", path=tmp_path / "a").complains("nothing was changed")
        pinfold("cluster", "drain", "a", "--undo", "--dry-run", path=tmp_path / "a").complains(code=2)
        shown = a.run("cluster", "drain", "--dry-run", "a")
        assert "a holds 4 pins by name" in shown
        assert "drain" not in a.run("jobs")

        assert "is being drained" in a.run("cluster", "drain", "--yes", "a")
        until("it is empty", lambda: all(holders(c, cid) == {"b", "c"} for cid in cids))
        assert "done" in b.run("jobs")
        assert "is being drained" in b.run("cluster", "drain", "--yes", "a"), "once more changes nothing"
        pinfold("cluster", "drain", "--yes", "b", path=tmp_path / "b").complains("nothing can go from b")
        a.stop()
        a.start()
        until("it knows that it is drained", lambda: "done" in a.run("jobs"))
        (tmp_path / "x").write_bytes(os.urandom(3000))
        cid = a.run("add", "-Q", "--replication", "2", str(tmp_path / "x"))
        until("others hold what it adds", lambda: holders(b, cid) == {"b", "c"})

        assert "takes new pins again" in c.run("cluster", "drain", "--undo", "a")
        until("it has heard of that", lambda: "drain-" not in a.run("jobs") or "cancelled" in a.run("jobs"))
        until("its room is known", lambda: "pins from" in b.run("cluster", "rebalance", "--dry-run"))
        assert "it has begun" in b.run("cluster", "rebalance", "--yes")
        until("it has a share", lambda: any("a" in holders(b, one) for one in [*cids, cid]))
        until("it ends", lambda: "rebalance" in b.run("jobs") and "done" in b.run("jobs"))
        assert all(len(holders(b, one)) >= 2 for one in [*cids, cid])
