// The load's side of a run, by the programs in `java/load`: topics, generator and reader.

import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { PeersHome } from './home.ts';
import { java } from './java.ts';
import type { Command, Processes } from './processes.ts';
import { sleep } from './processes.ts';
import type { TallyResult, Truth } from './tally.ts';
import { Tally, arrivalIn, truthIn } from './tally.ts';

export const inPartitions = 4;
export const campaigns = 100;

/** Without a new result for so long nothing more is expected; the first one takes longest. */
const patienceMs = 120_000;
const firstPatienceMs = 300_000;

export type Filled = { readonly topic: string; readonly events: number; readonly truth: string };

/** Events a second, and for how many seconds. */
export type Pace = { readonly rate: number; readonly seconds: number };

export type Paced = {
  /** When the first event is due. */
  readonly startMs: number;
  /** Once all are sent: how late an event was at most, for each part of the schedule. */
  readonly sent: Promise<{ readonly behindMsMax: readonly number[] }>;
};

export class Load {
  readonly address: string;
  readonly adsFile: string;
  readonly #home: PeersHome;
  readonly #processes: Processes;
  readonly #seed: number;
  #count = 0;

  constructor(
    home: PeersHome,
    processes: Processes,
    given: { readonly address: string; readonly adsFile: string; readonly seed: number },
  ) {
    this.#home = home;
    this.#processes = processes;
    this.address = given.address;
    this.adsFile = given.adsFile;
    this.#seed = given.seed;
  }

  /** A new topic with a name of its own. */
  async topic(kind: 'in' | 'out' | 'filled'): Promise<string> {
    const topic = `${kind}-${++this.#count}`;
    const partitions = kind === 'out' ? 1 : inPartitions;
    await this.#processes.run('topics', this.#program('Topics', [`${topic}:${partitions}`]));
    return topic;
  }

  async drop(topic: string): Promise<void> {
    await this.#processes.run('topics', this.#program('Topics', [`-${topic}`]));
  }

  truthFileOf(topic: string): string {
    return join(this.#processes.folder, `${topic}.truth`);
  }

  /** A topic that is full before anybody reads it; `rate` events are a second of event time. */
  async fill(events: number, rate: number): Promise<Filled> {
    const topic = await this.topic('filled');
    const truth = this.truthFileOf(topic);
    const args = ['fill', topic, this.adsFile, truth, `${this.#seed}`, `${events}`, `${rate}`];
    await this.#processes.run('generator', this.#program('Generate', args));
    return { topic, events, truth };
  }

  async pace(topic: string, schedule: readonly Pace[]): Promise<Paced> {
    const parts = schedule.map(({ rate, seconds }) => `${rate}:${seconds}`);
    const args = ['pace', topic, this.adsFile, this.truthFileOf(topic), `${this.#seed}`, ...parts];
    const child = this.#processes.startPiped('generator', this.#program('Generate', args));
    const start = Promise.withResolvers<number>();
    let last = '';
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const said = JSON.parse(line) as { startMs?: number };
      if (said.startMs !== undefined) start.resolve(said.startMs);
      last = line;
    });
    const sent = this.#processes.ended('generator', child).then(() => {
      return JSON.parse(last) as { readonly behindMsMax: readonly number[] };
    });
    sent.catch(start.reject);
    return { startMs: await start.promise, sent };
  }

  follow(topic: string): Following {
    return new Following(
      this.#processes,
      this.#processes.startPiped('reader', this.#program('Follow', [topic])),
    );
  }

  #program(main: string, args: readonly string[]): Command {
    return java({
      classPath: this.#home.loadClassPath,
      heap: '1g',
      flags: ['-Dorg.slf4j.simpleLogger.defaultLogLevel=error'],
      main,
      args,
      env: { BOOTSTRAP: this.address },
    });
  }
}

/** A reader of committed results, which are held against the truth as they come. */
export class Following {
  readonly #processes: Processes;
  readonly #child: ChildProcess;
  readonly #tally = new Tally();
  readonly #ready = Promise.withResolvers<void>();
  #newsMs = Date.now();

  constructor(processes: Processes, child: ChildProcess) {
    this.#processes = processes;
    this.#child = child;
    createInterface({ input: child.stdout! }).on('line', (line) => {
      if (line === 'ready') return this.#ready.resolve();
      this.#tally.add(arrivalIn(line));
      this.#newsMs = Date.now();
    });
    processes.ended('reader', child).catch((error: unknown) => this.#ready.reject(error));
    // Whoever waits for it is told.
    this.#ready.promise.catch(() => {});
  }

  /** Resolves when it reads: until then its start uses the processors that an engine is to have. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  judgeBy(truthFile: string, windowMs: number): Truth {
    const truth = truthIn(readFileSync(truthFile, 'utf8'), windowMs);
    this.#tally.judgeBy(truth);
    this.#newsMs = Date.now();
    return truth;
  }

  /** Until all windows have their true count, or nothing has come for long. */
  async end(): Promise<TallyResult> {
    while (!this.#tally.isComplete) {
      const limitMs = this.#tally.records === 0 ? firstPatienceMs : patienceMs;
      if (Date.now() - this.#newsMs > limitMs) break;
      await sleep(20);
    }
    // What is told once more, or told wrongly, comes soon after.
    await sleep(500);
    await this.#processes.kill(this.#child);
    return this.#tally.result();
  }
}
