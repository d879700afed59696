/** A console of the kernel that can be written to. */
export interface KernelConsole {
  /** Of its device in /dev. */
  readonly name: string;
  /** Whether /dev/console stands for it. */
  readonly isPreferred: boolean;
  /** A virtual terminal understands a cursor and escape codes; whoever listens at anything else may understand nothing. */
  readonly isVirtualTerminal: boolean;
}

/** What `/proc/consoles` (proc(5)) is made of: name, operations (read, write, unblank), flags, and the device if it has one. */
const LINE = /^(\S+)\s+[R-]([W-])[U-]\s+\(([ A-Za-z]*)\)\s+(\d+):(\d+)\s*$/;

/** The devices 4:0 to 4:63 are the virtual terminals, 4:64 and on serial ones (Documentation/admin-guide/devices.txt). */
const TTY_MAJOR = 4;
const SERIAL_MINOR_START = 64;

/** No kernel has more; each of them costs a descriptor. */
const MOST = 16;

/**
 * The consoles in a text like `/proc/consoles` that are enabled (`E`), can be written to, are a device and no Braille
 * display (`b`).
 */
export function parseConsoles(text: string): readonly KernelConsole[] {
  return text
    .split('\n')
    .flatMap((line): KernelConsole[] => {
      const [, name = '', write = '', flags = '', major = '', minor = ''] = LINE.exec(line) ?? [];
      if (write !== 'W' || !flags.includes('E') || flags.includes('b') || name.includes('/')) return [];
      return [
        {
          name,
          isPreferred: flags.includes('C'),
          isVirtualTerminal: Number(major) === TTY_MAJOR && Number(minor) < SERIAL_MINOR_START,
        },
      ];
    })
    .slice(0, MOST);
}
