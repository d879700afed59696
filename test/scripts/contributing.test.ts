import { expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dir, '../..');
const text = fs.readFileSync(path.join(ROOT, 'CONTRIBUTING.md'), 'utf8');

/** What is made by what stands beside it. */
const isMade = (name: string) => /^dist\/|^node_modules\/|NAME/.test(name);

const named = [...text.matchAll(/`([^`]+)`/g)]
  .flatMap(([, code = '']) => code.split(' '))
  .filter((word) => /^(?:src|test|scripts|\.ci)\/|^[A-Za-z-]+\.(?:md|json)$/.test(word) && !isMade(word));

test.each([...new Set(named)])('CONTRIBUTING.md: there is %s', (name) => {
  expect(fs.existsSync(path.join(ROOT, name.replace(/[,;]$/, '')))).toBe(true);
});

test('CONTRIBUTING.md: it names many files, and fits a page', () => {
  expect(named.length).toBeGreaterThan(40);
  expect(text.split('\n').length).toBeLessThan(110);
});

const [, order = ''] = /Imports run one way: ([^.]+)\./.exec(text) ?? [];
/** The rooms of `src`, those that import first. */
const floors = order.split(/,\s+/).map((floor) => floor.split('/'));

/** What stands side by side in CONTRIBUTING.md does not import each other. */
test('rooms import each other in the order of CONTRIBUTING.md alone', () => {
  const floorOf = (room: string) => floors.findIndex((rooms) => rooms.includes(room));
  const files = new Bun.Glob('src/*/**/*.ts').scanSync({ cwd: ROOT });
  const upwards = [...files].flatMap((file) => {
    const source = fs.readFileSync(path.join(ROOT, file), 'utf8');
    const imported = [...source.matchAll(/(?:from |import\()'(\.[^']+)'/g)].map(([, to = '']) =>
      path.join(path.dirname(file), to),
    );
    const room = roomOf(file);
    return imported
      .filter((to) => {
        const other = roomOf(to);
        return other !== undefined && other !== room && floorOf(other) <= floorOf(room ?? '');
      })
      .map((to) => `${file} imports ${to}`);
  });
  expect(upwards).toEqual([]);
});

test('CONTRIBUTING.md has every room in that order', () => {
  const rooms = fs
    .readdirSync(path.join(ROOT, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory());
  expect(floors.flat().sort()).toEqual(rooms.map(({ name }) => name).sort());
});

/** The folder of `src` that a file lies in; undefined: none. */
function roomOf(file: string): string | undefined {
  return /^src\/([^/]+)\//.exec(file)?.[1];
}
