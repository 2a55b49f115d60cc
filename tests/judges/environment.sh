#!/usr/bin/env bash
# Make or renew the environment of the readers that judge exports, `.venv-judges`: 450 MB, about a minute, once.
set -euo pipefail
cd "$(dirname "$0")/../.."

wanted="tests/judges/requirements.txt"
made=".venv-judges/requirements.txt"
if cmp --silent "$wanted" "$made"; then
  exit 0
fi
echo "Making .venv-judges, once."
[ -x .venv-judges/bin/python ] || python3 -m venv .venv-judges
.venv-judges/bin/pip install --quiet --disable-pip-version-check --retries 2 --no-compile --no-deps -r "$wanted"
cp "$wanted" "$made"
