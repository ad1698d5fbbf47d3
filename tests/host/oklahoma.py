"""Recorded events of the Oklahoma network as a host's conventional chain would hand them on: origins with P arrivals.

The picks are Baer and Kradolfer's (1987) picker, as ObsPy has it, on the vertical components; those near the
P that iasp91 predicts for the catalogue's hypocentre become arrivals of its origin.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from obspy import Inventory, Stream, Trace, UTCDateTime, read, read_events, read_inventory
from obspy.core.event import (
    Arrival,
    Catalog,
    CreationInfo,
    Event,
    Origin,
    OriginQuality,
    Pick,
    ResourceIdentifier,
    WaveformStreamID,
)
from obspy.geodetics import gps2dist_azimuth, kilometers2degrees
from obspy.signal.trigger import pk_baer
from obspy.taup import TauPyModel

NEAR_S = 4.0
AGENCY = "TST"

_PREFIX = "smi:org.gfz.de/geofon/"
"""Taken off by ObsPy when it writes SCML 0.14, so that the host sees plain names."""


@dataclass(frozen=True)
class OklahomaData:
    """The folder of recorded events, read once."""

    folder: Path
    inventory: Inventory
    catalog: Catalog
    test_names: tuple[str, ...]

    @classmethod
    def read(cls, shared_data: Path) -> "OklahomaData":
        """From ``../shared/data``."""
        folder = shared_data / "oklahoma"
        with (folder / "split.csv").open(encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
        names = tuple(row["event"] for row in rows if row["split"] == "test")
        return cls(folder, read_inventory(folder / "stations.xml"), read_events(folder / "catalog.xml"), names)

    def events(self, names: tuple[str, ...]) -> list[Event]:
        """Events of the catalogue in the order of ``names``."""
        by_name = {str(event.resource_id).rsplit("/", 1)[-1]: event for event in self.catalog}
        return [by_name[name] for name in names]

    def waveforms(self, name: str) -> Stream:
        """The recording of one event."""
        (path,) = self.folder.glob(f"waveforms/{name}.*")
        return read(path)


def pick_p(trace: Trace) -> float | None:
    """Onset by Baer and Kradolfer's picker in s after the trace's start; None where it finds none."""
    rate = trace.stats.sampling_rate
    data = np.asarray(trace.data, np.float32)
    if not np.any(data):
        return None
    sample, _ = pk_baer(data, rate, int(2 * rate), int(2 * rate), 7.0, 12.0, int(4 * rate), int(5 * rate))
    return None if sample <= 0 else sample / rate


def picked_event(data: OklahomaData, name: str, model: TauPyModel) -> Event:
    """One event with an origin at the catalogue's hypocentre, its picks and arrivals."""
    (event,) = data.events((name,))
    known = event.preferred_origin() or event.origins[0]
    picks, arrivals = [], []
    for trace in data.waveforms(name).select(component="Z"):
        onset = pick_p(trace)
        if onset is None:
            continue
        station = data.inventory.select(network=trace.stats.network, station=trace.stats.station)[0][0]
        far_m, azimuth, _ = gps2dist_azimuth(known.latitude, known.longitude, station.latitude, station.longitude)
        degrees = kilometers2degrees(far_m / 1000.0)
        first = model.get_travel_times(max(known.depth / 1000.0, 0.0), degrees, ["ttp"])[0]
        residual = (trace.stats.starttime + onset) - (known.time + first.time)
        if abs(residual) > NEAR_S:
            continue
        pick = Pick(
            resource_id=ResourceIdentifier(f"{_PREFIX}Pick/{name}/{trace.id}"),
            time=trace.stats.starttime + onset,
            waveform_id=WaveformStreamID(seed_string=trace.id),
            phase_hint="P",
            evaluation_mode="automatic",
            creation_info=CreationInfo(agency_id=AGENCY, author="baer"),
        )
        picks.append(pick)
        arrivals.append(
            Arrival(
                pick_id=pick.resource_id,
                phase="P",
                distance=degrees,
                azimuth=azimuth,
                time_residual=residual,
                time_weight=1.0,
            )
        )
    origin = Origin(
        resource_id=ResourceIdentifier(f"{_PREFIX}Origin/conventional/{name}"),
        time=known.time,
        latitude=known.latitude,
        longitude=known.longitude,
        depth=known.depth,
        method_id=ResourceIdentifier(f"{_PREFIX}LOCSAT"),
        earth_model_id=ResourceIdentifier(f"{_PREFIX}iasp91"),
        evaluation_mode="automatic",
        quality=OriginQuality(used_phase_count=len(arrivals), associated_phase_count=len(arrivals)),
        arrivals=arrivals,
        creation_info=CreationInfo(agency_id=AGENCY, author="conventional", creation_time=known.time + 120),
    )
    return Event(resource_id=ResourceIdentifier(f"{_PREFIX}Event/{name}"), picks=picks, origins=[origin])


def write_document(data: OklahomaData, names: tuple[str, ...], path: Path, version: str = "0.14") -> Catalog:
    """SCML of the events; what was written."""
    model = TauPyModel("iasp91")
    catalog = Catalog([picked_event(data, name, model) for name in names])
    catalog.write(str(path), format="SCML", version=version)
    return catalog


def write_sds(data: OklahomaData, names: tuple[str, ...], archive: Path) -> None:
    """The recordings of ``names`` as an SDS archive, one file per channel and day, records in order of time."""
    records: dict[Path, list[Trace]] = {}
    for name in names:
        for trace in data.waveforms(name):
            stats, start = trace.stats, trace.stats.starttime
            for day in {start.datetime.date(), stats.endtime.datetime.date()}:
                midnight = UTCDateTime(day.year, day.month, day.day)
                part = trace.slice(midnight, midnight + 86400 - stats.delta / 2)
                folder = archive / f"{day.year}" / stats.network / stats.station / f"{stats.channel}.D"
                julian = midnight.julday
                path = folder / f"{trace.id}.D.{day.year}.{julian:03d}"
                records.setdefault(path, []).append(part)
    for path, parts in records.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        Stream(sorted(parts, key=lambda part: part.stats.starttime)).write(str(path), format="MSEED", reclen=512)
