import type { EventLine, MachineLine } from '../report/report-line.ts';
import { type Boot, Machine, type UkiFetch } from './machine.ts';
import type { Report } from './report-parser.ts';

/** Machines that are known at one time, in all and behind one address. Of more, those that were silent for the longest time go. */
const MACHINES_MAX = 512;
const BEHIND_ADDRESS_MAX = 256;

/** Programs that fetch a UKI in order to boot it: EDK II, iPXE and U-Boot, by how they begin to name themselves. */
const FIRMWARE = /^(?:UefiHttpBoot|iPXE|U-Boot)\b/i;

/** A firmware that fetches a UKI again within this time still boots it, in ms. */
const SAME_FETCH = 30_000;

/** A fetch of the firmware, as it goes on. */
export interface WatchedFetch {
  sent(bytes: number): void;
  ended(): void;
}

/** Hears what is new. */
export interface TableObserver {
  /** A machine has told something. */
  told(machine: Machine, event: EventLine): void;
  changed(machine: Machine): void;
  /** It is not known any more. */
  gone(machine: Machine): void;
}

/**
 * The machines that boot from here, by what they tell and by what they fetch. Everything in it may be a lie: it is only ever
 * shown. How much there is of it is bounded, and who floods it from one address drives out the machines behind that.
 */
export class MachineTable {
  /** By their keys, in the order in which they were heard of last. */
  readonly #machines = new Map<string, Machine>();
  readonly #observers = new Set<TableObserver>();
  readonly #now: () => number;
  #rows = 0;

  /** @param now ms since 1970 */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Those that were heard of first come first. */
  get machines(): Machine[] {
    return [...this.#machines.values()].sort((one, other) => one.row - other.row);
  }

  /** Tells `observer` what is new, until the result is disposed of. */
  watch(observer: TableObserver): Disposable {
    this.#observers.add(observer);
    return { [Symbol.dispose]: () => void this.#observers.delete(observer) };
  }

  /** Takes a report from an address. */
  heard(address: string, { machine: about, events }: Report): void {
    const machine = this.#machineOf(address, about);
    const boot = this.#bootOf(machine, about);
    boot.about = about;
    boot.updated = this.#now();
    for (const event of events) {
      if (!machine.tell(boot, event, this.#now())) continue;
      for (const each of this.#observers) each.told(machine, event);
    }
    for (const each of this.#observers) each.changed(machine);
  }

  /**
   * Somebody fetches a file.
   *
   * @returns undefined when it is no firmware that boots it
   */
  fetched(address: string, agent: string | undefined, path: string, size: number): WatchedFetch | undefined {
    if (!/\.efi$/i.test(path) || !FIRMWARE.test(agent ?? '')) return undefined;
    const now = this.#now();
    const machine = this.#machineOfFirmware(address);
    const fetch: UkiFetch = { path, begun: now, size, sent: 0, ended: undefined };
    const last = machine.boot;
    // Some firmwares fetch it in parts, or once more.
    const isSame = last?.uki?.path === path && last.id === undefined && now - last.updated < SAME_FETCH;
    const boot = isSame ? last : machine.begin(now);
    boot.uki = { ...fetch, begun: boot.uki?.begun ?? now };
    const { uki } = boot;
    const changed = () => {
      boot.updated = this.#now();
      for (const each of this.#observers) each.changed(machine);
    };
    changed();
    return {
      sent(bytes) {
        uki.sent = bytes;
        changed();
      },
      ended: () => {
        uki.ended = this.#now();
        changed();
      },
    };
  }

  #machineOf(address: string, about: MachineLine): Machine {
    const key = keyOf(address, about);
    const known = this.#machines.get(key) ?? this.#identified(address, key);
    return this.#freshen(known ?? this.#add(address, key));
  }

  /** What the firmware behind an address has fetched was for a machine that was not known: its row is there already. */
  #identified(address: string, key: string): Machine | undefined {
    const anonymous = this.#machines.get(address);
    if (anonymous === undefined) return undefined;
    this.#machines.delete(address);
    anonymous.identified(key);
    return anonymous;
  }

  /** The one behind the address, if there is one; its report will tell which of several it is. */
  #machineOfFirmware(address: string): Machine {
    const anonymous = this.#machines.get(address);
    const [only, ...others] = this.machines.filter((each) => each.address === address);
    const known = anonymous ?? (others.length === 0 ? only : undefined);
    return this.#freshen(known ?? this.#add(address, address));
  }

  #bootOf(machine: Machine, { boot: id }: MachineLine): Boot {
    const last = machine.boot;
    if (last?.id === id) return last;
    const known = machine.boots.find((each) => each.id === id);
    // The last lines of a boot may arrive behind the first ones of the next.
    if (known !== undefined) return known;
    const begun = last?.id === undefined ? last : undefined;
    const boot = begun ?? this.#adopted(machine) ?? machine.begin(this.#now());
    boot.id = id;
    return boot;
  }

  /** What the firmware behind the same address has fetched was for this machine, as far as can be told. */
  #adopted(machine: Machine): Boot | undefined {
    const anonymous = this.#machines.get(machine.address);
    const boot = anonymous?.boot;
    if (anonymous === undefined || boot === undefined || anonymous === machine) return undefined;
    machine.adopt(boot);
    this.#remove(anonymous);
    return boot;
  }

  #add(address: string, key: string): Machine {
    const behind = this.machines.filter((each) => each.address === address);
    if (behind.length >= BEHIND_ADDRESS_MAX) this.#removeOldest((each) => each.address === address);
    else if (this.#machines.size >= MACHINES_MAX) {
      const crowded = this.#mostCrowded();
      this.#removeOldest((each) => each.address === crowded);
    }
    this.#rows++;
    const machine = new Machine(this.#rows, address, key);
    this.#machines.set(key, machine);
    return machine;
  }

  #mostCrowded(): string {
    const counts = new Map<string, number>();
    for (const { address } of this.#machines.values()) counts.set(address, (counts.get(address) ?? 0) + 1);
    const [most = ['', 0] as const] = [...counts].sort(([, one], [, other]) => other - one);
    return most[0];
  }

  #removeOldest(isMeant: (machine: Machine) => boolean): void {
    const oldest = [...this.#machines.values()].find(isMeant);
    if (oldest !== undefined) this.#remove(oldest);
  }

  #remove(machine: Machine): void {
    this.#machines.delete(machine.key);
    for (const each of this.#observers) each.gone(machine);
  }

  /** Moves it to the end of the order. */
  #freshen(machine: Machine): Machine {
    this.#machines.delete(machine.key);
    this.#machines.set(machine.key, machine);
    return machine;
  }
}

/** Machines behind one address are told apart by what they say that they are. */
function keyOf(address: string, { serial = '', mac = '' }: MachineLine): string {
  return `${address} ${mac} ${serial}`;
}
