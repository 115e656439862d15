"""Real node processes for the demo and the smoke test, driven as a user would: command line and HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
FACES = ("gateway", "rpc", "api", "swarm", "cluster")


class NodeProcess:
    """One data folder and, while it runs, its daemon. Every port is any free one."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.command = command
        self.folder = folder
        self.environment = {
            **(os.environ if environment is None else environment),
            "PINFOLD_PATH": str(folder),
            "PINFOLD_BULK_PORT": "0",
            "PINFOLD_METRICS_PORT": "0",
            "PINFOLD_PINNING_PORT": "0",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str, timeout: float = 900) -> str:
        """Run one command; its standard output. Raises RuntimeError with what it said on failure."""
        done = subprocess.run(
            [self.command, *arguments], env=self.environment, capture_output=True, text=True, timeout=timeout
        )
        if done.returncode:
            raise RuntimeError(
                f"pinfold {' '.join(arguments)}: exit {done.returncode}: {done.stderr.strip()}"
            )
        return done.stdout.strip()

    def start(self, *options: str) -> float:
        """Start the daemon; seconds until it was ready."""
        ports = [word for face in FACES for word in (f"--{face}-port", "0")]
        began = time.perf_counter()
        with Path(f"{self.folder}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.command, "daemon", *ports, *options], env=self.environment, stdout=log, stderr=log
            )
        wait_until(f"daemon in {self.folder}", self._ready, 60, 0.02)
        return time.perf_counter() - began

    def _ready(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"the daemon ended: {Path(f'{self.folder}.log').read_text()[-2000:]}")
        addresses = self.folder / "addresses.json"
        return addresses.exists() and json.loads(addresses.read_text())["pid"] > 0 and bool(self.api("/id"))

    def addresses(self) -> dict[str, str]:
        answer = json.loads((self.folder / "addresses.json").read_text())
        return {name: value for name, value in answer.items() if isinstance(value, str)}

    def api(self, path: str) -> dict[str, object]:
        """GET one JSON object from the cluster REST API, as the node's owner."""
        shown = {"Authorization": "Bearer " + (self.folder / "api.secret").read_text().strip()}
        request = urllib.request.Request(self.addresses()["api"] + path, headers=shown)
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        return answer if isinstance(answer, dict) else {}

    def gateway(self, path: str) -> urllib.request.Request:
        return urllib.request.Request(self.addresses()["gateway"] + path)

    def statuses(self, cid: str) -> list[str]:
        """What each member says of a pin."""
        peers = self.api(f"/pins/{cid}")["peer_map"]
        return sorted(peer["status"] for peer in peers.values()) if isinstance(peers, dict) else []

    def rss(self) -> float:
        """Resident memory of the daemon in MB, which a binary starts as its child."""
        pid = json.loads((self.folder / "addresses.json").read_text())["pid"]
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        (self.folder / "addresses.json").unlink(missing_ok=True)

    def stop(self) -> int:
        """Ask it to stop, as Ctrl-C would; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)


def wait_until(what: str, condition: Callable[[], T], seconds: float, pause: float = 0.25) -> T:
    """The first true value of the condition. Raises TimeoutError with the last trouble met."""
    end, trouble = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        try:
            if value := condition():
                return value
        except OSError as error:
            trouble = f": {error}"
        time.sleep(pause)
    raise TimeoutError(f"{what}: not within {seconds} s{trouble}")
