#!/bin/sh
# Writes the name servers that systemd-networkd has learnt to /run/rdpull/resolv.conf, where /etc/resolv.conf points to:
# networkd leaves that to systemd-resolved, which many initrds lack.
set -eu

state=${1:-/run/systemd/netif/state}
conf=${2:-/run/rdpull/resolv.conf}
[ -r "$state" ] || exit 0

servers='' domains=''
while IFS='=' read -r name value; do
    case "$name" in
        DNS) servers=$value ;;
        DOMAINS) domains=$value ;;
    esac
done <"$state"

mkdir -p "${conf%/*}"
{
    for server in $servers; do
        # Behind the address: #NAME, for DNS over TLS.
        echo "nameserver ${server%%#*}"
    done
    [ -z "$domains" ] || echo "search $domains"
} >"$conf.$$"
mv -f "$conf.$$" "$conf"
