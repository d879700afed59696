import fs from 'node:fs';
import path from 'node:path';

/**
 * A TPM 2.0 for one machine: swtpm(8), which ends when the machine is switched off. What it keeps lies in its directory, and
 * two directories are two TPMs.
 */
export class Tpm implements AsyncDisposable {
  readonly #process: Bun.Subprocess;
  readonly #socket: string;

  /** @param directory is made when it is not there */
  private constructor(directory: string) {
    fs.mkdirSync(directory, { recursive: true });
    this.#socket = path.join(directory, 'socket');
    fs.rmSync(this.#socket, { force: true });
    this.#process = Bun.spawn(
      [
        ...['swtpm', 'socket', '--tpm2', '--terminate', '--tpmstate', `dir=${directory}`],
        ...['--ctrl', `type=unixio,path=${this.#socket}`, '--log', `file=${directory}/log`],
      ],
      { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' },
    );
  }

  static async start(directory: string): Promise<Tpm> {
    const tpm = new Tpm(directory);
    while (!fs.existsSync(tpm.#socket)) {
      if (tpm.#process.exitCode !== null) {
        throw new Error(`swtpm ended with status ${tpm.#process.exitCode}`);
      }
      await Bun.sleep(10);
    }
    return tpm;
  }

  /** For the machine that it is in. */
  get options(): string[] {
    return [
      ...['-chardev', `socket,id=tpm,path=${this.#socket}`, '-tpmdev', 'emulator,id=tpm0,chardev=tpm'],
      ...['-device', 'tpm-tis,tpmdev=tpm0'],
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#process.exited;
  }
}
