#!/bin/sh
# Runs in the Dockerfile's build stage, called by image_root.sh: says what an image is made of.
#
# usage: sbom.sh PROGRAM PACKAGES FOLDER
#
# Writes FOLDER/sbom.spdx.json, an SPDX 2.3 document of the program and the Debian packages
# whose libraries it has, one a line in PACKAGES, and FOLDER/NOTICE, which says where their
# licences and sources are.  The same input gives the same files, so they have no time.
set -eu

program=$1
packages=$2
folder=$3
name=${program##*/}
version=$(sed -n 's/^project(sqmqos VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
digest=$(sha256sum <"$program" | cut -d ' ' -f 1)
# shellcheck disable=SC1091
release=$(. /etc/os-release && echo "$VERSION_CODENAME")

# A line for each package: name, version, architecture, and name and version of its source.
# shellcheck disable=SC2016
facts=$(xargs dpkg-query -W \
	-f '${Package} ${Version} ${Architecture} ${source:Package} ${source:Version}\n' <"$packages")

# As a part of a package URL: what Debian's versions may have besides letters and digits.
encoded()
{
	printf %s "$1" | sed 's/%/%25/g; s/+/%2B/g; s/:/%3A/g'
}

# An SPDX package: its id, name, version, further members.
package()
{
	printf '    {"SPDXID": "SPDXRef-%s", "name": "%s", "versionInfo": "%s",\n' "$1" "$2" "$3"
	printf '     "downloadLocation": "NOASSERTION", "filesAnalyzed": false,\n'
	printf '     "licenseConcluded": "NOASSERTION", "copyrightText": "NOASSERTION",\n     %s}' "$4"
}

debian_package()
{
	url="pkg:deb/debian/$(encoded "$1")@$(encoded "$2")?arch=$3&distro=$release"
	package "$1" "$1" "$2" "\"licenseDeclared\": \"NOASSERTION\",
     \"supplier\": \"Organization: Debian\",
     \"sourceInfo\": \"of the Debian source package $4 $5\",
     \"licenseComments\": \"/usr/share/doc/$1/copyright\",
     \"externalRefs\": [{\"referenceCategory\": \"PACKAGE-MANAGER\", \"referenceType\": \"purl\",
                       \"referenceLocator\": \"$url\"}]"
}

sbom()
{
	printf '{\n  "spdxVersion": "SPDX-2.3",\n  "dataLicense": "CC0-1.0",\n'
	printf '  "SPDXID": "SPDXRef-DOCUMENT",\n  "name": "%s-%s",\n' "$name" "$version"
	printf '  "documentNamespace": "https://sqmqos.invalid/spdx/%s-%s-%s",\n' \
		"$name" "$version" "$(cat "$packages" "$program" | sha256sum | cut -c 1-32)"
	printf '  "creationInfo": {"created": "1970-01-01T00:00:00Z", "creators": ["Tool: sqmqos-sbom"]},\n'
	printf '  "packages": [\n'
	package "$name" "$name" "$version" "\"licenseDeclared\": \"Apache-2.0\",
     \"primaryPackagePurpose\": \"APPLICATION\", \"supplier\": \"Organization: SQMQOS maintainers\",
     \"checksums\": [{\"algorithm\": \"SHA256\", \"checksumValue\": \"$digest\"}]"
	while read -r its number architecture source source_number; do
		printf ',\n'
		debian_package "$its" "$number" "$architecture" "$source" "$source_number"
	done <<-END
		$facts
	END
	printf '\n  ],\n  "relationships": [\n'
	printf '    {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",\n'
	printf '     "relatedSpdxElement": "SPDXRef-%s"}' "$name"
	while read -r its _; do
		printf ',\n    {"spdxElementId": "SPDXRef-%s", "relationshipType": "DEPENDS_ON",\n' "$name"
		printf '     "relatedSpdxElement": "SPDXRef-%s"}' "$its"
	done <<-END
		$facts
	END
	printf '\n  ]\n}\n'
}

notice()
{
	cat NOTICE
	printf '\nThis image has libraries of Debian packages. Their licences are in the files that\n'
	printf 'follow, their sources at https://snapshot.debian.org/package/SOURCE/VERSION/.\n\n'
	while read -r its number _ source source_number; do
		printf '%s %s\n  licence: /usr/share/doc/%s/copyright\n  source:  %s %s\n' \
			"$its" "$number" "$its" "$source" "$source_number"
	done <<-END
		$facts
	END
}

sbom >"$folder/sbom.spdx.json"
notice >"$folder/NOTICE"
chmod 644 "$folder/sbom.spdx.json" "$folder/NOTICE"
