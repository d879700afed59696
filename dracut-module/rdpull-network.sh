#!/bin/sh
# dracut hook (cmdline): a pull needs the network, and DHCP when the command line configures nothing.

# shellcheck source=/dev/null
command -v getarg >/dev/null || . /lib/dracut-lib.sh

# Whether the generator has written a unit that waits for the network.
rdpull_needs_network() {
    for _unit in /run/systemd/generator/rdpull@*.service; do
        [ -e "$_unit" ] || continue
        while read -r _line; do
            case "$_line" in
                Wants=*network-online.target*) return 0 ;;
            esac
        done <"$_unit"
    done
    return 1
}

if rdpull_needs_network; then
    mkdir -p /etc/cmdline.d
    echo rd.neednet=1 >/etc/cmdline.d/05-rdpull.conf
    getarg ip= >/dev/null || echo ip=dhcp >>/etc/cmdline.d/05-rdpull.conf
fi
unset _unit _line
