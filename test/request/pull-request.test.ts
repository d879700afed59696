import { describe, expect, test } from 'bun:test';
import { pullParameters } from '../../src/request/kernel-command-line.ts';
import { parsePullExpression } from '../../src/request/pull-expression.ts';
import { type PullRequest, resolveRequest } from '../../src/request/pull-request.ts';
import { unitNameFromPath } from '../../src/request/unit-name.ts';
import { refusal } from './refusal.ts';

const URL = 'http://192.168.100.1:8081/image.raw.xz';

describe('a resolved request', () => {
  test('goes to /run in the initrd and to /var/lib on the host', () => {
    const request = parse('raw,machine:root:http://h/x');
    expect(resolveRequest(request, URL, true)).toEqual({
      url: URL,
      local: 'root',
      directory: '/run/machines',
      path: '/run/machines/root.raw',
    });
    expect(resolveRequest(request, URL, false).path).toBe('/var/lib/machines/root.raw');
  });

  test('goes where runtime= says', () => {
    expect(resolveRequest(parse('tar,sysext,runtime=no:a:http://h/x'), URL, true).path).toBe(
      '/var/lib/extensions/a',
    );
    expect(resolveRequest(parse('tar,confext,runtime=yes:a:http://h/x'), URL, false).path).toBe(
      '/run/confexts/a',
    );
  });

  test('without a local name is named after the URL', () => {
    expect(resolveRequest(parse('raw,machine,bootorigin::image.raw.xz'), URL, true).local).toBe('image');
  });

  test('is refused when the URL yields no valid name', () => {
    expect(refusal(() => resolveRequest(parse('raw,machine,bootorigin::..'), 'http://h/..', true)).code).toBe(
      'bad-image-name',
    );
  });
});

test('from the kernel command line to the unit, as systemd names it on the host', () => {
  const { expressions } = pullParameters(
    'root=/dev/sda systemd.pull=tar,confext,verify=no:importtest9:file:///var/tmp/importtest.tar.gz',
    false,
    failOnWarning,
  );
  const [request] = expressions.map(parse);
  expect(request).toEqual({
    remote: { kind: 'url', url: 'file:///var/tmp/importtest.tar.gz' },
    type: 'tar',
    imageClass: 'confext',
    local: 'importtest9',
    verify: { kind: 'no' },
    mirrors: [],
    stores: [],
    readOnly: false,
    blockdev: false,
    overcommit: false,
    report: true,
    onDemand: undefined,
    overlay: undefined,
    ramDisk: false,
    runtime: undefined,
  });
  if (request?.remote.kind !== 'url') throw new Error('no URL');
  const { path } = resolveRequest(request, request.remote.url, false);
  expect(unitNameFromPath('systemd-import', path, '.service')).toBe(
    'systemd-import@var-lib-confexts-importtest9.service',
  );
});

function parse(expression: string): PullRequest {
  return parsePullExpression(expression, failOnWarning);
}

function failOnWarning(message: string): never {
  throw new Error(`unexpected warning: ${message}`);
}
