"""What a pin asks for, and what changed about it, in words."""

from __future__ import annotations

from collections.abc import Iterator

from node.cli.api.response import ApiResponse
from node.cli.output.printing import say

_NO_END = "0001-01-01T00:00:00Z"


def copies(pin: ApiResponse) -> str:
    """How many members it is for."""
    least, most = pin.number("replication_factor_min"), pin.number("replication_factor_max")
    return "everywhere" if most == -1 else f"{least}-{most}"


def holders(pin: ApiResponse) -> str:
    """Who is to hold it, as a count."""
    if pin.number("replication_factor_max") == -1:
        return "every member"
    count = len(pin.texts("allocations"))
    return f"{count} member{'' if count == 1 else 's'}"


def end(pin: ApiResponse) -> str:
    """When it ends, as RFC 3339; empty = never."""
    found = pin.text("expire_at")
    return "" if found == _NO_END else found


def metadata(pin: ApiResponse) -> list[str]:
    return [f"{key}={value}" for key, value in sorted(pin.answer("metadata").raw.items())]


def limits(pin: ApiResponse) -> Iterator[tuple[str, str]]:
    """What each of its limits is called, and what it is; empty = there is none."""
    size, attempts = pin.number("max_size"), pin.number("attempts")
    yield "greatest size", f"{size} bytes" if size else ""
    yield "deadline", pin.text("deadline")
    yield "attempts", str(attempts) if attempts else ""


def details(pin: ApiResponse) -> str:
    """What is not said of an ordinary pin: its end, a mode other than recursive, limits, metadata."""
    said = [f"until {end(pin)}"] if end(pin) else []
    said += ["direct"] if pin.text("mode") == "direct" else []
    said += [f"{name}: {limit}" for name, limit in limits(pin) if limit]
    said += metadata(pin)
    return f"({', '.join(said)})" if said else ""


def changes(granted: ApiResponse) -> Iterator[str]:
    """Of a pin that was there before, each option that is another now."""
    was = granted.answer("was")
    if not was.raw:
        return
    for what, before, now in _sides(was, granted):
        if before != now:
            yield f"{what}: {before or 'none'} -> {now or 'none'}"


def report_changes(granted: ApiResponse, end_asked: bool) -> None:
    """To standard error: what is another now, and where the end is not the one that the user may expect."""
    cid = granted.text("cid")
    for line in changes(granted):
        say(f"{cid} was pinned before; {line}", err=True)
    was = granted.answer("was")
    if was.raw and end(was)[:19] == end(granted)[:19] and (end_asked or end(was)):
        until = f"until {end(was)}" if end(was) else "for ever"
        how = "--shorten lets it end sooner" if end_asked else "--expire-in never keeps it for ever"
        say(f"{cid} stays pinned {until}, as before: {how}", err=True)


def _sides(was: ApiResponse, now: ApiResponse) -> Iterator[tuple[str, str, str]]:
    yield "name", was.text("name"), now.text("name")
    yield "mode", was.text("mode"), now.text("mode")
    yield "copies", copies(was), copies(now)
    yield "metadata", ", ".join(metadata(was)), ", ".join(metadata(now))
    for (name, before), (_, after) in zip(limits(was), limits(now), strict=True):
        yield name, before, after
    before, after = end(was)[:19], end(now)[:19]  # whole seconds: one of them was stored
    yield "ends", f"{before}Z" if before else "never", f"{after}Z" if after else "never"
