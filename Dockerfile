# syntax=docker/dockerfile:1
#
# The images of the four programs: each is one static program on nothing, for a user who is not root.
#
#   docker build --target blog -t blog:v1 .          (also router, promoter, load)
#   docker buildx build --platform linux/amd64,linux/arm64 --target blog -t blog:v1 .
#
# Without a container engine, or without a registry to take the compiler's image from, k8s/images builds the same last
# stages with buildah from programs that this machine compiled.

# --- compiles, on the machine's own architecture whatever the image's is
FROM --platform=$BUILDPLATFORM rust:1.95.0-slim-bookworm AS programs
ARG BUILDARCH TARGETARCH
# The image's compiler is the one that rust-toolchain.toml asks for; without this rustup would fetch lints as well.
ENV RUSTUP_TOOLCHAIN=1.95.0 \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
RUN case $TARGETARCH in amd64) cpu=x86_64 ;; arm64) cpu=aarch64 ;; *) echo "no image for $TARGETARCH" >&2; exit 1 ;; esac; \
    echo "$cpu-unknown-linux-gnu" >/target; \
    [ "$BUILDARCH" = "$TARGETARCH" ] || { \
        rustup target add "$(cat /target)" && apt-get update -qq && \
        apt-get install -qq -y --no-install-recommends "gcc-$(echo $cpu | tr _ -)-linux-gnu" "libc6-dev-$TARGETARCH-cross"; }
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target,id=target-$TARGETARCH,sharing=locked \
    TARGET=$(cat /target) k8s/compile release / blog router promoter load

# --- what all of them share
FROM scratch AS base
USER 65532:65532
ARG VERSION=0.1.0 REVISION=unknown
LABEL org.opencontainers.image.vendor="Huidu" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM base AS blog
LABEL org.opencontainers.image.title="blog" \
      org.opencontainers.image.description="A blog in one program, safe to release gradually"
COPY --from=programs /blog /blog
# The database is the Service `postgres` beside it, unless something else is said.
ENV BLOG_LISTEN=0.0.0.0:8080 BLOG_METRICS_LISTEN=0.0.0.0:9090 BLOG_DATABASE_URL=postgres://blog@postgres/blog
EXPOSE 8080 9090
ENTRYPOINT ["/blog"]
CMD ["serve"]

FROM base AS router
LABEL org.opencontainers.image.title="router" \
      org.opencontainers.image.description="Weighted HTTP proxy before the stable and the canary version of a service"
COPY --from=programs /router /router
ENV ROUTER_LISTEN=0.0.0.0:8080 ROUTER_ADMIN_LISTEN=0.0.0.0:8081
EXPOSE 8080 8081
ENTRYPOINT ["/router"]

FROM base AS promoter
LABEL org.opencontainers.image.title="promoter" \
      org.opencontainers.image.description="Raises the share of a new version while it is at least as good, and takes it back when not"
COPY --from=programs /promoter /promoter
ENTRYPOINT ["/promoter"]

FROM base AS load
LABEL org.opencontainers.image.title="load" \
      org.opencontainers.image.description="Open-loop load driver: blog readers, a report per version"
COPY --from=programs /load /load
ENTRYPOINT ["/load"]
