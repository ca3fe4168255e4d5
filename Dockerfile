# syntax=docker/dockerfile:1
# One image for every `rubato <command>`: docker run IMAGE router|prefill|decode|serve|bench ... [flags].
# deploy/Dockerfile.cuda is the variant with CUDA libraries.
ARG BUILD_IMAGE=node:24-bookworm-slim
ARG BASE_IMAGE=debian:bookworm-slim

# Packages as tools/run.js installs them, less what only development needs. npm stays in this stage.
FROM ${BUILD_IMAGE} AS packages
WORKDIR /opt/rubato
COPY . .
RUN npm install --no-save --omit=dev --no-audit --no-fund \
 && node deploy/prepare-image.js \
 && npm cache clean --force \
 && rm -rf /root/.npm /tmp/*

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="rubato" org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 rubato \
 && useradd --uid 10001 --gid rubato --no-create-home --home-dir /var/lib/rubato --shell /usr/sbin/nologin rubato \
 && install -d -o rubato -g rubato /var/lib/rubato /var/cache/rubato
# The Node that the lock file names, checked by its hash; the base needs none of its own.
COPY --from=packages /opt/rubato/.image/node /usr/local/bin/node
COPY --from=packages /opt/rubato /opt/rubato
ENV RUBATO_CACHE_DIR=/var/cache/rubato \
    RUBATO_NO_SYSTEM_INSTALL=1 \
    HEALTH_URL=http://127.0.0.1:8000/health
WORKDIR /opt/rubato
USER 10001:10001
VOLUME /var/cache/rubato
# 8000 HTTP, 50051 gRPC, 50052 operators (Cluster service), 50061 KV blocks, 9464 metrics of instances.
EXPOSE 8000 50051 50052 50061 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["node", "deploy/healthcheck.js"]
ENTRYPOINT ["node", "tools/run.js"]
CMD ["serve", "--help"]
