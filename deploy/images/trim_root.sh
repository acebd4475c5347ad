#!/bin/sh
# Make the user that our programs run as, and take out of the base what installs more, or lets a user become another one.
# Its list of packages stays, for scanners. The image is then copied whole into an empty one: what was removed would stay
# in the layers of the base otherwise.
set -eu
groupadd --gid 10001 presagio
useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/presagio presagio
install -d -o presagio -g presagio /var/lib/presagio
dpkg --purge --force-all apt libapt-pkg6.0 gpgv debian-archive-keyring e2fsprogs logsave mount perl-base >/dev/null
cd "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
rm -rf distutils ensurepip idlelib lib2to3 pydoc_data test tkinter turtledemo config-3* site-packages/pip* \
  /usr/local/bin/pip* /usr/local/include /usr/share/python-wheels /usr/lib/*/gconv /usr/lib/*/perl-base \
  /usr/share/bash-completion /usr/share/gcc /usr/share/info /usr/share/lintian /usr/share/perl5 \
  /usr/bin/dpkg* /var/lib/dpkg/info /var/lib/apt /var/cache/* /var/log/*
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
