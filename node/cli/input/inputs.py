"""Several inputs of one command: each error names the one it is about, and the others are worked on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from node.cli.api.errors import NoDaemon
from node.cli.errors import Failure, NoOutput, is_foreseen, text_of
from node.cli.output.printing import say_error


def content(text: str) -> str:
    """A CID, path, URI or name as it was given. Raises Failure where nothing is named."""
    if not text.strip("/ ") or text.strip("/") in _NAMESPACES:
        raise Failure(f'"{text}" names nothing: a CID, a path or a name is needed')
    return text


_NAMESPACES = ("ipfs", "ipns", "ipld", "ipfs:", "ipns:")


class Inputs:
    """How the inputs of one command fared; `done` is the verb of the summary, such as "pinned"."""

    def __init__(self, done: str, count: int) -> None:
        self._done = done
        self._count = count
        self.failures = 0

    @contextmanager
    def one(self, name: str) -> Iterator[None]:
        """Work on one of them. Its error is raised where it is the only one, or ends the work on all."""
        try:
            yield
        except (NoDaemon, NoOutput, BrokenPipeError):
            raise
        except Exception as error:
            if self._count < 2 or not is_foreseen(error):
                raise
            self.failed(name, error)

    def failed(self, name: str, error: Exception) -> None:
        self.failures += 1
        text = text_of(error)
        say_error(text if name in text else f"{name}: {text}")

    def finish(self) -> None:
        """Raises Failure with a summary where some failed."""
        if self.failures:
            done = self._count - self.failures
            raise Failure(f"{done} of {self._count} were {self._done}, {self.failures} were not")
