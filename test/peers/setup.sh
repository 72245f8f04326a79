#!/usr/bin/env bash
# Fetches the packages of Python that tests compare with, once, into a cache outside the clone; prints
# where they are. Each is known by its hash.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
hash=$(sha256sum <"$here/requirements.txt")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sqmqos/peers-${hash:0:16}

if [ ! -e "$cache/complete" ]; then
	rm -rf "$cache"
	mkdir -p "${cache%/*}"
	/usr/bin/env python3 -m venv "$cache"
	"$cache/bin/pip" -q install --disable-pip-version-check --require-hashes -r "$here/requirements.txt"
	touch "$cache/complete"
fi >&2
printf '%s\n' "$cache"
