"""Recorded events with known hypocentres, read through the plugin's own readers and preprocessing."""

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from seiscomp_dlloc.channels import ChannelIndex
from seiscomp_dlloc.errors import EventError, InputError, SettingError
from seiscomp_dlloc.formats.inventory import read_inventory
from seiscomp_dlloc.formats.triggers import read_triggers
from seiscomp_dlloc.passport import Preprocessing
from seiscomp_dlloc.records import Station, TraceBlock, Trigger
from seiscomp_dlloc.traces import collect_for
from seiscomp_dlloc.waveforms import open_source

BEFORE_ORIGIN_S, AFTER_ORIGIN_S = 60.0, 180.0


@dataclass(frozen=True)
class RecordedEvent:
    """One event: ``block`` holds all stations of the target, absent ones not valid; ``start_s`` is the time of its
    first sample after the catalogue's origin time (negative: before it).
    """

    trigger: Trigger
    block: TraceBlock

    @property
    def start_s(self) -> float:
        """First sample relative to the origin time."""
        return self.block.starttime - self.trigger.time

    @property
    def live(self) -> NDArray[np.bool_]:
        """(station,): stations with any valid sample."""
        return np.asarray(self.block.valid.any(axis=(0, 2)))


def read_split(path: Path) -> dict[str, str]:
    """``event,split`` rows: the last part of the event's publicID to ``train`` or ``test``."""
    try:
        with path.open(newline="") as file:
            return {row["event"]: row["split"] for row in csv.DictReader(file)}
    except (OSError, KeyError) as error:
        raise SettingError(f"{path}: no table with the columns event and split ({error})") from error


def read_stations(path: Path) -> tuple[Station, ...]:
    """Stations of an inventory in order of network and station code."""
    found = {
        (network.code, station.code): Station(
            network.code, station.code, station.latitude, station.longitude, station.elevation
        )
        for network in read_inventory(path)
        for station in network
    }
    return tuple(found[key] for key in sorted(found))


def whole_block(blocks: tuple[TraceBlock, ...], stations: int, samples: int | None = None) -> TraceBlock:
    """The one block of a set, with a place for every station, its first ``samples`` (all where None).

    Raises SettingError where there are several blocks.
    """
    if len(blocks) != 1:
        raise SettingError(f"{len(blocks)} blocks of differing rates or grids: training takes one per event")
    block = blocks[0]
    shape = (3, stations, block.data.shape[-1])
    # float64, as inference has it: rounding here would be a difference in the last bit of the input
    data, valid = np.zeros(shape), np.zeros(shape, bool)
    data[:, block.station_index], valid[:, block.station_index] = block.data, block.valid
    index = np.arange(stations)
    return TraceBlock(index, data[..., :samples], valid[..., :samples], block.sampling_rate_hz, block.starttime)


def load_events(
    folder: Path, split: str, stations: tuple[Station, ...], settings: Preprocessing, samples: int | None = None
) -> tuple[RecordedEvent, ...]:
    """Events of ``split`` in ``folder`` (catalog.xml, stations.xml, split.csv, waveforms/), in order of time.

    Records are cut to their first ``samples``, so that examples have one length.
    Events that cannot be read are named on standard error and left out; none at all is an error.
    """
    splits = read_split(folder / "split.csv")
    channels = ChannelIndex.from_inventory(read_inventory(folder / "stations.xml"))
    source = open_source(str(folder / "waveforms"))
    seed_ids = [f"{s.id}.*.*" for s in stations]
    triggers = [t for t in read_triggers(folder / "catalog.xml").triggers if splits.get(short_id(t)) == split]
    events = []
    for trigger in tqdm(
        sorted(triggers, key=lambda t: t.time), desc=f"reading {split} events", leave=False, disable=None
    ):
        try:
            acquired = source.get_waveforms(seed_ids, trigger.time - BEFORE_ORIGIN_S, trigger.time + AFTER_ORIGIN_S)
            blocks, _ = collect_for(acquired.stream, channels, stations, settings)
            events.append(RecordedEvent(trigger, whole_block(blocks, len(stations), samples)))
        except (EventError, SettingError) as error:
            tqdm.write(f"{trigger.public_id} left out: {error}", file=sys.stderr)
    if not events:
        raise InputError(f"{folder}: no readable event of split {split!r}")
    return tuple(events)


def short_id(trigger: Trigger) -> str:
    """Last part of a publicID, by which split.csv names events."""
    return trigger.public_id.rsplit("/", 1)[-1]
