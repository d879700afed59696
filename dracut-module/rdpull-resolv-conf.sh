#!/bin/sh
# Writes the name servers that systemd-networkd has learnt to /run/rdpull/resolv.conf, where /etc/resolv.conf points to:
# networkd leaves that to systemd-resolved, which many initrds lack. It runs at every change of the network, and forks nothing
# unless there is something to write.
set -eu

state=/run/systemd/netif/state
conf=/run/rdpull/resolv.conf
[ -r $state ] || exit 0

content=''
add() {
    content="$content$*
"
}
while IFS='=' read -r name value; do
    case "$name" in
        DNS)
            for server in $value; do
                # Behind the address: #NAME, for DNS over TLS.
                add nameserver "${server%%#*}"
            done
            ;;
        DOMAINS) add search "$value" ;;
    esac
done <$state

before=''
if [ -e $conf ]; then
    while read -r line; do
        before="$before$line
"
    done <$conf
fi
[ "$content" != "$before" ] || exit 0

[ -d ${conf%/*} ] || mkdir -p ${conf%/*}
printf '%s' "$content" >$conf.new.$$
mv -f $conf.new.$$ $conf
