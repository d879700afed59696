import { freePort } from '../fixtures/daemon.ts';
import type { Suite } from '../fixtures/suite-tree.ts';
import type { Guest } from './guest.ts';
import { CONSOLE, type Lab } from './lab.ts';
import { MARK } from './root-tree.ts';
import { smallMachine } from './small-machine.ts';
import { tool } from './tool.ts';

/** What exports: rdpull serve, or systemd's own, which mkosi serve starts. */
export type TargetKind = 'rdpull' | 'storagetm';

export interface NvmeTargetOptions {
  readonly kind: TargetKind;
  /** Whose kernel and programs; the newest by default. */
  readonly suite?: Suite;
  /** Whose files are copied to the disk of the machine: it exports the raw images among them, and rdpull serves all of them. */
  readonly directory: string;
  /** More of the arguments of rdpull serve; by default `--nvme`. */
  readonly serve?: readonly string[];
  /** By which its port for NVMe is reached; by default any that is free. */
  readonly port?: number;
  /** Whether it has rdpull as well, when another exports. */
  readonly hasRdpull?: boolean;
  /** The machine's number, where a lab has several. */
  readonly number?: number;
}

/** Where NVMe over TCP listens inside: systemd-storagetm on the port that it derives from its name, in which there is the machine ID. */
const NVME: Record<TargetKind, number> = { rdpull: 4420, storagetm: 59_936 };

/** Where rdpull serve listens inside. */
const HTTP = 8081;

const MODULES = ['virtio_blk', 'configfs', 'nvmet', 'nvmet-tcp', 'loop'];

const STORAGETM = 'usr/lib/systemd/systemd-storagetm';

/** What can be said on its console. */
const script = (command: string, port: number) => `
mount -t configfs configfs /sys/kernel/config
mount /dev/vda /srv
nvmet=/sys/kernel/config/nvmet
start() {
  ${command} &
  server=$!
  until netstat -ltn | grep -q ':${port} '; do kill -0 "$server" || { echo "${MARK} exports nothing"; return; }; sleep 0.2; done
  # The first subsystem opens the port; the others come right behind.
  sleep 1
  for nqn in $(ls $nvmet/subsystems); do echo "${MARK} exports $nqn"; done
  echo "${MARK} listens"
}
stop() { kill "-$1" "$server"; wait "$server"; echo "${MARK} ended with $?"; }
state() {
  echo "${MARK} state:" $(ls $nvmet/subsystems) "ports:" $(ls $nvmet/ports) "loop devices:" $(cat /sys/block/loop*/loop/backing_file) "."
}
start
`;

/** A machine that exports images over NVMe/TCP. Its ports are forwarded: others reach it by this machine's loopback. */
export class NvmeTarget {
  /** As a guest sees it. */
  readonly host = '10.0.2.2';

  private constructor(
    readonly guest: Guest,
    /** On this machine. */
    readonly port: number,
    readonly httpPort: number,
  ) {}

  /** Switches it on, and waits until it exports. */
  static async start(lab: Lab, options: NvmeTargetOptions): Promise<NvmeTarget> {
    const { kind, suite = 'forky', directory, serve = ['--nvme'], hasRdpull = false, number = 1 } = options;
    const name = `target-${number}`;
    const command =
      kind === 'rdpull' ? `rdpull serve --port=${HTTP} ${serve.join(' ')} /srv` : `/${STORAGETM} /srv/*.raw`;
    const boot = await smallMachine(lab, {
      name,
      suite,
      modules: MODULES,
      programs: kind === 'storagetm' ? [STORAGETM] : [],
      hasRdpull: hasRdpull || kind === 'rdpull',
      script: script(command, NVME[kind]),
    });
    const disk = lab.file(`${name}.disk`);
    await tool([
      'sh',
      '-euc',
      'size=$(du -sm --apparent-size "$1" | cut -f1); truncate -s "$((size * 9 / 8 + 64))M" "$2"; mkfs.ext4 -q -d "$1" "$2" >&2',
      'sh',
      directory,
      disk,
    ]);
    const { port = await freePort() } = options;
    const httpPort = await freePort();
    const forwarded = `,hostfwd=tcp:127.0.0.1:${port}-:${NVME[kind]},hostfwd=tcp:127.0.0.1:${httpPort}-:${HTTP}`;
    const guest = lab.start({
      boot: [...boot, '-append', CONSOLE],
      memory: 512,
      network: forwarded,
      options: ['-drive', `file=${disk},format=raw,if=virtio,cache=unsafe`],
      limit: 3600,
    });
    await guest.waitFor(new RegExp(`${MARK} listens`), new RegExp(`Kernel panic|${MARK} exports nothing`));
    return new NvmeTarget(guest, port, httpPort);
  }

  /** The name of the subsystem of an image. */
  nqn(image: string): string {
    const names = [...this.guest.text.matchAll(new RegExp(`${MARK} exports (\\S+)`, 'g'))].map(
      ([, name = '']) => name,
    );
    const nqn = names.find((each) => each.endsWith(`.${image}`) || each.endsWith(`:${image}`));
    if (nqn === undefined) throw new Error(`${image} is none of what is exported: ${names.join(', ')}`);
    return nqn;
  }

  /** As a guest sees it. */
  url(image: string): string {
    return `nvme+tcp://${this.host}:${this.port}/${this.nqn(image)}`;
  }

  /** As a guest sees what rdpull serve has. */
  httpUrl(name: string): string {
    return `http://${this.host}:${this.httpPort}/${name}`;
  }

  /** Has rdpull serve /srv as `nvme` says, which fails, and says all of this. */
  async expectRefused(nvme: string, says: readonly RegExp[]): Promise<void> {
    const refusal = await this.ask(`rdpull serve --port=0 ${nvme} /srv; echo "status $?"`, /status \d+/);
    for (const each of says) {
      if (!each.test(refusal)) throw new Error(`rdpull said ${refusal}, and not ${each}`);
    }
  }

  /**
   * Says a line to the machine, and waits for what it answers: `stop TERM`, `stop KILL`, `start`, `state`, or any command of its shell.
   *
   * @returns what the console says from then on, up to `answer`
   */
  async ask(line: string, answer: RegExp): Promise<string> {
    const before = this.guest.lines.length;
    this.guest.type(line);
    for (;;) {
      const text = this.guest.lines
        .slice(before)
        .map((each) => each.text)
        .join('\n');
      if (answer.test(text)) return text;
      if (/exports nothing/.test(text)) throw new Error(`the target did not begin: ${text}`);
      if (this.guest.hasEnded) throw new Error(`the target stopped before it said ${answer}`);
      await Bun.sleep(100);
    }
  }
}
