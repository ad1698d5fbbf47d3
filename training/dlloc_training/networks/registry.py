"""Networks by name, for the files that describe experiments."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seiscomp_dlloc.errors import SettingError

from ..fcn import FCN, IMAGE
from ..slim import SlimFCN, SlimSettings
from .convnetquake import ConvNetQuakeSettings, WaveTrunk
from .image_cnn import ImageCNNSettings, ImageTrunk
from .image_head import FULL_INPUT, FCNSettings, ImageHeadSettings, ImageWithParameters, SlimSizes
from .image_lstm import ImageLSTMSettings, SequenceTrunk
from .outputs import Outputs
from .regression import Branch, Regressor, Trunk
from .settings import HeadSettings, NetworkSettings, from_mapping
from .shapes import InputShape
from .two_stream import TwoStreamSettings, TwoStreamTrunk
from .volume_cnn import VolumeCNNSettings, VolumeTrunk


@dataclass(frozen=True)
class Entry:
    """How a network is built: its settings, what it takes, and its trunk for an input and a window (frames)."""

    settings: type[HeadSettings]
    kinds: tuple[str, ...]
    trunk: Callable[[Any, InputShape, int], Trunk]


def _image_cnn(settings: ImageCNNSettings, shape: InputShape, _: int) -> Trunk:
    return ImageTrunk(shape.layers, shape.shape[1:], settings)


def _convnetquake(settings: ConvNetQuakeSettings, shape: InputShape, window: int) -> Trunk:
    if shape.kind == "stations":
        return WaveTrunk(shape.layers * shape.shape[0] * shape.shape[1], shape.shape[2], False, settings)
    return WaveTrunk(shape.layers * shape.shape[1] * shape.shape[2], window, True, settings)


def _volume_cnn(settings: VolumeCNNSettings, shape: InputShape, window: int) -> Trunk:
    return VolumeTrunk(shape.layers, (window, *shape.shape[1:]), settings)


def _image_lstm(settings: ImageLSTMSettings, shape: InputShape, _: int) -> Trunk:
    return SequenceTrunk(shape.layers, shape.shape[1:], settings)


def _two_stream(settings: TwoStreamSettings, shape: InputShape, window: int) -> Trunk:
    return TwoStreamTrunk(shape.layers, (window, *shape.shape[1:]), settings)


NETWORKS: dict[str, Entry] = {
    "image_cnn": Entry(ImageCNNSettings, ("snapshots",), _image_cnn),
    "convnetquake": Entry(ConvNetQuakeSettings, ("stations", "snapshots"), _convnetquake),
    "volume_cnn": Entry(VolumeCNNSettings, ("snapshots",), _volume_cnn),
    "image_lstm": Entry(ImageLSTMSettings, ("snapshots",), _image_lstm),
    "two_stream": Entry(TwoStreamSettings, ("snapshots",), _two_stream),
}


def entry(name: str) -> Entry:
    """The network of that name; SettingError lists the known ones."""
    if name not in NETWORKS:
        raise SettingError(f"network {name!r} is unknown; known are {', '.join(NETWORKS)}")
    return NETWORKS[name]


def window_of(name: str, settings: HeadSettings, shape: InputShape) -> int:
    """Frames that the network sees at once: 1 for ``image_cnn``, its ``window_frames``, or all."""
    if name == "image_cnn":
        return 1
    frames = shape.shape[0] if shape.kind == "snapshots" else 1
    wanted: int | None = getattr(settings, "window_frames", None)
    if wanted is None:
        return frames
    if shape.kind != "snapshots":
        raise SettingError(f"network {name}: window_frames is for images; leave it out with {shape.kind}")
    if wanted > frames:
        raise SettingError(f"network {name}: window_frames {wanted} is more than the input's {frames} frames")
    return wanted


def build(
    name: str,
    settings: Mapping[str, Any] | HeadSettings,
    input_shape: InputShape,
    outputs: Outputs,
) -> Regressor:
    """A network with fresh weights (seed torch before), one branch for each group of ``outputs``.

    ``settings``: the TOML table, or the settings class of :data:`NETWORKS`. Raises SettingError for an unknown
    network or setting, a value out of range, an input of a kind that the network does not take, or one too small.
    """
    what = entry(name)
    if input_shape.kind not in what.kinds:
        raise SettingError(f"network {name}: takes {' or '.join(what.kinds)}, not {input_shape.kind}")
    if isinstance(settings, Mapping):
        settings = from_mapping(what.settings, settings, f"network {name}")
    elif not isinstance(settings, what.settings):
        raise SettingError(f"network {name}: needs {what.settings.__name__}, not {type(settings).__name__}")
    window = window_of(name, settings, input_shape)
    branches = [
        Branch(what.trunk(settings, input_shape, window), settings, input_shape.extras, len(group), outputs.uncertainty)
        for group in outputs.groups
    ]
    if settings.compression and input_shape.scale != "window":
        raise SettingError(f"network {name}: compression needs motion scaled to each window's largest value")
    return Regressor(branches, input_shape, window, outputs, settings.compression)


IMAGE_NETWORKS: dict[str, type[NetworkSettings]] = {"fcn": FCNSettings, "slim": SlimSizes}
"""Networks that return a location image, of input kind ``stations``."""


def _fcn(settings: FCNSettings, shape: InputShape, image: tuple[int, int, int]) -> FCN:
    if shape.shape != FULL_INPUT or image != IMAGE:
        raise SettingError(
            f"network fcn: is made for input {FULL_INPUT} and image {IMAGE}, not {shape.shape} and {image}; use slim"
        )
    return FCN(settings.width)


def _slim(settings: SlimSizes, shape: InputShape, image: tuple[int, int, int]) -> SlimFCN:
    try:
        return SlimFCN(SlimSettings(shape.shape[1], shape.shape[2], shape.rate_hz, image, **vars(settings)))
    except ValueError as error:
        raise SettingError(f"network slim: {error}") from error


def build_image(
    name: str, settings: Mapping[str, Any], input_shape: InputShape, image: tuple[int, int, int]
) -> FCN | SlimFCN:
    """A network with a location image (nz, ny, nx), ``fcn`` or ``slim``. Raises SettingError as :func:`build` does."""
    if name not in IMAGE_NETWORKS:
        raise SettingError(f"network {name!r} returns no image; those that do are {', '.join(IMAGE_NETWORKS)}")
    if input_shape.kind != "stations":
        raise SettingError(f"network {name}: takes stations, not {input_shape.kind}")
    made = from_mapping(IMAGE_NETWORKS[name], settings, f"network {name}")
    if isinstance(made, FCNSettings):
        return _fcn(made, input_shape, image)
    if isinstance(made, SlimSizes):
        return _slim(made, input_shape, image)
    raise TypeError(f"no builder for {type(made).__name__}")


def with_parameters(
    network: FCN | SlimFCN, settings: Mapping[str, Any], input_shape: InputShape, outputs: Outputs
) -> ImageWithParameters:
    """An image network, trained or fresh, with a head for ``outputs`` beside its image."""
    made = from_mapping(ImageHeadSettings, settings, "image head")
    return ImageWithParameters(network, input_shape, outputs, made)
