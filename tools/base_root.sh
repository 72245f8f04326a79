#!/usr/bin/env bash
# Makes the root of Debian's base image where no registry of images is reached: debootstrap
# makes it from the mirror that this machine's apt uses.
#
# usage: tools/base_root.sh
#
# Prints the name of an archive (tar), which is kept in ~/.cache/sqmqos, by release and
# architecture; remove it there to have a fresh one.
set -euo pipefail

release=bookworm
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sqmqos
archive=$cache/debian-$release-$(dpkg --print-architecture).tar

die()
{
	printf 'base_root: %s\n' "$1" >&2
	exit 1
}

# Where this machine's apt gets 'release' from: lines "URI SUITE COMPONENT".
mirrors()
{
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		grep -E " $release(-updates|-security)? main\$" | sort -u
}

# What apt inside needs to get there as apt does here: the sources, the settings of
# the transfer (proxies among them), and the authorities where a mirror speaks TLS.
give_apt()
{
	local root=$1 targets=$2
	rm -f "$root"/etc/apt/sources.list.d/*
	awk '{ print "deb", $1, $2, $3 }' <<<"$targets" >"$root/etc/apt/sources.list"
	apt-config dump | grep -E '^Acquire::(http|https|Check|Retries|ForceIPv|Max-)[^ ]* "..*"' \
		>"$root/etc/apt/apt.conf.d/90machine" || true
	if grep -q '^https:' <<<"$targets"; then
		install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/machine.crt"
		echo 'Acquire::https::CAInfo "/etc/ssl/certs/machine.crt";' >>"$root/etc/apt/apt.conf.d/90machine"
	fi
}

# What Debian's slim images leave out, for the packages that come later, too.
make_slim()
{
	local root=$1
	cat >"$root/etc/dpkg/dpkg.cfg.d/slim" <<-'CFG'
		path-exclude /usr/share/doc/*
		path-include /usr/share/doc/*/copyright
		path-exclude /usr/share/man/*
		path-exclude /usr/share/locale/*
		path-exclude /usr/share/info/*
	CFG
	find "$root/usr/share/doc" -type f ! -name copyright -delete
	rm -rf "$root"/usr/share/{man,locale,info}/* "$root"/var/lib/apt/lists/* \
		"$root"/var/cache/apt/* "$root"/var/log/*.log
}

make_archive()
{
	local work targets log
	command -v debootstrap >/dev/null || die "debootstrap is missing; as root: apt-get install debootstrap"
	[ "$(id -u)" = 0 ] || die "debootstrap needs root"
	targets=$(mirrors) || die "apt has no source of Debian $release"
	work=$(mktemp -d "$cache/debian.XXXXXX")
	log=$work.log
	# shellcheck disable=SC2064
	trap "rm -rf '$work' '$log'" EXIT
	debootstrap --variant=minbase "$release" "$work" \
		"$(awk -v r="$release" '$2 == r { print $1; exit }' <<<"$targets")" >"$log" 2>&1 ||
		die "debootstrap failed: $(tail -n 5 "$log")"
	chmod 755 "$work"
	give_apt "$work" "$targets"
	make_slim "$work"
	tar -C "$work" --one-file-system -cf "$archive.new" .
	mv -f "$archive.new" "$archive"
}

mkdir -p "$cache"
exec {lock}>"$cache/base_root.lock" # of two at a time, one would do it for nothing
flock "$lock"
[ -f "$archive" ] || make_archive
printf '%s\n' "$archive"
