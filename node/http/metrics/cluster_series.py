"""The cluster as this member sees it: what there is to do, the log of the pinset, the other members."""

from __future__ import annotations

from cluster.cluster import Cluster
from cluster.interfaces import Role
from cluster.ports import OperationKind
from cluster.replication.replicated_pinset import ReplicatedPinset
from node.http.metrics.series import MAX_LABELLED, Reading, Samples, counter, gauge
from node.parts import Parts

_WAITING = gauge("pinfold_operations_waiting", "Pins and unpins that wait for a worker", "lane")
_RUNNING = gauge("pinfold_operations_running", "Pins and unpins that are being done", "lane")
_ENDED = counter("pinfold_operations_total", "Pins and unpins that have ended", "kind", "result")
_FAILING = gauge("pinfold_operations_failing", "Pins and unpins that failed and are tried again", "kind")
_BEHIND = gauge("pinfold_tracker_behind", "1 while work may be due that is not queued yet")

_BATCHES = counter("pinfold_pinset_batches_total", "Signed batches of pins, by what became of them", "result")
_REPAIRED = counter("pinfold_pinset_documents_repaired_total", "Documents of the pinset that were made again")
_WRITES = gauge("pinfold_pinset_writes_waiting", "Parts of what callers write that no batch has yet")
_LAG = gauge("pinfold_pinset_lag_batches", "Batches of that author that are missing here", "author")
_FORKED = gauge("pinfold_pinset_forked_logs", "Logs in which two batches of one number were found")
_PAUSED = gauge("pinfold_pinset_paused_logs", "Logs that stand still, their authors holding too much")

_MEMBERS = gauge("pinfold_members", "Members of the cluster, this one counted", "role")
_UP = gauge("pinfold_member_up", "1 for a member that gives a sign of life", "peer", "name")
_ALERTS = counter("pinfold_alerts_total", "Metrics of members that ran out")


async def cluster_readings(parts: Parts) -> list[Reading]:
    return [*await _operations(parts.cluster), *_pinset(parts.pinset), *_members(parts.cluster)]


async def _operations(cluster: Cluster) -> list[Reading]:
    tracking, work = cluster.tracking, cluster.tracking.work()
    ended: Samples = {}
    for kind in OperationKind:
        failed = work.failed.get(kind, 0)
        ended[kind.value, "failed"] = failed
        ended[kind.value, "done"] = work.ended.get(kind, 0) - failed
    return [
        _WAITING.by({(lane.value,): count for lane, count in work.waiting.items()}),
        _RUNNING.by({(lane.value,): count for lane, count in work.running.items()}),
        _ENDED.by(ended),
        _FAILING.by({(kind.value,): await tracking.failing(kind) for kind in OperationKind}),
        _BEHIND.now(work.behind),
    ]


def _pinset(pinset: ReplicatedPinset) -> list[Reading]:
    counts, log = pinset.counts, pinset.log
    results = {
        "written": counts.written,
        "applied": counts.applied,
        "refused": counts.refused,
        "untrusted": counts.untrusted,
    }
    return [
        _BATCHES.by({(result,): count for result, count in results.items()}),
        _REPAIRED.now(counts.repaired),
        _WRITES.now(pinset.writes_waiting),
        _LAG.by({(author,): count for author, count in log.behind().items()}),
        _FORKED.now(log.forked_logs()),
        _PAUSED.now(log.paused_logs()),
    ]


def _members(cluster: Cluster) -> list[Reading]:
    members, live = cluster.members.members(), cluster.metrics.live()
    roles = {role: sum(member.role is role for member in members) for role in Role}
    return [
        _MEMBERS.by({(role.value,): count for role, count in roles.items()}),
        _UP.by({(one.peer, one.name): one.peer in live for one in members[:MAX_LABELLED]}),
        _ALERTS.now(cluster.metrics.alerted),
    ]
