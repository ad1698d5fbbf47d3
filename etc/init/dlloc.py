"""How `seiscomp` starts, stops and checks the module dlloc.

The worker is no module of its own: the module, and scolv's locator, start it where it does not run.
"""

import fcntl
import os
import signal

import seiscomp.kernel


class Module(seiscomp.kernel.Module):
    """The module, as the host's own ones are handled; the worker is ended with it."""

    def __init__(self, env):
        seiscomp.kernel.Module.__init__(self, env, env.moduleName(__file__))

    def updateConfigProxy(self):  # noqa: N802 - the host's name
        """Bindings go into the database with those of the other modules."""
        return "trunk"

    def updateConfig(self):  # noqa: N802 - the host's name
        """Settings are read from files."""
        return 0

    def supportsAliases(self):  # noqa: N802 - the host's name
        """One journal, one socket: one module."""
        return False

    def _run(self):
        """Start it, and show why where it does not start: the host sends all that it says into a file."""
        status = seiscomp.kernel.Module._run(self)
        if status:
            for line in last_lines(self.env.logFile(self.name)):
                self.env.log(line)
        return status

    def stop(self):
        """End the module, then its worker, which finishes what it has at hand."""
        stopped = seiscomp.kernel.Module.stop(self)
        end_worker(self._worker_lock())
        return stopped

    def _worker_lock(self):
        """The worker's lock file, where worker.socket has it; the usual place where the settings cannot be read."""
        try:
            from seiscomp_dlloc.settings.values import Settings

            return Settings.load().worker.socket + ".lock"
        except Exception:
            return os.path.join(self.env.SEISCOMP_ROOT, "var", "run", "dlloc.sock.lock")


def last_lines(path, most=5):
    """The last lines of a file, none where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return [line.rstrip() for line in handle.readlines()[-most:]]
    except OSError:
        return []


def end_worker(lock):
    """Send SIGTERM to the worker that holds `lock`; its number in a lock that nobody holds may be another's by now."""
    try:
        with open(lock, "r+", encoding="ascii") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.kill(int(handle.read()), signal.SIGTERM)
    except (OSError, ValueError):
        pass
