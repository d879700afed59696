/**
 * A name as udev writes it into a link below /dev/disk: what is neither a harmless character nor one beyond ASCII
 * becomes `\xNN` (libblkid's blkid_encode_string(), systemd's encode_devnode_name()).
 */
export function encodeLinkName(name: string): string {
  return name.replaceAll(
    /[^A-Za-z0-9#+.:=@_\u0080-\u{10ffff}-]/gu,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
