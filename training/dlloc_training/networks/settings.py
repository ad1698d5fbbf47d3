"""Settings of networks: frozen dataclasses whose fields carry their range, for checks and for the search alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from seiscomp_dlloc.errors import SettingError

S = TypeVar("S", bound="NetworkSettings")


def bounded(
    default: Any,
    low: float,
    high: float,
    *,
    step: int = 1,
    log: bool = False,
    search: tuple[float, float] | None = None,
) -> Any:
    """A number from ``low`` to ``high`` (inclusive). ``step``: whole numbers at low, low + step and so on.

    ``search``: the range that the search draws from, none where the search leaves the field alone; ``log``: evenly in
    the logarithm.
    """
    return field(default=default, metadata={"low": low, "high": high, "step": step, "log": log, "search": search})


def switch(default: bool, search: bool = True) -> Any:
    """A setting that is on or off."""
    return field(default=default, metadata={"search": (False, True) if search else None})


@dataclass(frozen=True)
class NetworkSettings:
    """Checks every field against its range; raises SettingError."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value, rule = getattr(self, item.name), item.metadata
            if "low" in rule and value is not None:
                self._check_number(item.name, value, rule, whole=isinstance(rule["low"], int))
            elif item.type in (bool, "bool") and not isinstance(value, bool):
                raise SettingError(f"network setting {item.name}: {value!r} must be true or false")

    @staticmethod
    def _check_number(name: str, value: Any, rule: Mapping[str, Any], whole: bool) -> None:
        low, high, step = rule["low"], rule["high"], rule["step"]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or (whole and not isinstance(value, int)):
            raise SettingError(f"network setting {name}: {value!r} must be a {'whole ' if whole else ''}number")
        if not low <= value <= high:
            raise SettingError(f"network setting {name}: {value} is outside {low:g} to {high:g}")
        if whole and (value - low) % step:
            allowed = ", ".join(str(v) for v in range(int(low), int(high) + 1, step))
            raise SettingError(f"network setting {name}: {value} must be one of {allowed}")


@dataclass(frozen=True)
class HeadSettings(NetworkSettings):
    """What stands between the features and the parameters.

    ``dense_layers`` fully connected layers of ``nodes`` each, then dropout, then the last layer. ``compression``: of
    the motion that goes in, see :class:`~.regression.Regressor`.
    """

    dense_layers: int = bounded(1, 0, 3, search=(0, 3))
    nodes: int = bounded(128, 1, 4096, log=True, search=(50, 1000))
    dropout: float = bounded(0.5, 0.0, 0.5, search=(0.0, 0.5))
    compression: float = bounded(0.0, 0.0, 1e5)


@dataclass(frozen=True)
class ConvolutionSettings(HeadSettings):
    """The search space of Sugiyama et al. (2021) for convolutions, with its ranges.

    ``convolutions``: number of layers. ``kernel``: side of the filters in pixels; the paper's eq. (1) writes filters
    of 3 x 3 x n and 7 x 7 x n, symmetric about their pixel, so its "filters 3-9" are sides, and odd ones. The number n
    of filters is not given there: ``channels`` in the first layer, doubled with each layer, is ours.
    ``pooling``: max pooling by 2 after each layer, or for each layer whether.
    """

    convolutions: int = bounded(3, 1, 5, search=(1, 5))
    kernel: int = bounded(3, 3, 9, step=2, search=(3, 9))
    channels: int = bounded(16, 1, 256)
    batch_normalisation: bool = switch(True)
    pooling: bool | tuple[bool, ...] = switch(True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.per_layer("pooling")

    def per_layer(self, name: str) -> tuple[bool, ...]:
        """A setting that is true or false for all convolution layers, or a list with one for each.

        Raises SettingError where it is neither.
        """
        flags: Any = getattr(self, name)
        if isinstance(flags, bool):
            return (flags,) * self.convolutions
        if isinstance(flags, tuple) and len(flags) == self.convolutions and all(isinstance(f, bool) for f in flags):
            return flags
        raise SettingError(
            f"network setting {name}: {flags!r} must be true or false, or a list of these, one for each of the "
            f"{self.convolutions} convolution layers"
        )

    @property
    def poolings(self) -> tuple[bool, ...]:
        """For each layer whether pooling follows it."""
        return self.per_layer("pooling")

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of filters of each layer."""
        return tuple(self.channels * 2**k for k in range(self.convolutions))


def from_mapping(cls: type[S], given: Mapping[str, Any], where: str = "network") -> S:
    """Settings from a TOML table. Raises SettingError for unknown keys and values that cannot be."""
    known = [item.name for item in fields(cls)]
    for key in given:
        if key not in known:
            raise SettingError(f"{where}: setting {key!r} is unknown; known are {', '.join(known)}")
    try:
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()})
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from error


def check_poolings(pixels: tuple[int, int], poolings: tuple[bool, ...]) -> None:
    """Raise SettingError where an image of ``pixels`` (rows, columns) cannot be halved so often."""
    most = min(pixels).bit_length() - 1
    if sum(poolings) > most:
        raise SettingError(
            f"network setting pooling: an image of {pixels[0]} x {pixels[1]} pixels is too small for "
            f"{sum(poolings)} poolings; at most {most}: set fewer in pooling, or fewer convolutions"
        )
