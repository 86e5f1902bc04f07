// The simulated range log keeps the laws of every range log, behind the port's shape.

import { test } from 'node:test';
import { sameBytes } from '../control/storage/same-bytes.ts';
import { storageError } from '../control/storage/storage-errors.ts';
import type { LoggedRange, RangeLog, RangeLogWriter } from '../ports/range-log.ts';
import { checkLog } from '../runtime/storage/range-log.fixture.ts';
import { SimulatedRangeLog } from './simulated-range-log.ts';

class Adapter implements RangeLog {
  readonly description = 'memory';
  readonly #core: SimulatedRangeLog<Uint8Array>;
  readonly #names: Set<string>;

  constructor(core: SimulatedRangeLog<Uint8Array>, names: Set<string>) {
    this.#core = core;
    this.#names = names;
  }

  writer(name: string, term: number): RangeLogWriter {
    const isNew = !this.#names.has(name);
    let isClosed = false;
    this.#names.add(name);
    return {
      append: async (records) => {
        const isOpen = isNew && !isClosed;
        if (isOpen && this.#core.append({ name, term }, records) === 'durable') return;
        throw storageError({ code: 'fenced', message: name, hint: '', fields: {} });
      },
      close: async () => {
        isClosed = true;
      },
    };
  }

  async fence(term: number): Promise<void> {
    this.#core.fence(term);
  }

  async seal(writer: string): Promise<void> {
    this.#core.seal(writer);
  }

  async writers(): Promise<readonly string[]> {
    return this.#core.writers();
  }

  async read(afterBatch: number): Promise<readonly LoggedRange[]> {
    return this.#core.read(afterBatch);
  }

  async release(throughBatch: number): Promise<void> {
    this.#core.release(throughBatch);
  }
}

test('SimulatedRangeLog keeps the laws of a range log', async (context) => {
  await checkLog(context, () => {
    const core = new SimulatedRangeLog<Uint8Array>(sameBytes);
    const names = new Set<string>();
    return { log: new Adapter(core, names), another: new Adapter(core, names) };
  });
});
