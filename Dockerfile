# Image of the service: the program and the C library that it links, without a shell and a package
# manager. docs/operating/containers.md says how to run it, and docs/decisions/0025-the-image.md
# gives the reasons.
#
# Both bases must be of one Debian release: the program links the C library of the first one, and
# runs with the C library of the second one. For a reproducible image, pass both with their digests
# (NAME@sha256:…).
ARG BUILD_BASE=docker.io/library/rust:1.95.0-trixie
ARG BASE=gcr.io/distroless/cc-debian13:nonroot

FROM ${BUILD_BASE} AS build
WORKDIR /build

# The dependencies first, in a layer that changes only with them. (The manifest names benchmarks and
# an example; the program contains nothing of them.)
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches/overload benches/ratios examples \
 && echo 'fn main() {}' > src/main.rs \
 && touch src/lib.rs \
 && cp src/main.rs benches/ratios/main.rs \
 && cp src/main.rs benches/overload/main.rs \
 && cp src/main.rs benches/pieces.rs \
 && cp src/main.rs examples/notes.rs \
 && cargo build --release --locked --bin vestibule \
 && rm -r src

COPY blocklist blocklist
COPY messages messages
COPY migrations migrations
COPY schemas schemas
COPY templates templates
COPY build.rs ./
COPY src src
# The copies may be older than the build above, and cargo compares times.
RUN touch src/main.rs src/lib.rs \
 && cargo build --release --locked --bin vestibule \
 && mkdir /data

FROM ${BASE}
ARG VERSION=0.1.0
# Origin of the sources; the publisher of the image sets these.
ARG SOURCE
ARG REVISION
LABEL org.opencontainers.image.title="Vestibule" \
      org.opencontainers.image.description="An account service in one binary: sign-up with a confirmed address, OAuth 2 tokens, protected resources" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /build/target/release/vestibule /usr/local/bin/vestibule
# A new volume takes its owner from this folder. Files of the service are readable by their owner
# only.
COPY --from=build --chown=65532:65532 /data /data

USER 65532:65532
# By default the database is data/vestibule.db, and the transport `file` writes letters to
# data/mail.
WORKDIR /
VOLUME /data
ENV ROCKET_PROFILE=release \
    ROCKET_ADDRESS=0.0.0.0 \
    ROCKET_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["vestibule", "health"]
ENTRYPOINT ["vestibule"]
CMD ["serve"]
