import { describe, expect, test } from 'bun:test';
import { SHORT_LIVED, withoutRuntimeVariables } from '../src/runtime-variables.ts';

const [SHORT_LIVED_NAME = ''] = SHORT_LIVED.split('=');

describe('a variable that the runtime or its libraries read is left out:', () => {
  test.each([
    'BUN_OPTIONS',
    'BUN_JSC_useJIT',
    'NODE_EXTRA_CA_CERTS',
    'JSC_useGC',
    'WTF_SCHEDULING',
    'UV_THREADPOOL_SIZE',
    'OPENSSL_CONF',
    'SIMDUTF_FORCE_IMPLEMENTATION',
    'MIMALLOC_VERBOSE',
    'Malloc',
    'MallocStackLogging',
    'WebKitDebug',
    'JavaScriptCoreUseJIT',
    'GOMAXPROCS',
    'bun_options',
    `${SHORT_LIVED_NAME}x`,
  ])('%s', (name) => {
    for (const others of [{}, { PATH: '/usr/bin' }, { PATH: '/usr/bin', [SHORT_LIVED_NAME]: '0' }]) {
      expect(withoutRuntimeVariables({ [name]: '1', ...others })).toEqual(others);
      expect(withoutRuntimeVariables({ ...others, [name]: '1' })).toEqual(others);
    }
  });
});

test('there is nothing to leave out of an environment without them, also when it has what the unit of a pull sets', () => {
  const ours = {
    PATH: '/usr/bin',
    A_BUN_: 'x',
    SOME_NODE_NAME: 'NODE_OPTIONS=1',
    XMalloc: '',
    GOMAXPROCS_: '1',
    'LANG\nBUN': 'BUN_',
  };
  expect(withoutRuntimeVariables({})).toBeUndefined();
  expect(withoutRuntimeVariables(ours)).toBeUndefined();
  expect(withoutRuntimeVariables({ ...ours, [SHORT_LIVED_NAME]: '0' })).toBeUndefined();
});
