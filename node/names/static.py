"""Names that the operator gives: `IPFS_NS_MAP`, as Kubo and Rainbow read it, and `names.static`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from blockstore.errors import BlockstoreError
from node.config.errors import BadConfig
from node.names.errors import BadName
from node.names.name import Name, Target, parse_name, parse_target

VARIABLE = "IPFS_NS_MAP"


def static_names(setting: Iterable[str], environment: Mapping[str, str]) -> dict[Name, Target]:
    """`name:/ipfs/…` or `name:/ipns/…` entries; the environment's win. Raises BadConfig."""
    entries = [*setting, *environment.get(VARIABLE, "").removeprefix("\ufeff").split(",")]
    return dict(_parse(entry.strip()) for entry in entries if entry.strip())


def _parse(entry: str) -> tuple[Name, Target]:
    name, _, target = entry.partition(":")
    try:
        return parse_name(name), parse_target(target)
    except (BadName, BlockstoreError) as error:
        raise BadConfig(f'static name "{entry[:200]}" ({VARIABLE}, names.static): {error}') from None
