// Latency of the main job at fixed rates and intervals: the end of a one-second window until its
// count is visible, measured by the example itself in a process of its own.

import { execFileSync } from 'node:child_process';
import process from 'node:process';
import type { BenchOptions } from './main.ts';
import { numberArgument, print } from './figures.ts';

type Percentiles = { p50: number; p95: number; p99: number; max: number };

export async function run({ json, args }: BenchOptions): Promise<void> {
  const seconds = numberArgument(args, 'seconds', 12);
  const hosts = numberArgument(args, 'hosts', 0);
  const results = [];
  const where = hosts === 0 ? 'threads of one process' : `${hosts} host processes of one worker`;
  const lines = [`windows of 1 s on ${where}, ${seconds} s each, the first 2 s left out`];
  for (const intervalMs of [10, 2]) {
    for (const rate of [10_000, 50_000, 100_000]) {
      const output = execFileSync(
        process.execPath,
        ['examples/ysb.ts', '--json', '--seconds', `${seconds}`, '--rate', `${rate}`].concat(
          ['--interval', `${intervalMs}`],
          // As many workers in all as without hosts.
          hosts === 0 ? [] : ['--hosts', `${hosts}`, '--workers', '1'],
        ),
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
      );
      const result = JSON.parse(output.trim().split('\n').at(-1)!) as {
        latencyMs: Percentiles;
        exact: boolean;
        cpuSeconds: number;
      };
      const { p50, p95, p99, max } = result.latencyMs;
      results.push({ intervalMs, rate, ...result });
      lines.push(
        `${String(rate).padStart(7)}/s at ${String(intervalMs).padStart(2)} ms: ` +
          `p50 ${p50.toFixed(1)}, p95 ${p95.toFixed(1)}, p99 ${p99.toFixed(1)}, ` +
          `max ${max.toFixed(1)} ms${result.exact ? '' : ' WRONG COUNTS'}`,
      );
    }
  }
  print(lines, json ? { results } : null);
  await Promise.resolve();
}
