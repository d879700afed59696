import { copyVariables, firmware } from './firmware.ts';
import type { Guest } from './guest.ts';
import type { ImageServer } from './image-server.ts';
import { CONSOLE, type Lab } from './lab.ts';
import type { Suite } from './toolbox.ts';
import { makeUki } from './uki.ts';

/** Makes `image.efi`, with the newest systemd-stub or that of another suite, and serves it with what is to be served. */
export async function serveUki(lab: Lab, commandLine: string, stub: Suite = 'forky'): Promise<ImageServer> {
  const uki = lab.file('image.efi');
  const initrd = await lab.initrd('forky');
  await makeUki({ initrd, commandLine: `${CONSOLE} ${commandLine}`, stub }, uki);
  lab.publish(uki);
  return await lab.serve();
}

/** Switches on a machine whose DHCP server tells the firmware the URL of a UKI. */
export async function httpBoot(lab: Lab, commandLine: string): Promise<Guest> {
  const server = await serveUki(lab, commandLine);
  const variables = lab.file('variables.fd');
  copyVariables(variables);
  return lab.start({
    boot: firmware(variables),
    network: `,bootfile=${server.url('image.efi')}`,
    networkDevice: ',bootindex=0',
  });
}
