#!/usr/bin/env bash
# Builds h2spec, once, into a cache outside the clone; prints where the program is.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
version=$(cat "$here/go.mod" "$here/go.sum" "$here/setup.sh" | sha256sum)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sqmqos/h2spec-${version:0:16}

if [ ! -e "$cache/complete" ]; then
	rm -rf "$cache"
	mkdir -p "$cache/build"
	cp "$here/go.mod" "$here/go.sum" "$cache/build"
	(cd "$cache/build" && go build -mod=mod -o "$cache/h2spec" github.com/summerwind/h2spec/cmd/h2spec)
	touch "$cache/complete"
fi >&2
printf '%s\n' "$cache/h2spec"
