"""Frozen records that travel between the modules.

Shapes are given as (axis, ...). Times are POSIX seconds (UTC), lengths km, depth positive down from sea level,
ground motion m/s, directions degrees clockwise from north.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .geometry import Grid

COMPONENTS = ("Z", "N", "E")
"""Order of the component axis everywhere."""


@dataclass(frozen=True)
class Station:
    """A station: one place where ground motion is recorded."""

    network: str
    code: str
    latitude: float
    longitude: float
    elevation_m: float = 0.0

    @property
    def id(self) -> str:
        """``NET.STA``."""
        return f"{self.network}.{self.code}"


@dataclass(frozen=True)
class Pick:
    """A pick of the trigger. ``phase`` is the arrival's phase or else the hint, '' where none is given.

    ``used`` is False where whoever located the trigger gave the arrival no weight.
    """

    public_id: str
    time: float
    network: str
    station: str
    location: str = ""
    channel: str = ""
    phase: str = ""
    used: bool = True

    @property
    def station_id(self) -> str:
        """``NET.STA``."""
        return f"{self.network}.{self.station}"


@dataclass(frozen=True)
class Trigger:
    """A triggered origin: it says when and that, never where.

    ``event_id`` is the publicID of the event or, where no event refers to the origin, '' (then ``origin_id``
    is what answers keep). Latitude, longitude and depth are carried for comparison and are not an input of the
    location.
    """

    origin_id: str
    time: float
    event_id: str = ""
    latitude: float | None = None
    longitude: float | None = None
    depth_km: float | None = None
    picks: tuple[Pick, ...] = ()

    @property
    def public_id(self) -> str:
        """publicID of the event, else of the origin."""
        return self.event_id or self.origin_id


@dataclass(frozen=True)
class Dropped:
    """A channel or station left out, and why. ``seed_id`` is NET.STA or NET.STA.LOC.CHA."""

    seed_id: str
    reason: str


@dataclass(frozen=True)
class TraceBlock:
    """Ground velocity of stations that share a sampling rate, a first sample and a length.

    ``data`` (component, station, sample) float64 in m/s, order of components :data:`COMPONENTS`; ``valid`` the same
    shape, False where there is no observation (gap, missing component; data is 0 there). ``station_index`` (station,)
    gives the place of each station in the list of stations that the block belongs to.
    """

    station_index: NDArray[np.int64]
    data: NDArray[np.float64]
    valid: NDArray[np.bool_]
    sampling_rate_hz: float
    starttime: float


@dataclass(frozen=True)
class Conditioned:
    """Filtered ground motion of all stations on one time axis.

    ``data`` (component, station, sample) float32, ``valid`` the same shape; a station without data has valid all
    False and data 0. ``starttime`` is the time of sample 0.
    """

    data: NDArray[np.float32]
    valid: NDArray[np.bool_]
    sampling_rate_hz: float
    starttime: float

    @property
    def endtime(self) -> float:
        """Time of the last sample."""
        return self.starttime + (int(self.data.shape[-1]) - 1) / self.sampling_rate_hz


@dataclass(frozen=True)
class StationTensor:
    """Input of a model of representation ``stations``.

    ``data`` (component, station, sample) float32, ``mask`` (component, station, sample) bool (True where observed);
    ``log_scale`` (station,) float32: log10 of the factor (m/s) that normalisation divided by, 0 where it did not.
    """

    data: NDArray[np.float32]
    mask: NDArray[np.bool_]
    log_scale: NDArray[np.float32]
    sampling_rate_hz: float
    starttime: float
    stations: tuple[Station, ...]
    used: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True)
class SnapshotVolume:
    """Input of a model of representation ``snapshots``.

    ``data`` (frame, row, column) float32, rows from south to north, columns from west to east; ``mask`` the same
    shape float32: the share of each pixel's weight that rests on observed stations; ``log_scale``: log10 of the
    factor (m/s) that normalisation divided by.
    """

    data: NDArray[np.float32]
    mask: NDArray[np.float32]
    log_scale: float
    frame_rate_hz: float
    starttime: float
    used: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True)
class LocationImage:
    """What a volume head returns: ``values`` (nz, ny, nx) float32 on ``grid``.

    ``measure`` is ``density`` (values are probabilities that sum to 1) or ``label`` (values between 0 and 1, 1 at
    the hypocentre).
    """

    values: NDArray[np.float32]
    grid: Grid
    measure: Literal["density", "label"]


DepthType = Literal["from location", "operator assigned", "other"]
"""Where a depth comes from, in the words that QuakeML and SCML share; ``other``: a default, nothing was estimated."""


@dataclass(frozen=True)
class Hypocenter:
    """Where and when. ``covariance_km2`` (3, 3): x east, y north, z down; NaN where unknown. ``doubt_km2`` (3, 3): what
    of it is there because travel times may be wrong; None where that is not told apart.
    """

    latitude: float
    longitude: float
    depth_km: float
    covariance_km2: NDArray[np.float64]
    time: float
    time_sigma_s: float | None = None
    depth_type: DepthType = "from location"
    doubt_km2: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Arrival:
    """One of the trigger's picks seen from the solution."""

    pick: Pick
    phase: str
    distance_km: float
    azimuth_deg: float
    residual_s: float
    weight: float


