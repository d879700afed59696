import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { RdpullError } from '../../../../src/console/rdpull-error.ts';
import {
  directory,
  file,
  hardLink,
  link,
  listTree,
  makeTreeDirectory,
  tarArchive,
  tarMember,
} from '../../../fixtures/tar.ts';
import {
  BELOW,
  type Members,
  opaque,
  root,
  STACKS,
  STACKS_WITH_OTHER_TIMES,
  whiteout,
  xattr,
} from './layer-stacks.ts';
import { applyLayers, unpackWithUmoci } from './layer-tree.ts';

let base: string;
let count = 0;

beforeAll(() => {
  base = makeTreeDirectory();
});
afterAll(() => fs.rmSync(base, { recursive: true, force: true }));

/** A new directory of its own. */
function scratch(): string {
  const made = path.join(base, `${count++}`);
  fs.mkdirSync(made);
  return made;
}

/** What we and what umoci make of a stack. */
function bothTrees(stack: readonly Members[]): { readonly ours: string; readonly theirs: string } {
  const layers = stack.map((members) => tarArchive(...members));
  const made = scratch();
  const ours = path.join(made, 'ours');
  applyLayers(layers, ours);
  return { ours: listTree(ours), theirs: listTree(unpackWithUmoci(layers, made)) };
}

describe('umoci makes the same tree of', () => {
  test.each(Object.entries(STACKS))('%s', (_, stack) => {
    const { ours, theirs } = bothTrees(stack);
    expect(ours).toBe(theirs);
  });
});

describe('umoci makes the same tree, but for the time of directories, of', () => {
  test.each(Object.entries(STACKS_WITH_OTHER_TIMES))('%s', (_, stack) => {
    const { ours, theirs } = bothTrees(stack);
    const withoutTimes = (tree: string) => tree.replace(/^(\S+ 4\d+ .*) time=\d+/gm, '$1');
    expect(withoutTimes(ours)).toBe(withoutTimes(theirs));
    expect(ours).toContain(' time=1000000000000000000');
    expect(ours).not.toMatch(/ time=1[1-9]/);
  });
});

describe('a layer is refused', () => {
  /** The error that applying `layer` to BELOW ends with. */
  function failure(...layer: Members): RdpullError {
    try {
      applyLayers([tarArchive(...BELOW), tarArchive(...layer)], path.join(scratch(), 'tree'));
    } catch (error) {
      if (error instanceof RdpullError) return error;
      throw error;
    }
    throw new Error('the layer was applied');
  }

  test.each([
    ['.wh..', 'tar-escape', 'the whiteout ".wh.." is about a directory above it'],
    ['etc/.wh...', 'tar-escape', 'the whiteout "etc/.wh..." is about a directory above it'],
    ['etc/.wh.', 'tar-malformed', 'the whiteout "etc/.wh." does not say what is gone'],
    [
      'etc/.wh.x/y',
      'tar-malformed',
      'the path "etc/.wh.x/y" goes through a whiteout, "etc/.wh.x", which is no directory',
    ],
    ['../.wh.x', 'tar-escape', 'the member "../.wh.x" climbs out with ".."'],
    ['/.wh.etc', 'tar-escape', 'the member "/.wh.etc" has an absolute name'],
    [
      'etc/passwd/.wh.x',
      'tar-malformed',
      'the path "etc/passwd/x" lies below "etc/passwd", which is not a directory',
    ],
  ])('with a whiteout called %s', (name, code, message) => {
    const error = failure(file(name, ''));
    expect<string>(error.code).toBe(code);
    expect(error.message).toBe(message);
  });

  test.each([
    ['a whiteout', whiteout('out/victim')],
    ['an opaque directory', opaque('out')],
    ['a file', file('out/victim')],
    ['a hard link', hardLink('etc/x', 'out/victim')],
  ])('with %s through a symbolic link that climbs out', (_, member) => {
    const outside = scratch();
    fs.writeFileSync(path.join(outside, 'victim'), 'safe');
    const error = failure(link('out', `../../${path.basename(outside)}`), member);
    expect(error.code).toBe('tar-escape');
    expect(error.message).toContain('which leads outside');
    expect(fs.readdirSync(outside)).toEqual(['victim']);
  });

  test('with a file in place of a directory that holds something of the same layer', () => {
    const { code, message } = failure(file('usr/lib/own'), file('usr/lib', 'in place of it'));
    expect(code).toBe('tar-malformed');
    expect(message).toBe(
      'the member "usr/lib" would take the place of the directory of this name, which is not empty',
    );
  });

  test('with a hard link to what no layer holds', () => {
    const { code, message } = failure(whiteout('usr/lib/one'), hardLink('x', 'usr/lib/one'));
    expect(code).toBe('tar-malformed');
    expect(message).toBe(
      'the hard link "x" points to "usr/lib/one", which the layers below do not hold, nor this one before it',
    );
  });

  test('when all layers together make more than they may', () => {
    const layers = [0, 1, 2].map((layer) =>
      tarArchive(...[0, 1, 2].map((each) => file(`d${layer}/${each}`))),
    );
    const tree = path.join(scratch(), 'tree');
    applyLayers(layers, `${tree}-all`, { entries: 12 });
    expect(() => applyLayers(layers, tree, { entries: 11 })).toThrow(
      'the layers make more than 11 files and directories',
    );
  });
});

