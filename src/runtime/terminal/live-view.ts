// The live view of a running job: on a terminal, lines that redraw in place; elsewhere a plain line
// every few seconds. No escape codes ever reach output that is no terminal.

import process from 'node:process';
import type { JobStatus } from '../../api/job.ts';
import { statusLine, statusLines } from '../../observe/status-text.ts';

/** What a view writes to: `process.stderr`, or a stand-in. */
export type ViewStream = {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
};

export type LiveViewOptions = {
  readonly title: string;
  /** Default: standard error. */
  readonly stream?: ViewStream;
  /** Lines to show under the status, asked at every redraw. */
  readonly extra?: () => readonly string[];
  /** Where there is no terminal: a line at most so often. Default: 5,000 ms. */
  readonly plainIntervalMs?: number;
};

export class LiveView {
  readonly #title: string;
  readonly #stream: ViewStream;
  readonly #extra: () => readonly string[];
  readonly #plainIntervalMs: number;
  #drawn = 0;
  #plainAtMs = 0;

  constructor(options: LiveViewOptions) {
    this.#title = options.title;
    this.#stream = options.stream ?? process.stderr;
    this.#extra = options.extra ?? ((): readonly string[] => []);
    this.#plainIntervalMs = options.plainIntervalMs ?? 5_000;
  }

  show(status: JobStatus): void {
    if (this.#stream.isTTY !== true) {
      if (status.elapsedMs - this.#plainAtMs < this.#plainIntervalMs) return;
      this.#plainAtMs = status.elapsedMs;
      this.#stream.write(`${this.#title}: ${statusLine(status)}\n`);
      return;
    }
    const width = this.#stream.columns || 100;
    const lines = [this.#title, ...statusLines(status), ...this.#extra()];
    this.clear();
    this.#stream.write(lines.map((line) => `${line.slice(0, width - 1)}\n`).join(''));
    this.#drawn = lines.length;
  }

  /** Wipes what was drawn, so that other output can follow. */
  clear(): void {
    if (this.#drawn > 0) this.#stream.write(`\u001B[${this.#drawn}A\u001B[0J`);
    this.#drawn = 0;
  }
}
