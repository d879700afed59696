import fs from 'node:fs';
import { parseCommandLine } from '../../src/commands/command-line.ts';
import { pull } from '../../src/commands/pull.ts';
import { imageRoot, pullRequest } from '../../src/commands/pull-arguments.ts';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { readGeneratorInput } from '../../src/generator/generator-input.ts';
import { planUnits } from '../../src/generator/unit-plan.ts';
import { findBootOrigin } from '../../src/origin/boot-origin.ts';
import { imageUrls } from '../../src/origin/image-url.ts';
import { type PullRequest, remoteText } from '../../src/request/pull-request.ts';
import { formatVerifyMode } from '../../src/request/verify-mode.ts';
import { RDPULL } from '../fixtures/executable.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { type Case, kernelBytes, type Outcome, outcome, type Transfer } from './differential-case.ts';
import { writeStubDeviceUrl } from './differential-efi.ts';
import { settings } from './generator-run.ts';

/** Runs the command behind it where /proc/cmdline is what standard input says, and nobody knows what was booted. */
const BOOTED = `
  cat >"$0"
  mount -t tmpfs tmpfs /sys/firmware
  mkdir -p /sys/firmware/efi/efivars
  mount --bind "$0" /proc/cmdline
  exec "$@"`;

/** rdpull's generator, which is asked once a case. */
export class RdpullGenerator implements Disposable {
  readonly #scratch = new TemporaryDirectory();

  /** Asks its source code. */
  plan(each: Case): Outcome {
    const input = readGeneratorInput(
      { ...this.#environment(each), SYSTEMD_PROC_CMDLINE: kernelBytes(each.commandLine).toString() },
      () => undefined,
    );
    const entries = planUnits({ ...input, lacksBootUrl: false, exists: () => false }, () => undefined);
    return this.#outcome(
      each,
      entries.flatMap((entry) => ('content' in entry ? [[entry.name, entry.content]] : [])),
    );
  }

  /** Asks the executable. */
  async run(each: Case): Promise<Outcome> {
    using output = new TemporaryDirectory();
    const commandLine = this.#scratch.file('cmdline');
    const child = Bun.spawn(
      ['unshare', '--mount', 'sh', '-e', '-c', BOOTED, commandLine, RDPULL, 'generate', output.path],
      {
        env: { PATH: process.env['PATH'] ?? '', ...this.#environment(each) },
        stdin: kernelBytes(each.commandLine),
        stderr: 'pipe',
      },
    );
    const stderr = await child.stderr.text();
    await child.exited;
    if (child.exitCode !== 0) throw new Error(`rdpull generate ended with ${child.exitCode}: ${stderr}`);
    return this.#outcome(
      each,
      output
        .names()
        .filter((name) => fs.statSync(output.file(name)).isFile())
        .map((name) => [name, fs.readFileSync(output.file(name), 'utf8')]),
    );
  }

  #environment({ inInitrd, credential }: Case): Record<string, string> {
    fs.rmSync(this.#scratch.file('import.pull'), { force: true });
    if (credential !== undefined) this.#scratch.write('import.pull', kernelBytes(credential));
    return { SYSTEMD_IN_INITRD: inInitrd ? '1' : '0', CREDENTIALS_DIRECTORY: this.#scratch.path };
  }

  #outcome(each: Case, files: readonly (readonly string[])[]): Outcome {
    writeStubDeviceUrl(this.#scratch.path, each.bootUrl);
    return outcome(files.flatMap(([name = '', text = '']) => readUnit(name, text, this.#scratch.path)));
  }

  [Symbol.dispose](): void {
    this.#scratch[Symbol.dispose]();
  }
}

/** What `rdpull pull` will do when systemd starts this unit: one transfer or none. */
function readUnit(name: string, text: string, efivars: string): Transfer[] {
  const instance = /^rdpull@(.*)\.service$/.exec(name)?.[1];
  if (instance === undefined) return [];
  const [start = ''] = settings(text, 'ExecStart');
  const [, command, ...args] = splitExecStart(start);
  if (command !== 'pull') throw new Error(`${name} does not pull: ${start}`);
  const line = parseCommandLine(pull, args);
  const request = unlessRefused(() => pullRequest(line, () => undefined));
  const url = request && remoteUrl(request, efivars);
  if (request === undefined || url === undefined) return [];
  return [
    {
      instance,
      remote: url,
      local: request.local ?? '',
      class: request.imageClass,
      type: request.type,
      verify: formatVerifyMode(request.verify),
      readOnly: request.readOnly,
      imageRoot: imageRoot(line) ?? '',
      blockdev: request.blockdev,
      network: settings(text, 'Wants').some((units) => units.split(' ').includes('network-online.target')),
      successAction: settings(text, 'SuccessAction')[0] ?? '',
      failureAction: settings(text, 'FailureAction')[0] ?? '',
    },
  ];
}

/** The URL to pull from; undefined when the boot URL, or its absence, keeps rdpull from it. */
function remoteUrl({ remote, type }: PullRequest, efivars: string): string | undefined {
  if (remote.kind === 'url') return remote.url;
  if (remote.kind === 'registry' || remote.kind === 'nvme') return remoteText(remote);
  return unlessRefused(() => {
    const origin = findBootOrigin({ efivars });
    return origin && imageUrls(remote.name, type, origin.url)[0];
  });
}

/** What `read` returns; undefined when it refuses a URL, with which the unit will fail. */
function unlessRefused<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof RdpullError && error.code === 'bad-url') return undefined;
    throw error;
  }
}

/** The words of an ExecStart= line with the `:` prefix, as systemd reads them: systemd.service(5), "Command lines". */
function splitExecStart(line: string): string[] {
  const words = line.match(/(?:"(?:[^"\\]|\\.)*"|[^\s"])+/g) ?? [];
  return words.map((word) =>
    word
      .replace(/"((?:[^"\\]|\\.)*)"|\\(.)/g, (_all, quoted?: string, escaped?: string) =>
        quoted === undefined
          ? unescaped(escaped)
          : quoted.replace(/\\(.)/g, (_, mark: string) => unescaped(mark)),
      )
      .replaceAll('%%', '%'),
  );
}

/** The one kind of escape that rdpull writes; systemd has more. */
function unescaped(mark: string | undefined): string {
  if (mark === '\\' || mark === '"') return mark;
  throw new Error(`an escape that was not expected: \\${mark}`);
}
