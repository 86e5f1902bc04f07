// Scratch.
import { runCell } from './paper/cell.ts';
import { measuredModel } from './paper/costs.ts';
import { readFileSync } from 'node:fs';
import { oneStage } from './paper/shapes.ts';
const costs = measuredModel(JSON.parse(readFileSync('results/costs.json', 'utf8')));
const [machines, G, la, groups, tasks] = process.argv.slice(2).map(Number);
const c0 = process.threadCpuUsage();
const cell = runCell({
  machines: machines!,
  shape: oneStage(machines! * tasks!),
  schedule: G === 0 ? { mode: 'bsp' } : { mode: 'drizzle', groupSize: G!, lookAhead: la === 1 },
  costs,
  workMs: [0.6 / tasks!],
  groups: groups!,
});
const c = process.threadCpuUsage(c0);
const n = groups! * Math.max(1, G!) * machines! * tasks!;
console.log(
  JSON.stringify(cell),
  `cpu ${((c.user + c.system) / 1e6).toFixed(2)} s, ${((c.user + c.system) / n).toFixed(2)} us a task`,
);
