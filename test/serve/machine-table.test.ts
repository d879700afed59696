import { describe, expect, test } from 'bun:test';
import type { EventLine, MachineLine } from '../../src/report/report-line.ts';
import { stageOf } from '../../src/serve/machine.ts';
import { machineRow } from '../../src/serve/machine-line.ts';
import { MachineTable } from '../../src/serve/machine-table.ts';
import { machineView } from '../../src/serve/machine-view.ts';
import { ReportAllowance } from '../../src/serve/report-allowance.ts';

const id = (boot: number) => `00000000-0000-0000-0000-${String(boot).padStart(12, '0')}`;
const about = (boot: number, more: Partial<MachineLine> = {}): MachineLine => ({ boot: id(boot), ...more });
const TARGET = '/run/machines/root.raw';
const event = (name: EventLine['event'], at: number, more: Partial<EventLine> = {}): EventLine => ({
  ...{ event: name, at, target: TARGET },
  ...more,
});

const FIRMWARE = 'UefiHttpBoot/1.0';

/** How far the only machine of a table is. */
function stageIn(table: MachineTable): string | undefined {
  const boot = table.machines[0]?.boot;
  return boot === undefined ? undefined : stageOf(boot);
}

describe('a boot', () => {
  test('hears nothing twice, where somebody did not hear that it has arrived', () => {
    const table = new MachineTable();
    const told: string[] = [];
    const nothing = () => undefined;
    using _watch = table.watch({
      told: (_, each) => void told.push(each.event),
      ...{ changed: nothing, gone: nothing },
    });
    const tell = (...events: EventLine[]) => table.heard('192.0.2.1', { machine: about(1), events });
    tell(event('pull-started', 4000));
    tell(event('pull-finished', 9000));
    tell(event('pull-started', 4000), event('pull-finished', 9000), event('image-exposed', 9000));
    expect(told).toEqual(['pull-started', 'pull-finished', 'image-exposed']);
    expect(stageIn(table)).toBe('attached');
    // Another one of the same kind is another one.
    tell(event('pull-started', 12_000));
    expect(told.at(-1)).toBe('pull-started');
  });

  test('is followed from the firmware to the root', () => {
    let now = 1000;
    const table = new MachineTable(() => now);
    const stage = () => stageIn(table);
    const fetch = table.fetched('192.0.2.1', FIRMWARE, '/image.efi', 1000);
    fetch?.sent(400);
    expect([stage(), machineRow(table.machines[0] as never, now)]).toEqual([
      'loading the UKI',
      '192.0.2.1  loading image.efi  40 %, 400 of 1000 B',
    ]);
    now += 500;
    fetch?.sent(1000);
    fetch?.ended();
    expect(stage()).toBe('booting the UKI');

    const machine = about(1, { name: 'node3', mac: '52:54:00:00:00:01' });
    const tell = (...events: EventLine[]) => table.heard('192.0.2.1', { machine, events });
    tell(event('pull-started', 4000, { size: 1000 }));
    tell(event('progress', 6000, { received: 250, rate: 100, size: 1000 }));
    expect(table.machines.length).toBe(1);
    expect([stage(), machineRow(table.machines[0] as never, now)]).toEqual([
      'pulling',
      '192.0.2.1 (node3)  pulling root.raw  25 %, 250 of 1000 B, 100 B/s, 7.5 s left',
    ]);
    tell(event('pull-finished', 9000, { verifiedBy: 'signature' }), event('image-exposed', 9500));
    expect(stage()).toBe('attached');
    tell({ event: 'root-mounted', at: 10_000 }, { event: 'root-switched', at: 11_000 });
    expect(stage()).toBe('root switched to');
    const boot = table.machines[0]?.boot;
    expect(boot).toMatchObject({
      begun: 1000,
      mountedAt: 10_000,
      switchedAt: 11_000,
    });
    expect(boot?.uki).toMatchObject({ path: '/image.efi', begun: 1000, ended: 1500 });
    expect(boot?.pulls).toMatchObject([
      { startedAt: 4000, finishedAt: 9000, exposedAt: 9500, failure: undefined },
    ]);
    expect(machineRow(table.machines[0] as never, now)).toBeUndefined();
  });

  test('of several images is as far as the one that is not there yet', () => {
    const table = new MachineTable();
    const tell = (...events: EventLine[]) => table.heard('192.0.2.1', { machine: about(1), events });
    const other = { target: '/run/extensions/tools.raw' };
    tell(event('pull-started', 1), event('pull-started', 2, other), event('pull-finished', 3, other));
    expect(stageIn(table)).toBe('pulling');
    tell(event('pull-finished', 4), event('image-exposed', 5));
    expect(stageIn(table)).toBe('verified');
    tell({ event: 'root-mounted', at: 6 }, { event: 'root-switched', at: 7 });
    // The real root pulls as well.
    tell(event('pull-started', 8, { target: '/var/lib/machines/x.raw' }));
    expect(stageIn(table)).toBe('root switched to');
  });

  test('that failed before it was known what it would pull is over when it pulls', () => {
    const table = new MachineTable();
    const tell = (...events: EventLine[]) => table.heard('192.0.2.1', { machine: about(1), events });
    tell({ event: 'failed', at: 1, error: 'http-not-found', message: 'nothing is there' });
    expect(stageIn(table)).toBe('failed');
    tell(event('pull-started', 2));
    expect(stageIn(table)).toBe('pulling');
    expect(table.machines[0]?.boot?.pulls.length).toBe(1);
  });

  test('that uses another image than the server has says why', () => {
    const table = new MachineTable();
    const message = 'the server is away; the image of yesterday is used in its place';
    const events = [event('image-substituted', 1, { message }), event('pull-started', 2)];
    table.heard('192.0.2.1', { machine: about(1), events });
    const [machine] = table.machines;
    if (machine === undefined) throw new Error('there is no machine');
    expect(machineView(machine)).toMatchObject({ stage: 'pulling', note: message, failure: null });
  });

  test('that says nothing for a while is said to be silent', () => {
    let now = 1000;
    const table = new MachineTable(() => now);
    const events = [
      event('pull-started', 1, { size: 1000 }),
      event('progress', 2, { received: 250, size: 1000 }),
    ];
    table.heard('192.0.2.1', { machine: about(1), events });
    const row = () => machineRow(table.machines[0] as never, now);
    now += 29_000;
    expect(row()).toBe('192.0.2.1  pulling root.raw  25 %, 250 of 1000 B');
    now += 46_000;
    expect(row()).toBe('192.0.2.1  pulling root.raw  25 %, 250 of 1000 B, silent for 1 min 15 s');
  });

  test('that failed is one that goes on when somebody tries it again', () => {
    const table = new MachineTable();
    const tell = (each: EventLine) => table.heard('192.0.2.1', { machine: about(1), events: [each] });
    tell(event('pull-started', 1));
    tell(
      event('failed', 2, { error: 'checksum-mismatch', message: 'no', hint: 'try', retry: 'rdpull pull x' }),
    );
    expect(stageIn(table)).toBe('failed');
    expect(table.machines[0]?.boot?.pulls).toMatchObject([{ failure: { error: 'checksum-mismatch' } }]);
    tell(event('pull-started', 3));
    expect(stageIn(table)).toBe('pulling');
    expect(table.machines[0]?.boot?.pulls).toMatchObject([{ failure: undefined }]);
  });

  test('is one of the last six of its machine, and has four images at most', () => {
    const table = new MachineTable();
    for (let boot = 1; boot <= 20; boot++) {
      const events = Array.from({ length: 9 }, (_, index) =>
        event('pull-started', 1, { target: `/t/${index}` }),
      );
      table.heard('192.0.2.1', { machine: about(boot), events });
    }
    const [machine] = table.machines;
    expect(machine?.boots.map((boot) => boot.id)).toEqual([20, 19, 18, 17, 16, 15].map(id));
    expect(machine?.boot?.pulls.map(({ target }) => target)).toEqual(['/t/8', '/t/7', '/t/6', '/t/5']);
  });
});

