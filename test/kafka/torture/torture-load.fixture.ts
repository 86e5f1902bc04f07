// Records that are written to a topic at a steady rate, whatever happens to brokers meanwhile.

import { LineWriter } from '../line-writer.fixture.ts';
import type { Numbered } from './torture-records.fixture.ts';
import { endOf, inputPartitions, numberedOf } from './torture-records.fixture.ts';

export type LoadOptions = {
  readonly bootstrap: string;
  readonly topic: string;
  readonly recordsPerSecond: number;
};

const tickMs = 20;

export class Load {
  /** By partition, in order. */
  readonly sent: readonly Numbered[][] = Array.from({ length: inputPartitions }, () => []);
  readonly #options: LoadOptions;
  readonly #writer: LineWriter;
  readonly #timer: NodeJS.Timeout;
  readonly #startMs = performance.now();

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#writer = new LineWriter(options.bootstrap, options.topic);
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  /** The last records, and back when brokers have all of them. */
  async finish(): Promise<void> {
    clearInterval(this.#timer);
    this.#tick();
    for (const partition of this.sent.keys()) this.#send(partition, endOf(partition));
    await this.#writer.finish();
  }

  end(): void {
    clearInterval(this.#timer);
    this.#writer.end();
  }

  #tick(): void {
    const { recordsPerSecond } = this.#options;
    const due = ((performance.now() - this.#startMs) / 1000) * (recordsPerSecond / inputPartitions);
    for (const [partition, sent] of this.sent.entries()) {
      while (sent.length < due) {
        this.#send(partition, numberedOf(partition, sent.length, recordsPerSecond));
      }
    }
  }

  #send(partition: number, record: Numbered): void {
    this.sent[partition]!.push(record);
    this.#writer.write({ partition, key: record.key, value: JSON.stringify(record) });
  }
}
