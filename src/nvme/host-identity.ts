import fs from 'node:fs';
import { RdpullError } from '../console/rdpull-error.ts';
import { identify } from '../origin/machine-identity.ts';
import { nqnDefect } from '../request/nvme-url.ts';

/** Who this machine is to a target: the options hostnqn= and hostid=. */
export interface HostIdentity {
  readonly nqn: string;
  /** A UUID. */
  readonly id: string;
}

/** The NQN that stands for a UUID: NVM Express Base Specification, 4.7. */
const UUID_NQN = 'nqn.2014-08.org.nvmexpress:uuid:';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The identity of this machine: what /etc/nvme/hostnqn and /etc/nvme/hostid say, as for nvme-cli(1), else what its firmware says of it
 * (SMBIOS), else its machine ID: each machine has its own, and the same at every boot. undefined where a machine has none of these: the
 * kernel makes one up then.
 *
 * @param root where etc, run, sys and proc lie
 * @throws RdpullError file-unreadable, when a file holds something else
 */
export function hostIdentity(root = ''): HostIdentity | undefined {
  const nqn = readLine(`${root}/etc/nvme/hostnqn`);
  const id = readLine(`${root}/etc/nvme/hostid`);
  const defect = nqn === undefined ? undefined : nqnDefect(nqn);
  if (defect !== undefined) throw unusable(`${root}/etc/nvme/hostnqn`, `its line ${defect}`);
  if (id !== undefined && !UUID.test(id)) throw unusable(`${root}/etc/nvme/hostid`, 'its line is no UUID');
  const named = nqn?.startsWith(UUID_NQN) ? nqn.slice(UUID_NQN.length) : undefined;
  const known = id ?? (named !== undefined && UUID.test(named) ? named : machineUuid(root));
  if (known === undefined) return undefined;
  return { nqn: nqn ?? `${UUID_NQN}${known}`, id: known };
}

function machineUuid(root: string): string | undefined {
  for (const each of ['uuid', 'machine-id'] as const) {
    try {
      const text = identify(each, root).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
      if (UUID.test(text)) return text;
    } catch (error) {
      // The next one may say it.
      if (!(error instanceof RdpullError)) throw error;
    }
  }
  return undefined;
}

function readLine(file: string): string | undefined {
  try {
    const [line = ''] = fs.readFileSync(file, 'utf8').trim().split('\n');
    return line === '' ? undefined : line.trim();
  } catch {
    return undefined;
  }
}

function unusable(file: string, why: string): RdpullError {
  return new RdpullError(
    'file-unreadable',
    `${file} does not say who this machine is: ${why}`,
    'write one line, as nvme gen-hostnqn prints it, or remove the file',
  );
}
