# The programs' images: targets sidecar, broker, injector and cli.  `./dev image` builds
# them (buildah, podman or docker); docker build --target sidecar . does, too.
#
# Each is made from nothing: the program, the libraries that it links (tools/image_root.sh
# finds them), their licences, an SBOM and a NOTICE.  There is no
# shell, nothing that the user 65532 may write, and no package manager.

ARG DEBIAN=docker.io/library/debian:bookworm-slim
FROM ${DEBIAN} AS build
LABEL io.sqmqos.stage=build
# As build_packages in ./dev; a test compares the two.
# A name server or mirror that is away for a moment is waited for.
RUN echo 'Acquire::Retries 8; APT::Update::Error-Mode any;' >/etc/apt/apt.conf.d/80-retries && \
	apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
		--no-install-recommends \
		gcc libc6-dev cmake ninja-build pkg-config libev-dev libnghttp2-dev \
		libh2o-evloop-dev libssl-dev libyaml-dev libc-ares-dev liblmdb-dev \
		libcurl4-openssl-dev libcjose-dev libjansson-dev libcrypt-dev libpq-dev \
		librabbitmq-dev && \
	rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb
# For another architecture, arm64 or amd64, its compiler and its libraries beside this one's.
ARG ARCH=""
RUN [ -z "$ARCH" ] || [ "$ARCH" = "$(dpkg --print-architecture)" ] || { \
	case $ARCH in arm64) machine=aarch64-linux-gnu ;; amd64) machine=x86_64-linux-gnu ;; \
		*) echo "no ARCH: $ARCH" >&2; exit 1 ;; esac && \
	libraries=$(apt-mark showmanual | grep '^lib.*-dev$') && \
	dpkg --add-architecture "$ARCH" && apt-get update -q && \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
		"gcc-$(echo "$machine" | tr _ -)" $(printf "%s:$ARCH " $libraries) && \
	echo "$machine" >/machine && \
	rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb; }
COPY . /src
RUN cd /src && machine=$(cat /machine 2>/dev/null || gcc -dumpmachine) && \
	set -- -D SQ_PROGRAMS_ONLY=ON && \
	{ [ ! -e /machine ] || set -- "$@" --toolchain cmake/cross.cmake -D "SQ_MACHINE=$machine"; } && \
	cmake --preset release "$@" && \
	ninja -C build/release programs && \
	sh tools/image_root.sh build/release /out "$machine" && rm -rf build

FROM scratch AS sidecar
COPY --from=build /out/sidecar/ /
USER 65532:65532
ENTRYPOINT ["/usr/bin/sqmqos-sidecar"]
ARG VERSION="" REVISION="" CREATED="" SOURCE=""
LABEL org.opencontainers.image.title="sqmqos-sidecar" \
	org.opencontainers.image.description="SQMQOS: the MQTT server beside an app, in its pod" \
	org.opencontainers.image.licenses="Apache-2.0" \
	org.opencontainers.image.version="${VERSION}" \
	org.opencontainers.image.revision="${REVISION}" \
	org.opencontainers.image.created="${CREATED}" \
	org.opencontainers.image.source="${SOURCE}"

FROM scratch AS broker
COPY --from=build /out/broker/ /
USER 65532:65532
ENTRYPOINT ["/usr/bin/sqmqos-broker"]
ARG VERSION="" REVISION="" CREATED="" SOURCE=""
LABEL org.opencontainers.image.title="sqmqos-broker" \
	org.opencontainers.image.description="SQMQOS: the broker that sidecars send to and receive from" \
	org.opencontainers.image.licenses="Apache-2.0" \
	org.opencontainers.image.version="${VERSION}" \
	org.opencontainers.image.revision="${REVISION}" \
	org.opencontainers.image.created="${CREATED}" \
	org.opencontainers.image.source="${SOURCE}"

FROM scratch AS injector
COPY --from=build /out/injector/ /
USER 65532:65532
ENTRYPOINT ["/usr/bin/sqmqos-injector"]
ARG VERSION="" REVISION="" CREATED="" SOURCE=""
LABEL org.opencontainers.image.title="sqmqos-injector" \
	org.opencontainers.image.description="SQMQOS: the webhook that gives labelled pods their sidecar" \
	org.opencontainers.image.licenses="Apache-2.0" \
	org.opencontainers.image.version="${VERSION}" \
	org.opencontainers.image.revision="${REVISION}" \
	org.opencontainers.image.created="${CREATED}" \
	org.opencontainers.image.source="${SOURCE}"

FROM scratch AS cli
COPY --from=build /out/cli/ /
USER 65532:65532
ENTRYPOINT ["/usr/bin/sqmqos"]
ARG VERSION="" REVISION="" CREATED="" SOURCE=""
LABEL org.opencontainers.image.title="sqmqos" \
	org.opencontainers.image.description="SQMQOS: manifests and the view of a broker on the command line" \
	org.opencontainers.image.licenses="Apache-2.0" \
	org.opencontainers.image.version="${VERSION}" \
	org.opencontainers.image.revision="${REVISION}" \
	org.opencontainers.image.created="${CREATED}" \
	org.opencontainers.image.source="${SOURCE}"
