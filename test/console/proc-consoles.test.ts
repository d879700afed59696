import { expect, test } from 'bun:test';
import { parseConsoles } from '../../src/console/proc-consoles.ts';

test('the consoles of a machine, as proc(5) shows them', () => {
  const text = `tty0                 -WU (ECp)       4:7
ttyS0                -W- (Ep)        4:65
ttyAMA0              -W- (E  p a)  204:64
hvc0                 -W- (E  p  )  229:0
`;
  expect(parseConsoles(text)).toEqual([
    { name: 'tty0', isPreferred: true, isVirtualTerminal: true },
    { name: 'ttyS0', isPreferred: false, isVirtualTerminal: false },
    { name: 'ttyAMA0', isPreferred: false, isVirtualTerminal: false },
    { name: 'hvc0', isPreferred: false, isVirtualTerminal: false },
  ]);
});

test.each([
  ['is not enabled', 'ttyS0                -W- ( C p a)    4:64'],
  ['cannot be written to', 'ttyS0                R-- (EC p a)    4:64'],
  ['is no device', 'netcon0              -W- (E  p a)'],
  ['is a Braille display', 'brl0                 -W- (E   b )    4:64'],
  ['leads out of /dev', '../sda               -W- (E  p  )    4:64'],
  ['is no line of that file', 'nonsense'],
])('what %s is none', (_, line) => {
  expect(parseConsoles(`${line}\n`)).toEqual([]);
});

test('no more than sixteen are used', () => {
  const lines = Array.from({ length: 40 }, (_, index) => `ttyS${index} -W- (E) 4:${64 + index}\n`);
  expect(parseConsoles(lines.join(''))).toHaveLength(16);
});
