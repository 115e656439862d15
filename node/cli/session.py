"""What every command is given: the data folder, the daemon's address, and `--json`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import click

from blockstore.common.text_file import read_text
from node.cli.api.client import ApiClient
from node.cli.api.response import ApiResponse
from node.cli.errors import Failure
from node.config import config as settings
from node.config.sections import Config
from node.datadir.api_secret import read_secret
from node.datadir.folder import DataFolder
from node.http.listener_url import listener_url

Command = TypeVar("Command", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class CommandSession:
    """One call of the command line, and what was said before the command."""

    path: str | None
    as_json: bool = False

    @property
    def folder(self) -> DataFolder:
        return DataFolder.choose(self.path)

    def config(self) -> Config:
        return settings.load(self.folder.config)

    def api(self) -> ApiClient:
        """The cluster REST API of the running daemon. Raises NoDaemon when it is called."""
        return self._client("api")

    def rpc(self) -> ApiClient:
        """The RPC listener of the running daemon."""
        return self._client("rpc")

    def addresses(self) -> ApiResponse:
        """What the running daemon wrote about where it listens; empty when none runs."""
        try:
            found = json.loads(read_text(self.folder.addresses))
        except FileNotFoundError:
            return ApiResponse({})
        except ValueError as error:
            raise Failure(f"{self.folder.addresses} is damaged ({error}): remove it") from None
        return ApiResponse(found if isinstance(found, dict) else {})

    def _client(self, face: str) -> ApiClient:
        """The secret goes to where the daemon said that it listens, and to no other program on its ports."""
        url, listener = self.addresses().text(face), getattr(self.config(), face)
        certificate = self.folder.root / listener.ssl_cert_file if listener.ssl_cert_file else None
        if url:
            return ApiClient(url, self._secret(), certificate)
        own = listener_url(listener.host, listener.port, tls=certificate is not None)
        return ApiClient(own, certificate=certificate)

    def _secret(self) -> str:
        """Empty where it cannot be read: another user's node."""
        try:
            return read_secret(self.folder.secret)
        except OSError:
            return ""


session = click.make_pass_decorator(CommandSession)


def _also_before(ctx: click.Context, _: click.Parameter, given: bool) -> bool:
    """`pinfold --json COMMAND` is `pinfold COMMAND --json`."""
    before = ctx.find_object(CommandSession)
    return given or (before is not None and before.as_json)


json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_also_before, help="Print JSON, for scripts."
)
"""For every command that prints text. The last one on a command, so that help has it where it always is."""


def no_json(what: str) -> Callable[[Command], Command]:
    """In its place where a command prints something else, `what`: refused, not passed over."""

    def refuse(ctx: click.Context, option: click.Parameter, given: bool) -> None:
        if _also_before(ctx, option, given):
            raise click.UsageError(f"{ctx.command_path} prints {what}: it has no --json", ctx)

    return click.option("--json", is_flag=True, hidden=True, expose_value=False, callback=refuse)
