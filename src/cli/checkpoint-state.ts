// The state in a checkpoint, operator by operator, as rows. Partitions are read one at a time: each
// has to fit into memory, all of them need not.

import { closestName } from '../base/closest-name.ts';
import type {
  CheckpointManifest,
  PartitionState,
} from '../control/protocol/checkpoint-manifest.ts';
import { readState } from '../data/task/saved-state.ts';
import type { SavedState, StateRow } from '../data/task/saved-state.ts';
import type { CheckpointStore } from '../runtime/storage/checkpoint-store.ts';
import { UsageError } from './usage-error.ts';

/** A stage keeps state for the operator, or source, that it starts with. */
export type OperatorState = {
  readonly operator: string;
  readonly stage: number;
  readonly isSource: boolean;
  /** Of the stage. */
  readonly partitionCount: number;
  /** Those with state, ascending. */
  readonly partitions: readonly PartitionState[];
};

export type PartitionRow = StateRow & { readonly partition: number };

/** `only`: the id of one operator. Throws a `UsageError` if the checkpoint has none of that id. */
export function operatorsOf(
  { structure, state }: CheckpointManifest,
  only: string | null,
): readonly OperatorState[] {
  const all = structure.stages.map(({ stage, source, partitions, operators }): OperatorState => {
    return {
      operator: source ?? operators[0]?.id ?? `stage ${stage}`,
      stage,
      isSource: source !== null,
      partitionCount: partitions,
      partitions: state.filter((partition) => partition.stage === stage),
    };
  });
  const found = all.filter(({ operator }) => only === null || operator === only);
  if (only === null || found.length > 0) return found;
  const names = all.map(({ operator }) => operator);
  const closest = closestName(only, names);
  const meant = closest === null ? '' : `did you mean "${closest}"? `;
  throw new UsageError(
    `could not find operator "${only}" in the checkpoint`,
    `${meant}there are ${names.map((name) => `"${name}"`).join(', ')}`,
  );
}

/** Rejects with `checkpoint-damaged`, `state-damaged` or `state-version`. */
export async function savedState(
  checkpoints: CheckpointStore,
  { objects }: PartitionState,
): Promise<SavedState> {
  return readState(await Promise.all(objects.map((object) => checkpoints.readState(object))));
}

export async function* rowsOf(
  checkpoints: CheckpointStore,
  { partitions }: Pick<OperatorState, 'partitions'>,
): AsyncGenerator<PartitionRow> {
  for (const partition of partitions) {
    const { rows } = await savedState(checkpoints, partition);
    for (const row of rows) yield { ...row, partition: partition.partition };
  }
}
