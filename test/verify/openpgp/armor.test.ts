import { expect, test } from 'bun:test';
import { readArmor } from '../../../src/verify/openpgp/armor.ts';

const block = (label: string, body = 'AAAA') =>
  `-----BEGIN ${label}-----\n\n${body}\n-----END ${label}-----\n`;

test('takes several blocks apart', () => {
  const { blocks, hasOtherText } = readArmor(
    `${block('PGP SIGNATURE', 'one')}\n${block('PGP SIGNATURE', 'two')}`,
  );
  expect(blocks).toEqual([
    { label: 'PGP SIGNATURE', text: block('PGP SIGNATURE', 'one') },
    { label: 'PGP SIGNATURE', text: block('PGP SIGNATURE', 'two') },
  ]);
  expect(hasOtherText).toBe(false);
});

test('reads carriage returns and trailing spaces', () => {
  const { blocks, hasOtherText } = readArmor(block('PGP SIGNATURE').replaceAll('\n', ' \r\n'));
  expect(blocks.map(({ label }) => label)).toEqual(['PGP SIGNATURE']);
  expect(hasOtherText).toBe(false);
});

test.each([
  ['before', `Hello\n${block('PGP SIGNATURE')}`],
  ['behind', `${block('PGP SIGNATURE')}rm -rf\n`],
  ['between', `${block('PGP SIGNATURE')}and\n${block('PGP SIGNATURE')}`],
])('notices text %s the blocks', (_, text) => {
  expect(readArmor(text).hasOtherText).toBe(true);
});

test('counts a block without its end as other text', () => {
  expect(readArmor('-----BEGIN PGP SIGNATURE-----\n\nAAAA\n')).toEqual({ blocks: [], hasOtherText: true });
  expect(readArmor(`-----BEGIN PGP SIGNATURE-----\n${block('PGP SIGNATURE')}`).hasOtherText).toBe(true);
});

test('does not end a block with the line of another kind', () => {
  expect(readArmor('-----BEGIN PGP SIGNATURE-----\n-----END PGP MESSAGE-----\n').blocks).toEqual([]);
});
