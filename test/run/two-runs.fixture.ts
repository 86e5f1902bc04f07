// A program that runs two pipelines, one after the other, without modules of their own.

import { collect, memory, pipeline, schema, string } from '../../src/index.ts';

const words = schema({ word: string() });

for (const name of ['first', 'second']) {
  const out = collect();
  const job = await pipeline(name)
    .from(memory([{ word: name }], { schema: words }))
    .to(out)
    .run({ workers: 1 });
  await job.done;
  process.stdout.write(`${name}: ${out.rows.length}\n`);
}