describe('who is who', () => {
  test('machines behind one address are told apart, and what the firmware has fetched there belongs to who reports next', () => {
    const table = new MachineTable();
    const [one, other] = [about(1, { mac: '52:54:00:00:00:01' }), about(2, { mac: '52:54:00:00:00:02' })];
    table.heard('10.0.2.2', { machine: one, events: [] });
    table.heard('10.0.2.2', { machine: other, events: [] });
    expect(table.machines.length).toBe(2);
    table.fetched('10.0.2.2', FIRMWARE, '/image.efi', 10);
    expect(table.machines.length).toBe(3);
    table.heard('10.0.2.2', { machine: { ...one, boot: id(3) }, events: [] });
    expect(table.machines.map(({ boots }) => boots.map((boot) => [boot.id, boot.uki?.path]))).toEqual([
      [
        [id(3), '/image.efi'],
        [id(1), undefined],
      ],
      [[id(2), undefined]],
    ]);
  });

  test('a UKI that is fetched by something else than a firmware is no boot', () => {
    const table = new MachineTable();
    expect(table.fetched('192.0.2.1', 'curl/7.88.1', '/image.efi', 10)).toBeUndefined();
    expect(table.fetched('192.0.2.1', undefined, '/image.efi', 10)).toBeUndefined();
    expect(table.fetched('192.0.2.1', FIRMWARE, '/image.raw', 10)).toBeUndefined();
    expect(table.machines).toEqual([]);
    for (const agent of ['iPXE/1.21.1', 'U-Boot/2026.01']) {
      expect(table.fetched(agent, agent, '/image.efi', 10)).toBeDefined();
    }
  });
});

