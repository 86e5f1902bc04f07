// Scratch.
import { writeFileSync } from 'node:fs';
import { timeline } from './paper/timeline.ts';
import { drawSvg } from './paper/plot.ts';
const s = performance.now();
const r = await timeline.run({ quick: process.argv[2] === 'quick', costs: null });
for (const l of timeline.tell(r)) console.log(l);
writeFileSync('/tmp/figs/timeline.svg', drawSvg(timeline.plot(r)!));
writeFileSync('/tmp/figs/timeline.json', JSON.stringify(r));
console.log((performance.now() - s) / 1000, 's');
