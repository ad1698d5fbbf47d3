"""What the engine needs of the settings, in the terms of its parts."""

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Optional, Tuple

from .chain import FINAL, Pace
from .rules import Own, Region, Trigger


@dataclass(frozen=True)
class ProfilePlan:
    """A profile: its region and the options that go along with its questions."""

    name: str
    region: Optional[Region] = None
    options: Dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OutputPlan:
    """What our origins say of themselves and what they carry; '' leaves the worker's own.

    ``status`` '' sends none. ``profile_as_model``: earthModelID is the profile's name instead of the model's.
    """

    agency: str = ""
    author: str = ""
    method: str = "DLLOC"
    status: str = "reported"
    profile_as_model: bool = False
    arrivals: bool = True
    magnitudes: bool = True
    comments: bool = True


@dataclass(frozen=True)
class Plan:
    """Everything that the engine is told once, at its start. Times in s.

    ``launcher`` starts a worker (see worker/launch.py), None where the operator does. ``settle_s``: how long arrivals
    of an origin that came without are waited for. ``catchup_s``: how far back the database is searched for origins
    that came while nobody listened, 0 for not at all. ``most_open``: questions at the worker at once. ``last_name``:
    what the last revision is called in publicIDs.
    """

    profiles: Tuple[ProfilePlan, ...]
    socket: str
    journal_file: str
    audit_file: str
    own: Own = field(default_factory=Own)
    trigger: Trigger = field(default_factory=Trigger)
    on_origins: bool = True
    on_events: bool = False
    pace: Pace = field(default_factory=Pace)
    output: OutputPlan = field(default_factory=OutputPlan)
    launcher: Optional[Callable[[float], None]] = None
    settle_s: float = 3.0
    catchup_s: float = 3600.0
    keep_bundle: bool = False
    last_name: str = FINAL
    most_open: int = 16
