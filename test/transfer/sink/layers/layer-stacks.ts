import path from 'node:path';
import { directory, file, hardLink, link, paxHeader, tarMember } from '../../../fixtures/tar.ts';

export type Members = readonly Uint8Array[];

/** The root itself, so that nothing of the tree is left to the moment or to the one who unpacks. */
export const root = tarMember({ name: './', type: '5', mode: 0o755, mtime: 1_000_000_000 });
export const whiteout = (name: string) => {
  const { dir, base: last } = path.posix.parse(name);
  return file(`${dir === '' ? '' : `${dir}/`}.wh.${last}`, '');
};
export const opaque = (name: string) => file(`${name === '' ? '' : `${name}/`}.wh..wh..opq`, '');
export const xattr = (name: string, value: string) => paxHeader([[`SCHILY.xattr.${name}`, value]]);

/** `u::rwx u:7:rwx g::r-x m::rwx o::---`, as linux/posix_acl_xattr.h has it. */
const DEFAULT_ACL = Buffer.from(
  '0200000001000700ffffffff020007000700000004000500ffffffff10000700ffffffff20000000ffffffff',
  'hex',
);

/** A tree with something of everything below. */
export const BELOW: Members = [
  root,
  directory('usr'),
  directory('usr/lib'),
  file('usr/lib/one', 'one'),
  file('usr/lib/two', 'two'),
  directory('usr/lib/deep'),
  directory('usr/lib/deep/er'),
  file('usr/lib/deep/er/file', 'deep'),
  link('lib', 'usr/lib'),
  link('absolute', '/usr/lib'),
  directory('etc', 0o750),
  file('etc/passwd', 'root:x:0:0::/:/bin/sh\n'),
  hardLink('etc/passwd-', 'etc/passwd'),
  tarMember({ name: 'dev', type: '5' }),
  tarMember({ name: 'dev/null', type: '3', mode: 0o666, major: 1, minor: 3 }),
  tarMember({ name: 'dev/fifo', type: '6' }),
];

