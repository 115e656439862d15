"""`pinfold completion SHELL`: what to put into the shell's start file."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from node.cli.errors import Failure
from node.cli.session import no_json


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@no_json("a script")
def command(shell: str) -> None:
    """Print the completion script of bash, zsh or fish.

    \b
    bash:  pinfold completion bash >> ~/.bashrc
    zsh:   pinfold completion zsh >> ~/.zshrc
    fish:  pinfold completion fish > ~/.config/fish/completions/pinfold.fish
    """
    from node.cli.main import cli

    completer = get_completion_class(shell)
    if completer is None:
        raise Failure(f"no completion for {shell}")
    click.echo(completer(cli, {}, "pinfold", "_PINFOLD_COMPLETE").source())
