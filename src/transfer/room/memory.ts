import fs from 'node:fs';

const KIB = 1024;

/**
 * Bytes that programs and files in RAM can still take before the machine is out of memory: what the kernel believes it
 * can free, and swap (proc_meminfo(5)). undefined when it does not say.
 */
export function availableMemory(): number | undefined {
  let text: string;
  try {
    text = fs.readFileSync('/proc/meminfo', 'utf8');
  } catch {
    return undefined;
  }
  const kibibytes = (name: string) => {
    const [, digits] = new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text) ?? [];
    return digits === undefined ? undefined : Number(digits);
  };
  const available = kibibytes('MemAvailable');
  return available === undefined ? undefined : (available + (kibibytes('SwapFree') ?? 0)) * KIB;
}
