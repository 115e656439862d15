"""The import table of docs/architecture.md, as a test: folders are the architecture."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest
from support.white_box import reaches

ROOT = Path(__file__).parent.parent
OURS = ("blockstore", "bitswap", "cluster", "node")

# package -> what of ours it may import, and why nothing else
MAY_IMPORT = {
    "blockstore": (("blockstore",), "blockstore knows bytes, and nobody above it"),
    "bitswap": (("bitswap", "blockstore"), "bitswap moves bytes; who is to hold them is not its business"),
    "cluster": (
        ("cluster", "blockstore.cid", "blockstore.common"),
        "cluster decides by name; it never sees a block. Tasks and their guard are everybody's tools",
    ),
    "node": (OURS, "node puts the others together"),
}
# library -> the only places that may import it, and why
CONFINED = {
    "trio": (("node/p2p/",), "trio lives in one thread behind node/p2p"),
    "libp2p": (("node/p2p/",), "libp2p is a supplier behind one class"),
    "multiaddr": (("node/p2p/",), "addresses are text above node/p2p"),
    "aiohttp": (
        ("node/http/", "node/retrieval/", "node/bulk/", "node/routing/delegated/", "node/webhooks/"),
        "aiohttp serves, asks gateways, routers and members, and posts; the command line has h11",
    ),
    "pycrdt": (("cluster/pinset/documents/document.py",), "the replicated state is isolated behind one file"),
    "sqlite3": (
        (
            "blockstore/sqlite/",
            "blockstore/volumes/",
            "cluster/members/record_store.py",
            "cluster/pinset/tables/",
            "cluster/tracking/attempt_store.py",
            "node/names/record_store.py",
            "node/pinning/request_store.py",
            "node/providing/schedule_store.py",
        ),
        "only store files know that data lies in SQLite",
    ),
    "dns": (("node/names/resolver.py",), "one file asks the DNS"),
    "multipart": (("node/http/uploads/multipart.py",), "one file bounds what an upload may say of itself"),
    "dag_cbor": (("cluster/common/cross_check.py",), "it is slow: only small signed values are read by it"),
    "multiformats": (
        ("blockstore/common/multiformats_tables.py",),
        "it takes 0.2 s to import: one file does, when something rare is met",
    ),
    "prometheus_client": (
        ("node/http/metrics/exposition.py",),
        "it is for the form of a scrape alone: what is counted is counted without it",
    ),
    "aiosqlite": (("blockstore/sqlite/connection.py",), "one file owns connections and their threads"),
}
# the layers of the gateway: each may import those before it; the files beside them may import all
LAYERS = ("hosts", "paths", "pages", "replies", "formats")


# package -> room -> (the rooms that it may import, why just those); a room is a folder, or a file (no .py).
# From the top down: a room imports rooms of later rows only, so there is no circle. The words of a package,
# its values, errors and seams, may be imported by every room, and import words alone.
WORDS = {
    "blockstore": (
        *("block", "block_waiters", "blocks", "cid", "common", "errors", "fetch_progress", "fetch_report"),
        *("grouped_puts", "hashing", "leaf", "marks", "number_bitmap", "read_budget", "store", "upkeep"),
    ),
    "bitswap": ("errors", "message", "message_codec", "network", "received", "statistics"),
    "cluster": ("context", "errors", "interfaces", "pin", "ports", "settings"),
    "cluster/pinset": (),
    "node": (
        *("errors", "multiaddress_bytes", "relayed_protocol", "traffic", "unicode_safety"),
        "version",
    ),
    "node/p2p": ("errors", "guarded_task", "settings"),
    "node/http": ("app_key", "errors", "listener_url", "request_meter"),
    "node/cli": ("api", "errors", "signals"),
}
ROOMS: dict[str, dict[str, tuple[tuple[str, ...], str]]] = {
    "blockstore": {
        "path": (("ipld", "unixfs"), "a path leads through nodes of either data model"),
        "pinning": (("ipld", "sqlite"), "a pin is a walk over links, recorded beside the blocks"),
        "volumes": (
            ("disk", "sqlite"),
            "the same rows, whose bytes lie elsewhere; the store of rows alone does not know it",
        ),
        "sqlite": (
            ("disk",),
            "a file of rows knows names and bytes; what blocks link to is not its business",
        ),
        "car": (("disk", "ipld", "prefetch"), "an archive holds any DAG, UnixFS or not"),
        "unixfs": (("ipld", "prefetch"), "files are one data model over dag-pb, wherever blocks are kept"),
        "ipld": (("prefetch",), "links are followed whatever the blocks mean"),
        "memory_store": ((), "a dict needs none of the rooms"),
        "prefetch": ((), "it is told what comes next, and decodes no block"),
        "disk": ((), "free space, locks and files are no business of blocks"),
    },
    "bitswap": {
        "exchange": (
            ("accounts", "fetching", "message_decoder", "sender", "serving", "session"),
            "it alone knows both halves, and takes messages to either",
        ),
        "session": (("fetching",), "a session is about what we want"),
        "fetching": (("sender",), "what we want of peers does not depend on what they get of us"),
        "serving": (("accounts", "sender"), "what peers get of us does not depend on what we want of them"),
        "sender": ((), "it sends whatever either half says"),
        "message_decoder": ((), "a message is read whatever becomes of it"),
        "accounts": ((), "what went to and fro is counted, whoever decides it"),
    },
    "cluster": {
        "assembly": (
            ("allocation", "calls", "cluster", "common", "metrics", "moving", "tracking"),
            "it puts the rooms together, and only it knows all of them",
        ),
        "cluster": (
            ("allocation", "calls", "common", "metrics", "moving", "tracking"),
            "the face calls the rooms that decide; how the pinset travels is not its business",
        ),
        "moving": (
            ("allocation", "common", "tracking"),
            "pins are placed by the rule for all pins, and go by leases of the members that hold them",
        ),
        "replication": (
            ("common", "members", "pinset"),
            "it moves batches and member records; what follows from them hangs on the reader's events",
        ),
        "calls": (("common", "tracking"), "members ask each other what their trackers know"),
        "allocation": (("common", "metrics"), "holders are chosen by what members say of themselves"),
        "members": (
            ("common",),
            "who belongs is decided by signed records alone, whatever is pinned",
        ),
        "tracking": (("common",), "a tracker works on Pinset and LocalPins, whatever is behind these"),
        "metrics": (("common",), "metrics are heard and shown; what follows from them is allocation's"),
        "pinset": (("common",), "one member's pinset on its disk: no network, no members, no statuses"),
        "common": ((), "tools that every room uses know no room"),
    },
    "cluster/pinset": {
        "replica": (
            (
                *("admitting", "adoption", "changes", "committing", "containing", "containment"),
                *("document_cache", "log", "own_log", "rebuilding", "replica_parts", "tables"),
                *("transaction", "write_plan"),
            ),
            "every change passes it, and nothing below knows of another change",
        ),
        "admitting": (
            ("adoption", "changes", "foreign_batch", "log", "replica_parts", "tables", "transaction"),
            "what others wrote is taken whole or not at all",
        ),
        "containing": (
            ("containment", "log", "replica_parts"),
            "a step is planned below, and committed here",
        ),
        "rebuilding": (
            (
                *("damage", "document_cache", "listed_pins", "replay", "replica_parts", "tables"),
                "transaction",
            ),
            "documents come again from the log or from their rows",
        ),
        "replica_parts": (
            ("committing", "document_cache", "log", "own_log", "tables"),
            "what the parts of a replica share",
        ),
        "own_log": (
            ("document_cache", "log", "tables", "transaction"),
            "our batches are signed in an epoch, which documents that are loaded have too",
        ),
        "committing": (("log", "tables", "transaction"), "the disk first, then memory, then whoever listens"),
        "adoption": (
            (
                *("document_cache", "documents", "listed_pins", "log", "replay", "tables"),
                *("transaction", "whole_transaction"),
            ),
            "a snapshot is joined document by document, and the log takes over where it ends",
        ),
        "containment": (
            ("document_cache", "documents", "log", "tables", "transaction", "whole_transaction"),
            "what a forked log did is taken out by the documents themselves",
        ),
        "replay": (
            ("document_cache", "documents", "log", "tables", "whole_transaction"),
            "documents are made from the log alone",
        ),
        "whole_transaction": (
            ("document_cache", "documents", "tables", "transaction"),
            "a transaction, of documents that are replaced",
        ),
        "foreign_batch": (
            ("document_cache", "documents", "log", "transaction"),
            "it is read and bounded before a document sees it, and knows no table",
        ),
        "write_plan": (("changes", "transaction"), "wishes become a change of documents in memory"),
        "transaction": (
            ("document_cache", "documents", "log", "tables"),
            "documents, rows and batches that go to the disk together",
        ),
        "damage": (
            ("document_cache", "documents", "listed_pins", "tables"),
            "documents are held against what was written down of them",
        ),
        "document_cache": (("documents", "tables"), "documents come from the disk, whoever changes them"),
        "pin_listing": (("tables",), "lists come from rows, never from documents"),
        "listed_pins": (("tables",), "rows say which pins there are"),
        "changes": (("log",), "what is asked and what came of it, as values"),
        "change_feed": ((), "it tells whoever asked, whatever made the change"),
        "tables": (("documents", "log"), "SQLite is known here alone, by values of the rooms below"),
        "log": (("documents",), "a batch holds updates of documents, as bytes"),
        "documents": ((), "what Yjs does with bytes depends on no table and on no log"),
    },
    "node": {
        "__main__": (("cli",), "`python -m node` is the command"),
        "cli": (
            ("access", "config", "datadir", "files", "http", "log", "node", "store_rebuild"),
            "commands reach a running node over HTTP; one is the node itself, one mends a stopped one",
        ),
        "node": (
            (
                *("bandwidth", "block_access", "config", "datadir", "denylist", "http", "malloc", "networks"),
                *("opened_folder", "own_bootstrap", "own_callers", "own_cluster", "own_names"),
                *("own_providing", "own_router", "own_upkeep", "parts", "providing", "retrieval", "services"),
            ),
            "it puts the rooms together, in the order of life",
        ),
        "store_rebuild": (
            ("block_access", "config", "datadir"),
            "it opens the blocks of a folder as a node would, and nothing else",
        ),
        "http": (
            (
                *("access", "audit", "config", "datadir", "denylist", "events", "files", "jobs", "names"),
                *("parts", "pinning", "providing", "retrieval", "routing", "services"),
            ),
            "a face calls the parts of a node that is open; what opens them is above it",
        ),
        "own_callers": (
            ("access", "audit", "datadir", "files", "opened_folder", "own_cluster", "pinning"),
            "what callers show and leave lies in the data folder; the faces ask for it",
        ),
        "own_names": (
            (
                *("block_access", "datadir", "names", "networks", "opened_folder", "own_cluster"),
                *("retrieval", "services"),
            ),
            "names are kept among the members, and lead to blocks",
        ),
        "own_upkeep": (
            ("block_access", "events", "jobs", "opened_folder", "own_cluster", "services"),
            "a service is put to work on the store and the cluster of this node",
        ),
        "own_bootstrap": (
            ("names", "networks", "opened_folder", "own_cluster", "routing"),
            "servers are found by members, names and settings, before any list",
        ),
        "own_providing": (
            ("block_access", "networks", "opened_folder", "own_cluster", "providing"),
            "what is told is what is here, as far as the cluster leaves it to this member",
        ),
        "own_router": (
            ("networks", "opened_folder", "own_cluster", "routing"),
            "members are asked before strangers",
        ),
        "own_cluster": (
            (
                *("block_access", "config", "events", "networks", "opened_folder", "parts", "services"),
                "webhooks",
            ),
            "the cluster stands on the store and on the network",
        ),
        "block_access": (
            ("config", "denylist", "networks", "opened_folder", "retrieval"),
            "what the store lacks is fetched over the networks",
        ),
        "networks": (
            (
                *("bandwidth", "bulk", "names", "offline_network", "opened_folder", "p2p", "parts"),
                *("retrieval", "routing"),
                "services",
            ),
            "networks move bytes; what is done with them is above",
        ),
        "opened_folder": (("config", "datadir"), "the folder is opened before everything else"),
        "parts": (
            (
                *("access", "audit", "bandwidth", "config", "datadir", "denylist", "events", "files", "jobs"),
                *("names", "pinning", "providing", "routing", "services", "webhooks"),
            ),
            "the words of the faces: what they may call of a node",
        ),
        "services": (
            ("files", "jobs", "log", "names"),
            "a service works on the packages below, whoever asks for it",
        ),
        "webhooks": (("config", "events"), "a receiver reads the buffer as a listener does"),
        "events": (("jobs",), "what happens is told in its own words, whoever listens"),
        "jobs": (("files",), "work says how far it is, and is stopped; what it does is not known here"),
        "denylist": (("names",), "rules name content paths, by CID or by name"),
        "providing": (("routing",), "it tells the DHT of blocks and pins, by values of the packages below"),
        "routing": (
            ("files", "names", "retrieval"),
            "who has content, and the records of names, by values of both",
        ),
        "names": (
            ("config", "datadir"),
            "a name is a key's, and leads to a path; who asks is not its business",
        ),
        "access": (
            ("datadir", "files"),
            "who may do what is decided by what is shown and what is kept; what is called is above it",
        ),
        "pinning": ((), "requests become pins by the cluster's own ways, whoever asks"),
        "audit": ((), "records are written and read, whatever was done"),
        "bulk": (("datadir",), "a second way between members; it knows this node's key, and no libp2p"),
        "p2p": (("datadir", "files"), "the networks know this node's key, and keep addresses in a file"),
        "retrieval": ((), "blocks are found by the packages below; no face and no setting is known here"),
        "offline_network": ((), "it satisfies the cluster's seams, as the real one does"),
        "datadir": (("files",), "what lies in the data folder is read and written as plain values"),
        "log": ((), "lines are written whatever they say"),
        "bandwidth": (("config",), "what passes is counted and held back, whoever sends it"),
        "config": ((), "settings are values, checked where they are read"),
        "files": ((), "files and sockets are made, replaced and taken, whatever they hold"),
        "malloc": ((), "memory is tuned before anything runs"),
    },
    "node/p2p": {
        "members_network": (("admission", "network"), "the network again, with members alone in it"),
        "network": (
            (
                *("admission", "host_handle", "host_program", "messaging", "peering", "portal"),
                *("requests", "swarm"),
            ),
            "it puts the rooms together, and only it is known outside of node/p2p",
        ),
        "requests": (
            ("host_handle", "messaging"),
            "requests cross to the host, and are answered here",
        ),
        "host_handle": (
            ("host_program", "messaging", "portal", "swarm"),
            "the asyncio side of the crossing; what it carries is the rooms' business",
        ),
        "host_program": (
            ("messaging", "peering", "portal", "swarm"),
            "the trio side of the crossing; it reports to what outlives it",
        ),
        "messaging": (("swarm", "transport"), "messages, calls and gossip go over streams of the host"),
        "peering": (("swarm",), "who stays connected is decided by addresses, whatever is said there"),
        "swarm": (("admission", "transport"), "a host serves protocols by name; it knows none of messages"),
        "admission": (("transport",), "who may stay is decided by peer and address, before any message"),
        "transport": ((), "from TCP to authenticated streams; it knows no room above it"),
        "portal": (("trio_thread",), "it carries any work between the loops, and knows none of it"),
        "trio_thread": ((), "a thread with trio in it, and the way in and out"),
        "lean_imports": ((), "it runs before everything else here is imported"),
    },
    "node/http": {
        "listeners": (
            (
                *("admin", "connection", "gateway", "limits", "listener", "log", "metrics", "pinning"),
                *("rest", "rpc", "tls"),
            ),
            "it opens the faces, which never know each other",
        ),
        "gateway": (
            ("connection", "limits", "log", "media_types", "routing", "slow_clients", "trailers"),
            "a public face: it cannot reach what serves admins",
        ),
        "rest": (
            ("admin", "connection", "content_paths", "go", "slow_clients", "trailers", "uploads"),
            "a face for admins: it translates, and shares with the RPC only what both rooms import",
        ),
        "rpc": (
            ("admin", "connection", "content_paths", "go", "trailers", "uploads"),
            "a face for admins: it translates, and shares with REST only what both rooms import",
        ),
        "pinning": (
            ("admin", "connection", "go"),
            "a face for whom a token lets in: it reaches the pinning service, and nothing for admins",
        ),
        "metrics": (
            ("admin", "connection"),
            "it reads the parts of the node and what was counted of the faces; none of them knows it",
        ),
        "listener": (
            ("connection", "limits", "slow_clients", "tls", "unix_socket"),
            "it serves any application, whatever its routes",
        ),
        "tls": (("connection", "limits"), "a handshake comes before HTTP, whatever is served behind it"),
        "unix_socket": (("connection",), "a file to connect to, whatever is served there"),
        "connection": (("limits",), "a connection is let in before anything is known of its requests"),
        "admin": (("limits", "trailers"), "who may call does not depend on what is called"),
        "uploads": ((), "a body is read the same for every face"),
        "go": ((), "forms of Go's values: no route, no request"),
        "content_paths": ((), "a path in a parameter means the same on every face"),
        "log": ((), "lines and where they go, whoever is logged"),
        "routing": ((), "who has content is told to the public, whatever content is given"),
        "media_types": ((), "names and bytes in, a content type out"),
        "limits": ((), "amounts and times: no request, no response"),
        "slow_clients": ((), "it looks at transports, whatever they carry"),
        "trailers": ((), "one form of response, for any handler"),
    },
    "node/cli": {
        "commands": (
            ("input", "main", "output", "session"),
            "a command reads input, asks the daemon and prints; how it ends is decided above it",
        ),
        "main": (
            ("exit_code", "output", "session"),
            "commands are loaded by name when they are called: a start imports none",
        ),
        "exit_code": (("output",), "what ends a command is printed in one place"),
        "session": ((), "what a command is given does not print"),
        "input": (("output",), "inputs name the one that failed"),
        "output": ((), "printing knows no command"),
    },
}


def _sources() -> list[Path]:
    return [file for package in OURS for file in sorted((ROOT / package).rglob("*.py"))]


@cache
def _imports(file: Path) -> tuple[str, ...]:
    names: list[str] = []
    for item in ast.walk(ast.parse(file.read_text())):
        if isinstance(item, ast.Import):
            names += (alias.name for alias in item.names)
        elif isinstance(item, ast.ImportFrom):
            assert item.level == 0, f"{file}: relative imports hide which package is meant"
            names.append(item.module or "")
    return tuple(names)


def _room(file: Path, package: str) -> str:
    """The room of a file inside that package ("node/http"); empty for its own `__init__`."""
    parts = file.relative_to(ROOT / package).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


@cache
def _entered(file: Path, package: str) -> frozenset[str]:
    """The rooms of that package that this file imports from."""
    dotted, found = package.replace("/", "."), set[str]()
    for item in ast.walk(ast.parse(file.read_text())):
        if isinstance(item, ast.ImportFrom):
            names = [f"{item.module}.{alias.name}" for alias in item.names]
        elif isinstance(item, ast.Import):
            names = [alias.name for alias in item.names]
        else:
            continue
        found |= {name.removeprefix(dotted + ".").split(".")[0] for name in names if _within(name, (dotted,))}
    return frozenset(found)


@cache
def _arrows(package: str) -> dict[str, dict[str, str]]:
    """Room -> room that it imports from -> a file that does."""
    arrows: dict[str, dict[str, str]] = {}
    for file in sorted((ROOT / package).rglob("*.py")):
        if room := _room(file, package):
            entered = arrows.setdefault(room, {})
            entered |= dict.fromkeys(_entered(file, package) - {room}, str(file.relative_to(ROOT)))
    return arrows


def _within(module: str, allowed: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in allowed)


@pytest.mark.parametrize("package", OURS)
def test_a_package_imports_only_what_the_table_allows(package: str) -> None:
    allowed, reason = MAY_IMPORT[package]
    broken = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in sorted((ROOT / package).rglob("*.py"))
        for module in _imports(file)
        if _within(module, OURS) and not _within(module, allowed)
    ]
    assert not broken, f"{reason}: {broken}"


@pytest.mark.parametrize("library", CONFINED)
def test_a_supplier_is_imported_only_behind_its_seam(library: str) -> None:
    places, reason = CONFINED[library]
    broken = [
        str(file.relative_to(ROOT))
        for file in _sources()
        if any(_within(module, (library,)) for module in _imports(file))
        and not str(file.relative_to(ROOT)).startswith(places)
    ]
    assert not broken, f"{reason}: {broken}"


@pytest.mark.parametrize("library", CONFINED)
def test_no_place_may_import_a_supplier_that_it_does_without(library: str) -> None:
    using = [
        str(file.relative_to(ROOT))
        for file in _sources()
        if any(_within(module, (library,)) for module in _imports(file))
    ]
    idle = [place for place in CONFINED[library][0] if not any(path.startswith(place) for path in using)]
    assert not idle, "a permission that is left over says something false of the folders"


@pytest.mark.parametrize("package", ROOMS)
def test_every_room_has_its_row(package: str) -> None:
    words, rooms = WORDS[package], ROOMS[package]
    assert sorted({*words, *rooms}) == sorted(_arrows(package)), "a newcomer reads here what each may import"


@pytest.mark.parametrize("package", ROOMS)
def test_a_room_imports_only_the_rooms_of_its_row(package: str) -> None:
    words = WORDS[package]
    for room, entered in _arrows(package).items():
        allowed, reason = ROOMS[package].get(room, ((), "words are below every room"))
        broken = {other: file for other, file in entered.items() if other not in (*allowed, *words)}
        assert not broken, f"{package}/{room}: {reason}: {broken}"


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_stand_above_those_that_they_may_import_and_use_each_permission(package: str) -> None:
    rooms = list(ROOMS[package])
    for position, (room, (allowed, _)) in enumerate(ROOMS[package].items()):
        assert set(allowed) <= set(rooms[position + 1 :]), f"{package}/{room} would close a circle"
        idle = [other for other in allowed if other not in _arrows(package)[room]]
        assert not idle, f"{package}/{room}: a permission that is left over says something false of it"


def test_only_the_portal_and_its_thread_know_both_event_loops() -> None:
    both = [
        str(file.relative_to(ROOT))
        for file in _sources()
        if all(any(_within(module, (loop,)) for module in _imports(file)) for loop in ("asyncio", "trio"))
    ]
    assert both == ["node/p2p/portal.py", "node/p2p/trio_thread.py"], (
        "any other file belongs to one of the two, and its first lines say which"
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_of_the_gateway_imports_only_what_is_below_it(layer: str) -> None:
    gateway = "node.http.gateway"
    allowed = tuple(f"{gateway}.{name}" for name in LAYERS[: LAYERS.index(layer) + 1])
    broken = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in sorted((ROOT / "node/http/gateway" / layer).glob("*.py"))
        for module in _imports(file)
        if _within(module, (gateway,)) and not _within(module, allowed)
    ]
    assert not broken, f"a request goes down through {LAYERS[::-1]}, and nothing calls back up: {broken}"


def test_one_name_is_one_thing() -> None:
    """A search for a class finds one: in two files a name would mean two things, or one thing twice."""
    found: dict[str, list[str]] = {}
    for file in (*_sources(), *sorted((ROOT / "packaging").glob("*.py"))):
        for item in ast.parse(file.read_text()).body:
            if isinstance(item, ast.ClassDef) and not item.name.startswith("_"):
                found.setdefault(item.name, []).append(str(file.relative_to(ROOT)))
    assert {name: files for name, files in found.items() if len(files) > 1} == {}


def test_packaging_never_becomes_a_python_package() -> None:
    assert not (ROOT / "packaging" / "__init__.py").exists(), "it would shadow the PyPI module `packaging`"


def test_every_source_file_says_what_it_is() -> None:
    empty = [
        str(file.relative_to(ROOT))
        for file in _sources()
        if file.read_text().strip() and not ast.get_docstring(ast.parse(file.read_text()))
    ]
    assert not empty


def test_every_package_is_installed() -> None:
    """The list in pyproject.toml is written by hand: without one of them an installed wheel does not run."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    here = [
        ".".join(file.parent.relative_to(ROOT).parts)
        for top in OURS
        for file in (ROOT / top).rglob("__init__.py")
    ]
    assert sorted(listed) == sorted(here)


