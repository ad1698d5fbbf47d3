"""Stations of an inventory against those of a passport, and how a solution lies among them."""

from .absent import not_listed, nothing_recorded
from .matching import SHIFT_KM, NetworkMatch, Standing, StationMatch, match_network, match_stations, stations_to_fetch
from .report import TURN_DEG, Change, NetworkReport, epoch_changes, network_report
from .stations import azimuthal_gap, inventory_stations, station_epochs

__all__ = [
    "SHIFT_KM", "TURN_DEG", "Change", "NetworkMatch", "NetworkReport", "Standing", "StationMatch", "azimuthal_gap",
    "epoch_changes", "inventory_stations", "match_network", "match_stations", "network_report", "not_listed",
    "nothing_recorded", "station_epochs", "stations_to_fetch",
]  # fmt: skip
