"""Events of a page, wired by name: a handler's parameters name what it reads, its result names what it writes.

A handler is called with the value of each component that one of its parameters is called after, and returns
`{name: value}`; what it does not name stays as it is. Knows no page.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
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
        **options: Any,
    ) -> Any:
        """Call a handler on one event or several, and return Gradio's dependency.

        `check` takes what the handler takes, and keeps it from being called where it returns a problem. `options` are
        those of a Gradio event.
        """
        reads = self._reads(handler)
        if check:
            options["validator"] = self._checked(check, reads)
        listen = functools.partial(gr.on, triggers) if isinstance(triggers, list) else triggers
        return listen(
            fn=_returning(handler, writes),
            inputs_kwargs={name: self._components[name] for name in reads},
            outputs=[self._find(name) for name in writes],
            **options,
        )

    def _reads(self, handler: Callable[..., Any]) -> list[str]:
        """Return the parameters that are no special ones of Gradio, which have a type of its own."""
        parameters = inspect.signature(handler).parameters.values()
        names = [parameter.name for parameter in parameters if parameter.annotation is not gr.Request]
        return [name for name in names if self._find(name) is not None]

    def _find(self, name: str) -> Any:
        if name not in self._components:
            raise ValueError(f"{name!r} is no component of this page. Components: {', '.join(self._components)}.")
        return self._components[name]

    def _checked(self, check: Callable[..., Problems], reads: Sequence[str]) -> Callable[..., Any]:
        @functools.wraps(check)
        def verdicts(*arguments: Any, **values: Any) -> Any:
            problems = check(*arguments, **values)
            if strays := problems.keys() - set(reads):  # Gradio would let pass what is refused at no field
                raise ValueError(f"{check.__name__} refuses {', '.join(strays)}, which its event does not read.")
            row = [gr.validate(name not in problems, problems.get(name, "")) for name in reads]
            return row[0] if len(row) == 1 else row

        return verdicts


def _returning(handler: Callable[..., Any], writes: Sequence[str]) -> Callable[..., Any]:
    """Return the handler with its updates in the order in which Gradio wants them."""

    def values(updates: Updates | None) -> Any:
        updates = updates or {}
        if not updates.keys() <= set(writes):
            _refuse(handler, updates, writes)
        row = [updates.get(name, gr.skip()) for name in writes]
        return row[0] if len(row) == 1 else row or None

    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def stream(*arguments: Any, **inputs: Any) -> Iterator[Any]:
            updates = handler(*arguments, **inputs)
            try:
                for some in updates:
                    yield values(some)
            finally:
                updates.close()

        return stream

    @functools.wraps(handler)
    def once(*arguments: Any, **inputs: Any) -> Any:
        return values(handler(*arguments, **inputs))

    return once


def _refuse(handler: Callable[..., Any], updates: Updates, writes: Sequence[str]) -> NoReturn:
    strays = ", ".join(updates.keys() - set(writes))
    raise ValueError(f"{handler.__name__} writes {strays}, but its event is wired to write {', '.join(writes)}.")
