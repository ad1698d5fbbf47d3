"""The model passport: everything that is needed to apply a model, in the model's own file.

One ``.onnx`` file carries the passport as JSON in ``metadata_props["dlloc"]`` and a golden input with its expected
output in ``metadata_props["dlloc.golden"]``. The JSON is checked against ``data/passport.schema.json``; this module
turns it into frozen records and back. It reads no file: :mod:`seiscomp_dlloc.model` does.
"""

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any

import jsonschema

from .errors import ModelError
from .geometry import Grid, LocalFrame
from .records import Station

FORMAT_VERSION = 1


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """The JSON schema of the passport."""
    text = resources.files("seiscomp_dlloc.data").joinpath("passport.schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@dataclass(frozen=True)
class Preprocessing:
    """How ground motion becomes the numbers that the model sees; see docs/conventions.md.

    ``prefiltered``: the data come already filtered to ``band_hz`` (no filter is applied, ``warmup_s`` is 0).
    ``unit_scale`` multiplies m/s before normalisation. ``normalisation`` divides by the largest absolute value of
    the station or of the network.
    """

    sampling_rate_hz: float
    band_hz: tuple[float, float]
    corners: int
    prefiltered: bool
    warmup_s: float
    detrend: str
    quantity: str
    window_samples: int
    pretrigger_s: float
    normalisation: str
    unit_scale: float
    response: str = "sensitivity"

    @property
    def window_s(self) -> float:
        """Length of the window in seconds."""
        return self.window_samples / self.sampling_rate_hz


@dataclass(frozen=True)
class Region:
    """The box within which the model was trained: degrees, km, magnitude units; (low, high)."""

    latitude: tuple[float, float]
    longitude: tuple[float, float]
    depth_km: tuple[float, float]
    magnitude: tuple[float, float] | None = None

    def contains(self, latitude: float, longitude: float) -> bool:
        """Whether the epicentre lies in the box."""
        inside_latitude = self.latitude[0] <= latitude <= self.latitude[1]
        return inside_latitude and self.longitude[0] <= longitude <= self.longitude[1]


@dataclass(frozen=True)
class Calibration:
    """Thresholds and scales measured on held-out training events.

    ``peak_threshold``: below it a solution is abstained (low peak); below ``no_event_threshold`` the window is said
    to hold no event. ``peak_radius_km``: for a density image, the peak value is the probability within this
    distance of the peak. ``secondary_peak_ratio``: another maximum counts from this share of the main one on.
    """

    peak_threshold: float
    covariance_scale: float
    no_event_threshold: float = 0.0
    peak_radius_km: float = 10.0
    secondary_peak_ratio: float = 0.5
    covariance_floor_km: float = 0.0
    depth_covariance_scale: float = 1.0
    time_sigma_floor_s: float = 0.1


@dataclass(frozen=True)
class Passport:
    """A validated passport. ``raw`` is the JSON document itself."""

    raw: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.raw["name"])

    @property
    def version(self) -> str:
        """Version of the model."""
        return str(self.raw["version"])

    @property
    def min_stations(self) -> int:
        """Least number of usable stations."""
        return int(self.raw["min_stations"])

    @property
    def content_sha256(self) -> str:
        """SHA-256 of the model file without its metadata."""
        return str(self.raw["content_sha256"])

    @property
    def fixed_network(self) -> bool:
        """Whether the model is tied to one ordered list of stations."""
        return bool(self.raw["network"]["kind"] == "fixed")

    @cached_property
    def stations(self) -> tuple[Station, ...]:
        """The ordered stations of a fixed network; empty for any network."""
        rows = self.raw["network"].get("stations", [])
        return tuple(Station(r["network"], r["code"], r["latitude"], r["longitude"], r["elevation_m"]) for r in rows)

    @property
    def station_tolerance_km(self) -> float:
        """How far a station may stand from where the passport has it."""
        return float(self.raw["network"].get("tolerance_km", 1.0))

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """Settings of the one preprocessing."""
        d = dict(self.raw["preprocessing"])
        d["band_hz"] = tuple(d["band_hz"])
        return Preprocessing(**d)

    @cached_property
    def scales(self) -> tuple["Passport", ...]:
        """The passport for networks of each size that it names, the smallest first; itself where it names none."""
        rows = sorted(self.raw.get("scales", []), key=lambda row: float(row["aperture_km"]))
        made = []
        for row in rows:
            own = {key: value for key, value in row.items() if key != "aperture_km"}
            rest = {key: value for key, value in self.raw.items() if key != "scales"}
            made.append(Passport({**rest, "preprocessing": {**self.raw["preprocessing"], **own}}))
        return tuple(made) or (self,)

    def scales_for(self, aperture_km: float) -> tuple["Passport", ...]:
        """The scales that can serve a network of this aperture, the one made for it first, then coarser ones.

        A network larger than all of them gets the coarsest.
        """
        rows = sorted(float(row["aperture_km"]) for row in self.raw.get("scales", []))
        first = min(sum(1 for limit in rows if limit < aperture_km), len(self.scales) - 1)
        return self.scales[first:]

    @property
    def representation(self) -> dict[str, Any]:
        """``kind`` is ``stations``, ``snapshots`` or ``traces``; the rest depends on it (see the schema)."""
        return dict(self.raw["representation"])

    @property
    def head(self) -> dict[str, Any]:
        """``kind`` is ``volume``, ``vector`` or ``migration``; the rest depends on it (see the schema)."""
        return dict(self.raw["head"])

    @cached_property
    def grid(self) -> Grid:
        """Grid of a volume head."""
        if self.raw["head"]["kind"] != "volume":
            raise ModelError(f"model {self.name}: a head of kind {self.raw['head']['kind']} has no grid")
        return Grid(**self.raw["head"]["grid"])

    @cached_property
    def frame(self) -> LocalFrame:
        """Local frame of the head: the grid's, or the vector head's origin."""
        head = self.raw["head"]
        if head["kind"] == "volume":
            return self.grid.frame
        origin = head.get("origin") or {
            "latitude": sum(self.region.latitude) / 2,
            "longitude": sum(self.region.longitude) / 2,
        }
        return LocalFrame(origin["latitude"], origin["longitude"])

    @cached_property
    def region(self) -> Region:
        """Region, depth and magnitude box."""
        r = self.raw["region"]
        magnitude = tuple(r["magnitude"]) if "magnitude" in r else None
        return Region(tuple(r["latitude"]), tuple(r["longitude"]), tuple(r["depth_km"]), magnitude)

    @property
    def earth_model(self) -> dict[str, Any]:
        """``kind`` ``layers`` (1-D model) or ``taup`` (name of an ObsPy TauP model)."""
        return dict(self.raw["earth_model"])

    @cached_property
    def calibration(self) -> Calibration:
        """Thresholds and scales."""
        return Calibration(**self.raw["calibration"])

    def to_json(self) -> str:
        """The document as canonical JSON."""
        return json.dumps(self.raw, sort_keys=True, ensure_ascii=False, allow_nan=False)


