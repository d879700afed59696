import type { Suite } from '../fixtures/suite-tree.ts';
import type { Guest } from './guest.ts';
import { CONSOLE, type Lab } from './lab.ts';
import { MARK } from './root-tree.ts';
import { smallMachine } from './small-machine.ts';

/** What a machine can be asked that is no more than a host of NVMe. */
const SCRIPT = `
connect() {
  host=$3-0000-4000-8000-000000000000
  echo "transport=tcp,traddr=10.0.2.2,trsvcid=$1,nqn=$2,hostnqn=nqn.2014-08.org.nvmexpress:uuid:$host,hostid=$host,reconnect_delay=2,keep_alive_tmo=5" >/dev/nvme-fabrics
  echo "${MARK} $3 connects: $?"
}
disconnect() { for controller in /sys/class/nvme/nvme*; do echo 1 >$controller/delete_controller; done; echo "${MARK} disconnected"; }
`;

/** A machine without systemd that connects with a target: by the kernel alone, or by rdpull. */
export class NvmeHost {
  #asked = 0;

  private constructor(readonly guest: Guest) {}

  /** @param suite whose kernel and programs */
  static async start(
    lab: Lab,
    { hasRdpull = false, suite = 'forky' }: { readonly hasRdpull?: boolean; readonly suite?: Suite } = {},
  ): Promise<NvmeHost> {
    const name = `host-${suite}`;
    const boot = await smallMachine(lab, { name, suite, modules: ['nvme-tcp'], hasRdpull, script: SCRIPT });
    const guest = lab.start({ boot: [...boot, '-append', CONSOLE], memory: 512, limit: 1800 });
    await guest.waitFor(new RegExp(`${MARK} ready`));
    return new NvmeHost(guest);
  }

  /** Types a line, and waits for what the console says of it. */
  async ask(line: string, answer: RegExp): Promise<RegExpExecArray> {
    const mark = `asked-${this.#asked++}`;
    this.guest.type(`echo "${MARK} ${mark}"; ${line}; echo "${MARK} end of ${mark}"`);
    const text = await this.guest.waitFor(
      new RegExp(`${MARK} ${mark}\\n([^]*)${MARK} end of ${mark}\\n`),
      /Kernel panic/,
    );
    const found = answer.exec(text[1] ?? '');
    if (found === null) throw new Error(`the host answered "${line}" with ${text[1]}, and not ${answer}`);
    return found;
  }
}
