"""Why there are no waveforms of an inventory's stations, as far as their codes tell."""

from collections.abc import Iterable, Sequence

from ..records import Station
from ..wording import counted

_MOST_NAMED = 3


def nothing_recorded(listed: Sequence[Station], recorded: Iterable[str] = ()) -> str:
    """What there is instead of waveforms of the stations ``listed``, those of the inventory at the event's time.

    ``recorded``: stations (NET.STA) that there are waveforms of; empty where nobody knows. Where they bear the codes of
    the inventory's stations in another network, both are named: in one of the two files the network's code is wrong.
    """
    if not listed:
        return "the inventory has no station at that time: look at the start and end dates of its stations"
    ours = {station.id for station in listed}
    text = f"no waveforms of the {counted(len(ours), 'station')} of the inventory at that time ({_named(ours)})"
    others = set(recorded) - ours
    if not others:
        return f"{text}: look at the source's span, and whether its waveforms have the network codes of the inventory"
    by_code: dict[str, list[str]] = {}
    for name in sorted(others):
        by_code.setdefault(_code(name), []).append(name)
    twins = [(name, by_code[_code(name)][0]) for name in sorted(ours) if _code(name) in by_code]
    if not twins:
        return f"{text}; there are some of {_named(others)}: give the inventory of these, or other waveforms"
    own, other = twins[0]
    more = f", and {len(twins) - 1} more alike" if len(twins) > 1 else ""
    return (
        f"{text}; the network codes differ: the waveforms are of {other}, the inventory has {own}{more}: give both the "
        "same network code"
    )


def not_listed(recorded: Iterable[str]) -> str:
    """That these stations (NET.STA) have waveforms, and no place: the model could have used them."""
    names = set(recorded)
    stations = counted(len(names), "station")
    return f"waveforms of {stations} that the inventory does not have at the events' times: {_named(names)}"


def _code(station_id: str) -> str:
    return station_id.partition(".")[2]


def _named(station_ids: Iterable[str]) -> str:
    names = sorted(station_ids)
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
