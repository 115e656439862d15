"""`make bench`, or `python -m benchmarks NAME…`: prints the rows of docs/benchmarks.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks import gateway, one_node, pinset, several_nodes

BENCHMARKS = {
    "add": one_node.add_one_file,
    "small": one_node.add_small_files,
    "small-files": gateway.small_files,
    "streams": gateway.streams,
    "first-bytes": gateway.first_bytes,
    "listings": gateway.listings,
    "memory": gateway.memory,
    "fetch": several_nodes.fetch,
    "cluster": several_nodes.cluster,
    "pinset": pinset.pinset,
}


def main(names: list[str]) -> None:
    print("| | Pinfold | Kubo / ipfs-cluster | ratio, > 1 is better |\n|---|---|---|---|")
    for name in names or BENCHMARKS:
        with tempfile.TemporaryDirectory(prefix="pinfold-bench-") as folder:
            for figure in BENCHMARKS[name](Path(folder)):
                print(figure, flush=True)


main(sys.argv[1:])
