import fs from 'node:fs';
import { printable } from '../../console/printable.ts';
import { reasonWithoutPath } from '../../kernel/system-error.ts';
import { assignments } from './assignments.ts';
import { type DhcpLease, dhcpLease, type LeaseText } from './dhcp-lease.ts';

/** What is read of a file, in bytes, and of how many in a directory: no machine has more interfaces with a lease. */
const LONGEST = 64 * 1024;
const MOST = 64;

/** Files in which DHCP clients keep leases. */
interface LeaseFiles {
  readonly directory: string;
  /** A file's name; the first group is the interface, or its number. */
  readonly name: RegExp;
  readonly fields: (values: ReadonlyMap<string, string>) => LeaseText;
}

/** In the order in which they are asked. */
const LEASE_FILES: readonly LeaseFiles[] = [
  {
    // systemd-networkd before 262 (dhcp_lease_save() of sd-dhcp-lease.c): neither boot file nor TFTP server, and a root path where
    // RequestOptions= of the .network file has 17.
    directory: '/run/systemd/netif/leases',
    name: /^(\d+)$/,
    fields: (values) => ({
      rootPath: values.get('ROOT_PATH'),
      nextServer: values.get('NEXT_SERVER'),
      gateway: values.get('ROUTER'),
      dhcpServer: values.get('SERVER_ADDRESS'),
    }),
  },
  {
    // NetworkManager (nm_config_device_state_write() of nm-config.c, since 1.18; the section [dhcp4] since 1.42).
    directory: '/run/NetworkManager/devices',
    name: /^(\d+)$/,
    fields: (values) => ({
      bootFile:
        values.get('dhcp-bootfile') ?? values.get('dhcp4.bootfile_name') ?? values.get('dhcp4.filename'),
      rootPath: values.get('root-path') ?? values.get('dhcp4.root_path'),
      tftpServer: values.get('dhcp4.tftp_server_name'),
      nextServer: values.get('next-server') ?? values.get('dhcp4.next_server'),
      gateway: values.get('dhcp4.routers'),
      dhcpServer: values.get('dhcp4.dhcp_server_identifier'),
    }),
  },
  {
    // dracut, of dhclient's variables (modules.d/35network-legacy/dhclient-script.sh) or NetworkManager's (35network-manager).
    directory: '/tmp',
    name: /^dhclient\.(.+)\.dhcpopts$/,
    fields: (values) => ({
      bootFile: values.get('new_bootfile_name') ?? values.get('new_filename') ?? values.get('filename'),
      rootPath: values.get('new_root_path'),
      tftpServer: values.get('new_tftp_server_name'),
      nextServer: values.get('new_next_server'),
      gateway: values.get('new_routers'),
      dhcpServer: values.get('new_dhcp_server_identifier'),
    }),
  },
  {
    // klibc's ipconfig, or what stands in for it in the initrd of initramfs-tools.
    directory: '/run',
    name: /^net-(.+)\.conf$/,
    fields: (values) => ({
      bootFile: values.get('filename'),
      rootPath: values.get('ROOTPATH'),
      nextServer: values.get('ROOTSERVER'),
      gateway: values.get('IPV4GATEWAY'),
    }),
  },
  {
    // The kernel's own client, with ip=dhcp on its command line (net/ipv4/ipconfig.c: pnp_seq_show()).
    directory: '/proc/net',
    name: /^(?:pnp)$/,
    fields: (values) => ({ nextServer: values.get('bootserver') }),
  },
];

/**
 * The leases in files.
 *
 * @param root where run, tmp, proc and sys lie
 * @param detail takes a line about a file that cannot be read
 */
export function leasesInFiles(root: string, detail: (text: string) => void): DhcpLease[] {
  const names = interfaceNames(root);
  return LEASE_FILES.flatMap(({ directory, name, fields }) =>
    entries(`${root}${directory}`)
      .filter((entry) => name.test(entry))
      .slice(0, MOST)
      .flatMap((entry) => {
        const source = `${root}${directory}/${entry}`;
        const text = read(source, detail);
        if (text === undefined) return [];
        // The kernel's file has spaces where others have equals signs.
        const values = assignments(directory === '/proc/net' ? text.replaceAll(/^(\S+)\s+/gm, '$1=') : text);
        const [, device] = name.exec(entry) ?? [];
        const known = device === undefined || !/^\d+$/.test(device) ? device : names.get(Number(device));
        return dhcpLease(source, known, fields(values)) ?? [];
      }),
  );
}

/** Interfaces by their numbers. */
export function interfaceNames(root: string): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const name of entries(`${root}/sys/class/net`)) {
    const index = read(`${root}/sys/class/net/${name}/ifindex`, () => undefined);
    if (index !== undefined) names.set(Number(index), name);
  }
  return names;
}

function entries(directory: string): string[] {
  try {
    return fs.readdirSync(directory).sort((one, other) => one.localeCompare(other, 'en', { numeric: true }));
  } catch {
    return [];
  }
}

/** The beginning of a file; undefined when there is none. A link is not followed: anybody may put one into /tmp. */
function read(file: string, detail: (text: string) => void): string | undefined {
  let descriptor: number | undefined;
  try {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
    descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!fs.fstatSync(descriptor).isFile()) return undefined;
    const buffer = Buffer.alloc(LONGEST);
    return buffer.toString('utf8', 0, fs.readSync(descriptor, buffer, 0, LONGEST, 0));
  } catch (error) {
    detail(`${printable(file)} cannot be read: ${reasonWithoutPath(error)}`);
    return undefined;
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor);
  }
}
