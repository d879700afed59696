import { RdpullServe } from '../../fixtures/rdpull-serve.ts';
import { httpBoot, publishUki } from '../http-boot.ts';
import { makeDisk, pack } from '../image.ts';
import { expectBooted, expectConsole } from '../lab.ts';
import { MARK } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { makeSystemdRoot } from '../systemd-root.ts';

const UNIT = 'rdpull-report-root.service';

/** What the real root knows of the unit that has come through switch-root. */
const STATE = `
for second in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  sleep 3
  [ "$(systemctl show --property=ActiveState ${UNIT})" != ActiveState=active ] && break
done
echo "${MARK} unit $(systemctl show --property=ActiveState,Result ${UNIT} | tr '\\n' ' ')"
echo "${MARK} failed $(systemctl --failed --no-legend --plain)."
echo "${MARK} journal $(journalctl --boot --output=cat --identifier=rdpull | grep 'the root was switched to' | tail -n 1)."
`;

/** What has to be told, in this order; how far it is may come between. */
const TOLD = ['pull-started', 'pull-finished', 'image-exposed', 'root-mounted', 'root-switched'];

/** Machines that tell the server how they fare. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'reports',
    title: 'rdpull serve is told of each step of a boot, and after switch-root that the root was switched to',
    async run(lab) {
      const tree = await makeSystemdRoot(lab.file('tree'), 'forky', STATE);
      await makeDisk(tree, 'ext4', `${lab.served}/image.raw`);
      await pack(`${lab.served}/image.raw`, 'zst');
      await publishUki(lab, 'rd.systemd.pull=raw,machine,verify=checksum,bootorigin:: rw');
      await using server = await RdpullServe.forBoot(lab.served, ['--json']);
      const guest = httpBoot(lab, { url: (name) => `http://10.0.2.2:${server.port}/${name}` });
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} unit .*Result=success`));
      expectConsole(guest, new RegExp(`${MARK} failed \\.`));
      expectConsole(guest, new RegExp(`${MARK} journal the root was switched to\\.`));
      const { stdout, stderr } = await server.stop();
      const reports = stdout.split('\n').filter((line) => line.startsWith('{"event":"report"'));
      const told = reports.map((line): string => JSON.parse(line).report.event);
      const steps = told.filter((event) => event !== 'progress' && event !== 'server-awaited');
      if (steps.join() !== TOLD.join())
        throw new Error(`the server was told ${steps.join(', ')}, and not ${TOLD.join(', ')}`);
      lab.notes.push(`what rdpull serve said:\n${stderr}`, ...reports);
    },
  },
];
