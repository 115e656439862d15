"""A real Chromium, headless, driven by its own DevTools protocol over a WebSocket."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from support.json_value import JsonObject

COMMANDS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",  # tests run in containers, as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--force-device-scale-factor=1",
    "--host-resolver-rules=MAP *.test 127.0.0.1",  # hosts that are no secure contexts
    "--remote-debugging-port=0",
)


_MIDDLE = """element => {
  element.scrollIntoView({block: "center"});
  const box = element.getClientRects()[0];
  return [box.x + box.width / 2, box.y + box.height / 2];
}"""


class BrowserError(Exception):
    """A command that the browser refused, or a script that threw; says which."""


def chromium() -> str | None:
    """The path of the installed command."""
    return next((found for name in COMMANDS if (found := shutil.which(name))), None)


class _Connection:
    """Commands and events of the protocol; a page is a session of it."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._answers: dict[int, asyncio.Future[JsonObject]] = {}
        self._listeners: dict[str, list[Page]] = defaultdict(list)

    async def call(self, method: str, session: str = "", **parameters: object) -> JsonObject:
        number = len(self._answers) + 1
        answer = self._answers[number] = asyncio.Future()
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.send_json({**message, "sessionId": session} if session else message)
        return await answer

    def attach(self, page: Page) -> None:
        self._listeners[page.session].append(page)

    async def read(self) -> None:
        """Until the browser is gone; whoever still waits for an answer is told."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                break
            self._take(json.loads(message.data))
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(BrowserError("the browser is gone"))

    def _take(self, message: JsonObject) -> None:
        if "id" not in message:
            for page in self._listeners[message.get("sessionId", "")]:
                page.notice(message["method"], message["params"])
            return
        answer = self._answers[message["id"]]
        if "error" in message:
            answer.set_exception(BrowserError(message["error"]["message"]))
        else:
            answer.set_result(message["result"])


class Page:
    """One tab. `requests` are the URLs it asked for, `complaints` what its console and its policies said."""

    def __init__(self, connection: _Connection, session: str, context: str) -> None:
        self._connection = connection
        self._context = context
        self.session = session
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._waiting: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def call(self, method: str, **parameters: object) -> JsonObject:
        """One command of the protocol. Raises BrowserError."""
        return await self._connection.call(method, self.session, **parameters)

    async def open(self, url: str, until: str = "Page.loadEventFired") -> None:
        """Go there, and wait for an event of the page."""
        self._waiting[until].clear()
        told = await self.call("Page.navigate", url=url)
        if "errorText" in told and told["errorText"] != "net::ERR_ABORTED":
            raise BrowserError(f"{url}: {told['errorText']}")
        await self._waiting[until].wait()

    async def run(self, script: str) -> object:
        """The value of an expression, awaited when it is a promise. Raises BrowserError."""
        told = await self.call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in told:
            raise BrowserError(json.dumps(told["exceptionDetails"])[:500])
        return told["result"].get("value")

    async def click(self, selector: str, *, leads_away: bool = True) -> None:
        """A real click of the mouse in the middle of the first element that fits."""
        self._waiting["Page.loadEventFired"].clear()
        place = await self.run(f"({_MIDDLE})(document.querySelector({json.dumps(selector)}))")
        assert isinstance(place, list)
        for kind in ("mousePressed", "mouseReleased"):
            where = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1}
            await self.call("Input.dispatchMouseEvent", type=kind, **where)
        if leads_away:
            await self._waiting["Page.loadEventFired"].wait()

    async def permit(self, origin: str, *permissions: str) -> None:
        """Let the pages of an origin do what a user would be asked for."""
        await self._connection.call(
            "Browser.grantPermissions",
            origin=origin,
            permissions=permissions,
            browserContextId=self._context,
        )

    async def look(self, width: int = 1000, height: int = 700, scheme: str = "light") -> None:
        """The window's size in CSS pixels, and the colours that its user prefers."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        await self.call(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    async def screenshot(self) -> bytes:
        """What the window shows, as PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])

    async def accessibility(self) -> list[JsonObject]:
        """Nodes of the accessibility tree that assistive technology is told of."""
        nodes = (await self.call("Accessibility.getFullAXTree"))["nodes"]
        return [node for node in nodes if not node["ignored"]]

    def notice(self, method: str, told: JsonObject) -> None:
        self._waiting[method].set()
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Log.entryAdded":
            entry = told["entry"]
            self.complaints.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(json.dumps(told["args"]))
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(f"dialog: {told['message']}")


class Browser:
    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """A tab with cookies, storage and caches of its own."""
        call = self._connection.call
        context = (await call("Target.createBrowserContext"))["browserContextId"]
        target = await call("Target.createTarget", url="about:blank", browserContextId=context)
        session = await call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self._connection, session["sessionId"], context)
        self._connection.attach(page)
        for domain in ("Page", "Network", "Runtime", "Log", "Accessibility"):
            await page.call(f"{domain}.enable")
        await page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        try:
            await page.look()
            yield page
        finally:
            await call("Target.disposeBrowserContext", browserContextId=context)


@asynccontextmanager
async def open_browser(profile: Path) -> AsyncIterator[Browser]:
    """Chromium with a fresh profile folder, for the length of the block. Raises FileNotFoundError."""
    command = chromium()
    if command is None:
        raise FileNotFoundError("no Chromium on the PATH: install Debian's package chromium")
    process = await asyncio.create_subprocess_exec(
        command,
        *FLAGS,
        f"--user-data-dir={profile}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        url = await _devtools(process)
        async with ClientSession() as client, client.ws_connect(url, max_msg_size=0) as socket:
            connection = _Connection(socket)
            reading = asyncio.create_task(connection.read())
            yield Browser(connection)
            await socket.close()
            await reading
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _devtools(process: asyncio.subprocess.Process) -> str:
    """The address that Chromium tells on its standard error."""
    assert process.stderr is not None
    said = b""
    async for line in process.stderr:
        said += line
        if line.startswith(b"DevTools listening on "):
            return line.split()[-1].decode()
    raise BrowserError(f"Chromium did not start: {said.decode(errors='replace')[-1000:]}")
