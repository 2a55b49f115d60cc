"""What is to be made of the answers, as it is typed."""

import pytest

from playground.annotate.choices import read_min_scores, read_names
from playground.errors import InputRejected


def test_a_name_may_hold_the_sign_that_divides():
    assert read_names(["person wearing helmet=helmet", "a=b=c"]) == (("person wearing helmet", "helmet"), ("a=b", "c"))


@pytest.mark.parametrize("pair", ["helmet", "=helmet", "helmet="])
def test_what_gives_no_name_is_refused(pair):
    with pytest.raises(InputRejected, match="gives no name"):
        read_names([pair])


def test_scores_are_read_or_refused():
    assert read_min_scores("") == ()
    assert read_min_scores("0.3") == (("", 0.3),)
    assert read_min_scores("helmet=0.3, vest=0.5,0.1") == (("helmet", 0.3), ("vest", 0.5), ("", 0.1))
    for text in ("often", "1.5", "helmet=", "nan"):
        with pytest.raises(InputRejected, match="is no lowest score"):
            read_min_scores(text)
