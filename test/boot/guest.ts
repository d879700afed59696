import fs from 'node:fs';
import { MARK } from './root-tree.ts';

/** What a machine is booted with. */
export interface Machine {
  /** QEMU's options for what is booted: -kernel and -initrd, or the firmware. */
  readonly boot: readonly string[];
  /** QEMU itself, with the options that say what processor and board it is; by default {@link X64_QEMU}. */
  readonly qemu?: readonly string[];
  /** MiB. */
  readonly memory?: number;
  /** More for the user-mode network. */
  readonly network?: string;
  /** Options of the network device. */
  readonly networkDevice?: string;
  /** More of QEMU's options. */
  readonly options?: readonly string[];
  /** Whether it may start anew; else a reboot switches it off. */
  readonly reboots?: boolean;
  /** The boot has to come to an end within this time, in seconds. */
  readonly limit?: number;
}

const X64_QEMU: readonly string[] = [
  'qemu-system-x86_64',
  // Page tables of five levels take an emulated machine longer to walk.
  ...['-machine', 'q35', '-cpu', 'max,la57=off'],
];

/** A line on the serial console or a piece of one, and when it was complete: in seconds since the machine was switched on. */
export interface ConsoleLine {
  readonly seconds: number;
  readonly text: string;
}

/** How a boot went wrong that waits for ever otherwise. */
const FAILURE =
  /Kernel panic|Failed to start rdpull@|Entering emergency mode|You are in emergency mode|Oops: int3|Switch root target contains no usable init|BdsDxe: No bootable option/;

/** Under software emulation a kernel is now and then hit while it patches its own code. Nobody here can help that. */
export const EMULATION_FAULT = /Oops: int3|IO-APIC \+ timer doesn't work/;

/** A boot that did not go where it should have gone. */
export class BootFailure extends Error {
  override readonly name = 'BootFailure';
}

/** A QEMU process, and its serial console. It is killed at the end of the block that has started it. */
export class Guest implements AsyncDisposable {
  readonly lines: ConsoleLine[] = [];
  /** All that came, as it came: pieces of lines, with escape sequences. */
  readonly pieces: ConsoleLine[] = [];
  /** When it was switched on: performance.now(), ms. */
  readonly begun = performance.now();
  readonly #process: Bun.Subprocess<'pipe', 'pipe', 'pipe'>;
  #log: number | undefined;
  readonly #limit: number;
  #partial = '';
  #ended = false;
  #wake = Promise.withResolvers<void>();

  /** @param log a file that keeps all that the machine says, with times */
  constructor(machine: Machine, log: string) {
    const {
      boot,
      qemu = X64_QEMU,
      memory = 2048,
      network = '',
      networkDevice = '',
      options = [],
      reboots = false,
      limit = 600,
    } = machine;
    this.#limit = limit;
    this.#log = fs.openSync(log, 'a');
    const command = [
      ...qemu,
      ...['-smp', '1', '-m', String(memory), '-accel', 'tcg,thread=multi'],
      ...['-nodefaults', '-display', 'none', ...(reboots ? [] : ['-no-reboot']), '-serial', 'stdio'],
      ...boot,
      ...['-netdev', `user,id=n0${network}`, '-device', `virtio-net-pci,netdev=n0,romfile=${networkDevice}`],
      ...['-device', 'virtio-rng-pci'],
      ...options,
    ];
    this.#write(`$ ${command.join(' ')}`);
    this.#process = Bun.spawn(command, { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' });
    void this.#read();
  }

  /** Everything on the console so far. */
  get text(): string {
    return [...this.lines.map(({ text }) => text), this.#partial].join('\n');
  }

  /**
   * Waits until the console says something.
   *
   * @param expected also counts when it has been said before
   * @param failure what must not be said before
   * @throws BootFailure when the machine stops, fails, or takes too long
   */
  async waitFor(expected: RegExp, failure: RegExp = FAILURE): Promise<RegExpExecArray> {
    for (;;) {
      const { text } = this;
      const found = expected.exec(text);
      if (found !== null) return found;
      const failed = failure.exec(text);
      if (failed !== null) throw new BootFailure(`the console says "${failed[0]}", and not ${expected}`);
      if (this.#ended) throw new BootFailure(`the machine stopped before it said ${expected}`);
      const left = this.#limit * 1000 - (performance.now() - this.begun);
      if (left <= 0) throw new BootFailure(`after ${this.#limit} s the console has not said ${expected}`);
      let timer: Timer | undefined;
      await Promise.race([
        this.#wake.promise,
        new Promise((resolve) => {
          timer = setTimeout(resolve, left);
        }),
      ]);
      clearTimeout(timer);
    }
  }

  /** Waits until the root of the lab has said everything. */
  async booted(): Promise<void> {
    await this.waitFor(new RegExp(`${MARK} end`));
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** Waits until the machine has switched itself off. */
  async switchedOff(): Promise<void> {
    while (!this.#ended) await this.#wake.promise;
  }

  /** Types a line on the console. */
  type(line: string): void {
    this.#process.stdin.write(`${line}\n`);
    this.#process.stdin.flush();
  }

  /** Seconds since the machine was switched on. */
  seconds(now = performance.now()): number {
    return (now - this.begun) / 1000;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#process.stdout) this.#take(decoder.decode(chunk, { stream: true }));
    if (this.#partial !== '') this.#take('\n');
    const errors = await this.#process.stderr.text();
    for (const line of errors.split('\n').filter(Boolean)) this.#add(`qemu: ${line}`);
    await this.#process.exited;
    this.#ended = true;
    this.#wakeUp();
  }

  #take(chunk: string): void {
    this.pieces.push({ seconds: this.seconds(), text: chunk });
    const pieces = (this.#partial + chunk).split('\n');
    this.#partial = pieces.pop() ?? '';
    for (const piece of pieces) this.#add(piece);
    this.#wakeUp();
  }

  #add(piece: string): void {
    const line = { seconds: this.seconds(), text: withoutControls(piece) };
    this.lines.push(line);
    this.#write(`[${line.seconds.toFixed(3).padStart(8)}] ${line.text}`);
  }

  #write(line: string): void {
    if (this.#log !== undefined) fs.writeSync(this.#log, `${line}\n`);
  }

  #wakeUp(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#process.exited;
    await this.switchedOff();
    if (this.#log !== undefined) fs.closeSync(this.#log);
    this.#log = undefined;
  }
}

/** Escape sequences of terminals (ECMA-48), and carriage returns. */
function withoutControls(text: string): string {
  return text
    .replaceAll(
      /\x1b\[[0-9:;<=>?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|\x1b[=>78cM]|\x1b[PX^_\]][^\x07\x1b]*(?:\x07|\x1b\\)/g,
      '',
    )
    .replaceAll(/[\r\x00-\x08\x0b-\x1f\x7f]/g, '');
}
