"""Events wired by name, on a small page that is asked over HTTP: what a handler gets, and where its values go."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gradio as gr
import pytest
from gradio_client import Client
from gradio_client.exceptions import ValidationError

from playground.ui.wiring import Problems, Updates, Wiring
from tests.ui.browser.small_page import serving


def name_them(second: str, first: str, request: gr.Request) -> Updates:
    """Parameters in another order than the components, and one that Gradio fills in."""
    return {"answer": f"{first} before {second}", "count": 2 if request.session_hash else 0}


def name_one(first: str) -> Updates:
    return {"count": len(first)}


def count_up(first: str) -> Iterator[Updates]:
    for number in range(len(first)):
        yield {"count": number}
    yield {"answer": "done"}


def keep_short(first: str) -> Problems:
    return {"first": f"{first!r} is too long."} if len(first) > 3 else {}


@dataclass(frozen=True, slots=True)
class Both:
    second: str
    first: str


def name_both(count: float, texts: Both) -> Updates:
    """A parameter of a dataclass, made of the components that its fields are called after."""
    return {"answer": f"{texts.first} before {texts.second}", "count": count + 1}


def keep_known(second: str) -> Problems:
    """Reads what its handler does not, and refuses at what neither of them reads."""
    return {} if second == "B" else {"answer": f"{second!r} is not known."}


def keep_apart(second: str, first: str) -> Problems:
    return {"second": "They are the same."} if first == second else {}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with gr.Blocks(analytics_enabled=False, delete_cache=None) as page:
        components = {
            "first": gr.Textbox("A"),
            "second": gr.Textbox("B"),
            "answer": gr.Textbox("nothing yet"),
            "count": gr.Number(7),
        }
        wiring, button = Wiring(components), gr.Button()
        writes = ("count", "answer")
        wiring.on(button.click, name_them, writes=writes, check=keep_apart, api_name="name_them")
        wiring.on([button.click, components["first"].submit], name_one, writes=writes, api_name="name_one")
        wiring.on(button.click, count_up, writes=writes, check=keep_short, api_name="count_up")
        wiring.on(button.click, lambda first: None, api_name="nothing")
        wiring.on(button.click, name_both, writes=writes, api_name="name_both")
        checked = {"check": keep_known, "refuses_at": ("answer",)}
        wiring.on(button.click, name_one, writes=writes, api_name="name_known", **checked)
    with serving(page) as address:
        yield Client(address, verbose=False, analytics_enabled=False)


def test_a_handler_reads_what_its_parameters_are_called_after(client: Client) -> None:
    assert client.predict(first="sun", second="rain", api_name="/name_them") == (2, "sun before rain")


def test_a_parameter_of_a_dataclass_is_made_of_components(client: Client) -> None:
    assert client.predict(first="sun", second="rain", count=7, api_name="/name_both") == (8, "sun before rain")


@pytest.mark.parametrize(("second", "said"), [(None, "sun before "), ("rain", "sun before rain")])
def test_a_text_that_the_page_has_not_shown_yet_is_empty(client: Client, second: str | None, said: str) -> None:
    for name in ("name_them", "name_both"):
        given = {"first": "sun", "second": second} | ({"count": 1} if name == "name_both" else {})
        assert client.predict(**given, api_name=f"/{name}")[1] == said


def test_a_check_reads_for_itself_and_refuses_where_it_is_to_be_shown(client: Client) -> None:
    assert client.predict(first="sun", second="B", api_name="/name_known")[0] == 3
    with pytest.raises(ValidationError, match="answer: 'C' is not known"):
        client.predict(first="sun", second="C", api_name="/name_known")


def test_what_a_handler_does_not_name_stays_as_it_is(client: Client) -> None:
    count, answer = client.predict(first="four", api_name="/name_one")
    assert count == 4
    assert answer == gr.skip()


def test_a_generator_writes_one_after_the_other(client: Client) -> None:
    written = list(client.submit(first="abc", api_name="/count_up"))
    assert [count for count, _ in written[:3]] == [0, 1, 2]
    assert written[-1][1] == "done"


@pytest.mark.parametrize(
    ("handler", "reads", "sentence"),
    [
        pytest.param("count_up", {"first": "abcd"}, "first: 'abcd' is too long.", id="of one component"),
        pytest.param("name_them", {"first": "a", "second": "a"}, "second: They are the same.", id="of two"),
    ],
)
def test_what_a_check_refuses_is_said_at_its_component(
    client: Client, handler: str, reads: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        client.predict(**reads, api_name=f"/{handler}")


def test_a_handler_that_writes_nothing_may_return_nothing(client: Client) -> None:
    client.predict(first="", api_name="/nothing")


def test_of_a_field_that_is_changed_while_it_is_handled_the_last_value_is_heard() -> None:
    with gr.Blocks(analytics_enabled=False) as app:
        text, button = gr.Textbox(), gr.Button()
        wiring = Wiring({"text": text})
        for events in (text.input, [text.change], [text.input, button.click], button.click):
            wiring.on(events, lambda text: {})
        wiring.on(text.input, lambda text: {}, trigger_mode="multiple")
    assert [one.trigger_mode for one in app.fns.values()] == ["always_last", "always_last", "once", "once", "multiple"]


# What is wired wrong


@pytest.fixture
def wire() -> Callable[..., Callable[..., Any]]:
    """Wire a handler on a page of one text; returns what Gradio would call."""

    def on(handler: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        with gr.Blocks(analytics_enabled=False):
            text = gr.Textbox()
            wired: Callable[..., Any] = Wiring({"text": text}).on(text.change, handler, **options).fn
        return wired

    return on


def test_a_parameter_that_is_no_component_is_refused_when_the_page_is_built(wire) -> None:
    with pytest.raises(ValueError, match=r"^'txt' is no component of this page\. Components: text\.$"):
        wire(lambda txt: {})


def test_a_write_to_no_component_is_refused_when_the_page_is_built(wire) -> None:
    with pytest.raises(ValueError, match=r"^'txt' is no component of this page\. Components: text\.$"):
        wire(lambda text: {}, writes=("txt",))


def test_a_handler_that_writes_what_its_event_does_not_declare_is_refused(wire) -> None:
    def stray(text: str) -> Updates:
        return {"text": text, "nowhere": 1}

    with pytest.raises(ValueError, match=r"^stray writes nowhere, but its event is wired to write text\.$"):
        wire(stray, writes=("text",))(text="a")


def test_a_check_that_refuses_what_is_not_read_is_refused(wire) -> None:
    checked = {}

    def take(**options: Any) -> Any:
        checked.update(options)

    def stray(text: str) -> Problems:
        return {"nowhere": "It is wrong."}

    Wiring({"text": object()}).on(take, lambda text: {}, check=stray)
    with pytest.raises(ValueError, match=r"^stray refuses nowhere, which its event does not read\.$"):
        checked["validator"](text="a")


def test_a_page_that_is_closed_closes_the_handlers_generator(wire) -> None:
    is_closed = []

    def count(text: str) -> Iterator[Updates]:
        try:
            yield {"text": text}
            yield {"text": text}
        finally:
            is_closed.append(True)

    with closing(wire(count, writes=("text",))(text="a")) as running:
        assert next(running) == "a"
        assert is_closed == []
    assert is_closed == [True]


def test_a_generator_that_says_nothing_changes_nothing(wire) -> None:
    def silent(text: str) -> Iterator[Updates]:
        yield from ()

    assert list(wire(silent, writes=("text",))(text="a")) == [gr.skip()]
