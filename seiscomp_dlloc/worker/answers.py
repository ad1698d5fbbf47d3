"""Answers to jobs, apart from what the engine puts into them. Standard library only: the supervisor makes them too."""

from typing import Any

from .protocol import Header, error_message

TIMES = ("queued_s", "acquired_s", "located_s", "total_s")
"""Seconds of an answer's ``timing``; null where the job did not get so far."""


def empty_answer(identifier: str, status: str, reason: str, detail: str, total_s: float | None = None) -> Header:
    """Header of an answer without a solution; every key that an answer has is there."""
    return {
        "kind": "answer",
        "id": identifier,
        "status": status,
        "reason": reason,
        "detail": detail,
        "solution": None,
        "complete": False,
        "stations": {"used": 0, "expected": 0},
        "timing": {**dict.fromkeys(TIMES), "total_s": total_s},
        "provider": None,
        "model": None,
        "bundle": None,
    }


def unknown_kind(header: Header) -> Header:
    """Answer to a request of a kind that is none."""
    return {**error_message("unknown kind", f"there is no request {header['kind'][:40]!r}"), "id": _id(header)}


def unknown_version(header: Header) -> Header:
    """Answer to a request of another version of the protocol."""
    detail = f"version {str(header.get('version'))[:20]} of the protocol is not spoken here"
    return {**error_message("unknown version", detail), "id": _id(header)}


def _id(header: Header) -> Any:
    identifier = header.get("id")
    return identifier if isinstance(identifier, str) else None
