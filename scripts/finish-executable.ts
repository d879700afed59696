/**
 * Makes an executable that Bun has compiled safe against its environment and against strip, and leaves out of it what no
 * boot needs: `bun scripts/finish-executable.ts FILE`.
 */
import fs from 'node:fs';
import { blankDevelopmentTools } from './development-tools.ts';
import { withoutSectionHeaders } from './elf.ts';
import { withoutLocales } from './icu-locales.ts';
import { blankRuntimeBytecode } from './runtime-bytecode.ts';
import { blankRuntimeNames } from './runtime-names.ts';

/** @throws Error when the runtime is not as it was when this was written */
export function finishExecutable(path: string): void {
  const compiled = fs.readFileSync(path);
  // What is not finished is not there: the names that are blanked make a root shell of it.
  fs.rmSync(path);
  blankRuntimeNames(compiled);
  blankDevelopmentTools(compiled);
  blankRuntimeBytecode(compiled);
  // Last, because it divides the segment in which the others look.
  fs.writeFileSync(path, withoutLocales(withoutSectionHeaders(compiled)), { mode: 0o755 });
}

const [, , file] = process.argv;
if (import.meta.main && file !== undefined) finishExecutable(file);
