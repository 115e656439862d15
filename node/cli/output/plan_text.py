"""What would become of a pin, in words: who would hold it and why, and why the others would not."""

from __future__ import annotations

from node.cli.api.response import ApiResponse
from node.cli.output.pin_text import details, holders
from node.cli.output.printing import say


def say_plan(plan: ApiResponse) -> None:
    named = f"{plan.text('cid')} {plan.text('name')}".rstrip()
    say(f"{named} would be pinned by {holders(plan)}  {details(plan)}".rstrip())
    for member in plan.answers("members"):
        mark = "+" if member.raw.get("holds") is True else "-"
        say(
            f"  {mark} {member.text('name')} {member.text('peer')}: {member.text('reason')}{_metrics(member)}"
        )


def _metrics(member: ApiResponse) -> str:
    found = [f"{name}={value}" for name, value in member.answer("metrics").raw.items()]
    return f" ({', '.join(found)})" if found else ""
