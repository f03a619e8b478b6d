# One image for web, workers and beat; they differ by command. Runs as an ordinary user, carries no secret.
FROM python:3.11-slim AS build
WORKDIR /srv/marketplace
COPY requirements.txt ./
RUN python -m venv /opt/environment && /opt/environment/bin/pip install --no-cache-dir --require-hashes -r requirements.txt

FROM python:3.11-slim
ENV PATH="/opt/environment/bin:$PATH" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --home-dir /srv/marketplace --shell /usr/sbin/nologin marketplace \
    && mkdir -p /srv/marketplace /srv/files && chown marketplace /srv/files
WORKDIR /srv/marketplace
COPY --from=build /opt/environment /opt/environment
COPY . .
USER marketplace
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/api/v1/health', timeout=2)"]
CMD ["granian", "--interface", "wsgi", "--factory", "wsgi:create", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "8"]
