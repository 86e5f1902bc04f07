// A program that prints before it runs its pipeline, and whose pipeline prints, too.

import { collect, memory, pipeline, schema, string } from '../../src/index.ts';

console.log('before');
const job = await pipeline('printing')
  .from(memory([{ word: 'once' }], { schema: schema({ word: string() }) }))
  .filterRow((row) => {
    console.log(`row ${row.word}`);
    return true;
  })
  .to(collect())
  .run({ workers: 2 });
await job.done;
console.log('after');
