"""The programs that are put into the host's bin: shell scripts that know their root and the worker's interpreter."""

from shlex import quote

COMMANDS = (
    "locate", "scan", "corrections", "demo", "model", "compare", "replay", "worker", "install", "uninstall", "doctor",
    "picture",
)  # fmt: skip
"""Commands of ``dlloc`` that run in the worker's environment; with anything else ``bin/dlloc`` is the module."""

ENTRY = """\
# Written by 'dlloc install'. A file and not -m or -c: those look for modules where the process stands.
import sys

from seiscomp_dlloc.seiscomp_app.{module} import main

sys.argv[0] = {name!r}
sys.exit(main(sys.argv))
"""
"""What the host's interpreter runs."""

_HEAD = """\
#!/bin/sh
# Written by 'dlloc install'. {about}
SEISCOMP_ROOT={root}
export SEISCOMP_ROOT
"""

_HOST = """\
PATH="$SEISCOMP_ROOT/bin${PATH:+:$PATH}"
LD_LIBRARY_PATH="$SEISCOMP_ROOT/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
PYTHONPATH="$SEISCOMP_ROOT/lib/python${PYTHONPATH:+:$PYTHONPATH}"
export PATH LD_LIBRARY_PATH PYTHONPATH
"""

_FOUND = """\
if [ ! -x {python} ]; then
    echo {python}": is not there; run 'dlloc install' again, from an environment that has the package" >&2
    exit 2
fi
"""

# No PYTHONPATH (it leads to the host's packages), no packages of the user's, no modules from where the process stands
_ALONE = "-EsP"


def module_wrapper(root: str, python: str) -> str:
    """``bin/dlloc``: the module under the host's interpreter, the other commands under the worker's."""
    return (
        _head(root, "The module under the host's interpreter, other commands in the worker's environment.")
        + f'case "${{1-}}" in\n{"|".join(COMMANDS)})\n{_FOUND.format(python=quote(python))}'
        + f'exec {quote(python)} {_ALONE} -m seiscomp_dlloc "$@" ;;\nesac\n'
        + _HOST
        + 'exec "$SEISCOMP_ROOT/bin/seiscomp-python" "$SEISCOMP_ROOT/share/dlloc/module.py" "$@"\n'
    )


def recordstream_wrapper(root: str) -> str:
    """``bin/dlloc-recordstream``: the helper that reads the host's RecordStream for the worker."""
    return (
        _head(root, "Reads the host's RecordStream and inventory for the worker.")
        + _HOST
        + 'exec "$SEISCOMP_ROOT/bin/seiscomp-python" "$SEISCOMP_ROOT/share/dlloc/recordstream.py" "$@"\n'
    )


def locator_wrapper(root: str, python: str) -> str:
    """``bin/dlloc-locext``: what the host's External locator runs."""
    return (
        _head(root, "The script of the External locator.")
        + _FOUND.format(python=quote(python))
        + f'exec {quote(python)} {_ALONE} -m seiscomp_dlloc.locext "$@"\n'
    )


def picture_wrapper(root: str, python: str) -> str:
    """``bin/dlloc-show-origin ORIGIN [EVENT]``: what scolv's button runs."""
    return (
        _head(root, "Opens the picture of an origin; scolv calls it with the origin's publicID.")
        + f'exec {quote(python)} {_ALONE} -m seiscomp_dlloc picture --open "$1"\n'
    )


def _head(root: str, about: str) -> str:
    return _HEAD.format(about=about, root=quote(root))
