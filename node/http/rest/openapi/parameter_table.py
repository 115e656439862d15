"""Every parameter by its name: what it takes, and what it means. Where a route means another thing, both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from node.http.go.gojson import Json

_TEXT: Mapping[str, Json] = {"type": "string"}
_SWITCH: Mapping[str, Json] = {"type": "boolean"}
_NUMBER: Mapping[str, Json] = {"type": "integer"}
_COUNT: Mapping[str, Json] = {"type": "integer", "minimum": 0}


@dataclass(frozen=True, slots=True)
class ParameterFacts:
    """`schema` as JSON Schema."""

    means: str
    schema: Mapping[str, Json] = field(default_factory=lambda: _TEXT)


def _one_of(*words: str) -> Mapping[str, Json]:
    return {"type": "string", "enum": list(words)}


PATH_PARAMETERS: Mapping[str, ParameterFacts] = {
    "cid": ParameterFacts("CID of a pin"),
    "namespace": ParameterFacts("of a content path", _one_of("ipfs", "ipns", "ipld")),
    "path": ParameterFacts("what of the content path stands behind the namespace"),
    "peer": ParameterFacts("peer id of a member"),
    "member": ParameterFacts("peer id of a member, or a name that only one has"),
    "name": ParameterFacts("name of a metric, or of a token"),
    "job": ParameterFacts("id of a job"),
    "verb": ParameterFacts("what a job is to do", _one_of("pause", "resume", "cancel")),
}

PARAMETERS: Mapping[str, ParameterFacts] = {
    "filter": ParameterFacts("types of pins, or statuses, with commas between"),
    "cids": ParameterFacts("CIDs, with commas between"),
    "local": ParameterFacts("ask this member alone", _SWITCH),
    "dry-run": ParameterFacts("say what would be done, and do nothing", _SWITCH),
    "role": ParameterFacts("what the new member may do", _one_of("trusted", "follower")),
    "expires": ParameterFacts("seconds until the invitation ends", {"type": "integer", "minimum": 1}),
    "types": ParameterFacts("types of events, with commas between"),
    "since": ParameterFacts(
        "id of an event behind which to go on, or oldest; in the audit log a time (RFC 3339)"
    ),
    "path": ParameterFacts("content path that is followed (/ipns/…)"),
    "versions": ParameterFacts("how many are kept", {"type": "integer", "minimum": 1}),
    "address": ParameterFacts("multiaddress of a member, with /p2p/"),
    "limit": ParameterFacts("how many at most", _COUNT),
    "name": ParameterFacts("name of a pin, or of a token"),
    "owner": ParameterFacts("for whom pins are kept"),
    "cid": ParameterFacts("CID of a pin"),
    "method": ParameterFacts("of the request that is recorded"),
    "refused": ParameterFacts("only what was refused, or only what was not", _SWITCH),
    "follow": ParameterFacts("go on with each record as it comes", _SWITCH),
    "scope": ParameterFacts("what a token is for", _one_of("read", "pin", "admin")),
    "repair": ParameterFacts("fetch again what is damaged or missing", _SWITCH),
    "ledger": ParameterFacts("what each peer got and gave", _SWITCH),
    "wait": ParameterFacts("answer when it is done", _SWITCH),
    "keep_mib": ParameterFacts("MiB of the log that stay in any case", _COUNT),
    "skip": ParameterFacts("lines of the body that are passed over", _COUNT),
    "quiet": ParameterFacts("answer with what failed, and the last line, alone", _SWITCH),
    # Of pins.
    "mode": ParameterFacts("of a pin", _one_of("recursive", "direct")),
    "replication": ParameterFacts("copies, both at least and at most; -1: every member", _NUMBER),
    "replication-min": ParameterFacts("copies at least; -1: every member, 0: the setting", _NUMBER),
    "replication-max": ParameterFacts("copies at most; -1: every member, 0: the setting", _NUMBER),
    "user-allocations": ParameterFacts("peer ids of members that are to hold it, with commas between"),
    "expire-at": ParameterFacts("time at which the pin ends (RFC 3339)"),
    "expire-in": ParameterFacts("time until the pin ends, as Go has it (72h); never: for ever"),
    "pin-update": ParameterFacts("CID of a pin whose options are taken over"),
    "origins": ParameterFacts("multiaddresses of peers that have it, with commas between"),
    "shard-size": ParameterFacts("kept with the pin, and not acted upon", _COUNT),
    "max-size": ParameterFacts("bytes of the DAG at most; 0: any number", _COUNT),
    "deadline": ParameterFacts("when members stop trying (RFC 3339), or a duration until then; never"),
    "attempts": ParameterFacts("failed attempts after which a member stops; 0: never", _COUNT),
    "keep": ParameterFacts("change only the options that are named", _SWITCH),
    "shorten": ParameterFacts("with keep: let the pin end sooner than it does", _SWITCH),
    # Of listings.
    "name-prefix": ParameterFacts("with what the name of a pin begins"),
    "name-contains": ParameterFacts("what the name of a pin has in it"),
    "has-meta": ParameterFacts("keys of metadata that a pin has, with commas between"),
    "held-by": ParameterFacts("peer id of a member that is to hold it"),
    "allocated-to": ParameterFacts("the same, without pins that are everywhere"),
    "status": ParameterFacts("statuses on this node, with commas between"),
    "expires-after": ParameterFacts("time (RFC 3339)"),
    "expires-before": ParameterFacts("time (RFC 3339)"),
    "created-after": ParameterFacts("time (RFC 3339)"),
    "created-before": ParameterFacts("time (RFC 3339)"),
    "order": ParameterFacts("what a listing goes by", _one_of("cid", "name", "created", "expiry")),
    "cursor": ParameterFacts("where the next page begins: the last line of the one before"),
}