/** Each a stack of layers, from the bottom up, of which umoci makes the same. */
export const STACKS: Record<string, readonly Members[]> = {
  'adding files, in old and new directories': [
    BELOW,
    [file('usr/lib/three', '3'), directory('opt'), file('opt/x')],
    [file('opt/y', 'y'), file('usr/lib/deep/er/more')],
  ],
  'a file over a file, whose other name keeps the old one': [BELOW, [file('etc/passwd', 'new')]],
  'a file over a symbolic link, a device, a fifo': [
    BELOW,
    [file('lib', 'x'), file('dev/null', 'y'), file('dev/fifo', 'z')],
  ],
  'links and devices over files': [
    BELOW,
    [
      link('usr/lib/one', 'two'),
      tarMember({ name: 'usr/lib/two', type: '4', mode: 0o600, major: 7, minor: 259 }),
      tarMember({ name: 'etc/passwd', type: '6', mode: 0o640 }),
    ],
  ],
  'a file in place of a full directory, and a directory in place of the file': [
    BELOW,
    [file('usr/lib/deep', 'a file now')],
    [directory('usr/lib/deep', 0o700), file('usr/lib/deep/new')],
  ],
  'a symbolic link in place of a full directory': [BELOW, [link('usr/lib/deep', '../../etc')]],
  'a directory in place of a symbolic link to one': [BELOW, [directory('lib'), file('lib/own')]],
  'files through symbolic links of a lower layer': [
    BELOW,
    [file('lib/through'), file('absolute/deep/too'), hardLink('lib/again', 'absolute/one')],
  ],
  'hard links into lower layers': [
    BELOW,
    [hardLink('usr/lib/uno', 'usr/lib/one'), hardLink('etc/shadow', 'etc/passwd-')],
    [whiteout('usr/lib/one'), hardLink('usr/lib/due', 'usr/lib/uno')],
  ],
  'attributes of directories changed': [
    BELOW,
    [tarMember({ name: 'etc', type: '5', mode: 0o2711, uid: 7, gid: 8, mtime: 1_234_567_890 })],
    [file('etc/new')],
  ],
  'a root that no layer names': [
    [directory('d'), file('d/x')],
    [file('y'), whiteout('d')],
  ],
  'the attributes of the root changed': [
    BELOW,
    [tarMember({ name: '.', type: '5', mode: 0o711, uid: 1, gid: 2, mtime: 42 })],
  ],
  'whiteouts of a file, a link, a device, a full directory, and of nothing': [
    BELOW,
    [
      whiteout('usr/lib/one'),
      whiteout('lib'),
      whiteout('dev/null'),
      whiteout('usr/lib/deep'),
      whiteout('missing'),
      whiteout('not/even/near'),
    ],
  ],
  'a whiteout behind what comes in its place': [BELOW, [file('usr/lib/one', 'new'), whiteout('usr/lib/one')]],
  'a whiteout before what comes in its place': [BELOW, [whiteout('usr/lib/one'), file('usr/lib/one', 'new')]],
  'a whiteout through a symbolic link of the tree': [BELOW, [whiteout('lib/one'), whiteout('absolute/two')]],
  'an opaque directory, its marker first': [
    BELOW,
    [directory('usr/lib', 0o700), opaque('usr/lib'), file('usr/lib/own')],
  ],
  'an opaque directory, its marker last': [
    BELOW,
    [directory('usr/lib', 0o700), file('usr/lib/own'), opaque('usr/lib')],
  ],
  'an opaque root': [BELOW, [root, file('only'), opaque('')]],
  'opaque where there is nothing': [BELOW, [directory('fresh'), opaque('fresh'), file('fresh/x')]],
  'whiteouts, and an opaque root, in the bottom layer': [
    [root, file('x'), whiteout('x'), whiteout('y'), opaque(''), directory('d'), file('d/x'), opaque('d')],
  ],
  'a whiteout of a layer that is taken back by the next': [
    BELOW,
    [whiteout('etc'), whiteout('usr/lib/one')],
    [directory('etc'), file('etc/passwd', 'again'), file('usr/lib/one', 'again')],
  ],
  'extended attributes, which a layer changes and takes away': [
    [
      root,
      xattr('user.a', '1'),
      directory('d'),
      xattr('user.b', '2'),
      file('f'),
      xattr('trusted.c', '3'),
      file('kept'),
    ],
    [xattr('user.z', '9'), directory('d'), file('f')],
  ],
  'a directory that hands its group and a default ACL down, where a layer adds to it': [
    [
      root,
      paxHeader([['SCHILY.xattr.system.posix_acl_default', DEFAULT_ACL]]),
      tarMember({ name: 'd', type: '5', mode: 0o2775, uid: 5, gid: 50 }),
    ],
    [file('d/f'), directory('d/e'), link('d/l', 'f'), tarMember({ name: 'd/p', type: '6', mode: 0o600 })],
  ],
  'members that are there twice': [BELOW, [file('usr/lib/one', 'first'), file('usr/lib/one', 'second')]],
  'nothing at all in a layer': [BELOW, []],
  'times before the epoch and after 2038': [
    BELOW,
    [
      paxHeader([['mtime', '-1.25']]),
      directory('usr'),
      paxHeader([['mtime', '4102444800.000000001']]),
      file('usr/new'),
    ],
    [file('usr/newer')],
  ],
};

/** Of which umoci leaves the time of its own work on directories that the layer has a time for. */
export const STACKS_WITH_OTHER_TIMES: Record<string, readonly Members[]> = {
  'a whiteout of a directory that comes again, before and behind it': [
    BELOW,
    [
      whiteout('usr/lib/deep'),
      directory('usr/lib/deep', 0o711),
      file('usr/lib/deep/own'),
      directory('etc', 0o711),
      file('etc/own'),
      whiteout('etc'),
    ],
  ],
  'an opaque directory around what this layer has deep inside': [
    BELOW,
    [
      directory('usr/lib/deep'),
      directory('usr/lib/deep/er'),
      file('usr/lib/deep/er/own'),
      directory('usr'),
      opaque('usr'),
      directory('usr/lib'),
    ],
  ],
};
