import fs from 'node:fs';
import path from 'node:path';
import { inToolbox } from './toolbox.ts';

const OVMF = '/usr/share/OVMF';

/** Boot loaders' variables: https://systemd.io/BOOT_LOADER_INTERFACE/. */
const LOADER_GUID = '4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';

/** A variable store of OVMF, as it is delivered. */
export function copyVariables(file: string): void {
  fs.copyFileSync(`${OVMF}/OVMF_VARS_4M.fd`, file);
}

/** Options of QEMU for a machine that starts with OVMF, and can boot over HTTP from its network device. */
export function firmware(variables: string): string[] {
  return [
    ...['-drive', `if=pflash,format=raw,unit=0,readonly=on,file=${OVMF}/OVMF_CODE_4M.fd`],
    ...['-drive', `if=pflash,format=raw,unit=1,file=${variables}`],
    // HTTP alone: each of the others would be tried before it, and time out.
    ...['-fw_cfg', 'name=opt/org.tianocore/IPv4PXESupport,string=n'],
    ...['-fw_cfg', 'name=opt/org.tianocore/IPv6PXESupport,string=n'],
  ];
}

/**
 * Sets a variable of the boot loaders: UTF-16 with a final NUL, as systemd writes it.
 *
 * @param variables a variable store
 */
export async function setLoaderVariable(variables: string, name: string, text: string): Promise<void> {
  const data = Buffer.from(`${text}\0`, 'utf16le');
  await setVariables(variables, [{ name, guid: LOADER_GUID, attr: ATTRIBUTES, data }]);
}

/**
 * Registers a boot entry with kernel-bootcfg, as on a running machine: it finds files like those of efivarfs, and what
 * it writes there gets into the variable store.
 */
export async function registerBootEntry(variables: string, url: string): Promise<void> {
  const efivarfs = `${variables}.efivarfs`;
  fs.mkdirSync(efivarfs);
  await inToolbox(
    'forky',
    path.dirname(variables),
    `mkdir -p /sys/firmware/efi
ln -s "/shared/$1" /sys/firmware/efi/efivars
kernel-bootcfg --add-uri="$2" --title=rdpull --boot-order=0 >&2`,
    [path.basename(efivarfs), url],
  );
  const written = fs.readdirSync(efivarfs).map((file): Variable => {
    const content = fs.readFileSync(path.join(efivarfs, file));
    // NAME-GUID; four bytes of attributes.
    return {
      name: file.slice(0, -37),
      guid: file.slice(-36),
      attr: content.readUInt32LE(0),
      data: content.subarray(4),
    };
  });
  await setVariables(variables, written);
}

/** What is in a variable store, as virt-fw-vars of kernel-bootcfg's project shows it: a boot entry has its device path. */
export async function bootMenu(variables: string): Promise<string> {
  const script = 'virt-fw-vars --input "/shared/$1" --print --verbose';
  return await inToolbox('forky', path.dirname(variables), script, [path.basename(variables)]);
}

interface Variable {
  readonly name: string;
  readonly guid: string;
  readonly attr: number;
  readonly data: Buffer;
}

/** EFI_VARIABLE_NON_VOLATILE, _BOOTSERVICE_ACCESS and _RUNTIME_ACCESS (UEFI specification, section 8.2). */
const ATTRIBUTES = 7;

async function setVariables(file: string, variables: readonly Variable[]): Promise<void> {
  const encoded = variables.map((variable) => ({ ...variable, data: variable.data.toString('hex') }));
  fs.writeFileSync(`${file}.json`, JSON.stringify({ version: 2, variables: encoded }));
  const script = 'virt-fw-vars --inplace "/shared/$1" --set-json "/shared/$1.json" >&2';
  await inToolbox('forky', path.dirname(file), script, [path.basename(file)]);
}
