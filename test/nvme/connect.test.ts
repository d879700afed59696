import { expect, test } from 'bun:test';
import { fabricsOptions } from '../../src/nvme/connect.ts';
import { DISCOVERY_NQN } from '../../src/request/nvme-url.ts';

const PORTAL = { address: '10.0.2.2', port: 4420 };
const IDENTITY = { nqn: 'nqn.x:host', id: '11111111-2222-3333-4444-555555555555' };

test('a root is waited for without end, with digests over heads and data', () => {
  expect(fabricsOptions('nqn.x:a', PORTAL, { identity: IDENTITY, secrets: undefined }, true)).toBe(
    'transport=tcp,traddr=10.0.2.2,trsvcid=4420,nqn=nqn.x:a,hostnqn=nqn.x:host,hostid=11111111-2222-3333-4444-555555555555,' +
      'keep_alive_tmo=5,reconnect_delay=2,ctrl_loss_tmo=-1,hdr_digest,data_digest',
  );
});

test('without digests, without an identity, and with a secret', () => {
  expect(
    fabricsOptions(
      'nqn.x:a',
      { address: 'fe80::1%eth0', port: 1 },
      { identity: undefined, secrets: { host: 'DHHC-1:00:x:', controller: 'DHHC-1:00:y:' } },
      false,
    ),
  ).toBe(
    'transport=tcp,traddr=fe80::1%eth0,trsvcid=1,nqn=nqn.x:a,keep_alive_tmo=5,reconnect_delay=2,ctrl_loss_tmo=-1,dhchap_secret=DHHC-1:00:x:,dhchap_ctrl_secret=DHHC-1:00:y:',
  );
});

test('who is only asked something is not waited for', () => {
  expect(fabricsOptions(DISCOVERY_NQN, PORTAL, { identity: undefined, secrets: undefined }, true)).toBe(
    `transport=tcp,traddr=10.0.2.2,trsvcid=4420,nqn=${DISCOVERY_NQN},reconnect_delay=1,ctrl_loss_tmo=0`,
  );
});
