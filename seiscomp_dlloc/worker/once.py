"""One job without a worker: the request's frame on stdin, the answer's on stdout.

    python -m seiscomp_dlloc.worker.once [--config FILE] < request > answer

For the external locator where no worker runs and none can be started. Costs the import and the loading of the model.
"""

import argparse
import os
import sys
import warnings

from ..errors import DllocError, ProtocolError
from .answers import empty_answer
from .protocol import Decoder, Message, encode
from .running import Running


def answer(frame: bytes, config_file: str | None = None) -> Message:
    """The answer to the one request in ``frame``. Raises ProtocolError where it is none."""
    decoder = Decoder()
    messages = decoder.feed(frame)
    decoder.finish()
    if len(messages) != 1 or messages[0][0]["kind"] != "locate":
        raise ProtocolError("not one request to locate")
    header, blobs = messages[0]
    identifier = str(header.get("id", ""))
    try:
        from .settings import load_config
        from .stock import Stock
        from .work import Workshop

        config = load_config(config_file, {}, {})
        job = Running(
            {**header, "id": identifier, "left_s": float(header.get("deadline_s", config.deadline_s))},
            blobs,
            lambda identifier, state: None,
        )
        found = Workshop(config, Stock(config)).answer(job)
    except DllocError as error:
        return empty_answer(identifier, "failed", "settings", str(error)), {}
    return found or (empty_answer(identifier, "failed", "deadline", "its deadline passed"), {})


def main() -> None:
    """Answer stdin on stdout; whatever else is printed goes to stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", metavar="FILE")
    arguments = parser.parse_args()
    out = os.dup(1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    message = answer(sys.stdin.buffer.read(), arguments.config)
    with os.fdopen(out, "wb") as stream:
        stream.write(encode(*message))
    # Threads of a source that still waits must not keep the answer's reader waiting
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
