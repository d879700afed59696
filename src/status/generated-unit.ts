import fs from 'node:fs';
import { pathFromUnitName } from '../request/unit-name.ts';

/** Where the units of generators are: systemd.generator(7). */
export const GENERATED_UNITS = [
  '/run/systemd/generator.early',
  '/run/systemd/generator',
  '/run/systemd/generator.late',
] as const;

/** systemd leaves a link with this name for every unit that it has started, and that it still knows. */
const INVOCATION = '/run/systemd/units/invocation:';

/** Bytes; a longer file is none that rdpull has written. */
const UNIT_MAX = 256 * 1024;

/** A pull that the generator has planned for this boot. */
export interface GeneratedUnit {
  /** `rdpull@run-machines-root.raw.service` */
  readonly name: string;
  /** What it pulls to, as its name says. */
  readonly target: string;
  /** What it pulls, in words: a URL, or a name beside the UKI. */
  readonly source: string | undefined;
  /** The arguments of rdpull; none when they cannot be read. */
  readonly command: readonly string[];
  /** Whether systemd has started it. */
  readonly wasStarted: boolean;
}

/** The units that the generator has written for this side of the boot. */
export function readGeneratedUnits(): GeneratedUnit[] {
  return GENERATED_UNITS.flatMap((directory) => list(directory).flatMap((name) => readUnit(directory, name)));
}

function list(directory: string): string[] {
  try {
    return fs.readdirSync(directory).sort();
  } catch {
    return [];
  }
}

function readUnit(directory: string, name: string): GeneratedUnit[] {
  const target = pathFromUnitName('rdpull', name, '.service');
  if (target === undefined) return [];
  const text = readSmallFile(`${directory}/${name}`);
  const setting = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1];
  const description = setting('Description')?.replaceAll('%%', '%');
  const [, source] = /^(?:Pull|Attachment) of (.*) \([a-z]+ image, [a-z]+\)$/.exec(description ?? '') ?? [];
  return [
    {
      name,
      target,
      source,
      command: splitCommand(setting('ExecStart') ?? '').slice(1),
      wasStarted: fs.lstatSync(`${INVOCATION}${name}`, { throwIfNoEntry: false }) !== undefined,
    },
  ];
}

function readSmallFile(file: string): string {
  try {
    return fs.statSync(file).size > UNIT_MAX ? '' : fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** The words of an ExecStart= that the generator has written: plain, or in double quotes. */
function splitCommand(text: string): string[] {
  return [...text.matchAll(/"((?:[^\\"]|\\.)*)"|(\S+)/g)].map(([, quoted, plain = '']) =>
    (quoted?.replaceAll(/\\(.)/g, '$1') ?? plain).replaceAll('%%', '%'),
  );
}
