#!/bin/sh
# Runs in the Dockerfile's build stage: makes the root folder of each program's image.
#
# usage: image_root.sh PROGRAMS OUT [MACHINE]
#
# Each program of ours in the folder PROGRAMS (sqmqos-sidecar, ..., sqmqos) gets
# OUT/sidecar, ..., OUT/cli with the program, the libraries that it and they need, the
# records and licences of their Debian packages, what the C library reads about names,
# an SBOM and a NOTICE.  MACHINE, as aarch64-linux-gnu, is the one that the programs are
# for: by default the compiler's own.
# All of it is root's, and its times are fixed: the same input is the same layer.
set -eu

programs=$1
out=$2
machine=${3:-$(gcc -dumpmachine)}
here=$(dirname "$0")

# What the program or library $1 names as needed, and its loader.  Each program of ours loads one
# more when it calls somebody by HTTP (net/curl/library.c).
needs()
{
	case $1 in */sqmqos | */sqmqos-*) echo libcurl.so.4 ;; esac
	readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
	readelf -l "$1" | sed -n 's/.*program interpreter: \(.*\)\]/\1/p'
}

# The file that the loader takes for the name $1.
library()
{
	case $1 in /*) echo "$1" && return ;; esac
	for folder in "/lib/$machine" "/usr/lib/$machine" /lib /usr/lib; do
		[ ! -e "$folder/$1" ] || { echo "$folder/$1" && return; }
	done
	echo "no library $1" >&2
	return 1
}

# All that $1 needs, one a line, each once.
libraries()
{
	known=' ' left=$(needs "$1")
	while [ -n "$left" ]; do
		next=''
		for needed in $left; do
			file=$(library "$needed") || return 1
			case $known in *" $file "*) continue ;; esac
			known="$known$file "
			echo "$file"
			next="$next $(needs "$file")"
		done
		left=${next# }
	done
}

# The Debian packages of the libraries that standard input names, as NAME or
# NAME:ARCHITECTURE, each once.  dpkg knows some files by /lib and some by /usr/lib, which
# is one folder.
packages_of()
{
	while read -r file; do
		real=$(readlink -f "$file")
		printf '%s %s\n' "$file" "$file" "$file" "/usr$file" "$file" "$real" "$file" "${real#/usr}"
	done >"$out/names"
	cut -d ' ' -f 2 "$out/names" | xargs dpkg-query -S 2>/dev/null >"$out/owners" || true
	awk '
		NR == FNR { path = $NF; sub(/[:,] .*/, ""); owner[path] = $0; next }
		{ wanted[$1] = 1; if ($2 in owner) of[$1] = owner[$2] }
		END {
			for (file in wanted)
				if (file in of)
					print of[file]
				else {
					print "no package has " file >"/dev/stderr"
					bad = 1
				}
			exit bad
		}' "$out/owners" "$out/names" >"$out/found"
	sort -u "$out/found"
	rm "$out/names" "$out/owners" "$out/found"
}

# Where scanners look for the packages of images without a package manager, and the
# licence texts that a package's copyright file points to.
put_package()
{
	package=${1%%:*}
	root=$2
	copyright=/usr/share/doc/$package/copyright
	install -d "$root/var/lib/dpkg/status.d"
	dpkg-query -s "$1" >"$root/var/lib/dpkg/status.d/$package"
	install -D -m 644 "$copyright" "$root$copyright"
	grep -o '/usr/share/common-licenses/[A-Za-z0-9.+-]*[A-Za-z0-9+]' "$copyright" | sort -u |
		while read -r text; do
			[ ! -f "$text" ] || install -D -m 644 "$text" "$root$text"
		done
}

# What $1 and, if it is there, its module $3 need.
put_libraries()
{
	program=$1
	root=$2
	module=${3:-}
	{ libraries "$program" && { [ -z "$module" ] || libraries "$module"; }; } >"$out/needed"
	sort -u "$out/needed" >"$out/libraries"
	rm "$out/needed"
	while read -r file; do
		install -D -m 755 "$(readlink -f "$file")" "$root$file"
	done <"$out/libraries"
	packages_of <"$out/libraries" >"$out/packages"
	while read -r package; do
		put_package "$package" "$root"
	done <"$out/packages"
	rm "$out/libraries"
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
	case $program in *.so) continue ;; esac
	name=${program##*/}
	target=${name#sqmqos-}
	[ "$name" != sqmqos ] || target=cli
	root=$out/$target
	install -D -m 755 -s --strip-program="$machine-strip" "$program" "$root/usr/bin/$name"
	module=''
	if [ "$target" = broker ] && [ -f "$programs/sqmqos-log-postgres.so" ]; then
		module=$programs/sqmqos-log-postgres.so # of a log that several brokers share
		install -D -m 755 -s --strip-program="$machine-strip" "$module" \
			"$root/usr/lib/sqmqos/${module##*/}"
	fi
	put_libraries "$program" "$root" "$module"
	put_etc "$root"
	install -D -m 644 LICENSE "$root/usr/share/doc/sqmqos/LICENSE"
	sh "$here/sbom.sh" "$root/usr/bin/$name" "$out/packages" "$root/usr/share/doc/sqmqos"
	rm "$out/packages"
	find "$root" -exec touch -h -d @0 {} +
done
