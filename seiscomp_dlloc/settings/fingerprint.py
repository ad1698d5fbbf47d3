"""What of the settings is the worker's, as one short text: tells whether a worker runs with what the files say now."""

import hashlib
import json

from .values import Settings


def fingerprint(settings: Settings) -> str:
    """16 hexadecimal digits, the same for all programs that read the same files.

    The socket is left out: it is where the worker was found. So are regions and thresholds of triggers, which the
    module applies.
    """
    worker = settings.worker._asdict()
    for name in ("socket", "autostart"):
        del worker[name]
    profiles = [profile._replace(region=None) for profile in settings.profiles.values()]
    bundle = [settings.bundle.folder, settings.bundle.maximum]
    # Named tuples become lists
    parts = [profiles, sorted(worker.items()), settings.ring, bundle, settings.host]
    text = json.dumps(parts, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]
