#!/bin/sh
# install_debian.sh PACKAGE...: install what tests use as real parts, where this machine lets us, and start nothing.
#
# Where it may not or cannot, it says in one line which tests will be skipped, and succeeds: a missing part is no failure.
set -eu

skipped() {
    echo "tests that need $packages will be skipped: $1"
    exit 0
}

packages=$*
[ "${APT:-yes}" != no ] || skipped "APT=no"
command -v apt-get >/dev/null || skipped "there is no apt-get here"
if [ "$(id -u)" != 0 ]; then
    { command -v sudo && sudo -n true; } >/dev/null 2>&1 || skipped "neither root nor sudo without a password; run apt-get install $packages"
    exec sudo -n sh "$0" "$@"
fi

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
mark="groundstation's tests are being installed: start nothing"
finish() {
    ! grep -qs "$mark" "$policy" || rm -f "$policy"
    rm -f "$log"
    [ -z "${dots:-}" ] || kill "$dots" 2>/dev/null || true
}
trap finish EXIT
trap 'exit 130' INT TERM

# Two checkouts may come here at once. The second then finds everything installed.
exec 8>/run/groundstation-tests.lock
! command -v flock >/dev/null || flock 8

# Debian starts a server when its package is installed, unless this file says otherwise.
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\n# %s\nexit 101\n' "$mark" >"$policy"
    chmod 755 "$policy"
fi

printf 'installing %s ' "$packages"
while kill -0 $$ 2>/dev/null; do printf . && sleep 2; done 8>&- &
dots=$!
if apt-get update >"$log" 2>&1 &&
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=300 $packages \
        </dev/null >>"$log" 2>&1; then
    echo ' done'
else
    echo ' failed:'
    tail -n 15 "$log"
    skipped "apt-get could not install them"
fi

# Nor shall they start with the machine: nobody asked for a broker here, only for its program.
for package in $packages; do
    ! command -v systemctl >/dev/null || systemctl --quiet disable "$package.service" >/dev/null 2>&1 || true
done
