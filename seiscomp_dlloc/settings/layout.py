"""Where things stand in an installed SeisComP, and its names for folders (``@DATADIR@``)."""

import os
from typing import Mapping, Optional

from ..errors import SettingError


class HostLayout:
    """The folders of a SeisComP in ``root``. Nothing is looked at on the disk."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self.etc, self.bin = os.path.join(self.root, "etc"), os.path.join(self.root, "bin")
        self.defaults, self.init = os.path.join(self.etc, "defaults"), os.path.join(self.etc, "init")
        self.descriptions = os.path.join(self.etc, "descriptions")
        self.share = os.path.join(self.root, "share")
        self.lib_python = os.path.join(self.root, "lib", "python")
        self.run, self.log = os.path.join(self.root, "var", "run"), os.path.join(self.root, "var", "log")

    @classmethod
    def from_environment(cls, environment: Optional[Mapping[str, str]] = None) -> Optional["HostLayout"]:
        """The SeisComP of SEISCOMP_ROOT; None where it is not set."""
        root = (os.environ if environment is None else environment).get("SEISCOMP_ROOT", "")
        return cls(root) if root else None


def local_config_folder(environment: Optional[Mapping[str, str]] = None) -> str:
    """The user's own folder of settings: SEISCOMP_LOCAL_CONFIG, else ~/.seiscomp."""
    env = os.environ if environment is None else environment
    return env.get("SEISCOMP_LOCAL_CONFIG") or os.path.join(env.get("HOME") or os.path.expanduser("~"), ".seiscomp")


def runtime_folder(layout: Optional[HostLayout], environment: Optional[Mapping[str, str]] = None) -> str:
    """Where sockets and locks go: var/run of the host, else the user's run directory."""
    if layout is not None:
        return layout.run
    env = os.environ if environment is None else environment
    runtime = env.get("XDG_RUNTIME_DIR")
    # Not below /tmp, where another user could be there first
    return os.path.join(runtime, "dlloc") if runtime else os.path.join(log_folder(None, env), "run")


def log_folder(layout: Optional[HostLayout], environment: Optional[Mapping[str, str]] = None) -> str:
    """Where logs go: var/log of the host, else the user's state folder."""
    if layout is not None:
        return layout.log
    env = os.environ if environment is None else environment
    home = env.get("HOME") or os.path.expanduser("~")
    return os.path.join(env.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state"), "dlloc")


def state_folder(layout: Optional[HostLayout], environment: Optional[Mapping[str, str]] = None) -> str:
    """Where what must outlive a restart goes: var/lib/dlloc of the host, else the user's state folder."""
    if layout is not None:
        return os.path.join(layout.root, "var", "lib", "dlloc")
    return log_folder(None, environment)


def expand(text: str, key: str, layout: Optional[HostLayout], environment: Optional[Mapping[str, str]] = None) -> str:
    """``text`` with the host's names for folders and a leading ``~`` replaced, as Environment::absolutePath does.

    ``@RUNDIR@`` and ``@STATEDIR@`` are ours; without a host they and ``@LOGDIR@`` are the user's folders. Raises
    SettingError naming ``key`` where a name needs a host and there is none.
    """
    ours = {
        "@RUNDIR@": runtime_folder(layout, environment),
        "@LOGDIR@": log_folder(layout, environment),
        "@STATEDIR@": state_folder(layout, environment),
        "@CONFIGDIR@": local_config_folder(environment),
    }
    for name, folder in ours.items():
        text = text.replace(name, folder)
    hosts = {"@ROOTDIR@": "root", "@DATADIR@": "share", "@SYSTEMCONFIGDIR@": "etc", "@DEFAULTCONFIGDIR@": "defaults"}
    for name, attribute in hosts.items():
        if name in text:
            if layout is None:
                raise SettingError(f"{key}: {name} needs SEISCOMP_ROOT, which is not set")
            text = text.replace(name, getattr(layout, attribute))
    return os.path.expanduser(text) if text.startswith("~") else text
