#!/usr/bin/env bash
# Builds the agents of the libraries that come from registries alone (HiveMQ's for Java,
# Paho Go, rumqttc), once, into a cache outside the clone; prints where they are.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
versions=$(cat "$here"/go/* "$here"/java/* "$here"/rust/Cargo.* "$here"/rust/src/* | sha256sum)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sqmqos/agents-${versions:0:16}

if [ ! -e "$cache/complete" ]; then
	rm -rf "$cache"
	mkdir -p "$cache/go" "$cache/java" "$cache/rust"
	cp -r "$here"/go/* "$cache/go"
	(cd "$cache/go" && GOFLAGS='-mod=mod -buildvcs=false' go build -o agent .)
	mvn -q -B -f "$here/java/pom.xml" dependency:copy-dependencies -DoutputDirectory="$cache/java"
	javac -encoding UTF-8 -cp "$cache/java/*" -d "$cache/java" "$here/java/Agent.java"
	cp -r "$here"/rust/* "$cache/rust"
	(cd "$cache/rust" && cargo build -q --release --locked)
	touch "$cache/complete"
fi >&2
printf '%s\n' "$cache"