@dataclass(frozen=True)
class Onset:
    """An onset that the model itself sees at a station where the solution predicts one.

    ``time`` POSIX s; ``probability`` that the station recorded ``phase`` there rather than nothing; ``residual_s``:
    the onset minus the predicted time. ``distance_km`` and ``azimuth_deg`` of the station seen from the epicentre, NaN
    where nobody has said; ``channel``: NET.STA.LOC.CHA that shows the phase best, '' where it is not known.
    """

    station_id: str
    phase: str
    time: float
    probability: float
    residual_s: float
    distance_km: float = float("nan")
    azimuth_deg: float = float("nan")
    channel: str = ""


@dataclass(frozen=True)
class PlaneWave:
    """A plane wave of P that crosses the stations, from a source far away.

    ``velocity_km_s``: apparent, infinite where it comes from straight below; ``back_azimuth_deg``: where it comes from;
    ``score``: the sum of the evidence along it.
    """

    velocity_km_s: float
    back_azimuth_deg: float
    score: float


@dataclass(frozen=True)
class StationMagnitude:
    """Magnitude at one station; ``amplitude_mm`` on the Wood-Anderson instrument, zero to peak."""

    station_id: str
    channel: str
    amplitude_mm: float
    time: float
    distance_km: float
    magnitude: float


@dataclass(frozen=True)
class Magnitude:
    """Network magnitude: median of the station magnitudes, or the model's own (type ``Mdl``)."""

    value: float
    type: str
    sigma: float | None = None
    stations: tuple[StationMagnitude, ...] = ()


@dataclass(frozen=True)
class Abstention:
    """Why a solution should not be trusted: ``reason`` is a short code, ``detail`` a sentence with figures."""

    reason: str
    detail: str = ""


@dataclass(frozen=True)
class ModelIdentity:
    """Which model answered, and where it ran."""

    name: str
    version: str
    sha256: str
    provider: str

    @property
    def label(self) -> str:
        """``name/version``."""
        return f"{self.name}/{self.version}"


@dataclass(frozen=True)
class Solution:
    """The answer to one trigger.

    ``abstention`` is None where the solution is accepted. ``hypocenter`` is None only where nothing could be
    computed (then ``abstention`` says why). ``peak`` is the trust value of the location image, between 0 and 1.
    ``influence_km``: station (``NET.STA``) -> how far the epicentre moves without it, where the model tells. ``score``:
    the evidence of all stations for the event, a log-likelihood ratio, where the model has one.
    """

    trigger: Trigger
    model: ModelIdentity
    hypocenter: Hypocenter | None = None
    magnitude: Magnitude | None = None
    magnitude_note: str = ""
    peak: float | None = None
    secondary_peaks: int = 0
    abstention: Abstention | None = None
    arrivals: tuple[Arrival, ...] = ()
    onsets: tuple[Onset, ...] = ()
    influence_km: Mapping[str, float] = field(default_factory=dict)
    score: float | None = None
    used_stations: tuple[str, ...] = ()
    azimuthal_gap_deg: float | None = None
    min_distance_km: float | None = None
    max_distance_km: float | None = None
    anchor: float | None = None
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def accepted(self) -> bool:
        """Whether the locator stands by the solution."""
        return self.abstention is None
