# Gateway and operator in one image, entered by command: `python -m lambent_gateway`, `python -m lambent_operator`.
# `make images` prepares the folder in which it is built: wheels/ with pip and all that Lambent needs, lambent/ with its own wheel.
# BASE is Debian 12, from a registry or made from its packages.
ARG BASE=docker.io/library/debian:12-slim

FROM ${BASE} AS python
RUN { command -v python3.11 >/dev/null || { apt-get update && apt-get install -y --no-install-recommends python3 ca-certificates && \
    rm -rf /var/lib/apt/lists/*; }; } && \
    echo 'lambent:x:65532:65532::/nonexistent:/usr/sbin/nologin' >>/etc/passwd && echo 'lambent:x:65532:' >>/etc/group

FROM python AS dependencies
COPY wheels /wheels
RUN python3.11 -m venv --without-pip /opt/lambent && \
    PYTHONPATH=$(echo /wheels/pip-*.whl) /opt/lambent/bin/python -m pip install --no-cache-dir --no-index --find-links=/wheels --requirement=/wheels/requirements.txt

FROM dependencies AS own
COPY lambent /lambent
RUN PYTHONPATH=$(echo /wheels/pip-*.whl) /opt/lambent/bin/python -m pip install --no-cache-dir --no-deps --target=/own /lambent/*.whl && rm -rf /own/bin

FROM python
COPY --from=dependencies /opt/lambent /opt/lambent
COPY --from=own /own /opt/lambent/lib/python3.11/site-packages
# Pods of container-image functions take the agent from here.
RUN ln -s /opt/lambent/lib/python3.11/site-packages/lambent_gateway/runtime_images/agent/build/lambent-agent /usr/local/bin/lambent-agent
ENV PATH=/opt/lambent/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1
USER 65532:65532
CMD ["python", "-m", "lambent_gateway"]
