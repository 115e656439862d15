"""Pages used: followed by clicks, copied from, read while they come, and attacked by names and content."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from aiohttp import ClientSession
from browser.samples import FILES, HOSTILE, folder, hostile, sharded
from support.browser import Page
from support.gateway import Gateway

from blockstore.block import Block
from blockstore.ipld import dag_pb

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SHARDED = 20_000


async def test_rows_and_breadcrumbs_lead_through_the_tree(gateway: Gateway, page: Page) -> None:
    root = await folder(gateway)
    base = f"{gateway.node.faces.gateway.url}/ipfs/{root}"
    await page.open(f"{base}/")
    await page.click("tr.d td:first-child a")
    assert await page.run("location.href") == f"{base}/photos/"
    await page.click("tr.d td:first-child a")
    assert await page.run("location.href") == f"{base}/photos/2026/"
    await page.click("tr.up a")
    assert await page.run("location.href") == f"{base}/photos/"
    await page.click("nav a")
    assert await page.run("location.href") == f"{base}/"
    await page.click('td:first-child a[href$="/README.md"]')
    assert await page.run("document.contentType") == "text/markdown"
    assert len(str(await page.run("document.body.innerText"))) == FILES["site/README.md"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_what_is_typed_into_the_welcome_page_is_opened(gateway: Gateway, page: Page, host: str) -> None:
    """On localhost that leads to an origin of its own, which a policy for forms would have to know."""
    root = await folder(gateway)
    await page.open(f"http://{host}:{gateway.node.faces.gateway.port}/")
    await page.click("#open", leads_away=False)
    await page.call("Input.insertText", text=f"ipfs://{root}/photos/")
    await page.click("form button")
    where = str(await page.run("location.href"))
    assert where.endswith("/photos/")
    assert str(root) in where
    assert "harbour.jpg" in str(await page.run("document.body.innerText"))
    assert page.complaints == []


async def test_the_copy_button_copies_the_cid(gateway: Gateway, page: Page) -> None:
    root = await folder(gateway)
    origin = gateway.node.faces.gateway.url
    await page.open(f"{origin}/ipfs/{root}/")
    await page.permit(origin, "clipboardReadWrite", "clipboardSanitizedWrite")
    await page.click("#copy", leads_away=False)
    assert await page.run("navigator.clipboard.readText()") == str(root)
    assert await page.run('document.getElementById("copied").textContent') == "Copied"
    assert page.complaints == []


async def test_where_pages_may_not_use_the_clipboard_the_button_does_it_the_old_way(
    gateway: Gateway, page: Page
) -> None:
    """Plain HTTP from another machine is no secure context."""
    root = await folder(gateway)
    port = gateway.node.faces.gateway.port
    await page.open(f"http://gateway.test:{port}/ipfs/{root}/")
    assert await page.run("isSecureContext") is False
    await page.click("#copy", leads_away=False)
    assert await page.run("getSelection().toString()") == str(root)
    assert await page.run('document.getElementById("copied").textContent') == "Copied"


async def test_without_scripts_there_is_no_button_and_the_cid_is_one_click_to_select(
    gateway: Gateway, page: Page
) -> None:
    await page.call("Emulation.setScriptExecutionDisabled", value=True)
    await page.open(f"{gateway.node.faces.gateway.url}/ipfs/{await folder(gateway)}/")
    assert await page.run('document.getElementById("copy").checkVisibility()') is False
    assert await page.run('getComputedStyle(document.getElementById("cid")).userSelect') == "all"


async def _rows(page: Page) -> tuple[int, str]:
    """How many rows the page has by now, and whether it is loading."""
    found = await page.run("[document.querySelectorAll('tbody tr').length, document.readyState]")
    match found:
        case [int(rows), str(state)]:
            return rows, state
    raise AssertionError(found)


async def test_rows_are_there_before_the_directory_ends(gateway: Gateway, page: Page) -> None:
    root = await sharded(gateway, SHARDED)
    began = time.perf_counter()
    await page.open(f"{gateway.node.faces.gateway.url}/ipfs/{root}/", until="Page.frameNavigated")
    seen, state = 0, ""
    while not seen:
        seen, state = await _rows(page)
    first = time.perf_counter() - began
    assert 0 < seen < SHARDED
    assert state == "loading"
    while state != "complete":
        await asyncio.sleep(0.05)
        seen, state = await _rows(page)
    print(f"first rows after {first:.2f} s, all {seen} after {time.perf_counter() - began:.2f} s")
    assert seen == SHARDED
    assert "20,000 entries" in str(await page.run("document.querySelector('footer').textContent"))


async def test_hostile_names_are_text(gateway: Gateway, page: Page) -> None:
    root = await hostile(gateway)
    url = f"{gateway.node.faces.gateway.url}/ipfs/{root}/"
    await page.open(url)
    assert page.complaints == []
    assert await page.run("document.querySelectorAll('td:first-child a').length") == len(HOSTILE)
    assert await page.run("document.querySelectorAll('img, td script').length") == 0
    assert "\u202e" not in str(await page.run("document.documentElement.outerHTML"))
    kinds = await page.run("[...document.querySelectorAll('td a')].map(a => new URL(a.href).origin)")
    assert isinstance(kinds, list)
    assert set(kinds) == {gateway.node.faces.gateway.url}
    for number in range(len(HOSTILE)):
        await page.open(url)
        await page.click(f"tbody tr:nth-child({number + 1}) td:first-child a")
        assert await page.run("document.body.innerText.trim()") == "harmless"
    assert [said for said in page.complaints if not said.endswith("/favicon.ico")] == []


@pytest.mark.parametrize("name", ["x.txt", "x.json", "x.md", "x.css", "x.jpg.txt"])
async def test_what_is_named_as_text_does_not_run(gateway: Gateway, page: Page, name: str) -> None:
    root = await gateway.add({f"d/{name}": b"<!DOCTYPE html><title>run</title><script>alert(1)</script>"})
    await page.open(f"{gateway.node.faces.gateway.url}/ipfs/{root}/{name}")
    assert await page.run("document.contentType") != "text/html"
    assert await page.run("document.title") != "run"
    assert [said for said in page.complaints if not said.endswith("/favicon.ico")] == []


async def test_sites_on_subdomains_do_not_see_each_other(gateway: Gateway, page: Page) -> None:
    one = await gateway.add({"d/index.html": b"<title>one</title>"})
    two = await gateway.add({"d/index.html": b"<title>two</title>"})
    at = f"http://localhost:{gateway.node.faces.gateway.port}/ipfs"
    await page.open(f"{at}/{one}/")
    assert str(await page.run("location.host")).startswith(f"{one}.ipfs.localhost:")
    await page.run("localStorage.setItem('secret', 'of one'); document.cookie = 'secret=of one'")
    await page.open(f"{at}/{two}/")
    assert await page.run("document.title") == "two"
    assert await page.run("[localStorage.getItem('secret'), document.cookie]") == [None, ""]
    await page.open(f"{at}/{one}/")
    assert await page.run("localStorage.getItem('secret')") == "of one"


async def test_a_page_that_broke_off_shows_what_came_and_no_end(gateway: Gateway, page: Page) -> None:
    root = await sharded(gateway, SHARDED)
    top = dag_pb.decode((await gateway.node.parts.store.get(root)).data)
    await gateway.forget(top.links[-1].cid)
    await page.open(f"{gateway.node.faces.gateway.url}/ipfs/{root}/", until="Network.loadingFailed")
    assert int(str(await page.run("document.querySelectorAll('tbody tr').length"))) >= 100
    assert await page.run("document.querySelector('footer')") is None


async def test_on_an_origin_of_its_own_a_listing_leads_inside_and_out(gateway: Gateway, page: Page) -> None:
    root = await folder(gateway)
    port = gateway.node.faces.gateway.port
    await page.open(f"http://localhost:{port}/ipfs/{root}/photos/")
    own = f"http://{root}.ipfs.localhost:{port}"
    assert await page.run("location.href") == f"{own}/photos/"
    await page.click("tr.d td:first-child a")
    assert await page.run("location.href") == f"{own}/photos/2026/"
    await page.click("nav a")
    assert await page.run("location.href") == f"{own}/"
    await page.click("tr.d .ipfs-hash")
    assert await page.run("location.host") != f"{root}.ipfs.localhost:{port}"
    assert "harbour.jpg" in str(await page.run("document.body.innerText"))
    assert [said for said in page.complaints if not said.endswith("/favicon.ico")] == []


async def test_content_on_a_path_gateway_gets_no_service_worker_over_others(
    gateway: Gateway, page: Page
) -> None:
    script = b"self.addEventListener('fetch', event => event.respondWith(new Response('taken over')))"
    root = await gateway.add({"d/index.html": b"<title>site</title>", "d/worker.js": script})
    alone = Block.of(script)
    await gateway.put(alone)
    await page.open(f"{gateway.node.faces.gateway.url}/ipfs/{root}/")
    for worker, scope in (
        (f"/ipfs/{root}/worker.js", "/"),
        (f"/ipfs/{root}/worker.js", "/ipfs/"),
        (f"/ipfs/{alone.cid}", "/ipfs/"),
        (f"/ipfs/{alone.cid}?filename=worker.js", "/ipfs/"),
        (f"/ipfs/{alone.cid}/?filename=worker.js", "/ipfs/"),
    ):
        tried = f"navigator.serviceWorker.register({json.dumps(worker)}, {{scope: {json.dumps(scope)}}})"
        refused = await page.run(f"{tried}.then(() => 'registered', error => error.name)")
        assert refused in ("SecurityError", "TypeError"), worker  # the scope, or the gateway's 400


async def test_content_cannot_drive_the_node(gateway: Gateway, page: Page) -> None:
    """Requests of a page on the gateway reach the other listeners of this machine; they change nothing."""
    root = await gateway.add({"d/index.html": b"<title>site</title>"})
    faces = gateway.node.faces
    await page.open(f"{faces.gateway.url}/ipfs/{root}/")
    calls = {
        f"{faces.api.url}/pins/{root}": "no-cors",
        f"{faces.api.url}/v1/invite": "cors",
        f"{faces.rpc.url}/api/v0/repo/gc": "no-cors",
        f"{faces.rpc.url}/api/v0/id": "cors",
    }
    tried = await page.run(
        f"""Promise.all(Object.entries({json.dumps(calls)}).map(([url, mode]) =>
          fetch(url, {{method: "POST", mode}}).then(answer => answer.type, error => error.name)))"""
    )
    assert tried == ["opaque", "TypeError", "opaque", "TypeError"]
    async with ClientSession() as client, client.get(f"{faces.api.url}/allocations") as answer:
        assert answer.status == 204


@pytest.mark.parametrize("face", ["api", "rpc"])
async def test_answers_of_the_apis_are_data_to_a_browser(gateway: Gateway, page: Page, face: str) -> None:
    url = {"api": f"{gateway.node.faces.api.url}/pins/<script>alert(1)<", "rpc": gateway.node.faces.rpc.url}[
        face
    ]
    await page.open(url)
    assert await page.run("document.contentType") in ("application/json", "text/plain")
    assert await page.run("document.scripts.length") == 0
    assert [said for said in page.complaints if said.startswith("dialog")] == []
