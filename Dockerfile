FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
# The caches stay on the building host and are no part of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --features full && cp target/release/weirgate /usr/local/bin/weirgate

FROM debian:12.14-slim
# Certificates of the public authorities, for upstream APIs, callbacks and object stores. Versions move with the image.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 weirgate \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/weirgate --shell /usr/sbin/nologin weirgate \
    && install --directory --owner=weirgate --group=weirgate --mode=0711 /var/lib/weirgate
COPY --from=build /usr/local/bin/weirgate /usr/local/bin/weirgate
COPY scripts/healthcheck /usr/local/bin/healthcheck
COPY mock-data /app/mock-data
WORKDIR /app
ENV WEIRGATE_HOME=/var/lib/weirgate \
    WEIRGATE_LISTEN=0.0.0.0:8080 \
    WEIRGATE_LOG_FORMAT=json \
    MOCK_DATA_PATH=/app/mock-data
USER 10001:10001
EXPOSE 8080
# For `serve` and `up`; for a worker: healthcheck PORT /health, with the port of WEIRGATE_METRICS_LISTEN.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["healthcheck"]
ENTRYPOINT ["weirgate"]
CMD ["serve"]
