/** RFC 9580, section 5.2.1. */
export const SIGNATURE_TYPE = {
  binaryDocument: 0x00,
  textDocument: 0x01,
  /** The four kinds of certification, up to the one that is called positive. */
  genericCertification: 0x10,
  positiveCertification: 0x13,
  subkeyBinding: 0x18,
  primaryKeyBinding: 0x19,
  directKey: 0x1f,
  keyRevocation: 0x20,
  subkeyRevocation: 0x28,
  certificationRevocation: 0x30,
} as const;
