// A job of two stages without data: four source tasks a worker, and consumers that wait for the
// (empty) blocks of all of them in each micro-batch.

import { collect, count, pipeline, schema, string } from '../../src/index.ts';
import { endless } from '../endless-source.ts';
import { tasksPerWorker } from './idle-one-stage.ts';

export const idleTwoStages = pipeline('two-stages')
  .from(endless(schema({ key: string() }), tasksPerWorker))
  .groupBy('key')
  .aggregate(() => ({ rows: count() }))
  .to(collect());

export default idleTwoStages;
