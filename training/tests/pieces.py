"""Pieces of work for tests of workers: light, for every worker imports this module."""

import os
import time
from pathlib import Path

from seiscomp_dlloc.errors import SettingError


def double(number: int) -> int:
    return 2 * number


def die_once(work: tuple[int, str]) -> int:
    """Ends its process at piece 3, the first time that it is given out."""
    number, mark = work
    if number == 3 and not Path(mark).exists():
        Path(mark).touch()
        os._exit(9)
    return number


def die_always(number: int) -> int:
    if number == 3:
        os._exit(9)
    return number


def refuse(number: int) -> int:
    raise SettingError(f"piece {number} cannot be")


def name_process(_: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def hunger(number: int) -> int:
    raise MemoryError(number)
