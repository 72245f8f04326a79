#!/bin/sh
# The apps of compose.yaml: a consumer of orders, and one that orders something every two seconds.
set -eu
export PYTHONPATH=/tmp/lib PYTHONUNBUFFERED=1
pip install -q --no-cache-dir --disable-pip-version-check --target /tmp/lib -r /srv/app/requirements.txt
[ "$1" != worker ] || exec python /srv/app/consumer.py
n=0
while n=$((n + 1)); do
	python /srv/app/publisher.py "orders/$(date +%s)-$n" "$n.90"
	sleep 2
done
