"""Which of our origins and which of another locator's belong together."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from ..errors import EventFileError
from ..formats.origins import CatalogueOrigin, OriginFile
from ..geometry import distance_azimuth
from .distance import ABSTAINED, Pair, measure

TIME_TOLERANCE_S = 20.0
DISTANCE_TOLERANCE_KM = 150.0

Named = tuple[str, CatalogueOrigin]


@dataclass(frozen=True)
class Comparison:
    """All pairs, and what found no counterpart. ``notes`` say what was decided on the way."""

    pairs: tuple[Pair, ...]
    ours_alone: tuple[CatalogueOrigin, ...]
    theirs_alone: tuple[tuple[str, CatalogueOrigin], ...]
    notes: tuple[str, ...] = ()

    @property
    def theoretical(self) -> bool:
        """Whether a file says that its seismograms were computed, not recorded."""
        return any(p.ours.theoretical or p.theirs.theoretical for p in self.pairs)

    @property
    def locators(self) -> tuple[str, ...]:
        """Names of the conventional locators, in order of their first pair."""
        return tuple(dict.fromkeys(pair.locator for pair in self.pairs))


def is_ours(origin: CatalogueOrigin, method: str | None) -> bool:
    """Whether an origin is this package's: by its methodID (``method``, else DLLOC) or by its comments."""
    if method is not None:
        return method.lower() in (origin.method.lower(), origin.method.lower().rpartition(":")[2])
    return "dlloc" in origin.method.lower() or "dlloc/model" in origin.comments


def compare(
    files: Sequence[OriginFile],
    ours: str | None = None,
    time_tolerance_s: float = TIME_TOLERANCE_S,
    distance_tolerance_km: float = DISTANCE_TOLERANCE_KM,
    accepted_only: bool = False,
) -> Comparison:
    """Pairs of our origins and the conventional ones of ``files``.

    Ours are those of methodID ``ours`` (default: those that this package wrote; where there are none, or no others,
    those of the first file). Of several of ours for an event the latest counts, of several of a locator the event's
    preferred one, else the latest. Pairs are joined by event, or by the origin that ours names as its trigger, else by
    time and place within the tolerances, the nearest in time first. ``accepted_only`` leaves out those of ours that
    the locator does not stand by.

    Raises :class:`~seiscomp_dlloc.errors.EventFileError` where there is nothing to compare.
    """
    mine, others, notes = _sides(files, ours)
    mine = _latest(mine)
    abstained = sum(ABSTAINED in origin.comments for origin in mine)
    if abstained:
        fate = "are left out" if accepted_only else "are compared too"
        notes.append(f"{abstained} of our {len(mine)} origins, which the locator does not stand by, {fate}")
    if accepted_only:
        mine = [origin for origin in mine if ABSTAINED not in origin.comments]
    pairs: list[Pair] = []
    alone: list[tuple[str, CatalogueOrigin]] = []
    joined: set[int] = set()
    for locator, origins in _locators(others):
        found, rest = _join(mine, origins, time_tolerance_s, distance_tolerance_km)
        for i, theirs, how in found:
            joined.add(i)
            pairs.append(measure(mine[i], theirs, locator, how))
        alone += [(locator, origin) for origin in rest]
    left = tuple(origin for i, origin in enumerate(mine) if i not in joined)
    return Comparison(tuple(pairs), left, tuple(alone), tuple(notes))


def _sides(files: Sequence[OriginFile], method: str | None) -> tuple[list[CatalogueOrigin], list[Named], list[str]]:
    """Our origins, the others with their file's name, and notes."""
    mine = [o for file in files for o in file.origins if is_ours(o, method)]
    others = [(file.name, o) for file in files for o in file.origins if not is_ours(o, method)]
    if mine and others:
        return mine, others, []
    if method is not None:
        what = "no origin" if not mine else "every origin"
        methods = sorted({o.method or "(none)" for file in files for o in file.origins})
        raise EventFileError(f"--ours {method}: {what} has this methodID; there are {', '.join(methods[:8])}")
    if len(files) < 2:
        raise EventFileError(
            f"{files[0].name if files else 'no file'}: holds origins of one kind only; give a second file, or name "
            "our methodID with --ours"
        )
    kind = "no origin is" if not mine else "every origin is"
    note = f"{kind} marked as this package's: those of {files[0].name} stand for ours"
    return list(files[0].origins), [(file.name, o) for file in files[1:] for o in file.origins], [note]


