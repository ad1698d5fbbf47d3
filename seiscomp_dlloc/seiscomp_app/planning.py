"""The engine's plan from the operator's settings and what the main process says."""

from functools import partial
from typing import Any, Dict, Optional

from ..errors import SettingError
from ..settings.fingerprint import fingerprint
from ..settings.values import Profile, Settings, in_region
from ..worker.client import Wanted
from ..worker.launch import WorkerLauncher
from .chain import Pace
from .plan import OutputPlan, Plan, ProfilePlan
from .rules import Own, Region, Trigger

LONGEST_WINDOW_S = 240.0
"""From an origin to the end of the data that a model wants of it: windows of 144 s after the first break, half a minute
for magnitudes, travel times of a region."""


def make_plan(settings: Settings, hello: Dict[str, Any], once: bool = False) -> Plan:
    """The plan; with ``once``, each origin is located once, on the data there are, and not tried for long."""
    output, evolve, worker, trigger = settings.output, settings.evolve, settings.worker, settings.trigger
    launcher = WorkerLauncher(worker.socket, worker.python, wanted=wanted_worker()) if worker.autostart else None
    external = output.method_id.startswith("External")
    return Plan(
        profiles=tuple(_profile(profile) for profile in settings.profiles.values()),
        socket=worker.socket,
        journal_file=settings.journal_file,
        audit_file=settings.audit_file,
        own=Own(output.author, output.method_id),
        trigger=Trigger(
            agencies=trigger.agencies,
            agencies_blacklist=trigger.agencies_blacklist,
            authors=trigger.authors,
            authors_blacklist=trigger.authors_blacklist,
            modes=trigger.modes,
            min_phases=trigger.min_phases,
            max_age_s=trigger.max_age_s,
            region=_region(trigger.region),
        ),
        on_origins=trigger.origins,
        on_events=trigger.events,
        pace=Pace(
            evolve=evolve.enable and not once,
            first_delay_s=evolve.first_delay_s,
            interval_s=evolve.interval_s,
            most_origins=evolve.max_origins,
            stop_distance_km=evolve.stop_distance_km,
            stop_time_s=evolve.stop_time_s,
            deadline_s=worker.deadline_s if once else max(worker.deadline_s, LONGEST_WINDOW_S + evolve.latency_s),
            give_up_s=60.0 if once else 900.0,
        ),
        output=OutputPlan(
            agency=output.agency_id or str(hello.get("agency", "")),
            author=output.author,
            method=output.method_id,
            status=output.evaluation_status,
            # scolv finds the locator's profile by earthModelID where the method says that it is an external one
            profile_as_model=external,
            arrivals=output.arrivals,
            magnitudes=output.magnitudes,
            comments=output.comments,
        ),
        launcher=launcher,
        catchup_s=settings.catchup_max_age_s,
        keep_bundle=settings.bundle.keep,
        most_open=max(2, worker.queue),
    )


def wanted_worker() -> Optional[Wanted]:
    """The worker that would be started now: it reads the host's files itself, without the module's command line."""
    try:
        return Wanted(fingerprint(Settings.load()))
    except SettingError:
        # The module was given another file, for these are wrong
        return None


def _profile(profile: Profile) -> ProfilePlan:
    options: Dict[str, Any] = {
        "fixed_depth_km": None,
        "max_distance_km": profile.max_distance_km,
        "ignore_initial_location": False,
        "model": None,
        "waveforms": None,
        "inventory": None,
    }
    return ProfilePlan(profile.name, _region(profile.region), options)


def _region(region: Optional[Any]) -> Optional[Region]:
    return None if region is None else partial(in_region, region)
