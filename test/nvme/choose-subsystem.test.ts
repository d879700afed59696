import { describe, expect, test } from 'bun:test';
import { chooseSubsystem } from '../../src/nvme/choose-subsystem.ts';

const nqn = (file: string) => `nqn.2023-10.io.systemd:storagetm.0123456789abcdef0123456789abcdef.${file}`;
const PORTAL = { address: '10.0.2.2', port: 4420 };
const choose = (files: readonly string[], names: readonly string[]) =>
  chooseSubsystem(files.map(nqn), names, PORTAL);

describe('of what a server has', () => {
  test('the one that ends in the name of the image', () => {
    expect(choose(['other.raw', 'image.raw'], ['image'])).toBe(nqn('image.raw'));
    expect(choose(['my-image.raw', 'image.raw', 'image.raw'], ['image'])).toBe(nqn('image.raw'));
    expect(chooseSubsystem(['nqn.x:disk', 'nqn.x:sub:image'], ['image'], PORTAL)).toBe('nqn.x:sub:image');
  });

  test('the name of the UKI goes before the local one', () => {
    expect(choose(['root.raw', 'image.raw'], ['image', 'root'])).toBe(nqn('image.raw'));
    expect(choose(['root.raw', 'other.raw'], ['image', 'root'])).toBe(nqn('root.raw'));
  });

  test('the only one, whatever it is called', () => {
    expect(choose(['other.raw'], ['image'])).toBe(nqn('other.raw'));
    expect(choose(['other.raw'], [])).toBe(nqn('other.raw'));
  });

  test('several are listed', () => {
    expect(() => choose(['a.raw', 'b.raw'], ['image', 'root'])).toThrow(
      `10.0.2.2:4420: 2 subsystems are there, and none ends in image or root: ${nqn('a.raw')}, ${nqn('b.raw')}`,
    );
    expect(() => choose(['a.raw', 'b.raw'], [])).toThrow('10.0.2.2:4420: 2 subsystems are there: nqn.');
    expect(() => choose(['x.image.raw', 'image.raw'], ['image'])).toThrow('2 subsystems end in image: ');
    expect(() =>
      choose(
        Array.from({ length: 40 }, (_, index) => `${index}.raw`),
        [],
      ),
    ).toThrow(/, nqn\.\S+15\.raw and 24 more$/);
  });

  test('nothing is an error that says so', () => {
    expect(() => choose([], ['image'])).toThrow(
      '10.0.2.2:4420: the server has no subsystem for this machine',
    );
  });
});
