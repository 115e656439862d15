"""Uploads as Kubo's clients and as browsers lay them out; who may call the RPC."""

from collections.abc import AsyncIterator
from io import FileIO

import pytest
from aiohttp import ClientSession, FormData, MultipartWriter, web

from blockstore.unixfs.importing.entries import Entry, LocalFile, SourceDirectory, SourceFile, SourceSymlink
from node.files.handed_files import UnknownTicket
from node.http.admin import origins
from node.http.errors import BadMultipart, BadRequest
from node.http.listener import ListenerSettings, listen
from node.http.uploads.entries import entries
from node.http.uploads.parts import file_name

Seen = tuple[Entry, bytes] | BadMultipart | BadRequest


async def upload(
    body: bytes | FormData | MultipartWriter, headers: dict[str, str] | None = None
) -> list[Seen]:
    """What the server's side makes of that upload: entries with their bodies read, or the error."""
    seen: list[Seen] = []

    async def handler(request: web.Request) -> web.Response:
        try:
            async for entry in entries(request, no_file):
                read = [piece async for piece in _pieces(entry)]
                seen.append((entry, b"".join(read)))
        except (BadMultipart, BadRequest) as error:
            seen.append(error)
        return web.Response()

    app = web.Application()
    app.router.add_post("/", handler)
    async with listen(app, ListenerSettings("api", "127.0.0.1", 0)) as listener, ClientSession() as client:
        await client.post(listener.url, data=body, headers=headers)
    return seen


async def _pieces(entry: Entry) -> AsyncIterator[bytes]:
    if isinstance(entry, SourceFile):
        assert not isinstance(entry.body, LocalFile)
        async for piece in entry.body:
            yield piece


def no_file(ticket: str) -> FileIO:
    raise UnknownTicket("no file waits under this ticket")


def part(filename: str, kind: str, body: bytes = b"", name: str = "file") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
    return head.encode() + f"Content-Type: {kind}\r\n\r\n".encode() + body + b"\r\n"


def accepted(seen: list[Seen]) -> list[tuple[Entry, bytes]]:
    """Entries with their bodies; nothing was refused."""
    given = [one for one in seen if isinstance(one, tuple)]
    assert len(given) == len(seen), seen
    return given


async def post_parts(*given: bytes) -> list[Seen]:
    body = b"".join(given) + b"--b--\r\n"
    return await upload(body, headers={"Content-Type": "multipart/form-data; boundary=b"})


async def test_kubos_layout_of_folders_symlinks_and_files() -> None:
    found = await post_parts(
        part("d", "application/x-directory", name="file?mode=0755&mtime=5&mtime-nsecs=6"),
        part("d%2Flink", "application/symlink", b"../target"),
        part("d%2Fa+b%2Btxt", "application/octet-stream", b"x" * 1_000_000, name="file?mode=0644"),
    )
    assert found[0] == (SourceDirectory("d", mode=0o755, mtime=(5, 6)), b"")
    assert found[1] == (SourceSymlink("d/link", "../target"), b"")
    file, body = accepted(found)[2]
    assert isinstance(file, SourceFile)
    assert (file.path, file.mode, body) == ("d/a b+txt", 0o644, b"x" * 1_000_000)


@pytest.mark.parametrize(
    "stamp", ["mode=9", "mode=777777777777", "mode=0o644", "mode=6_4_4", "mode=-1", "mode=%20644", "mtime=x",
              "mtime=99999999999999999999", "mtime=1&mtime-nsecs=1e9"],
)  # fmt: skip
async def test_a_stamp_that_no_file_can_have_is_refused(stamp: str) -> None:
    (error,) = await post_parts(part("a", "application/octet-stream", b"x", name=f"file?{stamp}"))
    assert "of a part is no number that it can be" in str(error)


async def test_the_mode_of_a_folder_is_read_as_go_prints_it() -> None:
    found = await post_parts(part("d", "application/x-directory", name="file?mode=020000000755"))
    ((folder, _),) = accepted(found)
    assert isinstance(folder, SourceDirectory)
    assert folder.mode is not None
    assert folder.mode & 0o7777 == 0o755