def _keys(origin: CatalogueOrigin) -> tuple[str, ...]:
    """Identifiers by which an origin can be joined: the event's, its own, that of its trigger."""
    return tuple(key for key in (origin.event_id, origin.public_id, origin.comments.get("dlloc/trigger", "")) if key)


def _latest(origins: Iterable[CatalogueOrigin]) -> list[CatalogueOrigin]:
    """One origin per event: the one created last; in the order of the events."""
    chosen: dict[str, CatalogueOrigin] = {}
    for origin in origins:
        key = origin.event_id or origin.public_id
        if key not in chosen or origin.created >= chosen[key].created:
            chosen[key] = origin
    return list(chosen.values())


def _locators(others: Sequence[Named]) -> list[tuple[str, list[CatalogueOrigin]]]:
    """The conventional origins by locator, one per event.

    A file whose events have one origin each is one locator; else every methodID is one.
    """
    files: dict[str, list[CatalogueOrigin]] = {}
    for name, origin in others:
        files.setdefault(name, []).append(origin)
    groups: list[tuple[str, list[CatalogueOrigin]]] = []
    for name, origins in files.items():
        counts: dict[str, int] = {}
        for origin in origins:
            counts[origin.event_id or origin.public_id] = counts.get(origin.event_id or origin.public_id, 0) + 1
        stem = PurePath(name).stem
        if max(counts.values()) == 1:
            methods = {origin.method for origin in origins}
            only = methods.pop() if len(methods) == 1 else ""
            groups.append((only if only and len(files) == 1 else stem, origins))
            continue
        by_method: dict[str, list[CatalogueOrigin]] = {}
        for origin in origins:
            by_method.setdefault(origin.method or origin.author or origin.agency or "unnamed", []).append(origin)
        for method, members in by_method.items():
            chosen: dict[str, CatalogueOrigin] = {}
            for origin in members:
                key = origin.event_id or origin.public_id
                kept = chosen.get(key)
                if kept is None or (origin.preferred, origin.created) >= (kept.preferred, kept.created):
                    chosen[key] = origin
            groups.append((method if len(files) == 1 else f"{stem}: {method}", list(chosen.values())))
    taken: dict[str, int] = {}
    named = []
    for name, origins in groups:
        taken[name] = taken.get(name, 0) + 1
        named.append((name if taken[name] == 1 else f"{name} ({taken[name]})", origins))
    return named


def _join(
    mine: Sequence[CatalogueOrigin], theirs: Sequence[CatalogueOrigin], time_s: float, distance_km: float
) -> tuple[list[tuple[int, CatalogueOrigin, str]], list[CatalogueOrigin]]:
    """(place in ``mine``, their origin, how) for each pair, and their origins left over."""
    known: dict[str, int] = {}
    for i, origin in enumerate(mine):
        for key in _keys(origin):
            known.setdefault(key, i)
    pairs: list[tuple[int, CatalogueOrigin, str]] = []
    taken: set[int] = set()
    rest = []
    for origin in theirs:
        i = next((known[key] for key in _keys(origin) if known.get(key, -1) >= 0 and known[key] not in taken), -1)
        if i < 0:
            rest.append(origin)
            continue
        taken.add(i)
        pairs.append((i, origin, "event" if origin.event_id in _keys(mine[i]) else "trigger"))
    free = sorted((mine[i].time, i) for i in range(len(mine)) if i not in taken)
    near = []
    for row, origin in enumerate(rest):
        for time, i in free[bisect_left(free, (origin.time - time_s, -1)) :]:
            if time > origin.time + time_s:
                break
            away, _ = distance_azimuth(origin.latitude, origin.longitude, mine[i].latitude, mine[i].longitude)
            if float(away) <= distance_km:
                near.append((abs(time - origin.time), row, i))
    gone: set[int] = set()
    for _, row, i in sorted(near):
        if row not in gone and i not in taken:
            gone.add(row)
            taken.add(i)
            pairs.append((i, rest[row], "time and place"))
    return pairs, [origin for row, origin in enumerate(rest) if row not in gone]
