"""One job from request to answer."""

import logging
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from xml.sax.saxutils import unescape

import numpy as np

from ..errors import (
    DllocError,
    EventError,
    EventFileError,
    InventoryError,
    ModelError,
    ProviderError,
    SettingError,
    TooFewStations,
    WaveformSourceError,
)
from ..formats.plain import as_json, status
from ..formats.scml import VERSIONS, write_origin_reply, write_scml
from ..geometry import distance_azimuth
from ..locate import FOUND_AFTER_S, Job, Located, required_window
from ..network import inventory_stations, stations_to_fetch
from ..records import Abstention, Dropped, Solution, Station
from ..trust import LOW_PEAK
from .acquire import Gathered, Later, Window, gather
from .answers import empty_answer
from .config import ProfileConfig, WorkerConfig
from .keeper import Keeper, Kept
from .protocol import Blobs, Message
from .request import JobRequest, check_depth, parse_request
from .running import Cancelled, Running, Slots
from .stock import Stock, Tools

DEFAULT_SCML = "0.13"
"""Version of an answer to QuakeML: read by SeisComP 6 and later."""

REASONS: tuple[tuple[type[DllocError], str, str], ...] = (
    (SettingError, "refused", "bad request"),
    (EventFileError, "refused", "bad document"),
    (InventoryError, "refused", "inventory"),
    (ModelError, "refused", "model"),
    (ProviderError, "refused", "provider"),
    (WaveformSourceError, "failed", "waveform source"),
)
"""Class of error -> status and reason of the answer."""

_LEAST_RESERVE_S = 0.15
_ORIGIN_ID = re.compile(rb'<[oO]rigin [^>]*publicID="([^"]*)"')

log = logging.getLogger("dlloc.engine")


class Workshop:
    """Does jobs with what :class:`~.stock.Stock` has; ``locating`` and ``fetching`` say how many at once."""

    def __init__(self, config: WorkerConfig, stock: Stock):
        self.stock, self._config = stock, config
        self.locating = Slots(max(config.jobs, 1))
        self.fetching = Slots(max(4, 2 * config.jobs))
        self.keeper = Keeper(config)
        self._usual_s = 0.5
        self._inside = 0
        self._count_lock = threading.Lock()

    def answer(self, job: Running) -> Message | None:
        """The answer to ``job``; None where it was answered without us. Raises nothing."""
        with self._count_lock:
            self._inside += 1
        try:
            return self._answer(job)
        except Cancelled:
            return None
        except EventError as error:
            return self._without(job, "failed", error.reason, str(error))
        except DllocError as error:
            state, reason = next(((s, r) for kind, s, r in REASONS if isinstance(error, kind)), ("failed", "failed"))
            return self._without(job, state, reason, str(error))
        except Exception as error:
            # A defect of ours must not cost the other jobs
            log.exception("job %.80s", job.id)
            return self._without(job, "failed", "internal error", f"{type(error).__name__}: {error}")
        finally:
            with self._count_lock:
                self._inside -= 1

    def _reserve(self, left_s: float) -> float:
        """Seconds to keep for locating, with as many jobs before this one as there are, at twice the usual pace."""
        turns = 1.0 + self._inside / max(self._config.jobs, 1)
        return min(max(_LEAST_RESERVE_S, 2.0 * self._usual_s * turns), 0.5 * left_s)

    def _answer(self, job: Running) -> Message:
        job.state("queued")
        job.enter(self.fetching)
        try:
            job.times["queued_s"] = job.total_s
            job.state("acquiring")
            request = parse_request(job.header, job.blobs)
            tools = self.stock.tools(request)
            check_depth(request.fixed_depth_km, tools.model.passport.region.depth_km[1])
            window, far, expected = _window(request, tools)
        finally:
            job.leave(self.fetching)
        began = time.monotonic()
        gathered = None
        error: EventError | None = None
        if window is not None:
            reserve = self._reserve(job.left_s)
            try:
                wait = request.wait == "complete" and request.waveform_blob is None
                later = _later(request, tools)
                gathered = gather(tools.opened, window, job, self.fetching, wait, reserve, later)
            except EventError as failure:
                error = failure
        job.times["acquired_s"] = time.monotonic() - began
        job.state("queued")
        job.enter(self.locating)
        try:
            job.state("locating")
            began = time.monotonic()
            task = _task(request, gathered, error, far)
            located = next(iter(tools.locator.run([task])))
            solution = _finish(located.solution, tools.profile, gathered)
            blobs = _documents(request, solution)
            took = time.monotonic() - began
        finally:
            job.leave(self.locating)
        job.times["located_s"] = took
        # What the usual job takes, slow to forget a long one
        self._usual_s = max(took, 0.9 * self._usual_s + 0.1 * took)
        header, blobs = self._with(job, solution, blobs, gathered, expected)
        if request.keep_bundle:
            header["bundle"] = self._keep(request, task, located, tools, blobs)
        return header, blobs

    def _keep(self, request: JobRequest, task: Job, located: Located, tools: Tools, blobs: Blobs) -> str | None:
        """Have the answer's bundle written; where it will stand."""
        reply = blobs.get("scml", b"")
        name = request.bundle_id or _public_id(reply) or request.trigger.origin_id
        kept = Kept(name, located, task, tools.inventory, tools.locator.options, tools.earth, request, reply)
        path = self.keeper.keep(kept)
        return str(path) if path else None

    def _with(
        self, job: Running, solution: Solution, blobs: Blobs, gathered: Gathered | None, expected: int
    ) -> Message:
        abstention = solution.abstention
        header = empty_answer(
            job.id,
            status(solution),
            abstention.reason if abstention else "",
            abstention.detail if abstention else "",
        )
        header["solution"] = as_json(solution)
        header["complete"] = gathered is not None and gathered.complete
        header["stations"] = {"used": len(solution.used_stations), "expected": expected}
        header["provider"] = solution.model.provider
        identity = asdict(solution.model)
        identity.pop("provider")
        header["model"] = identity
        header["timing"] = _timing(job)
        return header, blobs

    def _without(self, job: Running, state: str, reason: str, detail: str) -> Message:
        header = empty_answer(job.id, state, reason, detail)
        header["timing"] = _timing(job)
        return header, {}


