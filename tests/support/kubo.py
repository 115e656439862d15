"""A real Kubo daemon on loopback: no bootstrap, no discovery, no telemetry."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS_TO_READY = 60


def peers_folder() -> Path:
    """Where `make peers` installs the real peers."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("PINFOLD_PEERS") or Path(cache) / "pinfold-peers")


def peer_command(name: str) -> str:
    """The path of an installed peer's command. Raises FileNotFoundError that says how to get it."""
    found = shutil.which(name, path=str(peers_folder() / "bin"))
    if found is None:
        raise FileNotFoundError(f"{name} is not in {peers_folder()}/bin: run `make peers`")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Kubo:
    """One repository; `running()` is its daemon. `swarm_key` is the text of a private network's key file."""

    def __init__(self, folder: Path, *, swarm_key: str = "", routing: str = "none") -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("API", "Gateway", "Swarm")}
        self.environment = {
            **os.environ,
            "IPFS_PATH": str(folder),
            "IPFS_TELEMETRY": "off",
            "DO_NOT_TRACK": "1",
        }
        if not (folder / "config").exists():
            self.run("init", "--empty-repo")
            self.run("bootstrap", "rm", "--all")
        if swarm_key:
            (folder / "swarm.key").write_text(swarm_key)
            self.environment["LIBP2P_FORCE_PNET"] = "1"
        path = folder / "config"
        path.write_text(json.dumps(self._on_loopback(json.loads(path.read_text()), routing)))

    @property
    def rpc(self) -> str:
        return f"http://127.0.0.1:{self.ports['API']}/api/v0"

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.ports['Gateway']}"

    def address(self) -> str:
        """Its multiaddress, `/p2p/` included."""
        return self.run("id", "-f", "<addrs>").split()[0]

    def run(self, *arguments: str, timeout: float = 300) -> str:
        """One command of `ipfs`; its standard output. Raises RuntimeError with what it said on failure."""
        done = subprocess.run(
            [peer_command("ipfs"), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if done.returncode:
            raise RuntimeError(f"ipfs {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    @contextmanager
    def running(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """The daemon, from when it answers until the block ends."""
        with Path(f"{self.folder}.log").open("ab") as log:
            daemon = subprocess.Popen(
                [peer_command("ipfs"), "daemon", *options], env=self.environment, stdout=log, stderr=log
            )
        try:
            self._wait(daemon)
            yield daemon
        finally:
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _wait(self, daemon: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + SECONDS_TO_READY
        while time.monotonic() < end and daemon.poll() is None:
            try:
                request = urllib.request.Request(f"{self.rpc}/version", method="POST")
                with urllib.request.urlopen(request, timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)  # a real process: nothing to wait on but its port
        raise RuntimeError(f"ipfs daemon did not start: {Path(f'{self.folder}.log').read_text()[-1000:]}")

    def _on_loopback(self, config: dict[str, dict[str, object]], routing: str) -> dict[str, object]:
        listen = {name: f"/ip4/127.0.0.1/tcp/{port}" for name, port in self.ports.items()}
        swarm = config["Swarm"]
        transports = dict.fromkeys(("QUIC", "WebTransport", "Websocket", "WebRTCDirect"), False)
        return {
            **config,
            "AutoConf": {"Enabled": False},
            "AutoTLS": {"Enabled": False},
            "Bootstrap": [],
            "DNS": {"Resolvers": {}},
            "Routing": {
                "Type": routing,
                "DelegatedRouters": [],
                "LoopbackAddressesOnLanDHT": routing.startswith("dht"),
            },
            "Ipns": {**config["Ipns"], "DelegatedPublishers": []},
            "Discovery": {"MDNS": {"Enabled": False}},
            "Version": {"SwarmCheckEnabled": False},
            "Swarm": {
                **swarm,
                "DisableNatPortMap": True,
                "RelayClient": {"Enabled": False},
                "Transports": {"Network": transports},
            },
            "Addresses": {**config["Addresses"], **listen, "Swarm": [listen["Swarm"]]},
        }
