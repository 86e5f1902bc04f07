// Rows for sinks of tasks that stay open: kept until the task's last part, since a micro-batch
// becomes visible as a whole.

import { concat } from '../columnar/select.ts';
import type { TaskId, TaskResult } from './task.ts';

type SinkRows = TaskResult['sinks'];

export class OpenRows {
  /** By stage and partition. */
  readonly #kept = new Map<string, SinkRows[]>();

  /** Gives all rows of the task when this part is the last, and nothing before. */
  add({ stage, partition }: TaskId, rows: SinkRows, last: boolean): SinkRows {
    const place = `${stage}/${partition}`;
    const kept = this.#kept.get(place);
    if (last && kept === undefined) return rows;
    const all = kept ?? [];
    if (rows.length > 0) all.push(rows);
    if (!last) {
      this.#kept.set(place, all);
      return [];
    }
    this.#kept.delete(place);
    return merged(all);
  }

  /** An open task of the partition is given up. */
  forget({ stage, partition }: Pick<TaskId, 'stage' | 'partition'>): void {
    this.#kept.delete(`${stage}/${partition}`);
  }
}

function merged(parts: readonly SinkRows[]): SinkRows {
  const bySink = Map.groupBy(parts.flat(), ({ sink }) => sink);
  return [...bySink].map(([sink, rows]) => {
    const batches = rows.map(({ batch }) => batch);
    return {
      sink,
      batch: batches.length === 1 ? batches[0]! : concat(batches[0]!.schema, batches),
    };
  });
}