test('a layer may lack the padding of its last file, as umoci writes it, and nothing of the file', () => {
  const whole = Buffer.concat([root, directory('d'), file('d/x', 'some data')]);
  const tree = path.join(scratch(), 'tree');
  applyLayers([whole.subarray(0, -503)], tree);
  expect(fs.readFileSync(path.join(tree, 'd/x'), 'utf8')).toBe('some data');
  expect(() => applyLayers([whole.subarray(0, -504)], path.join(scratch(), 'tree'))).toThrow(
    'within the file "d/x", 1 bytes of which are missing',
  );
  const header = Buffer.concat([whole, xattr('user.a', 'b')]);
  expect(() => applyLayers([header.subarray(0, -400)], path.join(scratch(), 'tree'))).toThrow('ends early');
});

test('what AUFS kept for itself is no part of the tree', () => {
  const layer = [
    directory('.wh..wh.plnk'),
    file('.wh..wh.plnk/1.2'),
    file('.wh..wh.aufs', ''),
    hardLink('etc/.wh.passwd', '.wh..wh.aufs'),
  ];
  const tree = path.join(scratch(), 'tree');
  applyLayers([tarArchive(...BELOW), tarArchive(...layer)], tree);
  expect(fs.readdirSync(tree).sort()).toEqual(['absolute', 'dev', 'etc', 'lib', 'usr']);
  expect(fs.readdirSync(path.join(tree, 'etc'))).toEqual(['passwd-']);
});

test('a directory that is hidden, and comes again only because something is in it, has nothing of the old one', () => {
  const below = [
    root,
    xattr('user.old', '1'),
    tarMember({ name: 'd', type: '5', mode: 0o2700, uid: 7, gid: 8 }),
    file('d/old'),
  ];
  for (const layer of [
    [whiteout('d'), file('d/new')],
    [file('d/new'), whiteout('d')],
  ]) {
    const tree = path.join(scratch(), 'tree');
    applyLayers([tarArchive(...below), tarArchive(...layer)], tree);
    expect(listTree(path.join(tree, 'd')).replace(/time=\d+/g, '')).toMatch(
      /^b'\.' 40755 0:0 links=2 \nb'\.\/new' 100644 0:0 .*\n$/,
    );
  }
});

test('a layer of more names than are looked at one by one', () => {
  const names = Array.from({ length: 3000 }, (_, index) => `d/${index}`);
  const layer = [...names.map((name) => file(name, 'new')), whiteout('d')];
  const below = [
    directory('d'),
    ...names.map((name) => file(`${name}-old`, 'old')),
    directory('d/e'),
    file('d/e/x'),
  ];
  const tree = path.join(scratch(), 'tree');
  applyLayers([tarArchive(...below), tarArchive(...layer)], tree);
  expect(fs.readdirSync(path.join(tree, 'd')).length).toBe(3000);
  expect(fs.existsSync(path.join(tree, 'd', '7-old'))).toBe(false);
});
