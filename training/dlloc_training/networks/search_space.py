"""Draws of network settings for a search; the ranges are those of the settings classes themselves.

Optuna is not imported: a trial is whatever draws as its ``Trial`` does.
"""

from dataclasses import fields
from typing import Any, Protocol, TypeVar

from .settings import ConvolutionSettings, HeadSettings, from_mapping

H = TypeVar("H", bound=HeadSettings)


class Trial(Protocol):
    """What is asked of :class:`optuna.Trial`."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """A whole number from ``low`` to ``high``."""

    def suggest_float(self, name: str, low: float, high: float) -> float:
        """A number from ``low`` to ``high``."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of the choices."""


def suggest(trial: Trial, settings: type[H], pixels: tuple[int, int] | None = None, **fixed: Any) -> H:
    """Settings drawn by an Optuna trial.

    For networks with convolutions that is the space of Sugiyama et al. (2021): 1 to 5 convolution layers, filters of
    3 to 9 pixels, 0 to 3 dense layers of 50 to 1000 nodes, dropout 0 to 50 %, batch normalisation or not, pooling or
    not after each layer. ``fixed`` settings are not drawn. ``pixels`` (rows, columns): no more poolings than such an
    image allows, in the order of the layers. Parameters of the trial bear the settings' names; ``nodes`` is drawn
    where there are dense layers, ``pooling_1`` and so on for the layers that there are.

    Raises SettingError for fixed settings that are unknown or out of range.
    """
    drawn: dict[str, Any] = {}
    for item in fields(settings):
        search = item.metadata.get("search")
        if search is None or item.name in fixed or item.name in ("pooling", "nodes"):
            continue
        if search == (False, True):
            drawn[item.name] = trial.suggest_categorical(item.name, search)
        elif isinstance(search[0], float):
            drawn[item.name] = trial.suggest_float(item.name, *search)
        else:
            low, high = search
            step, log = item.metadata["step"], item.metadata["log"]
            drawn[item.name] = trial.suggest_int(item.name, low, high, step=step, log=log)
    rules = {item.name: item.metadata for item in fields(settings)}
    if "nodes" not in fixed and {**drawn, **fixed}["dense_layers"] > 0:
        drawn["nodes"] = trial.suggest_int("nodes", *rules["nodes"]["search"], log=True)
    if issubclass(settings, ConvolutionSettings) and "pooling" not in fixed:
        left = min(pixels).bit_length() - 1 if pixels else 99
        flags = []
        for layer in range({**drawn, **fixed}["convolutions"]):
            flags.append(left > 0 and bool(trial.suggest_categorical(f"pooling_{layer + 1}", (False, True))))
            left -= flags[-1]
        drawn["pooling"] = tuple(flags)
    return from_mapping(settings, {**drawn, **fixed})
