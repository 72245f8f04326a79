#!/bin/sh
# The first service of compose.yaml: into its volumes an authority's certificate, the broker's with its
# key, and a token for each sidecar, each where only who needs it has it. What is there stays.
set -eu
umask 077
cd /srv
owner=65532:65532 # the images' user

certificates()
{
	made=$(mktemp -d)
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
		-subj '/CN=sqmqos compose' -addext keyUsage=critical,keyCertSign,cRLSign \
		-keyout "$made/ca.key" -out "$made/ca.pem"
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=broker \
		-addext subjectAltName=DNS:broker -addext basicConstraints=critical,CA:FALSE \
		-addext extendedKeyUsage=serverAuth -keyout "$made/broker.key" -out "$made/broker.csr"
	openssl x509 -req -in "$made/broker.csr" -CA "$made/ca.pem" -CAkey "$made/ca.key" \
		-CAcreateserial -days 3650 -copy_extensions copy -out "$made/broker.pem"
	cp "$made/broker.key" "$made/broker.pem" broker
	for sidecar in shop worker; do cp "$made/ca.pem" $sidecar; done
	rm -r "$made" # the authority's key, too: nothing else is to be signed
}

# A line of auth.tokens-file, as sqmqos-broker --new-token makes it.
token()
{
	token=$(openssl rand -hex 32)
	printf '%s\n' "$token" >"$1/token"
	printf '%s default SHA256:%s\n' "$1" "$(printf %s "$token" | openssl dgst -sha256 -r | cut -d ' ' -f 1)"
}

if [ ! -e broker/tokens ]; then
	certificates
	for sidecar in shop worker; do token $sidecar; done >broker/tokens.new
	mv broker/tokens.new broker/tokens
fi
chown -R $owner broker shop worker
chown $owner store
