#!/usr/bin/env bash
# Everything that is checked, on a bare machine: virtual environments, requirements, chromium, lint, walls, types, tests.
# Arguments are passed on to pytest: bash tests/run.sh -k grammar
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -x .venv/bin/python ]; then
  python3 -m venv .venv
fi
install_chromium() {
  if ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
  fi
}
install_chromium &
chromium=$!
# Where these cannot be fetched, their tests say so and are skipped, or fail in CI.
bash tests/judges/environment.sh &
judges=$!
.venv/bin/pip install --quiet --disable-pip-version-check --no-compile -r tests/requirements.txt
.venv/bin/python -m compileall -qq .venv/lib &  # in a minute, as pip would, but beside what follows
compiling=$!

.venv/bin/ruff check .
.venv/bin/lint-imports --no-logo --no-cache
.venv/bin/mypy
wait "$chromium"
wait "$judges" "$compiling" || true
# What needs pages waits more than it works, and not beside what only works. In the order of their names, since the files
# with few tests are the slow ones and would come last. 5: nothing was selected by the arguments.
together=(-n 2 --dist loadfile --no-loadscope-reorder)
.venv/bin/pytest "${together[@]}" -m "not browser and not long" "$@" || [ $? = 5 ]
.venv/bin/pytest "${together[@]}" -m "browser and not long" "${@:-tests/ui/browser}" || [ $? = 5 ]