def _timing(job: Running) -> dict[str, float | None]:
    parts = {name: job.times.get(name) for name in ("queued_s", "acquired_s", "located_s")}
    return {name: None if s is None else round(s, 4) for name, s in {**parts, "total_s": job.total_s}.items()}


def _window(request: JobRequest, tools: Tools) -> tuple[Window | None, tuple[Dropped, ...], int]:
    """What to fetch (None where there is nothing to), stations left out for their distance, and how many are wanted."""
    trigger, passport = request.trigger, tools.model.passport
    stations = stations_to_fetch(passport, inventory_stations(tools.inventory, trigger.time))
    far = _far(request, tools, stations)
    wanted = tuple(station.id for station in stations if station.id not in {item.seed_id for item in far})
    start, end = required_window(trigger, passport)
    if request.until is not None:
        end = min(end, request.until)
    if not wanted or end <= start:
        return None, far, len(wanted)
    return Window(wanted, start, end), far, len(wanted)


def _later(request: JobRequest, tools: Tools) -> Later | None:
    """How the window's end is told by the data that are there first: by the first break where no pick tells it, and by
    the network's scale where the model has several.
    """
    trigger = request.trigger
    if any(pick.used for pick in trigger.picks) and len(tools.model.passport.scales) == 1:
        return None
    return Later(trigger.time + FOUND_AFTER_S, lambda stream: tools.locator.window_end(trigger, stream))


def _far(request: JobRequest, tools: Tools, stations: Sequence[Station]) -> tuple[Dropped, ...]:
    """Stations beyond the distance that was asked for; none where the trigger's location is none or shall not count."""
    trigger = request.trigger
    limit = tools.profile.max_distance_km if request.max_distance_km is None else request.max_distance_km
    if (
        not request.use_location
        or limit is None
        or trigger.latitude is None
        or trigger.longitude is None
        or not stations
    ):
        return ()
    latitudes, longitudes = ([getattr(s, name) for s in stations] for name in ("latitude", "longitude"))
    distances, _ = distance_azimuth(trigger.latitude, trigger.longitude, np.array(latitudes), np.array(longitudes))
    return tuple(
        Dropped(station.id, f"{distance:.0f} km from the trigger's location, beyond the {limit:g} km asked for")
        for station, distance in zip(stations, distances.tolist(), strict=True)
        if distance > limit
    )


def _task(request: JobRequest, gathered: Gathered | None, error: EventError | None, far: tuple[Dropped, ...]) -> Job:
    """What the locator is given."""
    if gathered is None:
        return Job(request.trigger, None, error, far)
    return Job(request.trigger, gathered.acquired.stream, error, far + gathered.acquired.dropped)


def _finish(solution: Solution, profile: ProfileConfig, gathered: Gathered | None) -> Solution:
    """The solution as it is answered: judged by the profile too, and with what was missing told."""
    judged = _held_back(solution, profile)
    if gathered is None or not gathered.note:
        return judged
    return replace(judged, notes=(*judged.notes, gathered.note))


def _held_back(solution: Solution, profile: ProfileConfig) -> Solution:
    """The solution, not stood by where the profile wants more than the model does."""
    used, least = len(solution.used_stations), profile.min_stations
    if solution.abstention is not None:
        return solution
    if least is not None and used < least:
        detail = f"{used} used, profile {profile.name} wants {least}"
        return replace(solution, abstention=Abstention(TooFewStations.reason, detail))
    if profile.min_peak is not None and solution.peak is not None and solution.peak < profile.min_peak:
        detail = f"peak {solution.peak:.3f} is below the {profile.min_peak:g} of profile {profile.name}"
        return replace(solution, abstention=Abstention(LOW_PEAK, detail))
    return solution


def _public_id(document: bytes) -> str:
    """publicID of the origin in an answer's SCML, '' where there is none."""
    if not document:
        return ""
    # Of our own writing: one origin, in <origin> or <Origin>
    found = _ORIGIN_ID.search(document)
    return unescape(found.group(1).decode("utf-8"), {"&quot;": '"'}) if found else ""


def _documents(request: JobRequest, solution: Solution) -> Blobs:
    """SCML of the solution, in the version of the question; nothing where an origin is asked for and there is none."""
    if request.reply == "event":
        version = request.version if request.version in VERSIONS else DEFAULT_SCML
        return {"scml": write_scml([solution], version, request.labels)}
    if solution.hypocenter is None:
        return {}
    try:
        if request.kind == "scml":
            version = request.version or DEFAULT_SCML
            return {"scml": write_origin_reply(solution, version, request.namespace, request.labels)}
        return {"scml": write_origin_reply(solution, DEFAULT_SCML, None, request.labels)}
    except EventError:  # a hypocentre that is not finite
        return {}
