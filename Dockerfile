# The program, built.
FROM rust:1.95-bookworm AS build
WORKDIR /build

# The dependencies first, in a layer that changes only with them. (The manifest names a benchmark and
# an example; nothing of them goes into the program.)
COPY Cargo.toml Cargo.lock ./
RUN mkdir src \
 && echo 'fn main() {}' > src/main.rs \
 && touch src/lib.rs \
 && mkdir benches examples \
 && echo 'fn main() {}' | tee benches/ratios.rs > examples/notes.rs \
 && cargo build --release --locked --bin vestibule \
 && rm -r src

COPY messages messages
COPY migrations migrations
COPY schemas schemas
COPY templates templates
COPY build.rs ./
COPY src src
# The copies may be older than what was built above, and cargo goes by age.
RUN touch src/main.rs src/lib.rs \
 && cargo build --release --locked --bin vestibule

# The program, alone: no compiler, no sources, no root.
FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin vestibule \
 && install --directory --mode=0700 --owner=vestibule --group=vestibule /data
COPY --from=build /build/target/release/vestibule /usr/local/bin/vestibule

USER vestibule
WORKDIR /data
VOLUME /data
ENV ROCKET_PROFILE=release \
    ROCKET_ADDRESS=0.0.0.0 \
    ROCKET_PORT=8000 \
    DATABASE_URL=sqlite:///data/vestibule.db
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["vestibule", "health"]
ENTRYPOINT ["vestibule"]
CMD ["serve"]
