#!/bin/bash
# dracut module: an initrd that pulls its root image. Installed as /usr/lib/dracut/modules.d/90rdpull/; `dracut --add rdpull`
# asks for it. For dracut 059 and later, see dracut.modules(7).
#
# The variables without an assignment here (initdir, moddir, reproducible, systemdsystemunitdir, systemdutildir) are dracut's:
# shellcheck disable=SC2154

# On demand only: an initrd that is 40 MB larger should be somebody's wish.
check() {
    [[ -n $(executable_path) ]] || require_binaries rdpull || return 1
    return 255
}

# Where rdpull is. dracut looks for programs in /usr only; with another PREFIX= it is where the generator's link leads to.
executable_path() {
    local found
    found=$(find_binary rdpull) || found=$(readlink "${dracutsysrootdir-}/etc/systemd/system-generators/systemd-import-generator")
    # The link may be somebody else's.
    [[ ${found##*/} != rdpull || ! -x ${dracutsysrootdir-}$found ]] || echo "$found"
}

# Networking is that of an initrd which has some already, else systemd-networkd, else what dracut finds.
# Images with dm-verity and encrypted credentials are systemd's: where the image has its tools for them, they come along.
depends() {
    local handler network=network
    echo base dracut-systemd udev-rules
    # What these depend on themselves may be missing, and then rdpull would be left out with them.
    ! available dm || ! available systemd-veritysetup || echo systemd-veritysetup
    ! available tpm2-tss || ! available systemd-creds || echo tpm2-tss systemd-creds
    for handler in network-manager connman network-wicked network-legacy; do
        if dracut_module_included "$handler"; then
            echo network
            return 0
        fi
    done
    ! available systemd-networkd || network=systemd-networkd
    echo kernel-network-modules $network
}

# Whether a module that comes on demand only has all that it needs.
available() {
    module_check "$1" >/dev/null 2>&1
    [[ $? == 255 ]]
}

# Whatever the machine that builds the initrd uses: the image decides.
installkernel() {
    hostonly='' instmods loop fuse overlay efivarfs erofs squashfs ext4 btrfs xfs vfat isofs
    # A disk that stays on a server.
    hostonly='' instmods nvme-tcp
    # An image that the firmware has left in memory.
    hostonly='' instmods nfit nd_pmem nd_btt nd_e820 of_pmem
    # What these ask for at run time: checksums, and the character sets of vfat.
    hostonly='' instmods crc32c crc32 =fs/nls
}

install() {
    local executable library file directory
    executable=$(executable_path)
    # One path in every initrd, whatever PREFIX= it was installed with.
    inst_binary "$executable" /usr/bin/rdpull
    # Without section headers dracut does not see all that it is linked with. (They were cut so that strip leaves it alone.)
    while read -r library; do
        inst "$library"
    done < <(ldd "${dracutsysrootdir-}$executable" | sed -n 's/.* => \(\/[^ ]*\) (0x.*/\1/p')

    # Of the same name as systemd's generator, in an earlier directory, and so in place of it.
    inst_dir /etc/systemd/system-generators
    ln_r /usr/bin/rdpull /etc/systemd/system-generators/systemd-import-generator
    # What goes on when the initrd has been left: it gives back its memory, and tells a server that asks how the boot went on.
    mkdir -p "$initdir$systemdsystemunitdir/initrd.target.wants"
    for file in rdpull-free-initramfs.service rdpull-report-root.service; do
        inst_simple "$systemdsystemunitdir/$file"
        ln -sfn "../$file" "$initdir$systemdsystemunitdir/initrd.target.wants/$file"
    done
    # For credentials that are bound to something else than a TPM.
    inst_multiple -o "$systemdsystemunitdir/modprobe@.service" systemd-creds
    inst_rules 60-rdpull-loop-ref.rules 60-rdpull-nvme.rules

    # Whom to trust. These are what verification needs, so they are not left to --hostonly.
    for file in \
        /etc/ssl/certs/ca-certificates.crt \
        /etc/pki/tls/certs/ca-bundle.crt \
        /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem \
        /etc/ssl/ca-bundle.pem \
        /etc/ssl/cert.pem \
        /etc/systemd/import-pubring.pgp \
        /etc/systemd/import-pubring.gpg \
        /usr/lib/systemd/import-pubring.pgp \
        /usr/lib/systemd/import-pubring.gpg; do
        [[ ! -e ${dracutsysrootdir-}$file ]] || inst "$file"
    done
    # Copied as they are: a link to /dev/null in there masks a key.
    for directory in /etc/voa /usr/local/share/voa /usr/share/voa /etc/verity.d /usr/local/lib/verity.d /usr/lib/verity.d; do
        if [[ -d ${dracutsysrootdir-}$directory ]]; then
            mkdir -p "$initdir$directory"
            cp -a -T "${dracutsysrootdir-}$directory" "$initdir$directory"
        fi
    done

    install_clock_epoch

    # First the network, so that dracut's own hooks see it; last the root, when they have said what they wait for.
    inst_hook cmdline 05 "$moddir/rdpull-network.sh"
    inst_hook cmdline 98 "$moddir/rdpull-root.sh"
    inst_hook initqueue 50 "$moddir/rdpull-wait.sh"

    if dracut_module_included systemd-networkd; then
        install_networkd
    fi
}

# A machine without a clock that keeps time starts in 1970. PID 1 moves it forward to the date of this file before anything
# runs (systemd(1)), so that certificates and signatures that were made before the initrd hold. `--reproducible` would give the
# file dracut's own date, an older one, and systemd 252 takes a clock that is 15 years ahead of it for wrong.
install_clock_epoch() {
    [[ ${reproducible-} == yes ]] || : >"$initdir/usr/lib/clock-epoch"
}

# Ethernet by DHCP where nobody says otherwise, one interface is enough, and the name servers are known.
install_networkd() {
    inst_simple "$moddir/zzzz-rdpull.network" /usr/lib/systemd/network/zzzz-rdpull.network
    inst_simple "$moddir/wait-online.conf" "$systemdsystemunitdir/systemd-networkd-wait-online.service.d/rdpull.conf"
    # systemd-resolved has its own way, and an initrd may have brought the file.
    if dracut_module_included systemd-resolved || [[ -e $initdir/etc/resolv.conf || -L $initdir/etc/resolv.conf ]]; then
        return 0
    fi
    inst_script "$moddir/rdpull-resolv-conf.sh" /usr/lib/rdpull/resolv-conf
    inst_simple "$moddir/rdpull-resolv-conf.service" "$systemdsystemunitdir/rdpull-resolv-conf.service"
    inst_simple "$moddir/rdpull-resolv-conf.path" "$systemdsystemunitdir/rdpull-resolv-conf.path"
    mkdir -p "$initdir$systemdsystemunitdir/systemd-networkd.service.wants"
    ln -sfn ../rdpull-resolv-conf.path "$initdir$systemdsystemunitdir/systemd-networkd.service.wants/rdpull-resolv-conf.path"
    mkdir -p "$initdir/etc"
    ln -sfn ../run/rdpull/resolv.conf "$initdir/etc/resolv.conf"
}
