"""Which query parameters each route takes: the names that the routes themselves check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from node.http.rest.bulk.line_stream import OWN
from node.http.rest.parameters import TAKES
from node.http.rest.pin_filters import FILTERS, PAGING
from node.http.rest.pin_options import NAMES

RouteKey = tuple[str, str]
"""Method, and path as the router has it."""


class TakenNames(NamedTuple):
    """`metadata`: `meta-KEY` for any key too. `imports`: Kubo's import options too, which are not listed."""

    names: frozenset[str]
    metadata: bool = False
    imports: bool = False


_PIN = TakenNames(NAMES | {"dry-run"}, metadata=True)
OPEN: Mapping[RouteKey, TakenNames] = {
    ("POST", "/add"): TakenNames(NAMES - {"mode", "pin-update"} | {"local"}, metadata=True, imports=True),
    ("POST", "/pins/{cid}"): _PIN,
    ("POST", "/pins/{namespace}/{path}"): _PIN,
    ("POST", "/v1/cars"): TakenNames(NAMES, metadata=True),
    ("POST", "/v1/follows"): TakenNames(NAMES | {"path", "versions"}, metadata=True),
    ("POST", "/v1/pins"): TakenNames(NAMES | OWN, metadata=True),
    ("GET", "/v1/pins"): TakenNames(FILTERS | PAGING, metadata=True),
    ("GET", "/v1/pins/count"): TakenNames(FILTERS, metadata=True),
}


def taken_by(route: RouteKey) -> TakenNames:
    return OPEN.get(route) or TakenNames(TAKES.get(route, frozenset()))
