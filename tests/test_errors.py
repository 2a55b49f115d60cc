"""The errors as programs meet them, in this process or in another one."""

import pickle

import pytest

from playground import errors
from playground.errors import CheckpointUnavailable, InputRejected, PlaygroundError

ERRORS = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, PlaygroundError)]
TOLD = {InputRejected: {"field": "phrase"}, CheckpointUnavailable: {"details": "It is offline."}}


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_comes_out_of_another_process_as_it_was_raised(kind: type[PlaygroundError]) -> None:
    told = TOLD.get(kind, {})
    received = pickle.loads(pickle.dumps(kind("It cannot be used.", **told)))
    assert (type(received), str(received), vars(received)) == (kind, "It cannot be used.", told)