async def test_form_data_of_a_browser() -> None:
    form = FormData(quote_fields=False)
    form.add_field("file", b"one", filename="dir/sub/über+1.txt", content_type="text/plain")
    form.add_field("file", b"", filename="dir/empty", content_type="image/png")
    found = await upload(form)
    assert [(entry.path, body) for entry, body in accepted(found)] == [
        ("dir/sub/über+1.txt", b"one"),
        ("dir/empty", b""),
    ]


async def test_a_body_that_is_left_unread_is_passed_over() -> None:
    paths = []

    async def handler(request: web.Request) -> web.Response:
        async for entry in entries(request, no_file):
            paths.append(entry.path)
        return web.Response()

    app = web.Application()
    app.router.add_post("/", handler)
    with MultipartWriter("form-data") as body:
        for name in ("a", "b"):
            body.append(b"z" * 100_000).set_content_disposition("form-data", name="file", filename=name)
    async with listen(app, ListenerSettings("api", "127.0.0.1", 0)) as listener, ClientSession() as client:
        await client.post(listener.url, data=body)
    assert paths == ["a", "b"]


async def test_an_upload_that_ends_early_is_refused() -> None:
    found = await upload(
        part("a", "text/plain", b"half"), headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert isinstance(found[-1], BadMultipart)


async def test_other_content_types_are_refused() -> None:
    (error,) = await upload(b"{}", headers={"Content-Type": "application/json"})
    assert "isn't multipart/form-data" in str(error)


async def test_a_symlink_target_is_bounded() -> None:
    (error,) = await post_parts(part("link", "application/symlink", b"t" * 5000))
    assert "above 4096 bytes" in str(error)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("plain.txt", "plain.txt"),
        ("a%2Fb+c", "a/b c"),
        ("a%2Fb%2Bc", "a/b+c"),
        ("dir/a+b.txt", "dir/a+b.txt"),
        ("dir/100%25 sure+.txt", "dir/100% sure+.txt"),
        ("100% sure", "100% sure"),
        ("50%", "50%"),
        ("%E6%97%A5", "日"),
        ("%FF", "\udcff"),
        ("a%20(1).txt", "a (1).txt"),
    ],
)
def test_file_names_are_unescaped_as_their_client_escaped_them(text: str, name: str) -> None:
    assert file_name(text) == name


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, True),
        ({"User-Agent": "go-ipfs-cmds/http"}, True),
        ({"User-Agent": "Mozilla/5.0"}, False),
        ({"User-Agent": "Mozilla/5.0 Electron/9"}, True),
        ({"Origin": "http://127.0.0.1:5001"}, True),
        ({"Origin": "http://localhost:5001", "User-Agent": "Mozilla/5.0"}, True),
        ({"Origin": "http://[::1]:5001"}, True),
        ({"Origin": "http://localhost:8080"}, False),
        ({"Origin": "http://localhost"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://evil.example:5001"}, False),
        ({"Origin": "http://127.0.0.1:5001.evil.example"}, False),
        ({"Referer": "http://evil.example/page"}, False),
        ({"Referer": "http://127.0.0.1:5001/webui"}, True),
        ({"Origin": "http://127.0.0.1:5001", "Referer": "http://evil.example/"}, False),
    ],
)
def test_only_this_machines_pages_may_call_the_rpc(headers: dict[str, str], expected: bool) -> None:
    assert origins.allowed(headers, 5001) is expected


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/plain", b"", "no file waits"),
        ("text/plain", b"more", "a has content of its own"),
        ("application/x-directory", b"", "a is no file"),
    ],
)
async def test_a_part_that_names_a_file_which_it_cannot_have_is_refused(
    kind: str, body: bytes, text: str
) -> None:
    (error,) = await post_parts(part("a", f"{kind}\r\nHanded-File: {'0' * 32}", body))
    assert isinstance(error, BadRequest)
    assert text in str(error)
