#!/usr/bin/env bash
# Fetches what stands at the other end of bridges to SQS, once, into a cache outside the clone; prints
# where it is: ElasticMQ in elasticmq/*.jar, boto3 and moto in a virtual environment of Python. Each
# file is known by its hash.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
hash=$(cat "$here/requirements.txt" "$here/pom.xml" "$here/elasticmq.sha256" | sha256sum)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sqmqos/sqs-${hash:0:16}

if [ ! -e "$cache/complete" ]; then
	rm -rf "$cache"
	mkdir -p "${cache%/*}"
	/usr/bin/env python3 -m venv "$cache"
	"$cache/bin/pip" -q install --disable-pip-version-check --require-hashes -r "$here/requirements.txt"
	mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$cache/elasticmq" >&2
	# All that was fetched, and nothing else.
	(cd "$cache/elasticmq" && sha256sum --quiet -c "$here/elasticmq.sha256")
	[ "$(find "$cache/elasticmq" -type f | wc -l)" = "$(wc -l <"$here/elasticmq.sha256")" ]
	touch "$cache/complete"
fi >&2
printf '%s\n' "$cache"
