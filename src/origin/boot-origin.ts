import { RdpullError } from '../console/rdpull-error.ts';
import { quotedUrl } from '../console/shown-url.ts';
import { isHttpUrl } from '../request/url.ts';
import { decodeEfiString, EFIVARFS, GLOBAL_GUID, readEfiVariable } from './efi-variable.ts';
import { loadOptionUri } from './load-option.ts';

/** The variables of boot loaders: https://systemd.io/BOOT_LOADER_INTERFACE/. */
const LOADER_GUID = '4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';

/**
 * The boot loaders' variables, best first: where the UKI came from (systemd-stub), where the boot loader came from
 * (systemd-boot), and a name that systemd itself does not use.
 */
const LOADER_VARIABLES = ['StubDeviceURL', 'LoaderDeviceURL', 'LoaderDevicePathURL'] as const;

/** Who told the URL: a boot loader, or the boot entry that the firmware says it has followed. */
export type BootOriginSource = (typeof LOADER_VARIABLES)[number] | 'BootCurrent';

/** Where this machine was booted from. */
export interface BootOrigin {
  /** A valid HTTP or HTTPS URL: the UKI's, or the boot loader's. */
  readonly url: string;
  readonly source: BootOriginSource;
}

/**
 * Asks the EFI variables where this machine was booted from; undefined when it was not over HTTP, or when nobody
 * says so (BIOS, GRUB, iPXE).
 *
 * @param options.efivars where efivarfs is mounted
 * @throws RdpullError bad-url when the first variable that says something says no HTTP URL, file-unreadable when it
 *   exists and cannot be read
 */
export function findBootOrigin(options: { readonly efivars?: string } = {}): BootOrigin | undefined {
  const efivars = options.efivars ?? EFIVARFS;
  for (const source of LOADER_VARIABLES) {
    const payload = readEfiVariable(`${source}-${LOADER_GUID}`, efivars);
    const url = payload === undefined ? '' : trimControls(decodeEfiString(payload));
    if (url !== '') return { url: checkedUrl(url, source), source };
  }
  const url = trimControls(bootEntryUri(efivars) ?? '');
  return url === '' ? undefined : { url: checkedUrl(url, 'BootCurrent'), source: 'BootCurrent' };
}

/** The URI of the boot entry that `BootCurrent` points to. */
function bootEntryUri(efivars: string): string | undefined {
  const current = readEfiVariable(`BootCurrent-${GLOBAL_GUID}`, efivars);
  const [low, high] = current ?? [];
  if (low === undefined || high === undefined) return undefined;
  const number = ((high << 8) | low).toString(16).toUpperCase().padStart(4, '0');
  const entry = readEfiVariable(`Boot${number}-${GLOBAL_GUID}`, efivars);
  return entry === undefined ? undefined : loadOptionUri(entry);
}

/** systemd-stub reads four bytes too many, so that its URL may end in what follows it: 7f 04, an end node. */
function trimControls(url: string): string {
  let end = url.length;
  while (end > 0 && (url.charCodeAt(end - 1) < 0x20 || url.charCodeAt(end - 1) === 0x7f)) end--;
  return url.slice(0, end);
}

function checkedUrl(url: string, source: BootOriginSource): string {
  if (isHttpUrl(url)) return url;
  throw new RdpullError(
    'bad-url',
    `the EFI variable ${source} says that this machine was booted from ${quotedUrl(url)}, which is no http or https URL`,
    'boot over HTTP, or write the whole URL into the pull expression instead of bootorigin',
  );
}
