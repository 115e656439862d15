"""A real ipfs-cluster peer on loopback beside a Kubo."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.kubo import Kubo, free_port, peer_command

SECONDS_TO_READY = 60


class ClusterPeer:
    """One ipfs-cluster-service of a CRDT cluster; `first` is a peer of the cluster that it joins."""

    def __init__(self, folder: Path, kubo: Kubo, first: ClusterPeer | None = None) -> None:
        self.folder = folder
        self.first = first
        self.secret: str = first.secret if first else secrets.token_hex(32)
        self.ports = {name: free_port() for name in ("api", "proxy", "swarm", "pinning")}
        self.environment = {**os.environ, "IPFS_CLUSTER_PATH": str(folder), "CLUSTER_SECRET": self.secret}
        self._service("init", "--consensus", "crdt")
        path = folder / "service.json"
        config = json.loads(path.read_text())
        self._on_loopback(config, kubo)
        path.write_text(json.dumps(config))

    def ctl(self, *arguments: str, timeout: float = 600) -> str:
        """One command of ipfs-cluster-ctl against this peer."""
        host = f"/ip4/127.0.0.1/tcp/{self.ports['api']}"
        return _output(
            [peer_command("ipfs-cluster-ctl"), "--host", host, *arguments], self.environment, timeout
        )

    def peers(self) -> list[str]:
        return [line for line in self.ctl("peers", "ls").splitlines() if "Sees" in line]

    def add_until_pinned(self, file: Path, holders: int) -> None:
        cid = self.ctl(
            "add", "-Q", "--cid-version", "1", "--raw-leaves", "--chunker", "size-1048576", str(file)
        )
        end = time.monotonic() + 300
        while self.ctl("status", cid).count(" : PINNED") < holders:
            if time.monotonic() > end:
                raise TimeoutError(f"{cid} is not pinned on {holders} peers")
            time.sleep(0.1)  # a real process that can only be asked

    @contextmanager
    def running(self) -> Iterator[None]:
        with Path(f"{self.folder}.log").open("ab") as log:
            bootstrap = ["--bootstrap", self.first.address()] if self.first else []
            command = [peer_command("ipfs-cluster-service"), "daemon", *bootstrap]
            daemon = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        try:
            self._wait()
            yield
        finally:
            daemon.terminate()
            daemon.wait(30)

    def address(self) -> str:
        identity = json.loads((self.folder / "identity.json").read_text())["id"]
        return f"/ip4/127.0.0.1/tcp/{self.ports['swarm']}/p2p/{identity}"

    def _wait(self) -> None:
        end = time.monotonic() + SECONDS_TO_READY
        while time.monotonic() < end:
            try:
                self.ctl("id")
                return
            except RuntimeError:
                time.sleep(0.1)  # a real process: nothing to wait on but its port
        raise RuntimeError(f"ipfs-cluster did not start: {Path(f'{self.folder}.log').read_text()[-1000:]}")

    def _service(self, *arguments: str) -> None:
        _output([peer_command("ipfs-cluster-service"), *arguments], self.environment, 60)

    def _on_loopback(self, config: dict[str, dict[str, dict[str, object]]], kubo: Kubo) -> None:
        def listen(name: str) -> str:
            return f"/ip4/127.0.0.1/tcp/{self.ports[name]}"

        api = f"/ip4/127.0.0.1/tcp/{kubo.ports['API']}"
        cluster: dict[str, object] = config["cluster"]  # type: ignore[assignment]  # values, not tables
        cluster.update(listen_multiaddress=[listen("swarm")], mdns_interval="0s")
        config["api"]["restapi"].update(http_listen_multiaddress=listen("api"))
        config["api"]["ipfsproxy"].update(listen_multiaddress=listen("proxy"), node_multiaddress=api)
        config["api"].get("pinsvcapi", {}).update(http_listen_multiaddress=listen("pinning"))
        config["ipfs_connector"]["ipfshttp"].update(node_multiaddress=api)
        batching = {"max_batch_size": 500, "max_batch_age": "1s"}
        config["consensus"]["crdt"].update(trusted_peers=["*"], batching=batching)


def _output(command: list[str], environment: dict[str, str], timeout: float) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise RuntimeError(f"{command[0].rpartition('/')[2]}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()
