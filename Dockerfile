# The service as an image: the program and the C library it is linked with, and neither shell nor package
# manager beside them. docs/operating/containers.md says how to run it, docs/decisions/0025-the-image.md gives the
# reasons.
#
# Both bases are of one Debian release, since the program is linked with the first one's C library and runs
# with the second one's. To build the same image twice, give both with their digests (NAME@sha256:…).
ARG BUILD_BASE=docker.io/library/rust:1.95.0-trixie
ARG BASE=gcr.io/distroless/cc-debian13:nonroot

FROM ${BUILD_BASE} AS build
WORKDIR /build

# The dependencies first, in a layer that changes only with them. (The manifest names benchmarks and
# an example; nothing of them goes into the program.)
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
# The copies may be older than what was built above, and cargo goes by age.
RUN touch src/main.rs src/lib.rs \
 && cargo build --release --locked --bin vestibule \
 && mkdir /data

FROM ${BASE}
ARG VERSION=0.1.0
# Where this copy of the sources comes from; whoever publishes the image says so.
ARG SOURCE
ARG REVISION
LABEL org.opencontainers.image.title="Vestibule" \
      org.opencontainers.image.description="An account service in one binary: sign-up with a confirmed address, OAuth 2 tokens, protected resources" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /build/target/release/vestibule /usr/local/bin/vestibule
# A new volume takes its owner from here. What the service writes into it is for its owner alone.
COPY --from=build --chown=65532:65532 /data /data

USER 65532:65532
# By default the database is at data/vestibule.db, and letters in files go to data/mail.
WORKDIR /
VOLUME /data
ENV ROCKET_PROFILE=release \
    ROCKET_ADDRESS=0.0.0.0 \
    ROCKET_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["vestibule", "health"]
ENTRYPOINT ["vestibule"]
CMD ["serve"]
