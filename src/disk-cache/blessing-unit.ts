import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { quoteArgument, unitText } from '../generator/unit-text.ts';
import { RUNTIME_UNITS } from '../initramfs/carried-unit.ts';
import { escapeSpecifiers, unitNameFromPath } from '../request/unit-name.ts';
import { type CachedImage, imageTitle } from './cached-image.ts';
import { formatCachedName } from './cached-name.ts';

/**
 * Has the system that comes up say that it did: a unit below /run, where the systemd of the real root finds it, takes the counter out of
 * the name of the image. It is wanted and ordered as systemd-bless-boot.service is (systemd-bless-boot-generator(8)), but for waiting
 * for multi-user.target, too: by default nothing is between sysinit.target and boot-complete.target. All it takes of the image is mv.
 *
 * @param units where it is written
 * @throws Error of node:fs; RdpullError bad-image-name
 */
export function writeBlessingUnit(image: CachedImage, units = RUNTIME_UNITS): void {
  const unit = unitNameFromPath('rdpull-bless', path.dirname(image.id), '.service');
  fs.mkdirSync(path.join(units, 'basic.target.wants'), { recursive: true });
  // PID 1 may read it at any time.
  fs.writeFileSync(path.join(units, `${unit}.new`), blessingUnit(image));
  fs.renameSync(path.join(units, `${unit}.new`), path.join(units, unit));
  const link = path.join(units, 'basic.target.wants', unit);
  fs.rmSync(link, { force: true });
  fs.symlinkSync(`../${unit}`, link);
}

/** An image of the same name that is not counted has nothing to wait for. */
export function removeBlessingUnit(image: CachedImage, units = RUNTIME_UNITS): void {
  const unit = unitNameFromPath('rdpull-bless', path.dirname(image.id), '.service');
  fs.rmSync(path.join(units, 'basic.target.wants', unit), { force: true });
  fs.rmSync(path.join(units, unit), { force: true });
}

function blessingUnit(image: CachedImage): string {
  const directory = path.dirname(image.path);
  const [stem = ''] = /^.*(?=_)/s.exec(path.basename(image.id)) ?? [];
  const good = path.join(directory, formatCachedName(stem, { ...image, tries: undefined }));
  return unitText(
    ['Written by rdpull: this boot is one of those that are counted.'],
    [
      {
        name: 'Unit',
        settings: [
          ['Description', escapeSpecifiers(`Image ${printable(imageTitle(image))} of the cache is good`)],
          ['Documentation', 'man:rdpull.cache(7)'],
          ['DefaultDependencies', 'no'],
          ['ConditionPathExists', '!/etc/initrd-release'],
          ['Requires', 'boot-complete.target'],
          ['After', 'boot-complete.target local-fs.target multi-user.target'],
          ['RequiresMountsFor', quoteArgument(directory)],
          ['Conflicts', 'shutdown.target'],
          ['Before', 'shutdown.target'],
        ],
      },
      {
        name: 'Service',
        settings: [
          ['Type', 'oneshot'],
          ['RemainAfterExit', 'yes'],
          ['ExecStart', [':mv', image.path, good].map(quoteArgument).join(' ')],
        ],
      },
    ],
  );
}
