import { printable, quoted } from '../console/printable.ts';
import { size } from '../console/quantity.ts';
import type { Reporter } from '../console/reporter.ts';
import type { AttachedLoopDevice } from '../expose/loop-device.ts';
import type { TransferRecord } from '../record/transfer-record.ts';
import type { Exposed } from './exposure.ts';
import type { ExposedJson } from './json-results.ts';

/** Lines for a person: the device, its partitions and which is the root; or the mount point. */
export function exposedLines({ device, root, mount }: Exposed): string[] {
  if (mount !== undefined) return [mount];
  if (device === undefined) return [];
  return [...deviceLines(device), ...(root === undefined ? [] : [`root: ${root}`])];
}

/** The device, then a line for each partition: path, size, type and name. */
export function deviceLines({
  device,
  partitions,
}: Pick<AttachedLoopDevice, 'device' | 'partitions'>): string[] {
  const rows = partitions.map(({ path, size: bytes, type, name }) =>
    [path, size(bytes), type, name === undefined || name === '' ? '' : quoted(name)]
      .filter(Boolean)
      .join('  '),
  );
  return [device, ...rows];
}

/** The same for `--json`. */
export function exposedJson({ device, root, mount }: Exposed): ExposedJson {
  return {
    ...(mount !== undefined && { mount }),
    ...(device !== undefined && { loop: device }),
    ...(root !== undefined && { root }),
  };
}

/** The same for the record. */
export function exposedPlaces({
  device,
  root,
  mount,
}: Exposed): Pick<TransferRecord, 'device' | 'root' | 'mount'> {
  return {
    ...(device !== undefined && { device: device.device }),
    ...(root !== undefined && { root }),
    ...(mount !== undefined && { mount }),
  };
}

/** The journal hears where an image was attached or mounted; a person sees it as the result. */
export function tellExposed(reporter: Reporter, target: string, { device, root, mount }: Exposed): void {
  const where = device?.device ?? mount;
  if (where === undefined) return;
  const shown = printable(target);
  reporter.detail(`${shown} is ready at ${printable(where)}`, {
    event: 'image-exposed',
    target: shown,
    loop: device?.device,
    root,
    mount: mount === undefined ? undefined : printable(mount),
  });
}
