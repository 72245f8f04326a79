#!/usr/bin/env bash
# Fetches the MQTT libraries of the examples in docs/clients.md that Debian doesn't
# have, once, into a cache outside the clone; prints where they are.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
paho_python=2.1.0
versions=$(cat "$here/go.mod" "$here/go.sum" "$here/pom.xml" <(echo "$paho_python") | sha256sum)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sqmqos/clients-${versions:0:16}

if [ ! -e "$cache/complete" ]; then
	rm -rf "$cache"
	mkdir -p "$cache/go" "$cache/java"
	/usr/bin/env python3 -m venv "$cache/python"
	"$cache/python/bin/pip" -q install "paho-mqtt==$paho_python"
	cp "$here/go.mod" "$here/go.sum" "$cache/go"
	(cd "$cache/go" && go mod download)
	mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$cache/java"
	touch "$cache/complete"
fi >&2
printf '%s\n' "$cache"
