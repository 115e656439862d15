"""Pages as people meet them: readable in both colour schemes, on small screens, by keyboard and by ear."""

from __future__ import annotations

import json

import pytest
from browser.samples import folder, hostile, node, sharded
from support.browser import Page
from support.gateway import Gateway

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

CONTRAST = """(() => {
  const channel = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const numbers = c => c.match(/[\\d.]+/g).map(Number);
  const weights = [0.2126, 0.7152, 0.0722];
  const light = c => weights.reduce((sum, weight, i) => sum + weight * channel(numbers(c)[i]), 0);
  const solid = c => (numbers(c)[3] ?? 1) === 1;
  const behind = e => { while (e && !solid(getComputedStyle(e).backgroundColor)) e = e.parentElement;
                        return e ? getComputedStyle(e).backgroundColor : "rgb(255, 255, 255)"; };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !e.checkVisibility() || e.tagName === "SCRIPT") continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), e.tagName + ": " + texts.currentNode.data.trim()]);
  }
  return found.sort((x, y) => x[0] - y[0]);
})()"""


async def path_of(gateway: Gateway, kind: str) -> str:
    if kind == "listing":
        return f"/ipfs/{await folder(gateway)}/"
    if kind == "inner listing":
        return f"/ipfs/{await folder(gateway)}/photos/2026/"
    if kind == "hostile listing":
        return f"/ipfs/{await hostile(gateway)}/"
    if kind == "node":
        return f"/ipfs/{await node(gateway)}"
    return "/" if kind == "welcome" else "/ipfs/no-such-cid"


KINDS = ["listing", "inner listing", "hostile listing", "node", "welcome", "error"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_page_is_all_there_is(gateway: Gateway, page: Page, kind: str) -> None:
    """No request to anywhere else, nothing for the console, nothing that its policy had to block."""
    url = gateway.node.faces.gateway.url + await path_of(gateway, kind)
    await page.open(url)
    asked = [asked for asked in page.requests if not asked.startswith("data:image/svg+xml,")]
    assert asked == [url]
    wrong = [said for said in page.complaints if "status of 400" not in said]
    assert wrong == []
    assert await page.run("document.documentElement.lang") == "en"
    assert await page.run("document.fonts.status") == "loaded"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
async def test_text_stands_out(gateway: Gateway, page: Page, kind: str, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1; in a row under the mouse too."""
    await page.look(scheme=scheme)
    await page.open(gateway.node.faces.gateway.url + await path_of(gateway, kind))
    dark = await page.run("getComputedStyle(document.body).backgroundColor")
    assert dark == ("rgb(18, 22, 28)" if scheme == "dark" else "rgb(244, 246, 248)")
    await page.call("Input.dispatchMouseEvent", type="mouseMoved", x=300, y=210)
    found = await page.run(CONTRAST)
    assert isinstance(found, list)
    assert len(found) >= 3
    assert [pair for pair in found if pair[0] < 4.5] == []


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_has_to_be_scrolled_sideways_on_a_small_screen(
    gateway: Gateway, page: Page, kind: str
) -> None:
    """WCAG 2.2, 1.4.10: 320 CSS pixels, which is also a window of 1280 at 400 %."""
    await page.look(width=320, height=480)
    await page.open(gateway.node.faces.gateway.url + await path_of(gateway, kind))
    width = await page.run("document.documentElement.scrollWidth")
    assert isinstance(width, int)
    assert width <= 320
    outside = """[...document.querySelectorAll("a, button, code, h1, p")]
      .filter(e => !e.closest("pre") && e.checkVisibility() && e.getBoundingClientRect().right > 320)
      .map(e => e.outerHTML)"""
    assert await page.run(outside) == []


async def test_what_a_screen_reader_is_told(gateway: Gateway, page: Page) -> None:
    await page.open(gateway.node.faces.gateway.url + await path_of(gateway, "inner listing"))
    tree = [
        (node["role"]["value"], node.get("name", {}).get("value", "")) for node in await page.accessibility()
    ]
    for role, name in (("main", ""), ("navigation", "Path"), ("button", "Copy CID"), ("status", "")):
        assert (role, name) in tree
    assert sum(role == "heading" for role, _ in tree) == 1
    assert [name for role, name in tree if role == "columnheader"] == ["Name", "Type", "CID", "Size"]
    cells = [name for role, name in tree if role in ("cell", "gridcell")]
    assert cells[:2] == ["..", "parent folder"]
    assert cells[4:6] == ["coast.jpg", "image/jpeg"]  # icons say nothing
    assert all(name for role, name in tree if role == "link")


async def test_assistive_technology_is_told_of_two_thousand_rows_at_once(
    gateway: Gateway, page: Page
) -> None:
    """Only behind those, rows are left until they come into view: browsers could not bear them otherwise."""
    await page.open(f"{gateway.node.faces.gateway.url}/ipfs/{await sharded(gateway, 5000)}/")
    told = [node["role"]["value"] for node in await page.accessibility()]
    assert 2000 < told.count("row") < 3000
    assert await page.run("document.querySelectorAll('tbody tr').length") == 5000
    assert await page.run(
        "window.find(document.querySelector('tbody:last-of-type tr:last-of-type a').textContent)"
    )


async def test_the_keyboard_reaches_everything_and_shows_where_it_is(gateway: Gateway, page: Page) -> None:
    await page.open(gateway.node.faces.gateway.url + await path_of(gateway, "inner listing"))
    wanted = await page.run('document.querySelectorAll("a, button").length')
    reached = set()
    for _ in range(int(str(wanted))):
        for kind in ("rawKeyDown", "keyUp"):
            await page.call("Input.dispatchKeyEvent", type=kind, key="Tab", windowsVirtualKeyCode=9)
        at, style, width = json.loads(
            str(
                await page.run("""(e => JSON.stringify([
                  [...document.querySelectorAll("a, button")].indexOf(e),
                  getComputedStyle(e).outlineStyle, getComputedStyle(e).outlineWidth
                ]))(document.activeElement)""")
            )
        )
        assert (style, width) == ("solid", "2px")
        reached.add(at)
    assert len(reached) == wanted
    assert -1 not in reached
