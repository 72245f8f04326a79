#!/bin/sh
# Runs in the Dockerfile's build stage: makes the root folder of each program's image.
#
# usage: image_root.sh PROGRAMS OUT
#
# Each program of ours in the folder PROGRAMS (sqmqos-sidecar, ..., sqmqos) gets
# OUT/sidecar, ..., OUT/cli with the program, the libraries that ldd finds, the records
# and licences of their Debian packages, and what the C library reads about names.
# All of it is root's, and its times are fixed: the same input is the same layer.
set -eu

programs=$1
out=$2

# The Debian package of the library $1.  dpkg knows some files by /lib and some by
# /usr/lib, which is one folder.
package_of()
{
	real=$(readlink -f "$1")
	dpkg-query -S "$1" "/usr$1" "$real" "${real#/usr}" 2>/dev/null |
		sed -n '1s/[:,].*//p'
}

# Where scanners look for the packages of images without a package manager, and the
# licence texts that a package's copyright file points to.
put_package()
{
	package=$1
	root=$2
	copyright=/usr/share/doc/$package/copyright
	install -d "$root/var/lib/dpkg/status.d"
	dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
	install -D -m 644 "$copyright" "$root$copyright"
	grep -o '/usr/share/common-licenses/[A-Za-z0-9.+-]*[A-Za-z0-9+]' "$copyright" | sort -u |
		while read -r text; do
			[ ! -f "$text" ] || install -D -m 644 "$text" "$root$text"
		done
}

# What the sidecar loads when tracing.endpoint is set (telemetry/curl.c), in ldd's form.
put_loaded()
{
	curl=$(ldconfig -p | sed -n 's/.*libcurl\.so\.4 .*=> //p' | head -n 1)
	[ -n "$curl" ] || { echo "no libcurl.so.4" >&2; exit 1; }
	echo "libcurl.so.4 => $curl"
	ldd "$curl"
}

put_libraries()
{
	program=$1
	root=$2
	ldd "$program" >"$out/ldd"
	[ "${program##*/}" != sqmqos-sidecar ] || put_loaded >>"$out/ldd"
	if grep 'not found' "$out/ldd" >&2; then
		exit 1
	fi
	grep -o '/[^ ]*' "$out/ldd" | while read -r library; do
		install -D -m 755 "$(readlink -f "$library")" "$root$library"
		package=$(package_of "$library")
		[ -n "$package" ] || { echo "no package has $library" >&2; exit 1; }
		echo "$package"
	done >"$out/packages"
	rm "$out/ldd"
	sort -u "$out/packages" | while read -r package; do
		put_package "$package" "$root"
	done
	rm "$out/packages"
}

# Users and groups, and files before DNS as the C library's own rule is; the release,
# by which scanners know whose packages these are.
put_etc()
{
	install -d "$1/etc"
	printf '%s\n' 'root:x:0:0:root:/:/sbin/nologin' \
		'sqmqos:x:65532:65532:sqmqos:/:/sbin/nologin' >"$1/etc/passwd"
	printf '%s\n' 'root:x:0:' 'sqmqos:x:65532:' >"$1/etc/group"
	printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' >"$1/etc/nsswitch.conf"
	cp -L /etc/os-release "$1/etc/os-release"
}

for program in "$programs"/sqmqos "$programs"/sqmqos-*; do
	[ -f "$program" ] || continue
	name=${program##*/}
	target=${name#sqmqos-}
	[ "$name" != sqmqos ] || target=cli
	root=$out/$target
	install -D -m 755 -s "$program" "$root/usr/bin/$name"
	put_libraries "$program" "$root"
	put_etc "$root"
	install -D -m 644 LICENSE "$root/usr/share/doc/sqmqos/LICENSE"
	find "$root" -exec touch -h -d @0 {} +
done
