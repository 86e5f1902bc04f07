// What being safe costs: the engine with a store of checkpoints in a folder against the engine
// without, in rounds that alternate. Throughput without a pause between micro-batches, and the end
// of a window to its visible count at a steady rate. Each run is a process of its own.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { formatCount } from '../src/base/format.ts';
import type { BenchOptions } from './main.ts';
import { numberArgument, print, spread, spreadText } from './figures.ts';

const rate = 50_000;
const intervalMs = 10;

type Measured<Value> = { readonly off: Value[]; readonly on: Value[] };

/** Alternates, and so does which comes first, so that what else the machine does meets both. */
function rounds<Value>(count: number, measure: (store: string | null) => Value): Measured<Value> {
  const measured: Measured<Value> = { off: [], on: [] };
  for (let round = 0; round < count; round++) {
    if (round % 2 === 0) measured.off.push(measure(null));
    measured.on.push(measureKept(measure));
    if (round % 2 === 1) measured.off.push(measure(null));
  }
  return measured;
}

function measureKept<Value>(measure: (store: string | null) => Value): Value {
  const folder = mkdtempSync(join(tmpdir(), 'mizzle-durability-'));
  try {
    return measure(join(folder, 'store'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function lastLineOf(script: string, args: readonly string[], store: string | null): unknown {
  const kept = store === null ? [] : ['--checkpoints', store];
  const path = fileURLToPath(new URL(script, import.meta.url));
  const output = execFileSync(process.execPath, [path, ...args, ...kept], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(output.trim().split('\n').at(-1)!);
}

type Drained = {
  readonly eventsPerSecond: number;
  /** Processor time of a million events, s: which other programs change little. */
  readonly cpuPerMillion: number;
};

function throughput(events: number, store: string | null): Drained {
  return lastLineOf('./drain-engine.ts', ['--events', `${events}`], store) as Drained;
}

function figuresOf<Value>(measured: Measured<Value>, value: (each: Value) => number) {
  const [off, on] = [measured.off.map(value), measured.on.map(value)];
  const ratio = spread(on.map((each, round) => each / off[round]!));
  return { off: spread(off), on: spread(on), ratio };
}

function latencyMsP99(seconds: number, store: string | null): number {
  const args = ['--json', '--seconds', `${seconds}`, '--rate', `${rate}`];
  const pace = ['--interval', `${intervalMs}`, '--checkpoint-interval', '1s'];
  const result = lastLineOf('../examples/ysb.ts', [...args, ...pace], store);
  const { latencyMs, exact } = result as {
    readonly latencyMs: { readonly p99: number };
    readonly exact: boolean;
  };
  if (!exact) throw new Error('a run with wrong counts is no measurement');
  return latencyMs.p99;
}

export async function run({ json, args }: BenchOptions): Promise<void> {
  const count = numberArgument(args, 'rounds', 5);
  const events = numberArgument(args, 'events', 40e6);
  const seconds = numberArgument(args, 'seconds', 12);
  const rates = rounds(count, (store) => throughput(events, store));
  const delays = rounds(count, (store) => latencyMsP99(seconds, store));
  const result = {
    events,
    eventsPerSecond: figuresOf(rates, ({ eventsPerSecond }) => eventsPerSecond),
    cpuPerMillion: figuresOf(rates, ({ cpuPerMillion }) => cpuPerMillion),
    seconds,
    latencyMsP99: figuresOf(delays, (ms) => ms),
  };
  const { eventsPerSecond: speed, cpuPerMillion: cpu, latencyMsP99: p99 } = result;
  print(
    [
      `checkpoints in a folder every second against none, ${count} rounds that alternate`,
      `throughput  ${formatCount(speed.off.median)} events/s without, ` +
        `${formatCount(speed.on.median)} with: ratio ${spreadText(speed.ratio, 3)}`,
      `processor   ${spreadText(cpu.off, 3)} s a million without, ${spreadText(cpu.on, 3)} with: ` +
        `ratio ${spreadText(cpu.ratio, 3)}`,
      `p99         ${spreadText(p99.off, 1)} ms without, ${spreadText(p99.on, 1)} with, at ` +
        `${formatCount(rate)} events/s and ${intervalMs} ms: ratio ${spreadText(p99.ratio)}`,
    ],
    json ? result : null,
  );
  await Promise.resolve();
}
