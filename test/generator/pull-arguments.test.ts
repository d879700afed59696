import { describe, expect, test } from 'bun:test';
import { parseCommandLine } from '../../src/commands/command-line.ts';
import { pull } from '../../src/commands/pull.ts';
import { imageRoot, pullRequest } from '../../src/commands/pull-arguments.ts';
import { type PlannedPull, planPull } from '../../src/generator/planned-pull.ts';
import { pullArguments } from '../../src/generator/pull-arguments.ts';
import { parsePullExpression } from '../../src/request/pull-expression.ts';
import { SeededRandom } from '../request/seeded-random.ts';

const DIGEST = '0123456789abcdef'.repeat(4);
const SOURCE = { path: '/proc/cmdline', isShared: false };

function planned(expression: string, changes: Partial<PlannedPull> = {}): PlannedPull {
  return {
    ...planPull(
      parsePullExpression(expression, () => undefined),
      true,
      SOURCE,
    ),
    ...changes,
  };
}

/** What `rdpull pull` makes of the arguments of a plan: the request of the plan again, but for runtime=. */
function expectInverse(plan: PlannedPull): void {
  const [command, ...args] = pullArguments(plan);
  expect(command).toBe('pull');
  const line = parseCommandLine(pull, args);
  expect(pullRequest(line, fail)).toEqual({
    ...plan.request,
    local: plan.object.local,
    runtime: undefined,
  });
  expect(imageRoot(line)).toBe(plan.object.directory);
  expect(line.has('keep')).toBe(plan.whenPresent === 'keep');
  expect(line.value('root-link')).toBe(
    plan.isRoot && plan.request.type === 'raw' ? '/run/rdpull/root' : undefined,
  );
}

function fail(warning: string): never {
  throw new Error(warning);
}

