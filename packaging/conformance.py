"""`make conformance`: a node set up by its own commands, under the `gateway-conformance` of the PATH."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from nodes import NodeProcess

RUNNER = "gateway-conformance"
# The suite at 0.13.2 still asks for the header that Ipfs-Uri replaced.
SETTINGS = {"gateway.x_ipfs_path": "true"}


def main() -> int:
    if shutil.which(RUNNER) is None:
        print(
            f"no {RUNNER} command on the PATH: nothing was run. It is built from its source, ipfs/{RUNNER}."
        )
        return 1
    with tempfile.TemporaryDirectory(prefix="pinfold-conformance-") as scratch:
        fixtures, report = Path(scratch) / "fixtures", Path(scratch) / "report.json"
        subprocess.run([RUNNER, "extract-fixtures", "--dir", str(fixtures)], check=True, capture_output=True)
        names = {"IPFS_NS_MAP": (fixtures / "dnslinks.IPFS_NS_MAP").read_text().strip()}
        node = NodeProcess(
            str(Path(sys.executable).with_name("pinfold")), Path(scratch) / "node", {**os.environ, **names}
        )
        node.run("init")
        for key, value in SETTINGS.items():
            node.run("config", "set", key, value)
        node.start("--offline")
        try:
            provision(node, fixtures)
            run(node.addresses()["gateway"], report)
        finally:
            node.stop()
        return show(list(results(report)))


def provision(node: NodeProcess, fixtures: Path) -> None:
    """Load every CAR without pinning it, and every record that is valid: three are made to be refused."""
    node.run("car", "import", "--no-pin", *(str(car) for car in sorted(fixtures.glob("*.car"))))
    for record in sorted(fixtures.glob("*.ipns-record")):
        try:
            node.run("name", "put", record.name.split("_")[0].removesuffix(".ipns-record"), str(record))
        except RuntimeError as refused:
            print(f"not stored: {refused}")


def run(gateway: str, report: Path) -> None:
    port = gateway.rpartition(":")[2]
    urls = ["--gateway-url", gateway, "--subdomain-url", f"http://localhost:{port}"]
    subprocess.run([RUNNER, "test", *urls, "--json", str(report)], check=False, capture_output=True)


def results(report: Path) -> Iterator[tuple[str, str]]:
    """The last verdict on each test: its name, and pass, fail or skip."""
    verdicts: dict[str, str] = {}
    for line in report.read_text().splitlines():
        event = json.loads(line)
        if event.get("Test") and event.get("Action") in ("pass", "fail", "skip"):
            verdicts[event["Test"]] = event["Action"]
    yield from verdicts.items()


def show(verdicts: list[tuple[str, str]]) -> int:
    """The table of groups, and the sum; 0 when everything passed."""
    groups: dict[str, Counter[str]] = {}
    for test, verdict in verdicts:
        groups.setdefault(test.split("/")[0], Counter())[verdict] += 1
    for group, counts in sorted(groups.items()):
        print(f"{group:<48} {counts['pass']:>5} pass {counts['fail']:>4} fail {counts['skip']:>4} skip")
    total = Counter(verdict for _, verdict in verdicts)
    print(f"{total['pass']} passed, {total['fail']} failed, {total['skip']} skipped")
    return 0 if verdicts and total["pass"] == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
