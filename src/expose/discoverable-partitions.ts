/**
 * Types of partitions by architecture: UAPI.2, the Discoverable Partitions Specification (uapi-group.org), and systemd's sd-gpt.h,
 * whose SD_GPT_ROOT_X86_64_VERITY_SIG is `rootVeritySignature` of `x64` here. Those of architectures that rdpull does not run on are there to
 * read images and UKIs that are made for them.
 */
export interface DiscoverablePartitions {
  readonly root: string;
  readonly rootVerity: string;
  readonly rootVeritySignature: string;
  readonly usrVerity: string;
  readonly usrVeritySignature: string;
}

/** By what Node calls them (process.arch). */
export const DISCOVERABLE_PARTITIONS = {
  x64: {
    root: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
    rootVerity: '2c7357ed-ebd2-46d9-aec1-23d437ec2bf5',
    rootVeritySignature: '41092b05-9fc8-4523-994f-2def0408b176',
    usrVerity: '77ff5f63-e7b6-4633-acf4-1565b864c0e6',
    usrVeritySignature: 'e7bb33fb-06cf-4e81-8273-e543b413e2e2',
  },
  arm64: {
    root: 'b921b045-1df0-41c3-af44-4c6f280d3fae',
    rootVerity: 'df3300ce-d69f-4c92-978c-9bfb0f38d820',
    rootVeritySignature: '6db69de6-29f4-4758-a7a5-962190f00ce3',
    usrVerity: '6e11a4e7-fbca-4ded-b9e9-e1a512bb664e',
    usrVeritySignature: 'c23ce4ff-44bd-4b00-b2d4-b41b3419e02a',
  },
  riscv64: {
    root: '72ec70a6-cf74-40e6-bd49-4bda08e8f224',
    rootVerity: 'b6ed5582-440b-4209-b8da-5ff7c419ea3d',
    rootVeritySignature: 'efe0f087-ea8d-4469-821a-4c2a96a8386a',
    usrVerity: '8f1056be-9b05-47c4-81d6-be53128e5b54',
    usrVeritySignature: 'd2f9000a-7a18-453f-b5cd-4d32f77a7b32',
  },
  loong64: {
    root: '77055800-792c-4f94-b39a-98c91b762bb6',
    rootVerity: 'f3393b22-e9af-4613-a948-9d3bfbd0c535',
    rootVeritySignature: '5afb67eb-ecc8-4f85-ae8e-ac1e7c50e7d0',
    usrVerity: 'f46b2c26-59ae-48f0-9106-c50ed47f673d',
    usrVeritySignature: 'b024f315-d330-444c-8461-44bbde524e99',
  },
} as const satisfies Partial<Record<NodeJS.Architecture, DiscoverablePartitions>>;

const BY_ARCHITECTURE: Readonly<Partial<Record<NodeJS.Architecture, DiscoverablePartitions>>> =
  DISCOVERABLE_PARTITIONS;

/** The type of the root partition; undefined for an architecture that is not known here. */
export function rootType(architecture: NodeJS.Architecture): string | undefined {
  return BY_ARCHITECTURE[architecture]?.root;
}

/** Whose root partition has a type: what Node calls that architecture. */
export function architectureOfRoot(type: string): string | undefined {
  return Object.entries(DISCOVERABLE_PARTITIONS).find(([, { root }]) => root === type)?.[0];
}
