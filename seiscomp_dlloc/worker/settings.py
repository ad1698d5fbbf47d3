"""The worker's settings: the operator's, options of the command line over them."""

import os
from dataclasses import replace
from typing import Any

from ..settings.fingerprint import fingerprint
from ..settings.values import Profile, Settings
from .config import ProfileConfig, WorkerConfig


def load_config(file: str | None, given: dict[str, Any], profile: dict[str, Any]) -> WorkerConfig:
    """Settings of ``file`` (None: the host's, else the defaults), ``given`` and the first ``profile``'s over them.

    Raises SettingError naming the setting and the file.
    """
    config = replace(
        from_settings(Settings.load(file)),
        config_file=os.path.abspath(file) if file else "",
        # Another socket is another place, not another kind of worker
        options=bool(profile) or any(key != "socket" for key in given),
        **given,
    )
    if profile:
        first, *others = config.profiles
        config = replace(config, profiles=(replace(first, **profile), *others))
    return config


def from_settings(settings: Settings) -> WorkerConfig:
    """What of the settings is the worker's."""
    worker = settings.worker
    return WorkerConfig(
        socket=worker.socket,
        log_file=worker.log_file,
        jobs=worker.jobs,
        queue=worker.queue,
        threads=worker.threads,
        provider=worker.provider,
        require_gpu=worker.require_gpu,
        deadline_s=worker.deadline_s,
        recordstream=worker.recordstream_command,
        ring_s=settings.ring.length_s if settings.ring.enable else 0.0,
        bundles=settings.bundle.folder,
        most_bundles=settings.bundle.maximum,
        profiles=tuple(map(_profile, settings.profiles.values())),
        settings=fingerprint(settings),
    )


def _profile(profile: Profile) -> ProfileConfig:
    return ProfileConfig(
        profile.name,
        profile.model,
        profile.waveforms,
        profile.inventory,
        profile.max_distance_km,
        profile.min_peak,
        profile.min_stations,
        profile.earth_model,
        profile.corrections,
    )
