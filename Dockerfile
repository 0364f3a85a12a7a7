# The same Python minor version that CI tests with; its patches come with each build.
# The whole image has the C compiler that the kernels are built with.
FROM python:3.11-bookworm AS build
COPY . /src
RUN sh /src/.ci/install-image /opt/spanmill

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="spanmill" \
      org.opencontainers.image.description="Metrics from every span, and the traces sent on byte for byte" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/spanmill /opt/spanmill
# Empty: a volume that is mounted there belongs to whom the folder does.
COPY --from=build --chown=10001:10001 /opt/spanmill/state /var/lib/spanmill
ENV PATH=/opt/spanmill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SPANMILL_STATE_DIRECTORY=/var/lib/spanmill/state
WORKDIR /var/lib/spanmill
VOLUME /var/lib/spanmill
# A number, so that Kubernetes can tell that it is not root.
USER 10001:10001
# OTLP over gRPC and HTTP; /metrics, /healthz and /readyz
EXPOSE 4317 4318 9464
# Without a shell or curl: the image has Python. SPANMILL_SCRAPE_ENDPOINT is what collector-config/spanmill.yaml reads.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen('http://127.0.0.1:%s/readyz' % os.environ.get('SPANMILL_SCRAPE_ENDPOINT', ':9464').rsplit(':', 1)[1], timeout=2)"]
ENTRYPOINT ["spanmill"]
# Without a configuration it listens on the container's own loopback: mount one that binds 0.0.0.0,
# as compose.yaml does.
CMD ["run"]
