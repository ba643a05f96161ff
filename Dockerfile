ARG BUILD_IMAGE=node:24-bookworm-slim
ARG BASE_IMAGE=gcr.io/distroless/nodejs24-debian12:nonroot

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# Both secrets are optional, for networks that have registries of their own: a CA bundle, and npm's settings.
# Packages' scripts have no part in the bundle and are not run.
RUN --mount=type=cache,target=/root/.npm \
    --mount=type=secret,id=ca \
    --mount=type=secret,id=npmrc,target=/root/.npmrc \
    if [ -s /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi; \
    npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN node src/build/bundle.ts

# Compiled code fits the very Node that made it only: the image's own makes it anew.
FROM ${BASE_IMAGE} AS compiled
USER 0
COPY --from=build /src/dist /app/dist
RUN --mount=type=bind,from=build,source=/src,target=/src \
    ["/nodejs/bin/node", "--hash-seed=1", "--predictable", "/src/src/build/codeCache.ts", "/app/dist"]

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="operation-runner" \
      org.opencontainers.image.description="Backups and restores as requests: one Kubernetes Job per Operation, carried out by Velero" \
      org.opencontainers.image.source="https://github.com/vworkspace-io/operation-runner" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
# The bundle is all that runs: no node_modules. sbom.cdx.json says what is in it.
COPY --from=build /src/package.json /src/LICENSE ./
COPY --from=compiled /app/dist dist
# One arena for all threads: of several, each keeps memory that no other can use.
ENV MALLOC_ARENA_MAX=1
# A number, so that runAsNonRoot can be verified without the image's /etc/passwd.
USER 65532:65532
ENTRYPOINT ["/nodejs/bin/node", "/app/dist/operation-runner.js"]