def parse(text: str, where: str = "passport") -> Passport:
    """JSON text to a validated passport.

    Raises :class:`~seiscomp_dlloc.errors.ModelError` naming ``where`` and the field at fault.
    """

    def refuse(constant: str) -> None:
        # Python reads NaN and Infinity, which JSON does not have and no field can hold
        raise ValueError(f"{constant} stands in it")

    try:
        document = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where}: the passport is no valid JSON ({error}); export the model again") from error
    return from_dict(document, where)


def from_dict(document: dict[str, Any], where: str = "passport") -> Passport:
    """A document to a validated passport; see :func:`parse`."""
    if isinstance(document, dict) and document.get("format_version", FORMAT_VERSION) != FORMAT_VERSION:
        raise ModelError(
            f"{where}: passport format {document['format_version']} is not known to this version "
            f"(it reads format {FORMAT_VERSION}); update seiscomp_dlloc or export the model again"
        )
    validator = jsonschema.Draft202012Validator(schema())
    error = jsonschema.exceptions.best_match(validator.iter_errors(document))
    if error is not None:
        field = ".".join(str(p) for p in error.absolute_path) or "(top level)"
        raise ModelError(f"{where}: passport field {field}: {error.message}")
    _check_meaning(document, where)
    return Passport(document)


def check_earth_model(document: Any, where: str = "earth model") -> dict[str, Any]:
    """``document`` once it is one that a passport's ``earth_model`` may be.

    Raises :class:`~seiscomp_dlloc.errors.ModelError` naming ``where`` and the field at fault.
    """
    validator = jsonschema.Draft202012Validator(schema()["properties"]["earth_model"])
    error = jsonschema.exceptions.best_match(validator.iter_errors(document))
    if error is not None:
        field = ".".join(str(p) for p in error.absolute_path) or "(top level)"
        raise ModelError(f"{where}: earth model field {field}: {error.message[:200]}")
    try:
        json.dumps(document, allow_nan=False)
    except ValueError as refused:
        raise ModelError(f"{where}: earth model with a number that is not finite") from refused
    checked: dict[str, Any] = document
    return checked


def _check_meaning(document: dict[str, Any], where: str) -> None:
    """What a schema cannot say: bands below Nyquist, ranges in order, each station once."""
    bands = {"preprocessing": document["preprocessing"]}
    bands |= {f"scales.{number}": row for number, row in enumerate(document.get("scales", []))}
    for field, pre in bands.items():
        low, high = pre["band_hz"]
        if not low < high < pre["sampling_rate_hz"] / 2:
            raise ModelError(
                f"{where}: passport field {field}.band_hz: {low}-{high} Hz must be in order and below half the "
                f"sampling rate of {pre['sampling_rate_hz']} Hz"
            )
    kinds = document["network"]["kind"], document["representation"]["kind"], document["head"]["kind"]
    if len({kinds[1] == "traces", kinds[2] == "migration"}) > 1 or (kinds[2] == "migration" and kinds[0] != "any"):
        raise ModelError(
            f"{where}: passport field head.kind: a migration goes with traces of any network, here it is "
            f"{kinds[2]} of {kinds[1]}, network {kinds[0]}"
        )
    if "scales" in document and kinds[0] != "any":
        raise ModelError(f"{where}: passport field scales: a fixed network has one scale")
    for key, (start, end) in document["region"].items():
        if start >= end:
            raise ModelError(f"{where}: passport field region.{key}: {start} must be below {end}")
    ids = [(s["network"], s["code"]) for s in document["network"].get("stations", [])]
    if len(ids) != len(set(ids)):
        raise ModelError(f"{where}: passport field network.stations: a station stands there twice")
