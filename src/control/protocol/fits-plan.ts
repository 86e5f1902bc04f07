// Whether a message speaks of stages, partitions and exchanges that the plan has. The codecs do not
// know the plan, and the machines take for granted that what they are told fits it.

import type { DriverMessage, PeerMessage, Place, WorkerMessage } from './messages.ts';
import type { Template } from './template.ts';

export type PlanSize = {
  /** By stage. */
  readonly partitionCounts: readonly number[];
  readonly exchanges: readonly { readonly from: number; readonly to: number }[];
};

export function driverMessageFits(message: DriverMessage, plan: PlanSize): boolean {
  switch (message.kind) {
    case 'install-template':
      return isTemplateOf(plan, message.template);
    case 'recover':
      return isTemplateOf(plan, message.recovery.template);
    case 'start-group':
      return message.stage === null || message.stage < plan.partitionCounts.length;
    case 'locations':
      return message.exchange < plan.exchanges.length;
    default:
      return true;
  }
}

export function workerMessageFits(message: WorkerMessage, plan: PlanSize): boolean {
  switch (message.kind) {
    case 'report':
      return message.report.ended.every((task) => isSourceOf(plan, task));
    case 'task-failed':
      return isPlaceOf(plan, message.task);
    case 'stage-done':
      return message.stage < plan.partitionCounts.length;
    case 'ask-locations':
      return message.exchange < plan.exchanges.length;
    case 'status': {
      const { owned, ranges, kept } = message.status;
      return (
        owned.every((place) => isPlaceOf(plan, place)) &&
        ranges.every((place) => isSourceOf(plan, place)) &&
        kept.every((place) => isSourceOf(plan, place))
      );
    }
    case 'snapshots-stored':
      return message.snapshots.every((place) => isPlaceOf(plan, place));
    default:
      return true;
  }
}

export function peerMessageFits(message: PeerMessage, plan: PlanSize): boolean {
  if (message.kind === 'backup') {
    return message.copies.every(({ exchange, producer }) => {
      const from = plan.exchanges[exchange]?.from;
      return from !== undefined && producer < plan.partitionCounts[from]!;
    });
  }
  if (message.kind !== 'blocks' && message.kind !== 'pull') return true;
  const exchange = plan.exchanges[message.exchange];
  if (exchange === undefined || message.kind === 'pull') return exchange !== undefined;
  const producers = plan.partitionCounts[exchange.from]!;
  const consumers = plan.partitionCounts[exchange.to]!;
  return (
    message.entries.every(({ producer }) => producer < producers) &&
    (message.only ?? []).every((partition) => partition < consumers)
  );
}

function isPlaceOf({ partitionCounts }: PlanSize, { stage, partition }: Place): boolean {
  return partition < (partitionCounts[stage] ?? 0);
}

function isSourceOf(plan: PlanSize, place: Place): boolean {
  return isPlaceOf(plan, place) && plan.exchanges.every(({ to }) => to !== place.stage);
}

function isTemplateOf({ partitionCounts, exchanges }: PlanSize, template: Template): boolean {
  return (
    template.stages.length === partitionCounts.length &&
    template.exchanges.length === exchanges.length &&
    template.stages.every(({ placement }, id) => placement.length === partitionCounts[id]) &&
    template.exchanges.every(
      ({ from, to }, id) => from === exchanges[id]!.from && to === exchanges[id]!.to,
    )
  );
}
