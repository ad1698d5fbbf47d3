"""From an answer of the worker to the document of the origin that is sent."""

from typing import Any, Dict, Optional, Tuple

from seiscomp import datamodel

from .apart import distance
from .chain import Chain, Send
from .crowd import Seen
from .objects import Labels, adapt, only_origin, solution_comments, to_xml
from .plan import OutputPlan

Apart = Optional[Tuple[float, Optional[float]]]


class UnusableAnswerError(Exception):
    """The worker's answer has no origin that the host could read."""


def compose(
    chain: Chain,
    action: Send,
    seen: Seen,
    public_id: str,
    answer: Dict[str, Any],
    blobs: Dict[str, bytes],
    output: OutputPlan,
) -> Tuple[bytes, Apart]:
    """(SCML of our origin, its distance to the conventional one in km and in sigma).

    Raises UnusableAnswerError saying why.
    """
    apart = distance(answer.get("solution"), seen.facts)
    comments = solution_comments(answer, chain.profile, action.revision, action.final, apart)
    labels = Labels(
        output.agency, output.author, output.method, chain.profile if output.profile_as_model else "", output.status
    )
    try:
        origin = adapt(
            only_origin(blobs["scml"]),
            public_id,
            labels,
            comments,
            seen.picks,
            output.arrivals,
            output.magnitudes,
            output.comments,
        )
        parameters = datamodel.EventParameters()
        parameters.add(origin)
        return to_xml(parameters), apart
    except KeyError as error:
        raise UnusableAnswerError("the answer came without its document") from error
    except (ValueError, RuntimeError) as error:
        raise UnusableAnswerError(str(error)) from error
