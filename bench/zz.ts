// Scratch.
import process from 'node:process';
import { readFileSync, readdirSync } from 'node:fs';
import { idleOneStage } from './paper/idle-one-stage.ts';
import { idleTwoStages } from './paper/idle-two-stages.ts';
const [stages, hosts, workers, G, la, mode, interval] = process.argv.slice(2);
process.argv.splice(2);
const p = stages === '1' ? idleOneStage : idleTwoStages;
const sleep = (ms: number) => new Promise((r) => setTimeout(r, ms));
const threads = () => {
  // all threads of descendants: comm, utime+stime ticks
  const out: Record<string, number> = {};
  const kids = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean);
  for (const pid of [String(process.pid), ...kids]) {
    try {
      for (const t of readdirSync(`/proc/${pid}/task`)) {
        const s = readFileSync(`/proc/${pid}/task/${t}/schedstat`, 'utf8').split(' ');
        const c = readFileSync(`/proc/${pid}/task/${t}/comm`, 'utf8').trim();
        const st = readFileSync(`/proc/${pid}/task/${t}/status`, 'utf8');
        const v = Number(/\nvoluntary_ctxt_switches:\s+(\d+)/.exec(st)![1]);
        out[`${pid}/${t} ${c}`] = Number(s[0]) / 1e6;
        out[`${pid}/${t} ${c} vol`] = v;
      }
    } catch {}
  }
  return out;
};
const job = await p.run({
  hosts: Number(hosts),
  workers: Number(workers),
  interval: Number(interval ?? 0),
  partitions: 8,
  groupSize: Number(G),
  lookAhead: la === '1',
  mode: (mode ?? 'drizzle') as 'drizzle',
  module: new URL(
    stages === '1' ? './paper/idle-one-stage.ts' : './paper/idle-two-stages.ts',
    import.meta.url,
  ),
});
while (job.status().batches < 20) await sleep(50);
await sleep(3000);
const a = job.status(),
  ta = threads();
await sleep(2000);
const b = job.status(),
  tb = threads();
const n = b.batches - a.batches;
console.log(
  `per batch ${(((b.elapsedMs - a.elapsedMs) / n) * 1000).toFixed(1)} us, batches ${n}, p50 ${b.batchMs.p50}`,
);
for (const k of Object.keys(tb)) {
  const d = tb[k]! - (ta[k] ?? 0);
  if (d > 20)
    console.log(
      k,
      k.endsWith('vol')
        ? `${(d / n).toFixed(3)} per batch`
        : `${((d * 1000) / n).toFixed(2)} us/batch (${(d / 20).toFixed(0)} %)`,
    );
}
await job.stop();
