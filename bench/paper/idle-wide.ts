// As the two stages without data, with so many source tasks that what each one costs its consumers
// can be told from what a consumer costs by itself.

import { collect, count, pipeline, schema, string } from '../../src/index.ts';
import { endless } from '../endless-source.ts';

export const wideTasksPerWorker = 64;

export const idleWide = pipeline('two-stages-wide')
  .from(endless(schema({ key: string() }), wideTasksPerWorker))
  .groupBy('key')
  .aggregate(() => ({ rows: count() }))
  .to(collect());

export default idleWide;
