import { describe, expect, test } from 'bun:test';
import { planPulls } from '../../src/generator/unit-plan.ts';
import { parseCacheRequest, parseCacheSize, parseTries } from '../../src/request/cache.ts';

function parsed(text: string) {
  const warnings: string[] = [];
  return { request: parseCacheRequest(text, (warning) => warnings.push(warning)), warnings };
}

describe('rd.rdpull.cache=', () => {
  test.each(['LABEL=images', 'UUID=ab-cd', 'PARTLABEL=x y', 'PARTUUID=1', '/dev/vda3'])(
    'names a device: %s',
    (device) => {
      expect(parsed(`${device},cache-size=8G,tries=5`)).toEqual({
        request: { device, size: '8G', tries: '5' },
        warnings: [],
      });
    },
  );

  test.each(['images', 'LABEL=', '/srv/cache', '', 'LABLE=x', 'cache-size=8G'])(
    'is ignored where it names none: %j',
    (text) => {
      const { request, warnings } = parsed(text);
      expect(request).toBeUndefined();
      expect(warnings.join()).toContain(
        'is no device; write LABEL=, UUID=, PARTLABEL=, PARTUUID= or a path below /dev',
      );
    },
  );

  test('keeps its device when an option is wrong', () => {
    const { request, warnings } = parsed('LABEL=x,cache-size=8Q,trys=5,tries=100');
    expect(request).toEqual({ device: 'LABEL=x', size: undefined, tries: undefined });
    expect(warnings).toEqual([
      '"cache-size=8Q" behind the device of the cache is ignored: write cache-size=8G',
      '"trys=5" behind the device of the cache is ignored: did you mean tries=?',
      '"tries=100" behind the device of the cache is ignored: write tries=3, at most 99',
    ]);
  });

  test('wins over the credential, and an empty one takes both back', () => {
    const pull = 'rd.systemd.pull=raw,machine:root:http://h/root.raw';
    const cacheOf = (words: string) =>
      planPulls(
        {
          commandLine: `${pull} ${words}`,
          credential: undefined,
          cacheCredential: { text: 'LABEL=credential', path: '/run/credentials/@system/rdpull.cache' },
          inInitrd: true,
          executable: '/usr/bin/rdpull',
          exists: () => false,
          lacksBootUrl: false,
        },
        () => undefined,
      ).pulls[0]?.cache?.device;
    expect(['', 'rd.rdpull.cache=LABEL=a rd.rdpull.cache=LABEL=b', 'rd.rdpull.cache='].map(cacheOf)).toEqual([
      'LABEL=credential',
      'LABEL=b',
      undefined,
    ]);
  });
});

test('a size is one of an image or more, and tries are some', () => {
  expect(['1M', '8G', '1048575', '0', 'x', '9999999999999T'].map(parseCacheSize)).toEqual([
    1024 ** 2,
    8 * 1024 ** 3,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  expect(['1', '99', '0', '100', '-1', ''].map(parseTries)).toEqual([
    1,
    99,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
