#!/usr/bin/env bash
# Fetches the MQTT libraries of examples/ and docs/clients.md that Debian doesn't have, in
# the versions that the examples name, once, into a cache outside the clone; prints where
# they are. Each is known by its hash.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
examples=$here/../../examples
python=$examples/python/requirements.txt
java=$examples/java/pom.xml
versions=$(cat "$python" "$examples"/go/go.{mod,sum} "$java" "$here/jars.sha256" | sha256sum)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sqmqos/clients-${versions:0:16}

if [ ! -e "$cache/complete" ]; then
	rm -rf "$cache"
	mkdir -p "$cache/go" "$cache/java"
	/usr/bin/env python3 -m venv "$cache/python"
	"$cache/python/bin/pip" -q install --require-hashes -r "$python"
	cp "$examples"/go/go.{mod,sum} "$cache/go"
	(cd "$examples/go" && go build -buildvcs=false ./...) # what it compiles Go keeps, too
	mvn -q -B -f "$java" dependency:copy-dependencies -DoutputDirectory="$cache/java"
	(cd "$cache/java" && sha256sum -c --quiet "$here/jars.sha256")
	touch "$cache/complete"
fi >&2
printf '%s\n' "$cache"
