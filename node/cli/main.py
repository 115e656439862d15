"""`pinfold`: the commands, each loaded when it is called."""

from __future__ import annotations

import importlib
import sys

import click

from node.cli.exit_code import bugs_kept, exit_code
from node.cli.output.printing import let_go_of_output, prepare_streams
from node.cli.session import CommandSession
from node.cli.signals import raise_at_signals

# verb -> (module, what the list of commands says about it)
COMMANDS = {
    "init": ("node.cli.commands.init", "Create the data folder and this node's identity."),
    "daemon": ("node.cli.commands.daemon", "Run the node."),
    "add": ("node.cli.commands.add", "Add files or folders, pinned by the cluster."),
    "get": ("node.cli.commands.get", "Write a file or folder to disk."),
    "cat": ("node.cli.commands.cat", "Print a file's bytes."),
    "ls": ("node.cli.commands.ls", "List a directory."),
    "pin": ("node.cli.commands.pin", "Add, remove and list pins."),
    "status": ("node.cli.commands.status", "Who holds a pin, who is fetching it, what went wrong where."),
    "events": ("node.cli.commands.events", "What happens, as it happens."),
    "state": ("node.cli.commands.state", "Move all pins in or out, as ipfs-cluster's state export has them."),
    "peers": ("node.cli.commands.peers", "The members of the cluster."),
    "swarm": ("node.cli.commands.swarm", "Peers of the open network: connect, look, ping, stay connected."),
    "id": ("node.cli.commands.identity", "This node's peer id and addresses."),
    "cluster": ("node.cli.commands.cluster", "Invite machines, find them again, drain and remove them."),
    "token": ("node.cli.commands.token", "Let others in: make, list and revoke tokens."),
    "audit": ("node.cli.commands.audit", "Who changed what on this node."),
    "jobs": ("node.cli.commands.jobs", "Long work: listed, paused, resumed, cancelled."),
    "store": ("node.cli.commands.store", "Check the blocks on this node's disk, and mend them."),
    "stats": ("node.cli.commands.stats", "What this node stores, and what that costs its disk."),
    "gc": ("node.cli.commands.gc", "Remove blocks that no pin needs."),
    "car": ("node.cli.commands.car", "Import and export CAR files."),
    "provide": ("node.cli.commands.provide", "What the DHT is told of this node."),
    "name": ("node.cli.commands.name", "Publish names, keep their records, see where they lead."),
    "key": ("node.cli.commands.key", "Private keys that sign names."),
    "config": ("node.cli.commands.config", "Show, read and change settings."),
    "version": ("node.cli.commands.version", "Print the version."),
    "completion": ("node.cli.commands.completion", "Print a shell's completion script."),
}


class _Commands(click.Group):
    """A group that imports a command's module only when it is called: starting costs a tenth of a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command if isinstance(command, click.Command) else None

    def invoke(self, ctx: click.Context) -> object:
        with bugs_kept(CommandSession(ctx.params["path"]).folder, ctx.params["debug"]):
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--path", metavar="DIR", help="Data folder (default: $PINFOLD_PATH, else ~/.pinfold).")
@click.option("--debug", is_flag=True, help="Show the stack of whatever goes wrong.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, for scripts; may stand behind the command."
)
@click.pass_context
def cli(ctx: click.Context, path: str | None, debug: bool, as_json: bool) -> None:
    """Pinfold: store, serve and replicate IPFS content with your own machines.

    \b
    First steps:
      pinfold init && pinfold daemon     start a node
      pinfold add -r ./photos            add a folder
      pinfold cluster invite             let another machine join
    """
    ctx.obj = CommandSession(path, as_json)


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 wrong call, 3 no daemon, 130 interrupted."""
    prepare_streams()
    raise_at_signals()
    try:
        code = cli.main(prog_name="pinfold", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - the one place where every error becomes an exit code
        code = exit_code(error)
        let_go_of_output()
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
