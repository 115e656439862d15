"""Names, codes and bases by the tables of multiformats: of what is rare, loaded when it is first met."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

RARE_BASES = ("pro-",)
"""How texts begin in those bases of the table that libipld does not have: proquint."""


@cache
def codes() -> Mapping[str, int]:
    """Codes of codecs, hash functions and the rest of the table, by name."""
    from multiformats import multicodec  # 0.2 s, 5 MB

    return MappingProxyType({codec.name: codec.code for codec in multicodec.table()})


def hash_name(code: int) -> str:
    """A hash function as its table has it, with its code; the code alone where it is not in the table."""
    name = next((name for name, known in codes().items() if known == code), "")
    return f"{name} (0x{code:x})" if name else f"0x{code:x}"


def decode_base(text: str) -> bytes:
    """Bytes of a text in any base of the table, with its prefix. Raises ValueError."""
    from multiformats import multibase

    try:
        return multibase.decode(text)
    except KeyError as error:  # no base has that prefix
        raise ValueError(str(error)) from None
