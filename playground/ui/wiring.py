"""Events of a page, wired by name: a handler's parameters name what it reads, its result names what it writes.

A handler is called with the value of each component that one of its parameters is called after, and returns
`{name: value}`; what it does not name stays as it is. A parameter that is called after no component, but is of a
dataclass, gets one made of the components that its fields are called after. Knows no page.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn

import gradio as gr

Updates = dict[str, Any]  # what a handler writes: a value, or `gr.update(...)`, by the name of the component
Problems = dict[str, str]  # what a check refuses: a sentence by the name of the component


class Wiring:
    """The components of a page by their names, and the events between them."""

    def __init__(self, components: Mapping[str, Any]) -> None:
        self._components = dict(components)

    def on(
        self,
        triggers: Any,
        handler: Callable[..., Any],
        *,
        writes: Sequence[str] = (),
        check: Callable[..., Problems] | None = None,
        refuses_at: Sequence[str] = (),
        **options: Any,
    ) -> Any:
        """Call a handler on one event or several, and return Gradio's dependency.

        `check` reads by name as the handler does, and keeps it from being called where it returns a problem: of a
        component that either of them reads, or of `refuses_at`. `options` are those of a Gradio event. Of a field that
        is changed again before the handler has ended, what it holds last is heard.
        """
        checks = [check] if check else []
        reads = list(dict.fromkeys([*(name for one in (handler, *checks) for name in self._reads(one)), *refuses_at]))
        if check:
            options["validator"] = _verdicts(check, reads)
        if all(getattr(event, "event_name", "") in ("input", "change") for event in _several(triggers)):
            options.setdefault("trigger_mode", "always_last")
        listen = functools.partial(gr.on, triggers) if isinstance(triggers, list) else triggers
        return listen(
            fn=_returning(handler, reads, writes),
            inputs_kwargs={name: self._find(name) for name in reads},
            outputs=[self._find(name) for name in writes],
            **options,
        )

    def _reads(self, function: Callable[..., Any]) -> list[str]:
        """Return the names of the components that a function reads, in the order of its parameters."""
        names: list[str] = []
        for name, parameter in inspect.signature(function).parameters.items():
            if name not in self._components and is_dataclass(parameter.annotation):
                names += [field.name for field in fields(parameter.annotation)]
            elif parameter.annotation is not gr.Request:
                names.append(name)
        for name in names:
            self._find(name)
        return names

    def _find(self, name: str) -> Any:
        if name not in self._components:
            raise ValueError(f"{name!r} is no component of this page. Components: {', '.join(self._components)}.")
        return self._components[name]


def _several(triggers: Any) -> list[Any]:
    return triggers if isinstance(triggers, list) else [triggers]


def arguments_of(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that a handler or a check takes of these values, which are those of components by name."""
    arguments = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in values:
            arguments[name] = _given(values[name], parameter.annotation)
        else:
            parts = {field.name: _given(values[field.name], field.type) for field in fields(parameter.annotation)}
            arguments[name] = parameter.annotation(**parts)
    return arguments


def _given(value: Any, kind: Any) -> Any:
    """Return a value; a field of text that the page has not shown yet holds none, as if nothing were in it."""
    return "" if value is None and kind is str else value


def _takes(function: Callable[..., Any], reads: Sequence[str]) -> inspect.Signature:
    """Return what Gradio is to give: the values that are read, and what it fills in by itself."""
    of_gradio = [row for row in inspect.signature(function).parameters.values() if row.annotation is gr.Request]
    return inspect.Signature([*(inspect.Parameter(name, _BY_PLACE_OR_NAME) for name in reads), *of_gradio])


_BY_PLACE_OR_NAME = inspect.Parameter.POSITIONAL_OR_KEYWORD


def _verdicts(check: Callable[..., Problems], reads: Sequence[str]) -> Callable[..., Any]:
    """Return the check with its problems in the form and the order in which Gradio wants them."""
    signature = _takes(check, reads)

    @functools.wraps(check)
    def verdicts(*arguments: Any, **values: Any) -> Any:
        given = signature.bind(*arguments, **values).arguments
        problems = check(**arguments_of(check, given))
        if strays := problems.keys() - set(reads):  # Gradio would let pass what is refused at no field
            raise ValueError(f"{check.__name__} refuses {', '.join(strays)}, which its event does not read.")
        row = [gr.validate(name not in problems, problems.get(name, "")) for name in reads]
        return row[0] if len(row) == 1 else row

    return _showing(signature, verdicts)


def _returning(handler: Callable[..., Any], reads: Sequence[str], writes: Sequence[str]) -> Callable[..., Any]:
    """Return the handler with its updates in the order in which Gradio wants them."""
    signature = _takes(handler, reads)

    def call(*arguments: Any, **values: Any) -> Any:
        given = signature.bind(*arguments, **values).arguments
        return handler(**arguments_of(handler, given))

    def row(updates: Updates | None) -> Any:
        updates = updates or {}
        if not updates.keys() <= set(writes):
            _refuse(handler, updates, writes)
        values = [updates.get(name, gr.skip()) for name in writes]
        return values[0] if len(values) == 1 else values or None

    @functools.wraps(handler)
    def stream(*arguments: Any, **values: Any) -> Iterator[Any]:
        updates, is_silent = call(*arguments, **values), True
        try:
            for written in updates:
                is_silent = False
                yield row(written)
            if is_silent:
                yield row({})  # Gradio empties all that a generator could write which says nothing
        finally:
            updates.close()

    @functools.wraps(handler)
    def once(*arguments: Any, **values: Any) -> Any:
        return row(call(*arguments, **values))

    return _showing(signature, stream if inspect.isgeneratorfunction(handler) else once)


def _showing(signature: inspect.Signature, function: Any) -> Callable[..., Any]:
    """Return a function that Gradio, which asks `inspect.signature`, takes to have this signature."""
    function.__signature__ = signature
    shown: Callable[..., Any] = function
    return shown


def _refuse(handler: Callable[..., Any], updates: Updates, writes: Sequence[str]) -> NoReturn:
    strays = ", ".join(updates.keys() - set(writes))
    raise ValueError(f"{handler.__name__} writes {strays}, but its event is wired to write {', '.join(writes)}.")