describe('thousands of names', () => {
  test('drive out those behind the same address, and nobody else', () => {
    const table = new MachineTable();
    table.heard('192.0.2.1', { machine: about(1, { name: 'honest' }), events: [] });
    for (let boot = 2; boot < 5000; boot++) {
      table.heard('192.0.2.66', {
        machine: about(boot, { name: `n${boot}`, serial: `${boot}` }),
        events: [],
      });
    }
    expect(table.machines.length).toBe(257);
    expect(table.machines[0]?.boot?.about?.name).toBe('honest');
  });

  test('from many addresses are bounded as well, and the most crowded address loses first', () => {
    const table = new MachineTable();
    table.heard('192.0.2.1', { machine: about(1), events: [] });
    for (let boot = 2; boot < 5000; boot++) {
      table.heard(`198.51.100.${boot % 8}`, { machine: about(boot, { serial: `${boot}` }), events: [] });
    }
    expect(table.machines.length).toBe(512);
    expect(table.machines[0]?.address).toBe('192.0.2.1');
  });
});

describe('an address may report', () => {
  test('so much at once, and so much a second', () => {
    let now = 0;
    const allowance = new ReportAllowance(() => now);
    expect(allowance.take('a', 2000)).toBe(true);
    expect(allowance.take('a', 1)).toBe(false);
    expect(allowance.take('b', 2000)).toBe(true);
    now += 1000;
    expect(allowance.take('a', 401)).toBe(false);
    expect(allowance.take('a', 400)).toBe(true);
  });

  test('and who has been silent for the longest time is forgotten first', () => {
    const allowance = new ReportAllowance(() => 0);
    expect(allowance.take('a', 2000)).toBe(true);
    for (let index = 0; index < 1023; index++) allowance.take(`other ${index}`, 1);
    expect(allowance.take('a', 1)).toBe(false);
    for (let index = 0; index < 1024; index++) allowance.take(`third ${index}`, 1);
    expect(allowance.take('a', 1)).toBe(true);
  });
});
