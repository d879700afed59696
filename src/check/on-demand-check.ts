import { size } from '../console/quantity.ts';
import { onDemandImpossible, type PlanQuestion, planOnDemand } from '../on-demand/plan-on-demand.ts';
import type { OnDemand } from '../request/on-demand.ts';
import type { SourceOptions } from '../source/source.ts';
import type { Demand } from '../transfer/promise.ts';
import type { Findings } from './finding.ts';

/** The largest block for which nobody waits long: 0.1 s at 100 Mbit/s, and as long to decode it. Bytes. */
const QUICK_BLOCK = 1024 * 1024;

/**
 * Whether an image could be read before it is there, and how well.
 *
 * @throws RdpullError of the network, http or decode family
 */
export async function checkOnDemand(
  findings: Findings,
  { isRequired }: OnDemand,
  question: PlanQuestion,
  demand: Demand,
  access: SourceOptions,
): Promise<void> {
  const warn = (text: string) => findings.warn('server', text);
  const plan = await planOnDemand(question, demand, { ...access, warn });
  if (plan.kind === 'whole') {
    const { what, remedy } = plan;
    if (isRequired) findings.fail('image', onDemandImpossible(plan));
    else findings.warn('image', `${what}: it is downloaded whole, and not read on demand`, remedy);
    return;
  }
  using image = plan.image;
  const { format, largestBlock } = image.map;
  const text = `it is read on demand (${format}, in blocks of ${size(largestBlock)} at most)`;
  if (largestBlock <= QUICK_BLOCK) findings.ok('image', text);
  else
    findings.warn(
      'image',
      `${text}: whoever reads a byte waits for all of its block`,
      'compress it with xz -T0 --block-size=1MiB, or less',
    );
}
