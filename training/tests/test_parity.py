"""Training and inference build bit-equal inputs."""

import numpy as np
import pytest
from dlloc_training.catalogue import whole_block
from dlloc_training.made import Example
from dlloc_training.sampler import model_input
from obspy import Stream, Trace, UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Response
from obspy.core.inventory import Station as InventoryStation
from obspy.core.inventory.response import InstrumentSensitivity

from seiscomp_dlloc.preprocess import condition
from seiscomp_dlloc.tensor import station_tensor
from seiscomp_dlloc.traces import collect_for

from . import toy

SENSITIVITY = 2e9
CHANNELS = (("HHZ", 0.0, -90.0), ("HHN", 0.0, 0.0), ("HHE", 90.0, 0.0))


def inventory(net) -> Inventory:
    stations = []
    for s in net.stations:
        channels = []
        for code, azimuth, dip in CHANNELS:
            response = Response(
                instrument_sensitivity=InstrumentSensitivity(SENSITIVITY, 5.0, input_units="M/S", output_units="COUNTS")
            )
            channels.append(
                Channel(code, "", s.latitude, s.longitude, 0.0, 0.0, azimuth=azimuth, dip=dip, response=response)
            )
        stations.append(InventoryStation(s.code, s.latitude, s.longitude, 0.0, channels=channels))
    return Inventory(networks=[Network("XX", stations=stations)])


def stream(event, net, without: int | None = None) -> Stream:
    traces = []
    for k, station in enumerate(net.stations):
        if k == without or not event.live[k]:
            continue
        for row, (code, _, _) in enumerate(CHANNELS):
            header = {
                "network": "XX",
                "station": station.code,
                "channel": code,
                "sampling_rate": toy.RATE,
                "starttime": UTCDateTime(event.block.starttime),
            }
            traces.append(Trace(np.round(event.block.data[row, k] * SENSITIVITY * 100).astype(np.int32), header))
    return Stream(traces)


@pytest.mark.parametrize("without", [None, 6])
@pytest.mark.parametrize("anchor_error", [0.0, 3.7, -9.0])
def test_inputs_are_bit_equal(without, anchor_error):
    net = toy.target()
    event = toy.events(net, 3)[1]
    blocks, dropped = collect_for(stream(event, net, without), inventory(net), net.stations, toy.SETTINGS)
    start = event.block.starttime + 4.0 + anchor_error
    inference = station_tensor(
        condition(blocks, len(net.stations), toy.SETTINGS), net.stations, dropped, start, toy.SETTINGS
    )
    block = whole_block(blocks, len(net.stations))
    example = Example(block.data, block.valid, np.zeros((0, 3)), 0.0)
    training = model_input(example, net, start - block.starttime)
    assert training.dtype == inference.data.dtype == np.float32
    assert np.array_equal(training, inference.data)
    assert training.any()


def test_records_are_cut_to_one_length():
    net = toy.target()
    event = toy.events(net, 1)[0]
    block = whole_block((event.block,), len(net.stations), 500)
    assert block.data.shape == block.valid.shape == (3, toy.STATIONS, 500)
    assert np.array_equal(block.data, event.block.data[..., :500])
