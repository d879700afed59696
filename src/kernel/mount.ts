import { checked, cString, libc, retryInterrupted } from './libc.ts';

/** Flags of mount(2), include/uapi/linux/mount.h. */
export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
export const MS_BIND = 4096;
export const MS_PRIVATE = 1 << 18;

/** Flag of umount2(2), glibc's sys/mount.h. */
export const MNT_DETACH = 2;

const symbols = libc({
  mount: { args: ['ptr', 'ptr', 'ptr', 'u64', 'ptr'], returns: 'i32' },
  umount2: { args: ['ptr', 'i32'], returns: 'i32' },
});

/** The arguments of mount(2); what is left out is passed as NULL. */
export interface Mount {
  readonly source?: string;
  readonly target: string;
  readonly type?: string;
  readonly flags: number;
  readonly options?: string;
}

/** mount(2). @throws SystemCallError */
export function mount({ source, target, type, flags, options }: Mount): void {
  const text = (value: string | undefined) => (value === undefined ? null : cString(value));
  const [sourceText, targetText, typeText, optionsText] = [
    text(source),
    cString(target),
    text(type),
    text(options),
  ];
  retryInterrupted(() =>
    checked('mount', symbols.mount(sourceText, targetText, typeText, BigInt(flags), optionsText)),
  );
}

/** umount2(2). `flags`: 0, or {@link MNT_DETACH} for a mount that may be in use. @throws SystemCallError */
export function unmount(target: string, flags = 0): void {
  const text = cString(target);
  retryInterrupted(() => checked('umount2', symbols.umount2(text, flags)));
}
