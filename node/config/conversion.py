"""Values of settings from TOML or text, as the types that the sections say."""

from __future__ import annotations

import re
from collections.abc import Callable

from node.config.errors import BadConfig
from node.config.validation import Setting, broken_bounds

_WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[+-]?(0|[1-9][0-9]*)(\.[0-9]+)?(e[+-]?[0-9]+)?", re.IGNORECASE)


def convert(key: str, kind: object, value: object) -> Setting:
    """A value, or its text, as the type of that setting and within its bounds. Raises BadConfig."""
    read, takes = _KINDS[kind]
    try:
        setting = read(value)
    except (KeyError, TypeError, ValueError):
        raise BadConfig(f'setting "{key}" takes {takes}, not {value!r}') from None
    if bounds := broken_bounds(key, setting):
        raise BadConfig(f'setting "{key}" takes {bounds}, not {value!r}')
    return setting


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[str(value).lower()]


def _integer(value: object) -> int:
    if isinstance(value, bool | float):
        raise ValueError
    if not _WHOLE.fullmatch(str(value)):  # int() takes 8_0, 010 and digits of every script
        raise ValueError
    return int(str(value))


def _number(value: object) -> float:
    if isinstance(value, bool):
        raise ValueError
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise ValueError
    return float(str(value))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    value.encode()  # an argument or a variable that is not UTF-8 is a ValueError too
    return value


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in _text(value).split(",") if part.strip())
    if isinstance(value, list | tuple):
        return tuple(map(_text, value))
    raise ValueError


_KINDS: dict[object, tuple[Callable[[object], Setting], str]] = {
    bool: (_boolean, "true or false"),
    int: (_integer, "a whole number"),
    float: (_number, "a number"),
    str: (_text, "text in UTF-8"),
    tuple[str, ...]: (_texts, "a list of texts in UTF-8"),
}
