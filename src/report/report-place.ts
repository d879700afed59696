import fs from 'node:fs';
import path from 'node:path';

/** Below `/run`, which the real root takes over. Its unit has the same path as a condition: units/rdpull-report-root.service. */
const REPORT_PLACE = '/run/rdpull/report-to';

/** Where reports go, and what it takes to reach that. */
export interface ReportPlace {
  /** Without a login. */
  readonly url: string;
  /** PEM bundles to trust instead of the system's, as for the image. */
  readonly ca: readonly string[];
  /** The network that a link-local address is in. */
  readonly zone: string | undefined;
}

/**
 * Leaves a note for who will tell that the root was switched to.
 *
 * @throws Error of node:fs
 */
export function writeReportPlace(place: ReportPlace, file = REPORT_PLACE): void {
  const temporary = `${file}.${process.pid}`;
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
  fs.writeFileSync(temporary, `${JSON.stringify(place)}\n`, { mode: 0o600 });
  fs.renameSync(temporary, file);
}

/** What {@link writeReportPlace} has written; undefined when it has not. */
export function readReportPlace(file = REPORT_PLACE): ReportPlace | undefined {
  let value: unknown;
  try {
    value = JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { url, ca, zone } = { url: undefined, ca: [], zone: undefined, ...value };
  if (typeof url !== 'string' || !URL.canParse(url) || !Array.isArray(ca)) return undefined;
  const files: unknown[] = ca;
  return {
    url,
    ca: files.filter((each) => typeof each === 'string'),
    zone: typeof zone === 'string' ? zone : undefined,
  };
}
