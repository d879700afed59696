import fs from 'node:fs';
import type { Change, ImageRegistry } from '../../fixtures/image-registry.ts';
import { directBoot } from '../direct-boot.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { MARK, type RootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { makeSystemdRoot } from '../systemd-root.ts';

/** What the root says of its layers: what the second has put there, and what the third has taken away. */
const REPORT = `
echo "${MARK} layers $(cat /etc/greeting) $(ls /usr/share/lab | tr '\\n' ' ')"
echo "${MARK} failed $(systemctl --failed --no-legend --plain)."
`;

const NAME = 'os/image';

/** How a guest has to write the name of an image: to it, this machine is another one. */
const inGuest = ({ port }: ImageRegistry, name: string) => `http://10.0.2.2:${port}/${name}`;

interface Site {
  readonly tree: RootTree;
  readonly registry: ImageRegistry;
  readonly layers: readonly Change[];
}

/** A registry, and a root with systemd in three layers: all of it, more of it, and less of it. */
async function makeSite(lab: Lab): Promise<Site> {
  const registry = await lab.registry();
  const tree = await makeSystemdRoot(lab.file('tree'), 'forky', REPORT);
  fs.mkdirSync(`${tree.directory}/usr/share/lab/gone/deep`, { recursive: true });
  fs.writeFileSync(`${tree.directory}/usr/share/lab/gone/deep/file`, 'of the first layer\n');
  fs.writeFileSync(`${tree.directory}/usr/share/lab/kept`, 'of the first layer\n');
  const greeting = lab.file('greeting');
  fs.writeFileSync(greeting, 'second\n');
  return {
    tree,
    registry,
    layers: [
      { kind: 'insert', from: tree.directory, to: '/' },
      { kind: 'insert', from: greeting, to: '/etc/greeting' },
      { kind: 'whiteout', what: '/usr/share/lab/gone' },
    ],
  };
}

/** Another image, of which nothing may be booted. */
async function pushAnother(lab: Lab, registry: ImageRegistry, name: string): Promise<string> {
  const file = lab.file('another');
  fs.writeFileSync(file, 'another image\n');
  return registry.push(name, [{ kind: 'insert', from: file, to: '/another' }]);
}

async function expectLayers(lab: Lab, commandLine: string, { tree }: Site): Promise<void> {
  const guest = await directBoot(lab, { commandLine });
  await expectBooted(lab, guest, tree);
  expectConsole(guest, new RegExp(`${MARK} layers second kept`));
  expectConsole(guest, new RegExp(`${MARK} failed \\.`));
}

/** A machine that boots a container image out of a registry, with nothing but a line on its kernel command line. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'oci',
    title: 'a container image with systemd in three layers, one of them with whiteouts, by its tag',
    async run(lab) {
      const site = await makeSite(lab);
      await site.registry.push(`${NAME}:1`, site.layers);
      const reference = inGuest(site.registry, `${NAME}:1`);
      await expectLayers(lab, `rd.systemd.pull=oci,machine,verify=no:root:${reference}`, site);
    },
  },
  {
    name: 'oci-digest',
    title: 'the same by its digest, though its tag stands for another image, and with root=bind:',
    async run(lab) {
      const site = await makeSite(lab);
      const digest = await site.registry.push(`${NAME}:1`, site.layers);
      await pushAnother(lab, site.registry, `${NAME}:1`);
      const reference = inGuest(site.registry, `${NAME}@${digest}`);
      const commandLine = `rd.systemd.pull=oci,machine:root:${reference} root=bind:/run/machines/root`;
      await expectLayers(lab, commandLine, site);
    },
  },
  {
    name: 'oci-moved-tag',
    title: 'a tag that was moved to another image, under a digest that was pinned, does not boot',
    async run(lab) {
      const registry = await lab.registry();
      const pinned = await pushAnother(lab, registry, `${NAME}:old`);
      fs.writeFileSync(lab.file('moved'), 'moved\n');
      const moved = await registry.push(`${NAME}:1`, [
        { kind: 'insert', from: lab.file('moved'), to: '/moved' },
      ]);
      const reference = inGuest(registry, `${NAME}:1@${pinned}`);
      const guest = await directBoot(lab, { commandLine: `rd.systemd.pull=oci,machine:root:${reference}` });
      const said = new RegExp(`the tag 1 stands for ${moved}, and ${pinned} was promised`);
      await guest.waitFor(said, new RegExp(`${MARK} booted|Kernel panic`));
      lab.report(guest);
    },
  },
];
