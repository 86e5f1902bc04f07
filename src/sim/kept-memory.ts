// What a worker must have in memory of the blocks that it keeps, by what it was given and what it
// ordered to its disk: no more than its limit, but for what is on its way.

import { assert } from '../base/assert.ts';
import type { Handle, TaskName } from '../control/protocol/messages.ts';
import type { Template } from '../control/protocol/template.ts';
import type { WorkerEffect, WorkerEvent } from '../control/worker/events.ts';
import type { KeptLimits } from '../control/worker/spill-policy.ts';
import type { WorkerMachine } from '../control/worker/worker-machine.ts';

type Block = { readonly batch: number; readonly bytes: number; onDisk: boolean };

export class KeptMemory {
  readonly #limits: KeptLimits | null;
  /** By run: the task. */
  readonly #runs = new Map<number, TaskName>();
  /** Blocks of source tasks: nothing holds them back, so all of what is done was sent. */
  readonly #blocks = new Map<string, Block>();
  readonly #byOutput = new Map<Handle, Block>();
  #writing: readonly Handle[] | null = null;
  /** The disk refused the last write, or is full. */
  #refused = false;
  /** The worker hears nothing any more. */
  #stopped = false;

  constructor(limits: KeptLimits | null) {
    this.#limits = limits;
  }

  stepped(event: WorkerEvent, effects: readonly WorkerEffect[], template: Template): void {
    if (this.#limits === null || this.#stopped) return;
    if (event.kind === 'task-finished') this.#finished(event, template);
    if (event.kind === 'spill-failed') this.#refused = true;
    if (event.kind === 'spill-failed') this.#writing = null;
    if (event.kind === 'blocks-spilled') {
      for (const output of this.#writing ?? []) {
        const block = this.#byOutput.get(output);
        if (block !== undefined) block.onDisk = true;
      }
      this.#writing = null;
    }
    for (const effect of effects) {
      if (effect.kind === 'run-task') this.#runs.set(effect.run, effect.task);
      if (effect.kind === 'stop') this.#stopped = true;
      if (effect.kind !== 'spill-blocks') continue;
      assert(this.#writing === null, 'two writes to the spill disk at once');
      this.#writing = effect.blocks.map(({ output }) => output);
      this.#refused = false;
    }
  }

  #finished(
    { run, outputs, outputBytes }: Extract<WorkerEvent, { kind: 'task-finished' }>,
    { stages }: Template,
  ): void {
    const task = this.#runs.get(run);
    this.#runs.delete(run);
    if (task === undefined || !stages[task.stage]!.source) return;
    outputs.forEach((output, index) => {
      const name = `${task.stage}/${task.partition}@${task.batch}.${index}`;
      if (this.#blocks.has(name)) return;
      const block = { batch: task.batch, bytes: outputBytes[index]!, onDisk: false };
      this.#blocks.set(name, block);
      this.#byOutput.set(output, block);
    });
  }

  check({ kept, doneThrough, retiredThrough }: WorkerMachine): void {
    if (this.#limits === null || this.#stopped) return;
    let memoryBytes = 0;
    let diskBytes = 0;
    for (const [name, { batch, bytes, onDisk }] of this.#blocks) {
      if (batch <= retiredThrough) this.#blocks.delete(name);
      else if (onDisk) diskBytes += bytes;
      else if (batch <= doneThrough) memoryBytes += bytes;
    }
    for (const [output, { batch }] of this.#byOutput) {
      if (batch <= retiredThrough) this.#byOutput.delete(output);
    }
    const { keptBytesMax, spillBytesMax } = this.#limits;
    const { diskBytes: allOnDisk } = kept;
    assert(allOnDisk >= diskBytes, 'a worker counts less on disk than there is');
    if (this.#writing !== null || this.#refused || allOnDisk >= spillBytesMax) return;
    assert(memoryBytes <= keptBytesMax, `${memoryBytes} bytes are kept in memory, and none moved`);
  }
}
