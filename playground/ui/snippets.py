"""A question as a program would put it: Python, curl, and a call of the MCP tool. Pure functions of a question.

The address of the playground, which only the page knows, stands as `ADDRESS`.
"""

import json
import shlex

from playground.question import Question

ADDRESS = "http://ADDRESS"
_FILE_DATA = {"_type": "gradio.FileData"}


def as_python(question: Question, file_name: str) -> str:
    """Return a program for gradio's client; the picture is expected where the program is started."""
    asked = "".join(f"    {name!r}: {value!r},\n" for name, value in _without_defaults(question).items())
    return f"""from gradio_client import Client, handle_file

client = Client("{ADDRESS}")
question = {{
{asked}}}
prediction, annotated = client.predict(handle_file({file_name!r}), question=question, api_name="/run")
print(prediction["text"])
for region in prediction["regions"]:
    print(region["label"], region["score"], region["xyxy"])
"""


def as_curl(question: Question, file_name: str) -> str:
    """Return three commands of a shell: upload, ask, read the stream of events."""
    picture = {"path": "PICTURE", "meta": _FILE_DATA}
    body = json.dumps({"data": [picture, question.task, "", [], "", "greedy", None, _without_defaults(question)]})
    before, after = (shlex.quote(part) for part in body.split("PICTURE"))
    return f"""BASE={ADDRESS}/gradio_api
PICTURE=$(curl -s -F {shlex.quote(f"files=@{_quoted(file_name)}")} $BASE/upload | tr -d '[]"')
EVENT=$(curl -s $BASE/call/run -H 'Content-Type: application/json' -d {before}"$PICTURE"{after} | cut -d'"' -f4)
curl -sN $BASE/call/run/$EVENT
"""


def as_mcp(question: Question, file_name: str) -> str:
    """Return the arguments of the MCP tool, as a request of the protocol."""
    asked = _without_defaults(question)
    options = {name: value for name, value in asked.items() if name not in ("task", "phrase", "regions")}
    arguments = {"image": f"/path/to/{file_name}", **{name: asked[name] for name in asked if name not in options}}
    call = {"name": "ask_florence2", "arguments": arguments | ({"options": options} if options else {})}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    return json.dumps(request, ensure_ascii=False, indent=2)


def _without_defaults(question: Question) -> dict[str, object]:
    default = Question(question.task).to_dict()
    return {name: value for name, value in question.to_dict().items() if name == "task" or value != default.get(name)}


def _quoted(file_name: str) -> str:
    """Return a name as curl's form wants it where it has a comma or a semicolon."""
    return f'"{file_name}"' if {",", ";"} & set(file_name) else file_name
