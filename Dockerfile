# HMS: `docker build -t hms .`, then any command: `docker run --rm hms --help`. Not root, and the root file system may be read-only;
# what a host keeps (its id, its journal, its components' output) is in /var/lib/hms: mount a volume there for `hms up`.
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY tools/editable.py tools/
COPY package package
COPY schemas schemas
COPY core core
COPY replay replay
COPY sdk sdk
COPY actors actors
COPY console console
# The versions that CI tests; no pip in what is kept.
RUN python -m venv --without-pip /opt/hms \
    && python -m pip --python /opt/hms/bin/python install --no-cache-dir --no-compile -c constraints.txt . \
    && /opt/hms/bin/python -m compileall -q -j 0 /opt/hms/lib

FROM python:3.11-slim
COPY --from=build /opt/hms /opt/hms
# A number, so that Kubernetes can see that it is not root; any other number works too.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/hms
USER 10001:10001
ENV PATH=/opt/hms/bin:$PATH HOME=/var/lib/hms XDG_STATE_HOME=/var/lib PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["hms"]
CMD ["--help"]
