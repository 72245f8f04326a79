#!/usr/bin/env bash
# Builds a collector from the OpenTelemetry Collector's modules, once, into a cache outside the clone;
# prints where the program is.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
version=$(cat "$here/main.go" "$here/go.mod" "$here/go.sum" "$here/setup.sh" | sha256sum)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sqmqos/collector-${version:0:16}

if [ ! -e "$cache/complete" ]; then
	rm -rf "$cache"
	mkdir -p "$cache"
	(cd "$here" && go build -o "$cache/collector" .)
	touch "$cache/complete"
fi >&2
printf '%s\n' "$cache/collector"