describe('the arguments of a unit', () => {
  test.each([
    [
      'raw,machine,store=http://a/castr,store=https://b:8443/castr:root:http://h/a.caibx',
      'pull --type=raw --class=machine --local=root --boot-screen --image-root=/run/machines --patience=300 --store=http://a/castr --store=https://b:8443/castr --verify=signature http://h/a.caibx',
    ],
    [
      'raw,machine,blockdev,ro,verify=checksum:root:http://h/a.raw.xz',
      'pull --type=raw --class=machine --local=root --boot-screen --image-root=/run/machines --patience=300 --verify=checksum --read-only --blockdev http://h/a.raw.xz',
    ],
    [
      `tar,portable,runtime=no,verify=sha256:${DIGEST}::file:///a.tar`,
      `pull --type=tar --class=portable --local=a --boot-screen --image-root=/var/lib/portables --verify=sha256:${DIGEST} file:///a.tar`,
    ],
    [
      'raw,machine,bootorigin,blockdev,ro:a\\:b\\\\c:x:y.raw',
      'pull --boot-screen --image-root=/run/machines --patience=300 raw,machine,bootorigin,verify=signature,ro,blockdev:a\\:b\\\\c:x:y.raw',
    ],
    [
      'raw,machine,ramdisk:x:http://h/y.raw',
      'pull --type=raw --class=machine --local=x --boot-screen --image-root=/run/machines --patience=300 --verify=signature --read-only --blockdev --ramdisk http://h/y.raw',
    ],
    [
      'raw,machine,ramdisk,bootorigin:x:y.raw',
      'pull --boot-screen --image-root=/run/machines --patience=300 raw,machine,bootorigin,verify=signature,ro,blockdev,ramdisk:x:y.raw',
    ],
    [
      'raw,machine,dhcporigin:x:y.raw',
      'pull --boot-screen --image-root=/run/machines --patience=300 raw,machine,dhcporigin,verify=signature:x:y.raw',
    ],
    [
      'raw,machine,dhcporigin,bootorigin:x:y.raw',
      'pull --boot-screen --image-root=/run/machines --patience=300 raw,machine,bootorigin,dhcporigin,verify=signature:x:y.raw',
    ],
    [
      'raw,machine,bootorigin::b/image.raw.xz?x=1',
      'pull --boot-screen --image-root=/run/machines --patience=300 raw,machine,bootorigin,verify=signature:image:b/image.raw.xz?x=1',
    ],
    [
      'raw,machine,mirror=http://m:8081/a.raw,mirror=http://[::1]/a.raw:a:http://h/a.raw',
      'pull --type=raw --class=machine --local=a --boot-screen --image-root=/run/machines --patience=300 --mirror=http://m:8081/a.raw --mirror=http://[::1]/a.raw --verify=signature http://h/a.raw',
    ],
    [
      'raw,machine,bootorigin,mirror=http://m/a.raw:a:',
      'pull --boot-screen --image-root=/run/machines --patience=300 --mirror=http://m/a.raw raw,machine,bootorigin,verify=signature:a:',
    ],
    [
      'raw,machine,overcommit:a:http://h/a.raw',
      'pull --type=raw --class=machine --local=a --boot-screen --image-root=/run/machines --patience=300 --verify=signature --overcommit http://h/a.raw',
    ],
    [
      'raw,machine,overcommit,bootorigin:a:',
      'pull --boot-screen --image-root=/run/machines --patience=300 raw,machine,bootorigin,verify=signature,overcommit:a:',
    ],
    [
      'raw,machine,on-demand:a:http://h/a.raw',
      'pull --type=raw --class=machine --local=a --boot-screen --image-root=/run/machines --patience=300 --verify=signature --read-only --blockdev --on-demand http://h/a.raw',
    ],
    [
      'raw,machine,on-demand=require,fill=2048K,bootorigin:a:',
      'pull --boot-screen --image-root=/run/machines --patience=300 raw,machine,bootorigin,verify=signature,ro,blockdev,on-demand=require,fill=2M:a:',
    ],
    [
      'tar,machine,bootorigin',
      'pull --boot-screen --image-root=/run/machines --patience=300 tar,machine,bootorigin,verify=signature:bootorigin:',
    ],
  ])('%s', (expression, expected) => {
    const text = expression.includes(':') ? expression : `${expression}::`;
    expect(pullArguments(planned(text)).join(' ')).toBe(expected);
  });

  test('name the link of a root, and what to do with an image of an earlier boot', () => {
    const root = planned('raw,machine,blockdev:r:http://h/r', { isRoot: true, whenPresent: 'keep' });
    expect(pullArguments(root)).toContain('--root-link=/run/rdpull/root');
    expect(pullArguments(root)).toContain('--keep');
    expectInverse(root);
    expectInverse(planned('tar,machine:r:http://h/r', { isRoot: true }));
  });

  test('are read by rdpull pull as what was asked for: a thousand expressions', () => {
    const random = new SeededRandom(3);
    const one = <T>(...choices: readonly [T, ...T[]]) => random.pick(choices);
    for (let count = 0; count < 1000; count++) {
      const type = one('raw', 'tar');
      const options = [
        type,
        one('machine', 'portable', 'sysext', 'confext'),
        one('verify=no', 'verify=checksum', 'verify=signature', `verify=${DIGEST}`, 'rw'),
        one('ro', 'rw'),
        one('runtime=yes', 'runtime=no', 'rw'),
        type === 'raw' ? one('blockdev', 'rw') : 'rw',
      ];
      const local = one(
        'root',
        '-x',
        '--force',
        '=',
        'a b',
        "o'x",
        '"',
        'a\\:b',
        'x\\\\',
        '%n',
        '$HOME',
        ';',
        'ä€',
        '*',
      );
      const isBootOrigin = random.pick([true, false]);
      const remote = isBootOrigin
        ? one('', 'a.raw', '../b:c d', '\'%20"\\', '--verify=no')
        : one('http://h/x', 'https://u:p@h:8/%20a b;c', 'http://h/\'"\\$x', 'file:///a:b', 'file:/x\\');
      const expression = `${[...options, ...(isBootOrigin ? ['bootorigin'] : [])].join(',')}:${local}:${remote}`;
      expectInverse(planned(expression));
    }
  });
});
