"""Figures and tables of the docs are compared with the code: limits, defaults, files of the data folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from aiohttp import ClientSession
from support.node import running_node

from blockstore import read_budget
from blockstore.block import MAX_BLOCK_BYTES
from blockstore.disk import ballast
from blockstore.unixfs.importing.entries import MAX_LEVELS
from cluster.allocation import pin_options as cluster_options
from cluster.common import names
from cluster.common.genesis import DOCUMENT_BITS
from cluster.common.hybrid_clock import TOLERANCE
from cluster.common.wire import MAX_VALUE_BYTES
from cluster.members import invite, record
from cluster.pin import Status
from cluster.pinset.log import batch
from cluster.ports import MAX_GOSSIP
from cluster.replication import catchup_server, gossip_message, holdback
from node.config import config
from node.config.sections import Config
from node.config.validation import Setting
from node.http import connection, listener
from node.http.errors import STATUSES
from node.http.gateway.formats import archive
from node.http.gateway.hosts import labels
from node.http.gateway.paths import redirects
from node.http.gateway.replies import response_cache
from node.log import line_format, rate_limit
from node.p2p.admission import places, stream_limit
from node.p2p.settings import NetworkSettings
from node.p2p.transport import memory_budget
from node.p2p.transport.yamux import frames, receive_window
from node.retrieval import read_cache

ROOT = Path(__file__).parent.parent
KIB, MIB = 1024, 1024 * 1024

HTTP, OPERATIONS, COMMANDS = "docs/http.md", "docs/operations.md", "docs/commands.md"
PINSET, P2P, MEMBERSHIP = (
    f"docs/decisions/{name}.md" for name in ("0004-pinset", "0005-p2p-host", "0006-membership")
)
ROOM = "docs/decisions/0007-room.md"


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure of a page: the words around it, the constant, and the unit in which the page has it."""

    page: str
    words: str
    value: float
    unit: float = 1


LIMITS = (
    Limit(HTTP, "whose line is above {} KiB a 414", connection.MAX_LINE, KIB),
    Limit(HTTP, "a header above {} KiB", connection.MAX_FIELD, KIB),
    Limit(HTTP, "more than {} of them a 431", connection.MAX_FIELDS),
    Limit(HTTP, "have {} connections each", listener.MAX_CONNECTIONS),
    Limit(HTTP, "{} of them for one address of another machine", listener.CLIENT_CONNECTIONS),
    Limit(HTTP, "no label of {} characters", labels.MAX_LABEL),
    Limit(HTTP, "or above {} KiB: 500", redirects.MAX_BYTES, KIB),
    Limit(HTTP, "depth first, {} levels at most", archive.MAX_DEPTH),
    Limit(HTTP, "a line a block, each {} MiB at most", MAX_BLOCK_BYTES, MIB),
    Limit(HTTP, "`name` ({} bytes at most)", cluster_options.MAX_PIN_NAME),
    Limit(HTTP, "({} entries, 12 KiB at most)", cluster_options.MAX_METADATA),
    Limit(HTTP, "(64 entries, {} KiB at most)", cluster_options.MAX_METADATA_BYTES, KIB),
    Limit(COMMANDS, "A tree may have {} levels", MAX_LEVELS),
    Limit(COMMANDS, "one join token of at most {} characters", invite.MAX_LENGTH),
    Limit(OPERATIONS, "It has at most {} characters", invite.MAX_LENGTH),
    Limit(OPERATIONS, "up to {} MiB of nothing", ballast.MOST, MIB),
    Limit(OPERATIONS, "writes {} lines at once", rate_limit.BURST),
    Limit(OPERATIONS, "A line has {} characters of message at most", line_format.MAX_MESSAGE),
    Limit(OPERATIONS, "{} MiB of small answers ready to be sent", response_cache.MAX_BYTES, MIB),
    Limit(OPERATIONS, "{} MiB of blocks that several clients wanted lately", read_cache.MAX_BYTES, MIB),
    Limit(OPERATIONS, "{} MiB of blocks read ahead", read_budget.TOTAL_BYTES, MIB),
    Limit(PINSET, "small documents (2^{})", DOCUMENT_BITS),
    Limit(PINSET, "Value {} KiB", MAX_VALUE_BYTES, KIB),
    Limit(PINSET, "name {} characters", names.MAX_NAME),
    Limit(PINSET, "batch {} MiB", batch.MAX_BATCH_BYTES, MIB),
    Limit(PINSET, "and {} documents", batch.MAX_BATCH_DOCUMENTS),
    Limit(PINSET, "gossip {} KiB", gossip_message.MAX_GOSSIP_BYTES, KIB),
    Limit(PINSET, "pages {} MiB", catchup_server.PAGE_BYTES, MIB),
    Limit(PINSET, "held batches {} MiB in all", holdback.MAX_BYTES, MIB),
    Limit(PINSET, "and {} MiB an author", holdback.MAX_BYTES_PER_AUTHOR, MIB),
    Limit(PINSET, "{} member records of 8 KiB", record.MAX_RECORDS),
    Limit(PINSET, "4096 member records of {} KiB", record.MAX_RECORD_BYTES, KIB),
    Limit(PINSET, "stamp more than {} minutes ahead", TOLERANCE, 60),
    Limit(PINSET, "a difference above {} minutes", TOLERANCE, 60),
    Limit(P2P, "have not proved who they are | {};", places.MOST_UNPROVEN),
    Limit(P2P, "{} idle ones, 128 in all", stream_limit.FEW),
    Limit(P2P, "16 idle ones, {} in all", stream_limit.MOST),
    Limit(P2P, "{} MiB a host", memory_budget.BUDGET, MIB),
    Limit(P2P, "{} MiB a connection", receive_window.MAX_UNREAD, MIB),
    Limit(P2P, "{} KiB a message", MAX_GOSSIP, KIB),
    Limit(P2P, "a stream may be sent {} KiB", frames.INITIAL_WINDOW, KIB),
    Limit(MEMBERSHIP, "disconnected {} s after it came", NetworkSettings("cluster").join_timeout),
    Limit(OPERATIONS, "a connection of {} seconds at a time", NetworkSettings("cluster").join_timeout),
    Limit(ROOM, "A file of up to {} MiB", ballast.MOST, MIB),
)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: f"{Path(limit.page).stem}: {limit.words}")
def test_a_limit_is_what_its_page_says(limit: Limit) -> None:
    before, after = (re.escape(part) for part in limit.words.split("{}"))
    (figure,) = re.findall(rf"{before}([\d.]+){after}", _flowing(limit.page))
    assert float(figure) == limit.value / limit.unit


