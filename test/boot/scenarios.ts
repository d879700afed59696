import type { Scenario } from './scenario.ts';
import { scenarios as arm64 } from './scenarios/arm64.ts';
import { scenarios as cache } from './scenarios/cache.ts';
import { scenarios as chunks } from './scenarios/chunks.ts';
import { scenarios as clock } from './scenarios/clock.ts';
import { scenarios as comparison } from './scenarios/comparison.ts';
import { scenarios as direct } from './scenarios/direct.ts';
import { scenarios as extensions } from './scenarios/extensions.ts';
import { scenarios as freedMemory } from './scenarios/freed-memory.ts';
import { scenarios as httpBoot } from './scenarios/http-boot.ts';
import { scenarios as ipxe } from './scenarios/ipxe.ts';
import { scenarios as memory } from './scenarios/memory.ts';
import { scenarios as mkosi } from './scenarios/mkosi.ts';
import { scenarios as nvme } from './scenarios/nvme.ts';
import { scenarios as nvmeAuth } from './scenarios/nvme-auth.ts';
import { scenarios as nvmePeers } from './scenarios/nvme-peers.ts';
import { scenarios as nvmeServe } from './scenarios/nvme-serve.ts';
import { scenarios as oci } from './scenarios/oci.ts';
import { scenarios as onDemand } from './scenarios/on-demand.ts';
import { scenarios as onDemandComparison } from './scenarios/on-demand-comparison.ts';
import { scenarios as onDemandSystemd } from './scenarios/on-demand-systemd.ts';
import { scenarios as onDemandVerity } from './scenarios/on-demand-verity.ts';
import { scenarios as origin } from './scenarios/origin.ts';
import { scenarios as overlay } from './scenarios/overlay.ts';
import { scenarios as ramDisk } from './scenarios/ram-disk.ts';
import { scenarios as reports } from './scenarios/reports.ts';
import { scenarios as signature } from './scenarios/signature.ts';
import { scenarios as tpm } from './scenarios/tpm.ts';
import { scenarios as unreliableNetwork } from './scenarios/unreliable-network.ts';
import { scenarios as verity } from './scenarios/verity.ts';

/** All there are. */
export const SCENARIOS: readonly Scenario[] = [
  ...httpBoot,
  ...reports,
  ...signature,
  ...verity,
  ...tpm,
  ...clock,
  ...direct,
  ...unreliableNetwork,
  ...onDemand,
  ...onDemandSystemd,
  ...onDemandVerity,
  ...onDemandComparison,
  ...chunks,
  ...oci,
  ...overlay,
  ...nvme,
  ...nvmeAuth,
  ...nvmePeers,
  ...nvmeServe,
  ...ipxe,
  ...cache,
  ...memory,
  ...freedMemory,
  ...origin,
  ...ramDisk,
  ...extensions,
  ...comparison,
  ...mkosi,
  ...arm64,
];
