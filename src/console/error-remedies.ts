import type { ErrorCode } from './rdpull-error.ts';

/** What a code means, wherever it is thrown; the hint of a message knows more of the case at hand. */
interface Explanation {
  /** What has happened. */
  readonly cause: string;
  /** What to try. */
  readonly remedy: string;
}

/** For rdpull-errors(7). The executable does not hold it: nothing in src/ imports it. */
export const ERROR_REMEDIES: Readonly<Record<ErrorCode, Explanation>> = {
  'bad-option': {
    cause:
      'An option, or an environment variable that stands for one, is unknown, has a wrong value, or contradicts another one.',
    remedy: 'Correct it: rdpull COMMAND --help lists what the command takes.',
  },
  'bad-argument': {
    cause:
      'The command, the file or the device that was named is missing, one too many, or of the wrong kind.',
    remedy: 'Compare with rdpull COMMAND --help, and put what contains spaces into quotes.',
  },
  'bad-expression': {
    cause: 'The pull expression does not follow OPTIONS:LOCAL:REMOTE, or lacks an option that it needs.',
    remedy: 'Compare it with rdpull.pull(7); all three fields are needed, and raw, tar or oci, and a class.',
  },
  'bad-url': {
    cause:
      'A URL cannot be used: it has no host or file name, a wrong scheme, or a placeholder without a value.',
    remedy:
      'Write it as http://HOST/FILE, https://HOST/FILE or file:///FILE, special characters percent-encoded.',
  },
  'bad-reference': {
    cause: 'The name of a container image is none, or says no registry, and systemd has no rule that does.',
    remedy: 'Write it as REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:HEX, the name in lower case.',
  },
  'bad-image-name': {
    cause:
      'The image has no name to be stored under, or one that is no plain file name or too long for a unit.',
    remedy: 'Name it with --local=NAME, or between the colons of the expression.',
  },
  'credential-unusable': {
    cause:
      'A token, a login, or a client certificate and its key cannot be read, is damaged, or does not fit together.',
    remedy: 'Make the file anew: one line with the token or USER:PASSWORD; certificate and key in PEM form.',
  },
  'host-unknown': {
    cause: 'The name of the server cannot be resolved, or no name server answers.',
    remedy: 'Check the name and /etc/resolv.conf, or write an IP address into the URL.',
  },
  'connection-refused': {
    cause:
      'The host answers, but nothing listens on the port; before the network is up, there may be no route either.',
    remedy: 'Check that the web server runs, the port, and the route to it (ip route).',
  },
  'host-unreachable': {
    cause: 'There is no route to the server, or to its network.',
    remedy: 'Check the cable, the address (ip addr) and the route (ip route).',
  },
  'connection-timeout': {
    cause: 'The host does not answer.',
    remedy: 'Check that it is switched on, the network to it, and any firewall between.',
  },
  'connection-lost': {
    cause: 'The server, the proxy or the network has ended the connection too early.',
    remedy: 'Try again; if it ends at the same place, look at the log of the server or the proxy.',
  },
  'transfer-stalled': {
    cause: 'The connection stands, but the server or the proxy has stopped sending, or never began.',
    remedy: 'Look at the load and the log of the server, then try again.',
  },
  'tls-untrusted': {
    cause:
      'The certificate of the server is not of a trusted CA, not for this name, or not valid at this time.',
    remedy: 'Check the clock (date), the name in the URL, and name the CA with --ca=FILE.',
  },
  'tls-failed': {
    cause: 'No secure connection could be made: the port may not speak https, or only an old version of TLS.',
    remedy: 'Check the port; where the server asks for a client certificate, use --cert=FILE and --key=FILE.',
  },
  'ca-unusable': {
    cause: 'There are no CA certificates to check an https server against, or they cannot be read.',
    remedy: 'Name them with --ca=FILE, in PEM form, or put the bundle of ca-certificates into the initrd.',
  },
  'proxy-refused': {
    cause: 'The proxy wants a login, or does not connect to this server.',
    remedy:
      'Put the login into the URL of the proxy, look at its rules, or pass it by (--proxy= or NO_PROXY).',
  },
  'dhcp-lease-missing': {
    cause: 'An address or a URL is to come from DHCP, and no DHCP client of this machine has a lease.',
    remedy: 'Bring the network up by DHCP (ip=dhcp, networkctl status), or write the whole URL.',
  },
  'dhcp-url-missing': {
    cause: 'The DHCP lease of this machine names neither an http URL nor a server to boot from.',
    remedy:
      'Look at what it says (rdpull origin), and have the DHCP server send a boot file name, a root path or a next server; systemd-networkd before 262 keeps the last two only.',
  },
  'nvme-subsystem-unknown': {
    cause: 'The NVMe server answers, and has no subsystem of this name, or none at all for this machine.',
    remedy:
      'Compare the name with what the target says; without one in the URL, rdpull asks the server what it has.',
  },
  'nvme-subsystem-ambiguous': {
    cause: 'The NVMe server has several subsystems, and nothing says which one is meant.',
    remedy:
      'Name it in the URL: nvme+tcp://HOST:PORT/SUBSYSTEM-NQN; or give the image the name that the subsystem ends in.',
  },
  'nvme-namespace-unknown': {
    cause:
      'The subsystem has not the namespace that the URL names, none at all, or several and the URL names none.',
    remedy:
      'Correct the end of the URL, or leave it out where there is only one; look whether the target has enabled it.',
  },
  'nvme-denied': {
    cause:
      'The NVMe server does not let this machine have the subsystem: by its host NQN, or its secret is wrong or missing; or the server does not show itself with its own.',
    remedy:
      'Allow the host NQN there, or write the allowed one into /etc/nvme/hostnqn; the secrets are the credentials rdpull.dhchap-secret and rdpull.dhchap-ctrl-secret.',
  },
  'nvme-busy': {
    cause:
      'The NVMe server lets one machine at a time have the subsystem, and another one has it, or this one before its reset.',
    remedy:
      'Wait a minute, or switch the other machine off; serve the image read-only where several are to have it.',
  },
  'http-not-found': {
    cause: 'The server has no such file, or none of those that are looked for beside the UKI.',
    remedy: 'Check the name, and that the file lies in the directory that is served.',
  },
  'http-unauthorized': {
    cause: 'The server wants a login, or does not accept the one it got.',
    remedy: 'Give one with --login=FILE or --bearer=FILE, over https.',
  },
  'http-forbidden': {
    cause: 'The server does not give this file to anybody, or not to this machine.',
    remedy: 'Check the permissions of the file on the server, and its rules.',
  },
  'http-server-error': {
    cause: 'The server, or a proxy before it, has trouble of its own (a status of 500 or more).',
    remedy: 'Look at its log, then try again.',
  },
  'http-status': {
    cause: 'The server answers with a status that is neither the file nor one of the other errors here.',
    remedy:
      'Look at the status in the message; for 408 and 429 try later, for 400 a client certificate may be missing.',
  },
  'http-redirect': {
    cause: 'The server redirects too often, from https to http, or to what is no http or https URL.',
    remedy: 'Correct the redirects of the server, or ask for the URL they lead to.',
  },
  'http-web-page': {
    cause: 'What came is a web page, not an image.',
    remedy: 'Open the URL in a browser: the server may ask for a login, or answer missing files with a page.',
  },
  'http-protocol': {
    cause:
      'What answers is no web server, answers in a way that HTTP does not allow, or compresses on the way.',
    remedy: 'Check host and port of the server and the proxy, and turn compression off for the file.',
  },
  'http-length': {
    cause: 'The server has sent more or fewer bytes than it announced.',
    remedy: 'Try again; if it happens again, look at the log of the server.',
  },
  'http-range': {
    cause: 'The server has answered a request for a part of the file with another part.',
    remedy: 'Check the server, and any cache or proxy before it: a plain web server does this right.',
  },
  'http-changed': {
    cause: 'The file was replaced on the server while it was pulled, or the mirrors have different files.',
    remedy: 'Pull again when nobody replaces it any more, and let all mirrors have the same file.',
  },
  'chunk-missing': {
    cause: 'A chunk that the index of an image lists is in none of the stores that were asked.',
    remedy:
      'Upload the chunks, all of them, before the index; keep those of old indexes as long as somebody boots them. store=URL names where they lie.',
  },
  'registry-name-unknown': {
    cause: 'The registry has no image of this name, or shows it to nobody without a login.',
    remedy: 'Check registry and name: skopeo list-tags docker://REGISTRY/NAME. Else give a login.',
  },
  'registry-tag-unknown': {
    cause: 'The registry has the image, but not this tag or digest of it.',
    remedy: 'See which tags there are: skopeo list-tags docker://REGISTRY/NAME; an old digest may be gone.',
  },
  'registry-blob-unknown': {
    cause: 'The registry has the manifest of an image, and not all the layers that it names.',
    remedy: 'Push the image again, to this registry: skopeo copy, podman push.',
  },
  'registry-unauthorized': {
    cause:
      'The registry, or the server that gives out its tokens, wants a login, or another one. Many say so of images that do not exist, too.',
    remedy:
      'Check the name, and give the login with --login=FILE or the credential rdpull.login, over https.',
  },
  'registry-rate-limit': {
    cause: 'The registry was asked too often from this address, or with this login.',
    remedy:
      'Wait for as long as the message says, give a login, or keep the image in a registry of your own.',
  },
  'registry-platform': {
    cause: 'The image was not built for the architecture of this machine.',
    remedy: 'Build it for this one, too (podman build --platform), or take one of those that are listed.',
  },
  'stream-truncated': {
    cause: 'The file ends too early, or is empty.',
    remedy: 'Compare its size with that of the original, and upload it again.',
  },
  'stream-corrupt': {
    cause: 'The compressed stream is damaged: its own checks do not hold.',
    remedy: 'Build or upload the file again, and let a checksum file guard it.',
  },
  'stream-trailing-data': {
    cause: 'Something else follows the end of the compressed stream or the tarball.',
    remedy: 'Upload the file again, as it was made; cut off what somebody has appended to it.',
  },
  'stream-unsupported': {
    cause: 'The file, or what it holds, is of a kind that rdpull does not read.',
    remedy: 'Make a raw image or a tarball, and compress it with xz, zstd, gzip or bzip2, or not at all.',
  },
  'decoder-memory': {
    cause: 'Unpacking needs more memory than rdpull allows itself, or than the machine has left.',
    remedy: 'Compress with usual settings (xz -T0 -6, zstd --long=27 or less), or give the machine more RAM.',
  },
  'limit-exceeded': {
    cause: 'The file or a tarball is larger, deeper, or has more in it, than the limits allow.',
    remedy:
      'Find out what the server sends; when it is meant to be so, raise the limit that the message names (--limit=NAME=VALUE).',
  },
  'index-malformed': {
    cause: 'What ends in .caibx is no index of an image in chunks, or a damaged one.',
    remedy: 'Make it again and upload it: casync make --store=default.castr IMAGE.caibx IMAGE.raw.',
  },
  'oci-malformed': {
    cause: 'A manifest, an index or a configuration of a container image does not follow its format.',
    remedy:
      'Check that a registry answers there: skopeo inspect --raw docker://REFERENCE. Push the image again.',
  },
  'oci-unsupported': {
    cause:
      'What the registry has is no container image, or one of a kind that is not read: old, encrypted, for Windows.',
    remedy: 'Push it in a format of today: skopeo copy --format=oci.',
  },
  'tar-malformed': {
    cause: 'The tarball does not follow its format.',
    remedy:
      'Check that the server has the whole, unchanged file: tar --list shows whether GNU tar can read it.',
  },
  'tar-escape': {
    cause:
      'The tarball holds a file or a link that would be made outside the target directory, or behind a link that leads nowhere.',
    remedy:
      'What leads outside is an attack, or was packed with absolute names (pack with tar -C ROOT .): do not use it. Else pack the tree anew.',
  },
  'manifest-missing': {
    cause: 'There is no checksum file that could list the image, or a side file that it lists is missing.',
    remedy: 'Publish it beside the image: sha256sum IMAGE > IMAGE.sha256, signed unless verify=checksum.',
  },
  'manifest-malformed': {
    cause: 'The checksum file is none, is too long, contradicts itself, or its BEST-BEFORE date is over.',
    remedy: 'Write it anew with sha256sum and sign it again; check the clock of this machine (date).',
  },
  'manifest-not-listed': {
    cause: 'The checksum file does not list the image under its name in the URL.',
    remedy: 'Add the line that sha256sum prints for it, and sign the checksum file again.',
  },
  'checksum-mismatch': {
    cause:
      'The file is not the one whose SHA-256 was promised: it was changed, damaged, or only one of the two was renewed.',
    remedy: 'Renew and sign the checksum file when you changed the image; if you did not, find out who did.',
  },
  'chunk-damaged': {
    cause:
      'A chunk of an image has another digest than its index says, at every store: it was damaged, or replaced by something else.',
    remedy:
      'Remove the chunk from the store and upload it again; look whether the server answers missing files with a page.',
  },
  'tag-unverified': {
    cause: 'A container image was asked for by a tag, which anybody may move who can write to the registry.',
    remedy:
      "Name the digest: skopeo inspect --format '{{.Name}}@{{.Digest}}' docker://REFERENCE prints the reference with it. Or do without: verify=no.",
  },
  'tag-moved': {
    cause: 'The tag of a container image does not stand for the digest that was promised.',
    remedy:
      'Find out who has pushed another image; to boot the one that was promised, name it by the digest alone, without the tag.',
  },
  'signature-missing': {
    cause: 'There is a checksum file, but no signature of it.',
    remedy: 'Sign it: gpg --armor --detach-sign FILE. Or do without signatures: verify=checksum.',
  },
  'signature-malformed': {
    cause: 'The signature file is not a detached signature.',
    remedy: 'Make it anew: gpg --armor --detach-sign FILE, or openssl cms -sign -binary.',
  },
  'signature-bad': {
    cause:
      'The signature does not match the checksum file, is dated wrongly, has expired, or its key may not sign files.',
    remedy: 'Check the clock (date) and sign again; if you did not change the file, find out who did.',
  },
  'signature-unknown-key': {
    cause: 'The signature was made with a key or certificate that is not trusted here.',
    remedy: 'If it is yours, name it with --keyring=FILE or --certificate=FILE or put it into the initrd.',
  },
  'signature-key-revoked': {
    cause: 'The key that made the signature was revoked.',
    remedy: 'Sign with a key that is not, and put that one into the keyring.',
  },
  'signature-key-expired': {
    cause: 'The key or certificate that made the signature is not valid yet, or no longer.',
    remedy:
      'Check the clock (date); if it is right, extend the key and renew the keyring, or sign with another one.',
  },
  'signature-weak': {
    cause: 'The signature uses an algorithm or a key that does not protect against forgery.',
    remedy: 'Sign again with SHA-256 or better, and RSA of enough bits, ECDSA or ed25519.',
  },
  'keyring-missing': {
    cause: 'There is no key and no certificate to check signatures with, or not the file that was named.',
    remedy:
      'Put it into /etc/systemd/import-pubring.pgp or /etc/verity.d of the initrd, or name it with --keyring=FILE or --certificate=FILE.',
  },
  'keyring-malformed': {
    cause: 'A keyring, or a file of certificates, cannot be read or holds none.',
    remedy: 'Write it anew: gpg --export KEY > FILE, or openssl x509 -in CERTIFICATE -out FILE.',
  },
  'file-not-found': {
    cause: 'A file or directory of this machine does not exist.',
    remedy: 'Check the path.',
  },
  'file-unreadable': {
    cause: 'A file of this machine, an EFI variable or a credential cannot be read, or is of the wrong kind.',
    remedy: 'Check its permissions and the disk; in place of bootorigin, write the whole URL.',
  },
  'target-exists': {
    cause: 'An image of this name is there already.',
    remedy: 'Use it (--keep, or rdpull attach), replace it (--force), or take another name (--local=NAME).',
  },
  'target-busy': {
    cause: 'Another rdpull pulls the same image, or the image, its device or its mount point is in use.',
    remedy: 'Wait, or end what uses it: lsblk, findmnt and fuser -vm show what does.',
  },
  'target-unwritable': {
    cause: 'The directory is read-only or none, or this user may not write to it.',
    remedy: 'Name another one with --image-root=DIR, or run rdpull as root.',
  },
  'disk-full': {
    cause: 'The file system, its inodes or a quota ran out, or it allows no file that large.',
    remedy:
      'Make room, name a larger file system with --image-root=DIR, or give the machine more RAM where it is a tmpfs.',
  },
  'no-room': {
    cause: 'The image is larger than its file system or the RAM has room for; nothing was begun.',
    remedy:
      'Make room or a smaller image, give the machine more RAM, name another directory with --image-root=DIR; for an image of mostly holes use --overcommit.',
  },
  'storage-failed': {
    cause:
      'Writing has failed for a reason that is not room or permission: the disk, the file system, or standard output.',
    remedy: 'Look at the kernel log (dmesg) for errors of the disk, and at what else changes the directory.',
  },
  'descriptors-exhausted': {
    cause: 'This process, or the whole machine, has as many files open as it may have.',
    remedy:
      'Let it have more: ulimit -n 1024 in a shell, LimitNOFILE=1024 in a unit; or find out who has them (lsof).',
  },
  'not-root': {
    cause: 'Mounting, attaching devices and unpacking root file systems need root.',
    remedy: 'Run it again as root.',
  },
  'loop-missing': {
    cause: 'The kernel has no loop devices.',
    remedy: 'Run modprobe loop; an initrd has to hold the module.',
  },
  'loop-failed': {
    cause:
      'The kernel has refused to attach or detach a loop device or a partition, or another process holds it up.',
    remedy: 'Look at the kernel log (dmesg) and at losetup -l; rdpull needs Linux 5.8 or later.',
  },
  'loop-not-attached': {
    cause: 'What was to be detached is not attached to a loop device.',
    remedy: 'See what is: losetup -l.',
  },
  'nvme-missing': {
    cause: 'The kernel has no NVMe over TCP, or its module is not loaded.',
    remedy: 'modprobe nvme-tcp; in an initrd, add the module nvme-tcp to what it is built from.',
  },
  'nvme-failed': {
    cause:
      'The kernel does not connect with an NVMe server, or has made no disk of what that has, or cannot authenticate.',
    remedy: 'See what the kernel says: dmesg | grep nvme.',
  },
  'nvme-not-attached': {
    cause: 'What should be detached is no disk of an NVMe server, or is not attached.',
    remedy: 'See what is attached: lsblk, and cat /sys/class/nvme/nvme*/address.',
  },
  'fuse-missing': {
    cause: 'The kernel has no FUSE, by which an image is attached that is not all there (on-demand).',
    remedy: 'Run modprobe fuse; an initrd has to hold the module; or pull without on-demand.',
  },
  'fuse-failed': {
    cause: 'The kernel has refused a FUSE file system, or what answers its reads has failed.',
    remedy: 'Look at the kernel log (dmesg), or pull without on-demand.',
  },
  'nvme-target-missing': {
    cause:
      'The kernel cannot export images over NVMe: its modules nvmet or nvmet-tcp, or configfs, are missing.',
    remedy:
      'Run modprobe -a nvmet nvmet-tcp loop; a container has the modules of its host; or serve without --nvme.',
  },
  'nvme-target-failed': {
    cause: "The kernel's NVMe target has refused a subsystem, a namespace or a port.",
    remedy: 'Look at the kernel log (dmesg), and at what is in /sys/kernel/config/nvmet.',
  },
  'image-unrecognised': {
    cause:
      'The image is empty, packed, damaged, or holds no partition table, file system or root partition that rdpull knows.',
    remedy:
      'Look at it with file and fdisk -l; give the root partition the type of this architecture, or name it with root=.',
  },
  'mount-failed': {
    cause: 'The tree cannot be mounted or unmounted, or one of the two paths is no directory.',
    remedy: 'Make the directory (mkdir -p), and look at findmnt and the kernel log (dmesg).',
  },
  'overlay-unusable': {
    cause:
      'What is written to the root cannot go where overlay= says: the device is missing, full, read-only, encrypted, or has no file system that can hold an upper layer (ext4, xfs, btrfs, f2fs).',
    remedy:
      'Look at it with lsblk -f and dmesg; overlay=tmpfs goes on in memory, and a ? behind the device does so whenever it fails. rdpull formats nothing.',
  },
  'on-demand-impossible': {
    cause:
      'An image cannot be read before all of it is there, and on-demand=require demands it: nothing vouches for its blocks, its format has none, or its server sends no parts of files.',
    remedy:
      'Do what the message says (xz --block-size=1MiB, a verity image, another web server), or leave out =require.',
  },
  'uki-malformed': {
    cause:
      'The UKI is truncated or damaged, or the file is no UKI with a kernel, an initrd and a command line.',
    remedy: 'Look at it with file and objdump -h, or ukify inspect; make or copy it anew.',
  },
  'boot-incomplete': {
    cause:
      'A boot needs something that rdpull check has not found, or a pull of this boot was stopped before its end.',
    remedy: 'Do what stands behind each line that rdpull check or rdpull status has marked.',
  },
  internal: {
    cause: 'rdpull itself has a defect.',
    remedy: 'Run the command again with --verbose, and report what it prints.',
  },
};
