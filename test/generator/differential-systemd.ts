import fs from 'node:fs';
import path from 'node:path';
import type { SystemdTree } from '../fixtures/systemd-tree.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { type Case, kernelBytes, type Outcome, outcome, type Transfer } from './differential-case.ts';
import { writeStubDeviceUrl } from './differential-efi.ts';

const GENERATOR = 'usr/lib/systemd/system-generators/systemd-import-generator';

/** Stands up EFI variables for whoever enters its mount namespace, until its standard input closes. */
const FIRMWARE = `
  mount -t tmpfs none /sys/firmware
  mkdir -p /sys/firmware/efi/efivars
  echo ready
  cat`;

/** systemd's own generator, which is run once a case. */
export class SystemdGenerator implements Disposable {
  readonly #tree: SystemdTree;
  readonly #scratch = new TemporaryDirectory();
  readonly #firmware = Bun.spawn(['unshare', '--mount', 'sh', '-e', '-c', FIRMWARE], {
    stdin: 'pipe',
    stdout: 'pipe',
  });

  private constructor(tree: SystemdTree) {
    this.#tree = tree;
  }

  static async start(tree: SystemdTree): Promise<SystemdGenerator> {
    const generator = new SystemdGenerator(tree);
    const { value } = await generator.#firmware.stdout.getReader().read();
    if (value === undefined) throw new Error('the namespace with EFI variables did not come up');
    return generator;
  }

  async run(each: Case): Promise<Outcome> {
    const output = fs.mkdtempSync(this.#scratch.file('output-'));
    const credential = this.#scratch.file('import.pull');
    fs.rmSync(credential, { force: true });
    if (each.credential !== undefined) fs.writeFileSync(credential, kernelBytes(each.credential));
    const child = Bun.spawn(this.#command(each, output), {
      cwd: this.#scratch.path,
      env: {
        PATH: process.env['PATH'] ?? '',
        SYSTEMD_PROC_CMDLINE: each.commandLine,
        CREDENTIALS_DIRECTORY: this.#scratch.path,
        SYSTEMD_IN_INITRD: each.inInitrd ? '1' : '0',
      },
      stdin: kernelBytes(each.commandLine),
      stdout: 'ignore',
      stderr: 'pipe',
    });
    const stderr = await child.stderr.text();
    await child.exited;
    const units = fs.readdirSync(output).filter((name) => name.startsWith('systemd-import@'));
    const transfers = units.map((unit) => readUnit(unit, fs.readFileSync(path.join(output, unit), 'utf8')));
    fs.rmSync(output, { recursive: true });
    if (child.signalCode === 'SIGABRT' || child.exitCode === 128 + 6) return 'aborted';
    // 1: one of the units could not be written. Whatever is worse is a fault of this test.
    if (child.exitCode === 0 || child.exitCode === 1) return outcome(transfers);
    throw new Error(`systemd-import-generator ended with ${child.signalCode ?? child.exitCode}: ${stderr}`);
  }

  #command({ commandLine, bootUrl }: Case, output: string): string[] {
    let command = this.#tree.command(GENERATOR, output);
    if (!commandLine.isWellFormed()) {
      // Bytes that are no UTF-8 cannot be passed in Bun.spawn's environment.
      command = ['sh', '-c', 'SYSTEMD_PROC_CMDLINE=$(cat) exec "$@"', 'sh', ...command];
    }
    if (bootUrl === undefined) return command;
    const pid = String(this.#firmware.pid);
    writeStubDeviceUrl(`/proc/${pid}/root/sys/firmware/efi/efivars`, bootUrl);
    return ['nsenter', `--target=${pid}`, '--mount', ...command];
  }

  [Symbol.dispose](): void {
    this.#firmware.stdin.end();
    this.#scratch[Symbol.dispose]();
  }
}

/** Reads back what systemd has written into a unit. */
function readUnit(unit: string, text: string): Transfer {
  const instance = unit.slice('systemd-import@'.length, -'.service'.length);
  // A URL's own quotes and backslashes are not escaped for the unit file, so that systemd could not run such a unit.
  // What counts here is what the generator means: what stands between the outermost quotes, percent signs doubled.
  const call = /^ExecStart=:varlinkctl .*? io\.systemd\.Import\.Pull '(\{.*\})'$/m.exec(text)?.[1];
  if (call === undefined) throw new Error(`${unit} has no call in it: ${text}`);
  const {
    remote,
    local,
    class: imageClass,
    type,
    readOnly,
    verify,
    imageRoot,
  } = JSON.parse(call.replaceAll('%%', '%'));
  return {
    instance,
    remote,
    local,
    class: imageClass,
    type,
    verify,
    readOnly,
    imageRoot,
    blockdev: /^Before=systemd-loop@/m.test(text),
    network: /^Wants=network-online\.target$/m.test(text),
    successAction: /^SuccessAction=(.*)$/m.exec(text)?.[1] ?? '',
    failureAction: /^FailureAction=(.*)$/m.exec(text)?.[1] ?? '',
  };
}
