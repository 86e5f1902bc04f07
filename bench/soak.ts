// A soak: the Yahoo Streaming Benchmark on host processes at a steady rate, of which one gets
// SIGKILL every few seconds, or the driver does, or all; others take their place. At the end every
// count must be the true one, and memory must not have grown: for that, the second part spares the
// driver and one host, so that something lives long enough to grow.

import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Random } from '../src/base/random.ts';
import { ysbExpectedCounts } from '../src/index.ts';
import type { BenchOptions } from './main.ts';
import { numberArgument, print } from './figures.ts';
import { differences, rowsIn, windowsOf } from './paper/killed-host.ts';
import type { FromSoakDriver, SoakJob } from './soak-driver.ts';
import type { Growth, Kill, KillKind, Return, Sample } from './soak-figures.ts';
import { growthOf, percentile, returnsAfter } from './soak-figures.ts';

export type SoakOptions = {
  readonly minutes: number;
  readonly seed: number;
  readonly hosts: number;
  readonly eventsPerSecond: number;
  readonly windowMs: number;
  readonly checkpointMs: number;
};

export type SoakResult = SoakOptions & {
  readonly events: number;
  readonly counts: number;
  /** Counts that are wrong, missing or there twice. */
  readonly wrong: number;
  readonly kills: readonly Return[];
  /** Rounds of recovery, also those by which replacements got their share. */
  readonly recoveries: number;
  readonly recoveryMs: Percentiles;
  readonly latencyMs: Percentiles;
  readonly memory: {
    readonly driver: Growth | null;
    readonly driverHeap: Growth | null;
    /** Of the host that is spared. */
    readonly host: Growth | null;
    readonly stateBytes: number;
  };
};

type Percentiles = { readonly p50: number; readonly p95: number; readonly max: number };

/** The first part of the run: any process may be killed. */
const anyShare = 0.3;
const pauseMs: readonly [number, number] = [3_000, 8_000];
/** A driver waits for the lease of the one before it, and its hosts start. */
const driverPauseMs: readonly [number, number] = [18_000, 25_000];
const settleMs = 12_000;
/** Memory is looked at from here on: caches are full and code is compiled. */
const warmUpMs = 60_000;
const sampleMs = 1_000;
/** A job that has not started by then never will. */
const startMs = 60_000;

export async function run({ json, args }: BenchOptions): Promise<void> {
  const options: SoakOptions = {
    minutes: numberArgument(args, 'minutes', 20),
    seed: numberArgument(args, 'seed', 1),
    hosts: numberArgument(args, 'hosts', 3),
    eventsPerSecond: numberArgument(args, 'rate', 20_000),
    windowMs: 200,
    checkpointMs: numberArgument(args, 'checkpoint-ms', 5_000),
  };
  const result = await soak(options);
  print(tell(result), json ? result : null);
  if (result.wrong > 0) process.exitCode = 1;
}

