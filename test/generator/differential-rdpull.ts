import { RdpullError } from '../../src/console/rdpull-error.ts';
import { findBootOrigin } from '../../src/origin/boot-origin.ts';
import { imageUrls } from '../../src/origin/image-url.ts';
import { pullParameters } from '../../src/request/kernel-command-line.ts';
import { parsePullExpression } from '../../src/request/pull-expression.ts';
import { type PullRequest, resolveRequest } from '../../src/request/pull-request.ts';
import { unitNameFromPath } from '../../src/request/unit-name.ts';
import { formatVerifyMode } from '../../src/request/verify-mode.ts';
import { type Case, commandLineBytes, type Outcome, outcome, type Transfer } from './differential-case.ts';
import { writeStubDeviceUrl } from './differential-efi.ts';

/** What rdpull makes of a case. @param efivars a directory of its own in place of efivarfs */
export function rdpullOutcome(each: Case, efivars: string): Outcome {
  writeStubDeviceUrl(efivars, each.bootUrl);
  const commandLine = commandLineBytes(each.commandLine).toString('utf8');
  const parameters = pullParameters(commandLine, each.inInitrd, () => undefined);
  const transfers: Transfer[] = [];
  for (const expression of parameters.expressions) {
    try {
      const request = parsePullExpression(expression, () => undefined);
      const url = remoteUrl(request, efivars);
      if (url === undefined) continue;
      const { local, directory, path } = resolveRequest(request, url, each.inInitrd);
      // systemd's own template, so that both have the same limit of a unit name's length.
      const unit = unitNameFromPath('systemd-import', path, '.service');
      transfers.push({
        instance: unit.slice('systemd-import@'.length, -'.service'.length),
        remote: url,
        local,
        class: request.imageClass,
        type: request.type,
        verify: formatVerifyMode(request.verify),
        readOnly: request.readOnly,
        imageRoot: directory,
        blockdev: request.blockdev,
        successAction: parameters.successAction ?? '',
        failureAction: parameters.failureAction ?? '',
      });
    } catch (error) {
      if (!(error instanceof RdpullError) || error.code === 'internal') throw error;
    }
  }
  return outcome(transfers);
}

/** The URL to pull from; undefined when the machine was not booted over HTTP, and the transfer is skipped. */
function remoteUrl({ remote, type }: PullRequest, efivars: string): string | undefined {
  if (remote.kind === 'url') return remote.url;
  const origin = findBootOrigin({ efivars });
  return origin && imageUrls(remote.name, type, origin.url)[0];
}
