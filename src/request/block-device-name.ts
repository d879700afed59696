import { encodeLinkName } from './device-link-name.ts';

/** The links that udev makes for the tags of a device: fstab(5). */
const TAGS: Readonly<Record<string, string>> = {
  LABEL: 'by-label',
  UUID: 'by-uuid',
  PARTLABEL: 'by-partlabel',
  PARTUUID: 'by-partuuid',
};

/** What a device may be called, for messages. */
export const DEVICE_NAMES = 'LABEL=, UUID=, PARTLABEL=, PARTUUID= or a path below /dev/';

/** The path of a block device that is named as in fstab(5); undefined when the text names none. */
export function blockDevicePath(name: string): string | undefined {
  if (name.startsWith('/dev/')) return name;
  const [, tag = '', value = ''] = /^([A-Z]+)=(.+)$/s.exec(name) ?? [];
  const directory = TAGS[tag];
  return directory === undefined ? undefined : `/dev/disk/${directory}/${encodeLinkName(value)}`;
}
