"""A chain's questions at the worker: what is asked, and what is kept of it until the answer comes."""

import selectors
from dataclasses import dataclass, field
from typing import Any, Dict

from ..worker.client import Pending
from .chain import COMPLETE, Chain, origin_id_of
from .crowd import Seen
from .plan import Plan

GRACE_S = 10.0
"""A worker that does not answer so long after the deadline is taken for dead."""

NOW_DEADLINE_S = 20.0
"""What takes the data there are has no longer than this."""


@dataclass
class Question:
    """A request on its way at the worker."""

    wait: str
    pending: Pending
    late_at: float
    writes: bool

    @property
    def events(self) -> int:
        """What its connection is watched for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self.writes else 0)


@dataclass
class Running:
    """A chain with the document that it asks about."""

    chain: Chain
    document: bytes
    seen: Seen
    options: Dict[str, Any]
    questions: Dict[str, Question] = field(default_factory=dict)


def request_of(running: Running, wait: str, number: str, deadline_s: float, plan: Plan) -> Dict[str, Any]:
    """Header of a question; ``number`` tells it apart from all others: the worker answers a known one from memory."""
    return {
        "kind": "locate",
        "id": f"{running.chain.key[:300]}|{wait}|{number}",
        "profile": running.chain.profile or None,
        "options": running.options,
        "deadline_s": deadline_s,
        "wait": wait,
        "until": None,
        "reply": "event",
        "origin_token": None,
        "keep_bundle": bool(plan.keep_bundle and wait == COMPLETE),
        # Named for our origin, so that its picture is found by it
        "bundle_id": origin_id_of(running.chain.token, 0, True, plan.last_name),
        "labels": {"agency": plan.output.agency, "author": plan.output.author},
    }