def test_tests_know_only_what_callers_know() -> None:
    """Who reaches inside stops its owner from changing it, and proves nothing that a caller sees."""
    broken = [
        f"{file.relative_to(ROOT)}:{reach}"
        for folder in ("tests", "benchmarks")
        for file in sorted((ROOT / folder).rglob("*.py"))
        for reach in reaches(file, ROOT, OURS)
    ]
    remedy = "make it an argument or a read-only view, or say why behind `# white box:`"
    assert not broken, f"{remedy}: {broken}"


def test_reaching_inside_is_found_in_every_spelling(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "malloc.py").touch()
    test = tmp_path / "test_it.py"
    test.write_text(
        "from node import malloc\n"
        "from node.malloc import _give_back\n"
        "thing._inside\n"
        "monkeypatch.setattr('node.malloc.SECONDS', 1)\n"
        "monkeypatch.setattr(malloc, 'SECONDS', 1)\n"
        "malloc.SECONDS = 1\n"
        "thing._inside  # white box: there is no other way to break it\n"
        "self._own, thing.__dict__, monkeypatch.setattr(os, 'write', full)\n"
    )
    lines = [int(reach.partition(":")[0]) for reach in reaches(test, tmp_path, OURS)]
    assert sorted(lines) == [2, 3, 4, 5, 6]
