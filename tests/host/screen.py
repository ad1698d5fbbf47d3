"""A virtual screen for the host's graphical programs: Xvfb, a small window manager, screenshots."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

NEEDED = ("Xvfb", "openbox", "xdotool", "import")


class Screen:
    """An Xvfb of its own; ``with Screen() as screen``. Skips where Xvfb, openbox, xdotool or ImageMagick are absent."""

    def __init__(self, width: int = 1500, height: int = 1000):
        absent = [name for name in NEEDED if shutil.which(name) is None]
        if absent:
            pytest.skip(f"needs {', '.join(absent)} for a virtual screen")
        self.size, self.display = (width, height), ""
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Screen":
        reading, writing = os.pipe()
        width, height = self.size
        # -displayfd: the server chooses a free number and says it once it accepts clients
        server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"],
            pass_fds=(writing,),
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading) as answer:
            self.display = f":{int(answer.readline())}"
        self._processes = [server]
        self._processes.append(
            subprocess.Popen(["openbox"], env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait(20)

    @property
    def environment(self) -> dict[str, str]:
        """The present one, on this screen."""
        return {**os.environ, "DISPLAY": self.display, "QT_QPA_PLATFORM": "xcb"}

    def do(self, *command: str) -> str:
        """Run xdotool."""
        done = subprocess.run(["xdotool", *command], env=self.environment, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def windows(self, name: str) -> list[str]:
        """Identifiers of visible windows whose title matches ``name``."""
        return self.do("search", "--onlyvisible", "--name", name).split()

    def wait_for(self, name: str, seconds: float = 60.0) -> str:
        """The first window of that title; AssertionError after ``seconds``."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.windows(name)
            if found:
                return found[0]
            time.sleep(0.25)
        raise AssertionError(f"no window '{name}' after {seconds:g} s")

    def click(self, x: int, y: int, button: int = 1, repeat: int = 1) -> None:
        """Click at a point of the screen."""
        self.do("mousemove", str(x), str(y), "click", "--repeat", str(repeat), "--delay", "120", str(button))

    def save(self, path: Path) -> Path:
        """A screenshot as PNG."""
        subprocess.run(["import", "-window", "root", str(path)], env=self.environment, check=True, timeout=60)
        return path
