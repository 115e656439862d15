"""A real Helia node (js) on loopback, driven by one JSON command a line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from support.kubo import peers_folder


@dataclass(frozen=True, slots=True)
class Helia:
    """See tests/interop/peers/js/helia.mjs for the commands."""

    process: subprocess.Popen[str]
    address: str

    @classmethod
    @contextmanager
    def running(cls, *gateway: str) -> Iterator[Helia]:
        """With the multiaddress of a trustless gateway, that is its only source."""
        folder = peers_folder() / "js"
        command = [str(folder / "node_modules/.bin/node"), str(folder / "helia.mjs"), *gateway]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield cls(process, str(_answer(process)["addr"]))
            finally:
                process.kill()

    def ask(self, **command: str) -> dict[str, list[str]]:
        """Send one command; its answer. Raises RuntimeError with Helia's error."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return _answer(self.process)


def _answer(process: subprocess.Popen[str]) -> dict[str, list[str]]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"Helia ended with {process.wait()}")
    answer: dict[str, list[str]] = json.loads(line)
    if "error" in answer:
        raise RuntimeError(f"Helia: {answer['error']}")
    return answer
