import fs from 'node:fs';
import path from 'node:path';
import { ImageRegistry } from '../fixtures/image-registry.ts';
import type { Suite } from '../fixtures/suite-tree.ts';
import { Guest, type Machine } from './guest.ts';
import { ImageServer, type ServerOptions } from './image-server.ts';
import { type Agent, type InitrdFile, initrd, withFiles } from './initrd.ts';
import { milestones, type Times } from './milestones.ts';
import type { RootTree } from './root-tree.ts';
import { SCRATCH } from './scratch.ts';
import { kernel } from './toolbox.ts';
import { Tpm } from './tpm.ts';

/**
 * The serial console is where everything is read from: what systemd does, and of the kernel what matters. On a busy
 * host an emulated machine gets no ticks for a while, which a kernel takes for a broken timer if it looks.
 */
export const CONSOLE = 'console=ttyS0 loglevel=6 no_timer_check systemd.show_status=yes';

/** What one scenario works with: a directory, servers and machines that end with it. */
export class Lab implements AsyncDisposable {
  /** For everything that the scenario makes. */
  readonly directory: string;
  /** What is served. */
  readonly served: string;
  readonly log: string;
  /** What the table shows: of the machine that was reported on last. */
  times: Times = {};
  /** More lines below the table. */
  readonly notes: string[] = [];
  readonly #resources = new AsyncDisposableStack();

  constructor(readonly name: string) {
    fs.mkdirSync(RUNS, { recursive: true });
    this.directory = fs.mkdtempSync(path.join(RUNS, `${name}-`));
    this.served = this.file('served');
    fs.mkdirSync(this.served);
    fs.mkdirSync(LOGS, { recursive: true });
    this.log = path.join(LOGS, `${name}.log`);
    fs.rmSync(this.log, { force: true });
  }

  file(name: string): string {
    return path.join(this.directory, name);
  }

  /** Moves a file to those that are served. */
  publish(file: string): void {
    fs.renameSync(file, path.join(this.served, path.basename(file)));
  }

  async serve(options: ServerOptions = {}): Promise<ImageServer> {
    return this.#resources.use(await ImageServer.start(this.served, options));
  }

  /** A registry of container images, which has none yet. */
  async registry(): Promise<ImageRegistry> {
    return this.#resources.use(await ImageRegistry.start(this.file('registry')));
  }

  /** The TPM of that name, for a machine that is switched on now. */
  async tpm(name: string): Promise<Tpm> {
    return this.#resources.use(await Tpm.start(this.file(name)));
  }

  /** Switches a machine on. */
  start(machine: Machine): Guest {
    return this.#resources.use(new Guest(machine, this.log));
  }

  /** The initrd of a suite in the directory of the scenario, with more files in it if there are any. */
  async initrd(
    suite: Suite,
    files: Readonly<Record<string, InitrdFile>> = {},
    agent: Agent = 'rdpull',
  ): Promise<string> {
    const file = this.file('initrd');
    await withFiles(await initrd(suite, agent), files, file);
    return file;
  }

  /** QEMU's options for a kernel that is booted without firmware. */
  async direct(suite: Suite, initrdFile: string, commandLine: string): Promise<string[]> {
    const { file } = await kernel(suite);
    return ['-kernel', file, '-initrd', initrdFile, '-append', `${CONSOLE} ${commandLine}`];
  }

  /** Takes the times of a machine for the table. */
  report(guest: Guest): void {
    this.times = milestones(guest.lines);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}

const RUNS = path.join(SCRATCH, 'runs');
const LOGS = path.join(SCRATCH, 'logs');

/** Waits until the root of the lab has been booted, and checks that it is `tree`. */
export async function expectBooted(lab: Lab, guest: Guest, tree: RootTree): Promise<string> {
  await guest.booted();
  lab.report(guest);
  expectConsole(guest, new RegExp(`proof ${tree.sha256} `));
  return guest.text;
}

/** @throws Error when the console has not said it */
export function expectConsole(guest: Guest, pattern: RegExp): void {
  if (!pattern.test(guest.text)) throw new Error(`the console does not say ${pattern}`);
}
