#!/usr/bin/env bash
# Gives buildah Debian's base image where no registry of images is reached: buildah commits
# the root that base_root.sh makes, under the name that a pull would give it.  Users pull the
# real one; the tests, and ./dev image --debootstrap, call this.
#
# usage: tools/base_image.sh [BUILDAH-OPTION...]      e.g. --storage-driver vfs
#
# The options are buildah's own, those before its verb.  An image of that name that is
# there already is left alone.  Prints the image's name.
set -euo pipefail

release=bookworm
image=docker.io/library/debian:$release-slim
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sqmqos
buildah=(buildah "$@")

die()
{
	printf 'base_image: %s\n' "$1" >&2
	exit 1
}

command -v buildah >/dev/null || die "buildah is missing; as root: apt-get install buildah"
mkdir -p "$cache"
exec {lock}>"$cache/base_image.lock" # of two at a time, one would do it for nothing
flock "$lock"
if ! "${buildah[@]}" inspect --type image "$image" >/dev/null 2>&1; then
	archive=$("${BASH_SOURCE[0]%/*}/base_root.sh")
	container=$("${buildah[@]}" from scratch)
	tar -C "$("${buildah[@]}" mount "$container")" -xf "$archive"
	"${buildah[@]}" config --cmd bash "$container"
	"${buildah[@]}" commit --quiet --rm "$container" "$image" >/dev/null
fi
printf '%s\n' "$image"