export async function soak(options: SoakOptions): Promise<SoakResult> {
  const folder = mkdtempSync(join(tmpdir(), 'mizzle-soak-'));
  const cluster = new SoakCluster(folder, options);
  try {
    await cluster.begin();
    const random = new Random(options.seed);
    const beganMs = nowMs();
    const endMs = beganMs + options.minutes * 60_000;
    for (;;) {
      const isAny = nowMs() < beganMs + anyShare * (endMs - beganMs);
      const what = isAny ? kindOf(random.float()) : 'host';
      const [least, most] = what === 'host' ? pauseMs : driverPauseMs;
      if (nowMs() + most + settleMs > endMs) break;
      await cluster.kill(what, { random, spares: !isAny });
      await sleep(least + random.float() * (most - least));
    }
    await sleep(settleMs);
    return await cluster.finish();
  } finally {
    cluster.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

function kindOf(chance: number): KillKind {
  if (chance < 0.7) return 'host';
  return chance < 0.85 ? 'driver' : 'all';
}

/** One driver process after another, and the hosts of the current one. */
class SoakCluster {
  readonly #options: SoakOptions;
  readonly #job: SoakJob;
  readonly #kills: Kill[] = [];
  readonly #recoveriesMs: number[] = [];
  #driver: ChildProcess | null = null;
  /** Process ids, oldest first. */
  #hosts: number[] = [];
  #ended: Extract<FromSoakDriver, { kind: 'ended' }> | null = null;
  #started = Promise.withResolvers<void>();
  /** What it said last on standard error. */
  #said: string[] = [];
  #isKilled = false;
  #sampling: NodeJS.Timeout | null = null;
  /** Of the driver and host that live since `sinceMs`. */
  #driverRss: Sample[] = [];
  #driverHeap: Sample[] = [];
  #hostRss: Sample[] = [];
  #stateBytes = 0;

  constructor(folder: string, options: SoakOptions) {
    this.#options = options;
    const { eventsPerSecond, windowMs, hosts, checkpointMs } = options;
    const job = { out: join(folder, 'out', '/'), eventsPerSecond, windowMs };
    this.#job = { job, store: join(folder, 'store'), hosts, checkpointMs };
  }

  async begin(): Promise<void> {
    await this.#start();
    this.#sampling = setInterval(() => this.#sample(), sampleMs);
  }

  async #start(): Promise<void> {
    this.#hosts = [];
    this.#said = [];
    this.#isKilled = false;
    this.#started = Promise.withResolvers();
    this.#started.promise.catch(() => {});
    this.#driverRss = [];
    this.#driverHeap = [];
    this.#hostRss = [];
    const driver = fork(fileURLToPath(new URL('./soak-driver.ts', import.meta.url)), {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    this.#driver = driver;
    driver.stderr!.on('data', (text: Buffer) => {
      this.#said = [...this.#said, ...text.toString().trimEnd().split('\n')].slice(-20);
    });
    driver.on('message', (message) => this.#onMessage(message as FromSoakDriver));
    driver.on('exit', (code, signal) => {
      if (this.#driver !== driver || this.#isKilled || this.#ended !== null) return;
      const how = signal ?? `exit code ${code}`;
      this.#started.reject(new Error(`the driver ended by ${how}:\n${this.#said.join('\n')}`));
    });
    driver.send(this.#job);
    const late = setTimeout(() => {
      this.#started.reject(new Error(`the job did not start:\n${this.#said.join('\n')}`));
    }, startMs);
    await this.#started.promise.finally(() => clearTimeout(late));
    // From now on this says that it has failed.
    this.#started = Promise.withResolvers();
    this.#started.promise.catch(() => {});
  }

  #onMessage(message: FromSoakDriver): void {
    switch (message.kind) {
      case 'started':
        return this.#started.resolve();
      case 'host':
        this.#hosts.push(message.pid);
        return;
      case 'recovered':
        this.#recoveriesMs.push(message.elapsedMs);
        return;
      case 'memory':
        this.#driverHeap.push({ atMs: nowMs(), bytes: message.heapBytes });
        this.#stateBytes = message.stateBytes;
        return;
      case 'ended':
        this.#ended = message;
    }
  }

  async kill(
    what: KillKind,
    { random, spares }: { readonly random: Random; readonly spares: boolean },
  ): Promise<void> {
    this.#hosts = this.#hosts.filter((pid) => residentBytes(pid) !== null);
    this.#kills.push({ atMs: nowMs(), what });
    if (what === 'host') {
      const choice = spares ? this.#hosts.slice(1) : this.#hosts;
      if (choice.length > 0) endProcess(choice[random.integer(0, choice.length - 1)]!);
      return this.#check();
    }
    const driver = this.#driver!;
    this.#isKilled = true;
    if (what === 'all') for (const pid of this.#hosts) endProcess(pid);
    const gone = once(driver, 'exit');
    driver.kill('SIGKILL');
    await gone;
    await this.#start();
  }

  /** Rejects when the driver has ended by itself. */
  async #check(): Promise<void> {
    await Promise.race([this.#started.promise, sleep(0)]);
  }

  async finish(): Promise<SoakResult> {
    await this.#check();
    if (this.#sampling !== null) clearInterval(this.#sampling);
    const driver = this.#driver!;
    const gone = once(driver, 'exit');
    driver.send('stop');
    await Promise.race([gone, this.#started.promise]);
    if (this.#ended === null) throw new Error(`the job did not end:\n${this.#said.join('\n')}`);
    const { eventsPerSecond, windowMs } = this.#options;
    const { startMs: fromMs, taken } = this.#ended;
    const given = { eventsPerSecond, seed: 1, startMs: fromMs, windowMs, taken };
    const truth = ysbExpectedCounts(given);
    const rows = rowsIn(this.#job.job.out);
    const windows = windowsOf(rows, 0);
    return {
      ...this.#options,
      events: taken.reduce((sum, count) => sum + count, 0),
      counts: truth.length,
      wrong: differences(rows, truth),
      kills: returnsAfter(this.#kills, windows),
      recoveries: this.#recoveriesMs.length,
      recoveryMs: percentiles(this.#recoveriesMs),
      latencyMs: percentiles(windows.map(({ latencyMs }) => latencyMs)),
      memory: {
        driver: growthOf(warm(this.#driverRss)),
        driverHeap: growthOf(warm(this.#driverHeap)),
        host: growthOf(warm(this.#hostRss)),
        stateBytes: this.#stateBytes,
      },
    };
  }

  #sample(): void {
    const atMs = nowMs();
    const driver = this.#driver?.pid === undefined ? null : residentBytes(this.#driver.pid);
    if (driver !== null) this.#driverRss.push({ atMs, bytes: driver });
    const [oldest] = this.#hosts;
    const host = oldest === undefined ? null : residentBytes(oldest);
    if (host === null) this.#hostRss = [];
    else this.#hostRss.push({ atMs, bytes: host });
  }

  /** Ends what is left; hosts end with their driver. */
  end(): void {
    if (this.#sampling !== null) clearInterval(this.#sampling);
    this.#isKilled = true;
    this.#driver?.kill('SIGKILL');
  }
}

function warm(samples: readonly Sample[]): readonly Sample[] {
  const fromMs = (samples[0]?.atMs ?? 0) + warmUpMs;
  return samples.filter(({ atMs }) => atMs >= fromMs);
}

/** Null: there is no such process, or the system does not tell. */
function residentBytes(pid: number): number | null {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) * 1024;
  } catch {
    return null;
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself meanwhile.
  }
}

function percentiles(values: readonly number[]): Percentiles {
  const at = (share: number): number => percentile(values, share);
  return { p50: at(0.5), p95: at(0.95), max: Math.max(0, ...values) };
}

function tell(result: SoakResult): readonly string[] {
  const { minutes, seed, events, counts, wrong, kills, memory, latencyMs } = result;
  const millions = (events / 1e6).toFixed(1);
  return [
    `${minutes} minutes, seed ${seed}: ${result.hosts} hosts, ${result.eventsPerSecond} ` +
      `events/s, windows of ${result.windowMs} ms, ` +
      `checkpoints every ${result.checkpointMs / 1000} s`,
    wrong === 0
      ? `exact: ${counts} counts of ${millions} million events`
      : `NOT EXACT: ${wrong} of ${counts} counts of ${millions} million events are wrong`,
    `${kills.length} kills, ${result.recoveries} rounds of recovery, which took ` +
      percentilesText(result.recoveryMs),
    ...(['host', 'driver', 'all'] as const).flatMap((what) => returnText(what, kills)),
    `latency of all windows ${percentilesText(latencyMs)}`,
    `resident memory of the driver ${growthText(memory.driver)}`,
    `heap of the driver            ${growthText(memory.driverHeap)}`,
    `resident memory of one host   ${growthText(memory.host)}`,
  ];
}

function returnText(what: KillKind, kills: readonly Return[]): readonly string[] {
  const own = kills.filter((kill) => kill.what === what);
  if (own.length === 0) return [];
  const back = own.flatMap(({ backMs }) => (backMs === null ? [] : [backMs]));
  const never = own.length - back.length;
  const rest = never === 0 ? '' : `; ${never} not back before the next`;
  return [
    `  ${what.padEnd(7)}${own.length}: back after ${percentilesText(percentiles(back))}${rest}`,
  ];
}

function percentilesText({ p50, p95, max }: Percentiles): string {
  return `p50 ${p50.toFixed(0)}, p95 ${p95.toFixed(0)}, at most ${max.toFixed(0)} ms`;
}

function growthText(growth: Growth | null): string {
  if (growth === null) return 'not measured: nothing lived long enough';
  const { minutes, fromMb, toMb, mbPerMinute } = growth;
  return (
    `${mbPerMinute.toFixed(2)} MB/min over ${minutes.toFixed(1)} minutes: ` +
    `${fromMb.toFixed(1)} → ${toMb.toFixed(1)} MB`
  );
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
