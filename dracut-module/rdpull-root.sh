#!/bin/sh
# dracut hook (cmdline): dracut before 107 refuses root=bind:, which systemd and rdpull know.

# shellcheck disable=SC2154 # dracut sets root, and reads rootok
case "$root" in
    bind:*)
        # shellcheck disable=SC2034
        rootok=1
        ;;
esac
