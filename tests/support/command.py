"""The `pinfold` command as a user runs it: a process, its exit code, and what it said."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from nodes import NodeProcess, wait_until

from node.cli.exit_code import exit_code
from node.cli.main import cli

PINFOLD = str(Path(sys.executable).with_name("pinfold"))
SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    def complains(self, *words: str, code: int = 1) -> None:
        """Assert that it ended with that code and one clear message that has these words in it."""
        assert self.code == code, self
        assert "Traceback" not in self.err, self
        assert [word for word in words if word not in self.err] == [], self.err


def pinfold(*arguments: str, path: Path, stdin: bytes | None = None, **variables: str) -> Said:
    """Run one command to its end. Without `stdin` there is nothing to read."""
    done = subprocess.run(
        [PINFOLD, *arguments], env=_environment(path, variables), timeout=SECONDS, capture_output=True,
        input=b"" if stdin is None else stdin,
    )  # fmt: skip
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


def here(*arguments: str, path: Path, **variables: str) -> Said:
    """The same in this process: a tenth of the time, for what does not depend on being a process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace") for _ in range(2))
    before = dict(os.environ)
    with redirect_stdout(out), redirect_stderr(err):
        try:
            os.environ |= {**variables, "PINFOLD_PATH": str(path)}
            code = cli.main(arguments, prog_name="pinfold", standalone_mode=False) or 0
        except BaseException as error:  # noqa: BLE001 - as in node/cli/main.py
            code = exit_code(error)
        finally:
            os.environ.clear()
            os.environ.update(before)
    for stream in (out, err):
        stream.flush()
        stream.seek(0)
    return Said(code, out.read(), err.read())


def beginning(*arguments: str, path: Path, limits: str = "") -> subprocess.Popen[bytes]:
    """A command that is left running, its standard input open. `limits` is a line of shell to run before."""
    shell = ["sh", "-c", f'{limits}; exec "$0" "$@"'] if limits else []
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*shell, PINFOLD, *arguments], env=_environment(path, {}), stdin=pipe, stdout=pipe, stderr=pipe
    )


def ended(process: subprocess.Popen[bytes], *, interrupt: bool = False) -> Said:
    """Wait for it; `interrupt` presses Ctrl-C first."""
    if interrupt:
        process.send_signal(signal.SIGINT)
    process.wait(SECONDS)
    out, err = (stream.read().decode() for stream in (process.stdout, process.stderr) if stream)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()
    return Said(process.returncode, out, err)


# Of the listeners that no option of a test names: several tests run at once.
_ANY_PORTS = {f"PINFOLD_{name}_PORT": "0" for name in ("BULK", "METRICS", "PINNING")}


def _environment(path: Path, variables: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PINFOLD_")}
    return {**kept, **_ANY_PORTS, "PINFOLD_PATH": str(path), **variables}


@contextmanager
def daemon(folder: Path, *options: str, command: str = PINFOLD, **variables: str) -> Iterator[NodeProcess]:
    """A node process on any free ports for the length of the block; set up first where it is not."""
    node = NodeProcess(command, folder, _environment(folder, variables))
    if not (folder / "identity.key").exists():
        node.run("init", "--name", folder.name)
    node.start(*options)
    try:
        yield node
    finally:
        if node.process is not None and node.process.poll() is None:
            node.process.kill()
            node.process.wait()


def pins(node: NodeProcess) -> set[str]:
    """Every CID that the node says is pinned."""
    with urllib.request.urlopen(
        node.addresses()["api"] + "/allocations?filter=all", timeout=SECONDS
    ) as answer:
        return {json.loads(line)["cid"] for line in answer}


def log(node: NodeProcess) -> str:
    """What its daemon wrote."""
    return Path(f"{node.folder}.log").read_text()


def bytes_stored(node: NodeProcess) -> int:
    stored = node.api("/v1/usage")["bytes"]
    assert isinstance(stored, int)
    return stored


def until(what: str, condition: Callable[[], object]) -> None:
    wait_until(what, condition, SECONDS, 0.05)


def has_open(process: subprocess.Popen[bytes], file: Path) -> bool:
    """Whether a running process reads that file now."""
    links = Path(f"/proc/{process.pid}/fd").iterdir()
    return any(os.path.realpath(link) == str(file.resolve()) for link in links)


@contextmanager
def stopped(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """The process stands still for the length of the block."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def put_by_one_day(folder: Path) -> str:
    """A `pinfold` whose clock is a day ahead of this machine's."""
    command = folder / "pinfold-a-day-ahead"
    lines = (
        f"#!{sys.executable}",
        "import time",
        "here = time.time",
        "time.time = lambda: here() + 86_400",
        "from node.cli.main import main",
        "main()",
    )
    command.write_text("\n".join(lines) + "\n")
    command.chmod(0o755)
    return str(command)


def seconds_to_end(process: subprocess.Popen[bytes], number: int) -> tuple[int, float]:
    """Send a signal; the exit code, and how long that took."""
    began = time.monotonic()
    process.send_signal(number)
    return process.wait(SECONDS), time.monotonic() - began
