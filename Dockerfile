# The server as an image: CPython, the packages of nextlabel[server,otel], the libraries that they
# link to, and nothing else: no shell, no package manager, no compiler. docs/image.md tells the rest.

FROM python:3.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# ONNX Runtime's text operators ask for this locale by name.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends locales \
    && mkdir -p /root-of-image/usr/lib/locale \
    && localedef --inputfile=en_US --charmap=UTF-8 /root-of-image/usr/lib/locale/en_US.UTF-8 \
    && rm -rf /var/lib/apt/lists/*

# What changes seldom comes first: a new release of the server replaces only the last layer.
COPY pyproject.toml constraints.txt ./
RUN python -m venv --without-pip /opt/nextlabel \
    && python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; print(*project['dependencies'], *project['optional-dependencies']['server'], *project['optional-dependencies']['otel'], sep='\n')" > requirements.txt \
    && pip --python /opt/nextlabel/bin/python install --constraint constraints.txt --requirement requirements.txt \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/nextlabel
COPY image image
RUN python image/gather.py /root-of-image /opt/nextlabel

COPY README.md LICENSE ./
COPY client client
COPY server server
RUN pip --python /opt/nextlabel/bin/python install --no-deps --prefix /server . \
    && python -m compileall -q --invalidation-mode unchecked-hash /server

# hadolint ignore=DL3042
RUN python -m venv /opt/sbom \
    && /opt/sbom/bin/pip install cyclonedx-bom==7.5.0 \
    && mkdir -p /server/share/sbom \
    && /opt/sbom/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml --output-file packages.json /opt/nextlabel \
    && python image/bill_of_materials.py /root-of-image packages.json > /server/share/sbom/nextlabel.cdx.json


FROM scratch
COPY --from=build /root-of-image /
COPY --from=build /opt/nextlabel /opt/nextlabel
COPY --from=build /server /opt/nextlabel

ENV PATH=/opt/nextlabel/bin \
    HOME=/tmp \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    NEXTLABEL_ADDRESS=[::]:50051

# Any other user does as well: nothing belongs to anyone, and only /tmp is written to.
USER 65532:65532
EXPOSE 50051
ENTRYPOINT ["nextlabel"]
CMD ["serve"]

ARG REVISION=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="nextlabel" \
      org.opencontainers.image.description="Which unlabeled items should be labeled next? Active learning as a gRPC service." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