@cache
def _flowing(page: str) -> str:
    """A page without its line ends."""
    return " ".join((ROOT / page).read_text("utf-8").split())


def _default_of(key: str, row_keys: list[str], cell: str) -> str:
    return cell if len(row_keys) == 1 else cell.split(", ")[row_keys.index(key)]


def _documented_defaults() -> dict[str, str]:
    rows = re.findall(
        r"^\| (`[^|]+) \| ([^|]*) ?\|", (ROOT / "docs/settings.md").read_text("utf-8"), re.MULTILINE
    )
    keyed = [(re.findall(r"`([a-z]+\.[a-z_]+)`", names), cell.strip()) for names, cell in rows]
    return {key: _default_of(key, found, cell) for found, cell in keyed for key in found}


@pytest.mark.parametrize(("key", "default"), list(config.keys()))
def test_a_default_is_what_the_page_of_settings_says(key: str, default: Setting) -> None:
    told = _documented_defaults()[key]
    if key == "cluster.peer_name":
        assert (told, default) == ("the host's name", "")  # that of the machine that the node runs on
        return
    assert dict(config.keys(config.with_setting(Config(), key, told)))[key] == default


async def test_the_files_of_a_data_folder_are_those_that_the_pages_list(tmp_path: Path) -> None:
    async with running_node(tmp_path / "node"):
        made = {file.name for file in (tmp_path / "node").iterdir()}
    databases = {name for name in made if name.endswith(".db")}
    elsewhere = {"blocks.spare.db", "provide.db"}  # where the disk is damaged, where the DHT is on
    assert databases | elsewhere == _first_cells("docs/decisions/0003-database-files.md", "file")
    listed = {name.rstrip("/") for name in _first_cells(OPERATIONS, "file")}
    assert {name for name in made if not name.endswith(("-wal", "-shm"))} <= listed


async def test_the_routes_that_want_the_secret_are_those_of_which_the_page_says_so(tmp_path: Path) -> None:
    rows = re.findall(
        r"^\| `((?:POST|DELETE) /[^`]*)` \|(.*)$", (ROOT / HTTP).read_text("utf-8"), re.MULTILINE
    )
    told = {route for route, text in rows if "wants the secret of the data folder" in text}
    async with running_node(tmp_path / "node") as node, ClientSession(node.faces.api.url) as client:
        asking = {route for route, _ in rows if await _status(client, *route.split()) == 401}
    assert told
    assert asking == told


@pytest.mark.parametrize("path", ["/v1/usage", "/v1/health", "/v1/cluster"])
async def test_an_object_of_our_own_routes_has_the_fields_that_the_page_names(
    path: str, tmp_path: Path
) -> None:
    (told,) = re.findall(
        rf"^\| `GET {path}` \|.*?`(\{{[^`]+)`", (ROOT / HTTP).read_text("utf-8"), re.MULTILINE
    )
    async with (
        running_node(tmp_path / "node") as node,
        ClientSession(node.faces.api.url) as client,
        client.get(path) as answer,
    ):
        fields = set(await answer.json())
    assert fields == set(re.findall(r'"(\w+)":', told))


def test_every_status_of_a_pin_is_a_filter_that_the_page_names() -> None:
    told = _flowing(HTTP).partition("`filter` of statuses is a comma list of ")[2].partition(". ")[0]
    assert {status.value for status in Status} <= set(re.findall(r"`(\w+)`", told))


async def _status(client: ClientSession, method: str, path: str) -> int:
    async with client.request(method, re.sub(r"\{\w+\}", "x", path)) as answer:
        return answer.status


def test_every_status_of_an_error_is_explained() -> None:
    page = _flowing(HTTP).partition("Errors are `{")[2].partition("###")[0]
    assert {status for _, status in STATUSES} <= {int(text) for text in re.findall(r"\b[45]\d\d\b", page)}


def test_log_lines_that_pages_show_are_of_loggers_that_exist() -> None:
    shown = re.findall(r"\b[A-Z]+ ((?:node|cluster|bitswap|blockstore)(?:\.\w+)+): ", _flowing(OPERATIONS))
    assert shown
    assert [name for name in shown if not find_spec(name)] == []


def _first_cells(page: str, heading: str) -> set[str]:
    """What stands in backticks in the first column of the page's table of that heading."""
    (_, _, table) = (ROOT / page).read_text("utf-8").partition(f"| {heading} |")
    rows = table.partition("\n\n")[0].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
