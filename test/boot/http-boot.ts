import type { Suite } from '../fixtures/suite-tree.ts';
import { copyVariables, firmware } from './firmware.ts';
import type { Guest } from './guest.ts';
import type { ImageServer, ServerOptions } from './image-server.ts';
import type { Agent, InitrdFile } from './initrd.ts';
import { CONSOLE, type Lab } from './lab.ts';
import { makeUki } from './uki.ts';

/** What is in a UKI besides its command line, by default rdpull and the newest systemd-stub; and who serves it. */
export interface UkiParts {
  readonly agent?: Agent;
  readonly stub?: Suite;
  /** More files in the initrd. */
  readonly files?: Readonly<Record<string, InitrdFile>>;
  readonly server?: ServerOptions;
}

/** Makes `image.efi`, and serves it with what is to be served. */
export async function serveUki(lab: Lab, commandLine: string, parts: UkiParts = {}): Promise<ImageServer> {
  await publishUki(lab, commandLine, parts);
  return await lab.serve(parts.server);
}

/** Makes `image.efi`, and puts it beside what is to be served. */
export async function publishUki(
  lab: Lab,
  commandLine: string,
  { agent = 'rdpull', stub = 'forky', files = {} }: UkiParts = {},
): Promise<void> {
  const uki = lab.file('image.efi');
  const initrd = await lab.initrd('forky', files, agent);
  await makeUki({ initrd, commandLine: `${CONSOLE} ${commandLine}`, stub }, uki);
  lab.publish(uki);
}

/** Switches on a machine whose DHCP server tells the firmware the URL of the UKI. */
export function httpBoot(lab: Lab, server: Pick<ImageServer, 'url'>): Guest {
  const variables = lab.file('variables.fd');
  copyVariables(variables);
  return lab.start({
    boot: firmware(variables),
    network: `,bootfile=${server.url('image.efi')}`,
    networkDevice: ',bootindex=0',
  });
}
