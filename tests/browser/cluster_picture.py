"""The picture that the README opens with: what real nodes answer, and the page that one of them serves."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from browser import samples
from nodes import NodeProcess, wait_until
from support.browser import Page
from support.command import daemon

NAMES = ("attic", "cellar", "shed")
WIDTH, HEIGHT = 1000, 720
_PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 20px; background: #dfe5ea; overflow: hidden; font: 14px/1.5 monospace; }}
pre, div {{ margin: 0 0 16px; border-radius: 10px; overflow: hidden; background: #12202b; color: #e8eef2; }}
pre {{ padding: 14px 20px; font: inherit; }} div {{ padding: 8px 0 0; }} span {{ padding: 0 20px; }}
b {{ color: #6fd3c0; font-weight: normal; }} img {{ display: block; margin-top: 8px; width: 100%; }}
</style><pre>{transcript}</pre><div><span><b>cellar</b>  http://127.0.0.1:8080/ipfs/{cid}/</span>
<img src="data:image/png;base64,{listing}" alt=""></div>"""


async def cluster_picture(page: Page, scratch: Path) -> bytes:
    """A terminal, and below it a member's page of what another one added; as PNG."""
    with _cluster(scratch) as nodes:
        cid, transcript = _transcript(nodes, samples.write(scratch))
        await page.look(WIDTH - 40, 700)
        await page.open(nodes[1].addresses()["gateway"] + f"/ipfs/{cid}/")
        listing = base64.b64encode(await page.screenshot()).decode()
    file = scratch / "picture.html"
    file.write_text(_PAGE.format(transcript=transcript, cid=cid, listing=listing), "utf-8")
    await page.look(WIDTH, HEIGHT)
    await page.open(file.as_uri())
    return await page.screenshot()


@contextmanager
def _cluster(scratch: Path) -> Iterator[list[NodeProcess]]:
    """One that founds a cluster, and two that join it."""
    with ExitStack() as running:
        nodes = [running.enter_context(daemon(scratch / NAMES[0]))]
        for name in NAMES[1:]:
            token = nodes[0].run("cluster", "invite")
            NodeProcess(nodes[0].command, scratch / name).run("init", "--name", name, "--join", token)
            nodes.append(running.enter_context(daemon(scratch / name)))
        wait_until("three members", lambda: nodes[0].run("peers").count("online") == len(NAMES), 60)
        yield nodes


def _transcript(nodes: list[NodeProcess], folder: Path) -> tuple[str, str]:
    """The CID of what the first member adds, and what was typed and told, as HTML."""
    added = nodes[0].run("add", "-r", str(folder)).splitlines()
    cid = added[-1].split()[1]
    wait_until("replicated", lambda: nodes[0].statuses(cid) == ["pinned"] * len(NAMES), 60)
    told = [
        *(_line("attic", f"add -r {folder.name}"), html.escape(added[0]), "…", html.escape(added[-1]), ""),
        *(_line("attic", f"status {cid}"), html.escape(nodes[0].run("status", cid))),
    ]
    return cid, "\n".join(told)


def _line(machine: str, command: str) -> str:
    return f"<b>{machine}$</b> pinfold {html.escape(command)}"
