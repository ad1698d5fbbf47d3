"""What an operator reads of a wrong entry of an experiment's file: which one, what is wrong, what to give."""

from pathlib import Path

import pytest
from dlloc_training.experiments.reading import read_experiment

from seiscomp_dlloc.errors import SettingError

from .smallexperiment import TEXT

STATION_A = '{code = "XX.A", latitude = 35.20, longitude = 139.00, elevation_m = 800.0}'
STATIONS = TEXT[TEXT.index("stations = [") : TEXT.index("[earth]")]
LAYER = "[2.0, 4.0, 2.3, 2.4, 200, 100]"
LAYERS = f"[{LAYER}, [0.0, 6.0, 3.5, 2.7, 400, 200]]"
ROW = "thickness km, vp km/s, vs km/s, density g/cm3, Qp, Qs"
MECHANISM = "{strike_deg = 10, dip_deg = 80, rake_deg = 0}"
RATE = "sampling_rate_hz = 50.0"
BAND = "[preprocessing]\nband_hz = [1.0, 8.0]\nwindow_s = 10.0\npretrigger_s = 2.0"


def wrong(old: str, new: str, said: str) -> object:
    """A row of the table, named by what is said of it."""
    return pytest.param(old, new, said, id=said[:60])


def added(new: str, said: str) -> object:
    """A row whose lines stand behind all others."""
    return wrong("duration_s = 20.0\n", f"duration_s = 20.0\n{new}\n", said)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # Unknown
        wrong("bottom_km", "botom_km", "region.botom_km: there is no such setting; did you mean bottom_km?"),
        wrong(
            "bottom_km = 6.0",
            "bottom_km = 6.0\nfoot = 6.0",
            "region.foot: there is no such setting; known are south, north, west, east, top_km, bottom_km",
        ),
        wrong("south = 35.19", "South = 35.19", "region.South: there is no such setting; did you mean south?"),
        wrong("south = 35.19", '"so\\nth" = 3', "region.'so\\nth': there is no such setting; did you mean south?"),
        added("[augmentations]\nlost = 2", "augmentations: there is no such section; did you mean augmentation?"),
        wrong("seed = 3", "sed = 3", "sed: there is no such setting; did you mean seed?"),
        wrong("[records]", "[record]", "record: there is no such section; did you mean records?"),
        wrong(
            "latitude = 35.25",
            "latitud = 35.25",
            "network.stations: XX.B: latitud: there is no such setting; did you mean latitude?",
        ),
        wrong("dip_deg", "dips_deg", "events.mechanism.dips_deg: there is no such setting; did you mean dip_deg?"),
        wrong(
            "seed = 3",
            'seed = "x"\nnmae = "small"',
            "nmae: there is no such setting; did you mean name?",
        ),
        # Missing
        wrong("bottom_km = 6.0\n", "", "region.bottom_km: is missing; give it"),
        wrong("[records]\nsampling_rate_hz = 50.0\nduration_s = 20.0\n", "", "records: is missing; give it"),
        wrong("latitude = 35.20, ", "", "network.stations: XX.A: latitude is missing; give it"),
        wrong(", elevation_m = 400.0", "", "network.stations: XX.B: elevation_m is missing; give it"),
        wrong('code = "XX.B", ', "", "network.stations: station 2: code is missing; give it"),
        wrong(", rake_deg = 0", "", "events.mechanism.rake_deg: is missing; give it"),
        wrong(STATIONS, "", "network: give either inventory or stations"),
        wrong("[earth]", 'inventory = "a.xml"\n[earth]', "network: give either inventory or stations, not both"),
        added('[networks.slim]\ntitle = "FCN"', "networks.slim.network: is missing; give it"),
        # Rows and lists
        wrong(", 400, 200]", ", 400]", f"earth.layers: layer 2: has 5 numbers; give {ROW}"),
        wrong(", 200, 100]", ", 200, 100, 1]", f"earth.layers: layer 1: has 7 numbers; give {ROW}"),
        wrong(LAYER, "[]", f"earth.layers: layer 1: is empty; give {ROW}"),
        wrong(LAYERS, LAYER, f"earth.layers: layer 1: is 2.0; give a list of {ROW}"),
        wrong("[2.0, 4.0,", '[2.0, "4",', "earth.layers: layer 1: entry 2: is '4'; give a number"),
        wrong(LAYERS, "[]", "earth.layers: is empty; give at least 1"),
        wrong(STATIONS, "stations = []\n", "network.stations: is empty; give at least 1"),
        wrong(STATION_A, '"XX.A"', "network.stations: station 1: is 'XX.A'; give a table with code, latitude, "
              "longitude, elevation_m"),
        wrong("[2.2, 4.5]", "[2.2]", "events.magnitude: has 1 number; give 2"),
        wrong("[2.2, 4.5]", "[]", "events.magnitude: is empty; give 2"),
        wrong("[2.2, 4.5]", "3", "events.magnitude: is 3; give a list of 2 numbers"),
        added(
            '[evaluation.robustness]\nsets = ["test", "test"]',
            "evaluation.robustness.sets: names one entry twice; give each once",
        ),
        added(
            '[networks.a]\nnetwork = "slim"\noutputs = [["time"], ["z"]]',
            "networks.a.outputs: entry 2: entry 1: is 'z'; give one of x, y, depth, time, magnitude",
        ),
        # Patterns
        wrong("XX.A", "NOR", "network.stations: 'NOR': give network and station code with a dot between (NET.STA)"),
        wrong(
            'name = "small"',
            'name = "my_network"',
            "name: 'my_network': only small letters, digits and hyphens, beginning with a letter or digit, "
            "at most 61 characters",
        ),
        added(
            '[networks."My Net"]\nnetwork = "slim"',
            "networks: 'My Net': only small letters, digits, - and _, beginning with a letter or digit, "
            "at most 61 characters",
        ),
        # Kinds, choices, limits
        wrong(RATE, 'sampling_rate_hz = "fast"', "records.sampling_rate_hz: is 'fast'; give a number"),
        wrong(RATE, "sampling_rate_hz = true", "records.sampling_rate_hz: is true; give a number"),
        wrong(RATE, "sampling_rate_hz = 2020-01-01", "records.sampling_rate_hz: is 2020-01-01; give a number"),
        wrong(RATE, "sampling_rate_hz = [50.0]", "records.sampling_rate_hz: is a list; give a number"),
        wrong(RATE, "sampling_rate_hz = {a = 5}", "records.sampling_rate_hz: is a table; give a number"),
        wrong(RATE, "sampling_rate_hz = 0", "records.sampling_rate_hz: is 0; give more than 0"),
        wrong("seed = 3", "seed = 0.5", "seed: is 0.5; give a whole number"),
        wrong("seed = 3", "seed = -1", "seed: is -1; give at least 0"),
        wrong("seed = 3", f'seed = "{100 * "x"}"', f"seed: is '{59 * 'x'}...; give a whole number"),
        wrong(RATE, f'{RATE}\ncoda = "no"', "records.coda: is 'no'; give true or false"),
        wrong('name = "small"', "name = 3", "name: is 3; give a text"),
        wrong("models = 3", "models = 65", "earth.models: is 65; give at most 64"),
        wrong("models = 3", "depth_step_km = 7", "earth.depth_step_km: is 7; give at most 5"),
        wrong("off_node = 10", "test_share = 0.9", "events.test_share: is 0.9; give less than 0.9"),
        wrong("latitude = 35.20", "latitude = 95", "network.stations: XX.A: latitude is 95; give at most 90"),
        wrong("longitude = 139.05", "longitude = 181", "network.stations: XX.B: longitude is 181; give at most 180"),
        wrong("elevation_m = 400.0", 'elevation_m = "high"',
              "network.stations: XX.B: elevation_m is 'high'; give a number"),
        wrong("south = 35.19", "south = -91", "region.south: is -91; give at least -90"),
        wrong("east = 139.05", "east = 181.5", "region.east: is 181.5; give at most 180"),
        wrong(
            MECHANISM,
            '"randm"',
            "events.mechanism: is 'randm'; give random or a table with strike_deg, dip_deg, rake_deg",
        ),
        wrong("strike_deg = 10", 'strike_deg = "N"', "events.mechanism.strike_deg: is 'N'; give a number"),
        added(f'{BAND}\ndetrend = "x"', "preprocessing.detrend: is 'x'; give one of constant, linear"),
        added('[recorded]\nfolder = ""', "recorded.folder: is ''; give a text of at least 1 character"),
        wrong("latitude = 35.20", "latitude = nan", "network.stations: XX.A: latitude: nan is no number to work with"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_said_in_plain_words(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert TEXT.count(old) >= 1
    path = tmp_path / "small.toml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(SettingError) as caught:
        read_experiment(path)
    assert str(caught.value) == f"{path}: {said}"
