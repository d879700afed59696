import fs from 'node:fs';
import path from 'node:path';

/** The variable in which systemd-stub leaves the URL that it was loaded from, as efivarfs calls its file. */
const STUB_DEVICE_URL = 'StubDeviceURL-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';

/** EFI_VARIABLE_BOOTSERVICE_ACCESS and EFI_VARIABLE_RUNTIME_ACCESS: systemd-stub's are volatile. */
const ATTRIBUTES = Buffer.of(6, 0, 0, 0);

/** Makes `directory` look like efivarfs after a boot from `bootUrl`, or after one from elsewhere. */
export function writeStubDeviceUrl(directory: string, bootUrl: string | undefined): void {
  const file = path.join(directory, STUB_DEVICE_URL);
  if (bootUrl === undefined) fs.rmSync(file, { force: true });
  else fs.writeFileSync(file, Buffer.concat([ATTRIBUTES, Buffer.from(`${bootUrl}\0`, 'utf16le')]));
}
