"""DNSLink: the path in the TXT records of a domain name (dnslink.dev; boxo namesys/dns)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from blockstore.cid import CID
from blockstore.errors import BadCid, BlockstoreError
from blockstore.path import ContentPath
from node.names.dns import TextLookup, Texts
from node.names.errors import BadName, BadRecord, DnsFailure, NameNotFound
from node.names.name import DomainName, Target, parse_target

_PREFIX = "dnslink="
_MAX_DOMAIN = 253


@dataclass(frozen=True, slots=True)
class DnsLink:
    """Where a domain leads, and the seconds its record may be kept."""

    target: Target
    ttl: float


async def look_up(name: DomainName, texts: TextLookup) -> DnsLink:
    """The record of `_dnslink.<name>`, else of the name itself; both are asked for at once.

    Raises NameNotFound, BadRecord, DnsFailure.
    """
    places = [f"_dnslink.{name}", str(name)]
    asked = [place for place in places if len(place) <= _MAX_DOMAIN]
    found = await asyncio.gather(*(_asked(texts, place) for place in asked))
    for place, answer in zip(asked, found, strict=True):
        if isinstance(answer, Texts) and (target := target_in(place, answer.texts)) is not None:
            return DnsLink(target, answer.ttl)
    for answer in found:
        if isinstance(answer, DnsFailure):
            raise answer
    raise NameNotFound(f"{name} has no DNSLink: no TXT record of {' or '.join(asked)} says dnslink=/…")


def target_in(place: str, texts: tuple[str, ...]) -> Target | None:
    """The one path that a name's TXT records say; a path or CID alone counts where no `dnslink=` is.

    Raises BadRecord when there are several different ones, or the one there is does not parse.
    """
    links = {text[len(_PREFIX) :].strip() for text in texts if text.startswith(_PREFIX)}
    if len(links) > 1:
        raise BadRecord(f"{place} has {len(links)} different DNSLinks: there must be one")
    for link in links:
        try:
            return parse_target(link)
        except (BadName, BlockstoreError) as error:
            raise BadRecord(f"the DNSLink of {place} leads nowhere: {error}") from None
    return next((target for text in texts if (target := _legacy(text)) is not None), None)


def _legacy(text: str) -> Target | None:
    """What some domains had before `dnslink=` was asked for."""
    try:
        return parse_target(text) if text.startswith("/") else ContentPath(CID.parse(text))
    except (BadName, BadCid, BlockstoreError):
        return None


async def _asked(texts: TextLookup, place: str) -> Texts | DnsFailure:
    try:
        return await texts(place)
    except DnsFailure as error:
        return error
