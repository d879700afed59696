import fs from 'node:fs';
import path from 'node:path';
import { inToolbox } from './toolbox.ts';

const OVMF = '/usr/share/OVMF';

/** Boot loaders' variables: https://systemd.io/BOOT_LOADER_INTERFACE/. */
export const LOADER_GUID = '4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';

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

/** Runs a tool of python3-virt-firmware on a variable store, as `/shared/NAME`. */
export async function editVariables(variables: string, script: string): Promise<string> {
  return await inToolbox('forky', path.dirname(variables), script);
}

/** Sets a variable of the boot loaders in a variable store: UTF-16 with a final NUL, as systemd writes it. */
export async function setLoaderVariable(variables: string, name: string, text: string): Promise<void> {
  const json = `${variables}.json`;
  const data = Buffer.from(`${text}\0`, 'utf16le').toString('hex');
  // EFI_VARIABLE_NON_VOLATILE, _BOOTSERVICE_ACCESS and _RUNTIME_ACCESS.
  const variable = { name, guid: LOADER_GUID, attr: 7, data };
  fs.writeFileSync(json, JSON.stringify({ version: 2, variables: [variable] }));
  const store = path.basename(variables);
  await editVariables(
    variables,
    `virt-fw-vars --inplace /shared/${store} --set-json /shared/${store}.json >&2`,
  );
}
